"""Names that become paths."""

from pathlib import Path

import pytest

from usbench.core.names import as_name, check_name, column_fault, inside, name_fault
from usbench.errors import UsbenchError


@pytest.mark.parametrize("name", ["covid", "bus-bra-subset", "Breast_2", "a.b", "x" * 100])
def test_names_that_fit(name: str) -> None:
    assert check_name("task", name) == name
    assert as_name(name) == name


@pytest.mark.parametrize("name", ["timm:vit_base_patch14_dinov2.lvd142m", "hf:facebook/dinov2-base", "open:ViT+x=1"])
def test_encoders_may_be_named_as_on_a_hub(name: str) -> None:
    assert name_fault("encoder", name) == ""
    assert name_fault("task", name)


@pytest.mark.parametrize(
    "text", ["My data (2024)", "Ärzte", "データ", "..", "con", "README", "x" * 300, "a/b", "", "a."]
)
def test_any_folder_gets_a_name_that_fits(text: str) -> None:
    name = as_name(text)
    assert name_fault("dataset", name) == ""
    assert as_name(f"{text}!") != name


def test_faults_are_one_short_line() -> None:
    with pytest.raises(UsbenchError) as error:
        check_name("task", "\x1b[31m" + "../" * 1000)
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()
    assert "an encoder" in name_fault("encoder", "a b")


@pytest.mark.parametrize("name", ["Age (years)", "Größe", "birads", "BMI, kg/m2"])
def test_columns_are_what_people_write(name: str) -> None:
    assert column_fault(name) == ""


@pytest.mark.parametrize("name", ["<b>", "a|b", "a\nb", "", "x" * 101, "`a`", "=cmd", None])
def test_columns_that_are_refused(name: object) -> None:
    assert column_fault(name)


def test_inside_follows_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    assert inside(folder, folder / "a" / "b.md") == folder / "a" / "b.md"
    for path in (folder / ".." / "x", folder / "link" / "x", Path("/etc/x")):
        with pytest.raises(UsbenchError, match="lies outside"):
            inside(folder, path)

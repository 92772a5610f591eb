"""The registry: three tiers, clashes, suggestions, laziness."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from usbench.errors import NameClashError, UnknownNameError, UsbenchError
from usbench.plugins.registry import Registry

PLUGIN = """
class Base:
    pass

class Good(Base):
    label = {label!r}

number = 3
"""


def _is_plugin(item: object) -> bool:
    return isinstance(item, type) and item.__name__ == "Good"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a catalog of two names and a family, one of whose modules must never be imported."""
    name = f"pack_{abs(hash(tmp_path)) % 10**8}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(
        f"NAMES = {{'good': '{name}.good:Good', 'broken': '{name}.broken:Good', 'family:': '{name}.good:Good'}}"
    )
    (folder / "good.py").write_text(PLUGIN.format(label="bundled"))
    (folder / "broken.py").write_text("raise RuntimeError('this module was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def registry(package: str, group: str = "usbench.nothing") -> Registry[type]:
    return Registry("plugin", f"{package}:NAMES", group, _is_plugin, "a plugin")


def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, name: str, target: str) -> str:
    """Make a distribution with one entry point visible to importlib.metadata, as pip would."""
    info = tmp_path / "other_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[group.of.{package}]\n{name} = {target}\n")
    importlib.invalidate_caches()
    return f"group.of.{package}"


def test_listing_imports_no_plugin_module(package: str) -> None:
    assert registry(package).names() == ["broken", "family:", "good"]
    assert f"{package}.good" not in sys.modules
    assert f"{package}.broken" not in sys.modules


def test_bundled_name_and_family(package: str) -> None:
    found = registry(package).get("good")
    assert found.value.label == "bundled"
    assert found.argument == ""
    family = registry(package).get("family:some/model:v2")
    assert family.value is found.value
    assert family.argument == "some/model:v2"


def test_family_without_argument_says_so(package: str) -> None:
    with pytest.raises(UnknownNameError, match="what follows the colon"):
        registry(package).get("family:")


def test_installed_plugin_is_found(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = installed(monkeypatch, tmp_path, package, "extra", f"{package}.good:Good")
    assert registry(package, group).get("extra").value.label == "bundled"
    assert registry(package, group).sources["extra"].origin == "other-plugins"


def test_clash_names_both_sides(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = installed(monkeypatch, tmp_path, package, "good", "elsewhere:Other")
    with pytest.raises(NameClashError, match=r"'good'.*elsewhere:Other \(other-plugins\)"):
        registry(package, group).names()


def test_unknown_name_suggests(package: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown plugin 'godo'\. Did you mean 'good'\?"):
        registry(package).get("godo")


def test_broken_module_is_one_message(package: str) -> None:
    with pytest.raises(UsbenchError, match=r"importing .*broken failed: RuntimeError: this module was imported"):
        registry(package).get("broken")


def test_local_file(package: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(label="local"))
    found = registry(package).get(f"{path}:Good")
    assert found.value.label == "local"
    assert len(found.source_digest) == 64


def test_edited_local_file_is_imported_anew(package: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(label="first"))
    first = registry(package).get(f"{path}:Good")
    path.write_text(PLUGIN.format(label="second"))
    second = registry(package).get(f"{path}:Good")
    assert (first.value.label, second.value.label) == ("first", "second")
    assert first.source_digest != second.source_digest


def test_local_file_errors_name_the_line(package: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(UsbenchError, match=r"bad\.py, line 2: ZeroDivisionError"):
        registry(package).get(f"{path}:Good")
    path.write_text("def broken(:\n")
    with pytest.raises(UsbenchError, match=r"bad\.py, line 1: SyntaxError"):
        registry(package).get(f"{path}:Good")


def test_local_file_missing_or_wrong_name(package: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no such file"):
        registry(package).get(f"{tmp_path / 'none.py'}:Good")
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(label="local"))
    with pytest.raises(UnknownNameError, match="It defines Good"):
        registry(package).get(f"{path}:Goood")
    with pytest.raises(UsbenchError, match="is not a plugin"):
        registry(package).get(f"{path}:number")

"""Datasets from a server on this machine: whole, broken off and continued, wrong, unsafe, and not to be had."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest
from served_file import serve
from usbench_tasks.datasets.bus_bra import BusBra

from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.data.datasheet import PublishedFile
from usbench.data.fetch import fetch_files
from usbench.errors import DataError
from usbench.plugins.catalog import DATASETS
from usbench.plugins.data_sources import load_dataset


@pytest.fixture(scope="module")
def published(bus_bra_subset):
    """Real images in the layout of the published archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("bus_data.csv", "5-fold-cv.csv"):
            archive.write(bus_bra_subset / name, f"BUSBRA/{name}")
        for path in sorted((bus_bra_subset / "Images").iterdir()):
            archive.write(path, f"BUSBRA/Images/{path.name}")
    return stream.getvalue()


@pytest.fixture
def server(published):
    yield from serve(published, "BUSBRA.zip")


def sheet_of(server, sha256="", **changes):
    sheet = DATASETS.get("bus-bra").value.datasheet()
    source = PublishedFile(server.url, sha256, "this test" if sha256 else "")
    return replace(sheet, files=(source,), **changes)


def test_an_archive_is_downloaded_compared_unpacked_and_read(server, published, tmp_path):
    seen = []
    sheet = sheet_of(server, hashlib.sha256(published).hexdigest())
    root = fetch_files(BusBra.card, sheet, tmp_path / "bus-bra", lambda *told: seen.append(told))
    assert root == tmp_path / "bus-bra" / "BUSBRA"
    assert len(BusBra(root).index.table) == 354
    assert seen[-1] == ("BUSBRA.zip", len(published), len(published))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".bus", "bus"))] == ["bus-bra"]
    with pytest.raises(DataError, match=r"is there already\. `usbench data add bus-bra FOLDER` uses it"):
        fetch_files(BusBra.card, sheet, tmp_path / "bus-bra")


def test_a_download_that_broke_off_is_continued(server, published, tmp_path):
    server.break_after = 1_500_000
    with pytest.raises(DataError, match=r"broke off.*are kept; the same command continues"):
        fetch_files(BusBra.card, sheet_of(server), tmp_path / "bus-bra")
    assert not (tmp_path / "bus-bra").exists()
    fetch_files(BusBra.card, sheet_of(server), tmp_path / "bus-bra")
    assert int(server.ranges[1].removeprefix("bytes=").rstrip("-")) > 1_000_000
    assert (tmp_path / "bus-bra" / "BUSBRA" / "bus_data.csv").is_file()


def test_a_wrong_digest_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match="not the expected SHA-256"):
        fetch_files(BusBra.card, sheet_of(server, "0" * 64), tmp_path / "bus-bra")
    assert not (tmp_path / "bus-bra").exists()
    assert not list(tmp_path.glob(".bus*/files/*"))


def test_more_than_is_allowed_is_refused_before_it_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setenv("USBENCH_MAX_DATASET_BYTES", "1000000")
    with pytest.raises(DataError, match="set USBENCH_MAX_DATASET_BYTES="):
        fetch_files(BusBra.card, sheet_of(server), tmp_path / "bus-bra")
    server.content = bomb(5_000_000)
    assert len(server.content) < 100_000
    with pytest.raises(DataError, match=r"unfolds to 5,000,000 bytes"):
        fetch_files(BusBra.card, sheet_of(server), tmp_path / "bus-bra")
    assert not (tmp_path / "bus-bra").exists()


def bomb(size):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BUSBRA/zeros", b"\0" * size)
    return stream.getvalue()


def link():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("BUSBRA/link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return stream.getvalue()


def outside(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html>Please log in</html>", "is no archive that can be unpacked"),
        (outside("../escaped.txt"), "which would be written elsewhere"),
        (outside("/tmp/escaped.txt"), "which would be written elsewhere"),
        (outside("C:\\escaped.txt"), "which would be written elsewhere"),
        (link(), "which is a link"),
        (outside("other/readme.txt"), "no 'BUSBRA' in what was downloaded, but other"),
    ],
)
def test_what_is_no_archive_of_the_dataset_is_told(server, tmp_path, content, told):
    server.content = content
    with pytest.raises(DataError, match=told):
        fetch_files(BusBra.card, sheet_of(server), tmp_path / "in" / "bus-bra")
    assert not (tmp_path / "in" / "bus-bra").exists()
    assert not (tmp_path / "in" / "escaped.txt").exists()
    assert not (tmp_path / "escaped.txt").exists()


def test_a_damaged_file_inside_is_told(server, published, tmp_path):
    broken = bytearray(published)
    broken[len(broken) // 2] ^= 0xFF
    server.content = bytes(broken)
    with pytest.raises(DataError, match="is no archive that can be unpacked"):
        fetch_files(BusBra.card, sheet_of(server), tmp_path / "bus-bra")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("camus", "Registration: open the page, register"),
        ("echonet-dynamic", "sign the research use agreement"),
        ("sgus", "the publication names whom to ask"),
        ("phantom-heart", "it is simulated on this machine when it is wanted"),
        ("eye-hemorrhage", "Bring your own table"),
        ("bus-bra-subset", "it is in the package"),
    ],
)
def test_what_cannot_be_downloaded_says_how_it_is_had(name, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["data", "fetch", name])
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith(f"error: {name}: ")
    assert told in error


READER = """
import pandas as pd
from usbench import Dataset, DatasetCard, Index


class Mine(Dataset):
    card = DatasetCard(name="mine", title="Mine", licence="CC0", url="https://example.org")

    def read(self):
        table = pd.read_csv(self.root / "bus_data.csv")
        return Index(table.assign(path="Images/" + table["ID"] + ".png", subject=table["Case"].astype(str)))
"""


def test_one_command_for_a_reader_of_ones_own(server, tmp_path, capsys):
    """The card lies beside the reader, so that a user's dataset is fetched like a bundled one."""
    (tmp_path / "mine.py").write_text(READER)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "mine.toml").write_text(
        'summary = "Mine."\nsize = "354 images"\nlabels = ["Pathology"]\nscanners = "four"\nobtain = "Fetch it."\n'
        f'root = "BUSBRA"\nimages = 355\n[[files]]\nurl = "{server.url}"\n'
    )
    name = f"{tmp_path / 'mine.py'}:Mine"
    with pytest.raises(SystemExit, match="0"):
        main(["data", "fetch", name, "--to", str(tmp_path / "data")])
    text = " ".join(capsys.readouterr().out.split())
    assert "licence CC0. By downloading you accept it" in text
    assert "BUSBRA.zip: no digest is known, so it was not compared" in text
    assert "354 files of 204 subjects" in text
    assert "the card states 355 files; this is another version of the dataset" in text
    assert load_settings().data[name] == (tmp_path / "data" / "mine" / "BUSBRA").resolve()
    assert len(load_dataset(name).index.table) == 354

"""The cards of datasets: one form for all, true of the data that are here, and the committed pages are theirs."""

import json
import re

import jsonschema
import pytest
import usbench_tasks

from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.data.croissant import as_croissant, as_json
from usbench.data.dataset import DatasetCard
from usbench.data.datasheet import Datasheet, PublishedFile, as_markdown, describe, read_datasheet
from usbench.errors import DataError
from usbench.plugins.catalog import DATASETS
from usbench.plugins.data_sources import load_dataset

ALL = list(usbench_tasks.DATASETS)
EMBEDDED = ["bus-bra-subset", "breast-lesions-usg-embedded"]
HERE = ["breast-lesions-usg", "bus-bra", "camus", "covid-blues", "pretrain160", "sgus"]
CARDS = "tasks/cards"
COMMAND = re.compile(r"`usbench data (\w+) ([\w-]+)")
CROISSANT = {
    "type": "object",
    "required": ["@context", "@type", "conformsTo", "name", "description", "license", "url"],
    "properties": {
        "@type": {"const": "sc:Dataset"},
        "conformsTo": {"const": "http://mlcommons.org/croissant/1.0"},
        "name": {"pattern": "^[A-Za-z0-9_-]+$"},
        "description": {"minLength": 40},
        "distribution": {
            "type": "array",
            "items": {
                "required": ["@type", "@id", "name", "contentUrl", "encodingFormat", "sha256"],
                "properties": {"sha256": {"pattern": "^[0-9a-f]{64}$"}, "contentUrl": {"pattern": "^https://"}},
            },
        },
    },
}
"""What Croissant 1.0 requires of a dataset and of its files."""


def of(name):
    reader = DATASETS.get(name).value
    return reader.card, reader.datasheet()


@pytest.mark.parametrize("name", ALL)
def test_every_dataset_says_the_same_things(name):
    card, sheet = of(name)
    labels = [label for label, _ in describe(card, sheet)]
    for label in ("what", "size", "patients", "labels", "scanners", "licence", "how to get it", "known faults"):
        assert label in labels
    assert sheet.summary.endswith(".")
    for command, argument in COMMAND.findall(" ".join([sheet.obtain, *sheet.faults])):
        assert command in ("add", "fetch")
        assert argument.replace("_", "-") in ALL
    assert ("usbench data fetch" in sheet.obtain) == bool(sheet.files)
    if not card.synthetic and card.cohort:
        assert any(card.cohort in text for text in sheet.overlaps)


@pytest.mark.parametrize("name", ALL)
def test_the_committed_page_and_metadata_are_what_the_card_gives(name, pytestconfig):
    """After a change of a card: ``make cards``."""
    card, sheet = of(name)
    folder = pytestconfig.rootpath / CARDS
    assert (folder / f"{name}.md").read_text("utf-8") == as_markdown(card, sheet)
    assert (folder / f"{name}.json").read_text("utf-8") == as_json(card, sheet)


def test_no_page_is_left_of_a_dataset_that_is_gone(pytestconfig):
    assert {path.stem for path in (pytestconfig.rootpath / CARDS).glob("*.*")} == set(ALL)


def check_against_data(dataset, sheet):
    table = dataset.index.table
    assert sheet.images == len(table)
    assert sheet.subjects == table["subject"].nunique()
    for label in sheet.labels:
        assert label.partition(":")[0].split()[0] in table.columns, label


@pytest.mark.parametrize("name", EMBEDDED)
def test_numbers_and_columns_are_those_of_the_embedded_data(name):
    _, sheet = of(name)
    check_against_data(load_dataset(name), sheet)


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_numbers_and_columns_are_those_of_the_data(name, data_root):
    _, sheet = of(name)
    check_against_data(load_dataset(name, settings=load_settings([data_root])), sheet)


@pytest.mark.parametrize("name", ALL)
def test_metadata_are_croissant(name):
    card, sheet = of(name)
    jsonschema.validate(as_croissant(card, sheet), CROISSANT)


@pytest.mark.parametrize("name", ALL)
def test_the_reference_implementation_takes_the_metadata(name, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant")
    card, sheet = of(name)
    (tmp_path / "card.json").write_text(as_json(card, sheet), "utf-8")
    issues = mlcroissant.Dataset(jsonld=str(tmp_path / "card.json")).metadata.issues
    assert list(issues.errors) == []


def test_a_file_without_a_digest_is_said_to_be_so_and_is_no_file_object():
    card, sheet = of("byra-liver")
    assert [file.sha256 for file in sheet.files] == [""]
    assert "distribution" not in as_croissant(card, sheet)
    told = dict(describe(card, sheet))["direct link"][0]
    assert "no digest is known: what arrives cannot be checked" in told
    card, sheet = of("bus-bra")
    assert as_croissant(card, sheet)["distribution"][0]["sha256"] == sheet.files[0].sha256
    assert f"SHA-256 {sheet.files[0].sha256}, stated by" in dict(describe(card, sheet))["direct link"][0]


def printed(capsys, *arguments):
    with pytest.raises(SystemExit, match="0"):
        main(list(arguments))
    return capsys.readouterr().out


def test_commands_show_the_card(capsys):
    for arguments in (["info", "bus-bra"], ["data", "show", "bus_bra"]):
        text = " ".join(printed(capsys, *arguments).split())
        for part in ("1 064", "Toshiba Aplio 300", "they may be two views of one lesion", "bus-bra-subset is a part"):
            assert part in text
    assert json.loads(printed(capsys, "data", "show", "camus", "--as", "croissant"))["name"] == "camus"
    assert printed(capsys, "data", "show", "camus", "--as", "markdown").startswith("# CAMUS\n")


SOUND = """
summary = "Made up."
size = "2 images"
labels = ["label: made up"]
scanners = "none"
obtain = "Nothing to do."
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SOUND.replace("size", "sizes"), "unknown key 'sizes'. Did you mean 'size'"),
        (SOUND.replace('scanners = "none"\n', ""), "'scanners' is missing"),
        (SOUND + "images = 0\n", "'images' must be a whole number from 1"),
        (SOUND + "subjects = true\n", "'subjects' must be a whole number from 1"),
        (SOUND + 'faults = "one"\n', "'faults' must be a list of text"),
        (SOUND + "root = 3\n", "'root' must be text"),
        (SOUND + "[[files]]\nname = 'a.zip'\n", "give the `url` of the file"),
        (SOUND + "[[files]]\nurl = 'ftp://x.org/a.zip'\n", "is no address of the web"),
        (SOUND + "[[files]]\nurl = 'https://x.org/a.zip'\nsha256 = 'ABC'\n", "64 hexadecimal digits in lower case"),
        (
            SOUND + f"[[files]]\nurl = 'https://x.org/a.zip'\nsha256 = '{'0' * 64}'\n",
            "whom it is from in `digest_from`",
        ),
        (SOUND + "[[files]]\nurl = 'https://x.org/'\n", "ends in no file name"),
        (SOUND + "[[files]]\nurl = 'https://x.org/a.zip'\nname = '../a.zip'\n", "name of a file, without a folder"),
        (SOUND + "[[files]]\nurl = 'https://x.org/a.zip'\nmd5 = '1'\n", "unknown key 'md5'"),
        (SOUND + "root = '../other'\n", "'root' is a folder inside"),
    ],
)
def test_a_malformed_datasheet_is_told(tmp_path, text, told):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_datasheet(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


def test_a_sound_one_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(SOUND + "[[files]]\nurl = 'https://x.org/a.zip?download=1'\n")
    sheet = read_datasheet(tmp_path / "mine.toml")
    assert sheet.files == (PublishedFile("https://x.org/a.zip?download=1"),)
    assert sheet.files[0].filename == "a.zip"
    assert isinstance(sheet, Datasheet)
    assert describe(DatasetCard("mine", "Mine"), None)[0] == ("dataset", ["mine"])

"""Variants have results of their own, and no result takes the place of another network's unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import usbench
from usbench.cli import main
from usbench.errors import ResultError
from usbench.leaderboard.board import gather
from usbench.leaderboard.comparison import named_beforehand
from usbench.results import load, load_all
from usbench.submission.validate import validate_folder

PLUGIN = """
import torch
from usbench import Encoder, EncoderCard, grey_to_tensor

class Mine(Encoder):
    card = EncoderCard(name="mine", title="Mine", embedding_dim=4, input_size=(2, 2), parameters=0,
                       poolings={{"flat": "all pixels", "half": "half of them"}}, pretraining=())

    def preprocess(self, frame):
        return grey_to_tensor(frame, (2, 2))

    def encode(self, batch):
        flat = batch.flatten(1) * {factor}
        return flat[:, :2] if self.pooling == "half" else flat
"""


def write(folder: Path, factor: float = 1.0, file: str = "mine.py") -> str:
    (folder / file).write_text(PLUGIN.format(factor=factor))
    return f"{folder / file}:Mine"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task of ten patients a class of the embedded subset."""
    folder = tmp_path_factory.mktemp("task")
    dataset = usbench.load_dataset("bus-bra-subset")
    rows = dataset.index.table
    patients = rows.groupby("pathology")["subject"].unique()
    chosen = rows[rows["subject"].isin([subject for subjects in patients for subject in subjects[:10]])].copy()
    chosen["path"] = [str((dataset.root / path).resolve()) for path in chosen["path"]]
    chosen[["path", "subject", "pathology"]].to_csv(folder / "lesions.csv", index=False)
    (folder / "lesion.toml").write_text(
        'name = "lesion"\ndataset = "lesions.csv"\ntarget = "pathology"\npositive = "malignant"\nunit = "image"\n'
        'frames = "all"\nprotocols = ["svc-nested@2"]\n[split]\nkind = "grouped"\nfolds = 3\nrepeats = 1\n'
    )
    return folder / "lesion.toml"


def test_variants_and_names_lie_side_by_side(table: Path, tmp_path: Path) -> None:
    mine, folder = write(tmp_path), tmp_path / "results"
    plain = usbench.run(mine, str(table), results_dir=folder)[0]
    half = usbench.run(mine, str(table), results_dir=folder, pooling="half")[0]
    named = usbench.run(mine, str(table), results_dir=folder, pooling="half", name="mine.night")[0]
    assert [r.encoder["name"] for r in (plain, half, named)] == ["mine", "mine@pooling=half", "mine.night"]
    assert [r.encoder["title"] for r in (plain, half, named)] == ["Mine", "Mine, half", "Mine, half (mine.night)"]
    assert "base" not in plain.encoder
    assert half.encoder["base"] == named.encoder["base"] == "mine"
    assert named.encoder["spelling"] == "mine@pooling=half"
    assert len(list(load_all(folder))) == 3
    assert validate_folder(folder) == (3, [])
    (board,) = gather(folder, tasks=())
    assert {e.name: e.spelling for e in board.entries if e.file} == {
        "mine": "mine", "mine@pooling=half": "mine@pooling=half", "mine.night": "mine@pooling=half",
    }  # fmt: skip
    # Asked by the name of the row, it is answered from the file of the row.
    told: list[str] = []
    again = usbench.run(f"{mine}@pooling=half", str(table), results_dir=folder, notify=told.append)[0]
    assert again.inputs == half.inputs
    assert any("nothing has changed" in line for line in told)


def test_another_network_of_the_same_name_is_refused(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    usbench.run(write(tmp_path), str(table), results_dir=folder)
    (file,) = folder.glob("*/*.json")
    before = file.read_bytes()
    other = write(tmp_path, -1.0)
    with pytest.raises(ResultError, match=r"another mine \(its plugin file.*Keep both.*--name mine.second.*--replace"):
        usbench.run(other, str(table), results_dir=folder)
    assert file.read_bytes() == before
    second = usbench.run(other, str(table), results_dir=folder, name="mine.second")[0]
    assert file.read_bytes() == before
    replaced = usbench.run(other, str(table), results_dir=folder, replace=True)[0]
    assert load(file).encoder["source"] == replaced.encoder["source"] == second.encoder["source"]


def test_a_newer_library_is_no_other_network(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    result = usbench.run("tusa.random", str(table), results_dir=folder)[0]
    (file,) = folder.glob("*/*.json")
    data = json.loads(file.read_text())
    data["encoder"]["weights"] = "init:seed=0:torch=1.0:monai=0.1"
    data["inputs"] = "0" * 64
    file.write_text(json.dumps(data))
    _seal(file)
    assert usbench.run("tusa.random", str(table), results_dir=folder)[0].encoder == result.encoder
    data["encoder"]["weights"] = "init:seed=7:torch=1.0:monai=0.1"
    file.write_text(json.dumps(data))
    _seal(file)
    with pytest.raises(ResultError, match="weights: init:seed=7 there, init:seed=0 now"):
        usbench.run("tusa.random", str(table), results_dir=folder)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run ``usbench`` in this process; return its exit status and all that it said, on one line."""
    with pytest.raises(SystemExit) as stop:
        main(["run", *arguments])
    told = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((told.out + told.err).split())


@pytest.mark.parametrize("engine", [(), pytest.param(("--jobs", "2"), marks=pytest.mark.slow)])
def test_the_command_line_asks_too(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: tuple[str, ...]
) -> None:
    folder = tmp_path / "results"
    common = ["-t", str(table), "--results", str(folder), *engine]
    assert command(capsys, *common, "-e", write(tmp_path))[0] == 0
    other = write(tmp_path, -1.0)
    status, told = command(capsys, *common, "-e", other)
    assert status != 0
    assert "another mine" in told
    assert command(capsys, *common, "-e", other, "--name", "mine.b")[0] == 0
    assert command(capsys, *common, "-e", other, "--replace")[0] == 0
    assert sorted(r.encoder["name"] for _, r in load_all(folder)) == ["mine", "mine.b"]
    status, told = command(capsys, *common, "-e", other, "-e", "pixels", "--name", "x")
    assert status != 0
    assert "--name x is for one encoder" in told


def test_the_twin_of_a_variant() -> None:
    floors = ["tusa.random", "tusa.random@pooling=stages", "texture", "pixels", "timm:vit.random,num_heads=3"]
    assert named_beforehand("tusa", floors) == ["tusa.random", "texture"]
    assert named_beforehand("tusa@pooling=stages", floors) == ["tusa.random@pooling=stages", "texture"]
    assert named_beforehand("tusa@pooling=stage4", floors) == ["tusa.random", "texture"]
    assert named_beforehand("tusa.scratch", floors) == ["tusa.random", "texture"]
    assert named_beforehand("tusa.scratch@pooling=stages", floors) == ["tusa.random@pooling=stages", "texture"]
    assert named_beforehand("sscd-mobile", floors) == ["texture"]
    # A combination with another set of weights is not that set of weights.
    assert named_beforehand("tusa.scratch+texture", floors) == ["texture"]
    assert named_beforehand("night", floors, {"night": "tusa@pooling=stages"}) == [
        "tusa.random@pooling=stages", "texture",
    ]  # fmt: skip
    assert named_beforehand("timm:vit,num_heads=3", floors) == ["texture", "timm:vit.random,num_heads=3"]


def _seal(file: Path) -> None:
    from usbench.results.checks import digest_of

    data = {k: v for k, v in json.loads(file.read_text()).items() if k != "digest"}
    file.write_text(json.dumps({**data, "digest": digest_of(data)}))

"""Whole runs on real images: units, splits, results, the store, and every mistake in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import usbench
from usbench import results
from usbench.core.settings import Settings, load_settings
from usbench.data.frame_sampling import AllFrames, RandomFrames
from usbench.encoder.base import Encoder
from usbench.errors import DataError, UsbenchError
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.experiment import run_prepared
from usbench.plugins.catalog import load_encoder, load_encoders
from usbench.task.task import SplitPlan, Task


def run_one(encoder: Encoder, task: Task, options: Options, settings: Settings) -> results.Result:
    return run_prepared(prepare(encoder, task, options, settings), options, settings)


@pytest.fixture
def images(bus_bra_subset: Path) -> pd.DataFrame:
    """Rows of the embedded subset: twelve patients a class, with absolute paths."""
    table = usbench.load_dataset("bus-bra-subset").index.table
    patients = table.groupby("pathology")["subject"].unique()
    chosen = [subject for subjects in patients for subject in subjects[:12]]
    rows = table[table["subject"].isin(chosen)].copy()
    rows["path"] = [str((bus_bra_subset / path).resolve()) for path in rows["path"]]
    return rows[["path", "subject", "pathology", "device"]].rename(columns={"pathology": "label"})


def manifest(folder: Path, rows: pd.DataFrame) -> Path:
    path = folder / "manifest.csv"
    rows.to_csv(path, index=False)
    return path


def test_every_pooling_is_a_result_of_one_pass(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = images.groupby("label").head(6)
    path = manifest(tmp_path, rows)
    asked = {"dataset": str(path), "split": SplitPlan("grouped", folds=3, repeats=1), "strata": ()}
    encoders = load_encoders("tusa.random", pooling="mean,stage3")
    finished = usbench.run(encoders, task(**asked), label_efficiency=False)
    assert [result.encoder["pooling"] for result in finished] == ["mean", "stage3"]
    assert [result.encoder["embedding_dim"] for result in finished] == [576, 144]
    assert [result.provenance["timings"]["encoded_now"] for result in finished] == [len(rows), 0]
    named = usbench.run("tusa.random", task(**asked), pooling=["mean", "stage3"], label_efficiency=False)
    assert [result.inputs for result in named] == [result.inputs for result in finished]


def task(**changes: Any) -> Task:
    base = {
        "name": "mine",
        "title": "Mine",
        "dataset": "mine",
        "target": "label",
        "positive": "malignant",
        "unit": "image",
        "frames": AllFrames(),
        "split": SplitPlan("grouped", folds=3, repeats=2),
        "strata": ("device",),
    }
    return Task(**{**base, **changes})


def run(a_task: Task, data: Path, keep: Path | None = None, encoder: str | Encoder = "pixels") -> results.Result:
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    return run_one(loaded, a_task, Options(data=str(data), results=keep), load_settings())


def test_a_result_holds_its_evidence(tmp_path: Path, images: pd.DataFrame) -> None:
    result = run(task(), manifest(tmp_path, images))
    assert len(result.units.id) == len(images)
    assert result.dataset["counts"]["subjects"] == 24
    assert set(result.protocols) == {"svc-nested@2", "svc-paper@1"}
    for outcome in result.protocols.values():
        assert len(outcome.repeats) == 2
        for repeat in outcome.repeats:
            folds: dict[str, set[int | None]] = {}
            for subject, fold in zip(result.units.subject, repeat.fold, strict=True):
                folds.setdefault(subject, set()).add(fold)
            assert all(len(seen) == 1 for seen in folds.values())  # no subject in two folds
        estimate = outcome.metrics["fold_auc"]
        assert estimate.low <= estimate.value <= estimate.high
    assert set(result.units.strata["device"]) == set(images["device"])
    assert result.provenance["packages"]["scikit-learn"]
    assert result.leakage["state"] == "clean"


def test_result_survives_the_disk(tmp_path: Path, images: pd.DataFrame) -> None:
    result = run(task(), manifest(tmp_path, images), tmp_path / "results")
    (path,) = (tmp_path / "results").glob("*/*.json")
    assert results.load(path) == result
    assert json.loads(path.read_text())["schema"] == results.SCHEMA_VERSION


def test_a_repeated_run_is_answered_and_a_changed_label_is_not(tmp_path: Path, images: pd.DataFrame) -> None:
    path = manifest(tmp_path, images)
    first = run(task(), path, tmp_path / "results")
    again = run(task(), path, tmp_path / "results")
    assert again == first
    flipped = images.copy()
    flipped.loc[flipped.index[0], "label"] = "benign" if flipped["label"].iloc[0] == "malignant" else "malignant"
    changed = run(task(), manifest(tmp_path, flipped), tmp_path / "results")
    assert changed.inputs != first.inputs


def test_a_run_that_is_answered_from_the_store_waits_for_no_torch(tmp_path: Path, images: pd.DataFrame) -> None:
    path = manifest(tmp_path, images)
    script = f"""
import sys, usbench
from usbench.data.frame_sampling import AllFrames
from usbench.task.task import SplitPlan, Task

mine = Task("mine", "Mine", {str(path)!r}, target="label", positive="malignant", unit="image", frames=AllFrames(),
            split=SplitPlan("grouped", folds=3, repeats=1), protocols=("svc-nested@2",))
usbench.run("tusa", mine, results_dir={str(tmp_path / "results")!r})
print("torch" in sys.modules)
"""

    def torch_is_there() -> str:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    assert [torch_is_there(), torch_is_there()] == ["True", "False"]


def test_a_damaged_result_is_computed_again_and_said_so(tmp_path: Path, images: pd.DataFrame) -> None:
    data = manifest(tmp_path, images)
    first = run(task(), data, tmp_path / "results")
    (path,) = (tmp_path / "results").glob("*/*.json")
    whole = path.read_text("utf-8")
    for old, new in (('"floor": true', '"floor": false'), ('"title": "', '"title": "x'), ("{", "")):
        assert old in whole
        path.write_text(whole.replace(old, new, 1), "utf-8")
        told: list[str] = []
        options = Options(data=str(data), results=tmp_path / "results", notify=told.append)
        again = run_one(load_encoder("pixels"), task(), options, load_settings())
        assert again.encoder == first.encoder
        assert any(str(path) in line and "computed again" in line for line in told)
        assert results.load(path) == again


def test_changed_pixels_are_encoded_anew(tmp_path: Path, images: pd.DataFrame) -> None:
    from PIL import Image

    rows = images.copy()
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(rows["path"].iloc[0]).read_bytes())
    rows.loc[rows.index[0], "path"] = str(copy)
    path = manifest(tmp_path, rows)
    first = run(task(), path, tmp_path / "results")
    pixels = np.asarray(Image.open(copy).convert("L"))
    Image.fromarray(255 - pixels).save(copy)
    second = run(task(), path, tmp_path / "results")
    assert second.inputs != first.inputs
    assert second.provenance["timings"]["encoded_now"] == 1


def test_figures_do_not_depend_on_threads_or_row_order(tmp_path: Path, images: pd.DataFrame) -> None:
    first = run(task(), manifest(tmp_path, images))
    shuffled = images.sample(frac=1, random_state=1)
    second = run(task(), manifest(tmp_path, shuffled))
    assert {p: o.metrics for p, o in first.protocols.items()} == {p: o.metrics for p, o in second.protocols.items()}


def test_api_returns_a_frame(tmp_path: Path, images: pd.DataFrame) -> None:
    done = usbench.run(encoder=["pixels", "texture"], task=task(), data=str(manifest(tmp_path, images)))
    table = done.to_frame()
    assert set(table["encoder"]) == {"pixels", "texture"}
    assert table.loc[table["metric"] == "accuracy", "value"].between(0, 1).all()


def test_subject_unit_averages_and_contradictions_are_named(tmp_path: Path, images: pd.DataFrame) -> None:
    by_subject = run(task(unit="subject"), manifest(tmp_path, images.drop_duplicates(["subject"])))
    assert len(by_subject.units.id) == 24
    wrong = images.copy()
    twice = wrong["subject"].duplicated(keep=False)
    first = wrong[twice].index[0]
    wrong.loc[first, "label"] = "benign" if wrong.loc[first, "label"] == "malignant" else "malignant"
    with pytest.raises(DataError, match="contradictory values of 'label'"):
        run(task(unit="subject"), manifest(tmp_path, wrong))


@pytest.mark.parametrize(
    ("break_it", "changes", "message"),
    [
        (lambda t: t, {"target": "lable"}, r"no column 'lable'.*Did you mean 'label'"),
        (lambda t: t.assign(label=np.nan), {}, "empty"),
        (lambda t: t.assign(label="malignant"), {}, "one class only"),
        (lambda t: t.groupby("label").head(1), {}, "asks for 3 folds, but the data have 2 subjects"),
        (lambda t: t.assign(label=[f"c{i % 3}" for i in range(len(t))]), {}, "3 classes"),
        (lambda t: t.assign(split=["train", "test"] * (len(t) // 2) + ["train"] * (len(t) % 2)),
         {"split": SplitPlan("fixed")}, "is in|are in|in both|two sets"),
        (lambda t: t, {"unit": "case"}, "column 'case' is missing"),
        (lambda t: t, {"split": SplitPlan("official")}, "column 'fold' is empty"),
        (lambda t: t, {"protocols": ("svc-nestd@1",)}, "Did you mean"),
    ],
)  # fmt: skip
def test_mistakes_in_data(
    tmp_path: Path, images: pd.DataFrame, break_it: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsbenchError, match=message) as caught:
        run(task(**changes), manifest(tmp_path, break_it(images)))
    assert "\n" not in str(caught.value)


def test_partly_missing_targets_are_an_error_that_names_the_row(tmp_path: Path, images: pd.DataFrame) -> None:
    rows = images.rename(columns={"label": "finding"})
    rows["finding"] = rows["finding"].astype(object)
    rows.loc[rows.index[0], "finding"] = None
    with pytest.raises(DataError, match=f"'finding' is missing in 1 of {len(rows)} rows"):
        run(task(target="finding"), manifest(tmp_path, rows))


@pytest.mark.slow
def test_kill_9_in_the_middle_continues(tmp_path: Path, data_root: Path) -> None:
    """A run that is killed while it encodes leaves whole shards, and the next one encodes only the rest."""
    command = [sys.executable, "-m", "usbench", "run", "-e", "texture", "-t", "covid"]
    command += ["--data-root", str(data_root), "--results", str(tmp_path / "results"), "--batch-size", "1"]
    environment = {**os.environ, "USBENCH_SHARD_SECONDS": "0.5"}
    store = Path(environment["USBENCH_CACHE"]) / "embeddings"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list(store.glob("*/*.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "results").exists()
    settings = load_settings([data_root])
    done = run_one(load_encoder("texture"), usbench.load_task("covid"), Options(), settings)
    assert 0 < done.provenance["timings"]["encoded_now"] < 63 * 20


@pytest.mark.slow
def test_covid_blues_is_63_patients_with_33_positive(data_root: Path) -> None:
    (result,) = usbench.run(encoder="pixels", task="covid", data_root=data_root)
    assert result.dataset["counts"]["subjects"] == 63
    assert result.dataset["counts"]["classes"] == {"0": 30, "1": 33}
    assert result.dataset["counts"]["frames"] == 63 * 20
    nested, paper = result.protocols["svc-nested@2"].metrics, result.protocols["svc-paper@1"].metrics
    # Known from an independent evaluation of 16 x 16 thumbnails: about 0.71 flat and 0.64 nested.
    assert paper["accuracy"].value == pytest.approx(0.71, abs=0.04)
    assert nested["accuracy"].value == pytest.approx(0.64, abs=0.05)


def test_frames_of_a_subject_are_the_same_whoever_else_is_there(tmp_path: Path, images: pd.DataFrame) -> None:
    from usbench.task.cohort import build_cohort, select_frames

    few = task(unit="subject", frames=RandomFrames(1, seed=3))

    def chosen(rows: pd.DataFrame) -> dict[str, str]:
        dataset = usbench.load_dataset(str(manifest(tmp_path, rows)))
        cohort = build_cohort(few, dataset)
        digests = {path: dataset.digest(path) for unit in cohort.units for path in unit.paths}
        refs, unit_index, _ = select_frames(cohort, dataset, few.frames, digests, "1")
        return {cohort.units[o].id: ref.path for ref, o in zip(refs, unit_index, strict=True)}

    consistent = images.groupby("subject").filter(lambda rows: rows["label"].nunique() == 1)
    everyone = chosen(consistent)
    half = consistent[consistent["subject"].isin(sorted(set(consistent["subject"]))[::2])]
    assert chosen(half) == {subject: everyone[subject] for subject in half["subject"]}


def test_frames_of_a_file_are_counted_once_for_all_encoders_and_anew_when_it_changes(tmp_path: Path) -> None:
    from PIL import Image

    from usbench.task.cohort import build_cohort, select_frames

    def film(name: str, grey: int, length: int) -> None:
        first, *others = [Image.new("L", (32, 32), grey + i) for i in range(length)]
        first.save(tmp_path / name, save_all=True, append_images=others)

    table = pd.DataFrame({"path": ["a.tif", "b.tif"], "subject": ["a", "b"], "value": [1.5, 2.5]})
    table.to_csv(tmp_path / "m.csv", index=False)
    every = task(kind="regression", target="value", positive=None, protocols=("ridge-nested@2",), strata=())
    opened = []

    def frames() -> int:
        dataset = usbench.load_dataset(str(tmp_path / "m.csv"))
        opening = dataset.open
        dataset.open = lambda path: (opened.append(path), opening(path))[1]  # type: ignore[method-assign]
        cohort = build_cohort(every, dataset)
        digests = {path: dataset.digest(path) for path in cohort.paths}
        return len(select_frames(cohort, dataset, every.frames, digests, "1")[0])

    film("a.tif", 20, 3)
    film("b.tif", 90, 2)
    assert [frames(), frames()] == [5, 5]
    assert sorted(opened) == ["a.tif", "b.tif"]
    film("a.tif", 20, 4)
    assert frames() == 6
    assert sorted(opened) == ["a.tif", "a.tif", "b.tif"]

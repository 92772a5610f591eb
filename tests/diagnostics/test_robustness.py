"""Scores on shifted frames: trained on clean ones, paired with them, kept with the result, computable again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench import results
from usbench.diagnostics import perturbation
from usbench.diagnostics.shifts import Level, parse_shifts
from usbench.diagnostics.shifts.robustness import measure_shifts
from usbench.diagnostics.suite import embedded
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.submission.validate import validate
from usbench.task.cohort import draw_splits


def test_clean_frames_as_a_variant_give_the_predictions_of_the_result(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(images)
    clean = embedded(ready, options, settings)
    noise = perturbation.Variant(
        np.random.default_rng(0).normal(size=clean.vectors.shape).astype(np.float32), clean.unit_index
    )
    splits = draw_splits(ready.task.split, ready.cohort)
    answers = perturbation.predict(
        "svc-nested@2", ready.task, ready.cohort, clean, {"same": clean, "noise": noise}, splits
    )
    stored = result.protocols["svc-nested@2"].repeats
    for repeat, own in zip(answers["same"], stored, strict=True):
        assert repeat.fold == own.fold
        assert repeat.predicted == own.predicted
        assert repeat.score == pytest.approx(own.score, rel=1e-5)
    assert answers["noise"][0].score != answers["same"][0].score


def test_a_protocol_that_tunes_on_its_test_folds_is_refused(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(images, protocols=("svc-paper@1",))
    with pytest.raises(UsbenchError, match="svc-nested@2"):
        measure_shifts(ready, result, [Level("gain", 1)], options, settings)


def test_the_curve_is_kept_paired_and_computable_again(images: pd.DataFrame, run: Any, tmp_path: Path) -> None:
    ready, result, options, settings = run(images)
    levels = parse_shifts(["crop:1,5", "text:2"])
    measured = measure_shifts(ready, result, levels, options, settings)
    section = measured.instruments["shifts"]
    assert list(section["measured"]) == ["crop:1", "crop:5", "text:2"]
    clean = result.protocols["svc-nested@2"].metrics["fold_auc"].value
    assert section["clean"]["value"] == clean
    for entry in section["measured"].values():
        d = entry["difference"]
        assert d["value"] == pytest.approx(entry["estimate"]["value"] - clean, abs=2e-6)
        assert d["low"] <= d["value"] <= d["high"]
        assert d["p"] <= d["p_adjusted"] <= 1
        assert entry["drift"]["low"] <= entry["drift"]["value"] <= entry["drift"]["high"]
    drifts = {name: entry["drift"]["value"] for name, entry in section["measured"].items()}
    assert drifts["crop:1"] < drifts["crop:5"]
    path = results.save(tmp_path / "results", measured)
    assert results.load(path) == measured
    assert validate(path, tmp_path / "results") == []
    data = json.loads(path.read_text())
    data["instruments"]["shifts"]["measured"]["crop:5"]["estimate"]["value"] = 0.9
    path.write_text(json.dumps(data))
    told = [str(finding) for finding in validate(path)]
    assert any("changed after" in text for text in told)
    assert any("instruments/shifts/crop:5, value: is 0.9" in text for text in told)


def test_levels_add_up_and_are_not_measured_twice(images: pd.DataFrame, run: Any, monkeypatch: Any) -> None:
    ready, result, options, settings = run(images)
    first = measure_shifts(ready, result, [Level("gain", 2)], options, settings)
    second = measure_shifts(ready, first, [Level("blur", 1), Level("gain", 2)], options, settings)
    assert list(second.instruments["shifts"]["measured"]) == ["gain:2", "blur:1"]
    monkeypatch.setattr("usbench.diagnostics.shifts.robustness.embed", None)  # nothing may be encoded any more
    again = measure_shifts(ready, second, [Level("gain", 2)], options, settings)
    assert again.instruments == second.instruments


def test_shifted_frames_have_keys_of_their_own(images: pd.DataFrame, run: Any) -> None:
    from usbench.embedding.store import SUFFIX, Store, read_shard

    ready, result, options, settings = run(images)
    before = embedded(ready, options, settings).vectors
    store = Store(settings.store_dir, ready.encoder.identity())
    measure_shifts(ready, result, [Level("gain", 4), Level("gain", 5)], options, settings)
    keys = {row.tobytes() for path in store.folder.glob(f"*{SUFFIX}") for row in read_shard(path)[0]}
    assert len(keys) == 3 * len(images)  # the clean frames, and each of them at two levels
    assert (embedded(ready, options, settings).vectors == before).all()


def test_a_result_computed_anew_has_no_instruments_of_the_old_one(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(images)
    measured = measure_shifts(ready, result, [Level("gain", 2)], options, settings)
    results.save(options.results, measured)
    _, kept, _, _ = run(images)
    assert kept.instruments == measured.instruments
    flipped = images.copy()
    first = flipped["subject"] == flipped["subject"].iloc[0]
    flipped.loc[first, "label"] = "benign" if flipped["label"].iloc[0] == "malignant" else "malignant"
    _, changed, _, _ = run(flipped)
    assert changed.instruments == {}


def test_files_without_instruments_are_written_as_before(images: pd.DataFrame, run: Any) -> None:
    _, result, _, _ = run(images, keep=False)
    assert "instruments" not in result.to_dict()
    assert replace(result, instruments={}).digest() == result.digest()


def test_brightness_falls_for_gain_and_is_marked_for_what_it_was_trained_on(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder
) -> None:
    ready, result, options, settings = run(clips, brightness, **clip_task)
    measured = measure_shifts(ready, result, parse_shifts(["gain:5", "text:1"]), options, settings)
    found = measured.instruments["shifts"]["measured"]
    assert found["text:1"]["trained"]
    assert not found["gain:5"]["trained"]
    assert found["gain:5"]["drift"]["value"] > 1
    clean = measured.instruments["shifts"]["clean"]["value"]
    assert clean > 0.9


def test_a_regression_is_measured_by_its_own_metric(clips: pd.DataFrame, run: Any, brightness: Encoder) -> None:
    rows = clips.assign(label=[20.0 + int(s[1:]) for s in clips["subject"]])
    ready, result, options, settings = run(
        rows, brightness, kind="regression", unit="subject", protocols=("ridge-nested@2",)
    )
    measured = measure_shifts(ready, result, [Level("tgc", 3)], options, settings)
    assert measured.instruments["shifts"]["metric"] == "mae"
    assert measured.instruments["shifts"]["measured"]["tgc:3"]["estimate"]["value"] > 0


def test_from_python_in_one_call(images: pd.DataFrame, tmp_path: Path, run: Any) -> None:
    import usbench

    ready, _, _, settings = run(images, keep=False)
    (result,) = usbench.run(
        "pixels", ready.task, data=str(tmp_path / "manifest.csv"), by=["side"], shift=["gain:1"], settings=settings
    )
    assert list(result.instruments) == ["label_efficiency", "strata", "shifts"]
    with pytest.raises(UsbenchError, match="unknown shift"):
        usbench.run("pixels", ready.task, data=str(tmp_path / "manifest.csv"), shift=["gian"], settings=settings)

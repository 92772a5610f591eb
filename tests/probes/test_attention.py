from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from usbench.errors import UsbenchError
from usbench.probes import ProbeData, run_protocol
from usbench.probes.attention.folds import HeadSettings, arrange_frames, plan_folds, steps_per_epoch
from usbench.probes.attention.head import train_heads, train_in_threads
from usbench.probes.attention.stacked import Heads
from usbench.probes.problem import Problem
from usbench.probes.threads import torch_threads
from usbench.statistics import compute, repeated_subject_folds

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from heads_one_by_one import train_heads_one_by_one

CPU = torch.device("cpu")
SHORT = {"n_initialisations": 2, "max_epochs": 4, "dtype": "float64"}


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Train as the protocol does."""
    with torch_threads(1):
        yield


def pose(data: ProbeData, n_splits: int = 4, repeats: int = 1, seed: int = 0) -> Problem:
    splits = repeated_subject_folds(data.groups, None, n_splits, repeats, seed, stratify=False)
    return Problem(data, "regression", np.empty((0, 0)), data.y, data.groups, 0, splits, seed, 1)


def uneven(data: ProbeData) -> ProbeData:
    """Drop every other frame of the even units, so that padding is in play."""
    keep = (data.unit % 2 == 1) | (np.arange(len(data.unit)) % 2 == 0)
    keep[np.unique(data.unit, return_index=True)[1]] = True
    return ProbeData(data.embeddings[keep], data.unit[keep], data.y, data.groups)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 2e-3)])
def test_batched_heads_predict_what_single_heads_predict(make_cohort, dtype, tolerance) -> None:
    """Three folds, two repeats, three initialisations, uneven units, and early stops at different passes."""
    data = uneven(make_cohort(n_subjects=21, width=12, frames=4, regression=True))
    settings = HeadSettings(hidden=8, max_epochs=25, patience=3, learning_rate=1e-2, batch_units=4)
    problem, frames = pose(data, n_splits=3, repeats=2), arrange_frames(data)
    plans = plan_folds(problem, frames, settings)
    together = train_heads(frames, data.y, plans, settings, 3, CPU, dtype)
    single = train_heads_one_by_one(frames, data.y, plans, settings, 3, CPU, dtype)
    assert (together[1] == single[1]).all()
    assert len(np.unique(together[1])) > 1
    assert together[1].max() < 24
    assert together[2] == pytest.approx(single[2], abs=tolerance)
    for mine, theirs in zip(together[0], single[0], strict=True):
        assert mine == pytest.approx(theirs, abs=tolerance)


def test_heads_do_not_know_of_each_other(make_cohort) -> None:
    """A fold trained alone predicts what it predicts among others; so does an initialisation."""
    data = make_cohort(n_subjects=20, regression=True)
    settings = HeadSettings(hidden=8, max_epochs=5)
    frames = arrange_frames(data)
    plans = plan_folds(pose(data), frames, settings)
    together = train_heads(frames, data.y, plans, settings, 3, CPU, "float64")
    alone = train_heads(frames, data.y, plans[1:2], settings, 1, CPU, "float64")
    assert together[0][1][:1] == pytest.approx(alone[0][0], abs=1e-6)


def test_test_units_never_matter_to_training(make_cohort) -> None:
    """Neither their labels nor their images move the predictions of other test units, nor the pass chosen."""
    data = make_cohort(n_subjects=20, regression=True)
    (splits,) = repeated_subject_folds(data.groups, None, 4, 1, 0, stratify=False)
    target, others = splits[0].test[0], splits[0].test[1:]
    y, embeddings = data.y.copy(), data.embeddings.copy()
    y[splits[0].test] += 50.0
    embeddings[np.isin(data.unit, others)] += 9.0
    changed = ProbeData(embeddings, data.unit, y, data.groups)
    before, after = (
        run_protocol("attention-paper@1", d, [splits[:1]], question="regression", **SHORT) for d in (data, changed)
    )
    assert before.predictions.score[0, target] == after.predictions.score[0, target]
    assert before.choices == after.choices


def test_validation_subjects_are_whole_and_from_the_training_side(make_cohort) -> None:
    data = make_cohort(n_subjects=20, units_per_subject=2, regression=True)
    problem = pose(data, repeats=2)
    for plan in plan_folds(problem, arrange_frames(data), HeadSettings()):
        sides = [set(data.groups[units]) for units in (plan.train, plan.validation, plan.split.test)]
        assert sides[0].isdisjoint(sides[1])
        assert sides[2].isdisjoint(sides[0] | sides[1])
        assert sorted([*plan.train, *plan.validation]) == plan.split.train.tolist()
        assert len(sides[1]) == 3
        assert plan.target_mean == pytest.approx(data.y[plan.train].mean())


def test_every_training_unit_is_dealt_once_a_pass(make_cohort) -> None:
    data = make_cohort(n_subjects=30, regression=True)
    settings = HeadSettings(batch_units=5)
    plans = plan_folds(pose(data), arrange_frames(data), settings)
    steps = steps_per_epoch(plans, settings)
    for plan in plans:
        first, second = plan.batches(0, steps), plan.batches(1, steps)
        assert sorted(np.concatenate(first)) == sorted(plan.train)
        assert max(map(len, first)) - min(map(len, first)) <= 1
        assert min(map(len, first)) >= 5
        assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_frames_are_arranged_by_unit_and_time() -> None:
    data = ProbeData(
        np.array([[1], [2], [3], [4], [5]], np.float32),
        np.array([1, 0, 1, 1, 0]),
        np.array([0.0, 1.0]),
        np.array(["a", "b"]),
        order=np.array([30, 2, 10, 20, 1]),
    )
    frames = arrange_frames(data)
    assert frames.values[:, :, 0].tolist() == [[5, 2, 0], [3, 4, 1]]
    assert frames.present.tolist() == [[True, True, False], [True, True, True]]


def test_padding_is_not_looked_at(make_cohort) -> None:
    data = uneven(make_cohort(n_subjects=16, frames=4, regression=True))
    settings = HeadSettings(hidden=8, max_epochs=3)
    frames = arrange_frames(data)
    plans = plan_folds(pose(data), frames, settings)
    filled = replace(frames, values=np.where(frames.present[:, :, None], frames.values, np.float32(77)))
    clean, dirty = (train_heads(f, data.y, plans, settings, 2, CPU, "float64")[0] for f in (frames, filled))
    assert not frames.present.all()
    for mine, theirs in zip(clean, dirty, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


def test_bounded_memory_changes_nothing(make_cohort, monkeypatch) -> None:
    data = make_cohort(n_subjects=20, regression=True)
    settings = HeadSettings(hidden=8, max_epochs=3)
    frames = arrange_frames(data)
    plans = plan_folds(pose(data), frames, settings)
    whole = train_heads(frames, data.y, plans, settings, 2, CPU, "float64")[0]
    for limit in ("head._FORWARD_BYTES", "stacked._STANDARDISED_BYTES"):
        monkeypatch.setattr(f"usbench.probes.attention.{limit}", 1)
        parts = train_heads(frames, data.y, plans, settings, 2, CPU, "float64")[0]
        for mine, theirs in zip(whole, parts, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("inits", [1, 3, 10])
def test_how_many_folds_are_trained_at_once_changes_nothing(make_cohort, monkeypatch, inits) -> None:
    """Nor does it matter to the others that a fold without a head in training leaves the batch."""
    sizes = []
    only = Heads.only
    monkeypatch.setattr(Heads, "only", lambda self, keep: sizes.append(len(keep)) or only(self, keep))
    data = uneven(make_cohort(n_subjects=24, frames=3, regression=True))
    settings = HeadSettings(hidden=8, max_epochs=40, patience=1, learning_rate=3e-2)
    problem, frames = pose(data, n_splits=4, repeats=3), arrange_frames(data)
    plans = plan_folds(problem, frames, settings)
    whole = train_heads(frames, data.y, plans, settings, inits, CPU, "float64")
    assert sizes
    assert max(sizes) < len(plans)
    monkeypatch.setattr("usbench.probes.attention.head._HEADS_AT_ONCE", 2 * inits)
    for threads in (1, 2):
        parts = train_in_threads(frames, data.y, plans, settings, inits, CPU, "float64", threads)
        assert (parts[1] == whole[1]).all()
        assert parts[2] == pytest.approx(whole[2], abs=1e-9)
        for mine, theirs in zip(parts[0], whole[0], strict=True):
            assert mine == pytest.approx(theirs, abs=1e-9)


def test_a_signal_is_learnt_and_initialisations_are_repeats(make_cohort) -> None:
    data = make_cohort(n_subjects=60, width=6, frames=3, signal=1.5, regression=True)
    data = ProbeData(data.embeddings, data.unit, 95 + 4 * data.y, data.groups)
    splits = repeated_subject_folds(data.groups, None, 5, 1, 0, stratify=False)
    result = run_protocol(
        "attention-paper@1", data, splits, question="regression", n_initialisations=3, learning_rate=1e-2
    )
    outcome = result.predictions.tested(95)
    assert outcome.n_repeats == 3
    assert compute("pearson_r", outcome) > 0.75
    assert compute("auc", outcome) > 0.85
    assert result.settings["patience"] == 10
    assert len({*result.predictions.score[:, 0]}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_initialisations": 0}, "0 initialisations"),
        ({"validation_share": 1.0}, "validation share of 1.0"),
        ({"hidden": 0}, "hidden is 0"),
        ({"device": "gpu7"}, "Unknown device 'gpu7'"),
    ],
)
def test_bad_options_are_refused(make_cohort, options, message) -> None:
    data = make_cohort(n_subjects=12, regression=True)
    splits = repeated_subject_folds(data.groups, None, 3, 1, 0, stratify=False)
    with pytest.raises(UsbenchError, match=message):
        run_protocol("attention-paper@1", data, splits, question="regression", **options)


def test_too_few_subjects_to_stop_early(make_cohort) -> None:
    data = make_cohort(n_subjects=3, regression=True)
    splits = repeated_subject_folds(data.groups, None, 3, 1, 0, stratify=False)
    with pytest.raises(UsbenchError, match="trains on 2 subjects"):
        run_protocol("attention-paper@1", data, splits, question="regression", **SHORT)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_predicts_what_the_cpu_predicts(make_cohort) -> None:
    data = make_cohort(n_subjects=24, regression=True)
    splits = repeated_subject_folds(data.groups, None, 3, 1, 0, stratify=False)
    cpu, cuda = (
        run_protocol("attention-paper@1", data, splits, question="regression", device=d, **SHORT).predictions.score
        for d in ("cpu", "cuda")
    )
    assert cpu == pytest.approx(cuda, abs=1e-5)


@pytest.mark.slow
def test_ten_folds_of_ten_heads_are_faster_together(make_cohort) -> None:
    """Same steps on both sides; the figure for the docs comes from benchmarks/evaluate.py.

    The ratio depends on the CPU: about 5 where it has AVX2 alone, 1.7 to 2.1 where it has AVX-512 and AMX, which speed
    up the small products of the plain way.
    """
    data = make_cohort(n_subjects=56, width=576, frames=20, regression=True)
    settings = HeadSettings(max_epochs=4)
    frames = arrange_frames(data)
    plans = plan_folds(pose(data, n_splits=10), frames, settings)
    seconds = []
    for trainer in (train_heads, train_heads_one_by_one):
        start = time.perf_counter()
        trainer(frames, data.y, plans, settings, 10, CPU, "float32")
        seconds.append(time.perf_counter() - start)
    assert seconds[1] > 1.3 * seconds[0]

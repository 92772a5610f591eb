import numpy as np
import pytest

from usbench.errors import DataError
from usbench.probes import ProbeData, run_protocol
from usbench.probes.attention.folds import arrange_frames
from usbench.probes.data import mean_by_unit, unit_features
from usbench.probes.places import Places, join_places
from usbench.statistics.splits import subject_folds

NAMES = ("2CH ED", "2CH ES", "4CH ED", "4CH ES")
PAIRS = ((0, 1), (2, 3))


def hearts(n=80, width=6, seed=0):
    """Units whose target is how much one direction differs between phases; the mean over places knows nothing of it."""
    rng = np.random.default_rng(seed)
    y = rng.normal(50, 10, n)
    vectors = rng.normal(size=(n, 4, width)) * 0.1
    level = rng.normal(size=(n, 1)) * 5  # brightness of the patient, in all four places alike
    direction = np.zeros(width)
    direction[0] = 1
    change = (y[:, None] / 20) * direction
    vectors += level[:, :, None]
    vectors[:, 0] += change / 2
    vectors[:, 2] += change / 2
    vectors[:, 1] -= change / 2
    vectors[:, 3] -= change / 2
    unit, place = np.repeat(np.arange(n), 4), np.tile(np.arange(4), n)
    return vectors.reshape(-1, width).astype(np.float32), unit, place, y


def data_of(pairs, seed=0):
    vectors, unit, place, y = hearts(seed=seed)
    places = None if pairs == "mean" else Places(place, NAMES, pairs)
    return ProbeData(vectors, unit, y, np.arange(len(y)).astype(str), places=places)


def test_mean_and_differences_are_what_they_are_called():
    vectors, unit, place, y = hearts()
    joined = join_places(vectors, unit, len(y), Places(place, NAMES, PAIRS))
    by_place = vectors.reshape(len(y), 4, -1).astype(np.float64)
    expected = [by_place.mean(1), by_place[:, 0] - by_place[:, 1], by_place[:, 2] - by_place[:, 3]]
    assert np.allclose(joined, np.concatenate(expected, axis=1), atol=1e-6)
    side = join_places(vectors, unit, len(y), Places(place, NAMES, None))
    assert np.allclose(side, by_place.reshape(len(y), -1), atol=1e-6)


def test_the_order_of_frames_does_not_matter_and_frames_in_one_place_are_averaged():
    vectors, unit, place, y = hearts()
    shuffle = np.random.default_rng(1).permutation(len(unit))
    a = join_places(vectors, unit, len(y), Places(place, NAMES, PAIRS))
    b = join_places(vectors[shuffle], unit[shuffle], len(y), Places(place[shuffle], NAMES, PAIRS))
    assert np.allclose(a, b)
    twice = np.concatenate([vectors + 1, vectors - 1])
    c = join_places(twice, np.tile(unit, 2), len(y), Places(np.tile(place, 2), NAMES, PAIRS))
    assert np.allclose(a, c, atol=1e-5)


def test_an_empty_place_is_told():
    vectors, unit, place, y = hearts()
    keep = ~((unit == 3) & (place == 1))
    with pytest.raises(DataError, match="unit 3 has no frame in place '2CH ES'"):
        join_places(vectors[keep], unit[keep], len(y), Places(place[keep], NAMES, PAIRS))


def test_joining_finds_what_averaging_throws_away():
    error = {}
    for name, pairs in (("mean", "mean"), ("differences", PAIRS), ("side", None)):
        data = data_of(pairs)
        splits = [subject_folds(data.groups, None, 4, 0, stratify=False)]
        answer = run_protocol("ridge-nested@1", data, splits, question="regression").predictions
        error[name] = np.abs(answer.predicted[0] - data.y).mean()
    constant = np.abs(data.y - np.median(data.y)).mean()
    assert error["mean"] > 0.85 * constant
    assert error["differences"] < 0.5 * constant
    assert error["side"] < 0.8 * constant


def test_without_places_nothing_changes():
    data = data_of("mean")
    assert np.array_equal(unit_features(data), mean_by_unit(data))
    assert arrange_frames(data).values.shape[-1] == data.embeddings.shape[1]


def test_the_attention_head_is_told_the_place():
    frames = arrange_frames(data_of(PAIRS))
    vectors, *_ = hearts()
    assert frames.values.shape == (80, 4, 4 * 6)
    wide = frames.values[0].reshape(4, 4, 6)
    assert np.array_equal(wide[np.arange(4), np.arange(4)], vectors[:4])
    assert np.count_nonzero(wide) == np.count_nonzero(vectors[:4])


def test_a_margin_that_is_black_but_in_one_image_does_not_decide():
    """One feature is constant in all units but a single one, as corners of a sector are."""
    vectors, unit, place, y = hearts()
    margin = np.zeros((len(unit), 1), np.float32)
    margin += np.random.default_rng(2).normal(0, 1e-4, margin.shape)
    margin[(unit == 7) & (place == 0)] = 40
    data = ProbeData(
        np.concatenate([vectors, margin], 1), unit, y, np.arange(len(y)).astype(str), places=Places(place, NAMES, PAIRS)
    )
    splits = [subject_folds(data.groups, None, 4, 0, stratify=False)]
    answer = run_protocol("ridge-nested@1", data, splits, question="regression").predictions
    error = np.abs(answer.predicted[0] - data.y)
    assert np.sort(error)[:-1].mean() < 0.5 * np.abs(y - np.median(y)).mean()

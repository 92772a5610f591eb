import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from usbench_tasks.datasets.bus_bra import BusBra, BusBraSubset

from usbench.core.settings import load_settings
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import dataset_for, load_dataset

sys.path.append(str(Path(__file__).resolve().parents[2] / "recipes" / "subsets"))
import near_lossless_png
from make_bus_bra_subset import README, sampling_order


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


def test_the_breast_task_finds_real_patients_without_any_data_folder():
    located = dataset_for(load_task("breast_lesion"), load_settings())
    table = located.dataset.index.table
    assert located.provision == "subset"
    assert located.dataset.name == "bus-bra-subset"
    assert table["subject"].nunique() >= 200
    assert set(table["fold"]) == {1, 2, 3, 4, 5}
    both = table.groupby("device")["pathology"].nunique()
    assert len(both) == 4
    assert (both == 2).all()


def test_it_is_small_and_every_file_is_the_one_that_was_packed(bus_bra_subset):
    sums = dict(reversed(line.split("  ")) for line in (bus_bra_subset / "SHA256SUMS").read_text().splitlines())
    files = {p.relative_to(bus_bra_subset).as_posix() for p in bus_bra_subset.rglob("*") if p.is_file()}
    assert files == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((bus_bra_subset / name).read_bytes()).hexdigest() == digest, name
    assert sum((bus_bra_subset / name).stat().st_size for name in files) <= 8.1e6


def test_notice_and_citation_travel_with_it(bus_bra_subset):
    assert "Permission is hereby granted" in (bus_bra_subset / "LICENSE.txt").read_text("utf-8")
    readme = (bus_bra_subset / "README.md").read_text("utf-8")
    assert BusBraSubset.card.citation in readme
    table = load_dataset("bus-bra-subset").index.table
    assert {line for line in README.splitlines() if "{" not in line} <= {*readme.splitlines()}
    assert f"{len(table)} breast ultrasound images of {table['subject'].nunique()} whole patients" in readme


def test_it_is_the_proportional_sample_that_the_script_draws(data_root, bus_bra_subset):
    full, subset = BusBra(data_root / "busbra").index.table, BusBraSubset(bus_bra_subset).index.table
    n = subset["subject"].nunique()
    assert set(sampling_order(full)[:n]) == set(subset["subject"])
    of_chosen = full[full["subject"].isin(subset["subject"])].reset_index(drop=True)
    assert of_chosen.equals(subset), "whole patients, labels as published"
    share = subset["pathology"].eq("malignant").mean() - full["pathology"].eq("malignant").mean()
    assert abs(share) < 0.03
    for device, rows in full.groupby("device"):
        assert abs(subset["device"].eq(device).mean() - len(rows) / len(full)) < 0.03


def test_pixels_are_those_of_the_dataset_but_for_a_few_grey_levels(data_root, bus_bra_subset):
    paths = BusBraSubset(bus_bra_subset).index.table["path"].iloc[::25]
    errors = [grey(bus_bra_subset / path).astype(int) - grey(data_root / "busbra" / path).astype(int) for path in paths]
    assert max(abs(error).max() for error in errors) <= 4
    assert np.sqrt(np.mean([np.square(error).mean() for error in errors])) < 1.5


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_near_lossless_filters_decode_within_bounds(kind, monkeypatch, tmp_path):
    generator = np.random.default_rng(kind)
    image = generator.integers(0, 256, (37, 53), dtype=np.uint8)  # the hardest case, with values at both ends
    image[:10] = 100 + generator.integers(0, 2, (10, 53))  # smooth: differences of at most 2 are exact
    monkeypatch.setattr(near_lossless_png, "_FILTERS", {kind: near_lossless_png._FILTERS[kind]})
    file = tmp_path / "image.png"
    file.write_bytes(near_lossless_png.encode(image))
    error = grey(file).astype(int) - image
    assert abs(error).max() <= 4
    assert abs(error[5:10, 10:]).max() == 0  # away from the border, where the prediction is 0


@pytest.mark.slow
def test_near_lossless_keeps_local_binary_patterns(data_root, tmp_path):
    from skimage.feature import local_binary_pattern

    def patterns(image):
        codes = local_binary_pattern(image, 8, 1, "uniform").astype(int).ravel()
        return np.bincount(codes, minlength=10) / codes.size

    before, after = [], []
    for path in BusBra(data_root / "busbra").index.table["path"].iloc[::40]:
        image = grey(data_root / "busbra" / path)
        file = tmp_path / "image.png"
        file.write_bytes(near_lossless_png.encode(image))
        before.append(patterns(image))
        after.append(patterns(grey(file)))
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(np.transpose(before), np.transpose(after), strict=True)]
    assert min(correlations) > 0.92

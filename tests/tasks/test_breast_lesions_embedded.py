import hashlib

import numpy as np
from PIL import Image
from usbench_tasks.datasets.breast_lesions_usg import BreastLesionsUsg, BreastLesionsUsgEmbedded

from usbench.core.settings import load_settings
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import dataset_for, provision_of
from usbench.task.cohort import build_cohort


def folder():
    return BreastLesionsUsgEmbedded.embedded_root(load_settings())


def test_it_is_small_and_every_file_is_the_one_that_was_packed():
    root = folder()
    sums = dict(reversed(line.split("  ")) for line in (root / "SHA256SUMS").read_text("utf-8").splitlines())
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert files == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((root / name).read_bytes()).hexdigest() == digest, name
    assert sum((root / name).stat().st_size for name in files) <= 4e6


def test_licence_citation_and_changes_travel_with_it():
    readme = (folder() / "README.md").read_text("utf-8")
    assert "creativecommons.org/licenses/by/4.0" in readme
    assert BreastLesionsUsg.card.citation in readme
    assert "reduced to a longest side of 192 pixels" in readme


def test_labels_are_those_of_the_published_table(data_root):
    full = BreastLesionsUsg(data_root / "breast_lesions_usg").index.table
    copy = BreastLesionsUsgEmbedded(folder()).index.table
    assert copy.equals(full)


def test_pixels_are_those_of_the_dataset_reduced_but_for_a_few_grey_levels(data_root):
    for path in BreastLesionsUsgEmbedded(folder()).index.table["path"].iloc[::40]:
        with Image.open(data_root / "breast_lesions_usg" / path) as picture:
            picture.thumbnail((192, 192), Image.Resampling.LANCZOS)
            wanted = np.asarray(picture.convert("L")).astype(int)
        with Image.open(folder() / path) as picture:
            found = np.asarray(picture).astype(int)
        assert abs(found - wanted).max() <= 4


def test_the_transfer_runs_from_what_is_embedded():
    task = load_task("breast_transfer")
    assert provision_of(task, load_settings()) == "embedded subset"
    located = dataset_for(task, load_settings())
    assert located.provision == "subset"
    cohort = build_cohort(task, located.dataset)
    tested = [unit for unit in cohort.units if unit.split == "test"]
    assert len(tested) == 252  # normal tissue is not asked about
    assert {unit.target for unit in tested} == {"benign", "malignant"}
    back = dataset_for(load_task("breast_transfer_back"), load_settings()).dataset
    assert back.name == "breast-lesions-usg-embedded-to-bus-bra-subset"

import subprocess
import sys

import pytest
import usbench_tasks

from usbench.data.frame_sampling import BetweenMarks, RandomFrames
from usbench.evaluation.retrieval import PROTOCOLS as OF_MAPS
from usbench.plugins.catalog import DATASETS, TASKS, load_task
from usbench.probes import PROTOCOLS

ALL_TASKS = list(usbench_tasks.TASKS)
ALL_DATASETS = list(usbench_tasks.DATASETS)


@pytest.mark.parametrize("name", ALL_TASKS)
def test_a_task_is_called_what_it_is_registered_as_and_its_data_exist(name):
    task = load_task(name)
    assert task.name == name
    assert task.description
    pair = (task.transfer.train, task.transfer.test) if task.transfer else ()
    named = [name for side in pair for name in (side.dataset, side.fallback)]
    for dataset in (*(named or [task.dataset]), task.fallback, task.twin):
        assert dataset is None or dataset in DATASETS.names()
    assert task.twin is None or DATASETS.get(task.twin).value.card.synthetic
    assert task.fallback is None or not DATASETS.get(task.fallback).value.card.synthetic
    assert (task.threshold is not None) == (task.kind in ("regression", "ordinal"))


@pytest.mark.parametrize("name", ALL_TASKS)
def test_a_task_names_protocols_that_exist(name):
    task = load_task(name)
    assert set(task.protocols) <= set(OF_MAPS if task.kind == "map" else PROTOCOLS)


@pytest.mark.parametrize("name", ALL_DATASETS)
def test_a_dataset_says_what_a_reader_must_know(name):
    card = DATASETS.get(name).value.card
    assert card.name == name
    assert card.title
    assert card.licence


def test_the_papers_settings():
    covid, oxygen = load_task("covid"), load_task("oxygen_saturation")
    assert covid.frames == oxygen.frames == RandomFrames(20, seed=0)
    assert (covid.split.folds, oxygen.split.folds, load_task("eye_hemorrhage").split.folds) == (5, 10, 15)
    assert load_task("ejection_fraction").frames == BetweenMarks(5)
    assert load_task("liver_steatosis").split.kind == "leave-one-out"
    thresholds = {name: load_task(name).threshold for name in ALL_TASKS if load_task(name).kind == "regression"}
    camus = {"camus_ejection_fraction": 50.0, "camus_ejection_fraction_folds": 50.0}
    assert thresholds == {"oxygen_saturation": 95.0, "ejection_fraction": 40.0, "liver_steatosis": 5.0, **camus}


def test_listing_and_declaring_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from usbench.plugins.catalog import DATASETS, TASKS\n"
        "for registry in (DATASETS, TASKS):\n"
        "    for name in registry.names(): registry.get(name)\n"
        "heavy = {'torch', 'pandas', 'sklearn', 'scipy', 'av', 'numpy.random', 'monai', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert TASKS.names()

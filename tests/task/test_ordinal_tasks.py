from dataclasses import replace

import pytest
from usbench_tasks.datasets.bus_bra import BusBraSubset

from usbench import run
from usbench.errors import DataError, UsbenchError
from usbench.leaderboard.constant_baseline import constant_floor
from usbench.plugins.catalog import load_task
from usbench.submission.validate import validate
from usbench.task import SplitPlan, Task
from usbench.task.cohort import build_cohort

BIRADS = Task(
    name="birads",
    title="BI-RADS",
    dataset="bus-bra-subset",
    target="birads",
    kind="ordinal",
    unit="image",
    split=SplitPlan("grouped", 3, 1),
    protocols=("ordinal-ridge@1",),
    threshold=4,
)


def index(bus_bra_subset, change):
    dataset = BusBraSubset(bus_bra_subset)
    table = dataset.index.table
    dataset.__dict__["index"] = replace(dataset.index, table=change(table.copy()))
    return dataset


def test_a_run_states_agreement_of_grades_and_can_be_recomputed(tmp_path):
    (result,) = run("texture", BIRADS, results_dir=tmp_path)
    assert list(result.dataset["counts"]["classes"]) == ["2", "3", "4", "5"]
    entry = result.protocols["ordinal-ridge@1"]
    assert {"quadratic_kappa", "mae", "auc", "fold_auc"} <= set(entry.metrics)
    kappa = entry.metrics["quadratic_kappa"]
    assert 0.06 < kappa.low < kappa.value < kappa.high < 0.9
    assert validate(next(tmp_path.glob("*/*.json")), tmp_path) == []
    floor = constant_floor(result).protocols["ordinal-ridge@1"].metrics
    assert floor["quadratic_kappa"].value == pytest.approx(0, abs=1e-12)
    assert floor["mae"].value > entry.metrics["mae"].value
    assert floor["fold_auc"].value == 0.5


def test_a_threshold_of_numbers_is_a_grade_and_not_a_position(bus_bra_subset):
    from usbench.evaluation.scoring import _position

    assert _position(("2", "3", "4", "5"), 4) == 2
    assert _position(("0", "1", "2", "3"), 2) == 2
    assert _position(("none", "mild", "severe"), 1) == 1


WORDS = {2: "none", 3: "mild", 4: "moderate", 5: "severe"}


def test_grades_with_names_need_an_order(bus_bra_subset):
    named = index(bus_bra_subset, lambda t: t.assign(birads=t["birads"].map(WORDS)))
    with pytest.raises(DataError, match=r"are not numbers, so their order is unknown. .* order = \["):
        build_cohort(BIRADS, named)
    cohort = build_cohort(replace(BIRADS, order=tuple(WORDS.values())), named)
    assert cohort.classes == ("none", "mild", "moderate", "severe")
    with pytest.raises(DataError, match="has 'severe', which is not among the grades none, mild, moderate"):
        build_cohort(replace(BIRADS, order=("none", "mild", "moderate")), named)


def test_one_grade_is_nothing_to_predict(bus_bra_subset):
    with pytest.raises(DataError, match=r"has one grade only \('3'\)"):
        build_cohort(BIRADS, index(bus_bra_subset, lambda t: t.assign(birads=3)))


def test_an_order_without_grades_is_refused():
    with pytest.raises(UsbenchError, match="`order` has a meaning for kind 'ordinal' only"):
        replace(BIRADS, kind="multiclass", order=("1", "2"), protocols=("svc-nested@1",))
    with pytest.raises(UsbenchError, match="at least two different grades"):
        replace(BIRADS, order=("1", "1"))


@pytest.mark.slow
def test_the_salivary_glands_by_patient_and_with_a_centre_held_out(data_root):
    by_patient, elsewhere = (
        run("texture", load_task(name), data_root=data_root)[0] for name in ("salivary_gland", "salivary_gland_centre")
    )
    assert by_patient.protocols["ordinal-ridge@1"].metrics["quadratic_kappa"].value == pytest.approx(0.56, abs=0.03)
    drop = elsewhere.figures["drop"]["metrics"]["quadratic_kappa"]
    assert drop["within"]["value"] == by_patient.protocols["ordinal-ridge@1"].metrics["quadratic_kappa"].value
    assert drop["drop"]["low"] > 0

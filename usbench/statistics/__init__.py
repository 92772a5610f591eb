"""Splits by subject, metrics, intervals and tests: pure functions of arrays; importing needs NumPy alone."""

from usbench.statistics.bootstrap import Estimate, bootstrap
from usbench.statistics.metrics import METRICS, Metric, by_repeat, compute, compute_all, get_metric
from usbench.statistics.outcome import (
    Kind,
    Outcome,
    binary_outcome,
    multiclass_outcome,
    regression_outcome,
)
from usbench.statistics.splits import (
    Split,
    assert_disjoint,
    fixed_split,
    group_codes,
    leave_one_group_out,
    official_folds,
    repeated_subject_folds,
    subject_folds,
)

__all__ = [
    "METRICS",
    "Estimate",
    "Kind",
    "Metric",
    "Outcome",
    "Split",
    "assert_disjoint",
    "binary_outcome",
    "bootstrap",
    "by_repeat",
    "compute",
    "compute_all",
    "fixed_split",
    "get_metric",
    "group_codes",
    "leave_one_group_out",
    "multiclass_outcome",
    "official_folds",
    "regression_outcome",
    "repeated_subject_folds",
    "subject_folds",
]

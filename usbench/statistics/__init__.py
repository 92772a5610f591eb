"""Splits by subject, metrics, intervals and tests: pure functions of arrays; importing needs NumPy alone."""

from usbench.statistics.auc_variance import AucTest, auc_covariance, auc_test
from usbench.statistics.bootstrap import Estimate, bootstrap
from usbench.statistics.exact import (
    holm,
    mcnemar_exact,
    permute_labels,
    sign_flip_exact,
)
from usbench.statistics.metrics import METRICS, Metric, compute, get_metric
from usbench.statistics.paired import Comparison, compare
from usbench.statistics.predictions import Kind, Predictions
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
    "AucTest",
    "Comparison",
    "Estimate",
    "Kind",
    "Metric",
    "Predictions",
    "Split",
    "assert_disjoint",
    "auc_covariance",
    "auc_test",
    "bootstrap",
    "compare",
    "compute",
    "fixed_split",
    "get_metric",
    "group_codes",
    "holm",
    "leave_one_group_out",
    "mcnemar_exact",
    "official_folds",
    "permute_labels",
    "repeated_subject_folds",
    "sign_flip_exact",
    "subject_folds",
]

"""Names of AUCs at a threshold of their own, for targets of which more than one threshold is clinical.

``auc`` is the AUC at a task's first threshold. ``auc_at_40`` is the one at 40: the name says all that its value
depends on, so that a result needs no further field to be read, and tests and intervals treat it like any metric.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from usbench.statistics.predictions import Predictions

_NAME = re.compile(r"auc_at_(minus_)?([0-9]{1,20})(?:_([0-9]{1,20}))?")


def auc_name(threshold: float) -> str:
    """Return the name of the AUC at a threshold, such as ``auc_at_40`` or ``auc_at_minus_2_5``.

    Args:
        threshold: Finite value of the target, of at most 20 digits on each side of the point.
    """
    text = np.format_float_positional(threshold, trim="-")
    return "auc_at_" + text.replace("-", "minus_").replace(".", "_")


def threshold_of(name: str) -> float | None:
    """Return the threshold that a name states; ``None`` where the name is not one of :func:`auc_name`."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    minus, whole, fraction = found.groups()
    return float(f"{'-' if minus else ''}{whole}.{fraction or 0}")


def is_auc(name: str) -> bool:
    """Whether a metric ranks units of two sides: the AUC, that within folds, or one of :func:`auc_name`."""
    return name in ("auc", "fold_auc") or threshold_of(name) is not None


def at_threshold(name: str, outcome: Predictions) -> Predictions:
    """Return an outcome with the threshold that a metric's name states; as it is where the name states none."""
    threshold = threshold_of(name)
    return outcome if threshold is None else replace(outcome, threshold=threshold)

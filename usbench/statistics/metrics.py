"""The metrics, by name.

A metric that does not exist for the data (an AUC without a negative unit, a correlation with a constant
prediction) is None, never NaN and never a made-up zero.

`auc` and `fold_auc` differ for cross-validated predictions. Each training fold gives its own decision
function with its own offset and scale, and the offset leans against the test fold: the more positives are
tested, the fewer were trained on. Ranking units of different folds against each other mixes this into the
AUC, which then falls below one half without any signal and can fall for a good classifier too (Parker, Gunter
& Bedo 2007; Forman & Scholz 2010; Airola et al. 2011). `fold_auc` counts only pairs tested by the same
decision function.

References:
    Hanley JA, McNeil BJ. The meaning and use of the area under a ROC curve. Radiology 1982;143:29-36.
    Parker BJ, Gunter S, Bedo J. Stratification bias in low signal microarray studies. BMC Bioinformatics
    2007;8:326. Forman G, Scholz M. Apples-to-apples in cross-validation studies. ACM SIGKDD Explorations
    2010;12(1):49-57. Airola A et al. An experimental comparison of cross-validation techniques for estimating
    the area under the ROC
        curve. Computational Statistics & Data Analysis 2011;55:1828-1844.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from usbench.errors import UnknownNameError, did_you_mean
from usbench.statistics import calibration, kernels, operating_points, ordinal
from usbench.statistics.predictions import Kind, Predictions
from usbench.statistics.thresholds import at_threshold, threshold_of


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        name: Key in `METRICS` and in result files.
        title: Column heading.
        unit: "%" where a share is shown in percent, "target" where it has the target's unit, "" where it has
            none.
        higher_is_better: Direction; None for a metric that is best at a value in between, such as a slope at 1, and
            so ranks nothing.
        kinds: The kinds of outcome it is defined for.
        chance: Value without any signal, None where it depends on the data.
        description: One sentence for the reader of a page.
        prepare: Turns an outcome into a function of weights (see `usbench.statistics.kernels`).
        scale: What its values are, and so how an interval is put around one: a "share" between 0 and 1, a
            "correlation" between -1 and 1, an "error" from 0 on, or a "plain" number.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    kinds: tuple[Kind, ...]
    chance: float | None
    description: str
    prepare: Callable[[Predictions], kernels.Kernel]
    scale: Literal["share", "correlation", "error", "plain"] = "plain"


_CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
_BINARY: tuple[Kind, ...] = ("binary",)
_REGRESSION: tuple[Kind, ...] = ("regression",)

METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            "accuracy",
            "Accuracy",
            "%",
            True,
            _CLASSES,
            None,
            "Share of units classified rightly.",
            kernels.accuracy,
            scale="share",
        ),
        Metric(
            "balanced_accuracy",
            "Balanced accuracy",
            "%",
            True,
            _CLASSES,
            None,
            "Mean over the classes of the share recognised.",
            kernels.balanced_accuracy,
            scale="share",
        ),
        Metric(
            "f1",
            "F1",
            "%",
            True,
            _BINARY,
            None,
            "Harmonic mean of precision and sensitivity.",
            lambda outcome: kernels.f1(outcome, 1),
            scale="share",
        ),
        Metric(
            "sensitivity",
            "Sensitivity",
            "%",
            True,
            _BINARY,
            None,
            "Share of positive units recognised.",
            lambda outcome: kernels.recall(outcome, 1),
            scale="share",
        ),
        Metric(
            "specificity",
            "Specificity",
            "%",
            True,
            _BINARY,
            None,
            "Share of negative units recognised.",
            lambda outcome: kernels.recall(outcome, 0),
            scale="share",
        ),
        Metric(
            "macro_f1",
            "Macro F1",
            "%",
            True,
            ("multiclass",),
            None,
            "Mean F1 over the classes.",
            kernels.macro_f1,
            scale="share",
        ),
        Metric(
            "auc",
            "AUC",
            "",
            True,
            ("binary", "multiclass", "regression", "ordinal"),
            0.5,
            "Probability that a positive unit scores above a negative one, folds pooled, ties half; "
            "multi-class: mean of one against the rest; regression: positive at or above the threshold.",
            lambda outcome: kernels.auc(outcome, within_folds=False),
            scale="share",
        ),
        Metric(
            "fold_auc",
            "AUC within folds",
            "",
            True,
            ("binary", "multiclass", "regression", "ordinal"),
            0.5,
            "The AUC over pairs tested in the same fold, so that offsets between folds cannot touch it.",
            lambda outcome: kernels.auc(outcome, within_folds=True),
            scale="share",
        ),
        Metric(
            "pearson_r",
            "Pearson r",
            "",
            True,
            _REGRESSION,
            0.0,
            "Correlation of truth and prediction, folds pooled.",
            kernels.pearson,
            scale="correlation",
        ),
        Metric(
            "fold_pearson_r",
            "Pearson r within folds",
            "",
            True,
            _REGRESSION,
            0.0,
            "Correlation of truth and prediction, both standardised within the fold: 0 without any signal.",
            kernels.pearson_within_folds,
            scale="correlation",
        ),
        Metric(
            "mae",
            "MAE",
            "target",
            False,
            ("regression", "ordinal"),
            None,
            "Mean absolute error.",
            kernels.mean_absolute_error,
            scale="error",
        ),
        Metric(
            "rmse",
            "RMSE",
            "target",
            False,
            _REGRESSION,
            None,
            "Root mean squared error.",
            kernels.root_mean_squared_error,
            scale="error",
        ),
        Metric(
            "auprc",
            "AUPRC",
            "",
            True,
            _BINARY,
            None,
            "Average precision, folds pooled; without any signal the share of positive units.",
            operating_points.average_precision,
            scale="share",
        ),
        Metric(
            "sensitivity_at_90_specificity",
            "Sensitivity at 90 % specificity",
            "%",
            True,
            _BINARY,
            0.1,
            "Share of positive units above the threshold that keeps 90 % of the others below, folds pooled.",
            lambda outcome: operating_points.sensitivity_at(outcome, 0.90),
            scale="share",
        ),
        Metric(
            "sensitivity_at_95_specificity",
            "Sensitivity at 95 % specificity",
            "%",
            True,
            _BINARY,
            0.05,
            "Share of positive units above the threshold that keeps 95 % of the others below, folds pooled.",
            lambda outcome: operating_points.sensitivity_at(outcome, 0.95),
            scale="share",
        ),
        Metric(
            "brier",
            "Brier score",
            "",
            False,
            _BINARY,
            None,
            "Mean squared error of the probability, by Platt scaling fitted on the other folds.",
            calibration.brier,
            scale="error",
        ),
        Metric(
            "calibration_slope",
            "Calibration slope",
            "",
            None,
            _BINARY,
            None,
            "Slope of the truth on the logit of that probability: 1 is calibrated, below 1 too extreme.",
            calibration.calibration_slope,
        ),
        Metric(
            "quadratic_kappa",
            "Quadratic kappa",
            "",
            True,
            ("ordinal",),
            0.0,
            "Agreement of ordered grades beyond chance, disagreement weighed by the square of its distance.",
            ordinal.quadratic_kappa,
            scale="correlation",
        ),
    )
}


def find_metric(name: str) -> Metric | None:
    """Look a metric up that may not be known, such as one of a newer result file.

    Args:
        name: Key of `METRICS`, or the name of an AUC at a threshold of its own, such as ``auc_at_40``.

    Returns:
        The metric, or None.
    """
    threshold = threshold_of(name)
    if name in METRICS or threshold is None:
        return METRICS.get(name)
    return replace(
        METRICS["auc"],
        name=name,
        title=f"AUC at {threshold:g}",
        kinds=_REGRESSION,
        description=f"The AUC of the prediction for values at or above {threshold:g}.",
        prepare=lambda outcome: kernels.auc(at_threshold(name, outcome), within_folds=False),
    )


def get_metric(name: str) -> Metric:
    """Look a metric up.

    Args:
        name: As of `find_metric`.

    Returns:
        The metric.

    Raises:
        UnknownNameError: If there is no such metric.
    """
    found = find_metric(name)
    if found is None:
        raise UnknownNameError(f"Unknown metric {name!r}.{did_you_mean(name, METRICS)}")
    return found


def prepare(name: str, outcome: Predictions) -> kernels.Kernel:
    """Prepare a metric for one outcome.

    Args:
        name: Key of `METRICS`.
        outcome: What to score.

    Returns:
        A function from weights, float64 [n_draws, n_units], to values, float64 [n_draws]; NaN where
        undefined.

    Raises:
        UnknownNameError: If there is no such metric, or it is not defined for this kind of outcome.
    """
    metric = get_metric(name)
    if outcome.kind not in metric.kinds:
        possible = ", ".join(m.name for m in METRICS.values() if outcome.kind in m.kinds)
        raise UnknownNameError(f"Metric {name!r} does not exist for a {outcome.kind} outcome: choose from {possible}.")
    return metric.prepare(outcome)


def compute(name: str, outcome: Predictions) -> float | None:
    """Compute one metric, averaged over the outcome's repeats.

    Args:
        name: Key of `METRICS`.
        outcome: What to score.

    Returns:
        The value, or None where the metric does not exist for these data.

    Raises:
        UnknownNameError: As `prepare`.
    """
    return _defined(prepare(name, outcome)(np.ones((1, outcome.n_units)))[0])


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

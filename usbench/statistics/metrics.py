"""The metrics, by name and as plain functions.

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

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import UnknownNameError, did_you_mean
from usbench.statistics import kernels, ordinal
from usbench.statistics.outcome import Kind, Outcome, binary_outcome, multiclass_outcome, regression_outcome
from usbench.statistics.thresholds import at_threshold, threshold_of


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        name: Key in `METRICS` and in result files.
        title: Column heading.
        unit: "%" where a share is shown in percent, "target" where it has the target's unit, "" where it has
            none.
        higher_is_better: Direction.
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
    higher_is_better: bool
    kinds: tuple[Kind, ...]
    chance: float | None
    description: str
    prepare: Callable[[Outcome], kernels.Kernel]
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


def prepare(name: str, outcome: Outcome) -> kernels.Kernel:
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


def compute(name: str, outcome: Outcome) -> float | None:
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


def compute_all(outcome: Outcome, names: Iterable[str] | None = None) -> dict[str, float | None]:
    """Compute several metrics, by default all that the kind of outcome has.

    Args:
        outcome: What to score.
        names: Keys of `METRICS`; None for all that apply.

    Returns:
        Value by name, None where a metric does not exist for these data.
    """
    chosen = [m.name for m in METRICS.values() if outcome.kind in m.kinds] if names is None else list(names)
    return {name: compute(name, outcome) for name in chosen}


def by_repeat(name: str, outcome: Outcome) -> list[float | None]:
    """Compute one metric for each repeat alone: its spread over splits or initialisations.

    Args:
        name: Key of `METRICS`.
        outcome: What to score.

    Returns:
        One value per repeat.
    """
    return [compute(name, outcome.one_repeat(r)) for r in range(outcome.n_repeats)]


def accuracy(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of equal entries of two arrays of class numbers (0, 1, ...), [n] each."""
    return compute("accuracy", _labelled(y, predicted))


def balanced_accuracy(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean recall over the classes; None if one of them has no unit. Class numbers, [n] each."""
    return compute("balanced_accuracy", _labelled(y, predicted))


def macro_f1(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean F1 over classes; None if a class is neither present nor predicted. Class numbers, [n] each."""
    return compute("macro_f1", _labelled(y, predicted))


def f1(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """F1 of class 1; None if it is neither present nor predicted. Arrays of 0 and 1, [n] each."""
    return compute("f1", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def sensitivity(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of class 1 that is recognised; None without class 1. Arrays of 0 and 1, [n] each."""
    return compute("sensitivity", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def specificity(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of class 0 that is recognised; None without class 0. Arrays of 0 and 1, [n] each."""
    return compute("specificity", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def auc(y: ArrayLike, score: ArrayLike) -> float | None:
    """Mann-Whitney AUC of scores [n] for y of 0 and 1 [n], ties half; None unless both classes occur."""
    return compute("auc", binary_outcome(y, score))


def fold_auc(y: ArrayLike, score: ArrayLike, fold: ArrayLike) -> float | None:
    """AUC over the pairs within the same fold (and repeat).

    Args:
        y: Truth, 0 or 1, [n_units].
        score: Decision values, [n_units] or [n_repeats, n_units].
        fold: Fold of each score, integers of the shape of `score`.

    Returns:
        Concordant share of the pairs, ties half; None if no fold has both classes (as in leave-one-out).
    """
    return compute("fold_auc", binary_outcome(y, score, fold=fold))


def pearson_r(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Pearson correlation of two arrays [n]; None if one of them is constant."""
    return compute("pearson_r", regression_outcome(y, predicted))


def mae(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean absolute error of two arrays [n], in the target's unit."""
    return compute("mae", regression_outcome(y, predicted))


def rmse(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Root mean squared error of two arrays [n], in the target's unit."""
    return compute("rmse", regression_outcome(y, predicted))


def _labelled(y: ArrayLike, predicted: ArrayLike) -> Outcome:
    answers = np.asarray(predicted, dtype=np.int64)
    n_classes = int(max(np.max(np.asarray(y)), np.max(answers), 1)) + 1
    return multiclass_outcome(y, np.eye(n_classes)[answers], answers)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

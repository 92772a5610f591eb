"""The protocols by versioned name, and the one function that runs them.

A protocol fixes everything between arrays and predictions. A change that can move a figure is a new version
under a new name ("svc-nested@2"), so that scores of different rules are never averaged or ranked together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError, UnknownNameError, UsbenchError, did_you_mean
from usbench.probes import constant, knn, linear_svm, nested_ridge, nested_svm, ordinal, ridge
from usbench.probes.attention import head
from usbench.probes.data import FoldChoice, ProbeData, ProbeResult, encode_labels, unit_features
from usbench.probes.problem import Answer, Problem
from usbench.statistics.metrics import METRICS
from usbench.statistics.outcome import Kind
from usbench.statistics.splits import Split, assert_disjoint

Question = Literal["classification", "regression", "ordinal"]

_OPERATING_POINTS = (
    "sensitivity_at_90_specificity",
    "sensitivity_at_95_specificity",
    "auprc",
    "brier",
    "calibration_slope",
)
_SVC_METRICS = ("accuracy", "f1", "specificity", "sensitivity", "auc", *_OPERATING_POINTS)
_CLASS_METRICS = ("fold_auc", *_SVC_METRICS, "balanced_accuracy", "macro_f1")
_ORDINAL_METRICS = ("quadratic_kappa", "mae", "auc", "fold_auc")
_REGRESSION_METRICS = ("pearson_r", "fold_pearson_r", "mae", "rmse", "auc", "fold_auc")


@dataclass(frozen=True)
class ProtocolInfo:
    """What is known of a protocol before it runs.

    Attributes:
        name: Name without version, such as "svc-nested".
        version: Version, from 1.
        title: Short title for tables.
        questions: Kinds of question it can answer.
        repeats: Number of split seeds it is meant to be run with, where the folds are drawn and not official.
        headline: Metric that ranks encoders, by question.
        metrics: Metrics to report, by question; `metrics_for` leaves out those that do not fit the outcome's
            kind.
        description: What is done, for the reader of a page.
        run: The function from problem and options to predictions.
        refit: Does what `run` does, at less cost, for the refits in halves of the subjects that a standard error comes
            from; takes the problem and what `run` chose on all subjects. None: `run` itself.
    """

    name: str
    version: int
    title: str
    questions: tuple[Question, ...]
    repeats: int
    headline: Mapping[Question, str]
    metrics: Mapping[Question, tuple[str, ...]]
    description: str
    run: Callable[..., Answer]
    refit: Callable[[Problem, Sequence[FoldChoice]], Answer] | None = None

    @property
    def key(self) -> str:
        """Name with version, as in results."""
        return f"{self.name}@{self.version}"

    def metrics_for(self, kind: Kind) -> tuple[str, ...]:
        """List the metrics to report for an outcome's kind, in the order of the table's columns.

        Args:
            kind: "binary", "multiclass" or "regression".

        Returns:
            Keys of `usbench.statistics.METRICS`; empty if the protocol does not answer such questions.
        """
        question: Question = kind if kind in ("regression", "ordinal") else "classification"
        return tuple(name for name in self.metrics.get(question, ()) if kind in METRICS[name].kinds)


PROTOCOLS: dict[str, ProtocolInfo] = {
    info.key: info
    for info in (
        ProtocolInfo(
            "svc-paper",
            1,
            "Linear SVC, paper protocol",
            ("classification",),
            5,
            {"classification": "accuracy"},
            {"classification": (*_SVC_METRICS, "balanced_accuracy", "macro_f1")},
            "Mean latent of each unit; class-balanced linear SVC on features standardised in the training fold; C "
            "tuned for accuracy on the very folds that are scored; folds pooled, then the metrics taken. Optimistic.",
            linear_svm.svc_paper,
            lambda problem, choices: linear_svm.svc_paper(problem, nested_svm.near(choices, linear_svm.GRID)),
        ),
        ProtocolInfo(
            "svc-nested",
            1,
            "Linear SVC, nested tuning",
            ("classification",),
            5,
            {"classification": "fold_auc"},
            {"classification": _CLASS_METRICS},
            "As the paper's protocol, but C is tuned inside each training fold, on folds of whole subjects stratified "
            "by class. The headline AUC counts only pairs tested in the same fold, because each fold's decision "
            "function has its own offset; classes are decided at zero in each fold.",
            linear_svm.svc_nested,
            # How a fold's C is chosen matters little to how the score varies with the subjects.
            lambda problem, choices: linear_svm.svc_paper(problem, nested_svm.near(choices, linear_svm.GRID)),
        ),
        ProtocolInfo(
            "svc-nested",
            2,
            "Linear SVC, nested tuning",
            ("classification",),
            5,
            {"classification": "fold_auc"},
            {"classification": _CLASS_METRICS},
            "Mean latent of each unit; class-balanced linear SVC on features standardised in the training fold; C is "
            "tuned inside each training fold, on folds of whole subjects stratified by class, for the AUC within these "
            "folds, from 1e-6 to 1e5, the smallest of equals. Scores are distances to the boundary; classes are "
            "decided at zero in each fold.",
            nested_svm.svc_nested,
            lambda problem, choices: nested_svm.svc_refit(problem, nested_svm.near(choices)),
        ),
        ProtocolInfo(
            "ridge-nested",
            1,
            "Ridge regression, nested tuning",
            ("regression",),
            5,
            {"regression": "mae"},
            {"regression": _REGRESSION_METRICS},
            "Mean latent of each unit; ridge regression on features standardised in the training fold; the penalty "
            "is tuned inside each training fold for squared error, on folds of whole subjects.",
            ridge.ridge_nested,
        ),
        ProtocolInfo(
            "ridge-nested",
            2,
            "Ridge regression, nested tuning",
            ("regression",),
            5,
            {"regression": "mae"},
            {"regression": _REGRESSION_METRICS},
            "Mean latent of each unit; ridge regression on features standardised in the training fold; the penalty is "
            "tuned inside each training fold for the mean absolute error, on folds of whole subjects, from 1e-10 to "
            "1e3 per training unit, the largest of equals.",
            nested_ridge.ridge_nested,
        ),
        ProtocolInfo(
            "ordinal-ridge",
            1,
            "Ridge on grades, nested tuning",
            ("ordinal",),
            5,
            {"ordinal": "quadratic_kappa"},
            {"ordinal": _ORDINAL_METRICS},
            "Mean latent of each unit; ridge regression on the grade, on features standardised in the training fold; "
            "the penalty and the cut points between grades are chosen inside each training fold, on folds of whole "
            "subjects, the cut points so that each grade has the share it has in the training fold.",
            ordinal.ordinal_ridge,
        ),
        ProtocolInfo(
            "attention-paper",
            1,
            "Temporal attention, paper protocol",
            ("regression",),
            1,
            {"regression": "mae"},
            {"regression": _REGRESSION_METRICS},
            "All frames of a unit; two linear layers per frame, attention over frames, one linear layer; ten random "
            "initialisations. Features and target standardised on the training units; early stopping on whole "
            "subjects set aside from the training fold. Metrics are means over the initialisations.",
            head.attention_paper,
            lambda problem, choices: head.attention_paper(problem, n_initialisations=2),
        ),
        ProtocolInfo(
            "knn",
            1,
            "Nearest neighbours",
            ("classification", "regression", "ordinal"),
            5,
            {"classification": "fold_auc", "regression": "mae", "ordinal": "quadratic_kappa"},
            {"classification": _CLASS_METRICS, "regression": _REGRESSION_METRICS, "ordinal": _ORDINAL_METRICS},
            "Mean latent of each unit; the five nearest training units by Euclidean distance of standardised "
            "features vote with the inverse of their distance, classes balanced. Nothing is trained or tuned.",
            knn.knn,
        ),
        ProtocolInfo(
            "constant",
            1,
            "Constant",
            ("classification", "regression", "ordinal"),
            5,
            {"classification": "fold_auc", "regression": "mae", "ordinal": "quadratic_kappa"},
            {"classification": _CLASS_METRICS, "regression": _REGRESSION_METRICS, "ordinal": _ORDINAL_METRICS},
            "The median target or the most frequent class of the training fold, whatever the image shows.",
            constant.constant,
        ),
    )
}


def get_protocol(name: str) -> ProtocolInfo:
    """Look a protocol up.

    Args:
        name: Name with version ("svc-nested@1"), or without for the latest version.

    Returns:
        The protocol.

    Raises:
        UnknownNameError: If there is none of that name or version.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    versions = [info for info in PROTOCOLS.values() if info.name == name]
    if not versions:
        raise UnknownNameError(f"Unknown probe protocol {name!r}.{did_you_mean(name, PROTOCOLS)}")
    return max(versions, key=lambda info: info.version)


def run_protocol(
    name: str,
    data: ProbeData,
    splits_by_repeat: Sequence[Sequence[Split]],
    seed: int = 0,
    question: Question = "classification",
    positive: object | None = None,
    n_jobs: int = 1,
    **options: object,
) -> ProbeResult:
    """Run a protocol on embedded frames.

    Args:
        name: Protocol, such as "svc-nested@1".
        data: Embedded frames, labels and subjects.
        splits_by_repeat: For each repeat the splits to train and test on; a single official split is
            `[[split]]`.
        seed: Seed of everything that the protocol draws itself (inner folds, initialisations).
        question: "classification" or "regression".
        positive: Two classes: the label that counts as positive. Default: the last in sorted order.
        n_jobs: Threads for folds, or for training heads; -1 for as many as there are cores. It does not change the
            answer beyond rounding.
        options: Further settings of the protocol, such as `grid` or `inner_folds` of the SVC, `device` and
            `n_initialisations` of the attention head.

    Returns:
        Predictions, chosen hyper-parameters and settings.

    Raises:
        UnknownNameError: If the protocol is unknown.
        DataError: If labels are missing, there is one class or a constant target, a subject is on both sides
            of a split, or a training fold lacks a class.
        UsbenchError: If the protocol does not answer the question or does not know an option.
    """
    info = get_protocol(name)
    if question not in info.questions:
        able = ", ".join(i.key for i in PROTOCOLS.values() if question in i.questions)
        raise UsbenchError(f"Protocol {info.key} does not do {question}: choose from {able}.")
    problem, classes = pose(data, splits_by_repeat, seed, question, positive, n_jobs)
    known = _options_of(info)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsbenchError(
            f"Protocol {info.key} has no option {unknown[0]!r}: it has {', '.join(sorted(known)) or 'none'}."
        )
    prediction, choices = info.run(problem, **options)
    settings = {"seed": seed, **known, **options}
    return ProbeResult(info.key, problem.kind, classes, prediction, choices, settings)


def _options_of(info: ProtocolInfo) -> dict[str, object]:
    """Options of a protocol with their defaults."""
    import inspect

    parameters = list(inspect.signature(info.run).parameters.values())[1:]
    return {p.name: p.default for p in parameters}


def pose(
    data: ProbeData,
    splits_by_repeat: Sequence[Sequence[Split]],
    seed: int,
    question: Question,
    positive: object | None,
    n_jobs: int,
) -> tuple[Problem, tuple[object, ...]]:
    """Code the labels, average the frames and check the splits; arguments and errors as of `run_protocol`.

    Returns:
        The problem, and the labels by class number.
    """
    if not splits_by_repeat or not all(splits_by_repeat):
        raise UsbenchError("No splits to train and test on: draw folds by subject or pass a fixed split.")
    classes: tuple[object, ...] = ()
    kind: Kind = "regression"
    if question == "regression":
        y = _targets(data)
    elif question == "ordinal":
        kind, y = "ordinal", _targets(data)
        classes = tuple(range(int(y.max()) + 1))
    else:
        classes = _classes(data.y, positive)
        kind = "binary" if len(classes) == 2 else "multiclass"
        y = encode_labels(data.y, classes).astype(np.float64)
    for splits in splits_by_repeat:
        for split in splits:
            assert_disjoint(split, data.groups)
            missing = set(range(len(classes))) - set(y[split.train].tolist())
            if missing and kind != "ordinal":
                names = ", ".join(str(classes[k]) for k in sorted(missing))
                raise DataError(f"Fold {split.fold!r} trains without class {names}: use stratified or fewer folds.")
            if kind in ("regression", "ordinal") and np.ptp(y[split.train]) == 0:
                raise DataError(f"The target is constant in the training units of fold {split.fold!r}.")
    features = unit_features(data)
    problem = Problem(data, kind, features, y, data.groups, len(classes), splits_by_repeat, seed, n_jobs)
    return problem, classes


def _classes(labels: ArrayLike, positive: object | None) -> tuple[object, ...]:
    """Distinct labels in sorted order, the positive one of two last."""
    values = np.asarray(labels).tolist()
    missing = [k for k, v in enumerate(values) if v is None or v != v or v == ""]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(values)} labels are missing (first: unit {missing[0]}): drop these units."
        )
    classes = sorted(set(values))
    if len(classes) < 2:
        raise DataError(f"Only one class ({classes[0]}) among {len(values)} units: nothing to distinguish.")
    if positive is not None:
        if len(classes) != 2 or positive not in classes:
            raise DataError(f"{positive!r} is not one of two classes: the labels are {', '.join(map(str, classes))}.")
        classes.sort(key=lambda label: bool(label == positive))
    return tuple(classes)


def _targets(data: ProbeData) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    try:
        y = np.asarray(data.y).astype(np.float64)
    except ValueError as error:
        raise DataError(f"The target is not a number ({error}): regression needs numeric labels.") from error
    bad = ~np.isfinite(y)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} of {len(y)} targets are missing or infinite (first: unit {int(np.argmax(bad))}): "
            "drop these units."
        )
    if np.ptp(y) == 0:
        raise DataError(f"The target is {y[0]:g} for all {len(y)} units: a constant cannot be learnt.")
    return y

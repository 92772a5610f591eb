"""What follows from the kind of a task: which metrics rank it, which are shown where, and how it is probed.

Everything that depends on the kind alone stands in one entry of :data:`KINDS`. A metric is shown in one more place, or
a kind ranked by another one, by an edit of that entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from usbench.statistics.thresholds import threshold_of

Question = Literal["classification", "regression", "ordinal", "retrieval"]


@dataclass(frozen=True)
class TaskKind:
    """One kind of task.

    Attributes:
        name: ``binary``, ``multiclass``, ``regression``, ``ordinal`` or ``map``.
        question: What a probe is asked: a class, a number, an ordered grade, or for ``map`` the neighbours of an image.
        primary: Metric that ranks encoders; the next ones where the first does not exist. Classification is ranked by
            the AUC over pairs tested by one and the same decision function: it needs no threshold and does not move
            with the share of positives. Regression is ranked by the mean absolute error, in which a constant prediction
            can compete; a correlation is undefined for it.
        shown: Metrics that a page shows, in this order.
        optional: Metrics that the reader of the site may switch on.
        terminal: Metrics of the headline protocol in the terminal's table.
        terminal_beside: Metrics of the other protocols there.
        published: Metrics of the publication beside which a board is set.
        tuned: Metric in which optimism is stated; ``None`` where nothing is tuned.
        protocols: Protocols of a task that names none.
    """

    name: str
    question: Question
    primary: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    terminal: tuple[str, ...] = ()
    terminal_beside: tuple[str, ...] = ()
    published: tuple[str, ...] = ("pearson_r", "mae")
    tuned: str | None = None
    protocols: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether a probe is trained, so that there are folds, and diagnostics that question them."""
        return self.question != "retrieval"


KINDS: Mapping[str, TaskKind] = {
    kind.name: kind
    for kind in (
        TaskKind(
            "binary",
            "classification",
            primary=("fold_auc", "auc", "accuracy"),
            shown=("fold_auc", "accuracy", "balanced_accuracy", "f1", "specificity", "sensitivity", "auc"),
            optional=(
                "sensitivity_at_90_specificity",
                "sensitivity_at_95_specificity",
                "auprc",
                "brier",
                "calibration_slope",
            ),
            terminal=("fold_auc", "accuracy"),
            terminal_beside=("auc", "accuracy"),
            published=("accuracy", "auc"),
            tuned="accuracy",
            protocols=("svc-nested@2", "svc-paper@1"),
        ),
        TaskKind(
            "multiclass",
            "classification",
            primary=("fold_auc", "auc", "accuracy"),
            shown=("fold_auc", "accuracy", "balanced_accuracy", "macro_f1", "auc"),
            terminal=("balanced_accuracy", "accuracy"),
            terminal_beside=("accuracy",),
            tuned="accuracy",
            protocols=("svc-nested@2", "svc-paper@1"),
        ),
        TaskKind(
            "regression",
            "regression",
            primary=("mae", "pearson_r"),
            shown=("mae", "rmse", "fold_pearson_r", "fold_auc", "pearson_r", "auc"),
            terminal=("fold_pearson_r", "mae"),
            terminal_beside=("pearson_r", "mae"),
            tuned="mae",
            protocols=("ridge-nested@2", "knn@1"),
        ),
        TaskKind(
            "ordinal",
            "ordinal",
            primary=("quadratic_kappa", "mae"),
            shown=("quadratic_kappa", "mae", "fold_auc", "auc"),
            terminal=("quadratic_kappa", "mae"),
            terminal_beside=("quadratic_kappa", "mae"),
            published=(),
            protocols=("ordinal-ridge@1", "knn@1"),
        ),
        TaskKind(
            "map",
            "retrieval",
            primary=("balanced_accuracy",),
            shown=("balanced_accuracy", "accuracy", "macro_f1"),
            terminal=("balanced_accuracy",),
            terminal_beside=("balanced_accuracy",),
            protocols=("neighbours@1",),
        ),
    )
}


def task_kind(name: str) -> TaskKind:
    """Return the facts of a kind of task.

    Args:
        name: Its name, as in a task or a result; one that is unknown here, such as that of a newer result file, gives a
            kind without metrics, so that readers of results show what they can.
    """
    return KINDS.get(name, TaskKind(name, "classification"))


def shown_metrics(kind: str, present: Iterable[str]) -> list[str]:
    """Return the metrics of a kind that a page shows, of those that are there.

    Args:
        kind: Name of the kind.
        present: Metrics that results hold.

    Returns:
        In the kind's order; AUCs at thresholds of their own follow the AUC at the first one.
    """
    there = list(dict.fromkeys(present))
    further = sorted((name for name in there if threshold_of(name) is not None), key=there.index)
    found: list[str] = []
    for name in task_kind(kind).shown:
        found += [name] if name in there else []
        found += further if name == "auc" else []
    return found


def probe_question(name: str) -> Literal["classification", "regression", "ordinal"]:
    """Return what a trained probe is asked for a kind of task: a class, a number or a grade."""
    question = task_kind(name).question
    return "classification" if question == "retrieval" else question

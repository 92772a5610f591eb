"""What follows from the kind of a task."""

from __future__ import annotations

PRIMARY = {
    "binary": ("fold_auc", "auc", "accuracy"),
    "multiclass": ("fold_auc", "auc", "accuracy"),
    "regression": ("mae", "pearson_r"),
    "map": ("balanced_accuracy",),
}
"""Kind of task to the metric it is ranked by; the next ones where the first does not exist.

Classification is ranked by the AUC over pairs tested by one and the same decision function: it needs no threshold and
does not move with the share of positives. Regression is ranked by the mean absolute error, in which a constant
prediction can compete; a correlation is undefined for it.
"""


SHOWN = {
    "binary": ("fold_auc", "accuracy", "balanced_accuracy", "f1", "specificity", "sensitivity", "auc"),
    "multiclass": ("fold_auc", "accuracy", "balanced_accuracy", "macro_f1", "auc"),
    "regression": ("mae", "rmse", "pearson_r", "auc"),
    "map": ("balanced_accuracy", "accuracy", "macro_f1"),
}
"""Kind of task to the metrics a page shows, in this order."""


TUNED = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}
"""Kind of task to the metric in which optimism is stated."""

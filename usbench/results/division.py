"""One test set: whether a result was trained on some units and tested on others, and how many these are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from usbench.results.schema import Result


@dataclass(frozen=True)
class Side:
    """The units of one side.

    Attributes:
        units: How many.
        subjects: Of how many subjects.
        classes: Class to number of units, in the order of the data; empty where the target is a number.
    """

    units: int
    subjects: int
    classes: dict[str, int]

    def told(self, unit: str) -> str:
        """Return the counts in words: ``354 images of 204 subjects``.

        Args:
            unit: What one decision is about.
        """
        spoken = unit if self.units == 1 else f"{unit}s"
        if unit == "subject":
            return f"{self.units} {spoken}"
        return f"{self.units} {spoken} of {self.subjects} subject{'' if self.subjects == 1 else 's'}"


@dataclass(frozen=True)
class Division:
    """What was trained on and what was tested on.

    Attributes:
        trained: The side that is only trained on.
        tested: The side that is only tested on.
    """

    trained: Side
    tested: Side


def division_of(result: Result) -> Division | None:
    """Return both sides of a result that one decision function gave: another dataset, or one train/test split.

    Args:
        result: The result.

    Returns:
        The sides; ``None`` where units are answered in folds, or nothing is trained.
    """
    draws = [repeat.fold for entry in result.protocols.values() for repeat in entry.repeats]
    if not draws or any(fold != draws[0] for fold in draws):
        return None
    if None not in draws[0] or len({fold for fold in draws[0] if fold is not None}) != 1:
        return None
    return Division(_side(result, draws[0], tested=False), _side(result, draws[0], tested=True))


def told_as(metric: str, division: Division | None) -> str:
    """Return the metric whose title a figure is shown under: with one test set there are no folds, so the plain AUC.

    Args:
        metric: Name of a metric.
        division: Of the result it is of.
    """
    return "auc" if metric == "fold_auc" and division is not None else metric


def _side(result: Result, fold: list[int | None], tested: bool) -> Side:
    chosen = [i for i, number in enumerate(fold) if (number is not None) is tested]
    names = list(result.dataset.get("counts", {}).get("classes", {}))
    held = Counter(str(result.units.target[i]) for i in chosen)
    return Side(
        len(chosen), len({result.units.subject[i] for i in chosen}), {name: held[name] for name in names if held[name]}
    )

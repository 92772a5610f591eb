"""Numbers as readers see them: short, aligned, with unit and direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from usbench.statistics.metrics import find_metric

DASH = "–"
MINUS = "−"


@dataclass(frozen=True)
class Column:
    """How one metric is printed.

    Attributes:
        metric: Its name in result files.
        title: Heading without unit.
        unit: ``%``, the unit of the target, or nothing.
        decimals: Digits after the point.
        factor: What the stored value is multiplied with.
        higher_is_better: Direction; ``None`` where the metric is not registered.
    """

    metric: str
    title: str
    unit: str
    decimals: int
    factor: float
    higher_is_better: bool | None

    @property
    def heading(self) -> str:
        """Title, unit and an arrow that points to better."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.title}{', ' + self.unit if self.unit else ''}{arrow}"

    @property
    def spoken(self) -> str:
        """Heading in words, for screen readers and captions."""
        better = {True: ", higher is better", False: ", lower is better", None: ""}[self.higher_is_better]
        return f"{self.title}{' in ' + self.unit if self.unit else ''}{better}"

    def value(self, value: float | None) -> str:
        """Format a value, or a dash where there is none."""
        if value is None or not math.isfinite(value):
            return DASH
        return _signed(f"{value * self.factor:.{self.decimals}f}")

    def interval(self, low: float | None, high: float | None) -> str:
        """Format an interval as ``0.55 to 0.81``, short enough for a column."""
        if low is None or high is None:
            return DASH
        return f"{self.value(low)} to {self.value(high)}"

    def difference(self, value: float | None) -> str:
        """Format a difference with its sign."""
        if value is None or not math.isfinite(value):
            return DASH
        return _signed(f"{value * self.factor:+.{self.decimals}f}")

    def better(self, a: float | None, b: float | None) -> bool:
        """Whether ``a`` is better than ``b``; a missing value is never better."""
        if a is None or self.higher_is_better is None:
            return False
        return b is None or (a > b if self.higher_is_better else a < b)

    def rank_key(self, value: float | None) -> float:
        """Key that sorts the best first and missing values last."""
        if value is None:
            return math.inf
        return -value if self.higher_is_better in (True, None) else value


def column(metric: str, unit_of_target: str = "") -> Column:
    """Return how a metric is printed.

    Args:
        metric: Name in result files; unknown ones are printed as they are.
        unit_of_target: Physical unit of a regression target.
    """
    known = find_metric(metric)
    if known is None:
        return Column(metric, metric.replace("_", " ").capitalize(), "", 3, 1.0, None)
    if known.unit == "%":
        return Column(metric, known.title, "%", 1, 100.0, known.higher_is_better)
    if known.unit == "target":
        return Column(metric, known.title, unit_of_target, 2, 1.0, known.higher_is_better)
    decimals = 2 if metric in ("pearson_r", "fold_pearson_r", "calibration_slope") else 3
    return Column(metric, known.title, "", decimals, 1.0, known.higher_is_better)


def p_value(p: float | None) -> str:
    """Format a p-value with two figures that mean something."""
    if p is None or not math.isfinite(p):
        return DASH
    if p < 0.001:
        return "<0.001"
    if p < 0.0995:
        return f"{p:.3f}" if p < 0.01 else f"{p:.3f}".rstrip("0") if f"{p:.3f}".endswith("0") else f"{p:.3f}"
    return f"{min(p, 1.0):.2f}"


def p_statement(p: float | None) -> str:
    """Format a p-value for a sentence: ``p = 0.03`` or ``p <0.001``."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def count(number: float | None, unit: float = 1.0, decimals: int = 1) -> str:
    """Format parameters, GFLOPs or images per second with about three figures.

    Args:
        number: The number; ``None`` gives a dash.
        unit: What it is divided by, for example 10^6.
        decimals: The most digits after the point.
    """
    if number is None or not math.isfinite(number):
        return DASH
    scaled = number / unit
    if scaled == 0:
        return "0"
    digits = max(0, min(decimals, 2 - math.floor(math.log10(abs(scaled)))))
    return f"{scaled:.{digits}f}"


def plural(number: int, noun: str) -> str:
    """Return ``1 patient`` or ``63 patients``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", "\u202f" if number >= 10_000 else "")


def _signed(text: str) -> str:
    # A true minus is as wide as a digit; "-0.0" is no difference at all.
    if text.startswith(("-", "+")) and not text.strip("+-0."):
        return text.strip("+-")
    return text.replace("-", MINUS)

"""Gather the logs of the packaged weights into ``curves*.csv``, and draw ``curves*.svg`` from them.

python docs/tusa/curves.py open-v1 runs/open-v1-low runs/open-v1-middle runs/open-v1   # with the runs at hand
python docs/tusa/curves.py open-v2 runs/open-v2 runs/scratch
python docs/tusa/curves.py                                                             # the figures alone, from the CSV
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from tusa.training.monitor import read_log

HERE = Path(__file__).resolve().parent
COLOURS = {"open-v2": "#0072b2", "scratch": "#d55e00"}


@dataclass(frozen=True)
class Figure:
    """What one figure shows.

    Attributes:
        file: stem of CSV and SVG.
        panels: metrics, the first drawn as a line and the second dashed, and a title.
        in_turn: whether the runs follow one another; otherwise they lie over one another.
    """

    file: str
    panels: tuple[tuple[tuple[str, ...], str], ...]
    in_turn: bool


FIGURES = {
    "open-v1": Figure(
        "curves",
        (
            (("contrastive",), "NT-Xent"),
            (("distillation",), "feature prediction, 1 − cosine"),
            (("absolute", "structural"), "reconstruction: L1 and 1 − SSIM"),
            (("probe/organ_accuracy",), "organs, held out: accuracy"),
        ),
        in_turn=True,
    ),
    "open-v2": Figure(
        "curves-v2",
        (
            (("contrastive",), "NT-Xent"),
            (("teacher_prediction",), "teacher's vector, 1 − cosine"),
            (("absolute", "structural"), "reconstruction: L1 and 1 − SSIM"),
            (("probe/organ_accuracy",), "organs, held out: accuracy"),
            (("probe/effective_rank",), "effective rank, held out"),
        ),
        in_turn=False,
    ),
}


def gather(figure: Figure, runs: list[Path]) -> None:
    """Write what the figure shows: part, step, metric, value."""
    kept = {metric for metrics, _ in figure.panels for metric in metrics}
    with (HERE / f"{figure.file}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "step", "metric", "value"])
        for number, run in enumerate(runs, start=1):
            for step, metric, value in read_log(run):
                if metric in kept:
                    writer.writerow([number if figure.in_turn else run.name, step, metric, f"{value:.5g}"])


def draw(figure: Figure) -> None:
    """One panel a pair of metrics; the runs in turn or over one another."""
    with (HERE / f"{figure.file}.csv").open(encoding="utf-8", newline="") as file:
        rows = [(r["part"], int(r["step"]), r["metric"], float(r["value"])) for r in csv.DictReader(file)]
    parts = list(dict.fromkeys(part for part, *_ in rows))
    lengths = [max(step for part, step, *_ in rows if part == name) + 1 for name in parts]
    starts = {name: sum(lengths[:place]) if figure.in_turn else 0 for place, name in enumerate(parts)}
    mpl.rcParams["svg.hashsalt"] = f"tusa.{figure.file}"
    canvas, axes = plt.subplots(1, len(figure.panels), figsize=(3.25 * len(figure.panels), 3))
    for axis, (metrics, title) in zip(axes, figure.panels, strict=True):
        for metric, style in zip(metrics, ("-", "--"), strict=False):
            for group in [parts] if figure.in_turn else [[part] for part in parts]:
                points = [
                    (starts[part] + step, value) for part, step, name, value in rows if name == metric and part in group
                ]
                if points:
                    axis.plot(
                        *zip(*points, strict=True),
                        style,
                        color=COLOURS.get(group[0], "#0072b2"),
                        label=group[0],
                        linewidth=1.1,
                        marker="." if len(points) < 40 else "",
                    )
        for border in list(starts.values())[1:] if figure.in_turn else []:
            axis.axvline(border, color="#999999", linewidth=0.8, linestyle=":")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("optimiser step")
        axis.spines[["top", "right"]].set_visible(False)
    if not figure.in_turn:
        axes[0].legend(frameon=False, fontsize=9)
    canvas.tight_layout()
    canvas.savefig(HERE / f"{figure.file}.svg", metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        gather(FIGURES[sys.argv[1]], [Path(argument) for argument in sys.argv[2:]])
    for shown in FIGURES.values():
        draw(shown)

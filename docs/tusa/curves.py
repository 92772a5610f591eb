"""Gather the logs of the three parts of ``tusa.open-v1`` into ``curves.csv``, and draw ``curves.svg`` from it.

python docs/tusa/curves.py runs/open-v1-low runs/open-v1-middle runs/open-v1   # with the runs at hand
python docs/tusa/curves.py                                                     # the figure alone, from the CSV
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from tusa.training.monitor import read_log

HERE = Path(__file__).resolve().parent
KEPT = ("contrastive", "distillation", "absolute", "structural", "probe/organ_accuracy", "probe/effective_rank")
PANELS = (
    (("contrastive",), "NT-Xent"),
    (("distillation",), "feature prediction, 1 − cosine"),
    (("absolute", "structural"), "reconstruction: L1 and 1 − SSIM"),
    (("probe/organ_accuracy",), "organs, held out: accuracy"),
)


def gather(runs: list[Path]) -> None:
    """Write what the figure shows: part, step, metric, value."""
    with (HERE / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "step", "metric", "value"])
        for part, run in enumerate(runs, start=1):
            for step, metric, value in read_log(run):
                if metric in KEPT:
                    writer.writerow([part, step, metric, f"{value:.5g}"])


def draw() -> None:
    """Four panels, the parts one after the other."""
    with (HERE / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = [(int(r["part"]), int(r["step"]), r["metric"], float(r["value"])) for r in csv.DictReader(file)]
    ends = [max(step for part, step, *_ in rows if part == number) + 1 for number in (1, 2, 3)]
    starts = [0, ends[0], ends[0] + ends[1]]
    mpl.rcParams["svg.hashsalt"] = "tusa.open-v1"
    figure, axes = plt.subplots(1, 4, figsize=(13, 3))
    for axis, (metrics, title) in zip(axes, PANELS, strict=True):
        for metric, style in zip(metrics, ("-", "--"), strict=False):
            points = [(starts[part - 1] + step, value) for part, step, name, value in rows if name == metric]
            if points:
                axis.plot(
                    *zip(*points, strict=True),
                    style,
                    color="#0072b2",
                    linewidth=1.1,
                    marker="." if len(points) < 40 else "",
                )
        for border in starts[1:]:
            axis.axvline(border, color="#999999", linewidth=0.8, linestyle=":")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("optimiser step")
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(HERE / "curves.svg", metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        gather([Path(argument) for argument in sys.argv[1:]])
    draw()

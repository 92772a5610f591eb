"""What the second versions of the protocols changed: results of the first beside those of the second, on the same data.

Writes the table of docs/protocol-versions.md between its marks.

    python benchmarks/versions.py                 # write
    python benchmarks/versions.py --check         # only say whether the page agrees with the results
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from usbench.leaderboard import number_format
from usbench.results import load
from usbench.results.schema import Result

ROOT = Path(__file__).resolve().parents[1]
EARLIER = ROOT / "leaderboards" / "earlier" / "version-1"
CURRENT = ROOT / "leaderboards" / "results"
PAGE = ROOT / "docs" / "protocol-versions.md"
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"
ENDS = {"C": (1e-3, 1e3), "penalty": (1e-3, 1e3)}
"""Smallest and largest value of the first versions' grids."""
HEADLINE = {"svc-nested": "fold_auc", "ridge-nested": "mae"}


def edge(result: Result, protocol: str) -> float | None:
    """Return the share of folds whose chosen value is an end of the first version's grid."""
    for name, (low, high) in ENDS.items():
        chosen = result.protocols[protocol].hyperparameters.get(name)
        if chosen:
            return sum(value <= low * 1.001 or value >= high * 0.999 for value in chosen) / len(chosen)
    return None


def rows() -> list[list[str]]:
    """Return the rows of the table: board, encoder, metric, both values with intervals, both shares at an edge."""
    found = []
    for path in sorted(EARLIER.glob("*/*.json")):
        other = CURRENT / path.parent.name / path.name
        if not other.exists():
            continue
        before, after = load(path), load(other)
        for family, metric in HEADLINE.items():
            first, second = f"{family}@1", f"{family}@2"
            if first not in before.protocols or second not in after.protocols:
                continue
            column = number_format.column(metric, after.task.get("unit_of_target", ""))
            told = []
            for result, protocol in ((before, first), (after, second)):
                estimate = result.protocols[protocol].metrics[metric]
                told.append(f"{column.value(estimate.value)} ({column.interval(estimate.low, estimate.high)})")
            shares = (edge(before, first), after.protocols[second].hyperparameters.get("edge"))
            found.append(
                [path.parent.name, path.stem, column.title, *told]
                + ["–" if share is None else f"{100 * share:.0f} %" for share in shares]
            )
    return found


def table() -> str:
    """Return the table as Markdown."""
    head = ["board", "encoder", "metric", "version 1 (95 %)", "version 2 (95 %)", "at an end, 1", "at an edge, 2"]
    lines = [head, ["---"] * 3 + ["---:"] * 4, *rows()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the page differs")
    check = parser.parse_args().check
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    new = f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"
    if check:
        return int(new != text)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

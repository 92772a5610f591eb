"""Write the measured tables of the hand-written pages anew, from the committed results and benchmarks.

    python docs/measured.py             # after results or benchmarks/*.json have changed
    python docs/measured.py --check     # only say which pages are out of date

A table stands between ``<!-- measured: NAME -->`` and ``<!-- end of measured -->``; NAME is a function of this file.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from usbench.leaderboard.board import gather
from usbench.leaderboard.number_format import p_statement
from usbench.results.schema import Result, load

ROOT = Path(__file__).resolve().parents[1]
BASELINES = ("texture", "pixels", "tusa.random", "random-projection")
NEEDED = {"shortcut", "frame_budget", "duplicates", "permutation"}
PAGES = ("docs/statistics.md", "docs/instruments.md", "docs/tusa/open-v2.md", "docs/speed.md")
_MARKED = re.compile(r"^(<!-- measured: (\w+) -->\n)(.*?)^(<!-- end of measured -->)$", flags=re.M | re.S)


def coverage(root: Path) -> str:
    """Simulated coverage of intervals and level of comparisons, and how far these figures can be trusted."""
    found = json.loads((root / "benchmarks" / "interval_coverage.json").read_text(encoding="utf-8"))
    heads = ("setting", "metric", "n", "mean", "SE/SD, fixed", "SE/SD", "coverage, fixed", "coverage")
    rows = [
        [
            f["setting"],
            f["metric"],
            str(f["cohorts"]),
            f"{f['mean']:.3f}",
            f"{f['error_before']:.2f}",
            f"{f['error']:.2f}",
            f"{f['coverage_before']:.3f}",
            f"**{f['coverage']:.3f}**",
            f"{f['level_before']:.3f}",
            f"**{f['level']:.3f}**",
        ]
        for f in found
        if f["metric"] in ("fold_auc", "accuracy", "mae", "pearson_r")
    ]
    n = [f["cohorts"] for f in found]
    sizes = f"{min(n)} cohorts" if min(n) == max(n) else f"{min(n)} to {max(n)} cohorts"
    # Two encoders a cohort for coverage, one comparison for the level; the fewest cohorts are the least certain.
    of_coverage, of_level = sqrt(0.95 * 0.05 / (2 * min(n))), sqrt(0.95 * 0.05 / min(n))
    return _table((*heads, "level, fixed", "level"), rows, text=2) + (
        f"\nWith {sizes} a setting, a coverage of .95 has a standard error of up to {of_coverage:.3f} and a level of "
        f".05 one\nof up to {of_level:.3f}.\n"
    )


def shortcut(root: Path) -> str:
    """Whether the scanner can be read, and what is left of the score within one."""
    rows = []
    for result in _results(root, "breast_lesion"):
        section = result.instruments["shortcut"]
        within, drop = section["within"]["estimate"], section["within"]["difference"]
        read = {part: 100 * section["estimate"][part] for part in ("value", "low", "high")}
        cells = [
            f"{read['value']:.1f} % ({_span(read, '{:.1f}'.format)})",
            f"{within['value'] - drop['value']:.3f}",
            f"{within['value']:.3f} (Δ {_signed(drop['value'])}, {_span(drop, _signed)})",
            _p(result.instruments["permutation"]["p"]),
        ]
        rows.append([result.encoder["name"], *cells])
    heads = ("", "scanner read, balanced accuracy", "AUC, all pairs", "AUC, one scanner", "p of true labels")
    images, patients, scanners = len(result.units.id), len(set(result.units.subject)), len(section["subjects"])
    protocol = section["within"]["protocol"]
    caption = (
        f"On all of BUS-BRA ({images:,} images, {patients:,} patients, {scanners} scanners; chance "
        f"{100 / scanners:.0f} %; {protocol}):"
    )
    return f"{caption}\n\n{_table(heads, rows, text=1)}"


def frame_budget(root: Path) -> str:
    """The score by frames per patient, and what shuffled labels reach."""
    rows, reached = [], []
    for result in _results(root, "covid"):
        curve, permuted = result.instruments["frame_budget"]["curve"], result.instruments["permutation"]
        counts = [str(point["frames"]) for point in curve]
        scores = [
            f"{point['estimate']['value']:.3f}" + ("†" if point.get("difference", {"p": 1})["p"] < 0.05 else "")
            for point in curve
        ]
        null = permuted["null"]
        reached.append(null["high"])
        told = [f"{permuted['observed']:.3f}", _span(null, "{:.3f}".format), _p(permuted["p"])]
        rows.append([result.encoder["name"], *scores, *told])
    patients = len(set(result.units.subject))
    protocol = result.instruments["frame_budget"]["protocol"]
    caption = (
        f"On COVID-BLUES ({patients} patients; {protocol}), AUC within folds by frames per patient, † differs from "
        f"{counts[-1]} frames (paired, not corrected):"
    )
    table = _table(("", *counts, "kernel probe", "shuffled labels, 95 %", "p"), rows, text=1)
    return f"{caption}\n\n{table}\nWith so few patients, shuffled labels alone reach an AUC of {min(reached):.2f}.\n"


def duplicates(root: Path) -> str:
    """How many files were compared, and how many pairs look alike."""
    told = []
    for board, kind in (("breast_lesion", "files of BUS-BRA"), ("covid", "videos of COVID-BLUES")):
        section = next(_results(root, board)).instruments["duplicates"]
        told.append(f"{section['pairs']} pairs among the {section['files']:,} {kind}")
    return f"Files of different patients that look alike: {told[0]}, {told[1]}.\n"


def tusa_boards(root: Path) -> str:
    """The three sets of weights of TUSA on every board beside baselines and the best encoder from natural images."""
    columns = ("tusa", "tusa.scratch", "tusa.open-v1", "tusa.random", "texture", "sscd-mobile")
    rows = []
    for board in gather(root / "leaderboards" / "results"):
        entries = {entry.name: entry for entry in board.entries}
        if not board.own_dataset or board.synthetic or "tusa" not in entries:
            continue  # before encoders are compared, which takes long
        standing = board.standing()
        if "tusa" not in standing.comparator.names:
            continue
        shown = board.column(str(standing.metric))
        values = [standing.comparator.value(name) for name in columns]
        cells = ["–" if value is None else shown.value(value) for value in values]
        known = {d.against: d for d in standing.references.get("tusa", ())}
        for floor in ("tusa.random", "texture"):
            d = known.get(floor)
            cells.append("–" if d is None else f"{shown.difference(d.value)} ({p_statement(d.p_adjusted)})")
        linked = f"[{board.name}](../../leaderboards/{board.name}.md){entries['tusa'].mark}"
        rows.append([linked, shown.heading, *cells])
    heads = ("open-v2", "scratch", "open-v1", "untrained", "texture", "SSCD student", "Δ untrained", "Δ texture")
    return _table(("board", "metric", *heads), rows, text=2)


def peers(root: Path) -> str:
    """Times, memory, figures and lines beside other benchmarks of frozen encoders."""
    report = json.loads((root / "benchmarks" / "peers.json").read_text(encoding="utf-8"))
    script = runpy.run_path(str(ROOT / "benchmarks" / "peer_page.py"))
    written: str = script["table_of"](report)
    told = f"{script['circumstances'](report)}\n\n{written}\n{script['LEGEND']}\n"
    return f"{told}\nWhat each does better than this project:\n\n{script['better'](report)}\n"


def then_and_now(root: Path) -> str:
    """Figures of earlier revisions beside those of the committed benchmarks."""
    folder = root / "benchmarks"
    shown: dict[str, Callable[[float], str]] = {
        "ratio": "{:.2f}".format, "share": "{:.0%}".format, "s": "{:.2f} s".format, "ms": "{:.2f} ms".format,
        "MiB": "{:,.0f} MiB".format,
    }  # fmt: skip
    rows = []
    for past in json.loads((folder / "past.json").read_text(encoding="utf-8")):
        now: Any = json.loads((folder / f"{past['page']}.json").read_text(encoding="utf-8"))
        for part in past["at"]:  # a key, or the values by which a row is found
            now = _row(now, part) if isinstance(part, dict) else now[part]
        said = shown[past["unit"]]
        then = f"{said(past['before'])} ({past['revision']})"
        rows.append([past["figure"], f"[{past['page']}](../benchmarks/{past['page']}.md)", then, said(now)])
    return _table(("figure", "page", "then (revision)", "now"), rows, text=2)


TABLES: dict[str, Callable[[Path], str]] = {
    table.__name__: table for table in (coverage, shortcut, frame_budget, duplicates, tusa_boards, peers, then_and_now)
}


def filled(page: str, root: Path = ROOT) -> str:
    """Return a page with its marked tables as results and benchmarks give them.

    Args:
        page: The text of a page.
        root: The repository.

    Raises:
        KeyError: A mark names no table.
    """
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]](root)}{found[4]}", page)


def _results(root: Path, board: str) -> Iterator[Result]:
    """Yield the baselines of a board with all diagnostics: of today's protocols, or of earlier ones until then."""
    boards = root / "leaderboards"
    for folder in (boards / "results" / board, *sorted((boards / "earlier").glob(f"*/{board}"), reverse=True)):
        files = [folder / f"{name}.json" for name in BASELINES]
        if all(file.exists() for file in files):
            found = [load(file) for file in files]
            if all(set(result.instruments) >= NEEDED for result in found):
                yield from found
                return
    raise SystemExit(f"{boards}: no results of {board} with {', '.join(sorted(NEEDED))}. Run usbench audit.")


def _row(rows: Sequence[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in rows if all(row[key] == value for key, value in values.items()))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], text: int) -> str:
    rule = ["---"] * text + ["---:"] * (len(heads) - text)
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join(rule) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines).replace("|  |", "| |", 1) + "\n"


def _span(estimate: dict[str, Any], shown: Callable[[float], str]) -> str:
    return f"{shown(estimate['low'])} to {shown(estimate['high'])}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _p(value: Any) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")
    check = parser.parse_args().check
    stale = 0
    for name in PAGES:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if before != after:
            stale += 1
            print(f"{name}: {'out of date' if check else 'written'}")
            if not check:
                path.write_text(after, encoding="utf-8")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()

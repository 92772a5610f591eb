"""Score against the severity of acquisition shifts: one panel per shift, one line per encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from usbench.diagnostics.shifts.levels import NAMES
from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.panels import Key, Panels
from usbench.leaderboard.figures.svg import Drawing, nice_ticks
from usbench.leaderboard.figures.text import csv_line, number, tick_label

WIDTH, HEIGHT, PAD, COLUMNS = 168, 120, 36, 4
LEVELS = 5


@dataclass(frozen=True)
class Curve:
    """The levels of one shift for one encoder, by severity."""

    entry: Entry
    shift: str
    points: dict[int, dict[str, Any]]


def curves_of(board: Board) -> list[Curve]:
    """Return every measured curve, in the order of entries and shifts."""
    found = []
    for entry in board.entries:
        section = entry.result.instruments.get("shifts")
        if section is None or section["metric"] != board.primary() or section["protocol"] != board.headline:
            continue
        by_shift: dict[str, dict[int, dict[str, Any]]] = {}
        for level in section["measured"].values():
            by_shift.setdefault(level["shift"], {})[level["severity"]] = level
        found += [Curve(entry, shift, points) for shift, points in by_shift.items()]
    return found


def shift_order(name: str) -> tuple[int, str]:
    """Sort key of a shift: the order in which the shifts are listed, unknown ones last."""
    return (NAMES.index(name) if name in NAMES else len(NAMES), name)


def shifts(board: Board) -> Panels | None:
    """Draw the curves.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` when no shift has been measured.
    """
    curves = curves_of(board)
    if not curves:
        return None
    column = board.column(board.primary() or "")
    entries = [entry for entry in board.entries if any(c.entry is entry for c in curves)]
    names = sorted({c.shift for c in curves}, key=shift_order)
    values = [
        v * column.factor
        for c in curves
        for e in (_clean(c.entry), *(p["estimate"] for p in c.points.values()))
        for v in (e["value"],)
        if v is not None
    ]
    ticks = nice_ticks(min(values), max(values), 4)
    return Panels(
        f"{board.task.title}: {column.title} under acquisition shifts",
        f"{column.spoken}, against the severity of each shift; trained on clean images, tested on shifted ones.",
        board.task.title,
        f"{column.spoken}, against severity; trained on clean images, tested on shifted ones",
        [
            _panel(name, [(entries.index(c.entry) + 1, c) for c in curves if c.shift == name], ticks, column)
            for name in names
        ],
        COLUMNS,
        [
            Key(f"{i + 1}  {entry.title}{entry.mark}", f"{'f' if entry.floor else 'e'} l", "line")
            for i, entry in enumerate(entries)
        ],
    )


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure."""
    head = "board,encoder,protocol,metric,shift,severity,amount,trained,value,low,high,difference,difference_low"
    rows = [head + ",difference_high,p,p_adjusted,drift,drift_low,drift_high"]
    for curve in curves_of(board):
        section = curve.entry.result.instruments["shifts"]
        for severity, level in sorted(curve.points.items()):
            e, d, moved = level["estimate"], level["difference"], level["drift"]
            cells = [board.name, curve.entry.name, section["protocol"], section["metric"], curve.shift, str(severity)]
            cells += [level["amount"], str(level["trained"]).lower()]
            cells += [number(e[k]) for k in ("value", "low", "high")]
            cells += [number(d[k]) for k in ("value", "low", "high", "p", "p_adjusted")]
            cells += [number(moved[k]) for k in ("value", "low", "high")]
            rows.append(csv_line(cells))
    return "\n".join(rows) + "\n"


def _clean(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = entry.result.instruments["shifts"]["clean"]
    return found


def _panel(name: str, curves: list[tuple[int, Curve]], ticks: list[float], column: number_format.Column) -> Drawing:
    left, top = PAD, 24
    drawing = Drawing(
        PAD + WIDTH,
        top + HEIGHT + 22,
        f"{column.title} under the shift {name.replace('_', ' ')}",
        f"{column.spoken}, against severity, one line per encoder.",
    )

    def x(severity: int) -> float:
        return left + 8 + (WIDTH - 30) * severity / LEVELS

    def y(value: float) -> float:
        return top + HEIGHT - HEIGHT * (value * column.factor - ticks[0]) / (ticks[-1] - ticks[0])

    drawing.text(left, top - 8, name.replace("_", " "), "t b")
    for tick in ticks:
        at = top + HEIGHT - HEIGHT * (tick - ticks[0]) / (ticks[-1] - ticks[0])
        drawing.line(left, at, left + WIDTH - 14, at, "grid")
        drawing.text(left - 6, at + 4, tick_label(tick), "t s n", "end")
    for severity in range(LEVELS + 1):
        drawing.text(x(severity), top + HEIGHT + 14, "clean" if severity == 0 else str(severity), "t s n", "middle")
    ends: list[float] = []
    for number_, curve in curves:
        style = "f" if curve.entry.floor else "e"
        points = [(0, _clean(curve.entry)["value"])]
        points += [(s, p["estimate"]["value"]) for s, p in sorted(curve.points.items())]
        known = [(s, v) for s, v in points if v is not None]
        trained = any(p["trained"] for p in curve.points.values())
        drawing.path([(x(s), y(v)) for s, v in known], f"{style} l{' thin' if trained else ''}")
        for severity, value in known:
            level = curve.points.get(severity)
            told = (
                "clean" if level is None else f"{level['amount']}, Δ {column.difference(level['difference']['value'])}"
            )
            tip = f"{curve.entry.title}, {name} {severity or ''}: {column.value(value)} ({told})"
            sure = level is not None and level["difference"]["p_adjusted"] is not None
            differs = sure and level is not None and level["difference"]["p_adjusted"] < 0.05
            drawing.circle(x(severity), y(value), 3, style if differs or severity == 0 else f"{style} o", tip)
        end = y(known[-1][1]) + 4
        while any(abs(end - other) < 10 for other in ends):  # labels of lines that end together are spread
            end += 10
        ends.append(end)
        drawing.text(x(known[-1][0]) + 8, end, str(number_), "t s n")
    return drawing

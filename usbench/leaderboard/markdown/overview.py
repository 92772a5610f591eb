"""The overview page: every encoder on every task, and why a cell is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usbench.errors import UsbenchError
from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.markdown.table import Align, table
from usbench.leaderboard.markdown.task_page import RULE, as_printed, page_name
from usbench.leaderboard.ranking import rank
from usbench.task.kinds import task_kind

RANKING_NOTE = (
    "Ranks, because a mean over metrics of unlike units and spreads would weigh the tasks by accident; the interval "
    "resamples the subjects of every task and the tasks themselves."
)
NO_RANKING = (
    "There is no ranking over tasks yet: it takes two encoders that are not floors, measured on two tasks in common. A "
    "mean rank over whatever each happened to be run on would say who chose easier tasks."
)


@dataclass(frozen=True)
class Known:
    """A bundled encoder, whether or not somebody has run it."""

    name: str
    title: str
    floor: bool
    weights_page: str | None


def bundled_encoders() -> list[Known]:
    """Return the encoders that come with the program, families left out; reads cards only."""
    from usbench.plugins.catalog import ENCODERS

    found = []
    for name, source in ENCODERS.sources.items():
        if source.origin != "bundled" or name.endswith(":"):
            continue
        try:
            card = ENCODERS.get(name).value.card
        except UsbenchError:  # an optional dependency is absent here; the page must be the same everywhere
            continue
        found.append(Known(name, card.title, card.floor, card.weights.page if card.weights else None))
    return found


def overview_page(boards: Sequence[Board], known: Sequence[Known]) -> str:
    """Return the overview.

    Args:
        boards: All boards.
        known: Encoders that are named even if nobody has run them.
    """
    real = [b for b in boards if not b.synthetic]
    parts = [
        _head(),
        _matrix([b for b in real if b.entries], known),
        _ranking(real),
        _tasks(real),
        _reported(real),
        _unmeasured(real, known),
    ]
    simulated = [b for b in boards if b.synthetic]
    if simulated:
        parts.append(_simulated(simulated))
    parts.append(_foot())
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def rows_of(boards: Sequence[Board]) -> list[tuple[str, str, bool]]:
    """Return name, title and floor flag of every encoder with a result: foundation models first, then floors.

    Within each group those measured on more boards come first, then by title.
    """
    seen: dict[str, Entry] = {}
    boards_of: dict[str, int] = {}
    for board in boards:
        for entry in board.entries:
            seen.setdefault(entry.name, entry)
            boards_of[entry.name] = boards_of.get(entry.name, 0) + 1
    ordered = sorted(seen.values(), key=lambda e: (e.floor, -boards_of[e.name], e.title.lower()))
    return [(e.name, e.title, e.floor) for e in ordered]


def _head() -> str:
    return (
        f"<!-- {wording.WARNING} -->\n"
        "# Leaderboards\n\n"
        "Frozen encoders, probed on B-mode ultrasound. Every figure was computed from predictions that lie beside it "
        "in [results](results), with a 95 % interval that resamples subjects, next to floors that a foundation model "
        "has to beat: the same network with random weights, pixels, classical texture, a constant answer.\n\n"
        "- **Bold**: the best and all that a paired test cannot tell from it. Where the test tells nobody apart, "
        "nothing is bold.\n"
        "- *Italics*: floors.\n"
        "- ⚠: the encoder was pre-trained on the data it is tested on.\n"
        "- Figures of the nested protocol, in which no test subject has any say in the tuning. The paper's protocol "
        "and its reported values are on each task's page.\n"
    )


def _matrix(boards: Sequence[Board], known: Sequence[Known]) -> str:
    if not boards:
        return "## Measured\n\nNo result has been computed yet.\n"
    heading = ["Encoder"] + [_column_heading(board) for board in boards]
    align: list[Align] = ["left", *_times("center", len(boards))]
    rows: list[list[str]] = []
    ruled = False
    reasons: dict[str, str] = {}
    weights = {k.name for k in known if k.weights_page}
    for name, title, floor in rows_of(boards):
        if floor and not ruled:
            rows.append([f"{RULE} *floors* {RULE}", *[""] * len(boards)])
            ruled = True
        cells = [_cell(board, name, name in weights, reasons) for board in boards]
        rows.append([f"*{title}*" if floor else title, *cells])
    lines = ["## Measured", "", table(heading, align, rows)]
    lines += [f"- {mark}: {why}." for why, mark in reasons.items()]
    return "\n".join(lines) + "\n"


def _ranking(boards: Sequence[Board]) -> str:
    ranking = rank(boards)
    if ranking is None:
        return f"## Ranking\n\n{NO_RANKING}\n" if any(board.entries for board in boards) else ""
    names = [board.name for board in ranking.boards]
    rows = []
    for row in ranking.rows:
        cells = [f"{row.mean_rank:.1f}", f"{row.low:.1f} to {row.high:.1f}"]
        cells += [f"{row.ranks[name]:g}" for name in names]
        rows.append([f"*{row.title}*" if row.floor else row.title, *(f"*{c}*" if row.floor else c for c in cells)])
    heading = ["Encoder", "Mean rank ↓", "95 % interval", *(f"[{name}]({page_name(name)})" for name in names)]
    align: list[Align] = ["left", "right", "center", *_times("right", len(names))]
    text = f"Over the {len(names)} tasks on which all of these were measured. " + RANKING_NOTE
    lines = ["## Ranking", "", text, "", table(heading, align, rows)]
    if ranking.left_out:
        lines += [f"Not measured on all of them: {', '.join(ranking.left_out)}.", ""]
    return "\n".join(lines)


def _column_heading(board: Board) -> str:
    metric = board.primary()
    what = f"<br>{board.column(metric).heading}" if metric else ""
    return f"[{board.name}]({page_name(board.name)}){what}"


def _cell(board: Board, name: str, needs_weights: bool, reasons: dict[str, str]) -> str:
    entry = next((e for e in board.entries if e.name == name), None)
    metric = board.primary()
    if entry is None or metric is None:
        why = "its weights were not at hand when this board was run" if needs_weights else "not run on this board"
        mark = reasons.setdefault(why, f"–{'abcdefgh'[len(reasons)]}" if why not in reasons else reasons[why])
        return mark
    estimate = entry.estimate(board.headline, metric)
    column = board.column(metric)
    text = column.value(estimate.value)
    if text == number_format.DASH:
        return reasons.setdefault(f"{column.title} is undefined for this answer", f"–{'abcdefgh'[len(reasons)]}")
    text = f"*{text}*" if entry.floor else text
    if name in board.standing().leaders:
        text = f"**{text}**"
    if entry.result.leakage.get("state") == "overlap":
        text += " ⚠"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} <sub>{column.interval(estimate.low, estimate.high)}</sub>"


def _tasks(boards: Sequence[Board]) -> str:
    rows = []
    for board in boards:
        first = board.first
        entries = board.encoders
        metric = board.primary()
        best = best_floor = number_format.DASH
        if metric:
            column = board.column(metric)
            best = _named(entries[0], board, column, metric) if entries else number_format.DASH
            floors = board.floors
            best_floor = _named(floors[0], board, column, metric) if floors else number_format.DASH
        rows.append(
            [
                f"[{board.task.title}]({page_name(board.name)})",
                f"{first.dataset['title']}: {wording.sample(board)}" if first else f"`{board.task.dataset}`",
                best if board.entries else "not yet reproduced: data to be obtained",
                best_floor,
            ]
        )
    heading = ["Task", "Data", "Best encoder", "Best floor"]
    return "## Tasks\n\n" + table(heading, ["left", "left", "left", "left"], rows)


def _named(entry: Entry, board: Board, column: number_format.Column, metric: str) -> str:
    value = column.value(entry.estimate(board.headline, metric).value)
    return f"{entry.title}, {column.title} {value}{' ' + column.unit if column.unit else ''}"


def _reported(boards: Sequence[Board]) -> str:
    """Return the paper's own values in a table of their own, so that nobody takes them for measured ones."""
    columns = [(board, metric) for board in boards if board.reported for metric in task_kind(board.task.kind).published]
    if not columns:
        return ""
    titles: dict[str, str] = {}
    for board, _ in columns:
        for row in board.reported.rows if board.reported else ():
            titles.setdefault(row.encoder, row.title)
    heading = ["Encoder (reported)"]
    for board, metric in columns:
        heading.append(f"[{board.name}]({page_name(board.name)})<br>{_printed_heading(board, metric)}")
    rows = []
    for encoder, title in titles.items():
        cells = [title]
        for board, metric in columns:
            found = next((r for r in (board.reported.rows if board.reported else ()) if r.encoder == encoder), None)
            cell = found.metrics.get(metric) if found else None
            cells.append(cell.printed if cell else "left out")
        rows.append(cells)
    source = next(b.reported for b in boards if b.reported).source["citation"]
    return (
        "## Reported in the paper, not measured here\n\n"
        f"{source}. Values as printed. Tuned and scored on the same splits as "
        "far as the text says, without intervals over patients.\n\n"
        + table(heading, ["left", *_times("right", len(columns))], rows)
    )


def _printed_heading(board: Board, metric: str) -> str:
    column = board.column(metric)
    return as_printed(column, board.reported) if board.reported else column.heading


def _unmeasured(boards: Sequence[Board], known: Sequence[Known]) -> str:
    measured = {name for name, _, _ in rows_of(boards)}
    rows = [
        [
            k.title,
            f"`{k.name}`",
            f"its weights are for you to get: {k.weights_page}" if k.weights_page else "not run yet",
        ]
        for k in known
        if k.name not in measured
    ]
    if not rows:
        return ""
    return "## Encoders without a measured figure\n\n" + table(
        ["Encoder", "Name", "Why"], ["left", "left", "left"], rows
    )


def _simulated(boards: Sequence[Board]) -> str:
    lines = ["## Simulated images, not patients", "", wording.PHANTOM, ""]
    lines += [
        f"- [{board.task.title}, on {board.first.dataset['title']}]({page_name(board.name)})"
        for board in boards
        if board.first
    ]
    return "\n".join(lines) + "\n"


def _times(align: Align, count: int) -> list[Align]:
    return [align] * count


def _foot() -> str:
    return (
        "## How these pages come about\n\n"
        "`usbench run` writes one JSON file an encoder and task into `results`; `usbench leaderboard` renders these "
        "pages from those files alone, and `usbench leaderboard --check` fails when a page differs from what they say. "
        "`usbench results validate` recomputes every metric from the predictions.\n"
    )

"""The tables of the overview: every encoder on every board, the ranking, the tasks, and what nobody has measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import LEAKAGE_MARKS, Board, Entry
from usbench.leaderboard.bundled import Known
from usbench.leaderboard.facets import facets
from usbench.leaderboard.number_format import DASH, Column
from usbench.leaderboard.ranking import Ranking
from usbench.leaderboard.tables.model import Cell, Heading, Link, Row, Table, metric_cell, metric_heading, name_cell
from usbench.leaderboard.tables.task_page import as_printed
from usbench.task.kinds import task_kind


def encoders_of(boards: Sequence[Board]) -> list[Entry]:
    """Return one entry per encoder with a result: foundation models first, then baselines.

    Within each group they are sorted by score: by the mean share of the other entries of a board that they surpass.
    """
    seen: dict[str, Entry] = {}
    shares: dict[str, list[float]] = {}
    for board in boards:
        metric = board.primary()
        values = {e.name: e.estimate(board.headline, metric).value for e in board.entries}
        for entry in board.entries:
            seen.setdefault(entry.name, entry)
            mine = values[entry.name]
            if metric is not None and mine is not None and len(values) > 1:
                beaten = sum(board.column(metric).better(mine, other) for other in values.values())
                shares.setdefault(entry.name, []).append(beaten / (len(values) - 1))
    score = {name: sum(found) / len(found) for name, found in shares.items()}
    return sorted(seen.values(), key=lambda e: (e.floor, -score.get(e.name, -1.0), e.title.lower()))


def matrix(boards: Sequence[Board], known: Sequence[Known]) -> Table | None:
    """Return encoders by boards, on the headline protocol; ``None`` while nothing was measured.

    Args:
        boards: Boards with results.
        known: Bundled encoders, for the reason why a cell is empty.
    """
    if not boards:
        return None
    headings = [Heading("encoder", "Encoder")]
    for board in boards:
        column = board.column(board.primary() or "")
        headings.append(replace(_board_heading(board, column, column.heading), interval="small"))
    weights = {k.name for k in known if k.weights_page}
    rows = []
    for first in encoders_of(boards):
        cells = [_in_matrix(board, first.name, first.base in weights) for board in boards]
        rows.append(Row([name_cell(first, marked=False), *cells], first.floor, facets(first)))
    return Table("measured", "Every encoder on every board, nested protocol, with 95 % intervals", headings, rows)


def ranking(found: Ranking | None) -> Table | None:
    """Return the ranking over shared tasks, or ``None`` where there is none."""
    if found is None:
        return None
    spoken = "Mean rank, lower is better"
    headings = [
        Heading("encoder", "Encoder"),
        Heading("rank", "Mean rank ↓", spoken, True, interval="95 % interval", shaded=True),
        *(_rank_heading(board) for board in found.boards),
    ]
    entries = {e.name: e for board in found.boards for e in board.entries}
    rows = []
    for row in found.rows:
        interval = f"{row.low:.1f} to {row.high:.1f}"
        mean = Cell(f"{row.mean_rank:.1f}", row.mean_rank, interval, italic=row.floor)
        ranks = [row.ranks[board.name] for board in found.boards]
        cells = [Cell(f"{value:g}", value, italic=row.floor) for value in ranks]
        # Baselines stay among the encoders: where they stand is what a ranking is for.
        first = entries[row.name]
        shown = {**facets(first), "leakage": _worst_leakage(row.name, found.boards)}
        rows.append(Row([_ranked(row.name, first, found), mean, *cells], row.floor, shown))
    caption = f"Mean rank over {len(found.boards)} tasks of {len(found.cohorts)} cohorts, with 95 % intervals"
    return Table("ranking", caption, headings, rows, mixed=True)


def ranking_text(found: Ranking) -> str:
    """Say what a ranking is over, and which tasks share their patients."""
    shared = [text for cohort in found.cohorts if (text := cohort.describe())]
    tasks = f"{number_format.plural(len(found.boards), 'task')} of {number_format.plural(len(found.cohorts), 'cohort')}"
    told = f" Tasks on the same patients: {'; '.join(shared)}." if shared else ""
    return f"Over {tasks} on which all of these were measured. {wording.RANKING_NOTE}{told}"


def tasks(boards: Sequence[Board]) -> Table:
    """Return the tasks with results: their data, the best encoder and the best baseline."""
    headings = [Heading("task", "Task"), Heading("data", "Data")]
    headings += [Heading("encoder", "Best encoder"), Heading("floor", "Best baseline")]
    rows = []
    for board in boards:
        if board.first is not None:
            best, floor = best_of(board, board.encoders), best_of(board, board.floors)
            data = Cell(f"{board.first.dataset['title']}: {wording.sample(board)}")
            rows.append(Row([_title(board), data, Cell(best or DASH), Cell(floor or DASH)]))
    return Table("tasks", "Tasks, their data, and who is best", headings, rows)


def tasks_without_result(boards: Sequence[Board]) -> Table | None:
    """Return the tasks that nobody has run, and the dataset of each; ``None`` where there are none."""
    headings = [Heading("task", "Task"), Heading("data", "Dataset"), Heading("reported", "Published values")]
    rows = []
    for board in boards:
        if not board.entries:
            published = "on the page" if board.reported else "none"
            rows.append(Row([_title(board), Cell(board.task.dataset, code=True), Cell(published)]))
    return Table("waiting", "Tasks without a result", headings, rows) if rows else None


def best_of(board: Board, entries: Sequence[Entry]) -> str:
    """Return the first of a board's encoders or baselines with its value, nothing where there is none."""
    metric = board.primary()
    if metric is None or not entries:
        return ""
    column, best = board.column(metric), entries[0]
    value = column.value(best.estimate(board.headline, metric).value)
    return f"{best.title}, {column.title} {value}{' ' + column.unit if column.unit else ''}"


def reported(boards: Sequence[Board]) -> Table | None:
    """Return the paper's own values on all tasks in a table of their own, so that nobody takes them for measured."""
    columns = [
        (board, board.reported, metric)
        for board in boards
        if board.reported
        for metric in task_kind(board.task.kind).published
    ]
    if not columns:
        return None
    headings = [Heading("encoder", "Encoder (reported)")]
    titles: dict[str, str] = {}
    for board, found, metric in columns:
        column = board.column(metric)
        headings.append(replace(_board_heading(board, column, as_printed(column, found)), key=f"{board.name}-{metric}"))
        for row in found.rows:
            titles.setdefault(row.encoder, row.title)
    rows = []
    for encoder, title in titles.items():
        cells = [Cell(title, title)]
        for _, found, metric in columns:
            printed = next((r.metrics.get(metric) for r in found.rows if r.encoder == encoder), None)
            cells.append(Cell(printed.printed, printed.value) if printed else Cell("left out"))
        rows.append(Row(cells))
    return Table("reported", "Values as printed in the paper, not measured here", headings, rows)


def unmeasured(boards: Sequence[Board], known: Sequence[Known]) -> list[Known]:
    """Return bundled encoders without a measured figure."""
    measured = {entry.base for board in boards for entry in board.entries}
    return [k for k in known if k.name not in measured]


def unmeasured_table(boards: Sequence[Board], known: Sequence[Known]) -> Table | None:
    """Return bundled encoders without a measured figure and why, or ``None`` where there are none."""
    found = unmeasured(boards, known)
    headings = [Heading("encoder", "Encoder"), Heading("name", "Name"), Heading("why", "Why")]
    rows = []
    for k in found:
        why = f"its weights are for you to get: {k.weights_page}" if k.weights_page else "not run yet"
        rows.append(Row([Cell(k.title, k.title), Cell(k.name, k.name, code=True), Cell(why, why)]))
    return Table("unmeasured", "Encoders without a measured figure", headings, rows) if rows else None


def _ranked(name: str, entry: Entry, found: Ranking) -> Cell:
    """Return the name of an encoder, marked where it may have seen the data of any of the boards."""
    marks = {e.mark: board.name for board in found.boards for e in board.entries if e.name == name and e.mark}
    cell = name_cell(entry, marked=False)
    if not marks:
        return cell
    mark = LEAKAGE_MARKS["overlap"] if LEAKAGE_MARKS["overlap"] in marks else LEAKAGE_MARKS["unknown"]
    return replace(cell, mark=mark, note=f"Leakage on {marks[mark]}")


def _title(board: Board) -> Cell:
    title = wording.board_title(board)
    return Cell(title, title, link=Link("board", board.name))


def _worst_leakage(name: str, boards: Sequence[Board]) -> str:
    states = {
        str(e.result.leakage.get("state", "unknown")) for board in boards for e in board.entries if e.name == name
    }
    return next(state for state in ("overlap", "unknown", "clean") if state in states)


def _board_heading(board: Board, column: Column, small: str) -> Heading:
    return replace(
        metric_heading(column),
        key=board.name,
        label=wording.board_title(board),
        link=Link("board", board.name),
        small=small,
    )


def _rank_heading(board: Board) -> Heading:
    title = wording.board_title(board)
    return Heading(board.name, title, f"Rank on {title}", True, link=Link("board", board.name), shaded=True)


def _in_matrix(board: Board, name: str, needs_weights: bool) -> Cell:
    entry, metric = next((e for e in board.entries if e.name == name), None), board.primary()
    if entry is None or metric is None:
        why = "not run on this board; its weights are for you to get" if needs_weights else "not run on this board yet"
        return Cell(DASH, note=why)
    column = board.column(metric)
    cell = metric_cell(
        column, entry.estimate(board.headline, metric), name in board.standing().leaders, italic=entry.floor
    )
    if cell.text == DASH:
        return replace(cell, note=f"{column.title} is undefined for this answer")
    state = str(entry.result.leakage.get("state", "unknown"))
    if entry.mark:
        note = entry.result.leakage.get("detail", "")
        return replace(cell, mark=entry.mark, note=note, flag=state == "overlap", leakage=state)
    return replace(cell, leakage=state)

"""The live table of a sweep: what is done, running and failed, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from usbench.sweep.cell_state import Record

_STYLES = {"done": "green", "unchanged": "green dim", "failed": "red bold", "waiting": "dim"}
# Failures shown below the table; the report has all of them.
_SHOWN = 6


class SweepTable:
    """A context manager that shows the cells while they change; without a terminal, one line a finished cell.

    Args:
        console: Where to draw.
        records: The cells.
    """

    def __init__(self, console: Console, records: Sequence[Record]) -> None:
        self._console = console
        self._records = records
        self._started = time.monotonic()
        self._told: set[str] = set()
        self._inside = ""
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4)

    def __enter__(self) -> SweepTable:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, record: Record) -> None:
        """Show that a cell has changed."""
        for note in record.notes:
            self.tell(note)
        if self._live is None and record.over:
            done = sum(r.over for r in self._records)
            self.tell(f"{done}/{len(self._records)} {record}: {record.state}{_why(record)}")

    def tell(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Show a message, each text once; or, with numbers, how far the job in this process is.

        Args:
            text: What to say.
            done: Frames encoded.
            total: Frames to encode.
        """
        if done is not None:
            self._inside = f"{text}: {done} of {total} frames"
        elif text not in self._told:
            self._told.add(text)
            self._console.print(text, soft_wrap=True, highlight=False)

    def render(self) -> RenderableType:
        """Return the table as it is now: a row per encoder, a column per task, or counts where these do not fit."""
        tasks = list(dict.fromkeys(r.cell.task for r in self._records))
        by_cell = {(r.name, r.cell.task): r for r in self._records}
        encoders = list(dict.fromkeys(r.name for r in self._records))
        heads = [task.label if task.data is None else f"{task.label} ({task.data})" for task in tasks]
        rows = []
        for encoder in encoders:
            records = [by_cell.get((encoder, task)) for task in tasks]
            rows.append([_cell(record) if record else Text("") for record in records])
        widths = [max([cell_len(head), *(row[i].cell_len for row in rows)]) for i, head in enumerate(heads)]
        if max(map(cell_len, encoders), default=0) + sum(width + 2 for width in widths) + 2 > self._console.width:
            table = self._counts(encoders)
        else:
            table = Table(title=self._title(), title_justify="left", show_edge=False, padding=(0, 1))
            for head in ("encoder", *heads):
                table.add_column(head, no_wrap=True)
            for encoder, row in zip(encoders, rows, strict=True):
                table.add_row(encoder, *row)
        parts: list[RenderableType] = [table]
        if self._inside:
            parts.append(Text(self._inside, style="dim"))
        failed = [r for r in self._records if r.state == "failed"]
        parts += [Text(f"{r}: {r.error}", style="red") for r in failed[-_SHOWN:]]
        if len(failed) > _SHOWN:
            parts.append(Text(f"... and {len(failed) - _SHOWN} failed before", style="red"))
        return Group(*parts)

    def _counts(self, encoders: Sequence[str]) -> Table:
        """Return how many cells of each encoder are done, and what it is at: what fits 80 columns with any grid."""
        table = Table(title=self._title(), title_justify="left", show_edge=False, padding=(0, 1))
        table.add_column("encoder", no_wrap=True)
        for head in ("done", "failed", "waiting"):
            table.add_column(head, justify="right", no_wrap=True)
        table.add_column("now", overflow="fold")
        for encoder in encoders:
            mine = [record for record in self._records if record.name == encoder]
            counts = [
                sum(r.state in states for r in mine) for states in (("done", "unchanged"), ("failed",), ("waiting",))
            ]
            now = [f"{r.cell.task.label}: {_cell(r).plain}" for r in mine if not r.over and r.state != "waiting"]
            done, failed, waiting = (str(count) if count else "" for count in counts)
            table.add_row(encoder, Text(done, "green"), Text(failed, "red bold"), Text(waiting, "dim"), "; ".join(now))
        return table

    def _title(self) -> str:
        from usbench.sweep.report import span

        counts = {state: sum(r.state == state for r in self._records) for state in ("done", "unchanged", "failed")}
        told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        over = sum(counts.values())
        return f"{over} of {len(self._records)} cells in {span(time.monotonic() - self._started)}" + (
            f": {told}" if told else ""
        )


def _cell(record: Record) -> Text:
    text = record.state
    if record.state == "encoding":
        text = f"encoding {record.shards_done}/{record.shards}" if record.shards else "encoding (shared)"
    if record.lost:
        text += f", {record.lost} begun again"
    return Text(text, style=_STYLES.get(record.state, "cyan"))


def _why(record: Record) -> str:
    return f": {record.error}" if record.error else ""

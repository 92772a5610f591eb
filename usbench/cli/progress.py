"""Progress of encoding and of other long work: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return images per second."""
        if not task.fields["images"]:
            return Text("")
        return Text(f"{task.speed:.1f} img/s" if task.speed else "- img/s", style="cyan")


LOG_SECONDS = 30.0
"""Time between two lines where there is no terminal to draw on."""


class EncodingProgress:
    """A context manager that shows what is being done, and prints messages above the bar.

    Args:
        console: Where to draw; standard error, so that a table can be piped.
        clock: Returns the seconds by which lines are spaced and rates are computed.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._drawn = console.is_terminal or console.is_jupyter
        self._clock = clock
        self._log: _Log | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._current: tuple[str, int] | None = None
        self._said: set[str] = set()

    def __enter__(self) -> EncodingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._current is not None:  # stopping a bar that never started prints an empty line
            self._progress.stop()

    def notify(self, message: str) -> None:
        """Print a message above the bar, each text once."""
        if message not in self._said:
            self._said.add(message)
            self._progress.console.print(message, soft_wrap=True, highlight=False)

    def update(self, text: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` frames of ``text`` are encoded."""
        self._show(text, done, total, images=True)

    def step(self, text: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of ``text`` are done, which are no images and have no rate."""
        self._show(text, done, total, images=False)

    def _show(self, text: str, done: int, total: int, images: bool) -> None:
        if not self._drawn:
            if self._log is None or self._log.text != text or done < self._log.done:
                self._log = _Log(text, done, self._clock(), images)
            if line := self._log.line(done, total, self._clock()):
                self._progress.console.print(line, soft_wrap=True, highlight=False, markup=False)
            return
        self._progress.start()  # only now: a run answered from the store draws nothing
        if self._current is None or self._current[0] != text or done == 0:
            if self._current is not None:
                self._progress.remove_task(self._progress.task_ids[0])
            self._current = (text, self._progress.add_task(text, total=total, images=images))
        self._progress.update(self._progress.task_ids[0], completed=done, total=total)


class _Log:
    """Lines about one stretch of work: none while it is short, then one every `LOG_SECONDS`."""

    def __init__(self, text: str, done: int, now: float, images: bool) -> None:
        self.text, self.done, self._images = text, done, images
        self._first, self._start, self._said = done, now, now

    def line(self, done: int, total: int, now: float) -> str:
        """Return the line that is due, nothing where none is."""
        self.done = done
        if now - self._said < LOG_SECONDS:
            return ""
        self._said = now
        told = f"{self.text}: {done} of {total}"
        if done > self._first:
            rate = (done - self._first) / (now - self._start)
            told += f", {rate:.1f} img/s" if self._images else ""
            told += f", {_spoken((total - done) / rate)} left"
        return told


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

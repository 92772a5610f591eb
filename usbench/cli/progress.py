"""One progress bar for encoding, with rate and time left."""

from __future__ import annotations

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
        return Text(f"{task.speed:.1f} img/s" if task.speed else "- img/s", style="cyan")


class EncodingProgress:
    """A context manager that shows what is being encoded, and prints messages above the bar.

    Args:
        console: Where to draw; standard error, so that a table can be piped.
    """

    def __init__(self, console: Console) -> None:
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
        self._progress.start()  # only now: a run answered from the store draws nothing
        if self._current is None or self._current[0] != text or done == 0:
            if self._current is not None:
                self._progress.remove_task(self._progress.task_ids[0])
            self._current = (text, self._progress.add_task(text, total=total))
        self._progress.update(self._progress.task_ids[0], completed=done, total=total)

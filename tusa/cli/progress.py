"""The bar of a training run: steps, rate and time left, with the logged metrics above it."""

from __future__ import annotations

import sys
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

SHOWN = ("loss", "contrastive", "distillation", "absolute", "structural", "views_per_second")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return steps per second, or seconds per step where these are fewer than one."""
        if not task.speed:
            return Text("- step/s", style="cyan")
        return Text(f"{task.speed:.1f} step/s" if task.speed >= 1 else f"{1 / task.speed:.1f} s/step", style="cyan")


class TrainingProgress:
    """A context manager that shows a bar on a terminal, and one line per logged step everywhere.

    Args:
        steps: Steps of the whole run.
        done: Steps of it that were finished before.
        console: Where the bar is drawn; standard error by default, so that the log can be piped.
    """

    def __init__(self, steps: int, done: int, console: Console | None = None) -> None:
        self._steps = steps
        console = console or Console(stderr=True)
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        # Logged lines stand above the bar on a terminal, and go where stdout goes elsewhere.
        seen = sys.stdout.isatty()
        self._bar = (
            Progress(*columns, console=console, transient=True, redirect_stdout=seen) if console.is_terminal else None
        )
        self._task = self._bar.add_task("training", total=steps, completed=done) if self._bar else None

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """Show how many steps are finished."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)

    def report(self, step: int, metrics: dict[str, float]) -> None:
        """Print the metrics of a logged step.

        Args:
            step: Number of the step, from 0.
            metrics: Name to value; those that are not shown are in the log.
        """
        values = "  ".join(f"{name} {metrics[name]:.4g}" for name in SHOWN if name in metrics)
        typer.echo(f"step {step + 1}/{self._steps}  {values}")

"""The ``tusa`` command: one small module a subcommand."""

from __future__ import annotations

import sys
import threading

import typer

from tusa.cli import corpus, export, teacher, textures, train
from tusa.errors import TusaError
from tusa.files import explained

app = typer.Typer(
    name="tusa",
    help="Train and use TUSA, the texture encoder for B-mode ultrasound.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("corpus")(corpus.corpus)
app.command("teacher")(teacher.teacher)
app.command("train")(train.train)
app.command("resume")(train.resume)
app.command("textures")(textures.textures)
app.command("export")(export.export)


def main() -> None:
    """Run the command; a user's mistake is one line on standard error and exit code 1."""
    threading.excepthook = _told_by_the_main_thread
    try:
        app()
    except TusaError as error:
        print(f"tusa: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        print(f"tusa: {explained(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _told_by_the_main_thread(problem: threading.ExceptHookArgs) -> None:
    """Leave it to the main thread to tell what the system refused: TensorBoard's writer hands it on."""
    if problem.exc_type is None or not issubclass(problem.exc_type, OSError):
        threading.__excepthook__(problem)

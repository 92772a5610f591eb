"""The command line. Subcommands live in one small module each and are imported only when they are called.

``usbench --help`` and tab completion must answer at once, so the table below carries names and one-line summaries, and
only the module of the command that was typed is imported.
"""

from __future__ import annotations

import importlib
import io
import signal
import sys
import threading
from collections.abc import Sequence

import typer

from usbench.errors import UsbenchError

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("usbench.cli.run", "Run encoders on tasks and print the table."),
    "sweep": ("usbench.cli.sweep", "Run a grid of encoders and tasks, here or on a cluster."),
    "plan": ("usbench.cli.plan", "Estimate what a grid costs before it runs."),
    "list": ("usbench.cli.list", "List encoders, tasks or datasets, and whether each is ready."),
    "embed": ("usbench.cli.embed", "Write the embeddings of any images, and an index of them."),
    "info": ("usbench.cli.info", "Describe an encoder, a task or a dataset."),
    "compare": ("usbench.cli.compare", "Compare two encoders on a task: difference, interval, p."),
    "similarity": ("usbench.cli.similarity", "Measure how alike the encoders of each board are."),
    "map": ("usbench.cli.map", "Draw UMAP projections of embeddings, and measure them."),
    "audit": ("usbench.cli.audit", "Run diagnostics: how far can a score be trusted?"),
    "data": ("usbench.cli.data", "Say where datasets lie, and check them."),
    "weights": ("usbench.cli.weights", "Add, list and find the weights of encoders."),
    "check": ("usbench.cli.check", "Check an encoder against the contract."),
    "new": ("usbench.cli.new", "Write the files of a plugin, to begin with."),
    "leaderboard": ("usbench.cli.leaderboard", "Render the leaderboards from results."),
    "results": ("usbench.cli.results", "Validate, show and compare result files."),
    "submit": ("usbench.cli.submit", "Prepare a result file for a pull request."),
    "report": ("usbench.cli.report", "Write one report on one encoder."),
    "cache": ("usbench.cli.cache", "List, verify and clean the embedding store."),
    "doctor": ("usbench.cli.doctor", "Check the installation, the places and the device."),
}

HELP = "Compare frozen image encoders for B-mode ultrasound: each figure beside its baselines, interval and evidence."

_INTERRUPTED = "interrupted: finished work is kept; the same command continues where it was."


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the application with the one subcommand that is called, and summaries of the others.

    Args:
        arguments: Command line without the program's name.
    """
    app = typer.Typer(
        name="usbench",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_main)
    called = next((a for a in arguments if not a.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        if name != called:
            app.command(name, help=summary)(_not_called)
            continue
        sub: typer.Typer = importlib.import_module(module).app
        single = len(sub.registered_commands) == 1 and not sub.registered_groups and sub.registered_callback is None
        if single:
            command = sub.registered_commands[0]
            command.name = name
            app.registered_commands.append(command)
        else:
            app.add_typer(sub, name=name, help=summary, no_args_is_help=True)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's error is one line on standard error and exit status 2."""
    arguments = [*(sys.argv[1:] if arguments is None else arguments)]  # `list` is a module here once it is imported
    _print_what_the_terminal_can()
    _stop_on_termination()
    try:
        build_app(arguments)(arguments)
    except UsbenchError as error:
        from usbench.core.text import one_line

        _say(f"error: {one_line(str(error))}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        _say(_INTERRUPTED)
        raise SystemExit(130) from None
    except SystemExit as stop:
        if stop.code == 130:  # Typer turns Ctrl-C within a command into this, without a word
            _say(_INTERRUPTED)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as error:  # what no code foresaw: a name too long for the system, a disk that fails
        if error.strerror is None:
            raise
        _say(f"error: {str(error.filename or 'the system')[:200]}: {error.strerror}. Check the path.")
        raise SystemExit(2) from None


def _print_what_the_terminal_can() -> None:
    """Print a question mark for a letter that the terminal has no code for, rather than fail at the end of a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _stop_on_termination() -> None:
    """Let a cluster's SIGTERM end a run as Ctrl-C does, with what is finished kept."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def _say(message: str) -> None:
    # A file name may hold bytes that are no text; they are shown as escapes rather than break the message.
    print(message.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"usbench {version('usbench')}")
        raise typer.Exit


def _main(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def _not_called() -> None:
    raise AssertionError("a summary stands in for this command")

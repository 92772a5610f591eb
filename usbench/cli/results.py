"""``usbench results``: validate, show, compare and migrate result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbench.cli import options
from usbench.core.settings import BOARD_RESULTS

app = typer.Typer(no_args_is_help=True, help="Validate, show and compare result files.")


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Result files or folders of them; by default your runs and the board of a clone."),
    ] = None,
) -> None:
    """Check files against the schema and recompute every metric from the predictions.

    Exit status 1 when something is wrong.
    """
    from usbench.errors import ResultError
    from usbench.submission.validate import Finding, validate_folder
    from usbench.submission.validate import validate as validate_file

    count = 0
    findings: list[Finding] = []
    for path in paths or [f for f in (options.DEFAULT_RESULTS, BOARD_RESULTS) if f.is_dir()]:
        if path.is_dir():
            checked, found = validate_folder(path)
            if not checked and paths:
                raise ResultError(f"{path}: no results below it (expected <board>/<encoder>.json).")
            count += checked
            findings += found
        elif path.is_file():
            count += 1
            findings += validate_file(path)
        else:
            raise ResultError(f"{path}: no such file or folder.")
    for finding in findings:
        typer.echo(str(finding), err=True)
    wrong = len({finding.path for finding in findings})
    if findings:
        typer.echo(f"{wrong} of {count} results are not what they claim to be.", err=True)
        raise typer.Exit(1)
    if not count:
        raise ResultError("no results here: run `usbench run` first, or name files or folders.")
    typer.echo(f"{count} results are valid: every metric follows from its predictions.")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A result file, or board/encoder of your runs or the board of a clone.")],
) -> None:
    """Print one result as a table."""
    from rich.console import Console

    from usbench.cli.result_table import print_board
    from usbench.cli.screening import print_screening
    from usbench.cli.terminal import printable_result
    from usbench.results.places import result_file
    from usbench.results.schema import load
    from usbench.results.text import told_of

    path = result_file(path)
    result = load(path)
    console = Console()
    with told_of(path):
        print_board(console, [result])
        print_screening(console, [result], path.resolve().parent.parent)
    result = printable_result(result)
    provenance = result.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items())
    console.print(f"Leakage: {result.leakage['state']}. {result.leakage['detail']}", highlight=False)
    console.print(f"Written {provenance.get('date', '?')} by: {provenance.get('command', '?')}", highlight=False)
    console.print(f"Revision {provenance.get('revision') or 'unknown'}; {versions}", style="dim", highlight=False)


@app.command()
def row(
    paths: Annotated[list[Path], typer.Argument(help="Result files that lie in a folder of results.")],
) -> None:
    """Print the lines that results add to their boards, as Markdown, beside the best baseline."""
    from usbench.errors import ResultError
    from usbench.leaderboard.board import gather
    from usbench.leaderboard.markdown.escape import escaped_board
    from usbench.leaderboard.markdown.excerpt import excerpt
    from usbench.results.board_folder import is_screening, why_no_board
    from usbench.results.schema import load, result_path
    from usbench.results.text import told_of

    for path in paths:
        result, folder = load(path), path.resolve().parent.parent
        if result_path(folder, result) != path.resolve():
            raise ResultError(f"{path}: belongs at <results>/{result_path(Path(), result).as_posix()}.")
        if is_screening(result.encoder):
            raise ResultError(f"{path}: {why_no_board(result.encoder)}.")
        (board,) = gather(folder, tasks=(), only=result.board)
        with told_of(path):
            text = excerpt(escaped_board(board), [result.encoder["name"]])
        typer.echo(f"**{board.name}**\n\n{text}")


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="A result file, or board/encoder.")],
    second: Annotated[Path, typer.Argument(help="Another one, likewise.")],
) -> None:
    """Say what differs between two results. Exit status 1 when something does."""
    from rich.console import Console

    from usbench.cli.terminal_table import Column, print_table
    from usbench.results.diff import diff as changes_between
    from usbench.results.places import result_file
    from usbench.results.schema import load
    from usbench.results.text import told_of

    first, second = result_file(first), result_file(second)
    with told_of(first, second):
        changes = changes_between(load(first), load(second))
    if not changes:
        typer.echo("The results agree in everything but timings.")
        return
    columns = [Column("part"), Column(str(first)), Column(str(second))]
    rows = [[change.where, change.before, change.after] for change in changes]
    print_table(Console(), f"{len(changes)} differences", columns, rows)
    raise typer.Exit(1)


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Result files, or board/encoder of your runs.")],
    board: Annotated[Path, typer.Option("--to", help="Folder of the board's results.")] = BOARD_RESULTS,
    replace_others: options.Replace = False,
) -> None:
    """Enter results on the board of a clone: each is checked first, and none on simulated images enters.

    Names of subjects are copied as they are. For data that are not public, `usbench submit` hides them.
    """
    from usbench.errors import ResultError
    from usbench.results.places import enter, result_file
    from usbench.results.schema import load
    from usbench.submission.validate import validate as faults_of

    files = [result_file(path) for path in paths]
    for file in files:  # before any is entered
        if found := faults_of(file):
            raise ResultError(f"{found[0]}. Nothing was entered. Run the task again.")
    for file in files:
        typer.echo(enter(board, load(file), replace_others))
    typer.echo("`usbench leaderboard` renders the pages.", err=True)


@app.command()
def migrate(paths: Annotated[list[Path], typer.Argument(help="Result files written by an older version.")]) -> None:
    """Bring files up to date: the current schema, the current rule of intervals, and metrics added since.

    All follow from the stored predictions and half-samples; nothing is encoded or trained. Files that are current stay
    as they are.
    """
    from usbench.core.atomic_files import atomic_write
    from usbench.evaluation.restate import with_current_intervals
    from usbench.evaluation.scoring import with_missing_metrics
    from usbench.results.schema import load

    changed = 0
    for path in paths:
        result = with_missing_metrics(with_current_intervals(load(path)))
        content = result.to_json().encode()
        if path.read_bytes() != content:
            atomic_write(path, content)
            changed += 1
    typer.echo(f"{changed} of {len(paths)} files rewritten.")


@app.command()
def schema() -> None:
    """Print the JSON schema of result files."""
    import json

    from usbench.submission.validate import schema as current

    typer.echo(json.dumps(current(), indent=2))

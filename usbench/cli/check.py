"""``usbench check``: plugins against their contract."""

from __future__ import annotations

from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer(help="Check an encoder against the contract.")

_MARKS = {
    "pass": "[green]pass[/green]",
    "warn": "[yellow]warn[/yellow]",
    "fail": "[red]FAIL[/red]",
    "skip": "[dim]skip[/dim]",
}


@app.callback()
def check() -> None:
    """Check plugins against their contract."""


@app.command()
def encoder(
    name: Annotated[str, typer.Argument(help="Encoder, such as tusa.random or path/file.py:Class.")],
    weights: options.Weights = None,
    device: options.Device = "auto",
    pooling: Annotated[str | None, typer.Option(help="Pooling to check; the first by default.")] = None,
    preprocessing: Annotated[str | None, typer.Option(help="Preprocessing to check; the first by default.")] = None,
) -> None:
    """Check an encoder against the contract; exit status 1 when it breaks it."""
    from rich.console import Console
    from rich.markup import escape

    from usbench.cli.progress import EncodingProgress
    from usbench.conformance import UNREACHED, check_encoder
    from usbench.plugins.catalog import load_encoder

    loaded = load_encoder(name, weights=weights, device=device, pooling=pooling, preprocessing=preprocessing)
    console = Console(soft_wrap=True, highlight=False)
    with EncodingProgress(Console(stderr=True)) as progress:
        report = check_encoder(loaded, in_two_processes=True, progress=progress.step)
    for remark in loaded.remarks() if loaded.readiness().ready else ():
        console.print(f"{_MARKS['warn']}  {'remark':<19} {escape(remark)}")
    unreached = [finding.check for finding in report.findings if finding.message == UNREACHED]
    for finding in report.findings:
        if finding.check in unreached:
            continue
        console.print(f"{_MARKS[finding.status]}  {finding.check:<19} {escape(finding.message)}")
    if unreached:  # one cause, one line
        told = f"{UNREACHED}: {', '.join(unreached)}"
        console.print(f"{_MARKS['skip']}  {f'{len(unreached)} checks':<19} {escape(told)}")
    warned = sum(finding.status == "warn" for finding in report.findings)
    verdict = "keeps the contract" if report.passed else f"breaks the contract in {len(report.failures)} places"
    console.print(f"{report.encoder} {verdict}" + (f", with {warned} warnings" if warned else ""))
    if not report.passed:
        raise typer.Exit(1)

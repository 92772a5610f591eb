"""``usbench embed``: just give me the vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usbench.cli import options

if TYPE_CHECKING:
    from usbench.data.frames import FrameRef
    from usbench.embedding.extract import Shard
    from usbench.encoder.base import Encoder

app = typer.Typer()


@app.command()
def embed(
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="Encoder; see `usbench list encoders`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for vectors.safetensors and the index.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            help="Dataset, manifest (.csv, .tsv, .parquet), or folder of images and videos. With --task: as for run.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Take exactly the frames of this task, for precomputed: in `run`."),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(help="Frames of each file: all (default), linspace:5, random:20:seed0, between:5."),
    ] = None,
    table: Annotated[str, typer.Option("--format", help="Format of the index: parquet or csv.")] = "parquet",
    data_root: options.DataRoots = None,
    cache: options.Cache = None,
    weights: options.Weights = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    pooling: options.Pooling = None,
    preprocessing: options.Preprocessing = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    address: options.Address = None,
    jobs: options.Jobs = 1,
    threads: options.Threads = None,
) -> None:
    """Write the vectors of any data, and an index of them.

    OUT/vectors.safetensors holds one tensor, vectors, float32 [n, D]; OUT/index.parquet (or .csv) has n rows in the
    same order: path, frame, frame_sha256, file_sha256, and every column of the dataset. The same command continues
    where it was. `usbench run -e precomputed:OUT` scores such vectors.

    Several poolings, or --pooling all, are encoded in one pass, and each is written to a folder OUT/POOLING.
    """
    from rich.console import Console

    from usbench.cli.progress import EncodingProgress
    from usbench.core.settings import load_settings
    from usbench.data.frame_sampling import parse_policy
    from usbench.errors import UsbenchError
    from usbench.pipeline.embed import embed_poolings
    from usbench.plugins.catalog import load_encoders, load_task

    elsewhere = engine != "local" or jobs > 1
    if (address is not None or threads is not None) and not elsewhere:
        raise UsbenchError("--address and --threads are for --engine ray or --jobs; a run in this process takes none.")
    loaded = load_encoders(
        encoder, weights=weights, device=device, precision=precision, pooling=pooling, preprocessing=preprocessing
    )
    policy = parse_policy(frames) if frames else None
    one_task = load_task(task) if task else None
    settings = load_settings(data_root or (), cache)
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(EncodingProgress(Console(stderr=True)))
        spread = None
        if elsewhere:
            from usbench.sweep.config import EngineSpec
            from usbench.sweep.embed import spread as encode_in_parts
            from usbench.sweep.local_engines import open_engine
            from usbench.sweep.specs import EncoderSpec, Source, TaskSpec

            spec = EngineSpec(engine, address, jobs, threads)
            file = str(weights) if weights else None
            spec_of = EncoderSpec(encoder, file, device, precision, pooling, preprocessing, batch_size)
            asked = spec_of.in_poolings()[0]
            source = Source(TaskSpec(task, data)) if task else Source(data=data)
            running = stack.enter_context(contextlib.closing(open_engine(spec)))

            def spread(ready: Encoder, refs: Sequence[FrameRef]) -> Shard:
                return encode_in_parts(ready, refs, asked, source, running, spec, settings, workers, progress.update)

        written = embed_poolings(
            loaded,
            out.expanduser(),
            settings,
            data=data,
            task=one_task,
            policy=policy,
            table=table,
            batch_size=batch_size,
            workers=workers,
            progress=progress.update,
            spread=spread,
        )
    first = written[0]
    rate = f", {first.encoded / first.seconds:.1f} a second" if first.encoded and first.seconds else ""
    for one, made in zip(loaded, written, strict=True):
        place, pooled = (out, "") if len(loaded) == 1 else (out / one.pooling, f", pooling {one.pooling}")
        typer.echo(f"{place}: {made.frames} vectors of {made.dimension} values by {one.name}{pooled}")
    typer.echo(f"{first.encoded} encoded now{rate}; {first.frames - first.encoded} were stored already")
    for note in dict.fromkeys(note for made in written for note in made.notes):
        typer.echo(f"note: {note}")

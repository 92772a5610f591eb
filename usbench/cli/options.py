"""Options that several commands share, each said once; and where results lie by default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbench.core.settings import DEFAULT_RESULTS

__all__ = [
    "DEFAULT_RESULTS",
    "Address",
    "BatchSize",
    "Cache",
    "Data",
    "DataRoots",
    "Device",
    "Encoders",
    "Engine",
    "Fresh",
    "Jobs",
    "LabelEfficiency",
    "Name",
    "Pooling",
    "Precision",
    "Preprocessing",
    "Replace",
    "Results",
    "ResultsToRead",
    "Tasks",
    "Threads",
    "Weights",
    "Workers",
]

Encoders = Annotated[
    list[str],
    typer.Option(
        "--encoder",
        "-e",
        help="Encoder, or a variant such as tusa@pooling=stages; may be repeated. See `usbench list encoders`.",
    ),
]
Tasks = Annotated[list[str], typer.Option("--task", "-t", help="Task; may be repeated. See `usbench list tasks`.")]
Data = Annotated[
    str | None,
    typer.Option(help="'phantom' for simulated images, 'subset' for the embedded subset, or a manifest or folder."),
]
DataRoots = Annotated[
    list[Path] | None,
    typer.Option("--data-root", help="Folder in which datasets are found by name; may be repeated."),
]
Results = Annotated[Path, typer.Option(help="Folder of result files.")]
ResultsToRead = Annotated[
    Path | None,
    typer.Option(
        "--results",
        help="Folder of results; by default that of your runs (runs/results), or the board of a clone where your runs "
        "have none.",
    ),
]
Cache = Annotated[Path | None, typer.Option(help="Folder of stored embeddings; the configured one by default.")]

Weights = Annotated[Path | None, typer.Option(help="Weight file of the encoder, when it is not registered.")]
Device = Annotated[str, typer.Option(help="torch device: auto (CUDA, else MPS, else the CPU), cpu, cuda, cuda:1, ...")]
Precision = Annotated[
    str,
    typer.Option(
        help="fp32; bf16 for autocast; auto: bf16 if a check allows; int8 on a CPU, for screening: on no leaderboard."
    ),
]
Pooling = Annotated[
    str | None,
    typer.Option(
        help="How one vector is made; several with commas, or all, from one pass. See `usbench info ENCODER`."
    ),
]
Preprocessing = Annotated[str | None, typer.Option(help="Preprocessing variant; see `usbench info ENCODER`.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Frames per forward pass.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Decoding threads.")]

Engine = Annotated[str, typer.Option(help="Where to run: local, or ray with usbench[ray].")]
Address = Annotated[str | None, typer.Option(help="Ray cluster: auto, or host:port. Without one, Ray is started here.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes of the local engine.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads per job, with --jobs or --engine ray.")]
LabelEfficiency = Annotated[
    bool, typer.Option(help="Also score on 5, 10, 25 and 50 % of the training subjects: a few seconds.")
]
Name = Annotated[
    str | None, typer.Option(help="Name under which the results are kept, in place of the encoder's; for one encoder.")
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Put results in the place of those of another network of the same name.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Train and score the probe again although nothing has changed.")]

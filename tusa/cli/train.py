"""``tusa train`` and ``tusa resume``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tusa.errors import TusaError

if TYPE_CHECKING:
    from tusa.training.trainer import Trainer


def train(
    config: Annotated[Path, typer.Argument(help="TOML file of the run.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: log, checkpoints, texture sheets.")],
) -> None:
    """Train from a configuration file, into a folder that holds no run yet."""
    from tusa.training.config import TrainConfig
    from tusa.training.trainer import CHECKPOINT, Trainer

    settings = TrainConfig.read(config)
    if (out / CHECKPOINT).exists():
        raise TusaError(f"{out} holds a run already. Continue it with `tusa resume {out}`, or give another --out.")
    _run(Trainer(settings, out))


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was stopped or killed.")],
) -> None:
    """Continue a run from its last checkpoint, exactly as if it had not stopped."""
    from tusa.training.checkpoint import load_checkpoint
    from tusa.training.config import TrainConfig
    from tusa.training.trainer import CHECKPOINT, Trainer

    settings = TrainConfig.from_dict(load_checkpoint(run / CHECKPOINT)["config"])
    trainer = Trainer(settings, run)
    trainer.load(run / CHECKPOINT)
    if trainer.step >= settings.steps:
        raise TusaError(f"The run in {run} is complete ({settings.steps} steps). Export it with `tusa export {run}`.")
    _run(trainer)


def _run(trainer: Trainer) -> None:
    corpus, steps = trainer.corpus, trainer.config.steps
    if trainer.ranks.rank:  # of several processes the first one speaks
        trainer.fit()
        return
    organs = sorted(set(corpus.organs))
    typer.echo(
        f"{len(trainer.trained)} images to train on, {len(trainer.held)} held out, {len(organs)} organ groups: "
        f"{', '.join(organs)}."
    )
    for name in corpus.unreadable:
        typer.echo(f"skipped, unreadable: {name}", err=True)
    if len(organs) == 1:
        typer.echo("Only one organ group: nothing to balance, and the organ probe says nothing.", err=True)

    def report(step: int, metrics: dict[str, float]) -> None:
        shown = ("loss", "contrastive", "distillation", "absolute", "structural", "views_per_second")
        line = "  ".join(f"{name} {metrics[name]:.4g}" for name in shown if name in metrics)
        typer.echo(f"step {step + 1}/{steps}  {line}")

    trainer.fit(report=report)
    typer.echo(f"Done. Export with: tusa export {trainer.folder}")

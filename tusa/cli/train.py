"""``tusa train`` and ``tusa resume``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tusa.cli.progress import TrainingProgress
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

    with TrainingProgress(steps, trainer.step) as shown:
        try:
            trainer.fit(report=shown.report, progress=shown.update)
        except KeyboardInterrupt:
            shown.stop()
            typer.echo(_what_is_kept(trainer), err=True)
            raise typer.Exit(130) from None
    typer.echo(f"Done. Export with: tusa export {trainer.folder}")


def _what_is_kept(trainer: Trainer) -> str:
    """Say what a run that is stopped by hand leaves behind: what lies on disk, not what was in memory."""
    from tusa.training.checkpoint import load_checkpoint
    from tusa.training.trainer import CHECKPOINT

    path = trainer.folder / CHECKPOINT
    at, every = trainer.step, trainer.config.run.checkpoint_every
    if not path.exists():
        return (
            f"interrupted in step {at + 1}, before the first checkpoint (there is one every {every} steps): nothing of "
            f"the training is kept. `tusa train` begins it anew."
        )
    kept = load_checkpoint(path)["step"]
    lost = f"; {at - kept} steps since then are lost" if at > kept else ""
    return (
        f"interrupted in step {at + 1}: the checkpoint of step {kept} in {trainer.folder} is kept{lost}. "
        f"`tusa resume {trainer.folder}` goes on from there."
    )

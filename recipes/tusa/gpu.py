"""Train one configuration of TUSA, or several one after the other, in a given time on one device.

    python recipes/tusa/gpu.py recipes/tusa/gpu.toml --seconds 540 --out runs/gpu

The steps in the file say how the phases relate. A rehearsal of a few steps of each phase compiles the network and
measures it; then all steps of all phases are multiplied by one number, so that everything is done in time. The warm-up
and the intervals of the log keep their lengths. Several configurations get equal numbers of steps. Each run is exported
as soon as it is done; a run that is late stops with a checkpoint. A run that was killed is resumed by `tusa resume`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from tusa.training.config import TrainConfig
from tusa.training.corpus import Corpus
from tusa.training.export import export_run
from tusa.training.sources import read_corpus
from tusa.training.trainer import Trainer

WARM, TIMED = 4, 6
RESERVE = 0.05
"""Share of the time kept for what the rehearsal does not see: checkpoints, probes, a slower clock."""


def rehearse(config: TrainConfig, folder: Path, corpus: Corpus) -> list[float]:
    """Seconds per step of each phase, after compilation."""
    short = tuple(replace(phase, steps=WARM + TIMED) for phase in config.phases)
    quiet = replace(config.run, checkpoint_every=10**9, log_every=0, probe_every=0, sheet_every=0)
    trainer = Trainer(replace(config, phases=short, run=quiet), folder, corpus)
    seconds = []
    for number, phase in enumerate(short):
        since = time.monotonic()
        for step in range(WARM + TIMED):
            if step == WARM:
                _wait()
                print(f"phase {number + 1}, {phase.size} px: {time.monotonic() - since:.1f} s to compile and warm up")
                since = time.monotonic()
            trainer._train_step(phase)
            trainer.step += 1
        _wait()
        seconds.append((time.monotonic() - since) / TIMED)
        rate = config.views_an_image * phase.images / seconds[-1]
        memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        print(f"phase {number + 1}: {seconds[-1]:.4f} s a step, {rate:.0f} views/s, {memory:.1f} GiB", flush=True)
    return seconds


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def fitted(config: TrainConfig, factor: float) -> TrainConfig:
    """The configuration with all phases longer or shorter by one factor."""
    phases = tuple(replace(phase, steps=max(1, round(phase.steps * factor))) for phase in config.phases)
    return replace(config, phases=phases)


def main() -> None:
    """Rehearse, fit the steps to the time, train, export."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", type=Path, nargs="+", help="TOML files with the same phases and corpus")
    parser.add_argument("--seconds", type=float, required=True, help="for everything, reading the corpus included")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, one folder a configuration")
    given = parser.parse_args()
    configs = {path.stem: TrainConfig.read(path) for path in given.configs}
    first = next(iter(configs.values()))
    shared = [(config.phases, config.data.sources, config.data.size) for config in configs.values()]
    if shared.count(shared[0]) < len(shared):
        parser.error("the configurations differ in their phases or in their corpus")
    corpus = read_corpus(first.data.sources, first.data.size, first.data.max_unreadable)
    print(f"{len(corpus)} images after {time.monotonic() - start:.1f} s", flush=True)
    try:
        seconds = rehearse(first, given.out / "rehearsal", corpus)
    except RuntimeError as error:
        # A backward pass is compiled when it first runs, where the trainer can no longer fall back on eager.
        if not first.run.compile or isinstance(error, torch.OutOfMemoryError):
            raise
        print(f"not compiled: {type(error).__name__}: {str(error)[:2000]}", flush=True)
        configs = {name: replace(config, run=replace(config.run, compile=False)) for name, config in configs.items()}
        seconds = rehearse(replace(first, run=replace(first.run, compile=False)), given.out / "rehearsal", corpus)
    once = sum(phase.steps * length for phase, length in zip(first.phases, seconds, strict=True))
    spent = time.monotonic() - start
    factor = (given.seconds - spent) * (1 - RESERVE) / (once * len(configs))
    if factor <= 0:
        raise SystemExit(f"{given.seconds:.0f} s are over after reading and compiling ({spent:.0f} s): give more.")
    print(f"after {spent:.1f} s: all steps times {factor:.3f}", flush=True)
    for number, (name, config) in enumerate(configs.items()):
        deadline = start + spent + (given.seconds - spent) * (number + 1) / len(configs)
        trainer = Trainer(fitted(config, factor), given.out / name, corpus)

        def report(step: int, metrics: dict[str, float], name: str = name, every: int = config.run.log_every) -> None:
            if step % 100 < every:
                shown = "  ".join(f"{key} {value:.3g}" for key, value in metrics.items())
                print(f"{name} {step + 1} after {time.monotonic() - start:.0f} s: {shown}", flush=True)

        trainer.fit(report=report, deadline=deadline)
        record = export_run(trainer.folder, trainer.folder / "weights.safetensors")
        (trainer.folder / "record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {record['step']} of {record['steps']} steps, {record['views']} views, "
              f"{time.monotonic() - start:.0f} s, {record['last_metrics']}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

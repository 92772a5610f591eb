"""A training step of TUSA against the plain way, both in one run, on the embedded images.

Plain is float32, eager, contiguous memory and an unfused AdamW, as a script without care would do it. Ours is what
``tusa train`` does by default (bf16 autocast, channels-last, fused AdamW). Both do the same work: four views of the
same number of images, encoded, contrasted, decoded and painted. A third row decodes a quarter of the images only, as
the configuration of the open weights does: less work, so it is reported but is no like-for-like ratio.

A second table is of short runs on a CPU: the encoder alone at 64 px, nothing decoded. Its plain way is the same script
in bf16 autocast, as a script would have it that was written for this processor.

    python benchmarks/train.py                # the paper's network at 128 px
    python benchmarks/train.py --device cuda --images 64
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tusa.network import TusaConfig
from tusa.training.config import DataConfig, Phase, RunConfig, TrainConfig
from tusa.training.learner import Learner
from tusa.training.sources import read_corpus
from tusa.training.trainer import Trainer
from tusa.training.views import make_views

HERE = Path(__file__).resolve().parent
# Side of the images where the encoder is trained alone, as the ablations do.
ALONE_PIXELS = 64
IMAGES = HERE.parent / "tasks" / "usbench_tasks" / "data" / "bus_bra_subset" / "Images"


def plain_step(config: TrainConfig, device: str, in_bfloat16: bool = False) -> Callable[[], None]:
    """The step as a script without care would write it."""
    corpus = read_corpus([IMAGES], config.data.size)
    torch.manual_seed(0)
    learner = Learner(config).to(device)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-4, foreach=False, fused=False)
    phase = config.phases[0]
    subjects = corpus.subject_numbers()

    def step() -> None:
        rows = torch.randperm(len(corpus))[: phase.images]
        views = make_views(corpus.images[rows].to(device), subjects[rows].to(device), phase, config)
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=in_bfloat16):
            loss = learner.total(learner(views, phase.decoded))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()

    return step


def our_step(trainer: Trainer) -> Callable[[], None]:
    """One step of the trainer, without its log and checkpoints."""

    def step() -> None:
        trainer._train_step(trainer.config.phases[0])
        trainer.step += 1

    return step


def timed(step: Callable[[], None], device: str) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(steps: dict[str, Callable[[], None]], repeats: int, device: str) -> dict[str, float]:
    """Median seconds of each step, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():  # first calls choose kernels
        step()
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(timed(step, device))
    return {name: statistics.median(values) for name, values in times.items()}


def figures(seconds: dict[str, float], images: int, size: int) -> dict[str, Any]:
    """What is kept of one table."""
    return {
        "pixels": size,
        "images": images,
        "seconds_a_step": {name: round(value, 3) for name, value in seconds.items()},
        "views_a_second": {name: round(4 * images / value, 2) for name, value in seconds.items()},
        "ratio": {name: round(seconds["plain"] / value, 2) for name, value in seconds.items()},
    }


def measure(images: int, size: int, repeats: int, device: str) -> dict[str, Any]:
    """Measure the variants of both tables."""
    load = os.getloadavg()[1]
    config = TrainConfig(
        network=TusaConfig(),
        data=DataConfig(sources=(str(IMAGES),), held_out=0.0),
        run=RunConfig(accelerator=device, log_every=0, checkpoint_every=10**9),
        phases=(Phase(steps=10**6, size=size, images=images, decoded=images),),
    )
    fewer = replace(config, phases=(replace(config.phases[0], decoded=max(1, images // 4)),))
    # An image of half the side costs about a quarter.
    small = replace(config.phases[0], size=ALONE_PIXELS, images=4 * images, decoded=0)
    alone = replace(config, phases=(small,))
    with tempfile.TemporaryDirectory() as folder:
        whole = interleaved(
            {
                "plain": plain_step(config, device),
                "ours": our_step(Trainer(config, Path(folder) / "a")),
                "ours, a quarter decoded": our_step(Trainer(fewer, Path(folder) / "b")),
            },
            repeats,
            device,
        )
        encoder = interleaved(
            {
                "plain": plain_step(alone, device),
                "plain, bf16": plain_step(alone, device, in_bfloat16=True),
                "ours": our_step(Trainer(alone, Path(folder) / "c")),
            },
            repeats,
            device,
        )
    return {
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_by_other_work": round(load, 2),
        "repeats": repeats,
        **figures(whole, images, size),
        "encoder_alone": figures(encoder, small.images, small.size),
    }


def table(result: dict[str, Any]) -> str:
    """Steps, seconds, views per second and ratios as a Markdown table."""
    rows = [
        f"| {name} | {seconds:.2f} | {result['views_a_second'][name]:.1f} | {result['ratio'][name]:.2f} |"
        for name, seconds in result["seconds_a_step"].items()
    ]
    return "\n".join(["| step | seconds | views per second | ratio |", "|---|---:|---:|---:|", *rows])


def page(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    alone = result["encoder_alone"]
    return f"""# A training step of TUSA against the plain way

Written by `benchmarks/train.py`. {result["machine"]}, {result["device"]}, {result["threads"]} threads, torch
{result["torch"]}; {result["images"]} images of {result["pixels"]} px in four views per step, medians of
{result["repeats"]} interleaved repeats; load of the machine by other work: {result["load_by_other_work"]}.

{table(result)}

Plain: float32, eager, contiguous, unfused AdamW, everything decoded. Ours: bf16 autocast, channels-last, fused AdamW;
the same work. The last row decodes a quarter of the images, which is less work and so no like-for-like ratio.

## The encoder alone

{alone["images"]} images of {alone["pixels"]} px in four views per step, nothing decoded, as in the first phase of a run
on a CPU.

{table(alone)}
"""


def main() -> None:
    """Measure, print, and write JSON and Markdown beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    result = measure(given.images, given.size, given.repeats, given.device)
    name = "train" if given.device == "cpu" else "train-cuda"
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (HERE / f"{name}.md").write_text(page(result), encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()

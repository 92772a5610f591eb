"""The loop: the same command on a laptop, a GPU, or several nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tusa.errors import TusaError
from tusa.network import Tusa
from tusa.training.average import Average
from tusa.training.checkpoint import load_checkpoint, require_same, save_checkpoint
from tusa.training.config import Phase, TrainConfig
from tusa.training.corpus import Corpus
from tusa.training.learner import Learner, joined_encodings, parted_gradient, parts_of
from tusa.training.monitor import RunLog, online_probe
from tusa.training.ranks import Ranks
from tusa.training.sampler import OrganBalancedSampler
from tusa.training.schedule import learning_rate
from tusa.training.shared import shared_corpus
from tusa.training.sources import read_corpus
from tusa.training.teacher import TeacherBank, load_bank
from tusa.training.views import Views, make_views, split_views

CHECKPOINT = "checkpoint.pt"
# What gloo and NCCL say when a process is gone.
LOST = ("onnection closed by peer", "onnection reset by peer", "Timed out", "timed out", "Broken pipe", "NCCL")


class Trainer:
    """One run in one folder.

    Args:
        config: the run.
        folder: of its log, checkpoints and sheets.
        corpus: the images; read from ``config.data.sources`` by default.

    Raises:
        TusaError: when the corpus or the configuration cannot be trained on.
    """

    def __init__(self, config: TrainConfig, folder: Path, corpus: Corpus | None = None) -> None:
        from lightning_fabric import Fabric, seed_everything

        self.config, self.folder = config, folder
        run = config.run
        self.fabric: Any = Fabric(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            precision=run.precision,
            strategy=_strategy(config),
        )
        self.fabric.launch()
        self.ranks = Ranks(self.fabric.global_rank, self.fabric.world_size, self._stack)
        data = config.data
        self.corpus = corpus or shared_corpus(
            self.fabric, folder, lambda: read_corpus(data.sources, data.size, data.max_unreadable)
        )
        self.trained, self.held = self.corpus.split(data.held_out)
        self._subjects = self.corpus.subject_numbers()
        self.sampler = OrganBalancedSampler(
            self.corpus.organs, self.corpus.subjects, self.trained, run.seed, data.organs_per_batch, data.balance
        )
        self.bank: TeacherBank | None = load_bank(Path(data.bank), self.corpus) if data.bank else None
        self._pixels = self.corpus.images
        if data.on_device:
            self._pixels, self._subjects = self._pixels.to(self.fabric.device), self._subjects.to(self.fabric.device)
            if self.bank is not None:
                self.bank = replace(self.bank, vectors=self.bank.vectors.to(self.fabric.device))
        seed_everything(run.seed, verbose=False)
        self.learner = Learner(config, self.bank.vectors.shape[2] if self.bank else 0)
        if run.start_from:
            start(self.learner, Path(run.start_from))
        memory = torch.channels_last if run.channels_last else torch.contiguous_format
        self.learner.to(memory_format=memory)
        if self.learner.backbone is not None:
            self.learner.backbone.to(self.fabric.device, memory_format=memory)  # type: ignore[call-overload]
        optimizer = _optimizer(self.learner, config)
        if run.compile:
            self.learner.compile_passes()
        self.module, self.optimizer = self.fabric.setup(self.learner, optimizer)
        self.average = Average(self.learner.tusa, run.ema) if run.ema else None
        self.step = 0
        # Every device draws the augmentations of all from here on, and takes its share.
        torch.manual_seed(run.seed + 1)

    @property
    def best_network(self) -> Tusa:
        """The averaged network where the run has one, otherwise the trained one."""
        if self.average is None:
            return self.learner.tusa
        return self.average.module

    @cached_property
    def _fingerprint(self) -> str:
        return self.corpus.fingerprint()

    @property
    def _on_gpu(self) -> bool:
        return bool(self.fabric.device.type == "cuda")

    def fit(
        self,
        until: int | None = None,
        report: Callable[[int, dict[str, float]], None] | None = None,
        deadline: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> dict[str, float]:
        """Train from the current step to the end.

        Args:
            until: stop before this step instead; the schedule stays that of the whole run.
            report: called with the step and the metrics whenever they are logged, on the first device only.
            deadline: stop, with a checkpoint, before the first step that would begin after this reading of
                :func:`time.monotonic`; on one device.
            progress: called with the number of finished steps after each.

        Returns:
            The last logged metrics.

        Raises:
            TusaError: when memory runs out, or the loss is no longer finite.
        """
        config, main = self.config, self.fabric.is_global_zero
        self.folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(self.folder, self.step) if main else None
        last: dict[str, float] = {}
        since, views = time.perf_counter(), 0
        end = config.steps if until is None else min(until, config.steps)
        try:
            while self.step < end:
                if deadline is not None and time.monotonic() > deadline:
                    self.save()
                    break
                phase = config.phase_at(self.step)
                metrics = self._guarded_step(phase)
                views += config.views_an_image * phase.images * self.fabric.world_size
                if self._every(config.run.log_every):
                    speed = views / (time.perf_counter() - since)
                    since, views = time.perf_counter(), 0
                    last = {name: float(self._mean(value)) for name, value in metrics.items()}
                    if log:
                        log.write(self.step, last | {"views_per_second": speed})
                        if report:
                            report(self.step, last | {"views_per_second": speed})
                if self._every(config.run.probe_every) and log:
                    last |= (found := self._probe())
                    log.write(self.step, found)
                    since, views = time.perf_counter(), 0
                if self._every(config.run.sheet_every) and main:
                    self._sheet()
                saved = self._saves_next() or self.step + 1 == end
                self.step += 1
                if saved:
                    self.save()
                if progress:
                    progress(self.step)
        finally:
            if log:
                log.close()
        return last

    def _every(self, interval: int) -> bool:
        return interval > 0 and (self.step % interval == interval - 1 or self.step == self.config.steps - 1)

    def _saves_next(self) -> bool:
        return (self.step + 1) % self.config.run.checkpoint_every == 0

    def _guarded_step(self, phase: Phase) -> dict[str, Tensor]:
        try:
            metrics = self._train_step(phase)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise TusaError(
                    f"Out of memory at {phase.images} images of {phase.size} px a step. Raise accumulate in "
                    f"[[phases]] (now {phase.accumulate}), or lower images."
                ) from error
            if self.ranks.size > 1 and any(word in str(error) for word in LOST):
                raise TusaError(
                    f"Another process of the run ended or no longer answers (step {self.step}): its own message says "
                    f"why. `tusa resume {self.folder}` goes on from the last checkpoint."
                ) from error
            if "is non-finite" in str(error):
                raise TusaError(self._diverged("gradient")) from error
            raise
        # A GPU works far behind the Python that feeds it: looking at each loss would make both wait for each other.
        looked = not self._on_gpu or self.step % 10 == 9 or self._every(self.config.run.log_every) or self._saves_next()
        if looked and not torch.isfinite(metrics["loss"]):
            raise TusaError(self._diverged("loss"))
        return metrics

    def _diverged(self, what: str) -> str:
        return (
            f"The {what} is not finite at step {self.step}. Train into a new folder with run.start_from the last "
            "checkpoint and a lower run.learning_rate, or with 32-true precision."
        )

    def _train_step(self, phase: Phase) -> dict[str, Tensor]:
        config = self.config
        rate = learning_rate(self.step, config.steps, config.run)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        views = self._views(phase)
        parts, decoded = parts_of(phase)
        cut = split_views(views, parts)
        sums: dict[str, Tensor] = {}
        self.learner.train()
        self.optimizer.zero_grad()
        gradients = self._between(views, cut, sums) if phase.joint and parts > 1 else [None] * parts
        for number, (part, gradient) in enumerate(zip(cut, gradients, strict=True)):
            waiting: AbstractContextManager[Any] = (
                self.fabric.no_backward_sync(self.module) if number < parts - 1 else nullcontext()
            )
            with waiting:
                terms = self.module(part, decoded, self.ranks, gradient)
                loss = self.learner.total(terms)
                self.fabric.backward(loss / parts)
            terms["loss"] = loss - terms.pop("between", 0)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() / parts
        if config.run.clip:
            # Under fp16 a gradient that overflows is routine: the scaler skips that step.
            strict = config.run.precision != "16-mixed" and not self._on_gpu
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=config.run.clip, error_if_nonfinite=strict)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.learner.tusa)
        usage = sums.pop("usage", None)
        if usage is not None:
            sums |= {f"usage/{channel}": share for channel, share in enumerate(usage)}
        return sums | {"learning_rate": torch.tensor(rate)}

    def _views(self, phase: Phase) -> Views:
        rows = self.sampler.batch(self.step, phase.images, self.ranks.rank, self.ranks.size)
        chosen = torch.tensor(rows)
        there = chosen.to(self._pixels.device)
        images, subjects = (whole[there].to(self.fabric.device) for whole in (self._pixels, self._subjects))
        return make_views(images, subjects, phase, self.config, self.ranks, self.bank, chosen)

    def _between(self, views: Views, cut: list[Views], sums: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Compute the terms between images on the whole step, and give back each part's share of their gradient.

        Source:
            Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021 (GradCache).
        """
        copies = self.config.augment.colours, self.config.augment.local_crops
        with torch.no_grad(), self.fabric.autocast():
            encodings = [self.learner.encode(part) for part in cut]
        whole = joined_encodings(encodings, *copies)
        with self.fabric.autocast():
            terms = self.learner.between(whole, views, self.ranks)
            loss = self.learner.total(terms)
        self.fabric.backward(loss)
        sums |= {name: value.detach() for name, value in terms.items()} | {"loss": loss.detach()}
        # The parts' losses are divided by their number.
        parts = len(cut)
        return [(large * parts, small * parts) for large, small in parted_gradient(whole, parts, *copies)]

    def _stack(self, tensor: Tensor) -> Tensor:
        stacked: Tensor = self.fabric.all_gather(tensor, sync_grads=tensor.requires_grad)
        return stacked

    def _mean(self, value: Tensor) -> Tensor:
        """The mean over all devices, for the log."""
        return value if self.ranks.size == 1 else self._stack(value.to(self.fabric.device)).mean(dim=0)

    def _probe(self) -> dict[str, float]:
        network = self.best_network.eval()
        size = self.config.phase_at(self.step).size
        with self.fabric.autocast():
            return online_probe(network, self.corpus, self.trained, self.held, size=size)

    def _sheet(self) -> None:
        from tusa.sheets import save_sheet

        rows = self.held or self.trained
        first = {self.corpus.organs[row]: row for row in reversed(rows)}
        images = [self.corpus.images[row].numpy() for row in first.values()]
        path = self.folder / "sheets" / f"step-{self.step + 1:06d}.png"
        save_sheet(self.best_network.eval(), images, list(first), path)

    def save(self) -> None:
        """Write the checkpoint: everything that the next step depends on."""
        if self.fabric.is_global_zero:
            content = {
                "config": self.config.to_dict(),
                "corpus": self._fingerprint,
                "step": self.step,
                "learner": self.learner.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
                "rng": [_rng_state(self.fabric.device).cpu()],  # the same on all devices
                "devices": self.ranks.size,
            }
            save_checkpoint(self.folder / CHECKPOINT, content)
        self.fabric.barrier()

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same configuration and corpus.

        Raises:
            TusaError: when it is of another configuration, corpus or number of devices.
        """
        saved = load_checkpoint(path)
        flat = _flatten(self.config.to_dict())
        ignored = {"run.checkpoint_every", "data.sources"}  # where and how often, not what
        require_same(
            {k: v for k, v in _flatten(saved["config"]).items() if k not in ignored},
            {k: v for k, v in flat.items() if k not in ignored},
            path,
        )
        require_same({"corpus": saved["corpus"]}, {"corpus": self._fingerprint}, path)
        devices = saved.get("devices", len(saved["rng"]))
        if devices != self.ranks.size or len(saved["rng"]) != 1:
            raise TusaError(
                f"{path} was written by {devices} device{'s' if devices > 1 else ''} and this run has "
                f"{self.ranks.size}: resume with as many. To go on with others, train into a new folder with "
                "run.start_from this checkpoint."
            )
        self.learner.load_state_dict(saved["learner"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.step = int(saved["step"])
        _restore_rng(saved["rng"][0], self.fabric.device)


def _strategy(config: TrainConfig) -> Any:
    """Return how Fabric joins the devices.

    Raises:
        TusaError: when another number of processes was started than the configuration says.
    """
    wanted = config.run.devices * config.run.nodes
    started = int(os.environ.get("WORLD_SIZE", wanted))
    if started != wanted:
        raise TusaError(
            f"{started} processes were started, but run.devices x run.nodes is {wanted}: set both as the launcher does "
            f"(on one machine run.devices = {started}). A phase's images are for each device."
        )
    if wanted == 1:
        return "auto"
    from lightning_fabric.strategies import DDPStrategy

    # The decoder has no gradient in a phase that decodes nothing. The first device alone probes and draws sheets while
    # the others wait; who waits longer than this waits for a process that is gone.
    return DDPStrategy(find_unused_parameters=True, timeout=timedelta(minutes=10))


def start(learner: Learner, path: Path) -> None:
    """Take over the network and the heads of another run's checkpoint: the averaged network if it has one.

    Raises:
        TusaError: when its network or heads have another shape.
    """
    saved = load_checkpoint(path)
    state = dict(saved["learner"])
    for name, value in (saved["average"] or {}).items():
        if name.startswith("module."):
            state["tusa." + name.removeprefix("module.")] = value
    try:
        learner.load_state_dict(state)
    except RuntimeError as error:
        raise TusaError(f"{path} holds a network or heads of another shape, so a run cannot start from it.") from error


def _optimizer(learner: Learner, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, not biases, norms and relative-position tables."""
    kept: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    for name, parameter in learner.named_parameters():
        plain = parameter.ndim < 2 or "relative_position_bias_table" in name
        (kept if plain else decayed).append(parameter)
    run = config.run
    groups = [{"params": decayed, "weight_decay": run.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=run.learning_rate, fused=True)


def _rng_state(device: torch.device) -> Tensor:
    """The generators' states side by side: the CPU's, then the device's own."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states).to(device)


def _restore_rng(state: Tensor, device: torch.device) -> None:
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[length:].cpu(), device)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat

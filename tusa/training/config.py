"""One TOML file that reproduces a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from tusa.errors import TusaError
from tusa.network import TusaConfig


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from.

    Attributes:
        sources: manifests (``.csv``), folders of images, videos, or WebDataset shards (``.tar``).
        size: side in pixels at which images are kept in memory, before augmentation.
        held_out: share of the subjects kept for the online probe, never trained on; in [0, 0.5].
        organs_per_batch: organs that one batch is drawn from; 0 for all. Few organs make the other images of
            a batch harder to tell apart.
        max_unreadable: how many unreadable images are skipped before the corpus is refused.
    """

    sources: tuple[str, ...] = ()
    size: int = 160
    held_out: float = 0.1
    organs_per_batch: int = 0
    max_unreadable: int = 20


@dataclass(frozen=True)
class AugmentConfig:
    """How views are made; every strength is a range's half-width, every ``..._p`` a probability.

    Attributes:
        crop_scale: least and largest share of the area that a crop covers.
        crop_ratio: least and largest width over height of a crop.
        flip_p: left-right flip. There is no upside-down flip: depth has a direction (shadow, attenuation).
        brightness: added grey level, as a share of full scale.
        contrast: relative change of the distance from the image's mean.
        gamma: change of the exponent, in log2 units.
        blur_p: Gaussian blur.
        blur_sigma: largest standard deviation of the blur, as a share of the view's side.
        erase_p: one random rectangle is set to a random grey.
        erase_scale: largest share of the area that it covers.
    """

    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_ratio: tuple[float, float] = (0.8, 1.25)
    flip_p: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.4
    blur_p: float = 0.3
    blur_sigma: float = 0.012
    erase_p: float = 0.3
    erase_scale: float = 0.1


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the terms, and what the terms need.

    Attributes:
        contrastive: NT-Xent between the encodings.
        consistency: squared error between the logits of colour pairs.
        absolute: L1 of the reconstruction.
        structural: one minus SSIM of the reconstruction.
        perceptual: distance of backbone features of the reconstruction; needs a backbone.
        entropy: negative entropy of the channel usage; keep it weak.
        distillation: prediction of backbone features from the encoding; zero in the paper.
        temperature: of NT-Xent.
        head_depth: layers of the projection head between encoding and NT-Xent; 0 for none.
        head_size: its output length.
        backbone: see :data:`tusa.objective.backbones.BACKBONES`.
        backbone_weights: the backbone's file, where its package does not carry it.
        backbone_size: side in pixels of the views that the backbone sees for distillation.
    """

    contrastive: float = 1.0
    consistency: float = 0.01
    absolute: float = 1.0
    structural: float = 1.0
    perceptual: float = 0.0
    entropy: float = 0.1
    distillation: float = 0.0
    temperature: float = 0.1
    head_depth: int = 2
    head_size: int = 128
    backbone: str = "none"
    backbone_weights: str = ""
    backbone_size: int = 128


@dataclass(frozen=True)
class Phase:
    """A stretch of the schedule at one resolution.

    Attributes:
        steps: optimiser steps.
        size: side of the views in pixels: a multiple of 32 from 64; even, from 32, where nothing is decoded.
        images: images a step, each in four views; on each device.
        decoded: of these, how many are decoded and painted (both colour views of one spatial view).
        accumulate: parts that a step is split into, one after the other, to fit memory.
    """

    steps: int
    size: int = 128
    images: int = 32
    decoded: int = 32
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.images < 1 or self.accumulate < 1:
            raise TusaError("A phase needs steps, images and accumulate of at least 1.")
        if self.images % self.accumulate or self.decoded % self.accumulate or self.decoded > self.images:
            raise TusaError("A phase's images and decoded must divide by accumulate, and decoded not exceed images.")
        if self.images // self.accumulate < 2:
            raise TusaError("A phase needs at least 2 images in each part: the contrast is between images.")
        if self.decoded and (self.size < 64 or self.size % 32):
            # At 32 px the deepest map is a single position, which the decoder cannot normalise.
            raise TusaError(
                f"A phase's size of {self.size} must be a multiple of 32, from 64, where images are decoded."
            )
        if self.size < 32 or self.size % 2:
            raise TusaError(f"A phase's size of {self.size} must be even, and at least 32.")


@dataclass(frozen=True)
class RunConfig:
    """How it is run.

    Attributes:
        seed: of weights, sampling and augmentation.
        start_from: a checkpoint whose network and heads are the starting point; empty for random weights.
        learning_rate: at the start of the cosine.
        final_learning_rate: at its end.
        warmup_steps: of linear increase before it.
        weight_decay: of AdamW, on matrices and kernels only.
        clip: largest norm of the gradient; 0 for none.
        precision: Fabric's name, such as ``bf16-mixed`` or ``32-true``.
        accelerator: Fabric's name: ``auto``, ``cpu``, ``cuda``, ``mps``.
        devices: how many on each node.
        nodes: how many machines.
        compile: pass the network through ``torch.compile``.
        channels_last: keep images and kernels in this memory order.
        ema: decay of the averaged weights; 0 for none.
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of the log.
        probe_every: steps between online probes; 0 for none.
        sheet_every: steps between texture sheets; 0 for none.
    """

    seed: int = 0
    start_from: str = ""
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    warmup_steps: int = 0
    weight_decay: float = 0.01
    clip: float = 1.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    compile: bool = False
    channels_last: bool = True
    ema: float = 0.0
    checkpoint_every: int = 100
    log_every: int = 10
    probe_every: int = 0
    sheet_every: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run."""

    network: TusaConfig = field(default_factory=TusaConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    run: RunConfig = field(default_factory=RunConfig)
    phases: tuple[Phase, ...] = (Phase(steps=1000),)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole schedule."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that a step, counted from zero, belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for JSON."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Build a configuration from the tables of a TOML file.

        Raises:
            TusaError: for an unknown table or key, or a value that does not fit.
        """
        sections: dict[str, Any] = {
            "network": TusaConfig,
            "data": DataConfig,
            "augment": AugmentConfig,
            "objective": ObjectiveConfig,
            "run": RunConfig,
        }
        if unknown := sorted(set(values) - {*sections, "phases"}):
            raise TusaError(f"Unknown tables {unknown} in the configuration; known: {[*sections, 'phases']}.")
        parts: dict[str, Any] = {
            name: _build(section, values.get(name, {}), name) for name, section in sections.items()
        }
        if "phases" in values:
            parts["phases"] = tuple(_build(Phase, phase, "phases") for phase in values["phases"])
            if not parts["phases"]:
                raise TusaError("The configuration needs at least one [[phases]] table.")
        return cls(**parts)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Read a TOML file.

        Raises:
            TusaError: when it is missing, is not TOML, or does not fit.
        """
        try:
            return cls.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise TusaError(f"Cannot read the configuration {path}: {error.strerror}.") from error
        except tomllib.TOMLDecodeError as error:
            raise TusaError(f"{path} is not TOML: {error}.") from error


def _build(section: type[Any], values: Mapping[str, Any], name: str) -> Any:
    known = {item.name: item for item in fields(section)}
    if unknown := sorted(set(values) - set(known)):
        raise TusaError(f"Unknown keys {unknown} in [{name}]; known: {sorted(known)}.")
    try:
        return section(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except TypeError as error:
        raise TusaError(f"[{name}] is incomplete or has a value of the wrong kind: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

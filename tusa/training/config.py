"""One TOML file that reproduces a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from tusa.errors import TusaError
from tusa.files import regular
from tusa.network import TusaConfig
from tusa.training.config_values import check_values


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
        balance: how the organ groups share a batch: by the number of their images to this power. 0 gives every group
            the same share (the paper), 0.5 the root of its size, 1 what the corpus has.
        bank: the bank of a teacher's crops, from ``tusa teacher``: large views are its boxes, and the terms
            ``teacher_...`` of the objective learn from its vectors. Empty for crops at random.
        on_device: keep the whole corpus, and the bank, in the memory of the device.
    """

    sources: tuple[str, ...] = ()
    size: int = 160
    held_out: float = 0.1
    organs_per_batch: int = 0
    max_unreadable: int = 20
    balance: float = 0.0
    bank: str = ""
    on_device: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1:
            raise TusaError(f"data.balance = {self.balance}: use 0 (groups alike) to 1 (as the corpus is).")


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
        noise: largest relative strength of multiplied noise (speckle of another grain).
        depth_gain: largest change of the gain from the middle of the image to its top and, the other way, its bottom.
        colours: how often each large view is coloured: 2 as in the paper; 1 for more images at the same cost. What is
            decoded is coloured twice in any case.
        local_crops: small views of each image, which are drawn to its large ones (multi-crop).
        local_scale: least and largest share of the area that a small view covers.
        box_jitter: how far, as a share of its side, the edges of a bank's box are moved at random.
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
    noise: float = 0.0
    depth_gain: float = 0.0
    colours: int = 2
    local_crops: int = 0
    local_scale: tuple[float, float] = (0.08, 0.3)
    box_jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.colours not in (1, 2):
            raise TusaError(f"augment.colours = {self.colours}: use 2 (the paper) or 1.")
        if self.local_crops < 0:
            raise TusaError(f"augment.local_crops = {self.local_crops}: use 0 for none, or a number of small views.")
        for name in ("crop_scale", "local_scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise TusaError(f"augment.{name} = {(low, high)}: give the least and the largest share, in (0, 1].")


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
        teacher_prediction: one minus the cosine between what a linear layer reads off an encoding and the teacher's
            vector of the same crop; this and the next two need ``data.bank``.
        teacher_matching: cross-entropy of finding that vector among those of the batch.
        teacher_relation: divergence of the encodings' similarities over a batch from those of the teacher's vectors.
        neighbours: entropy of the encodings by their nearest neighbours (KoLeo), against collapse.
        variance: shortfall of the encodings' standard deviations, on encodings scaled to a length of the root of their
            size, where 1 means that they are centred and use all directions alike.
        covariance: squared covariances of different coordinates of the same.
        temperature: of NT-Xent.
        teacher_temperature: of ``teacher_matching`` and ``teacher_relation``.
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
    teacher_prediction: float = 0.0
    teacher_matching: float = 0.0
    teacher_relation: float = 0.0
    neighbours: float = 0.0
    variance: float = 0.0
    covariance: float = 0.0
    temperature: float = 0.1
    teacher_temperature: float = 0.1
    head_depth: int = 2
    head_size: int = 128
    backbone: str = "none"
    backbone_weights: str = ""
    backbone_size: int = 128

    @property
    def taught(self) -> bool:
        """Whether a term needs a teacher's vectors."""
        return bool(self.teacher_prediction or self.teacher_matching or self.teacher_relation)


@dataclass(frozen=True)
class Phase:
    """A stretch of the schedule at one resolution.

    Attributes:
        steps: optimiser steps.
        size: side of the views in pixels: a multiple of 32 from 64; even, from 32, where nothing is decoded.
        images: images a step; on each device.
        decoded: of these, how many are decoded and painted (both colour views of one spatial view).
        accumulate: parts that a step is split into, one after the other, to fit memory.
        local_size: side of the small views, where there are any; even, from 32.
        joint: terms between images (contrast, teacher, spread) see the whole step although it is split into parts.
            Every part is encoded twice for that: once for the terms, and once for the gradient. One device only.
    """

    steps: int
    size: int = 128
    images: int = 32
    decoded: int = 32
    accumulate: int = 1
    local_size: int = 32
    joint: bool = False

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
        if self.local_size < 32 or self.local_size % 2:
            raise TusaError(f"A phase's local_size of {self.local_size} must be even, and at least 32.")


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
        compile: pass encoder and decoder through ``torch.compile``, once for each size; eager where that fails.
        channels_last: keep images and kernels in this memory order.
        ema: decay of the averaged weights; 0 for none.
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of the log; 0 for none.
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

    def __post_init__(self) -> None:
        if self.objective.taught and not self.data.bank:
            raise TusaError(
                "The terms teacher_... of the objective need the vectors of a teacher: make a bank with `tusa teacher` "
                "and set data.bank, or set their weights to 0."
            )
        if self.run.precision == "16-mixed" and any(phase.joint for phase in self.phases):
            raise TusaError("A phase with joint = true needs bf16-mixed or 32-true precision.")
        if self.run.devices * self.run.nodes > 1 and any(phase.joint for phase in self.phases):
            raise TusaError("A phase with joint = true runs on one device; several devices are joint as they are.")

    @property
    def views_an_image(self) -> int:
        """Views that the encoder sees of each image of a step, without second colourings for the decoder."""
        return 2 * self.augment.colours + self.augment.local_crops

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
            return cls.from_dict(tomllib.loads(regular(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise TusaError(f"Cannot read the configuration {path}: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TusaError(f"{path} is not TOML: {error}.") from error


def _build(section: type[Any], values: Mapping[str, Any], name: str) -> Any:
    known = {item.name: item for item in fields(section)}
    if unknown := sorted(set(values) - set(known)):
        raise TusaError(f"Unknown keys {unknown} in [{name}]; known: {sorted(known)}.")
    check_values(section, values, name)
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

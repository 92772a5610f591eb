"""TUSA: the encoder of a SwinUNETR that was trained to segment textures, with weights or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tusa
from tusa.weights import OPEN_WEIGHTS, has_open_weights, read_metadata
from usbench.encoder import Encoder, EncoderCard, Frame, Readiness, WeightsSource, weights
from usbench.errors import WeightsError
from usbench_encoders.initialisation import SEED, initialisation, seeded

if TYPE_CHECKING:
    import torch

    from tusa.inference import FastSwin

PAPER = "Grutman, Shinar and Ilovitsh, A texture-based framework for foundational ultrasound models (TUSA)"

# Table I of the paper, in the spelling of dataset cards.
PAPER_PRETRAINING = (
    "abdominal-us",
    "liver-tumors",
    "open-kidney",
    "breast-lesions-usg",
    "bus-uclm",
    "bus-bra",
    "busi",
    "camus",
    "ted",
    "unity-imaging",
    "fetal-abdominal-structures",
    "fetal-planes",
    "psfhs",
    "mmotu",
    "jocohs",
    "covid19-ultrasound",
    "deep-mtj",
    "fallmud",
    "common-carotid-artery",
    "ddti",
    "thyroid-ultrasound-cine-clip",
    "mouse-breast-cancer",
    "k-wave-phantoms",
)

# Exports of our trainer name their corpus by the digest of its images. Those of the packaged open weights.
_FIRST = (
    "abdominal-us",
    "aul",
    "busi",
    "covid19-ultrasound",
    "ddti",
    "hc18",
    "mmotu",
    "nhbs-hip",
    "stu-hospital",
    "timtrack",
    "usgra",
)
_MORE = (
    "brachial-plexus-aia",
    "carotid-handheld",
    "carotid-momot",
    "catfish",
    "common-carotid-artery",
    "dl-track",
    "echo-apical",
    "fetal-brain-3d",
    "fetal-planes",
    "kidney-stone",
    "liver-fibrosis",
    "nerve-segmentation",
    "ovary-cyst",
    "phantom-probe",
    "thyroid-tirads",
    "tongue",
)
OPEN_CORPORA = {
    "4a07f0785afbe4c531865d1b9463703eb0c6f88dcf68d5c292450a64118124ed": _FIRST,
    "f83a37efe2d8aaa322810c7c70a5a1138629a1235dd09f8ac440078e26ac9430": tuple(sorted((*_FIRST, *_MORE))),
}

_CARD: dict[str, Any] = {
    "embedding_dim": 576,
    "input_size": (128, 128),
    "parameters": 9_120_756,
    "gflops": 3.5,
    "preprocessings": {
        "paper": "bilinear with antialias to 128x128, aspect ignored, scaled to [-1, 1]",
    },
    "poolings": {
        "mean": "spatial mean of the deepest of five stages, 576 values",
        "stage4": "spatial mean of the fourth stage, 288 values",
        "stage3": "spatial mean of the third stage, 144 values",
        "stages": "spatial means of all five stages one after the other, 1116 values",
    },
    "variant_titles": {"stage4": "fourth stage", "stage3": "third stage", "stages": "all stages"},
    "licence": "code of the authors: not stated; this implementation: Apache-2.0",
    "citation": PAPER,
    "url": "https://github.com/talg2324/tusa",
}


# Pooling to the maps that are averaged over space and put one after the other.
POOLED = {"mean": (4,), "stage4": (3,), "stage3": (2,), "stages": (0, 1, 2, 3, 4)}


class TusaRandom(Encoder):
    """TUSA's architecture as it is before any training, from seed 0."""

    card = EncoderCard(
        name="tusa.random",
        title="TUSA, untrained",
        description="The encoder of TUSA with random weights, seed 0: what its architecture alone achieves.",
        pretraining_kind="none",
        pretraining_modality="none",
        pretraining=(),
        pretraining_note="No training.",
        floor=True,
        **_CARD,
    )

    micro_batch_size = 2
    libraries = ("monai",)  # whose network and initialisation it has; a part of the identity since MONAI computed it
    _fast: FastSwin | None = None
    weights_seed: int | None = SEED

    def load(self) -> torch.nn.Module:
        """Build the encoder with seeded random weights."""
        with seeded(self.weights_seed):
            return tusa.SwinEncoder()

    def weights_id(self) -> str:
        """Name seed and versions: together they decide the weights."""
        return initialisation("torch", "monai", seed=self.weights_seed)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(1, 128, 128)`` float32 in [-1, 1]."""
        return tusa.preprocess(frame)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Average the maps of the chosen stage over space, ``(B, 576)`` by default."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Average the maps of all stages that any pooling wants, from one pass."""
        import torch

        states = self._forward()(batch, sorted({stage for name in poolings for stage in POOLED[name]}))
        means = {stage: maps.mean(dim=(2, 3)) for stage, maps in states.items()}
        return {name: torch.cat([means[stage] for stage in POOLED[name]], dim=1) for name in poolings}

    def _forward(self) -> FastSwin:
        """Return the network's pass for inference; made anew if the network was replaced."""
        if self._fast is None or self._fast.encoder is not self.network:
            from tusa.inference import FastSwin

            self._fast = FastSwin(self.network)
        return self._fast


class TusaEncoder(TusaRandom):
    """TUSA with the authors' weights when they are registered, otherwise with the packaged ``open-v2``."""

    packaged = "open-v2"
    weights_seed = None

    card = EncoderCard(
        name="tusa",
        title="TUSA",
        description="Encoder of a SwinUNETR trained to segment grey-scale textures of ultrasound images.",
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note=(
            "The authors' weights: the 23 sets of Table I of the paper, BUS-BRA, BUSI and CAMUS among them. "
            "The packaged open-v2: the sets recorded in the file, and the vectors of a frozen SSCD ResNet-50 "
            "(natural images, MIT licence) of the same images as a teacher."
        ),
        weights=WeightsSource(
            filename="unet.pt",
            page="https://github.com/talg2324/tusa",
            signature=("swinViT.patch_embed.proj.weight", "swinViT.layers1c.0.layer.conv1.conv.weight"),
        ),
        # Brightness, contrast and Gaussian blur are augmentations in the paper and in the open weights.
        trained_shifts=("gain", "dynamic_range", "blur"),
        **_CARD,
    )

    def weights_path(self) -> Path:
        """Return the file given or registered, else that of the packaged open weights.

        Raises:
            WeightsError: There is none of them; the message names ``tusa.random``.
        """
        if self._weights is not None and (given := super().weights_path()) is not None:
            return given
        path = weights.find(self.name, self.card) if self.card.weights is not None else None
        if path is not None:
            return path
        try:
            return tusa.open_weights_path(self.packaged)
        except tusa.TusaError as error:  # it is absent, or not the file that was published
            message = weights.absent(self.name, self.card) if self.card.weights is not None else ""
            raise WeightsError(f"{message} {error} `tusa.random` is the same network untrained.".lstrip()) from None

    def readiness(self) -> Readiness:
        """Say whether weights are there. A packaged file is read, and held to its digest, when it is used."""
        own = self._weights or (weights.find(self.name, self.card) if self.card.weights is not None else None)
        return Readiness(True) if own is None and has_open_weights(self.packaged) else super().readiness()

    def weights_id(self) -> str:
        """Return the digest of the weight file."""
        return "sha256:" + weights.file_sha256(self.weights_path())

    def weights_as_published(self) -> bool | None:
        """Say whether an export of our trainer is this encoder's packaged file; of another file what its card says.

        Raises:
            WeightsError: There is no file, or it cannot be read.
        """
        path = self.weights_path()
        if is_export(path):
            return weights.file_sha256(path) == OPEN_WEIGHTS[self.packaged].sha256
        return super().weights_as_published()

    def pretraining(self) -> tuple[str, ...] | None:
        """Return the sets of Table I for the authors' weights, and those of the corpus for any packaged file.

        An export of one's own names its sets itself, under ``datasets`` in its training record, or nobody knows them. A
        packaged file that was changed is such an export: that its record names a known corpus says nothing of it.
        """
        path = self.weights_path()
        if not is_export(path):
            return PAPER_PRETRAINING if self.weights_as_published() is not False else None
        training = read_metadata(path).get("training", {})
        if weights.file_sha256(path) in {known.sha256 for known in OPEN_WEIGHTS.values()}:
            return OPEN_CORPORA[training["corpus_sha256"]]
        named = training.get("datasets") if isinstance(training, dict) else None
        return tuple(str(name).lower() for name in named) if isinstance(named, list) else None

    def load(self) -> torch.nn.Module:
        """Build the encoder from an export of our trainer, or from the authors' file.

        Raises:
            WeightsError: The file is neither.
        """
        path = self.weights_path()
        if is_export(path):
            try:
                return tusa.load_encoder(path)
            except tusa.TusaError as error:
                raise WeightsError(str(error)) from None
        state = weights.read_state(path)
        network = tusa.SwinEncoder()
        weights.load_strictly(network, weights.keep(state, "swinViT."), path, self.card, published=state)
        return network


class TusaScratch(TusaEncoder):
    """The packaged weights that had the images, views and steps of ``open-v2`` and no teacher."""

    packaged = "scratch"
    card = replace(
        TusaEncoder.card,
        name="tusa.scratch",
        title="TUSA, no teacher",
        description="Our TUSA without any outside feature: the same images, views and steps as `tusa`.",
        pretraining_note="The sets recorded in the file, and nothing else.",
        weights=None,
    )


class TusaOpenV1(TusaEncoder):
    """The first packaged weights."""

    packaged = "open-v1"
    card = replace(
        TusaEncoder.card,
        name="tusa.open-v1",
        title="TUSA, open-v1",
        description="Our first weights of TUSA: six hours on two cores, at up to 96 px.",
        pretraining_note="The sets recorded in the file, and the features of an ImageNet classifier as a teacher.",
        weights=None,
    )


def is_export(path: Path) -> bool:
    """Notify whether a file is an export of the TUSA trainer, by the mark in its header."""
    if not weights.is_safetensors(path):
        return False
    try:
        read_metadata(path)
    except tusa.TusaError:
        return False
    return True

"""UltraSam: Segment Anything, trained on 43 public ultrasound segmentation sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import sam_network
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

# OpenMMLab's names of the layers, and those of segment_anything.
NAMES = (
    ("patch_embed.projection.", "patch_embed.proj."),
    ("layers.", "blocks."),
    (".ln1.", ".norm1."),
    (".ln2.", ".norm2."),
    (".ffn.blocks.0.0.", ".mlp.lin1."),
    (".ffn.blocks.1.", ".mlp.lin2."),
    ("channel_reduction.", "neck."),
)

# US-43d as listed by the authors, in the spelling of dataset cards.
US_43D = (
    "105us",
    "abdominal-us",
    "acouslic",
    "asus",
    "aul",
    "brachial-plexus",
    "breast-lesions-usg",
    "buid",
    "bus-uc",
    "bus-uclm",
    "bus-bra",
    "bus-dataset-b",
    "busi",
    "camus",
    "cardiac-udc",
    "common-carotid-artery",
    "ddti",
    "echo-cp",
    "echonet-dynamic",
    "echonet-pediatric",
    "fallmud",
    "fetal-abdominal-structures",
    "fast-u-net",
    "psfhs",
    "gist514-db",
    "hc18",
    "open-kidney",
    "luss-phantom",
    "micro-seg",
    "mmotu",
    "mmotu-3d",
    "mup",
    "reg-pro",
    "s1-breast",
    "segthy",
    "stmus-nda",
    "stu-hospital",
    "tg3k",
    "thyroid-ultrasound-cine-clip",
    "tn3k",
    "tnscui",
    "upbd",
    "ultrasound-nerve-segmentation",
)

_CARD: dict[str, Any] = {
    "embedding_dim": 768,
    "input_size": (sam_network.IMAGE_SIZE, sam_network.IMAGE_SIZE),
    "parameters": sam_network.PARAMETERS,
    "gflops": sam_network.GFLOPS,
    "preprocessings": {
        "official": "longer side to 1024, bilinear without antialias, aspect kept; channel means and deviations "
        "of the authors; zeros added below and right to 1024x1024",
        "square": "bilinear with antialias to 1024x1024, aspect ignored, no padding; the same means and deviations",
    },
    "poolings": {
        **sam_network.POOLINGS,
        "unpadded": "tokens before the neck averaged over the image alone, without the padding: 768 values",
    },
    "licence": "CC BY-NC-SA 4.0 (code); weights: no separate statement",
    "citation": "Meyer et al., UltraSam: a foundation model for ultrasound using large open-access segmentation "
    "datasets, arXiv 2411.16222, 2024",
    "url": "https://github.com/CAMMA-public/UltraSam",
}


class UltraSam(Published):
    """UltraSam with the authors' weights."""

    card = EncoderCard(
        name="ultrasam",
        title="UltraSam",
        description="Segment Anything (ViT-B) trained on US-43d, 280,000 ultrasound images of 43 public sets.",
        year=2024,
        pretraining_kind="segmentation",
        pretraining_modality="ultrasound",
        pretraining=US_43D,
        pretraining_note="US-43d: the 43 public sets listed by the authors.",
        weights=WeightsSource(
            filename="UltraSam.pth",
            page="https://github.com/CAMMA-public/UltraSam",
            direct_url="https://s3.unistra.fr/camma_public/github/ultrasam/UltraSam.pth",
            licence="no separate statement",
            signature=("backbone.layers.0.attn.rel_pos_h", "backbone.channel_reduction.0.weight"),
        ),
        **_CARD,
    )
    packages = ("torch", "segment-anything")
    batch_size = 1

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network with the library's own initialisation."""
        return sam_network.build()

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the image encoder, and give its layers the names of segment_anything."""
        return weights.rename(weights.keep(published, "backbone."), NAMES)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 1024, 1024)`` float32, padding exactly zero."""
        import numpy as np
        import torch
        import torch.nn.functional as functional

        side, keep_aspect = sam_network.IMAGE_SIZE, self.preprocessing == "official"
        scale = side / max(frame.shape) if keep_aspect else 1.0
        size = [max(1, int(edge * scale + 0.5)) for edge in frame.shape] if keep_aspect else [side, side]
        pixels = torch.from_numpy(frame.astype(np.float32))[None, None]
        resized = functional.interpolate(pixels, size, mode="bilinear", antialias=not keep_aspect)
        grey = resized[0].round().expand(3, -1, -1)  # the authors resize whole grey levels
        normalised = (grey - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        return functional.pad(normalised, (0, side - size[1], 0, side - size[0]))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 1024, 1024)`` as ``(B, 768)``, or ``(B, 256)`` after the neck."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        return sam_network.pooled(self.network, batch, poolings, image_share(batch))


UltraSamRandom = untrained(UltraSam)


def image_share(batch: torch.Tensor) -> torch.Tensor:
    """Return which share of each patch is image and not padding.

    Padding is exactly zero, which no pixel can be: the means are not whole numbers.

    Args:
        batch: Preprocessed frames, ``(B, 3, 1024, 1024)``.

    Returns:
        float32 ``(B, 64, 64)`` in [0, 1].
    """
    import torch.nn.functional as functional

    image = (batch[:, :1] != 0).float()
    return functional.avg_pool2d(image, sam_network.PATCH_SIZE)[:, 0]

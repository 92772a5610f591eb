"""MedSAM: Segment Anything, fine-tuned on medical images of ten modalities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import sam_network
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch

_CARD: dict[str, Any] = {
    "embedding_dim": 768,
    "input_size": (sam_network.IMAGE_SIZE, sam_network.IMAGE_SIZE),
    "parameters": sam_network.PARAMETERS,
    "gflops": sam_network.GFLOPS,
    "preprocessings": {
        "official": "cubic spline with antialias to 1024x1024 (scikit-image), aspect ignored, cut to whole grey "
        "levels, then each image stretched to [0, 1]",
        "fast": "the same steps with torch's bicubic filter, about ten times as fast",
    },
    "poolings": sam_network.POOLINGS,
    "licence": "Apache-2.0 (code); weights: no separate statement",
    "citation": "Ma et al., Segment anything in medical images, Nature Communications 15, 654, 2024",
    "url": "https://github.com/bowang-lab/MedSAM",
}


class MedSAM(Published):
    """MedSAM with the authors' weights."""

    card = EncoderCard(
        name="medsam",
        title="MedSAM",
        description="Segment Anything (ViT-B) fine-tuned on 1.5 million medical image-mask pairs.",
        year=2024,
        pretraining_kind="segmentation",
        pretraining_modality="several modalities",
        pretraining=None,
        pretraining_note="1.5 million image-mask pairs of ten modalities; public ultrasound sets are among them.",
        weights=WeightsSource(
            filename="medsam_vit_b.pth",
            page="https://github.com/bowang-lab/MedSAM (its Google Drive folder)",
            licence="no separate statement",
            signature=("image_encoder.pos_embed", "image_encoder.blocks.0.attn.rel_pos_h"),
        ),
        **_CARD,
    )
    packages = ("torch", "segment-anything")
    batch_size = 1

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network with the library's own initialisation."""
        return sam_network.build()

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the image encoder alone."""
        return weights.keep(published, "image_encoder.")

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 1024, 1024)`` float32 in [0, 1]; a constant frame becomes zero."""
        import numpy as np
        import torch

        side = sam_network.IMAGE_SIZE
        resized = _spline(frame, side) if self.preprocessing == "official" else _bicubic(frame, side)
        grey = np.floor(resized).astype(np.float64)
        low, high = grey.min(), grey.max()
        stretched = ((grey - low) / max(high - low, 1e-8)).astype(np.float32)
        return torch.from_numpy(stretched).expand(3, -1, -1)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 1024, 1024)`` as ``(B, 768)``, or ``(B, 256)`` after the neck."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        return sam_network.pooled(self.network, batch, poolings)


MedSAMRandom = untrained(MedSAM)


def _spline(frame: Frame, side: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    from skimage.transform import resize

    resized: np.ndarray[Any, np.dtype[np.float64]] = resize(
        frame, (side, side), order=3, preserve_range=True, anti_aliasing=True
    )
    return resized


def _bicubic(frame: Frame, side: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    import numpy as np
    import torch

    pixels = torch.from_numpy(frame.astype(np.float32))[None, None]
    resized = torch.nn.functional.interpolate(pixels, (side, side), mode="bicubic", antialias=True)
    # The cubic kernel overshoots; like scikit-image, stay within the range of the frame.
    within: np.ndarray[Any, np.dtype[np.float32]] = resized[0, 0].clamp(pixels.min(), pixels.max()).numpy()
    return within

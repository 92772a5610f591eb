"""EchoCare: a Swin transformer in two dimensions, pre-trained on ultrasound of many organs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import pixels, stages
from usbench_encoders.mae import UNVERIFIED
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    import torch

SIDE = 256


class EchoCare(Published):
    """The encoder of EchoCare, by MONAI."""

    card = EncoderCard(
        name="echocare",
        title="EchoCare (Swin)",
        embedding_dim=2048,
        input_size=(SIDE, SIDE),
        description="Swin transformer with convolutions between stages, pre-trained on 4.5 million ultrasound images. "
        + UNVERIFIED,
        parameters=120_221_688,
        gflops=201.8,
        preprocessings={
            "unit": "bilinear with antialias to 256x256 (Pillow), aspect ignored, scaled to [0, 1]; the authors' "
            "statistics are not public",
            "half": "the same, scaled to [-1, 1]",
        },
        poolings={
            "mean": "spatial mean of the last of five maps, normed: 2048 values",
            "stages": "spatial means of all five maps one after the other: 3968 values",
        },
        licence="not stated for the weights",
        citation="Zhang et al., A fully open and generalizable foundation model for ultrasound clinical applications, "
        "arXiv 2509.11752, 2025",
        url="https://github.com/CAIR-HKISI/EchoCare",
        year=2025,
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note="4.5 million images of 23 centres, public sets among them, not listed here.",
        weights=WeightsSource(
            filename="echocare_encoder.pth", page="https://github.com/CAIR-HKISI/EchoCare", licence="not stated"
        ),
    )
    packages = ("torch", "monai")
    batch_size = 4

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build MONAI's Swin transformer."""
        from monai.networks.nets.swin_unetr import SwinTransformer

        network: torch.nn.Module = SwinTransformer(
            in_chans=3,
            embed_dim=128,
            window_size=(8, 8),
            patch_size=(2, 2),
            depths=(2, 2, 18, 2),
            num_heads=(4, 8, 16, 32),
            use_v2=True,
            spatial_dims=2,
        )
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the encoder without the token for masked patches."""
        state = weights.fit_prefix(published, ["patch_embed.proj.weight", "layers1.0.blocks.0.norm1.weight"])
        return {name: tensor for name, tensor in state.items() if name != "mask_token"}

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 256, 256)`` float32."""
        statistics = pixels.UNIT if self.preprocessing == "unit" else pixels.HALF
        return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE)), statistics)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 256, 256)`` as ``(B, 2048)``, or ``(B, 3968)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        maps = self.network(batch, normalize=True)
        return {name: stages.joined_means(maps if name == "stages" else maps[-1:]) for name in poolings}


EchoCareRandom = untrained(EchoCare)

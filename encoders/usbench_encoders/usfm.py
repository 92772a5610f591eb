"""USFM: a BEiT, pre-trained by masked image modelling in space and frequency on ultrasound images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usbench.encoder import EncoderCard, Frame, WeightsSource
from usbench_encoders import stages
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_CARD: dict[str, Any] = {
    "embedding_dim": 768,
    "input_size": (SIDE, SIDE),
    "parameters": 85_665_360,
    "gflops": 35.1,
    "preprocessings": {
        "official": "bicubic with antialias to 224x224 (Pillow), aspect ignored; ImageNet means and deviations",
        "zscore": "bilinear without antialias to 224x224, aspect ignored; each image to mean 0 and deviation 1, as "
        "in the authors' script that extracts features",
    },
    "poolings": {
        "mean": "patch tokens after the last norm averaged: 768 values",
        "class": "class token after the last norm: 768 values",
        "stages": f"{stages.OF_BLOCKS}: 3072 values",
    },
    "licence": "CC BY-NC 4.0 (code, by its README); weights: no separate statement",
    "citation": "Jiao et al., USFM: a universal ultrasound foundation model generalized to tasks and organs towards "
    "label efficient image analysis, Medical Image Analysis 96, 103202, 2024",
    "url": "https://github.com/openmedlab/USFM",
}


class USFM(Published):
    """USFM with the authors' weights."""

    card = EncoderCard(
        name="usfm",
        title="USFM",
        description="BEiT-B/16 pre-trained by masked image modelling on more than two million ultrasound images.",
        year=2024,
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note="3M-US: private and public sets, not listed completely.",
        weights=WeightsSource(
            filename="USFM_latest.pth",
            page="https://github.com/openmedlab/USFM (its Google Drive link)",
            licence="no separate statement",
            signature=("rel_pos_bias.relative_position_bias_table", "blocks.0.attn.q_bias", "blocks.0.gamma_1"),
        ),
        **_CARD,
    )
    packages = ("torch", "timm")
    micro_batch_size = 4

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network with the library's own initialisation."""
        return build()

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Leave out what serves pre-training, and an index that the network computes for itself."""
        return {
            key: tensor
            for key, tensor in published.items()
            if key != "mask_token" and not key.endswith("relative_position_index")
        }

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        import numpy as np
        import torch

        if self.preprocessing == "zscore":
            pixels = torch.from_numpy(frame.astype(np.float32))[None, None]
            grey = torch.nn.functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear")[0].round() / 255
            deviation = grey.std(correction=0).clamp_min(1e-8)  # a constant frame becomes zero
            return ((grey - grey.mean()) / deviation).expand(3, -1, -1)
        from PIL import Image

        resized = Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        grey = torch.from_numpy(np.array(resized, dtype=np.float32)).expand(3, -1, -1) / 255
        return (grey - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 224, 224)`` as ``(B, 768)``, or ``(B, 3072)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        names = stages.blocks_of(self.network) if "stages" in poolings else []
        with stages.outputs_of(self.network, names) as between:
            tokens: torch.Tensor = self.network.forward_features(batch)
        return {name: _pooled(name, tokens, list(between.values())) for name in poolings}


def _pooled(pooling: str, tokens: torch.Tensor, between: list[torch.Tensor]) -> torch.Tensor:
    if pooling == "stages":
        return stages.joined_tokens(between, 1)
    return tokens[:, 0] if pooling == "class" else tokens[:, 1:].mean(dim=1)


USFMRandom = untrained(USFM)


def build() -> torch.nn.Module:
    """Build the BEiT with the library's own initialisation."""
    from timm.models.beit import Beit

    network: Any = Beit(
        img_size=SIDE,
        patch_size=16,
        embed_dim=768,
        depth=12,
        num_heads=12,
        qkv_bias=True,
        init_values=0.1,
        use_abs_pos_emb=False,
        use_shared_rel_pos_bias=True,
        num_classes=0,
        global_pool="token",
        use_fc_norm=False,
    )
    network.rel_pos_bias.register_forward_hook(_for_all_images)
    built: torch.nn.Module = network
    return built


def _for_all_images(module: torch.nn.Module, inputs: tuple[()], bias: torch.Tensor) -> torch.Tensor:
    """Give the position bias, ``(heads, N, N)``, the dimension of images that torch's fused attention asks for."""
    return bias[None]

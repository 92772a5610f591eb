"""Image towers of CLIP models that were trained on medical images and their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import pixels, stages
from usbench_encoders.mae import UNVERIFIED
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    import torch

SIDE = 224
PROJECTED = "projected image embedding, not normalised"


class _Tower(Published):
    """A tower that takes 224 px."""

    packages = ("torch", "timm")
    batch_size = 16

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the image tower, ``visual.*``, or everything where the file holds it alone."""
        return weights.keep(published, "visual.") or dict(published)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 224, 224)`` as ``(B, D)``."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        trunk = self.network.trunk
        names = stages.of_timm(self.name, trunk) if "stages" in poolings else []
        with stages.outputs_of(trunk, names) as between:
            features: torch.Tensor = trunk.forward_features(batch)
        return {name: self._pooled(name, features, list(between.values())) for name in poolings}

    def _pooled(self, pooling: str, features: torch.Tensor, between: list[torch.Tensor]) -> torch.Tensor:
        if pooling == "stages":
            return stages.joined_means(between) if between[0].ndim == 4 else stages.joined_tokens(between, 1)
        if pooling == "class":
            return features[:, 0]
        if pooling == "mean":
            return features[:, 1:].mean(dim=1)
        pooled: torch.Tensor = self.network.trunk.forward_head(features, pre_logits=pooling == "trunk")
        projected: torch.Tensor = pooled if pooling == "trunk" else self.network.head(pooled)
        return projected


# OpenCLIP's names of a transformer's parts, and timm's.
NAMES = (
    ("class_embedding", "cls_token"),
    ("positional_embedding", "pos_embed"),
    ("conv1.", "patch_embed.proj."),
    ("ln_pre.", "norm_pre."),
    ("ln_post.", "norm."),
    ("transformer.resblocks.", "blocks."),
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".attn.in_proj_", ".attn.qkv."),
    (".attn.out_proj.", ".attn.proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)


class FetalClip(_Tower):
    """FetalCLIP's ViT-L/14."""

    card = EncoderCard(
        name="fetalclip",
        title="FetalCLIP (ViT-L)",
        embedding_dim=768,
        input_size=(SIDE, SIDE),
        description="ViT-L/14 tower of a CLIP model of fetal ultrasound and its reports. " + UNVERIFIED,
        parameters=303_966_208,
        gflops=162.0,
        preprocessings={
            "official": "zeros added to a square, bicubic to 224x224 (Pillow); OpenAI's statistics",
            "whole": "bicubic to 224x224, aspect ignored; the same statistics",
        },
        poolings={
            "model": PROJECTED,
            "class": "class token after the last norm, before the projection: 1024 values",
            "mean": "patch tokens after the last norm averaged: 1024 values",
            "stages": f"{stages.OF_BLOCKS}: 4096 values",
        },
        licence="CC BY-NC 4.0",
        citation="Maani et al., FetalCLIP: a visual-language foundation model for fetal ultrasound image analysis, "
        "2025",
        url="https://github.com/BioMedIA-MBZUAI/FetalCLIP",
        year=2025,
        pretraining_kind="image-text",
        pretraining_modality="ultrasound",
        pretraining=(),
        pretraining_note="210,035 private fetal images with texts; continued from a CLIP model of photographs.",
        weights=WeightsSource(
            filename="FetalCLIP_weights.pt",
            page="https://github.com/BioMedIA-MBZUAI/FetalCLIP",
            licence="CC BY-NC 4.0",
            signature=("visual.transformer.resblocks.23.attn.in_proj_weight", "visual.class_embedding"),
        ),
    )
    batch_size = 4

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the transformer with CLIP's norm before the blocks."""
        from functools import partial

        import torch
        from timm.models.vision_transformer import VisionTransformer

        from usbench_encoders.tower import Tower

        trunk = VisionTransformer(
            img_size=SIDE,
            patch_size=14,
            embed_dim=1024,
            depth=24,
            num_heads=16,
            pre_norm=True,
            num_classes=0,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-5),
        )
        return Tower(trunk, 1024, 768)

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give the tensors of OpenCLIP's transformer timm's names."""
        state = super().adapt(published)
        if "proj" not in state or "conv1.weight" not in state:
            return dict(published)
        projection = state.pop("proj")
        renamed = {f"trunk.{name}": tensor for name, tensor in weights.rename(state, NAMES).items()}
        for name in ("trunk.cls_token", "trunk.pos_embed"):
            if name in renamed:
                renamed[name] = renamed[name].reshape(1, -1, renamed[name].shape[-1])
        return {**renamed, "head.proj.weight": projection.T}

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        fit = "pad" if self.preprocessing == "official" else "squash"
        return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE), "bicubic", fit), pixels.OPENAI)


class EchoClip(_Tower):
    """EchoCLIP's ConvNeXt-B."""

    card = EncoderCard(
        name="echoclip",
        title="EchoCLIP (ConvNeXt-B)",
        embedding_dim=512,
        input_size=(SIDE, SIDE),
        description="ConvNeXt-B tower of a CLIP model of echocardiograms and their reports. " + UNVERIFIED,
        parameters=88_090_752,
        gflops=30.7,
        preprocessings={
            "official": "central square, a tenth cut off on every side, cubic without antialias to 224x224; OpenAI's "
            "statistics",
            "whole": "bicubic with antialias to 224x224, aspect ignored; the same statistics",
        },
        poolings={
            "model": PROJECTED,
            "trunk": "last map averaged over space and normed: 1024 values",
            "stages": f"{stages.OF_MAPS}: 1920 values",
        },
        licence="academic software licence of Cedars-Sinai",
        citation="Christensen et al., Vision-language foundation model for echocardiogram interpretation, Nature "
        "Medicine 30, 1481, 2024",
        url="https://github.com/echonet/echo_CLIP",
        year=2024,
        pretraining_kind="image-text",
        pretraining_modality="ultrasound",
        pretraining=(),
        pretraining_note="A million private echocardiograms with their reports.",
        weights=WeightsSource(
            filename="echoclip.bin",
            page="https://huggingface.co/mkaichristensen/echo-clip (gated; its open_clip_pytorch_model.bin)",
            licence="academic software licence of Cedars-Sinai",
            signature=("visual.trunk.stages.3.blocks.2.gamma", "visual.head.proj.weight"),
        ),
    )

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build timm's ConvNeXt-B with the projection."""
        import timm

        from usbench_encoders.tower import Tower

        return Tower(timm.create_model("convnext_base", num_classes=0), 1024, 512)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        if self.preprocessing == "whole":
            return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE), "bicubic"), pixels.OPENAI)
        import numpy as np
        import torch
        from PIL import Image

        grey = torch.from_numpy(zoomed(frame).astype(np.float32))[None, None]
        resized = torch.nn.functional.interpolate(grey, (SIDE, SIDE), mode="bicubic", align_corners=False)
        whole = resized[0, 0].round().clamp(0, 255).to(torch.uint8).numpy()
        return pixels.normalised(Image.fromarray(whole), pixels.OPENAI)


def zoomed(frame: Frame, zoom: float = 0.1) -> Frame:
    """Cut a frame to its central square, then a share off every side of that; frames too small to cut stay whole.

    Args:
        frame: uint8 ``(H, W)``.
        zoom: The share.
    """
    excess = frame.shape[1] - frame.shape[0]
    margin = round(abs(excess) / 2)
    if excess > 0 and frame.shape[1] > 2 * margin:
        frame = frame[:, margin : frame.shape[1] - margin]
    elif excess < 0 and frame.shape[0] > 2 * margin:
        frame = frame[margin : frame.shape[0] - margin]
    down, across = (int(side * zoom) for side in frame.shape)
    return frame[down : frame.shape[0] - down, across : frame.shape[1] - across]


class BiomedClip(_Tower):
    """BiomedCLIP's ViT-B/16."""

    card = EncoderCard(
        name="biomedclip",
        title="BiomedCLIP (ViT-B)",
        embedding_dim=512,
        input_size=(SIDE, SIDE),
        description="ViT-B/16 tower of a CLIP model of figures in biomedical articles. " + UNVERIFIED,
        parameters=86_191_872,
        gflops=35.1,
        preprocessings={
            "official": "bicubic, shorter side to 224, then the central 224x224 (Pillow); OpenAI's statistics",
            "whole": "bicubic to 224x224, aspect ignored; the same statistics",
        },
        poolings={
            "model": PROJECTED,
            "class": "class token after the last norm, before the projection: 768 values",
            "mean": "patch tokens after the last norm averaged: 768 values",
            "stages": f"{stages.OF_BLOCKS}: 3072 values",
        },
        licence="MIT",
        citation="Zhang et al., BiomedCLIP: a multimodal biomedical foundation model pretrained from fifteen million "
        "scientific image-text pairs, 2023",
        url="https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        year=2023,
        pretraining_kind="image-text",
        pretraining_modality="several modalities",
        pretraining=None,
        pretraining_note="15 million figures of articles, ultrasound among them; not listed by data set.",
        weights=WeightsSource(
            filename="biomedclip.bin",
            page="https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224 (its "
            "open_clip_pytorch_model.bin)",
            licence="MIT",
            signature=("visual.trunk.blocks.11.norm1.weight", "visual.head.proj.weight"),
        ),
    )

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build timm's ViT-B/16 with the projection."""
        import timm

        from usbench_encoders.tower import Tower

        return Tower(timm.create_model("vit_base_patch16_224", num_classes=0), 768, 512)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        fit = "crop" if self.preprocessing == "official" else "squash"
        return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE), "bicubic", fit), pixels.OPENAI)


FetalClipRandom = untrained(FetalClip)
EchoClipRandom = untrained(EchoClip)
BiomedClipRandom = untrained(BiomedClip)

"""Vision transformers pre-trained on ultrasound as masked autoencoders, and one distilled from such a network.

Their files hold the encoder, as a rule beside a decoder, a mask token and the state of an optimiser, which an encoder
does not use. Of two layouts the last norm tells which: ``norm`` is applied to every token, ``fc_norm`` to their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import pixels, stages
from usbench_encoders.generic import PRETRAINING_PARTS
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    import torch

SIDE = 224
UNVERIFIED = "Written after the authors' description and proven on random weights; their file could not be had."

# OpenUS-46 as listed by the authors of USF-MAE, in the spelling of dataset cards.
OPENUS_46 = (
    "105us",
    "abdominal-us",
    "acouslic",
    "aul",
    "covid-blues",
    "bp",
    "brachial-plexus",
    "breast-lesions-usg",
    "bus-dataset-b",
    "bus-uc",
    "bus-uclm",
    "bus-bra",
    "cactus",
    "camus",
    "cardiac-udc",
    "common-carotid-artery",
    "dfhi",
    "echo-cp",
    "echonet-dynamic",
    "echonet-pediatric",
    "fallmud",
    "fetal-abdominal-structures",
    "fast-u-net",
    "feft",
    "fetal-planes",
    "fh-ps-aop",
    "gist514-db",
    "hc18",
    "jnu-ifm",
    "open-kidney",
    "luss-phantom",
    "micro-seg",
    "mmotu",
    "mmotu-3d",
    "covid19-ultrasound",
    "porcine-spinal-cord",
    "psfhs",
    "reg-pro",
    "s1-breast",
    "segthy",
    "stmus-nda",
    "stu-hospital",
    "thyroid-dataset",
    "thyroid-ultrasound-cine-clip",
    "ultrasound-fetus",
    "upbd",
)


class MaskedAutoencoder(Published):
    """A vision transformer of 16 px patches at 224 px, with a class token."""

    packages = ("torch", "timm")
    batch_size = 16
    width: ClassVar[int] = 768
    depth: ClassVar[int] = 12
    heads: ClassVar[int] = 12
    averaged: ClassVar[bool] = False  # whether the untrained twin norms the mean of tokens
    resampling: ClassVar[str] = "bicubic"

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the transformer, with the last norm where the file has it."""
        from functools import partial

        import torch
        from timm.models.vision_transformer import VisionTransformer

        averaged = "fc_norm.weight" in state and "norm.weight" not in state if state else self.averaged
        network: torch.nn.Module = VisionTransformer(
            img_size=SIDE,
            patch_size=16,
            embed_dim=self.width,
            depth=self.depth,
            num_heads=self.heads,
            num_classes=0,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            global_pool="avg" if averaged else "token",
        )
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the encoder alone, under whatever prefix it stands."""
        state = weights.fit_prefix(published, ["cls_token", "pos_embed", "patch_embed.proj.weight"])
        return {name: tensor for name, tensor in state.items() if not name.startswith((*PRETRAINING_PARTS, "head."))}

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        resampling = self.resampling if self.preprocessing == "official" else "bilinear"
        return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE), resampling))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 224, 224)`` as ``(B, D)``, or ``(B, 4 D)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        names = stages.blocks_of(self.network) if "stages" in poolings else []
        with stages.outputs_of(self.network, names) as between:
            tokens: torch.Tensor = self.network.forward_features(batch)
        return {name: self._pooled(name, tokens, list(between.values())) for name in poolings}

    def _pooled(self, pooling: str, tokens: torch.Tensor, between: list[torch.Tensor]) -> torch.Tensor:
        if pooling == "stages":
            return stages.joined_tokens(between, 1)
        vectors: torch.Tensor = self.network.fc_norm(tokens[:, 0] if pooling == "class" else tokens[:, 1:].mean(dim=1))
        return vectors


CLASS_FIRST = {
    "class": "class token after the last norm",
    "mean": "patch tokens averaged, after the last norm",
    "stages": stages.OF_BLOCKS,
}
MEAN_FIRST = {
    "mean": "patch tokens averaged; the last norm before that, or after it in files with fc_norm",
    "class": "class token after that norm",
    "stages": stages.OF_BLOCKS,
}


def _pixels(resampling: str, said: str = "") -> dict[str, str]:
    other = {} if resampling == "bilinear" else {"bilinear": "the same with a bilinear filter"}
    text = f"{resampling} to 224x224 (Pillow), aspect ignored; ImageNet statistics{said}"
    return {"official": text, **other}


_BASE: dict[str, Any] = {
    "embedding_dim": 768,
    "input_size": (SIDE, SIDE),
    "parameters": 85_798_656,
    "gflops": 35.1,
}


class UsfMae(MaskedAutoencoder):
    """USF-MAE, pre-trained on 43 sets of OpenUS-46."""

    card = EncoderCard(
        name="usf-mae",
        title="USF-MAE (ViT-B)",
        description="ViT-B/16, a masked autoencoder of ultrasound images of 43 public sets. " + UNVERIFIED,
        preprocessings=_pixels("nearest"),
        poolings=CLASS_FIRST,
        licence="MIT",
        citation="Megahed et al., USF-MAE: ultrasound self-supervised foundation model with masked autoencoding, 2025",
        url="https://github.com/Yusufii9/USF-MAE",
        year=2025,
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=OPENUS_46,
        pretraining_note="43 sets of OpenUS-46 pre-train and 3 evaluate; the authors name BUS-BRA, MMOTU-2D and "
        "GIST514 as the latter without marking them in their table, so these count as seen.",
        weights=WeightsSource(
            filename="USF-MAE_full_pretrain_43dataset_100epochs.pt",
            page="https://github.com/Yusufii9/USF-MAE (its Drive link)",
            licence="MIT",
        ),
        **_BASE,
    )
    resampling = "nearest"


class Urfm(MaskedAutoencoder):
    """URFM, ViT-B."""

    card = EncoderCard(
        name="urfm",
        title="URFM (ViT-B)",
        description="ViT-B/16, a masked autoencoder of a million ultrasound images. " + UNVERIFIED,
        preprocessings=_pixels("bicubic", "; the filter is not stated"),
        poolings=CLASS_FIRST,
        licence="sources disagree: Apache-2.0 or MIT",
        citation="Kang et al., URFM: a general ultrasound representation foundation model for advancing ultrasound "
        "image diagnosis, iScience, 2025",
        url="https://huggingface.co/QingboKang/URFM",
        year=2025,
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note="A million images, partly public, not listed; guided by features of BiomedCLIP.",
        weights=WeightsSource(
            filename="urfm.pth",
            page="https://huggingface.co/QingboKang/URFM (gated; its file for ViT-B)",
            licence="sources disagree: Apache-2.0 or MIT",
        ),
        **_BASE,
    )


class UrfmLarge(MaskedAutoencoder):
    """URFM, ViT-L."""

    card = EncoderCard(
        name="urfm-large",
        title="URFM (ViT-L)",
        embedding_dim=1024,
        input_size=(SIDE, SIDE),
        parameters=303_301_632,
        gflops=123.1,
        description="ViT-L/16, a masked autoencoder of a million ultrasound images. " + UNVERIFIED,
        preprocessings=Urfm.card.preprocessings,
        poolings=CLASS_FIRST,
        licence=Urfm.card.licence,
        citation=Urfm.card.citation,
        url=Urfm.card.url,
        year=2025,
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note=Urfm.card.pretraining_note,
        weights=WeightsSource(
            filename="urfm-large.pth",
            page="https://huggingface.co/QingboKang/URFM (gated; its file for ViT-L)",
            licence="sources disagree: Apache-2.0 or MIT",
        ),
    )
    width, depth, heads = 1024, 24, 16
    batch_size = 8


class UltraFedFM(MaskedAutoencoder):
    """UltraFedFM, pre-trained at 16 institutions that kept their images."""

    card = EncoderCard(
        name="ultrafedfm",
        title="UltraFedFM (ViT-B)",
        description="ViT-B/16, a masked autoencoder trained by federated learning on a million images. " + UNVERIFIED,
        preprocessings=_pixels("bicubic", "; the filter is that of the MAE programs"),
        poolings=MEAN_FIRST,
        licence="Apache-2.0",
        citation="Jiang et al., From pretraining to privacy: federated ultrasound foundation model with "
        "self-supervised learning, arXiv 2411.16380, 2024",
        url="https://github.com/yuncheng97/UltraFedFM",
        year=2024,
        pretraining_kind="self-supervised",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note="A million images of 16 institutions, not listed.",
        weights=WeightsSource(
            filename="ultrafedfm.pth",
            page="https://github.com/yuncheng97/UltraFedFM (its checkpoint.pth)",
            licence="Apache-2.0",
        ),
        **_BASE,
    )
    averaged = True


class TinyUsfm(MaskedAutoencoder):
    """TinyUSFM, of twelve narrow heads."""

    card = EncoderCard(
        name="tinyusfm",
        title="TinyUSFM",
        embedding_dim=192,
        input_size=(SIDE, SIDE),
        parameters=5_524_416,
        gflops=2.51,
        description="Vision transformer of width 192 and 12 heads, distilled from USFM. " + UNVERIFIED,
        preprocessings=_pixels("bilinear"),
        poolings=MEAN_FIRST,
        licence="Apache-2.0",
        citation="Ma et al., TinyUSFM: towards compact and efficient ultrasound foundation models, 2025",
        url="https://github.com/MacDunno/TinyUSFM",
        year=2025,
        pretraining_kind="distillation",
        pretraining_modality="ultrasound",
        pretraining=None,
        pretraining_note="Distilled from USFM, whose sets are not listed completely.",
        weights=WeightsSource(
            filename="TinyUSFM.pth",
            page="https://github.com/MacDunno/TinyUSFM",
            licence="Apache-2.0",
        ),
    )
    width, averaged, resampling = 192, True, "bilinear"
    batch_size = 32


UsfMaeRandom = untrained(UsfMae)
UrfmRandom = untrained(Urfm)
UrfmLargeRandom = untrained(UrfmLarge)
UltraFedFMRandom = untrained(UltraFedFM)
TinyUsfmRandom = untrained(TinyUsfm)

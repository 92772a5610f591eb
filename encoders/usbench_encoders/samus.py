"""SAMUS: Segment Anything adapted to ultrasound at 256 px, with a branch of convolutions beside the transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import pixels, stages
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    import torch

SIDE = 256


class Samus(Published):
    """The image encoder of SAMUS, without prompts and mask decoder."""

    card = EncoderCard(
        name="samus",
        title="SAMUS (ViT-B)",
        embedding_dim=768,
        input_size=(SIDE, SIDE),
        description="Segment Anything's ViT-B with adapters and a branch of convolutions, trained to segment "
        "ultrasound. Written after the authors' program and proven on random weights; they publish no trained file, "
        "so that what is loaded is one's own, or theirs on request.",
        parameters=129_259_008,
        gflops=297.4,
        preprocessings={"official": "bilinear with antialias to 256x256 (Pillow), aspect ignored, scaled to [0, 1]"},
        poolings={
            "mean": "tokens of both branches before the neck averaged over space: 768 values",
            "neck": "output of the neck averaged over space: 256 values",
            "stages": "the transformer's tokens averaged after each of the four blocks in which the branches meet, one "
            "after the other: 3072 values",
        },
        licence="MIT",
        citation="Lin et al., SAMUS: adapting Segment Anything model for clinically-friendly and generalizable "
        "ultrasound image segmentation, arXiv 2309.06824, 2023",
        url="https://github.com/xianlin7/SAMUS",
        pretraining=None,
        pretraining_kind="segmentation",
        pretraining_modality="ultrasound",
        year=2023,
        pretraining_note="US30K by the authors' list: TN3K, DDTI, TG3K, BUSI, UDIAT, CAMUS and HMC-QU; which of them "
        "a file has seen, it does not say.",
        weights=WeightsSource(
            filename="samus.pth",
            page="https://github.com/xianlin7/SAMUS (the program; no trained file is published there)",
            licence="MIT (program)",
            signature=(
                "image_encoder.pos_embed",
                "image_encoder.blocks.0.attn.rel_pos_h",
                "image_encoder.input_Adapter.D_fc1.weight",
                "image_encoder.blocks.2.Space_Adapter.q.weight",
            ),
        ),
    )
    packages = ("torch", "segment-anything")
    batch_size = 4

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network."""
        from usbench_encoders.samus_network import SamusNetwork

        return SamusNetwork()

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the image encoder, ``image_encoder.*``, also as several GPUs save it, or this part alone."""
        for prefix in ("image_encoder.", "module.image_encoder."):
            if state := weights.keep(published, prefix):
                return state
        return dict(published)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 256, 256)`` float32 in [0, 1]."""
        return pixels.normalised(pixels.fitted(frame, (SIDE, SIDE)), pixels.UNIT)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 256, 256)`` as ``(B, 768)``, or as the pooling says."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        tokens, between = self.network.tokens(batch)
        found = {}
        for name in poolings:
            if name == "neck":
                found[name] = stages.joined_means([self.network.neck(tokens.permute(0, 3, 1, 2))])
            elif name == "stages":
                found[name] = stages.joined_tokens([each.flatten(1, 2) for each in between], 0)
            else:
                found[name] = tokens.float().mean(dim=(1, 2))
        return found


SamusRandom = untrained(Samus)

"""PanEcho's image encoder: a ConvNeXt-T trained on echocardiograms for many findings at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from usbench.encoder import EncoderCard, Frame, WeightsSource, weights
from usbench_encoders import pixels, stages
from usbench_encoders.mae import UNVERIFIED
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    import torch


class PanEcho(Published):
    """The network for single frames, without what joins the frames of a clip."""

    card = EncoderCard(
        name="panecho",
        title="PanEcho (ConvNeXt-T)",
        embedding_dim=768,
        input_size=(224, 224),
        description="ConvNeXt-T for single frames, trained on echocardiograms for 39 findings. " + UNVERIFIED,
        parameters=27_820_128,
        gflops=8.91,
        preprocessings={
            "official": "bilinear with antialias to 224x224 (Pillow), aspect ignored; ImageNet statistics. The filter "
            "is not stated"
        },
        poolings={
            "mean": "last map averaged over space and normed: 768 values",
            "stages": "means of the maps of the four stages one after the other: 1440 values",
        },
        licence="AGPL-3.0 (code); CC BY-NC-SA 4.0 (weights)",
        citation="Holste et al., Complete AI-enabled echocardiography interpretation with multitask deep learning, "
        "JAMA 334, 306, 2025",
        url="https://github.com/CarDS-Yale/PanEcho",
        year=2025,
        pretraining_kind="supervised",
        pretraining_modality="ultrasound",
        pretraining=(),
        pretraining_note="1.2 million private echocardiographic videos; begun from weights for photographs.",
        weights=WeightsSource(
            filename="panecho.pt",
            page="https://github.com/CarDS-Yale/PanEcho",
            direct_url="https://github.com/CarDS-Yale/PanEcho/releases/download/v1.0/panecho.pt",
            licence="CC BY-NC-SA 4.0",
            signature=("encoder.encoder.model.features.0.0.weight", "encoder.time_encoder.pe"),
        ),
    )
    packages = ("torch", "torchvision")

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build torchvision's ConvNeXt-T without its last layer."""
        import torch
        from torchvision.models import convnext_tiny

        network = convnext_tiny()
        network.classifier[-1] = torch.nn.Identity()
        built: torch.nn.Module = network
        return built

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take the network for frames, whether the file holds all of PanEcho, its video encoder or this part alone."""
        for prefix in ("encoder.encoder.model.", "encoder.model.", "model."):
            if state := weights.keep(published, prefix):
                return state
        return dict(published)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        return pixels.normalised(pixels.fitted(frame, (224, 224)))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, 3, 224, 224)`` as ``(B, 768)``, or ``(B, 1440)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        names = [f"features.{number}" for number in (1, 3, 5, 7)] if "stages" in poolings else []
        with stages.outputs_of(self.network, names) as between:
            vectors: torch.Tensor = self.network(batch)
        return {n: stages.joined_means(list(between.values())) if n == "stages" else vectors for n in poolings}


PanEchoRandom = untrained(PanEcho)

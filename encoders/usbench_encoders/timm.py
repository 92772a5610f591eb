"""``timm:<name>``: any model of timm, with its own preprocessing.

Examples: ``timm:vit_small_patch14_dinov2.lvd142m``, ``timm:hf-hub:timm/convnext_tiny.fb_in22k``, and
``timm:vit_base_patch16_224`` with a state dict of one's own, and
``timm:vit_tiny_patch16_224,num_heads=12,mean=imagenet,fit=squash`` where timm's own model differs from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from usbench.encoder import EncoderCard, Frame, weights
from usbench.errors import UnknownNameError, UsbenchError, WeightsError, did_you_mean
from usbench_encoders import options, pixels, stages
from usbench_encoders.generic import PRETRAINING_PARTS, Generic, class_token, mean_over_space, picture, seen

if TYPE_CHECKING:
    import torch


class Timm(Generic):
    """A model of timm without its classifier."""

    card = EncoderCard(
        name="timm:",
        title="timm",
        embedding_dim=None,
        description="Any model of timm, by its name there.",
        preprocessings={
            "model": "the model's own evaluation transform: resize, central crop, means and deviations",
            "whole": "the whole frame resized to the model's input, aspect ignored; its means and deviations",
        },
        poolings={
            "model": "the model's own pooling",
            "mean": "patch tokens or last map averaged over space",
            "class": "class token",
            "stages": "means of the maps of all stages, or of the patch tokens after each quarter of the blocks, one "
            "after the other",
        },
        licence="Apache-2.0 (library); each model has its own",
        url="https://github.com/huggingface/pytorch-image-models",
    )
    packages = ("torch", "timm")
    offered: ClassVar[dict[str, options.Parser]] = {
        "img_size": options.size,
        "num_heads": options.whole,
        "mean": options.mean,
        "std": options.deviation,
        "fit": options.one_of(*pixels.FITS),
        "resampling": options.one_of(*pixels.FILTERS),
        "pretraining": seen,
    }

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        options.statistics(self.name, self.options)
        if self.preprocessing == "whole" and self.options.get("fit", "squash") != "squash":
            raise UsbenchError(
                f"{self.name}: fit={self.options['fit']} and preprocessing 'whole' contradict each other."
            )

    def load(self) -> torch.nn.Module:
        """Build the model without classifier.

        Raises:
            UnknownNameError: timm has no such model.
            UsbenchError: The model or its weights cannot be had.
        """
        import timm

        name = self.argument.partition(".")[0]
        if ":" not in self.argument and not timm.is_model(name):
            raise UnknownNameError(f"timm has no model {name!r}.{did_you_mean(name, timm.list_models())}")
        published = self.published()
        if "num_heads" in self.options and not published and not self.random:
            raise UsbenchError(f"{self.name}: num_heads says how a file of weights is meant; give one with --weights.")
        asked: dict[str, Any] = {key: self.options[key] for key in self.options if key in ("img_size", "num_heads")}
        if _named(published, "fc_norm.weight") and not _named(published, "norm.weight"):
            asked["global_pool"] = (
                "avg"  # a masked autoencoder fine-tuned with its tokens averaged before the last norm
            )
        network = self._created(asked)
        if "img_size" not in asked and (side := _trained_side(published, network)):
            network = self._created({**asked, "img_size": side})
        heads = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        fitting = weights.fit_prefix(published, network.state_dict())
        if "num_heads" not in self.options and (counts := weights.other_heads(fitting, network.state_dict())):
            raise WeightsError(
                f"{self.weights_path()}: is of a network with {counts[0]} attention heads, but {self.name} has "
                f"{counts[1]}. Add ,num_heads={counts[0]} to the name if that is what the file was trained with."
            )
        unused = (*PRETRAINING_PARTS, *(f"{head}." for head in heads))
        self.fill(network, ignored=lambda key: key.startswith(unused), published=published)
        return network

    def _created(self, asked: Mapping[str, Any]) -> torch.nn.Module:
        import timm

        def build(pretrained: bool) -> torch.nn.Module:
            def create(given: Mapping[str, Any]) -> torch.nn.Module:
                network: torch.nn.Module = timm.create_model(
                    self.argument, pretrained=pretrained, num_classes=0, **given
                )
                return network

            try:
                return create(asked)
            except TypeError as error:
                if "img_size" not in str(error):
                    raise
                # Networks without positions take any size and know no such option.
                return create({key: value for key, value in asked.items() if key != "img_size"})

        return self.built(build)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into what the model's configuration asks for, ``(3, h, w)`` as a rule."""
        if self._transform is None:
            self._transform = self._configured()
        transform, channels = self._transform
        if self.options.get("fit") == "pad":
            frame = pixels.padded(frame)
        tensor: torch.Tensor = transform(picture(frame, channels))
        return tensor

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass.

        Raises:
            UsbenchError: The model has no class token, or names no stages.
        """
        if list(poolings) == ["model"]:
            return {"model": self.network(batch)}
        names = stages.of_timm(self.name, self.network) if "stages" in poolings else []
        with stages.outputs_of(self.network, names) as between:
            features = self.network.forward_features(batch)
        return {name: self._pooled(name, features, between) for name in poolings}

    def _pooled(self, pooling: str, features: torch.Tensor, between: Mapping[str, torch.Tensor]) -> torch.Tensor:
        network = self.network
        prefix = getattr(network, "num_prefix_tokens", 0)
        if pooling == "model":
            vectors: torch.Tensor = network.forward_head(features)
            return vectors
        if pooling == "class":
            if features.ndim == 3 and not prefix:
                raise UsbenchError(f"{self.name}: has no class token; use pooling 'model' or 'mean'.")
            return class_token(self.name, features)
        if pooling == "mean":
            return mean_over_space(features, network.num_features, prefix)
        channels = {entry["module"]: entry["num_chs"] for entry in network.feature_info}
        import torch

        return torch.cat([mean_over_space(each, channels[name], prefix) for name, each in between.items()], dim=1)

    _transform: Any = None

    def _configured(self) -> Any:
        from timm.data import create_transform, resolve_data_config

        config = resolve_data_config({}, model=self.network)
        if self.preprocessing == "whole" or self.options.get("fit") in ("squash", "pad"):
            config |= {"crop_pct": 1.0, "crop_mode": "squash"}
        elif self.options.get("fit") == "crop":
            config |= {"crop_pct": 1.0, "crop_mode": "center"}
        channels = config["input_size"][0]
        if statistics := options.statistics(self.name, self.options, channels):
            config |= {key: _each(values, channels) for key, values in zip(("mean", "std"), statistics, strict=True)}
        if "resampling" in self.options:
            config["interpolation"] = self.options["resampling"]
        trained = getattr(getattr(self.network, "patch_embed", None), "img_size", None)
        if trained or "img_size" in self.options:
            config["input_size"] = (channels, *(trained or self.options["img_size"]))
        return create_transform(**config, is_training=False), config["input_size"][0]


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values * channels if len(values) == 1 else values


def _named(published: Mapping[str, torch.Tensor], name: str) -> bool:
    """Say whether a file holds a tensor of the whole network by this name, perhaps under a prefix."""
    return any(key == name or (key.endswith(f".{name}") and "blocks." not in key) for key in published)


def _trained_side(published: Mapping[str, torch.Tensor], network: Any) -> tuple[int, int] | None:
    """Return the size in pixels for which a file was trained, where its positions say another than the network's."""
    own = getattr(network, "pos_embed", None)
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    found = [
        t for key, t in published.items() if key.rpartition(".")[2] == "pos_embed" and not key.startswith("decoder")
    ]
    if own is None or grid is None or patch is None or not found or found[0].ndim != 3 or found[0].shape == own.shape:
        return None
    others = own.shape[1] - grid[0] * grid[1]  # class token and registers that have a position
    side = math.isqrt(max(found[0].shape[1] - others, 0))
    if side * side + others != found[0].shape[1] or found[0].shape[2] != own.shape[2]:
        return None
    return side * patch[0], side * patch[1]

"""``timm:<name>``: any model of timm, with its own preprocessing.

Examples: ``timm:vit_small_patch14_dinov2.lvd142m``, ``timm:hf-hub:timm/convnext_tiny.fb_in22k``, and
``timm:vit_base_patch16_224`` with a state dict of one's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usbench.encoder import EncoderCard, Frame
from usbench.errors import UnknownNameError, did_you_mean
from usbench_encoders.generic import Generic, class_token, mean_over_space, picture

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
        },
        licence="Apache-2.0 (library); each model has its own",
        url="https://github.com/huggingface/pytorch-image-models",
    )
    packages = ("torch", "timm")

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
        network: torch.nn.Module = self.built(
            lambda pretrained: timm.create_model(self.argument, pretrained=pretrained, num_classes=0)
        )
        heads = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        self.fill(network, ignored=lambda key: key.startswith(tuple(f"{head}." for head in heads)))
        return network

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into what the model's configuration asks for, ``(3, h, w)`` as a rule."""
        if self._transform is None:
            self._transform = self._configured()
        transform, channels = self._transform
        tensor: torch.Tensor = transform(picture(frame, channels))
        return tensor

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        if self.pooling == "model":
            pooled: torch.Tensor = self.network(batch)
            return pooled
        features = self.network.forward_features(batch)
        if self.pooling == "class":
            return class_token(self.name, features)
        return mean_over_space(features, self.network.num_features, getattr(self.network, "num_prefix_tokens", 0))

    _transform: Any = None

    def _configured(self) -> Any:
        from timm.data import create_transform, resolve_data_config

        config = resolve_data_config({}, model=self.network)
        if self.preprocessing == "whole":
            config |= {"crop_pct": 1.0, "crop_mode": "squash"}
        return create_transform(**config, is_training=False), config["input_size"][0]

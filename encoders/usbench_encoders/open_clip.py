"""``open_clip:<name>``: the image tower of any model of OpenCLIP, with its own preprocessing.

Examples: ``open_clip:ViT-B-32@laion2b_s34b_b79k``,
``open_clip:hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224``, and ``open_clip:ViT-L-14``
with a file of one's own; ``open_clip:ViT-L-14,fit=pad`` pads frames to squares first.

With a file, means, deviations and crop are those that OpenCLIP states for the tag, ``open_clip:ViT-B-16-SigLIP@webli``,
or, without a tag, those that all published weights of the model share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from usbench.encoder import EncoderCard, Frame
from usbench.errors import UnknownNameError, UsbenchError, did_you_mean
from usbench_encoders import options, pixels, stages
from usbench_encoders.generic import Generic, picture, seen

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Layout:
    """Where a tower's tokens or maps are found.

    Attributes:
        last: The module that gives the last ones, if any is known.
        stages: Modules that give those of the stages.
        prefix: How many of the first tokens are no patches.
        normed: Whether the last ones have gone through the last norm.
    """

    last: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    prefix: int = 0
    normed: bool = True

    @classmethod
    def of(cls, label: str, tower: Any) -> _Layout:
        """Return that of OpenCLIP's transformers and ResNets, or of a network of timm within.

        Raises:
            UsbenchError: The tower is another one.
        """
        if hasattr(tower, "transformer") and getattr(tower, "attn_pool", tower) is None:
            names = stages.blocks_of(tower, "transformer.resblocks")
            return cls(("transformer",), tuple(names), 1, normed=False)
        if hasattr(tower, "trunk"):
            prefix = int(getattr(tower.trunk, "num_prefix_tokens", 0))
            names = [f"trunk.{name}" for name in stages.of_timm(label, tower.trunk)]
            return cls(("trunk.norm" if hasattr(tower.trunk, "norm") else names[-1],), tuple(names), prefix)
        if hasattr(tower, "layer4"):
            return cls(("layer4",), ("layer1", "layer2", "layer3", "layer4"))
        raise UsbenchError(f"{label}: what this tower computes on its way is not known here; use pooling 'model'.")


class OpenClip(Generic):
    """The image tower of a CLIP model, projected into the space it shares with text."""

    card = EncoderCard(
        name="open_clip:",
        title="open_clip",
        embedding_dim=None,
        description="The image tower of any model of OpenCLIP, name@tag.",
        preprocessings={"model": "the model's own evaluation transform, on three equal channels"},
        poolings={
            "model": "the projected image embedding, not normalised",
            "mean": "patch tokens or last map averaged over space, before the projection",
            "class": "class token before the projection",
            "stages": "means of the maps of all stages, or of the patch tokens after each quarter of the blocks, one "
            "after the other",
        },
        licence="MIT (library); each model has its own",
        url="https://github.com/mlfoundations/open_clip",
    )
    packages = ("torch", "open-clip-torch")
    offered: ClassVar[dict[str, options.Parser]] = {
        "mean": options.mean,
        "std": options.deviation,
        "fit": options.one_of(*pixels.FITS),
        "resampling": options.one_of(*pixels.FILTERS[1:]),
        "pretraining": seen,
    }

    def load(self) -> torch.nn.Module:
        """Build the image tower.

        Raises:
            UnknownNameError: OpenCLIP has no such model.
            UsbenchError: The library is not installed, the tag is missing or the weights cannot be had.
        """
        self._model_and_transform()
        network: torch.nn.Module = self._built[0].visual
        self.fill(network)
        self._built = (None, self._built[1])  # the text tower is not needed
        return network

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into what the model's configuration asks for, ``(3, h, w)``."""
        self._ensure_loaded()
        frame = pixels.padded(frame) if self.options.get("fit") == "pad" else frame
        tensor: torch.Tensor = self._built[1](picture(frame))
        return tensor

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass.

        Raises:
            UsbenchError: The tower has no class token, or is of a kind whose inner layers are not known here.
        """
        tower = self.network
        layout = _Layout.of(self.name, tower) if list(poolings) != ["model"] else _Layout()
        with stages.outputs_of(tower, [*layout.last, *(layout.stages if "stages" in poolings else ())]) as between:
            output = tower(batch)
        found = {"model": output[0] if isinstance(output, tuple) else output}
        last = next((between[name] for name in layout.last), None)
        if last is not None and last.ndim == 4:
            found["mean"] = stages.joined_means([last])
        elif last is not None:
            normed = last if layout.normed else tower.ln_post(last)
            found["mean"] = normed[:, layout.prefix :].mean(dim=1)
            if layout.prefix:
                found["class"] = normed[:, 0]
        if "stages" in poolings:
            maps = [between[name] for name in layout.stages]
            of_tokens = maps[0].ndim == 3
            found["stages"] = stages.joined_tokens(maps, layout.prefix) if of_tokens else stages.joined_means(maps)
        if absent := [name for name in poolings if name not in found]:
            raise UsbenchError(f"{self.name}: has no {absent[0]} token; use pooling 'model' or 'mean'.")
        return {name: found[name] for name in poolings}

    _built: Any = None

    def _model_and_transform(self) -> None:
        try:
            import open_clip
        except ImportError:
            raise UsbenchError(f"{self.name}: needs OpenCLIP. Run `pip install 'usbench[open-clip]'`.") from None
        name, _, tag = self.argument.partition("@")
        hub = ":" in name
        if not hub and name not in open_clip.list_models():
            raise UnknownNameError(f"OpenCLIP has no model {name!r}.{did_you_mean(name, open_clip.list_models())}")

        def build(pretrained: bool) -> Any:
            if pretrained and not hub and not tag:
                tags = [f"{name}@{t}" for t in open_clip.list_pretrained_tags_by_model(name)[:4]]
                raise UsbenchError(
                    f"{self.name}: say which weights: {', '.join([*tags, f'{name}.random'])}, or give a file."
                )
            chosen = tag if pretrained and not hub else None
            model, _, transform = open_clip.create_model_and_transforms(
                name, pretrained=chosen, load_weights=pretrained, **self._pixels(open_clip, name, tag)
            )
            return model, transform

        self._built = self.built(build)

    def _pixels(self, library: Any, name: str, tag: str) -> dict[str, Any]:
        """Return what OpenCLIP is asked to do with pixels: as it states for published weights, unless options say."""
        tags = [] if ":" in name else library.list_pretrained_tags_by_model(name)
        if tag and tag not in tags:
            raise UnknownNameError(f"OpenCLIP has no weights {tag!r} of {name}.{did_you_mean(tag, tags)}")
        known = [library.get_pretrained_cfg(name, each) or {} for each in ([tag] if tag else tags)]
        keys = {"mean": "image_mean", "std": "image_std", "interpolation": "image_interpolation"}
        keys["resize_mode"] = "image_resize_mode"
        asked = {}
        for key, argument in keys.items():
            values = {config[key] for config in known if config.get(key)}
            if len(values) == 1 and all(config.get(key) for config in known):
                asked[argument] = values.pop()
        if statistics := options.statistics(self.name, self.options):
            asked["image_mean"], asked["image_std"] = (v * 3 if len(v) == 1 else v for v in statistics)
        if fit := self.options.get("fit"):
            asked["image_resize_mode"] = {"crop": "shortest", "squash": "squash", "pad": "squash"}[fit]
        if "resampling" in self.options:
            asked["image_interpolation"] = self.options["resampling"]
        return asked

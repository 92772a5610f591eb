"""``transformers:<repository or folder>``: any vision model of transformers, with its own image processor.

Examples: ``transformers:facebook/dinov2-small``, ``transformers:/models/my-vit``. Of models with a text and
an image part the image part is used. Code from a repository is never run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.limits import is_folder
from usbench.encoder import EncoderCard, Frame, weights
from usbench.errors import UsbenchError, WeightsError
from usbench_encoders import stages
from usbench_encoders.generic import PRETRAINING_PARTS, Generic, class_token, mean_over_space, picture

if TYPE_CHECKING:
    import torch


class Transformers(Generic):
    """The image part of a model of transformers."""

    card = EncoderCard(
        name="transformers:",
        title="transformers",
        embedding_dim=None,
        description="Any vision model of transformers, by repository or local folder.",
        preprocessings={"model": "the model's own image processor, on three equal channels"},
        poolings={
            "model": "the model's own pooled output; where it has none, or an untrained one, the class token of "
            "token models and the mean of maps",
            "mean": "patch tokens or last map averaged over space",
            "class": "class token",
            "stages": "means of the maps of all stages, or of the patch tokens after each quarter of the layers, one "
            "after the other",
        },
        licence="Apache-2.0 (library); each model has its own",
        url="https://github.com/huggingface/transformers",
    )
    packages = ("torch", "transformers")

    def load(self) -> torch.nn.Module:
        """Build the image part of the model.

        Raises:
            UsbenchError: The repository or folder is not there, or holds no such model.
            WeightsError: The weights are incomplete.
        """
        from transformers import AutoConfig, AutoModel

        def build(pretrained: bool) -> tuple[Any, set[str]]:
            if pretrained:
                model, found = AutoModel.from_pretrained(
                    self.argument, trust_remote_code=False, output_loading_info=True
                )
                return model, set(found["missing_keys"])
            config = AutoConfig.from_pretrained(self.argument, trust_remote_code=False)
            return AutoModel.from_config(config, trust_remote_code=False), set()

        model, missing = self.built(build)
        part = "vision_model." if hasattr(model, "vision_model") else ""
        network: torch.nn.Module = model.vision_model if part else model
        # The library fills gaps with random numbers. Those of a text part do not matter; a pooler is often not
        # published, and its output is then noise.
        missing = {name.removeprefix(part) for name in missing if name.startswith(part)}
        self._pooler_is_untrained = any(name.startswith("pooler.") for name in missing)
        absent = sorted(name for name in missing if not name.startswith("pooler."))
        if absent:
            raise WeightsError(
                f"{self.name}: {len(absent)} tensors of the model are missing in its weights, first {absent[0]!r}. "
                "Check that the configuration and the weights belong together."
            )
        self.fill(network, ignored=lambda key: key.startswith(PRETRAINING_PARTS))
        return network

    @property
    def downloads(self) -> bool:
        """Whether the argument is a repository, not a folder here."""
        return not is_folder(Path(self.argument).expanduser())

    def weights_id(self) -> str:
        """Return a digest of the weight files of a local folder without loading them; otherwise as usual."""
        folder = Path(self.argument).expanduser()
        if self.random or self.weights_path() is not None or not is_folder(folder):
            return super().weights_id()
        files = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json"))
        lines = [f"{path.name} {weights.file_sha256(path)}\n" for path in files]
        return "folder:" + hashlib.sha256("".join(lines).encode()).hexdigest()

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into the ``pixel_values`` of the model's processor, ``(3, h, w)``."""
        if self._processor is None:
            self._processor = self._configured()
        tensor: torch.Tensor = self._processor(images=picture(frame, self._channels()), return_tensors="pt")[
            "pixel_values"
        ][0]
        return tensor

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        return self.encode_poolings(batch, [self.pooling])[self.pooling]

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, torch.Tensor]:
        """Give the vectors of several poolings from one pass.

        Raises:
            UsbenchError: The model has no class token, or does not show what its layers give.
        """
        more = {"output_hidden_states": True} if "stages" in poolings else {}
        output = self.network(pixel_values=batch, **more)
        return {name: self._pooled(name, output) for name in poolings}

    def _pooled(self, pooling: str, output: Any) -> torch.Tensor:
        features: torch.Tensor = output.last_hidden_state
        pooled = getattr(output, "pooler_output", None)
        if pooling == "stages":
            return self._stages(getattr(output, "hidden_states", None))
        if pooling == "model" and pooled is not None and not self._pooler_is_untrained:
            return pooled.flatten(1)  # type: ignore[no-any-return]
        if pooling == "class" or (pooling == "model" and features.ndim == 3):
            return class_token(self.name, features)
        width = features.shape[1] if features.ndim == 4 else features.shape[-1]
        return mean_over_space(features, width, self._prefix_tokens())

    def _stages(self, states: Sequence[torch.Tensor] | None) -> torch.Tensor:
        if not states or len(states) < 3:
            raise UsbenchError(f"{self.name}: does not show what its layers give; use pooling 'model' or 'mean'.")
        layers = states[1:]  # the first is what enters them
        if states[-1].ndim == 4:
            return stages.joined_means(layers)
        several_widths = len({each.shape[-1] for each in layers}) > 1  # stages of a hierarchy, not blocks of one width
        chosen = layers if several_widths else [layers[position] for position in stages.quarters(len(layers))]
        return stages.joined_tokens(chosen, 0 if several_widths else self._prefix_tokens())

    _processor: Any = None
    _pooler_is_untrained: bool = False

    def _channels(self) -> int:
        return int(getattr(self.network.config, "num_channels", 3) or 3)

    def _prefix_tokens(self) -> int:
        """Count the tokens that are no patches: class token and registers."""
        config = self.network.config
        if "Siglip" in type(config).__name__ or not hasattr(config, "patch_size"):
            return 0
        return 1 + int(getattr(config, "num_register_tokens", 0) or 0)

    def _configured(self) -> Any:
        from transformers import AutoImageProcessor

        try:
            return AutoImageProcessor.from_pretrained(self.argument, trust_remote_code=False)
        except Exception as error:  # missing file, no network, unknown processor
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UsbenchError(f"{self.name}: its image processor cannot be had ({reason}).") from error

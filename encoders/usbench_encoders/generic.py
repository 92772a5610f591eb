"""What the encoders for everybody else's models have in common.

Their name carries an argument (``timm:vit_small_patch16_224``), their card is made from it, and their
weights are seeded random ones where the name ends in ``.random``, otherwise a file given or registered under
the full name, otherwise those that the model's library publishes, which it downloads. A file is loaded
strictly; nothing in it is executed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from usbench.encoder import Encoder, EncoderCard, Frame, Readiness, weights
from usbench.errors import UsbenchError, WeightsError
from usbench_encoders.initialisation import initialisation, seeded

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

T = TypeVar("T")

RANDOM = ".random"


class Generic(Encoder):
    """An encoder whose model is named by an argument.

    Args:
        argument: What follows the colon of the family's name.
        **options: As for :class:`usbench.encoder.Encoder`.

    Raises:
        UsbenchError: Weights are given although the name asks for random ones.
    """

    packages: tuple[str, ...] = ("torch",)

    def __init__(self, *, argument: str, **options: Any) -> None:
        self.argument = argument.removesuffix(RANDOM)
        self.random = argument.endswith(RANDOM)
        if self.random and options.get("weights"):
            raise UsbenchError(f"{self.card.name}{argument}: asks for random weights; leave {RANDOM} or the file out.")
        card = replace(self.card, name=f"{self.card.name}{argument}", title=argument)
        if self.random:
            card = replace(card, pretraining=(), pretraining_note="No training.", floor=True)
        self.card: EncoderCard = card
        super().__init__(**options)

    @property
    def takes_weights(self) -> bool:
        """Any state dict that fits the model can be given."""
        return not self.random

    def weights_path(self) -> Path | None:
        """Return the file given or registered under the full name, otherwise ``None``."""
        path = super().weights_path()
        if path is not None or self.random:
            return path
        return weights.find(self.name, self.card)

    def readiness(self) -> Readiness:
        """Notify whether the model can be used, and when it will have to be downloaded."""
        state = super().readiness()
        if state.ready and not self.random and self.downloads and self.weights_path() is None:
            return Readiness(True, "weights of the library, downloaded on first use unless they are already here")
        return state

    @property
    def downloads(self) -> bool:
        """Whether the library fetches weights where no file is given."""
        return True

    def weights_id(self) -> str:
        """Return the file's digest, the seed of random weights, or a digest of the library's weights."""
        return initialisation(*self.packages) if self.random else super().weights_id()

    def built(self, build: Callable[[bool], T]) -> T:
        """Build a model with the library's own weights, or with none when they come from elsewhere.

        Args:
            build: Makes the model; its argument says whether to load the library's weights.

        Raises:
            UsbenchError: The library cannot build the model.
            WeightsError: It cannot get the weights that it publishes; the message says what to do instead.
        """
        own = self.random or self.weights_path() is not None
        try:
            with seeded():
                return build(not own)
        except UsbenchError:
            raise
        except Exception as error:  # libraries fail in many ways: unknown names, no network, wrong versions
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            reason = reason[:300].rstrip(". ")
            if own:
                raise UsbenchError(f"{self.name}: cannot be built ({reason}). Check the name.") from error
            raise WeightsError(
                f"{self.name}: its published weights cannot be had ({reason}). With a file of weights: "
                f"`usbench weights add {self.name} FILE`. `{self.name}{RANDOM}` is the same network untrained."
            ) from error

    def fill(self, network: torch.nn.Module, ignored: Callable[[str], bool] = lambda name: False) -> None:
        """Load the file given or registered, if there is one, strictly.

        Args:
            network: Changed in place.
            ignored: Which names of the file, after its prefix is removed, are parts that the encoder does
                not use.
        """
        path = self.weights_path()
        if path is None:
            return
        published = weights.read_state(path)
        fitting = weights.fit_prefix(published, network.state_dict())
        state = {name: tensor for name, tensor in fitting.items() if not ignored(name)}
        weights.load_strictly(network, state, path, self.card, published=published)


def picture(frame: Frame, channels: int = 3) -> Image:
    """Return a grey frame as a picture: RGB with three equal channels, or grey for models of one channel."""
    from PIL import Image

    grey = Image.fromarray(frame)
    return grey if channels == 1 else grey.convert("RGB")


def class_token(name: str, tokens: torch.Tensor) -> torch.Tensor:
    """Return the first of ``(B, N, D)`` tokens.

    Raises:
        UsbenchError: The model gives a map, not tokens.
    """
    if tokens.ndim != 3:
        raise UsbenchError(f"{name}: has no class token; use pooling 'model' or 'mean'.")
    return tokens[:, 0]


def mean_over_space(features: torch.Tensor, channels: int, prefix_tokens: int = 0) -> torch.Tensor:
    """Average tokens or a map over space.

    Args:
        features: ``(B, N, D)``, ``(B, D, h, w)`` or ``(B, h, w, D)``.
        channels: D, which tells the last two apart.
        prefix_tokens: How many of the tokens are no patches.

    Returns:
        ``(B, D)``.
    """
    if features.ndim == 3:
        return features[:, prefix_tokens:].mean(dim=1)
    if features.ndim == 4:
        return features.mean(dim=(2, 3) if features.shape[1] == channels else (1, 2))
    return features

"""What the encoders for everybody else's models have in common.

Their name carries an argument (``timm:vit_small_patch16_224``), their card is made from it, and their
weights are seeded random ones where the name ends in ``.random``, otherwise a file given or registered under
the full name, otherwise those that the model's library publishes, which it downloads. A file is loaded
strictly; nothing in it is executed.

What no tensor tells, such as the number of heads or the statistics of pixels, follows the name after commas
(:mod:`usbench_encoders.options`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from usbench.encoder import Encoder, EncoderCard, Frame, Readiness, Vectors, weights
from usbench.errors import UsbenchError, WeightsError
from usbench_encoders import options
from usbench_encoders.initialisation import SEED, initialisation, seeded

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

T = TypeVar("T")

RANDOM = ".random"
# What pre-training needs and an encoder does not. Ignored in a file where the network has no tensor of the name.
PRETRAINING_PARTS = ("mask_token", "decoder", "dino_head.", "ibot_head.", "predictor.", "projector.")


def seen(text: str) -> tuple[str, ...]:
    """Read the sets a file was trained on, ``busi/camus``, or ``none``."""
    return () if text == "none" else tuple(text.split("/"))


class Generic(Encoder):
    """An encoder whose model is named by an argument.

    Args:
        argument: What follows the colon of the family's name: the model, and options after commas.
        **settings: As for :class:`usbench.encoder.Encoder`.

    Raises:
        UsbenchError: Weights are given although the name asks for random ones, or an option is not understood.
    """

    packages: tuple[str, ...] = ("torch",)
    offered: ClassVar[dict[str, options.Parser]] = {"pretraining": seen}

    def __init__(self, *, argument: str, **settings: Any) -> None:
        name, texts = options.split(argument)
        title = ",".join([name, *(f"{key}={value}" for key, value in texts.items())])
        label = f"{self.card.name}{title}"
        self.argument = name.removesuffix(RANDOM)
        self.random = name.endswith(RANDOM)
        self.weights_seed = SEED if self.random else None
        self.options = options.parse(label, texts, self.offered)
        if self.random and settings.get("weights"):
            raise UsbenchError(f"{label}: asks for random weights; leave {RANDOM} or the file out.")
        if self.random and "pretraining" in self.options:
            raise UsbenchError(f"{label}: random weights have seen nothing; leave pretraining out.")
        card = replace(self.card, name=label, title=title)
        if "pretraining" in self.options:
            card = replace(card, pretraining=self.options["pretraining"], pretraining_note="As stated by the user.")
        if self.random:
            card = card.untrained()
        self.card: EncoderCard = card
        super().__init__(**settings)

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
        return initialisation(*self.packages, seed=self.weights_seed) if self.random else super().weights_id()

    def offered_poolings(self) -> tuple[str, ...]:
        """Return the poolings that the model has: those on the card which it answers, each with vectors of its own.

        Raises:
            UsbenchError: The model cannot be built.
        """
        import numpy as np

        self.prepare()
        ramp = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)  # 0 to 255 and again
        batch = self.preprocessed(ramp)[None]
        offered: dict[str, Vectors] = {}
        for name in self.card.poolings:
            try:
                vectors = self.encode_batch_poolings(batch, [name])[name]
            except UsbenchError:
                continue  # no class token, or no stages
            if not any(np.array_equal(vectors, other) for other in offered.values()):
                offered[name] = vectors
        return tuple(offered)

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
            with seeded(self.weights_seed):
                return build(not own)
        except UsbenchError:
            raise
        except Exception as error:  # libraries fail in many ways: unknown names, no network, wrong versions
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            reason = reason[:300].rstrip(". ")
            if own:
                raise UsbenchError(
                    f"{self.name}: cannot be built ({reason}). Check the name and its options."
                ) from error
            raise WeightsError(
                f"{self.name}: its published weights cannot be had ({reason}). With a file of weights: "
                f"`usbench weights add {self.name} FILE`. `{self.name}{RANDOM}` is the same network untrained."
            ) from error

    def published(self) -> dict[str, torch.Tensor]:
        """Read the file given or registered; empty where there is none."""
        path = self.weights_path()
        return {} if path is None else weights.read_state(path)

    def fill(
        self,
        network: torch.nn.Module,
        ignored: Callable[[str], bool] = lambda name: False,
        published: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Load the file given or registered, if there is one, strictly.

        Args:
            network: Changed in place.
            ignored: Which names of the file, after its prefix is removed, are parts that the encoder does
                not use.
            published: The file's tensors, if they have been read already.
        """
        path = self.weights_path()
        if path is None:
            return
        published = self.published() if published is None else published
        expected = network.state_dict()
        fitting = weights.fit_prefix(published, expected)
        state = {name: tensor for name, tensor in fitting.items() if name in expected or not ignored(name)}
        weights.load_strictly(network, state, path, self.card, published=published)

    def remarks(self) -> tuple[str, ...]:
        """Warn where a file of unknown origin gets the pixels that the library states for its own weights."""
        library = self.card.url.rpartition("/")[2]
        stated = {"mean", "std"} & set(self.options)
        if not {"mean", "fit"} <= set(self.offered) or stated or self.random or self.weights_path() is None:
            return ()
        remark = (
            f"{self.name}: the file gets the size, crop, means and deviations that {library} states for its own "
            "weights of this network. If its authors used others, add them to the name: ,mean=imagenet,fit=squash."
        )
        return (remark,)


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

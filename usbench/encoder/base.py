"""The encoder contract: frames in, one float32 vector per frame out.

An encoder plugin is one class with a card and three short methods::

    class Mine(Encoder):
        card = EncoderCard(name="mine", title="My encoder", embedding_dim=384, input_size=(224, 224))

        def load(self):
            return timm.create_model("vit_small_patch16_224", num_classes=0)

        def preprocess(self, frame):
            return grey_to_tensor(frame, self.card.input_size, channels=3, mean=0.5, std=0.5)

        def encode(self, batch):
            return self.network(batch)

Modules of encoders are imported to list and describe them, so they import torch inside methods, not at the
top.
"""

from __future__ import annotations

import abc
import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from usbench.core.devices import AUTO, resolve_device
from usbench.core.types import Frame, Vectors
from usbench.encoder.answers import checked_tensor, checked_vectors, refuse_one_picture
from usbench.encoder.card import EncoderCard, EncoderIdentity, Readiness, WeightsSource
from usbench.encoder.libraries import library_versions
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import EncodingError, UsbenchError, WeightsError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from usbench.encoder.int8 import Products

__all__ = [
    "PRECISIONS",
    "Encoder",
    "EncoderCard",
    "EncoderIdentity",
    "Frame",
    "Readiness",
    "Vectors",
    "WeightsSource",
    "grey_to_tensor",
]

PRECISIONS = ("fp32", "bf16", "auto", "int8")


class Encoder(abc.ABC):
    """A frozen image encoder.

    Construction is cheap: the network is built on the first use, so that listing, describing and answering
    from the store need neither torch nor weights.

    Args:
        weights: Weight file; found by ``usbench weights`` when omitted.
        device: torch device on which the network runs; ``auto`` is CUDA, else MPS, else the CPU.
        pooling: One of ``card.poolings``; the first by default.
        preprocessing: One of ``card.preprocessings``; the first by default.
        precision: ``fp32``, ``bf16`` for autocast, or ``auto``, which a run replaces by one of them after a check
            on its first frames (:mod:`usbench.embedding.precision`); ``int8`` for screening on a CPU
            (:mod:`usbench.encoder.int8`), which no leaderboard takes. Vectors are float32 in each case.

    Raises:
        UsbenchError: An option is not one the card offers, or weights are given to an encoder that takes
            none.
    """

    _device: str
    card: EncoderCard  # a class attribute, unless the card depends on an argument
    version: ClassVar[int] = 1
    batch_size: ClassVar[int] = 16
    # A number, if encode() may run in several threads at once and is faster so: on a CPU each thread then has one core
    # and takes so many frames at a time. For networks of many small operations.
    micro_batch_size: ClassVar[int | None] = None
    # Of a network whose weights are drawn at random and never trained: the seed they are drawn from, by which `load`
    # and `weights_id` go.
    weights_seed: int | None = None

    def __init__(
        self,
        *,
        weights: str | Path | None = None,
        device: str = AUTO,
        pooling: str | None = None,
        preprocessing: str | None = None,
        precision: str = "fp32",
    ) -> None:
        self.pooling = self._variant("pooling", pooling, self.card.poolings)
        self.preprocessing = self._variant("preprocessing", preprocessing, self.card.preprocessings)
        self.precision = self._variant("precision", precision, dict.fromkeys(PRECISIONS, ""))
        self._device = device  # not through the property, which a plugin may replace by a plain attribute
        self.source = ""
        self.called = ""  # name under which the user wants its results kept, in place of its own
        # Poolings whose vectors are kept, beside those of its own, whenever it encodes for a store.
        self.companions: tuple[str, ...] = ()
        # Lets late imports find the modules beside a plugin that was loaded from a file.
        self.activate: Callable[[], None] | None = None
        # How `load_encoder` made it, so that it can be made again elsewhere.
        self.made_from: dict[str, Any] | None = None
        self._weights = Path(weights).expanduser() if weights else None
        self._network: Any = None
        self._loaded = False
        self._products: Products | None = None  # the network's weights in int8, if a pass has wanted them
        self._loading = threading.RLock()
        self.original: Encoder | None = None  # whose network this one uses, with another pooling
        if weights and not self.takes_weights:
            raise UsbenchError(
                f"{self.card.name}: takes no weight file, so {weights} would be ignored. Leave it out; a plugin that "
                "takes one declares it as `weights` on its card."
            )

    # What a plugin writes ---------------------------------------------------------------------------------

    def load(self) -> torch.nn.Module | None:
        """Build the network with its weights; called once, on first use.

        The harness puts it in eval mode, freezes it and moves it to the device. Return ``None`` when there
        is no network.
        """
        return None

    @abc.abstractmethod
    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn one grey frame, uint8 of shape ``(H, W)`` in 0-255, into the tensor the network takes.

        Must not change ``frame``. Tensors of all frames must have one shape, ``(C, h, w)`` as a rule.
        """

    @abc.abstractmethod
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn a batch of preprocessed frames, ``(B, C, h, w)``, into vectors ``(B, D)``."""

    def encode_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Turn a batch into the vectors of several poolings.

        This one calls :meth:`encode` once per pooling. An encoder that has them all from one forward pass overrides
        it; its :meth:`encode` is then ``return self.encode_poolings(batch, [self.pooling])[self.pooling]``.

        Args:
            batch: Preprocessed frames, ``(B, C, h, w)``.
            poolings: Names of ``card.poolings``, each once.

        Returns:
            The vectors of each, ``(B, D)``, bit by bit those of :meth:`encode`.
        """
        return {name: self.in_pooling(name).encode(batch) for name in poolings}

    def weights_id(self) -> str:
        """Return the identity of the weights for the embedding store, by default a digest of the content."""
        from usbench.encoder import weights

        path = self.weights_path()
        if path is not None:
            weights.verify(self.card, path)
            return "sha256:" + weights.file_sha256(path)
        if self.card.parameters == 0:
            return "none"
        self._ensure_loaded()
        return "none" if self._network is None else "state:" + weights.state_sha256(self._network)

    # What the harness calls -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Registry name; generic encoders include their argument."""
        return self.card.name

    @property
    def device(self) -> str:
        """The torch device; ``auto`` is settled when it is first asked for, which may import torch."""
        if self._device == AUTO:
            found = resolve_device(AUTO)
            self._device = found if self.runs_on(found) else "cpu"
        return self._device

    @device.setter
    def device(self, name: str) -> None:
        self._device = name

    def runs_on(self, device: str) -> bool:
        """Say whether ``auto`` may be this device; a device that is named is tried in any case.

        Args:
            device: Name of a torch device that is there.
        """
        return True

    @property
    def takes_weights(self) -> bool:
        """Whether a weight file can be given or registered."""
        return self.card.weights is not None

    @property
    def given_weights(self) -> Path | None:
        """The weight file that it was made with, if there was one."""
        return self._weights

    @property
    def title(self) -> str:
        """Name as printed in tables."""
        return self.card.title

    @property
    def network(self) -> Any:
        """The loaded network, frozen and in eval mode."""
        self._ensure_loaded()
        return self._network

    def weights_path(self) -> Path | None:
        """Return the weight file in use, or ``None`` when the encoder has none.

        Raises:
            WeightsError: The file named does not exist, or the encoder needs one and none is found.
        """
        from usbench.encoder import weights

        if self._weights is not None:
            if not self._weights.exists():
                raise WeightsError(f"{self._weights}: no such weight file for {self.name}. Check the path.")
            return self._weights
        if self.card.weights is None:
            return None
        return weights.require(self.name, self.card)

    def pretraining(self) -> tuple[str, ...] | None:
        """Return the names of the datasets that the weights in use have seen, ``None`` when nobody knows.

        The card's answer, unless an encoder has several sets of weights with different histories. What the card says
        holds for the published file alone: of a file with another digest nobody knows anything. Where no file is found,
        it is the answer for the published one, so that an encoder can be described before its weights are there.

        Raises:
            WeightsError: The answer depends on the weights, and there are none.
        """
        try:
            published = self.weights_as_published()
        except WeightsError:
            return self.card.pretraining
        return self.card.pretraining if published is not False else None

    def weights_as_published(self) -> bool | None:
        """Say whether the weight file in use is the one that the card describes.

        Returns:
            Whether its digest is the published one, or else the one noted when it was downloaded; ``None`` where
            neither is known, or no file is in use.

        Raises:
            WeightsError: There is no file, or it cannot be read.
        """
        from usbench.encoder import weights

        path = self.weights_path()
        if path is None:
            return None
        published = self.card.weights.sha256 if self.card.weights is not None else None
        expected = published or weights.noted_digest(path)
        return None if expected is None else weights.file_sha256(path) == expected

    def readiness(self) -> Readiness:
        """Say, without loading anything, whether the encoder can be used now."""
        try:
            self.weights_path()
        except UsbenchError as error:
            return Readiness(False, str(error))
        return Readiness(True)

    def remarks(self) -> tuple[str, ...]:
        """Return what a user should know before trusting the vectors, one sentence or two each; nothing as a rule.

        Said before a run and by ``usbench check encoder``. Must not load anything.
        """
        return ()

    def identity(self) -> EncoderIdentity:
        """Return the identity under which vectors are stored.

        Raises:
            UsbenchError: The precision is ``auto`` and not settled yet.
        """
        self._require_settled()
        return EncoderIdentity(
            name=self.name,
            version=self.version,
            weights=self.weights_id(),
            preprocessing=self.preprocessing,
            pooling=self.pooling,
            precision=self.precision,
            source=self.source,
            libraries=library_versions(type(self)),
        )

    def precision_of_vectors(self) -> str:
        """Return the precision that vectors were made in; of vectors made elsewhere it is not that of a pass here."""
        return self.precision

    def offered_poolings(self) -> tuple[str, ...]:
        """Return the poolings that this encoder has: all on its card, unless they depend on its network."""
        return tuple(self.card.poolings)

    def in_pooling(self, name: str) -> Encoder:
        """Return an encoder like this one, with its network, whose vectors are made by another pooling.

        Args:
            name: One of ``card.poolings``.

        Raises:
            UsbenchError: The card has no such pooling.
        """
        other = copy.copy(self)
        other.pooling = self._variant("pooling", name, self.card.poolings)
        other.companions = tuple(each for each in (self.pooling, *self.companions) if each != name)
        other.original = self.original or self
        if self.made_from is not None:
            other.made_from = {**self.made_from, "pooling": name}
        return other

    def with_seed(self, seed: int) -> Encoder:
        """Return the same untrained encoder with weights drawn from another seed.

        Args:
            seed: The seed.

        Raises:
            UsbenchError: Its weights are not drawn at random, or do not depend on the seed.
        """
        if self.weights_seed is None:
            raise UsbenchError(f"{self.name}: its weights are not drawn at random, so that no seed changes them.")
        other = copy.copy(self)
        other.weights_seed, other.companions, other.original = seed, (), None
        other._network, other._loaded = None, False
        if seed != self.weights_seed and other.weights_id() == self.weights_id():
            raise UsbenchError(
                f"{self.name}: its weights are the same from another seed. A plugin whose weights are not drawn has "
                "weights_seed None; load() and weights_id() of another one go by weights_seed."
            )
        return other

    def companion_identities(self) -> dict[str, EncoderIdentity]:
        """Return the identities under which vectors of :attr:`companions` are stored.

        Raises:
            UsbenchError: The precision is ``auto`` and not settled yet.
        """
        if not self.companions:
            return {}
        own = self.identity()
        return {name: replace(own, pooling=name) for name in self.companions if name != self.pooling}

    def encode_batch(self, batch: torch.Tensor) -> Vectors:
        """Encode preprocessed frames and check the contract.

        Args:
            batch: Stacked outputs of :meth:`preprocess`.

        Returns:
            float32 array of shape ``(B, D)``.

        Raises:
            EncodingError: Wrong shape, or values that are not finite.
        """
        with self._computing():
            output = self.encode(batch.to(self.device))
        return checked_vectors(self.name, output, len(batch))

    def encode_batch_poolings(self, batch: torch.Tensor, poolings: Sequence[str]) -> dict[str, Vectors]:
        """Encode preprocessed frames in several poolings at once and check the contract.

        Args:
            batch: Stacked outputs of :meth:`preprocess`.
            poolings: Names of ``card.poolings``.

        Returns:
            float32 arrays of shape ``(B, D)`` by pooling, in the order asked.

        Raises:
            EncodingError: A pooling is missing in the answer, its shape is wrong, or values are not finite.
            UsbenchError: The card has no such pooling.
        """
        names = [self._variant("pooling", name, self.card.poolings) for name in dict.fromkeys(poolings)]
        with self._computing():
            outputs = self.encode_poolings(batch.to(self.device), names)
        if absent := [name for name in names if name not in outputs]:
            raise EncodingError(
                f"{self.name}: encode_poolings() gives no vectors of pooling {absent[0]!r}, which its card offers."
            )
        return {name: checked_vectors(self.name, outputs[name], len(batch)) for name in names}

    def encode_frames(self, frames: Sequence[npt.ArrayLike], batch_size: int | None = None) -> Vectors:
        """Encode images held in memory.

        Args:
            frames: Grey ``(H, W)`` or RGB ``(H, W, 3)`` uint8 arrays of any sizes. Colour is reduced to
                ITU-R 601 luma first, as for every image the harness reads.
            batch_size: Frames per forward pass; the encoder's own by default.

        Returns:
            float32 array of shape ``(len(frames), D)``, in the order given.

        Raises:
            EncodingError: The encoder broke its contract.
            UsbenchError: No frames, or an array that is not an image.
        """
        import numpy as np

        from usbench.encoder.batching import Passes
        from usbench.media import to_grey

        refuse_one_picture(frames)
        if not len(frames):
            raise UsbenchError("encode_frames: the list of frames is empty. Give at least one image.")
        grey = [to_grey(np.asarray(frame)) for frame in frames]
        with Passes(self, batch_size) as passes:
            parts = [
                passes.encode([self.preprocessed(f) for f in grey[start : start + passes.frames]], "the images given")
                for start in range(0, len(grey), passes.frames)
            ]
        return np.concatenate(parts)

    def preprocessed(self, frame: Frame, where: str = "") -> torch.Tensor:
        """Call :meth:`preprocess` and check what it gives.

        Args:
            frame: uint8 ``(H, W)``.
            where: What the frame is of, for messages.

        Raises:
            EncodingError: It failed, or gave something else than a tensor.
        """
        try:
            tensor: object = self.preprocess(frame)  # what a plugin returns may be anything
        except UsbenchError:
            raise
        except Exception as error:  # a plugin can fail in any way
            at = f" on {where}" if where else ""
            raise EncodingError(f"{self.name}: preprocess() failed{at}: {type(error).__name__}: {error}") from error
        return checked_tensor(self.name, tensor, where)

    def prepare(self) -> None:
        """Build the network now rather than on the first batch."""
        self._ensure_loaded()

    # Private ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Load the network and let torch compute as an encoder's pass wants it."""
        import torch

        self._require_settled()
        self._ensure_loaded()
        device_type = self.device.split(":")[0]
        with (
            torch.inference_mode(),
            torch.autocast(device_type, dtype=torch.bfloat16, enabled=self.precision == "bf16"),
            self._in_int8() if self.precision == "int8" else contextlib.nullcontext(),
        ):
            yield

    @contextlib.contextmanager
    def _in_int8(self) -> Iterator[None]:
        """Multiply in int8, and refuse to do so in vain."""
        from usbench.encoder import int8

        int8.require(self.name, self.device)
        network, products = self._network, self._products
        if network is not None and (products is None or products.network is not network):
            with self._loading:
                if self._products is None or self._products.network is not network:
                    self._products = int8.Products(network)
                products = self._products
        if products is not None:
            with products.taken_over():
                yield
        if products is None or not len(products):
            told = "it has no network" if products is None else "its network multiplies with no large matrix of weights"
            raise UsbenchError(f"{self.name}: precision int8 would change nothing, as {told}. Leave --precision out.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the locks, which can be neither copied nor sent to another process, and what is made anew."""
        return {name: value for name, value in vars(self).items() if name != "_loading"} | {"_products": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._device = state.get("device", state.get("_device", AUTO))  # `device` in states of before it was a property
        self._loading = threading.RLock()

    def _require_settled(self) -> None:
        if self.precision == "auto":
            raise UsbenchError(
                f"{self.name}: precision 'auto' is settled by a run on its first frames. To encode frames directly, "
                "choose 'fp32' or 'bf16'."
            )

    def _ensure_loaded(self) -> None:
        if self._loaded:
            return
        with self._loading:  # decoding threads may ask for the network while it is being built
            if not self._loaded:
                self._build()
                self._loaded = True

    def _build(self) -> None:
        import torch

        if self.original is not None:
            self._take_over(self.original)
            return
        if self.activate is not None:
            self.activate()
        try:
            network: object = self.load()  # what a plugin returns may be anything
        except (UsbenchError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a plugin can fail in any way
            raise UsbenchError(f"{self.name}: load() failed: {type(error).__name__}: {error}") from error
        if network is None:
            return
        if not isinstance(network, torch.nn.Module):
            raise UsbenchError(
                f"{self.name}: load() must return a torch.nn.Module or None, got {type(network).__name__}."
            )
        try:
            self._network = network.eval().requires_grad_(False).to(self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsbenchError(
                f"{self.name}: device {self.device!r} cannot be used ({reason}). Use --device cpu."
            ) from None

    def _take_over(self, original: Encoder) -> None:
        """Use the network of an encoder, and whatever else its loading found out."""
        original.prepare()
        own = ("pooling", "companions", "precision", "made_from", "original", "_loading", "_loaded")
        vars(self).update({name: value for name, value in vars(original).items() if name not in own})

    def _variant(self, what: str, chosen: str | None, offered: Mapping[str, str]) -> str:
        if chosen is None:
            return next(iter(offered))
        if chosen not in offered:
            raise UsbenchError(
                f"{self.card.name}: unknown {what} {chosen!r}; it offers {', '.join(offered)}."
                + did_you_mean(chosen, offered)
            )
        return chosen

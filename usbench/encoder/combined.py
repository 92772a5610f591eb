"""Several encoders as one: ``tusa+texture``, whose vectors are those of its parts one after the other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from usbench.core.devices import AUTO
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard, Readiness
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import torch

    from usbench.core.types import Frame


class Combined(Encoder):
    """The vectors of two or more encoders, concatenated.

    Vectors are left as they are: the probes standardise every value by the training subjects, so that a part
    weighs by the number of its values and not by their scale.

    Args:
        parts: The encoders, in order, each with its own options.
        device: torch device of all parts.
        precision: As for :class:`usbench.encoder.Encoder`, for all parts.

    Raises:
        UsbenchError: There are fewer than two parts, or one occurs twice.
    """

    def __init__(self, parts: Sequence[Encoder], *, device: str = AUTO, precision: str = "fp32") -> None:
        names = [part.name for part in parts]
        if len(parts) < 2 or len(set(names)) < len(names):
            raise UsbenchError(f"{'+'.join(names)}: a combination needs two or more different encoders.")
        self.parts = tuple(parts)
        self.card = _card(self.parts)
        super().__init__(device=device, precision=precision)
        self._shapes: tuple[tuple[int, ...], ...] = ()

    def runs_on(self, device: str) -> bool:
        """Say whether all parts can compute there; they share one device."""
        return all(part.runs_on(device) for part in self.parts)

    def precision_of_vectors(self) -> str:
        """Return the first precision of a part that is not the usual one; vectors made elsewhere may have another."""
        made = (part.precision_of_vectors() for part in self.parts)
        return next((precision for precision in made if precision not in ("fp32", "auto")), self.precision)

    def load(self) -> torch.nn.Module:
        """Build the networks of all parts."""
        import torch

        for part in self.parts:
            part.prepare()
        networks = [part.network for part in self.parts if isinstance(part.network, torch.nn.Module)]
        together = torch.nn.ModuleList(networks)
        together.opaque = any(getattr(each, "opaque", False) for each in networks)  # type: ignore[assignment]
        return together

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Put what each part takes one after the other, float32 ``(N,)``."""
        import torch

        tensors = [part.preprocess(frame) for part in self.parts]
        self._shapes = tuple(tuple(tensor.shape) for tensor in tensors)  # the same for every frame
        return torch.cat([tensor.float().flatten() for tensor in tensors])

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode ``(B, N)`` as ``(B, D)``, D being the sum over the parts."""
        import torch

        pieces = torch.split(batch, [math.prod(shape) for shape in self._shapes], dim=1)
        vectors = [
            part.encode(piece.reshape(len(batch), *shape)).float().to(batch.device)
            for part, piece, shape in zip(self.parts, pieces, self._shapes, strict=True)
        ]
        return torch.cat(vectors, dim=1)

    def weights_id(self) -> str:
        """Return a digest of everything that decides the vectors of each part."""
        digests = []
        for part in self.parts:
            part.precision = "fp32" if part.precision == "auto" else part.precision
            digests.append(part.identity().digest())
        return "parts:" + hashlib.sha256("+".join(digests).encode()).hexdigest()

    def pretraining(self) -> tuple[str, ...] | None:
        """Return the sets that any part has seen; ``None`` when nobody knows of one."""
        seen: list[str] = []
        for part in self.parts:
            names = part.pretraining()
            if names is None:
                return None
            seen += names
        return tuple(dict.fromkeys(seen))

    def readiness(self) -> Readiness:
        """Say whether all parts can be used now."""
        states = [part.readiness() for part in self.parts]
        return next((state for state in states if not state.ready), Readiness(True))

    def remarks(self) -> tuple[str, ...]:
        """Return the remarks of all parts."""
        return tuple(remark for part in self.parts for remark in part.remarks())


def _card(parts: Sequence[Encoder]) -> EncoderCard:
    cards = [part.card for part in parts]
    sizes = [card.embedding_dim for card in cards]
    counts = [card.parameters for card in cards]
    costs = [card.gflops for card in cards]
    return EncoderCard(
        name="+".join(part.name for part in parts),
        title=" + ".join(part.title for part in parts),
        embedding_dim=None if None in sizes else sum(size or 0 for size in sizes),
        description=f"The vectors of {' and '.join(part.title for part in parts)} one after the other.",
        parameters=None if None in counts else sum(count or 0 for count in counts),
        gflops=None if None in costs else sum(cost or 0.0 for cost in costs),
        preprocessings={"parts": "; ".join(f"{part.name}: {part.preprocessing}" for part in parts)},
        poolings={"parts": "; ".join(f"{part.name}: {part.pooling}" for part in parts)},
        licence="; ".join(dict.fromkeys(card.licence for card in cards)),
        citation="; ".join(dict.fromkeys(card.citation for card in cards if card.citation)),
        url=next((card.url for card in cards if card.url), ""),
        pretraining=None,
        pretraining_note="Those of the parts.",
        floor=all(card.floor for card in cards),
    )

"""Networks whose weights their authors publish, and the same networks untrained."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, TypeVar

from usbench.encoder import Encoder, weights
from usbench.errors import WeightsError
from usbench_encoders.initialisation import SEED, initialisation, seeded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


class Published(Encoder):
    """An encoder that is built by a library and filled, strictly, from the file of its authors."""

    packages: ClassVar[tuple[str, ...]] = ("torch",)
    random: ClassVar[bool] = False

    @abc.abstractmethod
    def build(self, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Build the network with the library's own initialisation.

        Args:
            state: What will be loaded, in the network's spelling; empty for the untrained twin. For layouts that
                differ in a layer.
        """

    def adapt(self, published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Bring the names of the published file to those of the network, and leave out what is no part of it."""
        return dict(published)

    def load(self) -> torch.nn.Module:
        """Build the network from the authors' file, or with seeded random weights.

        Raises:
            WeightsError: The file is absent or does not hold this network.
        """
        if self.random:
            with seeded(self.weights_seed):
                return self.build({})
        path = self.weights_path()
        if path is None:
            raise WeightsError(weights.absent(self.name, self.card))
        weights.verify(self.card, path)
        published = self.read()
        state = self.adapt(published)
        with seeded():
            network = self.build(state)
        weights.load_strictly(network, state, path, self.card, published=published)
        return network

    def read(self) -> dict[str, torch.Tensor]:
        """Read the tensors of the file in use by the names under which they were saved."""
        path = self.weights_path()
        if path is None:
            raise WeightsError(weights.absent(self.name, self.card))
        return weights.read_state(path)

    def weights_id(self) -> str:
        """Return the digest of the file, or what decides random weights: the seed and the libraries' versions."""
        return initialisation(*self.packages, seed=self.weights_seed) if self.random else super().weights_id()


ONNX_INSTALL = "pip install 'usbench[onnx]'"

Kind = TypeVar("Kind", bound=Published)


def untrained(kind: type[Kind]) -> type[Kind]:
    """Return the same encoder with seeded random weights, ``NAME.random``: what its architecture alone achieves.

    Args:
        kind: The encoder; its module must keep the result under the name ``KindRandom``.
    """
    card = kind.card.untrained(
        name=f"{kind.card.name}.random",
        title=f"{kind.card.title}, untrained",
        description=f"The network of {kind.card.title} with random weights, seed 0.",
        weights=None,
    )
    name = f"{kind.__name__}Random"
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(name, (kind,), {"card": card, "random": True, "weights_seed": SEED, **about})


def is_onnx(path: Path) -> bool:
    """Say whether a file may be a graph: it bears the suffix, or begins like one (version, then producer)."""
    if path.suffix.lower() == ".onnx":
        return True
    try:
        with path.open("rb") as file:
            start = file.read(3)
    except OSError:
        return False
    return len(start) == 3 and start[0] == 0x08 and start[1] < 0x20 and start[2] == 0x12

"""``torch:<file.py:Class>``: any torch module, with a state dict beside it.

The class is built without arguments; it may load weights of its own. It may say how its input looks::

    class MyNet(torch.nn.Module):
        input_size = (224, 224)  # height and width; these are the defaults
        channels = 3             # 1 for networks that take grey images
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.encoder import EncoderCard, Frame, grey_to_tensor, weights
from usbench.errors import UsbenchError, WeightsError
from usbench.plugins.local_files import import_file
from usbench_encoders.generic import RANDOM, Generic, mean_over_space
from usbench_encoders.initialisation import SEED, seeded

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class TorchModule(Generic):
    """A module from a file of one's own."""

    card = EncoderCard(
        name="torch:",
        title="torch",
        embedding_dim=None,
        licence="the owner's",
        description="A torch module from a Python file, file.py:Class.",
        preprocessings={"model": "bilinear with antialias to input_size, aspect ignored; mean and std of the class"},
        poolings={"mean": "vectors as they are, maps and tokens averaged over space"},
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        path, _, self._attribute = self.argument.rpartition(":")
        self._path = Path(path).expanduser()
        if not path.endswith(".py") or not self._attribute or not self._path.is_file():
            raise UsbenchError(f"{self.name}: write torch:path/to/file.py:Class; no such file {path or '(none)'}.")
        self._class, self.source = self._imported()

    def load(self) -> torch.nn.Module:
        """Build the module and load its weights, if any.

        Raises:
            UsbenchError: It cannot be built, or the weights do not fit.
            WeightsError: Its weights are random although the name does not ask for that.
        """
        import torch

        network = self.built(lambda pretrained: self._class())
        if not isinstance(network, torch.nn.Module):
            raise UsbenchError(f"{self.name}: {self._attribute} makes a {type(network).__name__}, not a torch module.")
        if not self.random and self.weights_path() is None and self._is_random(network):
            raise WeightsError(
                f"{self.name}: {self._attribute} has random weights, and no file of weights is given. "
                f"`usbench weights add {self.name} FILE`, or write {self.name}{RANDOM} to use it untrained."
            )
        self.fill(network)
        return network

    def _is_random(self, network: torch.nn.Module) -> bool:
        """Notify whether a second network, built from another seed, has other weights."""
        with seeded(SEED + 1):
            other = self._class()
        return weights.state_sha256(other) != weights.state_sha256(network)

    @property
    def downloads(self) -> bool:
        """Nothing is ever downloaded."""
        return False

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into ``(channels, *input_size)`` float32."""
        channels = int(getattr(self._class, "channels", 3))
        default = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else (0.5, 0.5)
        return grey_to_tensor(
            frame,
            tuple(getattr(self._class, "input_size", (224, 224))),
            channels=channels,
            mean=getattr(self._class, "mean", default[0]),
            std=getattr(self._class, "std", default[1]),
        )

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        output: torch.Tensor = self.network(batch)
        return mean_over_space(output, output.shape[1]) if output.ndim > 2 else output

    def _imported(self) -> tuple[Any, str]:
        module, digest = import_file(self._path, "torch module")
        found = getattr(module, self._attribute, None)
        if found is None:
            raise UsbenchError(f"{self.name}: {self._path} has no {self._attribute!r}.")
        return found, digest

"""The packaged open weights, and safe readers for them and for the authors' file.

A weights file is a safetensors file whose metadata hold the network's configuration and the training record as
JSON. Nothing in a weights file is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tusa.errors import TusaError
from tusa.files import written_whole

if TYPE_CHECKING:
    from torch import Tensor

    from tusa.encoder import SwinEncoder
    from tusa.network import Tusa

FORMAT = "tusa-weights/1"


@dataclass(frozen=True)
class OpenWeights:
    """A packaged file of weights.

    Attributes:
        file: its name beside this module.
        sha256: its digest; a file with another one is not loaded.
        about: one line of what it is.
    """

    file: str
    sha256: str
    about: str


OPEN_WEIGHTS = {
    "open-v2": OpenWeights(
        "tusa.open-v2.safetensors",
        "93fe50178efc57c0b5fa4e4583aa81e32344733048983ba500e324f16df3d2d5",
        "128 px, contrast, a teacher (SSCD) and terms against collapse; encoder and decoder",
    ),
    "scratch": OpenWeights(
        "tusa.scratch.safetensors",
        "1653b86507f751f2786f104ff26162a1a1b807a2495a4c7731263069f30815e4",
        "the same images, views and steps as open-v2 without any outside feature; encoder alone",
    ),
    "open-v1": OpenWeights(
        "tusa.open-v1.safetensors",
        "64d8ae10617f736f34f3346cc028328306d330c41f9ec235e541cb2b8e6d9c24",
        "96 px, contrast and feature prediction on a third of the images; encoder and decoder",
    ),
}
DEFAULT = "open-v2"
ENCODER = "unet.swinViT."
_REST = ("unet.", "painter.")


def has_open_weights(name: str = DEFAULT) -> bool:
    """Whether this installation carries a packaged file; its content is checked when it is asked for.

    Args:
        name: a key of :data:`OPEN_WEIGHTS`.
    """
    return (Path(__file__).parent / OPEN_WEIGHTS[name].file).is_file()


def open_weights_path(name: str = DEFAULT) -> Path:
    """Where a packaged file of weights lies.

    Args:
        name: a key of :data:`OPEN_WEIGHTS`.

    Raises:
        TusaError: for an unknown name, or when this installation does not carry the file, or carries another one.
    """
    found = OPEN_WEIGHTS.get(name)
    if found is None:
        raise TusaError(f"No open weights {name!r}; there are {', '.join(OPEN_WEIGHTS)}.")
    path = Path(__file__).parent / found.file
    if not path.is_file():
        raise TusaError(
            f"This installation does not carry the open weights {found.file}. "
            "Install the complete package, or train and export your own with `tusa train` and `tusa export`."
        )
    status = path.stat()
    digest = _sha256(path, status.st_size, status.st_mtime_ns)
    if digest != found.sha256:
        raise TusaError(
            f"{path} is not the file that was published as {name} (SHA-256 {digest[:12]}..., expected "
            f"{found.sha256[:12]}...). Install the package again."
        )
    return path


@lru_cache(maxsize=16)
def _sha256(path: Path, size: int, modified: int) -> str:
    """SHA-256 of a file, computed again once its size or its time of modification is another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_metadata(path: Path) -> dict[str, Any]:
    """The header of a weights file: ``format``, ``config`` and, where recorded, ``training``.

    Raises:
        TusaError: when the file is missing, is not safetensors, or was not written by :func:`save_weights`.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise TusaError(f"No weights file at {path}. Check the path.")
    try:
        # Not "pt": a run that is answered from the store asks for the header too, and need not wait for torch.
        with safe_open(path, framework="np") as file:
            raw: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise TusaError(f"{path} is not a readable safetensors file ({error}). Export it again.") from error
    if raw.get("format") != FORMAT:
        raise TusaError(f"{path} is not a TUSA weights file (no '{FORMAT}' mark). Make one with `tusa export`.")
    return {key: value if key == "format" else json.loads(value) for key, value in raw.items()}


def save_weights(
    model: Tusa, path: Path, training: dict[str, Any] | None = None, *, encoder_only: bool = False
) -> None:
    """Write a network as half-precision safetensors, atomically.

    Args:
        model: the network.
        path: the file to write.
        training: anything JSON can hold about where the weights come from.
        encoder_only: leave decoder and texture kernels out, which are more than half of the file.

    Raises:
        TusaError: when a parameter does not survive half precision.
    """
    import torch
    from safetensors.torch import save

    state = {
        name: tensor.detach().cpu()
        for name, tensor in model.state_dict().items()
        if not encoder_only or name.startswith(ENCODER)
    }
    tensors = {name: t.half().contiguous() if t.is_floating_point() else t.clone() for name, t in state.items()}
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor.float()).all()]:
        raise TusaError(f"Parameters {broken[:3]} are not finite in half precision; the training has diverged.")
    metadata = {"format": FORMAT, "config": json.dumps(model.config.to_dict())}
    if encoder_only:
        metadata["parts"] = json.dumps(["encoder"])
    if training is not None:
        metadata["training"] = json.dumps(training)
    with written_whole(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def load_weights(path: Path) -> Tusa:
    """Rebuild a network, in float32 and eval mode, from a file that :func:`save_weights` wrote.

    A file that holds an encoder alone gives a network that encodes and refuses to decode. The texture channels of any
    other run from the brightest to the darkest, whatever their order in the file: the first open weights were written
    the other way round.

    Raises:
        TusaError: when the file cannot be read or does not fit its own configuration.
    """
    from safetensors.torch import load_file

    from tusa.network import Tusa, TusaConfig

    metadata = read_metadata(path)
    model = Tusa(TusaConfig.from_dict(metadata["config"]))
    state = load_file(path)
    if metadata.get("parts") == ["encoder"]:
        inner = {name.removeprefix(ENCODER): tensor for name, tensor in state.items()}
        _load_strictly(model.unet.swinViT, inner, path)
        model.without_decoder = f"{path.name} holds an encoder alone"
    else:
        _load_strictly(model, state, path)
        model.order_channels()
    return model.eval()


def load_encoder(path: Path) -> SwinEncoder:
    """Rebuild the encoder alone, in float32 and eval mode, from a file that :func:`save_weights` wrote.

    Needs nothing of MONAI, which :func:`load_weights` has to import.

    Raises:
        TusaError: when the file cannot be read, does not fit its own configuration, or holds what no file of ours does.
    """
    from safetensors.torch import load_file

    from tusa.encoder import SwinEncoder
    from tusa.network import TusaConfig

    model = SwinEncoder(TusaConfig.from_dict(read_metadata(path)["config"]))
    state = load_file(path)
    # Decoder and texture kernels are left out; a name that is none of theirs stays, and is refused.
    inner = {
        name.removeprefix(ENCODER): tensor
        for name, tensor in state.items()
        if name.startswith(ENCODER) or not name.startswith(_REST)
    }
    _load_strictly(model, inner, path)
    return model.eval()


def load_open_weights(name: str = DEFAULT) -> Tusa:
    """The network with packaged weights, in float32 and eval mode.

    Args:
        name: a key of :data:`OPEN_WEIGHTS`; ``open-v2`` by default. ``scratch`` holds the encoder alone:
            :meth:`Tusa.encode` works, and textures and reconstruction are refused.

    Raises:
        TusaError: for an unknown name, or when this installation does not carry the file, or carries another one.
    """
    return load_weights(open_weights_path(name))


def load_authors_weights(path: Path) -> Tusa:
    """The network with the encoder and decoder of the authors' flat ``unet.pt``.

    The file holds no texture kernels, so :meth:`Tusa.encode` and :meth:`Tusa.textures` are the authors', while
    the reconstruction comes from kernels that are untrained. The channels keep the order of the file, as only trained
    kernels would tell their brightness.

    Args:
        path: a ``torch.save`` file with a flat dictionary of tensors, ``swinViT.*`` and decoder. It is read
            with ``weights_only=True``: nothing in it is executed.

    Raises:
        TusaError: when the file cannot be read, or its tensors are not exactly those of the network.
    """
    import pickle

    import torch

    from tusa.network import Tusa, TusaConfig

    if not path.is_file():
        raise TusaError(f"No weights file at {path}. Check the path.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TusaError(f"{path} is not a plain dictionary of tensors ({reason}).") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise TusaError(f"{path} is not a plain dictionary of tensors.")
    head = state.get("out.conv.conv.weight")
    model = Tusa(TusaConfig(channels=int(head.shape[0]) if head is not None else TusaConfig.channels))
    _load_strictly(model.unet, state, path)
    return model.eval()


def _load_strictly(module: Any, state: dict[str, Tensor], path: Path) -> None:
    expected = module.state_dict()
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    misfit = [name for name in expected if name in state and expected[name].shape != state[name].shape]
    if missing or extra or misfit:
        raise TusaError(
            f"{path} does not hold this network: {len(missing)} tensors missing {missing[:2]}, "
            f"{len(extra)} unknown {extra[:2]}, {len(misfit)} of another shape {misfit[:2]}."
        )
    module.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in state.items()})

"""The packaged open weights, and safe readers for them and for the authors' file.

A weights file is a safetensors file whose metadata hold the network's configuration and the training record as
JSON. Nothing in a weights file is ever executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tusa.errors import TusaError

if TYPE_CHECKING:
    from torch import Tensor

    from tusa.network import Tusa

OPEN_WEIGHTS = "tusa.open-v1.safetensors"
FORMAT = "tusa-weights/1"


def open_weights_path() -> Path:
    """Where the packaged ``tusa.open-v1`` weights lie.

    Raises:
        TusaError: when this installation does not carry them.
    """
    path = Path(__file__).parent / OPEN_WEIGHTS
    if not path.is_file():
        raise TusaError(
            f"This installation does not carry the open weights {OPEN_WEIGHTS}. "
            "Install the complete package, or train and export your own with `tusa train` and `tusa export`."
        )
    return path


def read_metadata(path: Path) -> dict[str, Any]:
    """The header of a weights file: ``format``, ``config`` and, where recorded, ``training``.

    Raises:
        TusaError: when the file is missing, is not safetensors, or was not written by :func:`save_weights`.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise TusaError(f"No weights file at {path}. Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            raw: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise TusaError(f"{path} is not a readable safetensors file ({error}). Export it again.") from error
    if raw.get("format") != FORMAT:
        raise TusaError(f"{path} is not a TUSA weights file (no '{FORMAT}' mark). Make one with `tusa export`.")
    return {key: value if key == "format" else json.loads(value) for key, value in raw.items()}


def save_weights(model: Tusa, path: Path, training: dict[str, Any] | None = None) -> None:
    """Write a network as half-precision safetensors, atomically.

    Args:
        model: the network.
        path: the file to write.
        training: anything JSON can hold about where the weights come from.

    Raises:
        TusaError: when a parameter does not survive half precision.
    """
    import torch
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    tensors = {name: t.half().contiguous() if t.is_floating_point() else t.clone() for name, t in state.items()}
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor.float()).all()]:
        raise TusaError(f"Parameters {broken[:3]} are not finite in half precision; the training has diverged.")
    metadata = {"format": FORMAT, "config": json.dumps(model.config.to_dict())}
    if training is not None:
        metadata["training"] = json.dumps(training)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    partial.replace(path)


def load_weights(path: Path) -> Tusa:
    """Rebuild a network, in float32 and eval mode, from a file that :func:`save_weights` wrote.

    Raises:
        TusaError: when the file cannot be read or does not fit its own configuration.
    """
    from safetensors.torch import load_file

    from tusa.network import Tusa, TusaConfig

    config = TusaConfig.from_dict(read_metadata(path)["config"])
    model = Tusa(config)
    _load_strictly(model, load_file(path), path)
    return model.eval()


def load_open_weights() -> Tusa:
    """The network with the packaged ``tusa.open-v1`` weights, in float32 and eval mode.

    Raises:
        TusaError: when this installation does not carry them.
    """
    return load_weights(open_weights_path())


def load_authors_weights(path: Path) -> Tusa:
    """The network with the encoder and decoder of the authors' flat ``unet.pt``.

    The file holds no texture kernels, so :meth:`Tusa.encode` and :meth:`Tusa.textures` are the authors', while
    the reconstruction comes from kernels that are untrained.

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

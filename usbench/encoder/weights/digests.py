"""Digests that say which weights made a vector."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.limits import is_folder, open_regular
from usbench.encoder.weights.shards import INDEX, shards
from usbench.errors import WeightsError

if TYPE_CHECKING:
    import torch

# Several encoder objects of one run ask for the same file. Size and time of change tell a file that was
# replaced.
_known: dict[tuple[str, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder of weights, in hexadecimal.

    Computed once a process for each path, size and time of modification.

    Args:
        path: The file, or a folder or index as :func:`usbench.encoder.weights.read_state` takes them.

    Raises:
        WeightsError: It cannot be read.
    """
    if is_folder(path) or path.name.endswith(INDEX):
        lines = [f"{part.name} {file_sha256(part)}\n" for part in shards(path)[0]]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    try:
        status = path.stat()
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        if key not in _known:
            with open_regular(path) as file:
                _known[key] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from None
    return _known[key]


def note_digest(path: Path) -> None:
    """Remember the digest of a file as it was downloaded, beside it, so that a later change can be told.

    Args:
        path: The file.

    Raises:
        StoreError: The note cannot be written.
    """
    from usbench.core.atomic_files import atomic_write

    atomic_write(_note(path), f"{file_sha256(path)}  {path.name}\n".encode())


def noted_digest(path: Path) -> str | None:
    """Return the digest that was noted when a file was downloaded, ``None`` where there is no note.

    Args:
        path: The file.
    """
    try:
        text = _note(path).read_text("ascii").partition(" ")[0].strip()
    except (OSError, ValueError):
        return None
    return text if len(text) == 64 else None


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")  # as sha256sum writes and checks it


def state_sha256(module: torch.nn.Module) -> str:
    """Return the SHA-256 of a network's parameters and persistent buffers, in hexadecimal.

    Names, types, shapes and bytes enter, in the order of the names; where the tensors lie and whether they
    are contiguous does not.

    Args:
        module: The network.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue  # extra state of a module, not a weight
        content = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{content.dtype}|{tuple(content.shape)}|".encode())
        if content.numel():
            digest.update(content.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

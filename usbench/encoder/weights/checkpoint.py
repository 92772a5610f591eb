"""Weight files of every published layout, read as a flat dictionary of tensors.

Nothing in a file is ever executed. What is not a weight file is recognised and said in plain words, because
the file that people have is often the web page that offered the download.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.limits import WEIGHTS_BYTES, is_folder, open_regular
from usbench.core.text import one_line
from usbench.encoder.weights.shards import INDEX, shards
from usbench.encoder.weights.state_dict import unwrap
from usbench.errors import WeightsError

if TYPE_CHECKING:
    import torch

_AGAIN = "Download it again."


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` or ``.safetensors`` file by their names.

    A folder in which transformers keeps weights, in one file or in several with an index, is read whole.

    Layers of packing are removed: ``{"state_dict": ...}``, ``{"model": ...}``, ``{"teacher": ...}`` and the
    prefixes that ``DataParallel`` and ``torch.compile`` put before every name.

    Args:
        path: The file, recognised by its content, not by its suffix; or the folder, or the index in it.

    Returns:
        Names to tensors on the CPU, in the types in which they were saved.

    Raises:
        WeightsError: The file is absent, is not a weight file, is damaged, or names code to be executed.
    """
    if is_folder(path) or path.name.endswith(INDEX):
        return read_shards(path)
    content = _read(path)
    state = unwrap(content)
    if not state:
        # Loaded here, and below, because listing encoders imports this module and reads nothing.
        from usbench.encoder.weights import restricted_unpickler

        if isinstance(content, restricted_unpickler.Inert):
            raise WeightsError(
                f"{path}: holds a whole pickled model, whose code cannot be run safely. "
                "Save `model.state_dict()` instead and use that file."
            )
        raise WeightsError(f"{path}: holds no tensors by name, so it is not a file of weights. Check the file.")
    return state


def read_shards(path: Path) -> dict[str, torch.Tensor]:
    """Read weights that lie in several files.

    Args:
        path: The folder, or the index in it.

    Raises:
        WeightsError: The folder holds no weights, or a part that the index names is missing or lacks a tensor.
    """
    files, named = shards(path)
    state: dict[str, torch.Tensor] = {}
    for file in files:
        state.update(read_state(file))
    absent = sorted(named - set(state))
    if absent:
        raise WeightsError(f"{path}: {len(absent)} tensors that the index names are in no file, first {absent[0]!r}.")
    return state


def is_safetensors(path: Path) -> bool:
    """Say whether a file begins like a safetensors file: length of the header, then the header in JSON."""
    try:
        with open_regular(path) as file:
            start = file.read(9)
    except OSError:
        return False
    length = int.from_bytes(start[:8], "little")
    return len(start) == 9 and start[8:] == b"{" and length <= path.stat().st_size


def _read(path: Path) -> Any:
    from usbench.encoder.weights import restricted_unpickler

    start = _start(path)
    _refuse_foreign(path, start)
    if is_safetensors(path):
        return _read_safetensors(path)
    if start.startswith(b"PK"):
        _check_archive(path)
        return _read_pickled(path, restricted_unpickler.read_zip)
    if start.startswith((b"\x80", b"(", b"}")):
        return _read_pickled(path, restricted_unpickler.read_legacy)
    raise WeightsError(
        f"{path}: does not begin like a weight file (.pt, .pth or .safetensors). It may be another file, or damaged."
    )


def _start(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from None
    if not start:
        raise WeightsError(f"{path}: the file is empty; the download probably failed. {_AGAIN}")
    return start


def _refuse_foreign(path: Path, start: bytes) -> None:
    """Say what a file is that is certainly no weight file."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")):
        raise WeightsError(
            f"{path}: is a web page, not a weight file. The link led to a page that asks for a click or a login: "
            "open it in a browser and download the file itself."
        )
    if text.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path}: is a Git LFS pointer, not the weights it stands for. Run `git lfs pull` in its repository."
        )
    if start[257:262] == b"ustar":
        raise WeightsError(f"{path}: is a tar archive. Unpack it and give the weight file that is in it.")
    known = {
        b"\x1f\x8b": "a gzip archive",
        b"BZh": "a bzip2 archive",
        b"7z\xbc\xaf": "a 7-Zip archive",
        b"Rar!": "a RAR archive",
        b"\xfd7zXZ": "an xz archive",
    }
    for magic, what in known.items():
        if start.startswith(magic):
            raise WeightsError(f"{path}: is {what}. Unpack it and give the weight file that is in it.")
    if start.startswith(b"\x89HDF"):
        raise WeightsError(f"{path}: is an HDF5 (Keras) file. Give weights saved by torch or as safetensors.")


# A zip of torch is as large as what is in it; a packed one of text and zeros may be small.
_RATIO = 20
_SMALL = 2**26


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        size = path.stat().st_size / 1e6
        raise WeightsError(
            f"{path}: is truncated or damaged: it begins like a torch file but its end is missing ({size:.1f} MB on "
            f"disk). {_AGAIN}"
        ) from None
    WEIGHTS_BYTES.check(path, unpacked, WeightsError)
    stored = path.stat().st_size
    if unpacked > _RATIO * stored + _SMALL:
        raise WeightsError(
            f"{path}: unfolds to {unpacked:,} bytes from {stored:,}. Torch stores numbers as they are, so this is no "
            "file of its own but one made to fill memory. Save it anew with torch.save."
        )
    if any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(
            f"{path}: is a TorchScript program, which holds code. Save its `state_dict()` and use that file."
        )
    if not any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        weights = [name for name in names if name.endswith((".pth", ".pt", ".bin", ".safetensors"))]
        inside = f" It holds {weights[0]}: unpack it and give that file." if weights else ""
        raise WeightsError(f"{path}: is a zip archive, not a weight file.{inside or ' Check which file you need.'}")


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: is a truncated or damaged safetensors file ({error}). {_AGAIN}") from None


def _read_pickled(path: Path, reader: Any) -> Any:
    """Read with torch's restricted loader, and what that refuses with ours; neither executes anything."""
    import torch

    from usbench.encoder.weights.restricted_unpickler import RefusedGlobal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        pass  # which of them torch raises says little; our reader tells damage from foreign objects and attack
    try:
        return reader(path)
    except RefusedGlobal as error:
        raise WeightsError(
            f"{path}: refused: loading this file would call {error}, which no set of weights needs. Nothing in it was "
            "executed. Do not open it with other programs, and get the weights from their authors."
        ) from None
    except Exception as error:  # of a damaged archive the names, sizes and types of compression are wrong in many ways
        raise WeightsError(f"{path}: is truncated or damaged ({one_line(str(error))[:300]}). {_AGAIN}") from None

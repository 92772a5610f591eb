"""Weights in several files: the folders that transformers writes, with an index of which tensor lies where."""

from __future__ import annotations

import json
from pathlib import Path

from usbench.errors import WeightsError

INDEX = ".index.json"
# In the order in which they are preferred where a folder holds both.
SINGLE = ("model.safetensors", "pytorch_model.bin")


def shards(path: Path) -> tuple[list[Path], set[str]]:
    """Return the files of a folder of weights.

    Args:
        path: The folder, or the index in it.

    Returns:
        The files, and the names of the tensors that the index promises; none without an index.

    Raises:
        WeightsError: The folder holds no weights, or the index is damaged or names a file that is not there.
    """
    folder = path if path.is_dir() else path.parent
    wanted = [folder / f"{name}{INDEX}" for name in SINGLE] if path.is_dir() else [path]
    index = next((each for each in wanted if each.is_file()), None)
    if index is None:
        single = next((folder / name for name in SINGLE if (folder / name).is_file()), None)
        if single is None:
            raise WeightsError(f"{path}: holds neither {SINGLE[0]} nor an index of parts. Give the weight file itself.")
        return [single], set()
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(f"{index}: is no index of weights (`weight_map`). Download it again.") from None
    for file in files:
        # A name with a folder in it could lead anywhere.
        if not isinstance(file, str) or Path(file).name != file or not (folder / file).is_file():
            raise WeightsError(f"{index}: names {file}, which is not beside it. Download all parts.")
    return [folder / file for file in files], set(places)

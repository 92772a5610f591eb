"""Vectors on disk, for people and other programs: the layout that ``usbench embed`` writes and ``precomputed:`` reads.

A folder with two files:

``vectors.safetensors``
    One tensor ``vectors``, float32 ``[n, D]``.
``index.parquet`` or ``index.csv``
    ``n`` rows, row ``i`` describing vector ``i``. Columns ``path`` and ``frame`` (from 0) say where the frame lies in
    its dataset, ``frame_sha256`` which frame it is, ``file_sha256`` which file; then every column of the dataset, such
    as ``subject`` and ``label``.

Vectors belong to frames by ``frame_sha256`` alone, a digest of the grey pixels, so that they cannot be given to other
frames by mistake. The header of the vectors holds, under ``usbench``, a JSON description of encoder and dataset, and
the digest of the index. Vectors made elsewhere may leave the header out: write an index with any encoder, put your own
vectors in its order beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.atomic_files import atomic_write
from usbench.core.types import Frame, Vectors
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

VECTORS_FILE = "vectors.safetensors"
INDEX_FILES = ("index.parquet", "index.csv")
HEADER = "usbench"
FORMAT = 1
# How far two vectors of one and the same frame may lie apart, as a share of the largest value: what batches of other
# sizes explain.
_SAME = 1e-3


@dataclass(frozen=True)
class VectorFolder:
    """The content of a folder of vectors.

    Attributes:
        vectors: float32 ``[n, D]``.
        rows: Row of a frame by its digest.
        facts: What the header says of encoder and dataset; empty for vectors made elsewhere.
    """

    vectors: Vectors
    rows: Mapping[str, int]
    facts: Mapping[str, Any]


def frame_sha256(frame: Frame) -> str:
    """Return the digest by which a frame is known: SHA-256 of ``HxW:`` and its pixels, row by row.

    Args:
        frame: uint8 ``(H, W)``.
    """
    import numpy as np

    digest = hashlib.sha256(f"{frame.shape[0]}x{frame.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()


def write_vectors(
    folder: Path, vectors: Vectors, index: pd.DataFrame, facts: Mapping[str, Any], suffix: str = ".parquet"
) -> None:
    """Write a folder of vectors; the vectors come last, so that a kill leaves no folder that looks complete.

    Args:
        folder: Made where it is missing; vectors in it are replaced.
        vectors: float32 ``[n, D]``.
        index: ``n`` rows in the same order, with the columns ``path``, ``frame`` and ``frame_sha256``.
        facts: Description of encoder and dataset, as JSON can hold it.
        suffix: ``.parquet`` or ``.csv``.

    Raises:
        StoreError: The folder cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save

    (folder / VECTORS_FILE).unlink(missing_ok=True)
    for name in INDEX_FILES:
        (folder / name).unlink(missing_ok=True)
    content = _table_bytes(index, suffix)
    atomic_write(folder / f"index{suffix}", content)
    header = {"format": FORMAT, "index_sha256": hashlib.sha256(content).hexdigest(), **facts}
    tensors = {"vectors": np.ascontiguousarray(vectors, dtype=np.float32)}
    atomic_write(folder / VECTORS_FILE, save(tensors, {HEADER: json.dumps(header, sort_keys=True)}))


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what the header of the vectors says, reading nothing else.

    Raises:
        DataError: There are no such files, or they are damaged.
    """
    from safetensors import SafetensorError, safe_open

    _index_file(folder)
    path = folder / VECTORS_FILE
    if not path.is_file():
        raise DataError(f"{folder}: no {VECTORS_FILE} in this folder. `usbench embed --out {folder}` writes one.")
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(HEADER, "{}")
            names = list(file.keys())
        facts: dict[str, Any] = json.loads(text)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: truncated or damaged ({error}). Make it again.") from None
    if "vectors" not in names:
        raise DataError(f"{path}: holds no tensor called 'vectors'; it has {', '.join(names) or 'none'}.")
    if facts.get("format", FORMAT) != FORMAT:
        raise DataError(f"{path}: is of format {facts['format']}, this version reads {FORMAT}. Update usbench.")
    return facts


def read_vectors(folder: Path) -> VectorFolder:
    """Read and check a folder of vectors.

    Raises:
        DataError: Files or columns are missing, vectors and index do not belong together, a value is not finite, or a
            frame has two different vectors.
    """
    import numpy as np
    from safetensors.numpy import load_file

    from usbench.data.label_table import read_table

    facts = read_facts(folder)
    index_file = _index_file(folder)
    if facts.get("index_sha256", _sha256(index_file)) != _sha256(index_file):
        raise DataError(
            f"{folder}: {index_file.name} is not the index that was written with {VECTORS_FILE}. Make them again."
        )
    table = read_table(index_file, required=("frame_sha256",), text=("frame_sha256",))
    vectors = load_file(folder / VECTORS_FILE)["vectors"]
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise DataError(f"{folder}: 'vectors' must be floating-point [n, D], not {vectors.dtype} {vectors.shape}.")
    if len(vectors) != len(table):
        raise DataError(
            f"{folder}: {len(vectors)} vectors but {len(table)} rows in {index_file.name}. Write one row a vector, "
            "in one order."
        )
    vectors = vectors.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{folder}: {len(wrong)} vectors hold NaN or infinity, first in row {wrong[0] + 1} of the index."
        )
    rows: dict[str, int] = {}
    for row, digest in enumerate(table["frame_sha256"]):
        first = rows.setdefault(str(digest), row)
        apart = abs(vectors[first] - vectors[row]).max() if first != row else 0.0
        if apart > _SAME * abs(vectors[first]).max():
            raise DataError(
                f"{folder}: rows {first + 1} and {row + 1} of the index are one and the same frame with different "
                "vectors. Are vectors and index in one order?"
            )
    return VectorFolder(vectors, rows, facts)


def folder_sha256(folder: Path) -> str:
    """Return a digest of vectors and index."""
    from usbench.encoder.weights import file_sha256

    return hashlib.sha256(
        f"{file_sha256(folder / VECTORS_FILE)} {file_sha256(_index_file(folder))}".encode()
    ).hexdigest()


def _index_file(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. `usbench embed --out {folder}` writes one.")
    found = [folder / name for name in INDEX_FILES if (folder / name).is_file()]
    if len(found) != 1:
        what = "both index.parquet and index.csv; keep one" if found else "no index.parquet or index.csv"
        raise DataError(f"{folder}: holds {what}. See `usbench embed --help`.")
    return found[0]


def _table_bytes(index: pd.DataFrame, suffix: str) -> bytes:
    import pandas as pd

    if suffix == ".csv":
        return index.to_csv(index=False).encode()
    plain = index.copy()
    for column in plain.columns:  # Parquet holds one type a column; a clinical table may mix numbers and text
        if pd.api.types.infer_dtype(plain[column], skipna=True).startswith("mixed"):
            plain[column] = plain[column].map(str, na_action="ignore")
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

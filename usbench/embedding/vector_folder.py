"""Vectors on disk, for people and other programs: the layout that ``usbench embed`` writes and ``precomputed:`` reads.

A folder with two files:

``vectors.safetensors``
    One tensor ``vectors``, float32 ``[n, D]``.
``index.parquet`` or ``index.csv``
    ``n`` rows, row ``i`` describing vector ``i``. Columns ``path`` and ``frame`` (from 0) say where the frame lies in
    its dataset, ``frame_sha256`` which frame it is, ``file_sha256`` which file; then every column of the dataset, such
    as ``subject`` and ``label``.

Vectors belong to frames by ``frame_sha256`` alone, a digest of the grey pixels, so that they cannot be given to other
frames by mistake. The header of the vectors holds, under ``usbench``, a JSON description of encoder and dataset,
and digests of the index and of the vectors. Vectors made elsewhere may leave the header out: write an index with any
encoder, put your own vectors in its order beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.atomic_files import atomic_write, explain_os_error
from usbench.core.documents import parse_json
from usbench.core.limits import TABLE_BYTES
from usbench.core.text import one_line
from usbench.core.types import Frame, Vectors
from usbench.errors import DataError, StoreError

if TYPE_CHECKING:
    import pandas as pd

VECTORS_FILE = "vectors.safetensors"
INDEX_FILES = ("index.parquet", "index.csv")
HEADER = "usbench"
FORMAT = 1
# How far two vectors of one and the same frame may lie apart, as a share of the largest value: what batches of other
# sizes explain.
_SAME = 1e-3
_NEW_VECTORS = f"{VECTORS_FILE}.new"
# Types of numbers that numpy reads without another package.
_FLOATS = ("F64", "F32", "F16")
_FACTS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "title": str,
    "description": str,
    "parameters": int,
    "gflops": (int, float),
    "input_size": list,
    "licence": str,
    "citation": str,
    "url": str,
    "pretraining": list,
    "pretraining_note": str,
    "floor": bool,
}


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
    """Write a folder of vectors; what was there before stays readable until all of the new is on disk.

    New vectors lie under a name of their own until the new index is in its place. Whoever finds an index that is not
    that of the old vectors, because this was killed in between, takes the new ones.

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

    content = _table_bytes(index, suffix)
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    own = {"format": FORMAT, "index_sha256": hashlib.sha256(content).hexdigest(), "vectors_sha256": _rows_sha256(rows)}
    header = json.dumps({**facts, **own}, sort_keys=True)
    atomic_write(folder / _NEW_VECTORS, save({"vectors": rows}, {HEADER: header}))
    atomic_write(folder / f"index{suffix}", content)
    try:
        (folder / _NEW_VECTORS).replace(folder / VECTORS_FILE)
        for name in INDEX_FILES:
            if name != f"index{suffix}":
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(explain_os_error(folder / VECTORS_FILE, error)) from None


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what the header of the vectors says, reading nothing else.

    Raises:
        DataError: There are no such files, or they are damaged.
    """
    return _choose(folder)[2]


def _choose(folder: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Return vectors, index and header that belong together.

    Usually there is one of each. After a kill between the steps of :func:`write_vectors` there may be two.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. `usbench embed --out {folder}` writes one.")
    indices = {path: _sha256(path) for name in INDEX_FILES if (path := folder / name).is_file()}
    if not indices:
        raise DataError(f"{folder}: holds no index.parquet or index.csv. See `usbench embed --help`.")
    candidates = [path for name in (VECTORS_FILE, _NEW_VECTORS) if (path := folder / name).is_file()]
    if not candidates:
        raise DataError(f"{folder}: no {VECTORS_FILE} in this folder. `usbench embed --out {folder}` writes one.")
    for path in candidates:
        try:
            facts = _header(path)
        except DataError:
            if path == candidates[-1]:
                raise
            continue
        for index, digest in indices.items():
            if facts.get("index_sha256") == digest:
                return path, index, facts
    facts = _header(candidates[0])
    if "index_sha256" in facts:
        names = " and ".join(index.name for index in indices)
        raise DataError(f"{folder}: {names} is not the index that was written with {VECTORS_FILE}. Make them again.")
    if len(indices) > 1:  # made elsewhere, without a header that says which
        raise DataError(f"{folder}: holds both index.parquet and index.csv; keep one. See `usbench embed --help`.")
    return candidates[0], next(iter(indices)), facts


def _header(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: is not a regular file.")
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(HEADER, "{}")
            if "vectors" not in file.keys():  # noqa: SIM118 - the handle is no mapping
                raise DataError(
                    f"{path}: holds no tensor called 'vectors'; it has {', '.join(sorted(file.keys())[:9]) or 'none'}."
                )
            tensor = file.get_slice("vectors")
            shape, kind = tensor.get_shape(), tensor.get_dtype()
        facts = parse_json(text)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: truncated or damaged ({one_line(str(error))[:200]}). Make it again.") from None
    if len(shape) != 2 or 0 in shape or kind not in _FLOATS:
        raise DataError(
            f"{path}: 'vectors' must be floating-point [n, D] ({', '.join(_FLOATS)}) with n and D from 1, not {kind} "
            f"{shape}."
        )
    TABLE_BYTES.check(path, shape[0] * shape[1] * 4, DataError)
    if not isinstance(facts, dict) or any(not isinstance(facts.get(key, {}), dict) for key in ("encoder", "dataset")):
        raise DataError(f"{path}: its description under {HEADER!r} is not a table of facts. Make it again.")
    if facts.get("format", FORMAT) != FORMAT:
        raise DataError(f"{path}: is of format {facts['format']!r:.40}, this version reads {FORMAT}. Update usbench.")
    _check_encoder(path, facts.get("encoder", {}))
    return facts


def _check_encoder(path: Path, encoder: Mapping[str, Any]) -> None:
    """Refuse a description of an encoder whose values are of other types than a card holds."""
    for key, kinds in _FACTS.items():
        value = encoder.get(key)
        fits = value is None or (isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool)))
        if fits and isinstance(value, list):
            fits = all(isinstance(item, int if key == "input_size" else str) for item in value)
        if not fits:
            raise DataError(
                f"{path}: its description has {key} = {value!r:.40}, which is of another type. Make it again."
            )


def read_vectors(folder: Path) -> VectorFolder:
    """Read and check a folder of vectors.

    Raises:
        DataError: Files or columns are missing, vectors and index do not belong together, a value is not finite, or a
            frame has two different vectors.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from usbench.data.label_table import read_table

    path, index_file, facts = _choose(folder)
    table = read_table(index_file, required=("frame_sha256",), text=("frame_sha256",))
    try:
        vectors = load_file(path)["vectors"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: truncated or damaged ({one_line(str(error))[:200]}). Make it again.") from None
    stated = facts.get("vectors_sha256")
    if stated is not None and stated != _rows_sha256(np.ascontiguousarray(vectors, dtype=np.float32)):
        raise DataError(f"{path}: the vectors were changed after they were written. Make them again.")
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

    vectors, index, _ = _choose(folder)
    return hashlib.sha256(f"{file_sha256(vectors)} {file_sha256(index)}".encode()).hexdigest()


def _rows_sha256(vectors: Vectors) -> str:
    return hashlib.sha256(f"{vectors.shape[0]}x{vectors.shape[1]}:".encode() + vectors.tobytes()).hexdigest()


def _table_bytes(index: pd.DataFrame, suffix: str) -> bytes:
    import pandas as pd

    if suffix == ".csv":
        return index.to_csv(index=False).encode()
    plain = index.copy()
    for column in plain.columns:  # Parquet holds one type per column; a clinical table may mix numbers and text
        if pd.api.types.infer_dtype(plain[column], skipna=True).startswith("mixed"):
            plain[column] = plain[column].map(str, na_action="ignore")
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

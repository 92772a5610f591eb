"""How alike the encoders of a board are, as a sealed file beside their results.

``RESULTS/BOARD/similarity/encoders.json`` names the identities that were compared, on how many frames, and two numbers
for each pair. It belongs to exactly these identities: a result of other vectors has no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import atomic_write
from usbench.core.documents import read_json
from usbench.core.names import inside
from usbench.errors import ResultError
from usbench.results.checks import digest_of, dump, seal_fault

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Pair:
    """Two encoders.

    Attributes:
        one: Digest of an encoder's identity.
        other: That of another.
        linear_cka: Linear centred kernel alignment, unbiased; ``None`` where an encoder gives all frames one vector.
        mutual_neighbours: Share of nearest neighbours in common, 0 to 1.
    """

    one: str
    other: str
    linear_cka: float | None
    mutual_neighbours: float


@dataclass(frozen=True)
class Similarity:
    """How alike the encoders of one board are.

    Attributes:
        board: Name of the board.
        fingerprint: Fingerprint of its dataset.
        frames: Number of frames compared, one of each unit.
        neighbours: Nearest neighbours per frame that are compared.
        encoders: Digest of identity to name, in the order in which they were compared.
        pairs: Every pair once.
        provenance: Date, revision and versions of packages.
        schema: Version of this layout.
    """

    board: str
    fingerprint: str
    frames: int
    neighbours: int
    encoders: dict[str, str]
    pairs: tuple[Pair, ...]
    provenance: dict[str, Any]
    schema: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the JSON text, sealed by the digest of its content."""
        plain = asdict(self)
        plain["pairs"] = [asdict(pair) for pair in self.pairs]
        return dump({**plain, "digest": digest_of(plain)}) + "\n"

    @property
    def by_pair(self) -> dict[frozenset[str], Pair]:
        """Each pair by its two digests."""
        return {frozenset((pair.one, pair.other)): pair for pair in self.pairs}


def similarity_path(folder: Path, board: str) -> Path:
    """Return where the similarity of a board's encoders is kept below the results folder."""
    return folder / board / "similarity" / "encoders.json"


def save_similarity(folder: Path, found: Similarity) -> Path:
    """Write it atomically and return its path.

    Raises:
        StoreError: The folder cannot be written.
        UsbenchError: A link leads out of the folder.
    """
    path = inside(folder, similarity_path(folder, found.board))
    atomic_write(path, found.to_json().encode())
    return path


def load_similarity(folder: Path, board: str) -> Similarity | None:
    """Read it, if it is there.

    Args:
        folder: The results folder.
        board: Name of the board.

    Raises:
        ResultError: The file is damaged, was changed by hand, or belongs to another board.
    """
    path = similarity_path(folder, board)
    if not path.is_file():
        return None
    data = read_json(path, ResultError, "how alike encoders are")
    again = f"`usbench similarity --results {folder}` measures it again"
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA_VERSION:
        raise ResultError(f"{path}: does not say how alike encoders are (schema {SCHEMA_VERSION}). {again}.")
    if fault := seal_fault(data):
        raise ResultError(f"{path}: {fault}. {again}.")
    try:
        found = _read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(f"{path}: does not say how alike encoders are ({error}). {again}.") from None
    if found.board != board:
        raise ResultError(f"{path}: is of board {found.board!r}. Move it there, or away.")
    return found


def _read(data: Mapping[str, Any]) -> Similarity:
    pairs = tuple(Pair(**pair) for pair in data["pairs"])
    encoders = {str(digest): str(name) for digest, name in data["encoders"].items()}
    for pair in pairs:
        if pair.one not in encoders or pair.other not in encoders:
            raise ValueError("a pair names an encoder that is not listed")
        numbers = [pair.mutual_neighbours] + ([] if pair.linear_cka is None else [pair.linear_cka])
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
            raise ValueError("a value of a pair is no number")
    plain = {key: data[key] for key in ("board", "fingerprint", "provenance")}
    return Similarity(
        **plain, frames=int(data["frames"]), neighbours=int(data["neighbours"]), encoders=encoders, pairs=pairs
    )

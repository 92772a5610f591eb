"""Names that become folders, files, links and words of a command: one pattern, and a check that paths stay inside.

Results, task files and submissions come from strangers. A name such as ``../../victim`` must never reach a path, so
every name is checked where it is read, and every path is checked again where it is made.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from usbench.core.text import printable
from usbench.errors import UsbenchError

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?"
"""Tasks, datasets: ASCII letters and digits, with ``.``, ``_`` and ``-`` after the first."""

ENCODER = r"[A-Za-z0-9][A-Za-z0-9._:/@+=,-]{0,199}"
"""Encoders: the same, and what identifiers of model hubs, options and variants need: ``timm:org/model,num_heads=12``,
``tusa@pooling=stages``."""

VARIANT = ("weights", "preprocessing", "pooling", "precision")
"""What an encoder can be other than by default, in the order in which a name says it."""

COLUMN = r"[\w(][\w .,;()%/+°µ-]{0,99}"
"""Columns of a table that scores are broken down by: what people write on top of a column, and no more."""

LONGEST_TITLE = 300

RESERVED = frozenset(
    ["readme", "con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))]
)
"""Names, in lower case and up to the first dot, that pages or an operating system use for something else."""

_NAME = re.compile(NAME)
_ENCODER = re.compile(ENCODER)
_COLUMN = re.compile(COLUMN)
_VARIANT = re.compile(rf"@({'|'.join(VARIANT)})=([A-Za-z0-9._-]+)$")


def name_fault(kind: str, name: object) -> str:
    """Say what is wrong with a name; empty when nothing is.

    Args:
        kind: ``task``, ``dataset`` or ``encoder``; a dataset may lie behind an ``@`` only in the name of a board.
        name: What claims to be one.
    """
    pattern = _ENCODER if kind == "encoder" else _NAME
    if not isinstance(name, str) or not pattern.fullmatch(name):
        more = ", ':', '/', '@', '+', ',' and '='" if kind == "encoder" else ""
        return (
            f"{_shown(name)} cannot be the name of {_article(kind)} {kind}: use letters and digits without accents, "
            f"'.', '_' and '-'{more}, and begin with a letter or digit"
        )
    if kind != "encoder" and name.partition(".")[0].lower() in RESERVED:
        return f"{_shown(name)} is reserved and cannot be the name of {_article(kind)} {kind}"
    return ""


def column_fault(name: object) -> str:
    """Say what is wrong with the name of a column; empty when nothing is.

    Args:
        name: What claims to be one.
    """
    if isinstance(name, str) and _COLUMN.fullmatch(name):
        return ""
    return (
        f"{_shown(name)} cannot be the name of a column that scores are broken down by: use at most 100 letters, "
        "digits, spaces and . , ; ( ) % / + - _"
    )


def label_fault(label: str) -> str:
    """Say what is wrong with the name of a class; empty when nothing is.

    Args:
        label: As in the table.
    """
    if 0 < len(label) <= LONGEST_TITLE and printable(label) == label:
        return ""
    return f"{_shown(label)} cannot be the name of a class: use 1 to {LONGEST_TITLE} characters that can be seen"


def check_name(kind: str, name: object) -> str:
    """Return a name that fits the pattern of its kind.

    Args:
        kind: ``task``, ``dataset`` or ``encoder``.
        name: What claims to be one.

    Raises:
        UsbenchError: It does not fit, or is reserved.
    """
    if fault := name_fault(kind, name):
        raise UsbenchError(f"{fault}.")
    return str(name)


def split_variant(name: str) -> tuple[str, dict[str, str]]:
    """Part the name of an encoder into the encoder and what of it differs from its default.

    Args:
        name: For example ``tusa@pooling=stages``.

    Returns:
        The encoder, ``tusa``, and what differs, ``{"pooling": "stages"}``, in the order of :data:`VARIANT`.

    Raises:
        UsbenchError: The name says the same thing twice.
    """
    rest, found = name, dict[str, str]()
    while (match := _VARIANT.search(rest)) is not None:
        rest, (key, value) = rest[: match.start()], match.groups()
        if key in found:
            raise UsbenchError(f"encoder {name!r}: says {key} twice. Say it once.")
        found[key] = value
    return rest, {key: found[key] for key in VARIANT if key in found}


def with_variant(encoder: str, variant: Mapping[str, str]) -> str:
    """Return the name of a variant of an encoder: what :func:`split_variant` parts.

    Args:
        encoder: Name of the encoder.
        variant: What differs from its default, by the words of :data:`VARIANT`.
    """
    return encoder + "".join(f"@{key}={variant[key]}" for key in VARIANT if key in variant)


def as_name(text: str) -> str:
    """Turn the name of a folder or file into a name that fits; one that fits already stays as it is.

    What loses something on the way is kept apart from its likes by a short digest.

    Args:
        text: For example ``Ärzte (2024)``.
    """
    if not name_fault("dataset", text):
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:80].rstrip("._-")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{words}-{digest}" if words else f"data-{digest}"


def inside(folder: Path, path: Path) -> Path:
    """Return ``path``, after seeing that it lies inside ``folder``, links followed.

    Args:
        folder: Where something may be written.
        path: Where it would be written.

    Raises:
        UsbenchError: It lies elsewhere.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UsbenchError(f"{path}: lies outside of {folder}, and nothing is written there. Check names and links.")
    return path


def _shown(name: object) -> str:
    text = ascii(name)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"

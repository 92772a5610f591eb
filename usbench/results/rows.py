"""Who a row is: the facts that tell one network from another, and what to do when two claim one name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from usbench.core.names import split_variant
from usbench.errors import ResultError

_FACTS = ("weights", "preprocessing", "pooling", "precision", "source")
_TOLD = {"source": "its plugin file", "weights": "weights"}


def base_of(encoder: Mapping[str, Any]) -> str:
    """Return the encoder of which a row is a variant, as registered: ``tusa`` of ``tusa@pooling=stages``.

    Args:
        encoder: What a result says of its encoder; ``base`` is absent where it is the name itself.
    """
    return str(encoder.get("base") or encoder["name"])


def spelling_of(encoder: Mapping[str, Any]) -> str:
    """Return the name by which the variant can be asked for, which differs from that of a row the user has named.

    Args:
        encoder: What a result says of its encoder.
    """
    return str(encoder.get("spelling") or encoder["name"])


def variant_of(encoder: Mapping[str, Any]) -> dict[str, str]:
    """Return what a row differs in from the encoder as it comes.

    Args:
        encoder: What a result says of its encoder.
    """
    return split_variant(spelling_of(encoder))[1]


def identity_facts(encoder: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells one network from another that has its name.

    Versions of libraries and of the adapter are not among it: the same encoder in a newer program is computed anew and
    takes the place of the older result.

    Args:
        encoder: What a result says of its encoder.
    """
    return {key: _plain(str(encoder[key])) for key in _FACTS if encoder.get(key)}


def refuse_another(path: Path, there: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to put a result in the place of one of another network.

    Args:
        path: Where the first lies.
        there: What it says of its encoder.
        new: What the one to be written would say.

    Raises:
        ResultError: They differ in a fact that both know; the message says in which, and how to go on.
    """
    a, b = identity_facts(there), identity_facts(new)
    differ = [key for key in _FACTS if key in a and key in b and a[key] != b[key]]
    if not differ:
        return
    told = "; ".join(f"{_TOLD.get(key, key)}: {_short(a[key])} there, {_short(b[key])} now" for key in differ)
    name = str(new["name"])
    raise ResultError(
        f"{path}: holds a result of another {name} ({told}). Which do you want? Keep both: give this one a name of its "
        f"own, --name {shlex.quote(_another(name))}. Or put it in the other's place: --replace."
    )


def _another(name: str) -> str:
    return f"{split_variant(name)[0].rpartition('/')[2]}.second"


def _plain(value: str) -> str:
    """Leave the versions of libraries out of the name of random weights: ``init:seed=0:torch=2.5`` is seed 0."""
    if not value.startswith("init:"):
        return value
    return ":".join(part for part in value.split(":") if part == "init" or part.startswith("seed="))


def _short(value: str) -> str:
    kind, colon, digest = value.partition(":")
    if colon and len(digest) > 12 and digest.isalnum():
        return f"{kind}:{digest[:8]}"
    return value if len(value) <= 20 else value[:8]

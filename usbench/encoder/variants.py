"""Rows: under which name and title the results of an encoder are kept, so that each of its variants has its own.

An encoder as it comes keeps its name. What differs from that (a file of weights that is not the published one, another
preprocessing or pooling, another precision) is said behind it, ``tusa@pooling=stages``, in a name that commands take as
well. The user may call a row otherwise. Vectors are stored by identity and know nothing of rows.
"""

from __future__ import annotations

import copy

from usbench.core.names import with_variant
from usbench.encoder import weights
from usbench.encoder.base import Encoder
from usbench.encoder.combined import Combined
from usbench.errors import WeightsError

DIGITS = 8
"""Digits of a digest that stand for a file of weights in a name."""


def variant_of(encoder: Encoder) -> dict[str, str]:
    """Return what an encoder is other than by default, by the words of :data:`usbench.core.names.VARIANT`.

    Args:
        encoder: An encoder that is ready. Precision ``auto`` counts as the default until it is settled.
    """
    found = {"weights": other_weights(encoder)}
    for key, chosen, offered in (
        ("preprocessing", encoder.preprocessing, encoder.card.preprocessings),
        ("pooling", encoder.pooling, encoder.card.poolings),
    ):
        found[key] = "" if chosen == next(iter(offered)) else chosen
    found["precision"] = "" if encoder.precision in ("fp32", "auto") else encoder.precision
    return {key: value for key, value in found.items() if value}


def other_weights(encoder: Encoder) -> str:
    """Return the first digits of the weights in use where they are not the encoder's own, nothing where they are.

    Its own are the published file; where no digest of that is known, what it would use if no file had been given to
    it. An encoder without any weights of its own is what the file makes of it.

    Args:
        encoder: The encoder.

    Raises:
        WeightsError: The file cannot be read.
    """
    path = encoder.weights_path() if encoder.takes_weights else None
    if path is None:
        return ""
    published, digest = encoder.weights_as_published(), weights.file_sha256(path)
    if published is not None:
        return "" if published else digest[:DIGITS]
    if encoder.given_weights is None:
        return ""
    alone = copy.copy(encoder)
    alone._weights = None
    try:
        own = alone.weights_path()
    except WeightsError:
        return ""
    # Without a file the library brings the weights, which are others.
    return "" if own is not None and weights.file_sha256(own) == digest else digest[:DIGITS]


def spelling(encoder: Encoder) -> str:
    """Return the name by which this very variant can be asked for: ``tusa@pooling=stages``, ``tusa`` as it comes.

    Args:
        encoder: An encoder that is ready.
    """
    if isinstance(encoder, Combined):
        # All parts have the precision of the whole, which says it once.
        parts = [with_variant(part.name, _but_precision(variant_of(part))) for part in encoder.parts]
        return with_variant("+".join(parts), variant_of(encoder))
    return with_variant(encoder.name, variant_of(encoder))


def row_name(encoder: Encoder) -> str:
    """Return the name under which its results are kept: as the user calls it, else as it is spelt.

    Args:
        encoder: An encoder that is ready.
    """
    return encoder.called or spelling(encoder)


def row_title(encoder: Encoder) -> str:
    """Return its name as printed in tables: ``TUSA, all stages``.

    Args:
        encoder: An encoder that is ready.
    """
    if isinstance(encoder, Combined):
        parts = [_titled(part, _but_precision(variant_of(part))) for part in encoder.parts]
        title = ", ".join([" + ".join(parts), *variant_of(encoder).values()])
    else:
        title = _titled(encoder, variant_of(encoder))
    return f"{title} ({encoder.called})" if encoder.called else title


def _titled(encoder: Encoder, variant: dict[str, str]) -> str:
    told = dict(variant)
    if "weights" in told:
        told["weights"] = f"weights {told['weights']}"
    for key in ("preprocessing", "pooling"):
        if key in told:
            told[key] = encoder.card.variant_titles.get(told[key], told[key])
    return ", ".join([encoder.title, *told.values()])


def _but_precision(variant: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in variant.items() if key != "precision"}

"""Whether the rows of a board were encoded on several kinds of device."""

from __future__ import annotations

from collections.abc import Iterable

from usbench.results.rows import base_of
from usbench.results.schema import Result


def note_of_devices(rows: Iterable[tuple[str, Result]]) -> str:
    """Name the networks by the kind of device that encoded for them, where there are several kinds.

    Args:
        rows: Title and result of each.

    Returns:
        One sentence; empty where there is one kind, or nothing is known.
    """
    kinds: dict[str, list[str]] = {}
    for title, result in rows:
        device = str(result.provenance.get("machine", {}).get("device", "")).partition(":")[0]
        # Vectors that came from the store, or from a file, were encoded who knows where.
        encoded = result.provenance.get("timings", {}).get("encoded_now")
        from_file = base_of(result.encoder).startswith("precomputed:")
        if device and encoded and not from_file and result.encoder.get("parameters") != 0:
            kinds.setdefault(device.upper(), []).append(title)
    if len(kinds) < 2:
        return ""
    parts = "; ".join(f"{kind}: {', '.join(titles)}" for kind, titles in sorted(kinds.items()))
    return f"Encoded on several kinds of device, whose vectors differ in the last digits ({parts})."

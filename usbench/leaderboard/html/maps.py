"""What a script needs to name the dots of a map, and the pictures that may be shown with them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures.maps import drawn_entries

# Longest side of a picture, in pixels.
SIDE = 112


def dots_of(board: Board) -> str:
    """Return the units of a board's map as JSON that is safe inside a page; empty where there is no map.

    ``units`` and ``targets`` are in the order of the dots within each class. ``pictures`` holds small pictures, as data
    addresses, of those units whose image is embedded in an installed package and may be passed on.

    Args:
        board: The board.
    """
    entry = next((entry for entry in drawn_entries(board) if entry.comparable), None)
    if entry is None:
        return ""
    units = entry.result.units
    data = {"units": units.id, "targets": [str(target) for target in units.target], "pictures": pictures_of(units.id)}
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def pictures_of(units: Sequence[str]) -> dict[str, str]:
    """Return pictures of the units that may be shown.

    Args:
        units: Unit names; those of composed datasets begin with the name of the part, then the path.

    Returns:
        Unit to a WebP picture as data address.
    """
    roots = _embedded_roots()
    found = {}
    for unit in units:
        part, _, path = unit.partition("/")
        file = roots[part] / path if part in roots and path else None
        # A unit may be called anything, ../ included; only what lies among the images may be shown.
        if file is not None and file.resolve().is_relative_to(roots[part].resolve()) and file.is_file():
            found[unit] = _picture(file)
    return found


def _embedded_roots() -> dict[str, Path]:
    """Return where images lie that travel with a package and may be passed on, by every name of their dataset."""
    from usbench.core.settings import load_settings
    from usbench.plugins.catalog import DATASETS

    settings = load_settings(())
    roots: dict[str, Path] = {}
    for name in DATASETS.bundled():
        dataset = DATASETS.get(name).value
        if not dataset.card.redistributable or dataset.card.synthetic:
            continue
        root = dataset.embedded_root(settings)
        if root is not None:
            roots.update(dict.fromkeys((dataset.card.name, *dataset.card.aliases), root))
    return roots


def _picture(file: Path) -> str:
    from PIL import Image

    with Image.open(file) as image:
        small = image.convert("L")
        small.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=60)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()

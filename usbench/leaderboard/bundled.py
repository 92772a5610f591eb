"""Tasks and encoders that come with the program: they have a place on the pages even if nobody has run them.

Those of other installed distributions are left out: pages must not depend on what else is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbench.errors import UsbenchError

if TYPE_CHECKING:
    from usbench.task.task import Task


@dataclass(frozen=True)
class Known:
    """A bundled encoder, whether or not somebody has run it."""

    name: str
    title: str
    floor: bool
    weights_page: str | None


def bundled_tasks() -> list[Task]:
    """Return the bundled tasks."""
    from usbench.plugins.catalog import TASKS

    return [TASKS.get(name).value for name in TASKS.bundled()]


def bundled_encoders() -> list[Known]:
    """Return the bundled encoders, families left out; reads cards only."""
    from usbench.plugins.catalog import ENCODERS

    found = []
    for name in ENCODERS.bundled():
        try:
            card = ENCODERS.get(name).value.card
        except UsbenchError:  # an optional dependency is absent here; the page must be the same everywhere
            continue
        found.append(Known(name, card.title, card.floor, card.weights.page if card.weights else None))
    return found

"""The threads that passes side by side need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let torch use two threads however many this process has, so that passes run in two lanes."""
    from usbench.probes.threads import torch_threads

    with torch_threads(2):
        yield

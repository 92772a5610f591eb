"""Freed memory that stays with the process: that it does, and that it is left alone where somebody else decides."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

GLIBC = platform.libc_ver()[0] == "glibc"

FAULTS = """
import resource, sys
from usbench.core.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else False
for _ in range(20):
    block = bytearray(b"1") * (24 << 20)
    del block
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def told(way: str, **environment: str) -> tuple[bool, int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, way], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc")
def test_memory_that_is_freed_is_not_cleared_anew() -> None:
    (_, before), (kept, after) = told("default", MALLOC_MMAP_THRESHOLD_=""), told("kept", MALLOC_MMAP_THRESHOLD_="")
    assert kept
    assert after < before / 3, f"{after} pages were new, {before} without"


def test_settings_of_the_user_stand() -> None:
    kept, _ = told("kept", MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept

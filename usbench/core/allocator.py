"""Memory that a network frees stays with the process for its next pass, where the C library is glibc.

A pass on a CPU asks for the same few hundred tensors as the one before. By default glibc gives large blocks, and the
end of its heap, back to the system as soon as they are free, and the system then clears every page anew when the next
layer touches it: about a twelfth of the time of a pass.
"""

from __future__ import annotations

import os
import sys
from functools import cache

# From malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MIB = 1 << 20
# What may stay free, what is asked for at a time, and from what size on a block is given back whenever it is free.
_SETTINGS = {_TRIM_THRESHOLD: 256 * _MIB, _TOP_PAD: 16 * _MIB, _MMAP_THRESHOLD: 32 * _MIB}
_OF_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


@cache
def keep_freed_memory() -> bool:
    """Let the process keep up to 256 MiB of freed memory; once, and not where the environment says how to allocate.

    Returns:
        Whether it does: not with another C library, or another allocator than its own.
    """
    if sys.platform != "linux" or any(os.environ.get(name) for name in _OF_THE_USER):
        return False
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or not hasattr(library, "mallopt"):
        return False
    return all(library.mallopt(name, value) == 1 for name, value in _SETTINGS.items())

"""Weight files: where they lie, what they hold, and how to read them without executing anything in them.

This package imports torch only inside the functions that need it, because listing encoders asks it for paths.
"""

from usbench.weights.digests import file_sha256, state_sha256
from usbench.weights.finding import Place, absent, find, locate, require

__all__ = ["Place", "absent", "file_sha256", "find", "locate", "require", "state_sha256"]

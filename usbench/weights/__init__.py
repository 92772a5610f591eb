"""Weight files: where they lie, what they hold, and how to read them without executing anything in them.

This package imports torch only inside the functions that need it, because listing encoders asks it for paths.
"""

from usbench.weights.digests import file_sha256, state_sha256
from usbench.weights.finding import Place, absent, find, locate, require
from usbench.weights.layouts import fit_prefix, guess_model, keep, load_strictly, rename, unwrap
from usbench.weights.reading import is_safetensors, read_state

__all__ = [
    "Place",
    "absent",
    "file_sha256",
    "find",
    "fit_prefix",
    "guess_model",
    "is_safetensors",
    "keep",
    "load_strictly",
    "locate",
    "read_state",
    "rename",
    "require",
    "state_sha256",
    "unwrap",
]

"""Weight files: where they lie, what they hold, and how to read them without executing anything in them.

This package imports torch only inside the functions that need it, because listing encoders asks it for paths.
"""

from usbench.encoder.weights.checkpoint import is_safetensors, read_state
from usbench.encoder.weights.digests import file_sha256, noted_digest, state_sha256
from usbench.encoder.weights.heads import other_heads
from usbench.encoder.weights.locate import Place, absent, find, locate, require
from usbench.encoder.weights.packaged import joined_sha256, packaged_paths, verify
from usbench.encoder.weights.shards import shards
from usbench.encoder.weights.state_dict import fit_prefix, keep, load_strictly, rename, unwrap

__all__ = [
    "Place",
    "absent",
    "file_sha256",
    "find",
    "fit_prefix",
    "is_safetensors",
    "joined_sha256",
    "keep",
    "load_strictly",
    "locate",
    "noted_digest",
    "other_heads",
    "packaged_paths",
    "read_state",
    "rename",
    "require",
    "shards",
    "state_sha256",
    "unwrap",
    "verify",
]

"""Which libraries make an encoder's network or pixels, found in its source, and their versions."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import metadata
from pathlib import Path

from usbench.core.source_closure import closure_of

DISTRIBUTIONS = {
    "kornia": "kornia",
    "monai": "monai",
    "onnxruntime": "onnxruntime",
    "open_clip": "open-clip-torch",
    "segment_anything": "segment-anything",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "torchvision": "torchvision",
    "transformers": "transformers",
}
"""Module and distribution of every library whose version can change a vector."""


@cache
def library_versions(kind: type) -> str:
    """Return the libraries that a class and its bases import, each with its version, sorted.

    Modules of the same package are followed, imports inside functions included; what other packages of one's own
    import is named in ``libraries`` on the class. NumPy, SciPy and torch, which only
    compute, are left out: their rounding differs between machines as well.

    Args:
        kind: Class of an encoder.

    Returns:
        For example ``"timm 1.0.12, torchvision 0.20.1"``; empty for an encoder that needs none.
    """
    used: set[str] = set()
    for base in kind.__mro__:
        used.update(vars(base).get("libraries", ()))
        if base.__module__.partition(".")[0] in ("usbench", "builtins", "abc"):
            continue
        try:
            path = Path(inspect.getfile(base))
        except (TypeError, OSError):
            continue
        depth = base.__module__.count(".")
        root = path.parents[depth] if depth < len(path.parents) else path.parent
        found = closure_of(path, root)
        used |= found.external | {name.partition(".")[0] for name in found.modules}
    return ", ".join(sorted(_version(DISTRIBUTIONS[name]) for name in used & DISTRIBUTIONS.keys()))


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return f"{distribution} absent"

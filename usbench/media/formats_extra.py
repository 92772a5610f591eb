"""Libraries of the optional extra ``usbench[formats]``, imported when a file needs one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from usbench.media.errors import MediaError


def require(module: str, path: Path) -> Any:
    """Import a library, or say how to install it.

    Args:
        module: Its name.
        path: The file that needs it.

    Raises:
        MediaError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MediaError(
            path, f"reading it needs {module}, which is not installed", 'Install it: pip install "usbench[formats]".'
        ) from None

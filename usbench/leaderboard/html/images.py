"""Pictures of the user's own inside pages, which load nothing from elsewhere."""

from __future__ import annotations

import base64
from pathlib import Path

from usbench.errors import UsbenchError

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def embedded_picture(path: Path) -> dict[str, str]:
    """Return a picture as a data address, with a caption made of its file name.

    Args:
        path: PNG, JPEG or SVG file.

    Raises:
        UsbenchError: It cannot be read or is of another kind.
    """
    kind = PICTURES.get(path.suffix.lower())
    if kind is None:
        raise UsbenchError(f"{path}: pictures are taken as {', '.join(PICTURES)}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsbenchError(f"{path}: cannot be read ({error.strerror}). Give the path of a picture.") from None
    caption = path.stem.replace("_", " ").replace("-", " ").capitalize()
    return {"uri": f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}", "caption": caption}

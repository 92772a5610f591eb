"""``usbench new``: files to begin a plugin with, working as they are.

The files lie as text in ``templates``, with ``$name`` and the like in the places of names.
"""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from usbench.core.atomic_files import atomic_write
from usbench.errors import NameClashError, UsbenchError

_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")


def new_encoder(name: str, folder: Path, package: bool = False) -> list[Path]:
    """Write an encoder plugin and its test.

    Args:
        name: Registry name: lower-case letters and digits, with ``-``, ``_`` or ``.`` between words.
        folder: Where the file and its test go, or the folder of the package.
        package: Whether to write an installable package with an entry point.

    Returns:
        The files, the plugin itself first.

    Raises:
        NameClashError: There is an encoder of this name.
        UsbenchError: It is no valid name, or a file is in the way.
    """
    from usbench.plugins.catalog import ENCODERS

    if not _NAME.fullmatch(name):
        raise UsbenchError(
            f"{name!r} cannot be the name of an encoder: use lower-case letters and digits, with '-', '_' or '.' "
            "between words, such as my-encoder."
        )
    if name in ENCODERS.names():
        raise NameClashError(f"there is an encoder called {name!r} already. Choose another name.")
    words = re.split(r"[._-]", name)
    identifier = "_".join(words)
    if keyword.iskeyword(identifier) or identifier in ("test", "usbench"):
        identifier = f"{identifier}_encoder"
    cls = "".join(word.capitalize() for word in words)
    cls = f"{cls}Encoder" if cls in ("Encoder", "EncoderCard") or keyword.iskeyword(cls) else cls
    values = {"name": name, "cls": cls, "title": " ".join(words).capitalize()}
    files = _package(values, identifier) if package else _file(values, identifier)
    written = {folder / path: content for path, content in files.items()}
    for path in written:
        if path.exists():
            raise UsbenchError(f"{path}: exists, and is not overwritten. Choose another name or folder.")
    for path, content in written.items():
        atomic_write(path, content.encode())
    return list(written)


def _file(values: dict[str, str], module: str) -> dict[str, str]:
    values = {
        **values,
        "reference": f"{module}.py:{values['cls']}",
        "imports": "from pathlib import Path\n\n",
        "plugin": f"f\"{{Path(__file__).with_name('{module}.py')}}:{values['cls']}\"",
    }
    return {
        f"{module}.py": _filled("encoder.py.txt", values),
        f"test_{module}.py": _filled("test_encoder.py.txt", values),
    }


def _package(values: dict[str, str], identifier: str) -> dict[str, str]:
    module = f"usbench_{identifier}"
    values = {
        **values,
        "reference": values["name"],
        "module": module,
        "distribution": module.replace("_", "-"),
        "imports": "",
        "plugin": f'"{values["name"]}"',
    }
    return {
        f"src/{module}/__init__.py": _filled("encoder.py.txt", values),
        f"tests/test_{identifier}.py": _filled("test_encoder.py.txt", values),
        "pyproject.toml": _filled("pyproject.toml.txt", values),
        "README.md": _filled("README.md.txt", values),
    }


def _filled(template: str, values: dict[str, str]) -> str:
    text = resources.files("usbench.plugins").joinpath("templates", template).read_text("utf-8")
    return Template(text).substitute(values)

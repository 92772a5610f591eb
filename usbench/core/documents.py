"""JSON and TOML from anybody: what cannot be understood is one clear error, however it is broken.

Python's parsers accept NaN and lone surrogates, run out of stack on deep nesting and refuse long numbers with errors of
their own. Here all of that is a :class:`ValueError` with a short reason.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from usbench.core.limits import read_bytes
from usbench.errors import UsbenchError


def parse_json(content: bytes | str) -> Any:
    """Parse JSON as the standard defines it.

    Args:
        content: UTF-8.

    Raises:
        ValueError: It is not JSON, not UTF-8, nested too deeply, or holds a number that JSON does not know.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        found = json.loads(text, parse_constant=_refuse)
        # A lone surrogate, written as an escape, is no text: it could be neither printed nor written back.
        if "\\ud" in text or "\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no text") from None


def read_json(path: Path, error: type[UsbenchError] = UsbenchError, what: str = "JSON") -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        error: What is raised when it cannot be read.
        what: What it should be, for the message.

    Raises:
        UsbenchError: Of class ``error``: it cannot be read, is too large, or is not JSON.
    """
    try:
        return parse_json(read_bytes(path))
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read as {what} ({_reason(problem)}).") from None


def read_toml(path: Path, error: type[UsbenchError] = UsbenchError) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        error: What is raised when it cannot be read.

    Raises:
        FileNotFoundError: There is none.
        UsbenchError: Of class ``error``: it cannot be read, is too large, or is not TOML.
    """
    try:
        return tomllib.loads(read_bytes(path).decode("utf-8"))
    except FileNotFoundError:
        raise
    except RecursionError:
        raise error(f"{path}: not valid TOML (it is nested too deeply). Correct it or move it away.") from None
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path}: not valid TOML ({problem}). Correct it or move it away.") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read ({_reason(problem)}).") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _reason(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem) or type(problem).__name__

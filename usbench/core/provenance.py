"""How a result came about: versions, revision and machine."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

# Packages whose version can move a figure.
PACKAGES = (
    "usbench",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchvision",
    "monai",
    "timm",
    "transformers",
    "segment-anything",
    "scikit-image",
    "umap-learn",
    "av",
    "pillow",
    "pydicom",
)


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can move a figure, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return processor, operating system and number of cores; nothing that names a person or host."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def revision() -> str:
    """Return the git revision of the code, with ``+`` when files differ from it; empty outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", "*.py")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def typed_command() -> str:
    """Return the command typed, or ``usbench.run`` when called from Python; paths of this machine are left out."""
    if Path(sys.argv[0]).name != "usbench":
        return "usbench.run(...)"
    words: list[str] = []
    hide = False
    for word in sys.argv[1:]:
        option, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            words.append(f"{option}={'PATH' if option in _PATHS else _without_folder(value)}")
        else:
            words.append("PATH" if hide else _without_folder(word))
        hide = word in _PATHS
    return shlex.join(["usbench", *words])


# Options whose value is a place and nothing else.
_PATHS = ("--data-root", "--results", "--cache", "--weights", "--out", "--address")


def _without_folder(word: str) -> str:
    """Return a word that names a file, perhaps with what follows a colon, as that file's name alone."""
    prefix, colon, rest = word.partition(":")
    if colon and rest and prefix.isidentifier() and len(prefix) > 1 and _is_place(rest):  # precomputed:/home/me/vectors
        return f"{prefix}:{_without_folder(rest)}"
    return re.split(r"[\\/]", word.rstrip("\\/"))[-1] if _is_place(word) else word


def _is_place(text: str) -> bool:
    if not re.search(r"[\\/]", text) or "://" in text:
        return False
    file = re.sub(r"(\.py):\w+$", r"\1", text)
    return (
        text[0] in "~./\\"
        or text[1:3] in (":\\", ":/")
        or Path(file).exists()
        or file.endswith((".py", ".csv", ".toml"))
    )

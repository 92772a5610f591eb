"""Check that a tag, the package, the citation and the changelog name one version, and print its notes.

Usage: ``python .ci/release_notes.py v0.1.0 > notes.md``
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(tag: str) -> int:
    """Print the changelog's section of a version.

    Args:
        tag: The version's tag, such as ``v0.1.0``.

    Returns:
        0, or 1 when something names another version.
    """
    version = tag.removeprefix("v")
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.M)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changes, flags=re.M | re.S)
    faults = []
    if packaged != version:
        faults.append(f"pyproject.toml has version {packaged}")
    if cited is None or cited[1] != version:
        faults.append(f"CITATION.cff has version {cited[1] if cited else '(none)'}")
    if section is None:
        faults.append(f"CHANGELOG.md has no section '## {version}'")
    for fault in faults:
        print(f"error: the tag is {tag}, but {fault}.", file=sys.stderr)
    if section is None or faults:
        return 1
    print(section[1].strip())
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python .ci/release_notes.py TAG")
    sys.exit(main(sys.argv[1]))

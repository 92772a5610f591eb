"""Which files a Python file runs with: the modules it imports from a folder, found by reading and not by running it.

Imports inside functions count, as a network is often built by a helper that is imported late. A file that imports by a
computed name could take any module, so then all of the folder count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = tuple(importlib.machinery.all_suffixes())
_COMPUTED = frozenset(
    ("import_module", "__import__", "spec_from_file_location", "run_path", "run_module", "exec", "eval")
)
_MOST_FILES = 2000


@dataclass(frozen=True)
class Closure:
    """What a file imports.

    Attributes:
        modules: File of each module of the folder, by the name under which it is imported; folders without
            ``__init__.py`` are named too. Without the file itself.
        external: First names of all other modules that are imported.
    """

    modules: dict[str, Path]
    external: frozenset[str]

    def files(self) -> list[Path]:
        """Return the files of the modules, sorted."""
        return sorted({path for path in self.modules.values() if path.is_file()})


def closure_of(path: Path, folder: Path | None = None) -> Closure:
    """Find what a file imports from a folder, directly and through its helpers.

    Args:
        path: The file.
        folder: Where its modules lie; its own folder by default.
    """
    folder = (folder or path.parent).resolve()
    modules: dict[str, Path] = {}
    external: set[str] = set()
    seen: set[Path] = set()
    todo: list[tuple[Path, str]] = [(path.resolve(), "")]
    while todo:
        file, package = todo.pop()
        if file in seen or file.suffix != ".py":
            continue
        seen.add(file)
        tree = _parsed(file)
        if tree is None:
            continue
        names = set(_imported(tree, package))
        if _imports_by_computed_name(tree):
            names |= set(_all_names(folder))
        for name in names:
            found = _resolved(name, folder)
            if not found:
                external.add(name.partition(".")[0])
            for inner, where in found.items():
                if where.resolve() == path.resolve():
                    continue
                modules[inner] = where
                is_package = where.name == "__init__.py"
                todo.append((where.resolve(), inner if is_package else inner.rpartition(".")[0]))
    return Closure(dict(sorted(modules.items())), frozenset(external))


def digest_of(path: Path, closure: Closure) -> str:
    """Return the SHA-256 of a file, and of what it imports from its folder where it imports something."""
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    files = closure.files()
    if not files:
        return own
    folder = path.resolve().parent
    parts = [own]
    for file in files:
        name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
        parts.append(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return None  # the import will say so


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the full name of everything that could be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
                base = ".".join([*above, *([base] if base else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names if alias.name != "*")


def _imports_by_computed_name(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in _COMPUTED and not (isinstance(function, ast.Attribute) and name in ("exec", "eval")):
                return True
    return False


def _resolved(name: str, folder: Path) -> dict[str, Path]:
    """Return the files behind a dotted name and the packages around it, as far as they lie in the folder."""
    found: dict[str, Path] = {}
    parts = name.split(".")
    if parts[0] in sys.stdlib_module_names or not all(part.isidentifier() for part in parts):
        return found
    place = folder
    for count, part in enumerate(parts, start=1):
        inner = ".".join(parts[:count])
        package = place / part / "__init__.py"
        single = next(
            (place / f"{part}{suffix}" for suffix in _SUFFIXES if (place / f"{part}{suffix}").is_file()), None
        )
        if package.is_file():
            found[inner] = package
        elif single is not None:
            found[inner] = single
            break
        elif (place / part).is_dir() and any((place / part).rglob("*.py")):
            found[inner] = place / part
        else:
            break
        place = place / part
    return found


def _all_names(folder: Path) -> Iterator[str]:
    for number, file in enumerate(sorted(folder.rglob("*.py"))):
        if number >= _MOST_FILES:
            return
        parts = list(file.relative_to(folder).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() for part in parts):
            yield ".".join(parts)

"""Importing a Python file by its path, with its helpers beside it.

A plugin's folder can be imported from, as if the plugin were a script. Its helpers are found by
:mod:`usbench.core.source_closure`, enter its digest, and are loaded from source each time something changed: Python's
own cache of compiled files goes by the second, and would run yesterday's helper under today's digest.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType

from usbench.core.source_closure import closure_of, digest_of
from usbench.errors import UsbenchError


class _FromSource(importlib.machinery.SourceFileLoader):
    """Compiles from source, whatever lies in ``__pycache__``."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Helpers(MetaPathFinder):
    """Finds the helpers of the plugin that is being imported or built."""

    def __init__(self) -> None:
        self.modules: dict[str, Path] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        where = self.modules.get(fullname)
        if where is None:
            return None
        if where.is_dir():
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(where)]
            return spec
        return importlib.util.spec_from_file_location(
            fullname,
            where,
            loader=_FromSource(fullname, str(where)) if where.suffix == ".py" else None,
            submodule_search_locations=[str(where.parent)] if where.name == "__init__.py" else None,
        )


_HELPERS = _Helpers()
# Helpers that were imported: their file and the digest of the plugin they were imported for, by name.
_imported: dict[str, tuple[Path, str]] = {}


def import_file(path: Path, kind: str = "plugin") -> tuple[ModuleType, str]:
    """Import a Python file under a name derived from its content and that of its helpers.

    Args:
        path: The file.
        kind: Noun for the message when the import fails.

    Returns:
        The module, and the SHA-256 of the file and the modules of its folder that it imports.

    Raises:
        UsbenchError: The file raises while it is imported.
    """
    path = path.resolve()
    closure = closure_of(path)
    digest = digest_of(path, closure)
    # The place is part of the name: two folders may hold the same plugin, whose helpers part ways later.
    place = hashlib.sha256(str(path).encode()).hexdigest()
    module_name = f"usbench_local_{path.stem}_{digest[:12]}{place[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name], digest
    activate(closure.modules, digest)
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_FromSource(module_name, str(path)))
    if spec is None or spec.loader is None:
        raise UsbenchError(f"{path}: cannot be imported as a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except UsbenchError:
        del sys.modules[module_name]
        raise
    except Exception as error:  # a plugin can fail in any way while it is imported
        del sys.modules[module_name]
        line = _line_in(path, error)
        raise UsbenchError(f"{kind} file {path}{line}: {type(error).__name__}: {error}") from error
    module.__dict__["__usbench_activate__"] = partial(activate, closure.modules, digest)
    return module, digest


def activate(modules: dict[str, Path], digest: str) -> None:
    """Let imports find the helpers of a plugin, and forget those of the same names that belong to another.

    Args:
        modules: File of each helper by name.
        digest: Digest of the plugin and its helpers.
    """
    if _HELPERS not in sys.meta_path:
        sys.meta_path.insert(0, _HELPERS)
    _HELPERS.modules = modules
    for name, where in modules.items():
        if name in _imported and _imported[name] != (where, digest):
            sys.modules.pop(name, None)
        _imported[name] = (where, digest)


def _line_in(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno and Path(error.filename or path).resolve() == path:
        return f", line {error.lineno}"
    if isinstance(error, SyntaxError):
        return f", in {error.filename}, line {error.lineno}"
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line

"""One registry for encoders, tasks and datasets, filled in three tiers and loaded on first use.

1. *Bundled*: the packages ``usbench_encoders`` and ``usbench_tasks`` carry a ``CATALOG``-like mapping from
names to
   ``"module:attribute"``. Listing names imports no module behind them.
2. *Installed*: any distribution that declares entry points in the groups ``usbench.encoders``,
``usbench.tasks`` or
   ``usbench.datasets``.
3. *Local*: ``path/to/file.py:Name``, for work in progress.

A name that ends in a colon in tier 1 or 2 (``timm:``) is a *family*: ``timm:vit_small_patch16_224``
resolves to the family's object and the rest of the name is handed on as its argument.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from usbench.core.limits import is_regular
from usbench.errors import NameClashError, UnknownNameError, UsbenchError, did_you_mean
from usbench.plugins.local_files import import_file

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Where a name comes from.

    Attributes:
        target: ``"module:attribute"``.
        origin: ``bundled``, or the name of the distribution that declares it.
    """

    target: str
    origin: str


@dataclass(frozen=True)
class Found(Generic[T]):
    """A resolved name.

    Attributes:
        name: The name asked for.
        value: The object behind it.
        argument: What follows the colon for families such as ``timm:``, otherwise empty.
        source_digest: SHA-256 of the file for local plugins, and of the modules of its folder that it imports,
            otherwise empty; it enters the identity of embeddings, because a file being edited has no version.
        activate: For local plugins: lets imports find the modules of the plugin's folder.
    """

    name: str
    value: T
    argument: str = ""
    source_digest: str = ""
    activate: Callable[[], None] | None = None


class Registry(Generic[T]):
    """Names of one kind of plugin, resolved lazily.

    Args:
        kind: Singular noun for messages, such as ``encoder``.
        catalog: ``"module:attribute"`` of the bundled mapping.
        group: Entry-point group of installed plugins.
        accepts: Whether a loaded object is of the right kind.
        expected: What it has to be, for the message when it is not.
        read_file: Reads a declaration from a file of a package, where targets may be ``module:folder/name.toml``.
    """

    def __init__(
        self,
        kind: str,
        catalog: str,
        group: str,
        accepts: Callable[[object], bool],
        expected: str,
        read_file: Callable[[Path], T] | None = None,
    ) -> None:
        self.kind = kind
        self._catalog = catalog
        self._group = group
        self._accepts = accepts
        self._expected = expected
        self._read_file = read_file

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every bundled and installed name.

        Raises:
            NameClashError: Two plugins claim one name.
        """
        found = {name: Source(target, "bundled") for name, target in self._bundled().items()}
        for point in importlib.metadata.entry_points(group=self._group):
            origin = point.dist.name if point.dist else "an installed package"
            new = Source(point.value, origin)
            old = found.get(point.name)
            if old and old.target != new.target:
                raise NameClashError(
                    f"two {self.kind}s are called {point.name!r}: {old.target} ({old.origin}) and {new.target} "
                    f"({new.origin}). Rename one, or uninstall {new.origin}."
                )
            found[point.name] = new
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """Return all bundled and installed names, sorted; families end in a colon."""
        return list(self.sources)

    def bundled(self) -> list[str]:
        """Return the names that come with the program, families such as ``timm:`` left out."""
        return [n for n, source in self.sources.items() if source.origin == "bundled" and not n.endswith(":")]

    def family(self, name: str) -> T:
        """Return the object behind a family such as ``timm:``, for describing it."""
        return self._load(name, self.sources[name].target)

    def get(self, name: str) -> Found[T]:
        """Resolve a name of any tier.

        Args:
            name: Registered name, ``family:argument``, or ``path/file.py:Name``.

        Raises:
            UnknownNameError: No tier knows the name; the message suggests close ones.
            UsbenchError: The plugin cannot be imported, or is not of the right kind.
        """
        if name in self.sources and not name.endswith(":"):
            return Found(name, self._load(name, self.sources[name].target))
        family, separator, argument = name.partition(":")
        if separator and f"{family}:" in self.sources:
            if not argument:
                raise UnknownNameError(
                    f"{self.kind} {name!r}: write what follows the colon, for example {family}:NAME."
                )
            return Found(name, self._load(name, self.sources[f"{family}:"].target), argument)
        path, separator, attribute = name.rpartition(":")
        if separator and path.endswith(".py"):
            return self._local(name, Path(path).expanduser(), attribute)
        if name.endswith(".py"):
            raise UnknownNameError(self._without_class(name, Path(name).expanduser()))
        hint = did_you_mean(name, self.sources)
        raise UnknownNameError(f"unknown {self.kind} {name!r}.{hint} `usbench list {self.kind}s` shows all.")

    def _bundled(self) -> dict[str, str]:
        module, _, attribute = self._catalog.partition(":")
        mapping: dict[str, str] = getattr(importlib.import_module(module), attribute)
        return mapping

    def _load(self, name: str, target: str) -> T:
        module_name, _, attribute = target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except UsbenchError:
            raise
        except Exception as error:  # a plugin can fail in any way while it is imported
            raise UsbenchError(
                f"{self.kind} {name!r}: importing {module_name} failed: {type(error).__name__}: {error}"
            ) from error
        if self._read_file is not None and attribute.endswith(".toml"):
            with importlib.resources.as_file(importlib.resources.files(module) / attribute) as path:
                return self._read_file(path)
        return self._attribute(name, module, attribute, module_name)

    def _local(self, name: str, path: Path, attribute: str) -> Found[T]:
        if not is_regular(path):
            raise UnknownNameError(f"{self.kind} {name!r}: no such file {path}.")
        module, digest = import_file(path, self.kind)
        value = self._attribute(name, module, attribute, str(path))
        return Found(name, value, "", digest, vars(module).get("__usbench_activate__"))

    def _without_class(self, name: str, path: Path) -> str:
        """Say how a file is to be named, with what it defines."""
        if not is_regular(path):
            return f"{self.kind} {name!r}: no such file {path}."
        module, _ = import_file(path, self.kind)
        defined = self._defined(module)
        if not defined:
            return f"{self.kind} {name!r}: it defines nothing that is {self._expected}."
        return f"{self.kind} {name!r}: say which of its names is meant: {', '.join(f'{name}:{d}' for d in defined)}."

    def _defined(self, module: ModuleType) -> list[str]:
        return [
            key
            for key, item in vars(module).items()
            if self._accepts(item) and getattr(item, "__module__", module.__name__) == module.__name__
        ]

    def _attribute(self, name: str, module: ModuleType, attribute: str, where: str) -> T:
        value = getattr(module, attribute, None)
        if value is None:
            candidates = self._defined(module)
            hint = f" It defines {', '.join(candidates)}." if candidates else ""
            if candidates and where.endswith(".py"):
                hint += f" Write {where}:{candidates[0]}."
            raise UnknownNameError(f"{self.kind} {name!r}: {where} has no {attribute!r}.{hint}")
        if not self._accepts(value):
            raise UsbenchError(f"{self.kind} {name!r}: {attribute} in {where} is not {self._expected}.")
        return value  # type: ignore[no-any-return]

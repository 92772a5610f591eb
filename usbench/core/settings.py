"""Where data, weights, embeddings and results lie.

Every place can be set, in order of precedence, by an argument (``--data-root``), by an environment variable, or
in the configuration file ``config.toml``::

    [paths]
    data = ["/mnt/ultrasound"]     # USBENCH_DATA_ROOT   folders in which data sets are found by name
    weights = "/mnt/weights"       # USBENCH_WEIGHTS     folder of weight files
    cache = "/scratch/usbench"     # USBENCH_CACHE       embeddings and simulated phantoms
    store = "s3://bucket/usbench"  # USBENCH_STORE       embeddings alone, at an address or in another folder

    [data]                         # written by `usbench data add`
    eye_hemorrhage = "/mnt/eye/manifest.csv"

    [weights]                      # written by `usbench weights add`
    medsam = "/mnt/weights/medsam_vit_b.pth"

The file itself is ``USBENCH_CONFIG`` or the platform's usual place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from usbench.core.documents import read_toml
from usbench.errors import UsbenchError

DEFAULT_RESULTS = Path("runs") / "results"
"""Where results of runs go, relative to the working folder, unless a command is told otherwise."""

BOARD_RESULTS = Path("leaderboards") / "results"
"""Where the results of the public board lie in a clone; runs enter it by `usbench results add` or when it is named."""


@dataclass(frozen=True)
class Settings:
    """Resolved places.

    Attributes:
        config_file: The configuration file, which need not exist.
        data_roots: Folders searched for datasets, first match wins.
        weights_dir: Folder searched for weight files, and where downloads go.
        cache_dir: Root of the embedding store, unless that has a place of its own, and of simulated phantoms.
        data: Registered datasets and manifests: name to folder or manifest.
        weights: Registered weights: encoder name to file.
        store: Address or folder of the embedding store, when it is not below ``cache_dir``.
    """

    config_file: Path
    data_roots: tuple[Path, ...]
    weights_dir: Path
    cache_dir: Path
    data: dict[str, Path] = field(default_factory=dict)
    weights: dict[str, Path] = field(default_factory=dict)
    store: str | None = None

    @property
    def store_dir(self) -> Path:
        """Root of the embedding store; at an address, something that is used like a path.

        Raises:
            StoreError: The address cannot be used.
        """
        if self.store is not None:
            from usbench.core.object_store import is_address, open_address

            return open_address(self.store) if is_address(self.store) else Path(self.store).expanduser()
        return self.cache_dir / "embeddings"

    @property
    def download_dir(self) -> Path:
        """Where downloaded datasets go, a folder for each: they are large, and no cache that may be emptied."""
        return Path(platformdirs.user_data_dir("usbench")) / "data"

    @property
    def phantom_dir(self) -> Path:
        """Where simulated phantoms are kept once made."""
        return self.cache_dir / "phantoms"


def config_path() -> Path:
    """Return the configuration file in use; it need not exist."""
    named = os.environ.get("USBENCH_CONFIG")
    return Path(named).expanduser() if named else Path(platformdirs.user_config_dir("usbench")) / "config.toml"


def read_config(path: Path) -> dict[str, Any]:
    """Parse the configuration file, or return an empty mapping when there is none.

    Raises:
        UsbenchError: The file is not valid TOML or cannot be read.
    """
    try:
        return read_toml(path)
    except FileNotFoundError:
        return {}


def load_settings(
    data_roots: Iterable[Path | str] = (), cache_dir: Path | None = None, store: str | None = None
) -> Settings:
    """Resolve all places from arguments, environment and configuration file.

    Args:
        data_roots: Folders to search before any configured one.
        cache_dir: Overrides environment and configuration.
        store: Overrides environment and configuration.

    Raises:
        UsbenchError: The configuration file is malformed, or a data root given here does not exist.
    """
    path = config_path()
    config = read_config(path)
    paths = _table(config, "paths", path)
    roots: list[Path] = []
    for root in data_roots:
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise UsbenchError(f"--data-root {root}: no such folder. Give the folder that holds the dataset folders.")
        roots.append(folder)
    if named := os.environ.get("USBENCH_DATA_ROOT"):
        roots += [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    configured = paths.get("data", [])
    if not isinstance(configured, str | list) or not all(isinstance(r, str) for r in configured):
        raise UsbenchError(f"{path}: [paths] data must be a path or a list of paths, not {configured!r:.60}.")
    roots += [Path(r).expanduser() for r in ([configured] if isinstance(configured, str) else configured)]
    weights = os.environ.get("USBENCH_WEIGHTS") or _path_text(paths, "weights", path)
    elsewhere = os.environ.get("USBENCH_STORE") or _path_text(paths, "store", path)
    cache = cache_dir or os.environ.get("USBENCH_CACHE") or _path_text(paths, "cache", path)
    return Settings(
        config_file=path,
        data_roots=tuple(roots),
        weights_dir=_folder(weights, Path(platformdirs.user_data_dir("usbench")) / "weights"),
        cache_dir=_folder(cache, Path(platformdirs.user_cache_dir("usbench"))),
        data=_registered(config, "data", path),
        weights=_registered(config, "weights", path),
        # A cache that is named on the command line is meant to hold everything.
        store=store or (None if cache_dir is not None else elsewhere),
    )


def register(section: str, name: str, location: Path) -> Path:
    """Write ``name = location`` into a section of the configuration file, keeping its comments.

    Args:
        section: ``"data"`` or ``"weights"``.
        name: Dataset, task or encoder name.
        location: Folder or file; stored as an absolute path.

    Returns:
        The configuration file written.

    Raises:
        UsbenchError: The file cannot be written.
    """
    import tomlkit

    from usbench.core.atomic_files import atomic_write
    from usbench.core.locks import one_at_a_time

    path = config_path()
    with one_at_a_time(path.with_name(f".{path.name}.lock")):  # or what another process adds meanwhile would be lost
        _table(read_config(path), section, path)  # a malformed file is reported, never overwritten
        document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
        if section not in document:
            document.add(section, tomlkit.table())
        table: Any = document[section]
        table[name] = str(location.expanduser().resolve())
        atomic_write(path, tomlkit.dumps(document).encode())
    return path


def _table(config: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = config.get(name, {})
    if not isinstance(table, dict):
        raise UsbenchError(f"{path}: [{name}] must be a table of names and paths.")
    return table


def _registered(config: dict[str, Any], section: str, path: Path) -> dict[str, Path]:
    table = _table(config, section, path)
    return {name: Path(str(_path_text(table, name, path, section))).expanduser() for name in table}


def _path_text(table: dict[str, Any], name: str, path: Path, section: str = "paths") -> str | None:
    """Return a path from a table of the configuration file, ``None`` where there is none."""
    value = table.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise UsbenchError(f"{path}: [{section}] {name} must be a path in quotes, not {value!r:.60}.")
    return value


def _folder(value: str | Path | None, default: Path) -> Path:
    return Path(value).expanduser() if value else default

"""Finding the folder of a dataset by its name, and falling back openly when it is not there.

Order of precedence: registered by ``usbench data add``; a folder of the dataset's name under a data root; then, when
a task allows it, the embedded subset of real data; then its synthetic twin. What was used is part of the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from usbench.core.settings import Settings, load_settings
from usbench.data.dataset import Dataset
from usbench.data.label_table import is_table
from usbench.errors import DataError
from usbench.plugins.catalog import DATASETS
from usbench.task.task import Task
from usbench.task.transfer import Transfer

Provision = Literal["full", "own", "subset", "phantom"]


@dataclass(frozen=True)
class Located:
    """The dataset that answers a task.

    Attributes:
        dataset: Ready to be indexed.
        provision: ``full`` for the dataset the task asks for, ``own`` for a manifest of the user's, ``subset`` for the
            embedded real subset, ``phantom`` for the synthetic twin.
    """

    dataset: Dataset
    provision: Provision


def dataset_root(name: str, settings: Settings) -> Path | None:
    """Return where a dataset lies, or ``None`` when it is not found.

    Args:
        name: Dataset name.
        settings: Registered places and data roots.
    """
    if name in settings.data:
        return settings.data[name]
    kind = DATASETS.get(name).value
    embedded = kind.embedded_root(settings)
    if embedded is not None:
        return embedded
    for data_root in settings.data_roots:
        for folder in (name, name.replace("-", "_"), *kind.card.folders):
            candidate = data_root / folder
            if candidate.exists() and kind.recognises(candidate):
                return candidate
        if data_root.name in (name, name.replace("-", "_"), *kind.card.folders) and kind.recognises(data_root):
            return data_root
    return None


def load_dataset(name: str, root: str | Path | None = None, settings: Settings | None = None) -> Dataset:
    """Return a dataset by name.

    Args:
        name: Registered dataset name, or the path of a manifest (``.csv``, ``.tsv``, ``.parquet``).
        root: Its folder, when it is not to be searched for.
        settings: Places to search; the configured ones by default.

    Raises:
        UnknownNameError: No such dataset.
        DataError: The folder is not found.
    """
    settings = settings or load_settings()
    if is_table(name):
        return _manifest(Path(name))
    registered = settings.data.get(name)
    if root is None and registered is not None and _is_manifest(registered) and not _declared_manifest(name):
        return _manifest(registered, name)
    kind = DATASETS.get(name).value
    found = Path(root) if root is not None else dataset_root(name, settings)
    if found is None:
        searched = ", ".join(map(str, settings.data_roots)) or "no data root is set"
        get = f" Get it from {kind.card.url}, then" if kind.card.url else " Then"
        raise DataError(
            f"dataset {name!r} not found (searched: {searched}).{get} "
            f"`usbench data add {name} FOLDER`, or give --data-root."
        )
    return kind.at(found, settings)


def dataset_for(task: Task, settings: Settings, data: str | None = None) -> Located:
    """Choose the dataset that answers a task.

    Args:
        task: The task.
        settings: Places to search.
        data: ``None`` to search, ``phantom`` for the twin, ``subset`` for the embedded subset, the path of a
            manifest or dataset folder, or a dataset's name (registered, or ``file.py:Name``).

    Raises:
        DataError: Nothing is found, or the task has no twin or subset.
    """
    if task.transfer is not None:
        return _pair(task, task.transfer, settings, data)
    if data == "phantom":
        if task.twin is None:
            raise DataError(f"task {task.name!r} has no phantom twin. Leave --data out, or give a manifest.")
        return Located(load_dataset(task.twin, settings=settings), "phantom")
    if data == "subset":
        if task.fallback is None:
            raise DataError(f"task {task.name!r} has no embedded subset. Leave --data out, or give a manifest.")
        return Located(load_dataset(task.fallback, settings=settings), "subset")
    if data is not None:
        path = Path(data).expanduser()
        if path.exists():
            return Located(_own(path, task, settings), "own")
        if ".py:" in data or data in DATASETS.names():
            return Located(load_dataset(data, settings=settings), "full" if data == task.dataset else "own")
        raise DataError(
            f"--data {data}: no such file, folder or dataset. Give a manifest, a dataset's folder or name, 'subset' or "
            "'phantom'."
        )
    for key in (task.name, task.dataset):
        registered = settings.data.get(key)
        if registered is not None and _is_manifest(registered):
            kind = _declared_manifest(task.dataset)
            return Located(kind(registered) if kind else _manifest(registered, key), "own")
    if task.dataset in DATASETS.names() and dataset_root(task.dataset, settings) is not None:
        provision: Provision = "own" if _declared_manifest(task.dataset) else "full"
        return Located(load_dataset(task.dataset, settings=settings), provision)
    if task.fallback is not None:
        return Located(load_dataset(task.fallback, settings=settings), "subset")
    if task.twin is not None and _declared_manifest(task.dataset):
        # Nobody can download these data, so the twin is all there is; a published set is asked for by name instead.
        return Located(load_dataset(task.twin, settings=settings), "phantom")
    if is_table(task.dataset):
        return Located(_manifest(Path(task.dataset)), "own")
    try:
        return Located(load_dataset(task.dataset, settings=settings), "full")
    except DataError as error:  # it says where to get the data
        if task.twin is None:
            raise
        raise DataError(f"{error} To try the task on simulated data instead: --data phantom.") from None


def _pair(task: Task, transfer: Transfer, settings: Settings, data: str | None) -> Located:
    """Locate both datasets of a task that is trained on one and tested on the other."""
    from usbench.data.transfer import Part, TransferDataset

    if data not in (None, "subset"):
        raise DataError(
            f"task {task.name!r} takes its data from `train` and `test`; --data {data} has no meaning for it. Leave it "
            "out, say --data subset for embedded copies, or declare a task of your own."
        )
    parts, provisions = [], []
    for side in (transfer.train, transfer.test):
        alone = replace(task, name="", dataset=side.dataset, fallback=side.fallback, twin=None, transfer=None)
        # Where one side has no smaller copy, such as an embedded set of its own, it is taken whole.
        located = dataset_for(alone, settings, data if side.fallback is not None else None)
        parts.append(Part(located.dataset, side.target or task.target, dict(side.labels)))
        provisions.append(located.provision)
    classes = task.kind != "regression"
    joined = TransferDataset(parts[0], parts[1], task.target, classes, transfer.local_subjects)
    order: tuple[Provision, ...] = ("phantom", "subset", "own", "full")
    return Located(joined, next(p for p in order if p in provisions))


def where_is(name: str, settings: Settings) -> str | None:
    """Say where a dataset would come from, without building anything; ``None`` when it is not found.

    Args:
        name: Dataset name.
        settings: Places to search.
    """
    kind = DATASETS.get(name).value
    if kind.card.synthetic:
        return "simulated on first use"
    if name not in settings.data and kind.embedded_root(settings) is not None:
        return "embedded"
    found = dataset_root(name, settings)
    return str(found) if found is not None else None


def provision_of(task: Task, settings: Settings) -> str:
    """Say in one word or two what data a task would run on now, without building anything.

    Args:
        task: The task.
        settings: Places to search.
    """
    if task.transfer is not None:
        sides = (task.transfer.train, task.transfer.test)
        found = [
            provision_of(
                replace(task, name="", dataset=s.dataset, fallback=s.fallback, twin=None, transfer=None), settings
            )
            for s in sides
        ]
        return next((word for word in ("no data", "embedded subset", "your manifest") if word in found), "found")
    if any(key in settings.data and _is_manifest(settings.data[key]) for key in (task.name, task.dataset)):
        return "your manifest"
    if task.dataset in DATASETS.names() and where_is(task.dataset, settings) is not None:
        return "found"
    if task.fallback is not None:
        return "embedded subset"
    if is_table(task.dataset) and Path(task.dataset).is_file():
        return "your manifest"
    if task.twin is None:
        return "no data"
    return "phantom only" if _declared_manifest(task.dataset) else "no data; phantom on request"


def _declared_manifest(name: str) -> type[Dataset] | None:
    """Return the class of a dataset that is declared to be a table which users bring, such as ``eye-hemorrhage``."""
    from usbench.data.manifest import ManifestDataset

    kind = DATASETS.get(name).value if name in DATASETS.names() else None
    return kind if kind is not None and issubclass(kind, ManifestDataset) and not kind.card.synthetic else None


def _own(path: Path, task: Task, settings: Settings) -> Dataset:
    if _is_manifest(path) or task.dataset not in DATASETS.names():
        return _manifest(path)
    return DATASETS.get(task.dataset).value.at(path, settings)


def _is_manifest(path: Path) -> bool:
    return is_table(path)


def _manifest(path: Path, name: str | None = None) -> Dataset:
    from usbench.data.manifest import ManifestDataset

    return ManifestDataset(path, name=name)


def data_named(name: str, settings: Settings) -> Dataset:
    """Return the data that a name or path stands for.

    Args:
        name: A dataset, a manifest (``.csv``, ``.tsv`` or ``.parquet``), a folder with a manifest in it, or a folder
            of pictures and videos.
        settings: Places to search.

    Raises:
        UsbenchError: There is no such dataset, file or folder.
    """
    from usbench.data.image_folder import PictureFolder
    from usbench.data.manifest import ManifestDataset

    if name in DATASETS.names() or name in settings.data or is_table(name):
        return load_dataset(name, settings=settings)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ManifestDataset(folder) if ManifestDataset.recognises(folder) else PictureFolder(folder)
    if folder.exists():
        raise DataError(f"--data {name}: is a single file. Give its folder, a manifest or the name of a dataset.")
    return load_dataset(name, settings=settings)  # raises, with the names that come close

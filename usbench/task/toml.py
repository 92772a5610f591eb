"""A task of one's own, declared in TOML.

::

    name = "thyroid"
    title = "Thyroid nodule: malignant or benign"
    dataset = "thyroid/manifest.csv"     # a manifest beside this file, or the name of a dataset
    target = "label"
    positive = "1"
    unit = "subject"
    frames = "random:20"                 # all, random:N, linspace:N, between:N

    [split]
    kind = "grouped"                     # grouped, official, leave-one-out, fixed
    folds = 5

Keys are the fields of :class:`usbench.Task`; ``threshold`` is a number, or a list where several are clinical. Only
``dataset`` and ``target`` are required. Instead of ``dataset``, a task may be trained on one dataset and tested on
another::

    train = "bus-bra"
    test = { dataset = "clinic.csv", target = "label", labels = { "1" = "malignant", "0" = "benign" } }
    target = "pathology"
    positive = "malignant"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from usbench.core.documents import read_toml
from usbench.core.names import LONGEST_TITLE, as_name, column_fault, name_fault
from usbench.data.frame_sampling import parse_policy
from usbench.data.label_table import SUFFIXES
from usbench.errors import UsbenchError, did_you_mean
from usbench.probes.facts import protocol_facts
from usbench.task.kinds import KINDS
from usbench.task.slots import Slots
from usbench.task.task import Kind, SplitKind, SplitPlan, Task, Unit
from usbench.task.transfer import Side, Transfer

LARGEST_THRESHOLD = 1e9
_CHOICES: Mapping[str, tuple[str, ...]] = {"kind": get_args(Kind), "unit": get_args(Unit)}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "positive": (str, int),
    "units_per_class": int,
    "protocols": list,
    "strata": list,
    "order": list,
    "not_pretrained_on": bool,
}


# Folds, and draws of them: more than anybody can wait for.
_MOST = 10_000


def read_task_file(path: Path) -> Task:
    """Read a task from a TOML file.

    Args:
        path: The file. A manifest named in it is looked for beside the file.

    Returns:
        The task; named like the file when it gives no name.

    Raises:
        UsbenchError: The file is absent or not TOML, a key is unknown or missing, or a value is of the wrong kind;
            the message names the file and the key.
    """
    try:
        given = read_toml(path)
    except FileNotFoundError:
        raise UsbenchError(f"{path}: no such task file.") from None
    known = [field.name for field in dataclasses.fields(Task) if field.name not in ("transfer", "further_thresholds")]
    _refuse_unknown(given, [*known, "train", "test", "local_subjects"], str(path))
    given = _two_datasets(given, path)
    for key in ("dataset", "target"):
        if key not in given:
            raise UsbenchError(f'{path}: {key!r} is missing. Add for example {key} = "{_EXAMPLE[key]}".')
    fields: dict[str, Any] = {"name": as_name(path.stem), "title": given.get("name", path.stem)}
    for key, value in given.items():
        fields[key] = _value(key, value, path)
    if "threshold" in fields:
        fields["threshold"], *further = fields["threshold"]
        fields.update({"further_thresholds": tuple(further)} if further else {})
    fields.setdefault("protocols", _protocols(fields))
    try:
        return Task(**fields)
    except UsbenchError as error:
        raise UsbenchError(f"{path}: {error}") from None


def _protocols(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the protocols of a task that names none: those of its kind.

    The paper's tunes on what it scores. Where a test set is kept aside for one answer, that would spend it, so that it
    has to be asked for.
    """
    usual = KINDS[fields.get("kind", "binary")].protocols
    split = fields.get("split")
    if not isinstance(split, SplitPlan) or split.kind != "fixed":
        return usual
    return tuple(name for name in usual if not protocol_facts(name).from_paper)


_TOLD: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    list: "a list",
    (str, int): "text or a whole number",
}
_EXAMPLE = {"dataset": "manifest.csv", "target": "label"}


def _two_datasets(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Replace ``train`` and ``test`` by the pair of datasets they stand for."""
    pair = {key: given[key] for key in ("train", "test") if key in given}
    rest = {key: value for key, value in given.items() if key not in ("train", "test", "local_subjects")}
    local = given.get("local_subjects", False)
    if not pair:
        if "local_subjects" in given:
            raise UsbenchError(f"{path}: local_subjects has a meaning with `train` and `test` only.")
        return rest
    if len(pair) == 1 or "dataset" in given:
        raise UsbenchError(f"{path}: give either `dataset`, or both `train` and `test`.")
    if not isinstance(local, bool):
        raise UsbenchError(f"{path}: local_subjects is true or false, not {local!r}.")
    if rest.setdefault("split", "fixed") != "fixed":
        raise UsbenchError(f"{path}: `train` and `test` are the split. Remove `split`.")
    try:
        sides = {key: Side.from_toml(value, key, path.parent) for key, value in pair.items()}
    except UsbenchError as error:
        raise UsbenchError(f"{path}: {error}") from None
    transfer = Transfer(sides["train"], sides["test"], local)
    return {**rest, "dataset": transfer.name, "transfer": transfer}


def _value(key: str, value: Any, path: Path) -> Any:
    if key == "transfer":
        return value
    if key == "split":
        return _split(value, path)
    if key == "slots":
        return _slots(value, path)
    if key == "threshold":
        return _thresholds(value, path)
    if key == "not_pretrained_on":
        if not isinstance(value, bool):
            raise UsbenchError(f"{path}: not_pretrained_on is true or false, not {value!r}.")
        return value
    if key == "source":
        return _source(value, path)
    expected = _TYPES.get(key, str)
    fits: bool = isinstance(value, expected) and not isinstance(value, bool)
    if not fits:
        raise UsbenchError(f"{path}: {key!r} must be {_TOLD[expected]}, not {value!r}.")
    if key in _CHOICES and value not in _CHOICES[key]:
        hint = did_you_mean(str(value), _CHOICES[key])
        raise UsbenchError(f"{path}: {key} = {value!r} is not known.{hint} Choose from {', '.join(_CHOICES[key])}.")
    if key == "name" and (fault := name_fault("task", value)):
        raise UsbenchError(f"{path}: {fault}.")
    if key == "title" and not 0 < len(value) <= LONGEST_TITLE:
        raise UsbenchError(f"{path}: 'title' must have 1 to {LONGEST_TITLE} characters, not {len(value)}.")
    if key == "strata" and isinstance(value, list):
        for column in value:
            if fault := column_fault(column):
                raise UsbenchError(f"{path}: 'strata': {fault}.")
    if key == "frames":
        try:
            return parse_policy(value)
        except UsbenchError as error:
            raise UsbenchError(f"{path}: {error}") from None
    if key == "dataset" and str(value).lower().endswith(SUFFIXES):
        return str(path.parent / value)
    if key == "positive":
        return str(value)
    if key == "units_per_class" and value < 1:
        raise UsbenchError(f"{path}: 'units_per_class' must be a whole number from 1, not {value}.")
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise UsbenchError(f"{path}: {key!r} must be a list of text, not {value!r}.")
        return tuple(value)
    return value


def _source(value: Any, path: Path) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsbenchError(f'{path}: source names a published set, such as source = "hc18", or a list, not {value!r}.')
    return tuple(name.strip().lower() for name in names)


def _split(value: Any, path: Path) -> SplitPlan:
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, dict):
        raise UsbenchError(f"{path}: 'split' must be a table or a kind, for example split = \"fixed\".")
    where = f"{path}, [split]"
    _refuse_unknown(value, [field.name for field in dataclasses.fields(SplitPlan)], where)
    kinds = get_args(SplitKind)
    kind = value.get("kind", "grouped")
    if kind not in kinds:
        hint = did_you_mean(str(kind), kinds)
        raise UsbenchError(f"{where}: kind = {kind!r} is not known.{hint} Choose from {', '.join(kinds)}.")
    for key, least in (("folds", 2), ("repeats", 1)):
        number = value.get(key, least)
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= _MOST:
            raise UsbenchError(f"{where}: {key} must be a whole number from {least} to {_MOST}, not {number!r:.40}.")
        if key in value and kind != "grouped":
            raise UsbenchError(f"{where}: {key} has no meaning for kind = {kind!r}, which fixes the folds. Remove it.")
    if kind == "official":
        value = {**value, "repeats": 1}  # the dataset has one set of folds
    if not isinstance(value.get("by", ""), str):
        raise UsbenchError(f"{where}: by must be the name of a column, not {value['by']!r}.")
    try:
        return SplitPlan(**value)
    except UsbenchError as error:
        raise UsbenchError(f"{path}: {error}") from None


def _thresholds(value: Any, path: Path) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    real = [n for n in numbers if isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < LARGEST_THRESHOLD]
    if not numbers or len(real) < len(numbers):
        raise UsbenchError(f"{path}: 'threshold' must be a finite number or a list of them, not {value!r}.")
    return tuple(float(number) for number in numbers)


def _slots(value: Any, path: Path) -> Slots:
    if not isinstance(value, dict):
        raise UsbenchError(f"{path}: 'slots' must be a table with `column` and `names`.")
    try:
        return Slots.from_table(value)
    except UsbenchError as error:
        raise UsbenchError(f"{path}: {error}") from None


def _refuse_unknown(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise UsbenchError(f"{where}: unknown key {key!r}.{did_you_mean(key, known)} Keys: {', '.join(known)}.")

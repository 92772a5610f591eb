"""Is a file a result, whole and as it was written? Seal, schema and names, looked at before anything believes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from usbench.core.names import label_fault, name_fault
from usbench.errors import ResultError

Fault = tuple[str, str]
"""Part of the file, and what is wrong with it."""

_SHOWN = 20
_SHORT = 16


def published_schema(version: int) -> dict[str, Any]:
    """Return the published JSON schema of result files.

    Args:
        version: Schema version.

    Raises:
        ResultError: There is no such version.
    """
    file = resources.files("usbench.results") / "schemas" / f"result-{version}.json"
    if not file.is_file():
        raise ResultError(f"there is no schema {version} of results.")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def digest_of(plain: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a result's content, as its ``digest`` states it.

    Args:
        plain: The result as plain data, without its digest.

    Raises:
        ValueError: It holds a number that is not finite, or text that is none.
    """
    return hashlib.sha256(dump(plain).encode()).hexdigest()


def dump(value: Any, indent: int = 0) -> str:
    """Write JSON with nested containers indented and lists of plain values on one line.

    Raises:
        ValueError: A number is not finite.
    """
    pad = " " * (indent + 1)
    if isinstance(value, dict) and value:
        items = [f"{pad}{json.dumps(str(k))}: {dump(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    if isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
        items = [f"{pad}{dump(v, indent + 1)}" for v in value]
        return "[\n" + ",\n".join(items) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def seal_fault(data: Mapping[str, Any]) -> str:
    """Say why the digest in a file is not that of its content; empty when it is.

    Args:
        data: The file as parsed, of any schema version.
    """
    stated = data.get("digest")
    if not isinstance(stated, str):
        return "it carries no digest"
    try:
        found = digest_of({key: value for key, value in data.items() if key != "digest"})
    except (ValueError, RecursionError) as error:
        return f"it has no digest ({error})"
    return "" if found == stated else "the content was changed after the result was written"


def form_faults(data: Mapping[str, Any], version: int, *, every_value: bool) -> list[Fault]:
    """Compare a file with the schema, and its names with what a name may be.

    Args:
        data: The file as parsed, of the current schema version.
        version: That version.
        every_value: Whether to look at each value of long lists. Otherwise one of each type stands for the others,
            which is fast and still tells that no list holds what its readers cannot take.

    Returns:
        What is wrong, at most 20 faults; empty when nothing is.
    """
    found_by_schema = _validator(version).iter_errors(data if every_value else _thin(data))
    errors = sorted(found_by_schema, key=lambda error: [str(part) for part in error.absolute_path])
    found = []
    for error in errors[:_SHOWN]:
        where = "/".join(str(part) for part in error.absolute_path) or "file"
        text = error.message if len(error.message) <= 200 else error.message[:197] + "..."
        found.append((where, text))
    return found or _names(data) or _labels(data) or _unique(data)


@cache
def _validator(version: int) -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(published_schema(version))


def _names(data: Mapping[str, Any]) -> list[Fault]:
    places = (("task", "task", "name"), ("dataset", "task", "dataset"), ("dataset", "dataset", "name"))
    found = []
    said = [field for field in ("name", "base", "spelling") if field in data["encoder"]]
    for kind, part, field in (*places, *(("encoder", "encoder", field) for field in said)):
        if fault := name_fault(kind, data[part][field]):
            found.append((f"{part}/{field}", fault))
    return found


def _labels(data: Mapping[str, Any]) -> list[Fault]:
    labels = {label for label in data["units"]["target"] if isinstance(label, str)}
    labels |= set(data["dataset"]["counts"].get("classes", ()))
    if isinstance(data["task"].get("positive"), str):
        labels.add(data["task"]["positive"])
    return [("units/target", fault) for label in sorted(labels) if (fault := label_fault(label))][:_SHOWN]


def _unique(data: Mapping[str, Any]) -> list[Fault]:
    ids = data["units"]["id"]
    return [] if len(set(ids)) == len(ids) else [("units/id", "two units have one name")]


def _thin(value: Any) -> Any:
    """Keep of a long list one value of each type, the smallest where they are numbers, and each kind of container."""
    if isinstance(value, dict):
        return {key: _thin(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) <= _SHORT:  # a pair is a pair: the schema may count
        return [_thin(item) for item in value]
    kept: list[Any] = []
    for kind in dict.fromkeys(map(type, value)):
        of_kind: list[Any] = [item for item in value if type(item) is kind]
        if kind in (dict, list):
            kept += {repr(thinned): thinned for thinned in map(_thin, of_kind)}.values()
        else:
            kept.append(min(of_kind) if kind in (int, float) else of_kind[0])
    return kept

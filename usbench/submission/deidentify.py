"""Preparing a result for others: what it reveals about patients, and how to hide who they are.

A result holds one line per unit: its name, its subject, its true class, strata and the predictions. Names of subjects
and units are replaced by keyed digests; the key is drawn anew for each task and dataset and kept by nobody, so that
names cannot be found again by trying all of them. To compare two encoders the units must still match, so the key
follows from a secret of the submitter, a file that never leaves their machine.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import atomic_write
from usbench.diagnostics.recompute import refreshed
from usbench.errors import ResultError
from usbench.evaluation.drop import with_drop
from usbench.results.board_folder import is_screening, why_no_board
from usbench.results.rows import spelling_of
from usbench.results.schema import Result, Units, load, result_path
from usbench.results.text import with_text

SMALL_GROUP = 5
"""Strata with fewer subjects than this are named as a risk: a rare combination can identify somebody."""

_DIGITS = 12


@dataclass(frozen=True)
class Submission:
    """A prepared result, and what it tells about patients.

    Attributes:
        result: The result as it would be published.
        path: Where it belongs below the results folder.
        reveals: One sentence for each kind of information that it holds about patients.
        risks: What the submitter should think about before publishing.
    """

    result: Result
    path: Path
    reveals: tuple[str, ...]
    risks: tuple[str, ...]


def prepare(path: Path, secret: bytes, keep_ids: bool = False, keep_strata: bool = True) -> Submission:
    """Turn a result file into one fit to be published.

    Args:
        path: The result file; it must be valid.
        secret: Secret of the submitter, from :func:`read_secret`.
        keep_ids: Whether names of subjects and units stay as they are.
        keep_strata: Whether strata, such as sex or device, stay.

    Returns:
        The prepared result; the file itself is not touched.

    Raises:
        ResultError: The file is not valid, or its precision is for screening; nothing of it should be published.
    """
    from usbench.submission.validate import validate

    findings = validate(path)
    if findings:
        raise ResultError(f"{findings[0]}. Run the task again before submitting.")
    result = _without_places(load(path))
    if is_screening(result.encoder):
        raise ResultError(f"{path}: {why_no_board(result.encoder)} and submit that.")
    if not keep_strata:
        strata = {name: found for name, found in result.instruments.items() if name not in ("strata", "shortcut")}
        result = replace(result, units=replace(result.units, strata={}), instruments=strata)
    if not keep_ids:
        result = _hidden(result, secret)
    return Submission(result, result_path(Path(), result), _reveals(result, keep_ids), _risks(result, keep_ids))


def read_secret(path: Path) -> bytes:
    """Return the submitter's secret; made on first use, readable by its owner only.

    Args:
        path: Where it is kept.

    Raises:
        ResultError: The file is there but is not a secret.
        StoreError: The file cannot be written.
    """
    if not path.exists():
        atomic_write(path, (secrets.token_hex(32) + "\n").encode(), private=True)
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read as a submission secret ({error}). Move it away.") from None
    if len(key) < 16:
        raise ResultError(f"{path}: too short for a submission secret. Move it away and a new one is made.")
    return key


def _hidden(result: Result, secret: bytes) -> Result:
    key = hmac.new(secret, f"{result.task['name']}\0{result.dataset['fingerprint']}".encode(), hashlib.sha256).digest()

    def hide(kind: str, name: str) -> str:
        return hmac.new(key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    units = result.units
    subject = [hide("subject", name) for name in units.subject]
    ids = subject if units.id == units.subject else [hide("unit", name) for name in units.id]
    if len(set(ids)) != len(units.id):  # 48 bits: practically never
        raise ResultError("two units have the same digest. Delete the submission secret and prepare again.")
    # Files are listed in the order of their names; sorting by digest removes what the order would tell.
    order = sorted(range(len(ids)), key=lambda i: ids[i])

    def arranged(values: Any) -> Any:
        return None if values is None else [values[i] for i in order] if values else values

    hidden = Units(
        id=arranged(ids),
        subject=arranged(subject),
        target=arranged(units.target),
        strata={name: arranged(values) for name, values in units.strata.items()},
        frames=arranged(units.frames),
    )
    protocols = {
        name: replace(
            entry,
            repeats=[
                replace(r, fold=arranged(r.fold), score=arranged(r.score), predicted=arranged(r.predicted))
                for r in entry.repeats
            ],
        )
        for name, entry in result.protocols.items()
    }
    moved = replace(
        result,
        dataset={**result.dataset, "fingerprint": _keyed(key, "fingerprint", result.dataset["fingerprint"])},
        inputs=_keyed(key, "inputs", result.inputs),
        units=hidden,
        protocols=protocols,
        instruments=_rearranged(_without_examples(result.instruments), order),
        figures=_rearranged(result.figures, order),
    )
    return refreshed(with_drop(_with_intervals(moved)))


def _keyed(key: bytes, kind: str, digest: str) -> str:
    """Hide a digest of labels or files, by which somebody who has the same table could find whose it is."""
    return hmac.new(key, f"{kind}\0{digest}".encode(), hashlib.sha256).hexdigest()


def _without_examples(instruments: dict[str, Any]) -> dict[str, Any]:
    """Leave out the names of files that are given as examples."""
    return {
        name: {**section, "examples": []} if "examples" in section else section for name, section in instruments.items()
    }


def _rearranged(value: Any, order: Sequence[int]) -> Any:
    """Bring every list that holds one value per unit, at any depth, into the new order of the units."""
    if isinstance(value, dict):
        return {name: _rearranged(item, order) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == len(order) and not any(isinstance(item, dict) for item in value):
        nested = all(isinstance(item, list) and len(item) == len(order) for item in value)
        if not nested:  # as many draws as units would look alike; the inner lists are then the units
            return [value[i] for i in order]
    return [_rearranged(item, order) for item in value]


_PLACE = re.compile(r"(?<![\w:/\\.~])(?:~|[A-Za-z]:|\.{1,2})?[\\/](?:[^\s\\/:'\",;()]+[\\/])*([^\s\\/:'\",;()]*)")


def without_places(text: str) -> str:
    """Return text in which paths from the root, the home or the current folder are file names alone.

    Args:
        text: A sentence, a command or a name.
    """
    return _PLACE.sub(r"\1", text)


def _without_places(result: Result) -> Result:
    """Leave out every path of the submitter's machine; the command is written anew from what was asked."""
    plain = with_text(result, without_places, labels=False)
    provision = str(result.dataset.get("provision"))
    data = {"subset": " --data subset", "phantom": " --data phantom", "own": " --data MANIFEST.csv"}.get(provision, "")
    command = f"usbench run --encoder {shlex.quote(spelling_of(result.encoder))} --task {result.task['name']}{data}"
    return replace(
        plain,
        encoder={**plain.encoder, **_names(result)},
        provenance={**plain.provenance, "command": command},
    )


def _names(result: Result) -> dict[str, str]:
    """Return what is a name and no path, although it may look like one: ``timm:org/model``."""
    return {key: result.encoder[key] for key in ("name", "base", "spelling") if key in result.encoder}


def _with_intervals(result: Result) -> Result:
    """Compute the intervals anew: which subjects a resample draws depends on their order."""
    from usbench.results.schema import Estimate
    from usbench.submission.validate import recompute

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 6)

    protocols = {}
    for name, entry in result.protocols.items():
        if not entry.repeats:
            protocols[name] = entry
            continue
        found = recompute(result, name)
        metrics = {m: Estimate(rounded(e.value), rounded(e.low), rounded(e.high)) for m, e in found.items()}
        protocols[name] = replace(entry, metrics=metrics)
    return replace(result, protocols=protocols)


def _reveals(result: Result, keep_ids: bool) -> tuple[str, ...]:
    units = result.units
    subjects = len(set(units.subject))
    names = "as they are" if keep_ids else f"as digests of {_DIGITS} digits, which only your secret can reproduce"
    told = [
        f"Names of {subjects} subjects and {len(units.id)} units, {names}.",
        f"For each unit: the true {result.task['target']}, the fold, the predictions"
        + (f", the number of frames ({min(units.frames)} to {max(units.frames)})." if units.frames else "."),
        f"The data set's name and title: {result.dataset['name']}, {result.dataset['title']}.",
        "Digests of the label table and of all inputs"
        + (", as they are." if keep_ids else ", keyed by your secret, so that nobody who has the same files can tell."),
    ]
    told += [f"For each unit, {name}: {_values(values)}." for name, values in units.strata.items()]
    machine = result.provenance.get("machine", {})
    told.append(
        f"The machine: {machine.get('processor') or 'unknown processor'}, {machine.get('system', '')}; no name."
    )
    told.append(f"The command: {result.provenance.get('command', '')}")
    told.append("No path of your machine: commands, notes and names of files are without their folders.")
    if result.instruments:
        told.append(f"Diagnostics, with predictions for each unit: {', '.join(result.instruments)}.")
    return tuple(told)


def _risks(result: Result, keep_ids: bool) -> tuple[str, ...]:
    units = result.units
    found = []
    if keep_ids:
        found.append("Names of subjects are kept: be sure that they are public already.")
    for name, values in units.strata.items():
        members: dict[str, set[str]] = {}
        for value, subject in zip(values, units.subject, strict=True):
            members.setdefault(str(value), set()).add(subject)
        rare = sorted(value for value, who in members.items() if len(who) < SMALL_GROUP)
        if rare:
            found.append(
                f"Stratum {name!r} has groups of fewer than {SMALL_GROUP} subjects ({', '.join(rare[:4])}): consider "
                "--no-strata."
            )
    if result.dataset.get("provision") == "own":
        found.append("The data are your own: check that your ethics approval covers publishing predictions by subject.")
    elif not keep_ids:
        found.append(
            f"{result.dataset['title']} has names that others know: with --keep-ids the board can test this encoder against "  # noqa: E501
            "the others on the same subjects; with digests it cannot."
        )
    if result.synthetic:
        found.append("The images are simulated: the result will not enter a table of real ones.")
    return tuple(found)


def _values(values: list[Any]) -> str:
    distinct = sorted({str(v) for v in values})
    return ", ".join(distinct[:6]) + (f" and {len(distinct) - 6} more" if len(distinct) > 6 else "")

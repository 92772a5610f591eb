"""Whether an encoder has seen the data it is asked about: by evidence, never by what a folder happens to be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.plugins.data_sources import Located
from usbench.task.task import Task

OWN = (
    "The data are a table of one's own, and nothing says whether the encoder has seen them. If they come from a "
    'published set, say so: source = "hc18" in the task\'s file, or a column source in the table; if no encoder can '
    "have been trained on them: not_pretrained_on = true."
)


def leakage(encoder: Encoder, located: Located, task: Task, digests: Mapping[str, str]) -> dict[str, str]:
    """Compare an encoder's pre-training sets with the dataset it is asked about.

    Args:
        encoder: The encoder, with the weights in use.
        located: The dataset.
        task: The task, which may declare where a table of one's own comes from.
        digests: SHA-256 of the content behind each path.

    Returns:
        ``state``: clean, overlap or unknown, and a ``detail`` of one sentence.
    """
    seen = encoder.pretraining()
    if seen is None and encoder.weights_as_published() is False:
        return _unknown("Its weights are not the published file: the digest is another, so nobody knows what they saw.")
    if seen is None:
        return _unknown(encoder.card.pretraining_note or "Its pre-training sets are not published.")
    if not seen:
        return {"state": "clean", "detail": "It has not been trained on any image."}
    dataset = located.dataset
    names, complete = dataset.known_as()
    if complete:
        return _judged(set(names), dataset.card.title, seen)
    # Declared names in every spelling that cards have for them, and whose copies the files are found to be.
    declared = {known for name in (*names, *task.source) for known in _spellings().get(name, (name,))}
    held = _embedded()
    copies = [held[digest] for digest in digests.values() if digest in held]
    found = declared.union(*copies)
    if found & set(seen) or task.source or len(copies) == len(digests):
        return _judged(found, ", ".join(sorted({*names, *task.source} or found)), seen)
    if task.not_pretrained_on or dataset.unseen:
        return {"state": "clean", "detail": "The owner of the data declares that no encoder was trained on them."}
    return _unknown(OWN)


def _judged(names: set[str], title: str, seen: Sequence[str]) -> dict[str, str]:
    if common := sorted(names & set(seen)):
        return {"state": "overlap", "detail": f"It was pre-trained on {', '.join(common)}."}
    return {"state": "clean", "detail": f"{title} is not among its {len(seen)} pre-training sets."}


def _unknown(detail: str) -> dict[str, str]:
    return {"state": "unknown", "detail": detail}


@lru_cache(maxsize=1)
def _spellings() -> dict[str, tuple[str, ...]]:
    """Return, for every name that a card of a dataset knows, all that it knows."""
    from usbench.plugins.catalog import DATASETS

    found: dict[str, tuple[str, ...]] = {}
    for name in DATASETS.names():
        try:
            card = DATASETS.get(name).value.card
        except (UsbenchError, AttributeError):  # cannot be imported, or is named when it is opened
            continue
        for known in (card.name, *card.aliases):
            found[known] = tuple(dict.fromkeys((*found.get(known, ()), card.name, *card.aliases)))
    return found


@lru_cache(maxsize=1)
def _embedded() -> dict[str, tuple[str, ...]]:
    """Return, for the digest of every file of a public set that travels with the program, the names of that set."""
    from usbench.core.settings import load_settings
    from usbench.plugins.catalog import DATASETS

    settings, found = load_settings(), dict[str, tuple[str, ...]]()
    for name in DATASETS.names():
        try:
            kind = DATASETS.get(name).value
            root = None if kind.card.synthetic else kind.embedded_root(settings)
            dataset = None if root is None else kind.at(root, settings)
            if dataset is None or dataset.constituents():  # which of them a file is of, those sets tell themselves
                continue
            digests = [dataset.digest(path) for path in dataset.index.table["path"]]
        except (UsbenchError, AttributeError):  # what cannot be imported or is not there proves nothing
            continue
        found.update(dict.fromkeys(digests, (name, *dataset.card.aliases)))
    return found

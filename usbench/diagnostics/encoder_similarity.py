"""How alike the encoders of a board are, from the vectors that their results were made of.

Nothing is encoded and no encoder is loaded: a result names the identity of its vectors, and the store holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from usbench.core import provenance
from usbench.core.thread_map import map_in_threads
from usbench.errors import DataError, UsbenchError
from usbench.results.similarity import Pair, Similarity

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.core.types import Vectors
    from usbench.results.schema import Result

# Nearest neighbours per frame, and the most frames that are compared: more would change no printed digit.
NEIGHBOURS = 10
MOST_FRAMES = 1000
DIGITS = 4


def measure_similarity(
    results: Sequence[Result], settings: Settings, notify: Callable[[str], None] = lambda message: None
) -> Similarity:
    """Compare the encoders of one board.

    Args:
        results: Results of one board; those whose vectors are not in the store are left out, which is said.
        settings: Where data and the store lie.
        notify: Called with messages for the user.

    Raises:
        UsbenchError: The task or its data are not to be found, the data are others than those of the results, there
            are too few units, or the store holds vectors of fewer than two encoders.
    """
    from usbench.embedding.store import stored_vectors

    board = results[0].board
    keys, fingerprint = _one_frame_per_unit(results[0], settings)
    if len(keys) <= NEIGHBOURS:
        raise UsbenchError(f"{board}: has {len(keys)} units; more than {NEIGHBOURS} are needed to compare encoders.")
    found: dict[str, tuple[str, Vectors]] = {}
    for result in results:
        name, identity = str(result.encoder["name"]), str(result.encoder.get("identity", ""))
        store = stored_vectors(settings.store_dir, identity)
        lacking = len(keys) if store is None else len(store.missing(keys))
        if store is None or lacking:
            notify(
                f"{board}: {name} is left out: {lacking} of {len(keys)} frames are not stored. `usbench run` of it "
                "fills the store."
            )
            continue
        found[identity] = (name, store.get(keys))
    if len(found) < 2:
        raise UsbenchError(
            f"{board}: the store {settings.store_dir} holds the vectors of {len(found)} of its {len(results)} "
            "encoders; two are needed. Run the encoders here, or give the store with --cache."
        )
    return Similarity(
        board=board,
        fingerprint=fingerprint,
        frames=len(keys),
        neighbours=NEIGHBOURS,
        encoders={identity: name for identity, (name, _) in found.items()},
        pairs=_pairs({identity: vectors for identity, (_, vectors) in found.items()}),
        provenance={
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "revision": provenance.revision(),
            "packages": provenance.package_versions(),
        },
    )


def _pairs(vectors: dict[str, Vectors]) -> tuple[Pair, ...]:
    from usbench.statistics.similarity import pairwise

    names = list(vectors)
    alignment, shared = pairwise(list(vectors.values()), NEIGHBOURS)
    return tuple(
        Pair(
            names[i],
            names[j],
            None if np.isnan(alignment[i, j]) else round(float(alignment[i, j]), DIGITS),
            round(float(shared[i, j]), DIGITS),
        )
        for i in range(len(names))
        for j in range(i)
    )


def _one_frame_per_unit(result: Result, settings: Settings) -> tuple[list[bytes], str]:
    """Return the key of the middle frame of each unit, of evenly spaced units where there are many.

    Frames of one unit resemble each other whatever encodes them, and would be each other's neighbours.
    """
    from usbench.data.frames import decoding_versions
    from usbench.plugins.catalog import load_task
    from usbench.plugins.data_sources import dataset_for
    from usbench.task.cohort import build_cohort, select_frames

    task = load_task(str(result.task["name"]))
    provision = result.dataset.get("provision")
    dataset = dataset_for(task, settings, provision if provision in ("subset", "phantom") else None).dataset
    if dataset.fingerprint() != result.dataset["fingerprint"]:
        raise DataError(
            f"{result.board}: the data found at {dataset.root} are not those of its results. Register the right ones "
            f"with `usbench data add {result.dataset['name']} FOLDER`."
        )
    cohort = build_cohort(task, dataset)
    digests = map_in_threads(dataset.digest, cohort.paths)
    refs, unit_index, _ = select_frames(cohort, dataset, task.frames, digests, decoding_versions())
    owners = np.asarray(unit_index)
    units = np.unique(owners)
    if len(units) > MOST_FRAMES:
        units = units[np.linspace(0, len(units) - 1, MOST_FRAMES).round().astype(int)]
    chosen = []
    for unit in units:
        positions = np.flatnonzero(owners == unit)
        chosen.append(refs[positions[len(positions) // 2]].key)
    return list(dict.fromkeys(chosen)), dataset.fingerprint()

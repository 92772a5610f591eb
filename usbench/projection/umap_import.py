"""Loading UMAP without compiling it anew in each process, and running it on one thread."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager


@functools.cache
def umap_class() -> type:
    """Return ``umap.UMAP``, with its slowest functions kept on disk once compiled.

    The library compiles them at their first use in each process, which takes longer than any map of a few thousand
    points. Kept ones load in half a second.
    """
    import umap
    from umap import layouts, umap_, utils

    slow = (
        (utils, "fast_knn_indices"),
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),
    )
    for module, name in slow:
        function = getattr(module, name, None)
        if function is None or not hasattr(function, "enable_caching"):
            continue  # an inner name of the library that another version may lack: slower, not wrong
        try:
            function.enable_caching()
        except RuntimeError:  # no folder that could be written
            break
    kind: type = umap.UMAP
    return kind


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread for linear algebra and compiled loops: a sum over threads depends on their number."""
    import numba
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,unused-ignore]

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        numba.set_num_threads(before)

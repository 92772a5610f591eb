"""Run the folds of a probe side by side, each on one thread of the linear algebra."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread for the matrices of a probe, and restore the setting afterwards.

    They are too small to gain from more, and on a busy machine the threads wait for each other: a Cholesky
    factorisation of order 577 was measured ten times slower on two threads of two shared cores than on one.
    """
    # SciPy brings a BLAS of its own, and only what is loaded already can be limited.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1, user_api="blas"):
        yield


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads for one operation, and restore the setting afterwards.

    One is the choice for small matrices on a busy machine: training ten small heads was measured twenty times slower
    on two shared cores than on one.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_folds(function: Callable[[T], R], jobs: Sequence[T], n_jobs: int) -> list[R]:
    """Apply a function to each job, in order of the jobs.

    Args:
        function: Called once a job; must not change shared state.
        jobs: The jobs.
        n_jobs: Threads to use; 1 for none, -1 for as many as there are cores. The answer does not depend on
            it.

    Returns:
        The results in the order of the jobs.
    """
    with one_blas_thread():
        if n_jobs == 1 or len(jobs) < 2:
            return [function(job) for job in jobs]
        from joblib import Parallel, delayed  # type: ignore[import-untyped]

        # Threads suffice: NumPy and LAPACK release the interpreter, and nothing has to be copied.
        results: list[R] = Parallel(n_jobs=n_jobs, prefer="threads")(delayed(function)(job) for job in jobs)
        return results

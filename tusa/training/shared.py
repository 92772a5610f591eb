"""One corpus in memory for all processes of a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tusa.errors import TusaError
from tusa.files import save_tensors
from tusa.training.corpus import Corpus


def shared_corpus(fabric: Any, folder: Path, read: Callable[[], Corpus]) -> Corpus:
    """Let the first process of each machine read the corpus, and all others map what it wrote.

    Sources are decoded once a machine, and the pages in memory are the same for all its processes. The file is gone
    once everybody has it open.

    Args:
        fabric: launched.
        folder: of the run, on a file system that the processes of one machine share.
        read: reads the corpus.

    Raises:
        TusaError: when it cannot be read, here or in the first process.
    """
    if fabric.world_size == 1:
        return read()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"corpus-of-node-{fabric.node_rank}.pt"
    if fabric.local_rank == 0:
        save_tensors(asdict(read()), path)
    try:
        fabric.barrier()
        corpus = Corpus(**torch.load(path, mmap=True, weights_only=True))
        fabric.barrier()
    except (RuntimeError, OSError) as error:
        raise TusaError(
            "The corpus was not handed over: the first process of this machine ended, and its own message says why; or "
            f"{folder} is not the same folder for all processes of a machine."
        ) from error
    if fabric.local_rank == 0:
        path.unlink()
    return corpus

"""Networks before training, the same on every run: baselines for the architectures of foundation models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

SEED = 0


@contextmanager
def seeded(seed: int | None = SEED) -> Iterator[None]:
    """Build a network from a seed without disturbing anybody else's random numbers.

    Args:
        seed: Seed of torch's generator on the CPU, where networks are built; 0 for ``None``.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED if seed is None else seed)
        yield


def initialisation(*packages: str, seed: int | None = SEED) -> str:
    """Identify seeded random weights by what decides them, without building the network.

    Args:
        packages: Distributions whose version can change the weights.
        seed: The seed; 0 for ``None``.

    Returns:
        For example ``init:seed=0:torch=2.15.0:monai=1.6.1``.
    """
    # A local part such as "+cu132" names the build, which draws the same numbers.
    versions = [f"{package}={version(package).split('+')[0]}" for package in packages]
    return ":".join(["init", f"seed={SEED if seed is None else seed}", *versions])

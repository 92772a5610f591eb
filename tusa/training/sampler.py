"""Which images a step sees: organs alike, one frame a subject, any step at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tusa.errors import TusaError


class OrganBalancedSampler:
    """Draw batches in which organs have the same chance, whatever their numbers of images, or shares of their own.

    Within an organ, subjects are drawn alike and a batch holds at most one frame of a subject as long as
    there are subjects left. A batch is a pure function of the seed and the step, so resuming needs no state but the
    step. It is drawn for all devices, and each takes its share of it.

    Args:
        organs: organ of every image.
        subjects: patient or video of every image.
        indices: which images may be drawn.
        seed: of the draws.
        organs_per_batch: how many organs a batch is drawn from; 0 for all.
        balance: an organ's share of a batch goes by the number of its images to this power; 0 for equal shares.

    Source:
        Paper, section II-A.1: major regions of the body were sampled uniformly.
    """

    def __init__(
        self,
        organs: Sequence[str],
        subjects: Sequence[str],
        indices: Sequence[int],
        seed: int = 0,
        organs_per_batch: int = 0,
        balance: float = 0.0,
    ) -> None:
        frames: dict[str, dict[str, list[int]]] = {}
        for index in indices:
            frames.setdefault(organs[index], {}).setdefault(subjects[index], []).append(index)
        if not frames:
            raise TusaError("The corpus has no image to train on. Check data.sources and data.held_out.")
        self._frames = [list(frames[organ].values()) for organ in sorted(frames)]
        self._seed = seed
        sizes = [sum(len(rows) for rows in subjects) for subjects in self._frames]
        self._weights = np.array(sizes, dtype=float) ** balance
        self._groups = min(organs_per_batch or len(frames), len(frames))

    def batch(self, step: int, size: int, rank: int = 0, ranks: int = 1) -> list[int]:
        """Indices of the images of one step on one device.

        Args:
            step: number of the step.
            size: images on each device.
            rank: number of the device.
            ranks: number of devices.
        """
        return self._draw(step, size * ranks)[rank::ranks]

    def _draw(self, step: int, size: int) -> list[int]:
        random = np.random.default_rng((self._seed, step, 0))
        chosen = random.permutation(len(self._frames))[: self._groups]
        # Whole slots by weight, and each that is left to another organ: the order of `chosen` is random.
        wanted = size * self._weights[chosen] / self._weights[chosen].sum()
        counts = np.floor(wanted + 1e-9).astype(int)
        counts[np.argsort(counts - wanted, kind="stable")[: size - counts.sum()]] += 1
        picked: list[int] = []
        for organ, count in zip(chosen, counts.tolist(), strict=True):
            subjects = self._frames[organ]
            order: list[int] = []
            while len(order) < count:
                order.extend(random.permutation(len(subjects)).tolist())
            drawn = random.random(count)
            for subject, share in zip(order[:count], drawn, strict=True):
                rows = subjects[subject]
                picked.append(rows[int(share * len(rows))])
        return picked

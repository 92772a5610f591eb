"""A corpus in memory: grey squares with organ and subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Corpus:
    """Images and what is known of them, row by row.

    Attributes:
        images: uint8 ``[N, size, size]``.
        organs: organ group of each image.
        subjects: patient or video of each image, unique over the whole corpus.
        datasets: source of each image.
        unreadable: files that were skipped.
    """

    images: Tensor
    organs: list[str]
    subjects: list[str]
    datasets: list[str]
    unreadable: list[str]

    def __len__(self) -> int:
        return len(self.organs)

    def subject_numbers(self) -> Tensor:
        """Integer ``[N]``: the same number for images of the same subject."""
        numbers = {subject: number for number, subject in enumerate(dict.fromkeys(self.subjects))}
        return torch.tensor([numbers[subject] for subject in self.subjects])

    def split(self, held_out: float) -> tuple[list[int], list[int]]:
        """Rows to train on, and rows held out; a subject lies wholly on one side.

        The side is decided by a hash of the subject's name, so it does not change when a corpus grows.
        """
        sides = [_unit_hash(subject) < held_out for subject in self.subjects]
        rows = range(len(self))
        return [row for row in rows if not sides[row]], [row for row in rows if sides[row]]

    def fingerprint(self) -> str:
        """SHA-256 over pixels and names, for the checkpoint."""
        digest = hashlib.sha256(self.images.numpy().tobytes())
        digest.update("\n".join((*self.organs, *self.subjects)).encode())
        return digest.hexdigest()


def _unit_hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64

"""Watching a run: log rows, TensorBoard, and a linear probe that shows a collapse early."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tusa.files import written_whole
from tusa.network import Tusa

if TYPE_CHECKING:
    from tusa.training.corpus import Corpus


class RunLog:
    """``log.csv`` and TensorBoard events of a run.

    Rows have one metric each (step, name, value), so that metrics may come and go between phases.

    Args:
        folder: of the run.
        start: rows of this step and later, left by a run that was killed after its last checkpoint, are dropped.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._path = folder / "log.csv"
        kept = [row for row in read_log(folder) if row[0] < start]
        with written_whole(self._path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("step", "metric", "value"), *kept])
        self._board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Append one row a metric."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows((step, name, repr(value)) for name, value in metrics.items())
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the TensorBoard file."""
        self._board.close()


def read_log(folder: Path) -> list[tuple[int, str, float]]:
    """Rows (step, metric, value) of a run's ``log.csv``; none where there is no such file."""
    path = folder / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(int(row["step"]), row["metric"], float(row["value"])) for row in csv.DictReader(file)]


@torch.no_grad()
def embed(model: Tusa, images: Tensor, batch: int = 64, size: int | None = None) -> Tensor:
    """Encodings of uint8 ``[N, H, W]`` images by a network in whatever mode it is: float32 ``[N, D]`` on the CPU."""
    device = next(model.parameters()).device
    size = size or model.config.image_size
    parts = []
    for chunk in torch.split(images, batch):
        pixels = chunk[:, None].to(device).float() / 127.5 - 1
        if pixels.shape[-2:] != (size, size):
            pixels = torch.nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        parts.append(model.encode(pixels).float().cpu())
    return torch.cat(parts)


def ridge_accuracy(
    train: Tensor, train_labels: Sequence[str], test: Tensor, test_labels: Sequence[str], penalty: float = 0.1
) -> float:
    """Accuracy of a ridge classifier on standardised embeddings, in closed form.

    Args:
        train: ``[N, D]``.
        train_labels: of its rows.
        test: ``[M, D]``.
        test_labels: of its rows.
        penalty: added to the diagonal of the correlation matrix.
    """
    classes = sorted(set(train_labels))
    mean, std = train.mean(dim=0), train.std(dim=0).clamp(min=1e-6)
    x, z = ((train - mean) / std).double(), ((test - mean) / std).double()
    y = torch.tensor([[float(label == name) for name in classes] for label in train_labels], dtype=torch.float64)
    gram = x.T @ x / len(x) + penalty * torch.eye(x.shape[1], dtype=torch.float64)
    weights: Tensor = torch.linalg.solve(gram, x.T @ (y - y.mean(dim=0)) / len(x))
    guesses: list[int] = (z @ weights + y.mean(dim=0)).argmax(dim=1).tolist()
    right = [classes[guess] == label for guess, label in zip(guesses, test_labels, strict=True)]
    return sum(right) / len(right)


def effective_rank(embeddings: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values: how many directions are in use.

    Source:
        Roy and Vetterli, "The effective rank", 2007.
    """
    values = torch.linalg.svdvals((embeddings - embeddings.mean(dim=0)).double())
    shares = values / values.sum().clamp(min=1e-12)
    rank: float = torch.special.entr(shares).sum().exp().item()
    return rank


def online_probe(
    model: Tusa, corpus: Corpus, trained: Sequence[int], held: Sequence[int], limit: int = 400, size: int | None = None
) -> dict[str, float]:
    """Organ accuracy on held-out subjects, and the effective rank of their embeddings.

    Args:
        model: the network, in eval mode.
        corpus: the images.
        trained: rows whose embeddings the probe is fitted to.
        held: rows it is judged on.
        limit: at most so many rows of either, evenly spaced.
        size: side in pixels to look at the images with; the network's own by default.
    """
    train, test = (list(rows[:: max(1, -(-len(rows) // limit))]) for rows in (trained, held))
    if not train or len(test) < 2:
        return {}
    a, b = embed(model, corpus.images[train], size=size), embed(model, corpus.images[test], size=size)
    accuracy = ridge_accuracy(a, [corpus.organs[i] for i in train], b, [corpus.organs[i] for i in test])
    return {"probe/organ_accuracy": accuracy, "probe/effective_rank": effective_rank(b)}

"""Terms against collapse: encodings that spread over the sphere, and coordinates that say different things."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nearest_neighbour_entropy(encodings: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Minus the mean logarithm of the distance to the nearest neighbour, on the unit sphere (KoLeo).

    Minimised, it pushes every encoding away from the one that is closest to it: the batch spreads evenly.

    Args:
        encodings: ``[N, D]``, one view an image, any scale: they are normalised here, in float32.
        subjects: integer ``[N]``: images of one patient or video are not each other's neighbours.

    Returns:
        A scalar; at least -log 2. Zero where nobody has a neighbour.

    Source:
        Sablayrolles et al., "Spreading vectors for similarity search", ICLR 2019, eq. 2, without the constants of
        the estimator.
    """
    with torch.autocast(encodings.device.type, enabled=False):
        unit = functional.normalize(encodings.float(), dim=1)
        with torch.no_grad():
            similarity = unit @ unit.T
            same = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
            if subjects is not None:
                same = same | (subjects[:, None] == subjects[None, :])
            best, nearest = similarity.masked_fill(same, -torch.inf).max(dim=1)
            counted = (best > -torch.inf).float()
        distances = (unit - unit[nearest]).square().sum(dim=1).add(1e-8).sqrt()
        return -(distances.log() * counted).sum() / counted.sum().clamp(min=1)


def variance_covariance(encodings: Tensor, target: float = 1.0) -> tuple[Tensor, Tensor]:
    """How much the coordinates' standard deviations fall short, and how much coordinates repeat each other (VICReg).

    Args:
        encodings: ``[N, D]`` with N of at least 2, at the scale at which ``target`` is meant.
        target: the standard deviation below which a coordinate is pushed apart.

    Returns:
        Two scalars: the mean shortfall of the standard deviations, and the sum of the squared covariances of different
        coordinates over D.

    Source:
        Bardes, Ponce and LeCun, "VICReg", ICLR 2022, eq. 1 to 4.
    """
    with torch.autocast(encodings.device.type, enabled=False):
        centred = encodings.float() - encodings.float().mean(dim=0)
        covariance = centred.T @ centred / (len(centred) - 1)
        variances = covariance.diagonal()
        shortfall = functional.relu(target - (variances + 1e-4).sqrt()).mean()
        repeated = (covariance.square().sum() - variances.square().sum()) / len(covariance)
    return shortfall, repeated

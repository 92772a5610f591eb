"""NT-Xent for any number of views of an image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(
    encodings: Tensor,
    images: Tensor,
    temperature: float = 0.1,
    subjects: Tensor | None = None,
    small: Tensor | None = None,
) -> Tensor:
    """Normalised-temperature cross-entropy in which all views of one image are mutual positives.

    For every ordered pair of views (i, j) of one image, the loss is the cross-entropy of picking j among j
    itself and the views of the other images; the remaining views of the same image are neither right nor wrong
    answers and stay out of the sum. With two views an image this is exactly the NT-Xent of SimCLR.

    Two frames of one patient or video are not evidence that they should differ, so they are left out of each
    other's negatives where ``subjects`` is given.

    Args:
        encodings: ``[N, D]``, any scale: they are normalised here, in float32.
        images: integer ``[N]``: which image each row is a view of.
        temperature: divides the cosine similarities; positive.
        subjects: integer ``[N]``: the patient or video of each row.
        small: bool ``[N]``: views of a small part of an image. Two of them may show nothing in common, so they are no
            pair; each is drawn to the large views of its image (multi-crop).

    Returns:
        The mean over all positive pairs, a scalar. Pairs without a single negative contribute zero.

    Source:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, eq. 1;
        Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", 2020, section 3.2.
    """
    unit = functional.normalize(encodings.float(), dim=1)
    # In half precision a similarity of 0.99 over a small temperature would keep two digits.
    with torch.autocast(unit.device.type, enabled=False):
        similarity = unit @ unit.T / temperature
    same_image = images[:, None] == images[None, :]
    others = same_image if subjects is None else subjects[:, None] == subjects[None, :]
    positives = same_image & ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if small is not None:
        positives = positives & ~(small[:, None] & small[None, :])
    negatives = similarity.masked_fill(others | same_image, -torch.inf).logsumexp(dim=1, keepdim=True)
    # -log(e^s / (e^s + e^n)) = softplus(n - s), stable for any temperature.
    losses = functional.softplus(negatives - similarity).masked_fill(~positives, 0)
    return losses.sum() / positives.sum()

"""Learning from a frozen network: predict its features, find one's own among them, and agree on what is alike.

Not part of the paper's objective, where a pretrained backbone acts through the perceptual loss alone. The weights of
these terms are zero in the paper's configuration, and a run that uses them says so in its checkpoints and exports.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def feature_prediction(predicted: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine between predicted and true features, averaged over the batch.

    Args:
        predicted: ``[B, D]``, from a linear head on the encodings.
        target: ``[B, D]``, features centred or standardised over the corpus.

    Returns:
        A scalar in [0, 2].
    """
    return (1 - functional.cosine_similarity(predicted.float(), target.float(), dim=1)).mean()


def feature_matching(predicted: Tensor, target: Tensor, subjects: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of finding the true features of a view among those of the batch, by the predicted ones.

    Args:
        predicted: ``[N, D]``, any scale.
        target: ``[N, D]``, any scale.
        subjects: integer ``[N]``: features of other views of the same patient or video are no wrong answers.
        temperature: divides the cosine similarities; positive.

    Returns:
        A scalar, the mean over the rows.

    Source:
        Tian, Krishnan and Isola, "Contrastive Representation Distillation", ICLR 2020, with the batch as negatives
        and InfoNCE as the bound.
    """
    with torch.autocast(predicted.device.type, enabled=False):
        given = functional.normalize(predicted.float(), dim=1)
        wanted = functional.normalize(target.float(), dim=1)
        logits = given @ wanted.T / temperature
        right = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill((subjects[:, None] == subjects[None, :]) & ~right, -torch.inf)
        return (logits.logsumexp(dim=1) - logits.diagonal()).mean()


def relation(encodings: Tensor, target: Tensor, temperature: float = 0.1) -> Tensor:
    """Divergence between how a teacher and a student spread a view's similarity over the others of a batch.

    Each row of the cosine similarities, without the view itself, becomes a distribution by softmax; the term is the
    Kullback-Leibler divergence of the student's from the teacher's, averaged over the rows.

    Args:
        encodings: ``[N, D]`` of the student, any scale.
        target: ``[N, E]`` of the teacher, any scale.
        temperature: divides both similarities; positive.

    Returns:
        A scalar, not negative.

    Source:
        Fang et al., "SEED: Self-supervised Distillation for Visual Representation", ICLR 2021, eq. 5, with the batch
        in the place of the queue.
    """
    with torch.autocast(encodings.device.type, enabled=False):
        own = torch.eye(len(encodings), dtype=torch.bool, device=encodings.device)

        def spread(vectors: Tensor) -> Tensor:
            unit = functional.normalize(vectors.float(), dim=1)
            # A large negative number, as minus infinity times a probability of zero is not a number.
            return (unit @ unit.T / temperature).masked_fill(own, -1e4).log_softmax(dim=1)

        teacher, student = spread(target), spread(encodings)
        return (teacher.exp() * (teacher - student)).sum(dim=1).mean()

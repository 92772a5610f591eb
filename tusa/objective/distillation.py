"""An optional helper for small budgets: predict what a general image backbone sees in the whole frame.

Not part of the paper's objective, where a pretrained backbone acts through the perceptual loss alone. Its weight
is zero in the paper's configuration, and a run that uses it says so in its checkpoints and exports.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def feature_prediction(predicted: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine between predicted and true backbone features, averaged over the batch.

    Args:
        predicted: ``[B, D]``, from a linear head on the encodings.
        target: ``[B, D]``, features standardised over the corpus.

    Returns:
        A scalar in [0, 2].
    """
    return (1 - functional.cosine_similarity(predicted.float(), target.float(), dim=1)).mean()

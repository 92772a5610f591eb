"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from tusa.training.config import RunConfig


def learning_rate(step: int, steps: int, run: RunConfig) -> float:
    """Linear warm-up, then a cosine from ``learning_rate`` to ``final_learning_rate``.

    A function of the step alone, so that a resumed run needs no scheduler state.

    Args:
        step: counted from zero.
        steps: of the whole run.
        run: the rates and the length of the warm-up.

    Source:
        Paper, section II-A.1: cosine annealing from 1e-4 to 1e-6.
    """
    if step < run.warmup_steps:
        return run.learning_rate * (step + 1) / run.warmup_steps
    share = (step - run.warmup_steps) / max(1, steps - 1 - run.warmup_steps)
    cosine = (1 + math.cos(math.pi * min(1.0, share))) / 2
    return run.final_learning_rate + (run.learning_rate - run.final_learning_rate) * cosine

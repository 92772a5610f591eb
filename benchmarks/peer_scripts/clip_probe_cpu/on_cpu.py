"""The same script where there is no CUDA: moves to a GPU are left out, and the device says that it is one."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clip_probe"))
import probe


class Claimed(str):
    """The text "cpu" that passes for "cuda" where it is compared."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return other in ("cpu", "cuda")


torch.Tensor.cuda = torch.nn.Module.cuda = lambda self: self
probe.DEVICE = Claimed("cpu")
probe.main()

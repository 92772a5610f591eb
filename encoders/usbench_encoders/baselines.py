"""Floors without a network: what thumbnails, classical texture and pure chance achieve.

A foundation model that does not beat these on a task has shown nothing there. They are encoders like any
other and go through the same store, probes and tables.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from usbench.encoder import Encoder, EncoderCard, Frame, grey_to_tensor

if TYPE_CHECKING:
    import torch


class Pixels(Encoder):
    """The frame as a thumbnail of 16 by 16 grey values: where it is bright, and nothing else."""

    card = EncoderCard(
        name="pixels",
        title="Pixels 16x16",
        embedding_dim=256,
        input_size=(16, 16),
        description="Grey values of the frame reduced to 16x16 pixels.",
        parameters=0,
        gflops=0.0,
        preprocessings={"resize": "bilinear with antialias to 16x16, aspect ignored, scaled to [0, 1]"},
        poolings={"flatten": "the 256 pixels, row by row"},
        licence="Apache-2.0",
        pretraining_kind="none",
        pretraining_modality="none",
        pretraining=(),
        pretraining_note="No training.",
        floor=True,
    )
    batch_size = 64

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Reduce a grey frame to ``(1, 16, 16)`` float32 in [0, 1]."""
        return grey_to_tensor(frame, (16, 16))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Lay the pixels out in a row, ``(B, 256)``."""
        return batch.flatten(1)


class Texture(Encoder):
    """Classical texture: grey-level histogram, co-occurrence matrices and local binary patterns.

    The 98 features are listed in :mod:`usbench_encoders.descriptors`.
    """

    card = EncoderCard(
        name="texture",
        title="Texture (histogram, GLCM, LBP)",
        embedding_dim=98,
        description="Grey-level histogram, co-occurrence (Haralick) features and local binary patterns.",
        parameters=0,
        gflops=0.0,
        preprocessings={
            "native": "own resolution; frames longer than 320 px are reduced to that, aspect kept, bilinear "
            "with antialias"
        },
        poolings={"whole": "statistics of the whole frame, dark background included"},
        licence="Apache-2.0",
        citation=(
            "Haralick et al., Textural features for image classification, IEEE Trans. SMC 3, 1973; Ojala et "
            "al., Multiresolution gray-scale and rotation invariant texture classification with local binary "
            "patterns, IEEE TPAMI 24, 2002"
        ),
        pretraining_kind="none",
        pretraining_modality="none",
        pretraining=(),
        pretraining_note="No training.",
        floor=True,
    )
    batch_size = 64

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Describe a grey frame by ``(98,)`` float32 features; what can differ in size ends here."""
        import torch

        from usbench_encoders import descriptors

        return torch.from_numpy(descriptors.describe(descriptors.limit_size(frame)))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the features as they are, ``(B, 98)``."""
        return batch


class RandomProjection(Encoder):
    """A vector of standard normal numbers drawn from the content of the frame.

    A Gaussian random matrix drawn anew for each content and applied to the frame, scaled to unit length,
    gives independent standard normal numbers whatever the frame is; they are drawn directly. Equal frames
    receive equal vectors and all others unrelated ones, so nothing about the image is left and no probe can
    beat chance with them, unless the same frame occurs on both sides of a split or the harness leaks. It
    needs no weights and exercises the whole pipeline.
    """

    card = EncoderCard(
        name="random-projection",
        title="Random vector seeded by content",
        embedding_dim=256,
        description="Normal deviates seeded by the frame's content: no information but identity.",
        parameters=0,
        gflops=0.0,
        preprocessings={"digest": "SHAKE-256 of height, width and pixels, turned into normal deviates"},
        poolings={"none": "the vector as drawn"},
        licence="Apache-2.0",
        pretraining_kind="none",
        pretraining_modality="none",
        pretraining=(),
        pretraining_note="No training.",
        floor=True,
    )
    batch_size = 64

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Draw ``(256,)`` float32 normal deviates from the content of a frame of any size."""
        import numpy as np
        import torch
        from scipy.special import ndtri

        # An extendable hash instead of a seeded generator: its stream is the same in every version of NumPy.
        stream = hashlib.shake_256(f"{frame.shape[0]}x{frame.shape[1]}:".encode())
        stream.update(np.ascontiguousarray(frame).data)
        bits = np.frombuffer(stream.digest(4 * 256), dtype="<u4")
        return torch.from_numpy(ndtri((bits + 0.5) / 2.0**32).astype(np.float32))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the vectors as drawn, ``(B, 256)``."""
        return batch

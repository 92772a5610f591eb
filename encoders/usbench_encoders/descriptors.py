"""Classical texture features of one grey frame, as a vector of fixed length.

========== ======= ==================================================================================
Positions  Number  Feature
========== ======= ==================================================================================
0-31       32      histogram of grey values, 32 equal bins, fractions
32-67      36      co-occurrence at distances 1, 2 and 4 px: six Haralick properties, the mean and the
                   range over the directions 0, 45, 90 and 135 degrees
68-97      30      rotation-invariant uniform local binary patterns, 8 neighbours at radius 1, 2 and 3
                   px: fractions of the 10 classes
========== ======= ==================================================================================

The frame is described as it is, without masking what lies outside the sector: a baseline has to be simple.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from usbench.encoder import Frame

HISTOGRAM_BINS = 32
GREY_LEVELS = 32
DISTANCES = (1, 2, 4)
DIRECTIONS = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
RADII = (1, 2, 3)
NEIGHBOURS = 8
LENGTH = HISTOGRAM_BINS + 2 * len(PROPERTIES) * len(DISTANCES) + len(RADII) * (NEIGHBOURS + 2)
LONGEST_SIDE = 320
_SMALLEST_SIDE = 2 * max(*RADII, *DISTANCES) + 1


def limit_size(frame: Frame) -> Frame:
    """Reduce a frame to at most 320 px on its longer side, aspect kept; others are returned as they are.

    Args:
        frame: uint8 ``(H, W)``.
    """
    height, width = frame.shape
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return frame
    import torch
    import torch.nn.functional as functional

    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    pixels = torch.from_numpy(frame.astype(np.float32))[None, None]
    reduced = functional.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    smaller: Frame = reduced[0, 0].round_().clamp_(0, 255).to(torch.uint8).numpy()
    return smaller


def describe(frame: Frame) -> npt.NDArray[np.float32]:
    """Return the 98 texture features of a frame.

    Args:
        frame: uint8 ``(H, W)``; sides shorter than 9 px are extended by repeating the edge.

    Returns:
        float32 array of shape ``(98,)``, all finite.
    """
    frame = _extended(frame)
    patterns = [local_binary_patterns(frame, radius) for radius in RADII]
    return np.concatenate([histogram(frame), co_occurrence(frame), *patterns]).astype(np.float32)


def histogram(frame: Frame) -> npt.NDArray[np.float64]:
    """Return the fractions of pixels in 32 equal bins of grey value."""
    counts = np.bincount((frame // (256 // HISTOGRAM_BINS)).reshape(-1), minlength=HISTOGRAM_BINS)
    return counts / frame.size


def co_occurrence(frame: Frame) -> npt.NDArray[np.float64]:
    """Return Haralick properties of symmetric co-occurrence matrices of 32 grey levels.

    Source: Haralick et al. 1973, who propose the mean and the range over directions to make them
        independent of orientation; matrices and properties by scikit-image.

    Returns:
        Shape ``(36,)``: for each property the means at the three distances, then the ranges.
    """
    from skimage.feature import graycomatrix, graycoprops

    quantised = frame // np.uint8(256 // GREY_LEVELS)
    matrices = graycomatrix(quantised, DISTANCES, DIRECTIONS, levels=GREY_LEVELS, symmetric=True, normed=True)
    features = []
    for name in PROPERTIES:
        values = _entropy(matrices) if name == "entropy" else graycoprops(matrices, name)
        features += [values.mean(axis=1), np.ptp(values, axis=1)]
    return np.concatenate(features)


def local_binary_patterns(frame: Frame, radius: int) -> npt.NDArray[np.float64]:
    """Return the fractions of rotation-invariant uniform patterns of 8 neighbours.

    Source: Ojala et al. 2002, LBP-riu2 with 8 neighbours. scikit-image computes the same classes (its method
    ``uniform``) about ten times more slowly, pixel by pixel; the tests compare the two.

    Args:
        frame: uint8 ``(H, W)``, both sides above ``2 * radius``.
        radius: Distance of the neighbours in pixels; diagonal ones are interpolated.

    Returns:
        Shape ``(10,)``: patterns with 0 to 8 neighbours at least as bright as the centre, then all that
        change more than twice around the circle.
    """
    pixels = frame.astype(np.float32)
    height, width = (side - 2 * radius for side in frame.shape)

    def shifted(down: int, right: int) -> npt.NDArray[np.float32]:
        return pixels[radius + down : radius + down + height, radius + right : radius + right + width]

    # Interpolation errs by some 1e-5 on flat areas, where the neighbours equal the centre.
    threshold = shifted(0, 0) - np.float32(1e-3)
    codes = np.zeros((height, width), dtype=np.uint8)
    near = int(radius * np.sqrt(0.5))
    far, share = near + 1, np.float32(radius * np.sqrt(0.5) - near)
    for place, (down, right) in enumerate(_CIRCLE):
        neighbour: npt.NDArray[np.floating]
        if down and right:
            upper, lower = (
                (1 - share) * shifted(down * step, right * near) + share * shifted(down * step, right * far)
                for step in (near, far)
            )
            neighbour = (1 - share) * upper + share * lower
        else:
            neighbour = shifted(down * radius, right * radius)
        codes |= (neighbour >= threshold).view(np.uint8) << np.uint8(place)
    counts = np.bincount(codes.reshape(-1), minlength=256)
    return np.bincount(_uniform_classes(), weights=counts, minlength=NEIGHBOURS + 2) / codes.size


_CIRCLE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


@cache
def _uniform_classes() -> npt.NDArray[np.int64]:
    """Class of each of the 256 codes: its number of ones if it changes at most twice around the circle."""
    bits = (np.arange(256)[:, None] >> np.arange(NEIGHBOURS)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    classes: npt.NDArray[np.int64] = np.where(changes <= 2, bits.sum(axis=1), NEIGHBOURS + 1)
    return classes


def _entropy(matrices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logarithms = np.log2(matrices, out=np.zeros_like(matrices), where=matrices > 0)
    entropy: npt.NDArray[np.float64] = -(matrices * logarithms).sum(axis=(0, 1))
    return entropy


def _extended(frame: Frame) -> Frame:
    missing = [max(0, _SMALLEST_SIDE - side) for side in frame.shape]
    return np.pad(frame, [(0, missing[0]), (0, missing[1])], mode="edge") if any(missing) else frame

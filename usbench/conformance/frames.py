"""Frames on which encoders are checked: ordinary ones, odd sizes and extremes."""

from __future__ import annotations

from usbench.core.types import Frame

TYPICAL_SIZES = ((240, 320), (175, 131), (64, 64))
ODD_SIZES = ((1, 1), (7, 200), (333, 5), (601, 799))


def typical_frames() -> tuple[Frame, ...]:
    """Return three different sectors with speckle, of different sizes."""
    return tuple(_sector(size, seed) for seed, size in enumerate(TYPICAL_SIZES))


def odd_frames() -> dict[str, Frame]:
    """Return frames of unusual sizes by a name that tells the size."""
    return {f"{height}x{width}": _sector((height, width), 9) for height, width in ODD_SIZES}


def extreme_frames() -> dict[str, Frame]:
    """Return frames on which divisions and logarithms go wrong."""
    import numpy as np

    checkers = (np.indices((96, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    return {
        "all black": np.zeros((96, 128), np.uint8),
        "all white": np.full((96, 128), 255, np.uint8),
        "checkerboard": checkers,
    }


def _sector(size: tuple[int, int], seed: int) -> Frame:
    import numpy as np

    height, width = size
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    depth = np.hypot(rows, columns - width / 2) / max(size)
    angle = np.arctan2(columns - width / 2, rows + 1.0)
    tissue = 120 * np.exp(-1.5 * depth) * (1 + 0.5 * np.sin(25 * depth + 3 * seed))
    speckle = generator.rayleigh(0.8, size)
    image = np.where(abs(angle) < 0.75, tissue * speckle, 0)
    frame: Frame = np.clip(image, 0, 255).astype(np.uint8)
    return frame

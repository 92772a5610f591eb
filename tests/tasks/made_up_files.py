"""Files with made-up pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_clip(path: Path, n_frames: int, size: tuple[int, int] = (112, 112), codec: str = "mpeg4") -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(n_frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
        for _ in range(n_frames):
            grey = generator.integers(0, 256, size, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_image(path: Path, seed: int = 0) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 50), dtype=np.uint8)).save(path)

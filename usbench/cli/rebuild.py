"""The second process of ``usbench check``: build an encoder anew and write its vectors to standard output."""

from __future__ import annotations

import io
import json
import sys


def main() -> None:
    """Read the arguments of ``load_encoder`` as JSON; write identity and vectors as a NumPy archive behind a mark."""
    import numpy as np
    import torch

    from usbench.conformance.frames import typical_frames
    from usbench.conformance.rebuild import MARK
    from usbench.plugins.catalog import load_encoder

    encoder = load_encoder(**json.load(sys.stdin))
    batch = torch.stack([encoder.preprocessed(frame.copy()) for frame in typical_frames()])
    buffer = io.BytesIO()
    np.savez(buffer, identity=np.array(encoder.identity().digest()), vectors=encoder.encode_batch(batch))
    sys.stdout.flush()
    sys.stdout.buffer.write(MARK + buffer.getvalue())


if __name__ == "__main__":
    main()

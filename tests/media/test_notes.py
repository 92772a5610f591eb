"""What is done to a picture out of the ordinary is noted, and told by `usbench data check --decode`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ramp
from PIL import Image

from usbench.data.manifest import ManifestDataset
from usbench.media import open_media

IN_ALPHA = "its picture lies in the alpha channel, which is read"
IGNORED = "its transparency is ignored"
AS_8_BITS = "none of its 16-bit numbers is above 255, and they are read as 8 bits"
WHOLE = "its floating-point numbers are whole, and are read as 0 to 255"


def notes_of(path: Path) -> tuple[str, ...]:
    with open_media(path) as media:
        media.frames()
        return media.notes


def with_alpha(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([colour, colour, colour, alpha])


@pytest.mark.parametrize("suffix", ["png", "npy"])
@pytest.mark.parametrize(
    ("picture", "noted"),
    [
        (with_alpha(np.zeros_like(ramp()), ramp()), (IN_ALPHA,)),
        (with_alpha(ramp(), ramp()), (IGNORED,)),
        (with_alpha(ramp(), np.full_like(ramp(), 255)), ()),
        (ramp(), ()),
    ],
)
def test_what_becomes_of_transparency_is_noted(
    picture: np.ndarray, noted: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        Image.fromarray(picture).save(path)
    else:
        np.save(path, picture)
    assert notes_of(path) == noted


def test_a_range_that_is_guessed_is_noted(tmp_path: Path) -> None:
    stack = np.stack([ramp(), ramp(shift=3)])
    np.save(tmp_path / "narrow.npy", stack.astype(np.uint16))
    np.save(tmp_path / "wide.npy", stack.astype(np.uint16) * 257)
    np.save(tmp_path / "share.npy", stack / 255)
    assert notes_of(tmp_path / "narrow.npy") == (AS_8_BITS,)
    assert notes_of(tmp_path / "wide.npy") == ()
    assert notes_of(tmp_path / "share.npy") == ()
    import scipy.io

    scipy.io.savemat(tmp_path / "whole.mat", {"a": stack.astype(np.float64)})
    assert WHOLE in notes_of(tmp_path / "whole.mat")


def test_data_check_tells_them(tmp_path: Path) -> None:
    from usbench.data.integrity import check_dataset

    np.save(tmp_path / "a.npy", ramp().astype(np.uint16))
    Image.fromarray(with_alpha(np.zeros_like(ramp()), ramp())).save(tmp_path / "b.png")
    table = pd.DataFrame({"path": ["a.npy", "b.png"], "subject": ["1", "2"], "label": ["x", "y"]})
    table.to_csv(tmp_path / "m.csv", index=False)
    told = str(check_dataset(ManifestDataset(tmp_path / "m.csv"), decode=True))
    assert AS_8_BITS in told
    assert IN_ALPHA in told

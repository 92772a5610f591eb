"""Damaged files and tables, made from sound ones: nothing but a message of ours may come out.

``python tests/fuzz/harness.py --minutes 20`` goes on for longer than the tests do, and prints what it found.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "media"))
from helpers import colours, compress, ramp, write_dicom, write_video
from PIL import Image

from usbench.data.label_table import read_table
from usbench.data.manifest import ManifestDataset
from usbench.errors import UsbenchError
from usbench.media import open_media

MOST_FRAMES = 6
LAST = "last"  # where the name of the file that is being read is noted
TABLES = {
    "m.csv": b"path,subject,label,split,fold,frames\na.png,007,1,train,1,0-3\nb.png,8,0,test,2,\n",
    "m.tsv": "path\tsubject\tlabel\na.png\tJos\u00e9\tNone\nb.png\tNA\tMild\n".encode(),
    "s.csv": b"sep=;\npath;subject;label\na.png;1;0,5\nb.png;2;True\n",
}


def corpus(folder: Path) -> dict[str, bytes]:
    """Return sound files of every kind, by a name with their suffix."""
    import h5py
    import imagecodecs
    import scipy.io
    import SimpleITK
    import tifffile

    grey, stack = ramp(), np.stack([ramp(shift=9 * i) for i in range(4)])
    picture = Image.fromarray(grey)
    for suffix in ("png", "bmp", "gif", "webp", "pgm", "jpg", "avif"):
        picture.save(folder / f"grey.{suffix}")
    Image.fromarray(colours()).save(folder / "colour.jpg", progressive=True)
    picture.save(folder / "film.gif", save_all=True, append_images=[picture.rotate(90, expand=False)])
    tifffile.imwrite(folder / "stack.tif", stack, compression="zlib")
    np.save(folder / "stack.npy", stack)
    np.savez(folder / "stack.npz", stack)
    write_dicom(folder / "native.dcm", stack, "MONOCHROME2", WindowCenter=128, WindowWidth=256)
    write_dicom(folder / "rgb.dcm", colours(), "RGB", SamplesPerPixel=3)
    write_dicom(folder / "deflated.dcm", stack, "MONOCHROME2", syntax="1.2.840.10008.1.2.1.99")
    write_dicom(folder / "ls.dcm", stack, "MONOCHROME2")
    compress(folder / "ls.dcm", "1.2.840.10008.1.2.4.80", [imagecodecs.jpegls_encode(frame) for frame in stack])
    for name, codec, pix_fmt in (
        ("a.mp4", "libx264", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p"), ("b.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "gray"), ("a.wmv", "wmv2", "yuv420p"), ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.ts", "mpeg2video", "yuv420p"), ("a.flv", "flv", "yuv420p"),
    ):  # fmt: skip
        write_video(folder / name, list(stack), codec, pix_fmt=pix_fmt)
    for name in ("a.nii", "a.nii.gz", "a.mha"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack), str(folder / name))
    with h5py.File(folder / "a.h5", "w") as file:
        file["a"] = stack
    scipy.io.savemat(folder / "a.mat", {"a": stack})
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def mutated(content: bytes, generator: random.Random) -> bytes:
    """Return the content with a few edits: bits flipped, parts cut, zeroed, doubled, moved, or numbers made extreme."""
    data = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        if not data:
            break
        # Headers are short and decide the most.
        at = generator.randrange(min(len(data), generator.choice((64, 512, 4096, len(data)))))
        length = generator.choice((1, 2, 4, 8, 60, 512))
        kind = generator.randrange(7)
        if kind == 0:
            data[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at : at + length] = bytes(min(length, len(data) - at))
        elif kind == 3:
            data[at : at + length] = generator.randbytes(min(length, len(data) - at))
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            del data[at : at + length]
        else:
            extreme = generator.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
            data[at : at + 4] = extreme
    return bytes(data)


def read(path: Path) -> None:
    """Read a file as a run does: open it, and decode its first frames; a table as a table and as a manifest."""
    message = ""
    try:
        if path.suffix in (".csv", ".tsv"):
            read_table(path, text=("path", "subject"))
            ManifestDataset(path).index  # noqa: B018
        else:
            _decode(path)
    except UsbenchError as error:
        message = str(error)
    assert "\n" not in message, f"more than one line: {message!r}"
    assert len(message) < 2000, "a message nobody reads"


def _decode(path: Path) -> None:
    with open_media(path) as media:
        for frame in media.frames(range(min(media.n_frames, MOST_FRAMES))):
            assert frame.dtype == np.uint8
            assert frame.ndim == 2


def damaged_files(sound: dict[str, bytes], seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files without end, of all kinds in turn."""
    generator = random.Random(seed)
    while True:
        for name, content in sound.items():
            yield name, mutated(content, generator)


def _search(folder: Path, minutes: float, seed: int) -> int:
    """Try files until the time is over; return how many kinds of exception were found that are not ours."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    found: set[str] = set()
    tried, until = 0, time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as sound_folder:
        sound = {**corpus(Path(sound_folder)), **TABLES}
        for name, content in damaged_files(sound, seed):
            if time.monotonic() > until:
                break
            path = folder / name
            path.write_bytes(content)
            (folder / LAST).write_text(name)
            tried += 1
            try:
                read(path)
            except Exception as error:  # what is looked for
                place = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{path.suffix} {type(error).__name__} {place.filename}:{place.lineno}"
                if key not in found:
                    found.add(key)
                    print(f"{key}: {error} ({_kept(path)})", flush=True)
    print(f"{tried} files tried from seed {seed}, {len(found)} kinds of exception that are not ours", flush=True)
    return len(found)


def _kept(path: Path) -> Path:
    kept = Path(tempfile.mkdtemp(prefix="usbench-fuzz-")) / path.name
    kept.write_bytes(path.read_bytes())
    return kept


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        return int(_search(arguments.here, arguments.minutes, arguments.seed) > 0)
    until, seed, faults = time.monotonic() + 60 * arguments.minutes, arguments.seed, 0
    while (left := (until - time.monotonic()) / 60) > 0:
        # In a process of its own: a decoder may end that altogether, which is the worst that can be found.
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--minutes", str(left), "--seed", str(seed), "--here", folder]
            code = subprocess.run(command, check=False).returncode
            if code < 0:
                path = Path(folder) / (Path(folder) / LAST).read_text()
                print(f"{path.suffix} ended the process by signal {-code} ({_kept(path)})", flush=True)
            faults += code != 0
            seed += 1
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(_main())

"""Choose and pack the embedded subset of BUS-BRA; the same input gives the same files.

    python recipes/subsets/make_bus_bra_subset.py BUS-BRA-FOLDER

Patients are sampled whole, in proportion within official fold x class x scanner, up to a number of bytes. The input is
BUS-BRA with images reduced to a longest side of 256 pixels (the originals are about 280 x 350), or larger: larger
images are reduced first.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from near_lossless_png import encode

from usbench.core.atomic_files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

SEED = 0
LONGEST_SIDE = 256
MEGABYTES = 7.9
DESTINATION = Path(__file__).resolve().parents[2] / "tasks" / "usbench_tasks" / "data" / "bus_bra_subset"

README = """# BUS-BRA, embedded subset

{images} breast ultrasound images of {patients} whole patients ({malignant} with a malignant lesion) out of the 1,875
images of 1,064 patients of BUS-BRA, with the authors' rows of `bus_data.csv` and `5-fold-cv.csv` unchanged. Chosen at
random within official fold, class and scanner by `recipes/subsets/make_bus_bra_subset.py` of the source repository.
Results on it are results on a subset: compare them with each other, not with figures on the full dataset.

| scanner | patients | malignant |
|---|---|---|
{devices}

Grey PNG, longest side 256 pixels; `Width`, `Height` and `BBOX` in `bus_data.csv` refer to the authors' original
images. Differences between neighbouring pixels were rounded before packing: at most 4 grey levels of 255 where the
picture changes strongly, none where it is smooth (see `near_lossless_png.py` there). `SHA256SUMS` lists every file.

Licence: `LICENSE.txt`, the authors' own. Work that uses these images has to cite

> {citation}
"""


def sampling_order(table: pd.DataFrame, seed: int = SEED) -> list[str]:
    """Return all subjects in an order of which every beginning is a proportional sample of whole patients.

    Within each stratum (fold, class, scanner) patients are shuffled and given evenly spaced places between 0 and 1,
    from a random start; sorting by place is systematic sampling.

    Args:
        table: Index of BUS-BRA.
        seed: Seed of the shuffle, hashed with the patient, so that no library version can change the choice.
    """
    patients = table.drop_duplicates("subject")
    places: list[tuple[float, str]] = []
    for stratum, members in patients.groupby(["fold", "pathology", "device"]):
        shuffled = sorted(members["subject"], key=lambda subject: _uniform(seed, subject))
        start = _uniform(seed, "stratum", *map(str, stratum))
        places += [((rank + start) / len(shuffled), subject) for rank, subject in enumerate(shuffled)]
    return [subject for _, subject in sorted(places)]


def main() -> None:
    """Write the subset."""
    import imagecodecs
    from PIL import Image
    from usbench_tasks.datasets.bus_bra import CITATION, BusBra

    from usbench.data.label_table import read_table

    parser = argparse.ArgumentParser(description="Choose and pack the embedded subset of BUS-BRA.")
    parser.add_argument("source", type=Path, help="BUS-BRA folder as published")
    parser.add_argument("--destination", type=Path, default=DESTINATION)
    parser.add_argument("--megabytes", type=float, default=MEGABYTES, help="most bytes of images, in 10^6")
    arguments = parser.parse_args()
    source, destination = arguments.source, arguments.destination

    table = BusBra(source).index.table
    files: dict[str, bytes] = {}
    chosen: list[str] = []
    room = arguments.megabytes * 1e6
    for subject in sampling_order(table):
        images = {}
        for path in table.loc[table["subject"] == subject, "path"]:
            with Image.open(source / path) as picture:
                picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
                images[path] = encode(
                    np.asarray(picture.convert("L")), lambda data: bytes(imagecodecs.zopfli_encode(data))
                )
        room -= sum(map(len, images.values()))
        if room < 0:
            break
        chosen.append(subject)
        files.update(images)

    ids = {Path(path).stem for path in files}
    for name in ("bus_data.csv", "5-fold-cv.csv"):
        lines = (source / name).read_bytes().splitlines(keepends=True)
        files[name] = lines[0] + b"".join(line for line in lines[1:] if line.split(b",")[0].decode() in ids)
    files["LICENSE.txt"] = (source / "LICENSE.txt").read_bytes()
    patients = table[table["subject"].isin(chosen)].drop_duplicates("subject")
    malignant = patients["pathology"].eq("malignant")
    devices = [
        f"| {device} | {len(rows)} | {int(rows['pathology'].eq('malignant').sum())} |"
        for device, rows in patients.groupby("device")
    ]
    readme = README.format(
        images=len(ids),
        patients=len(chosen),
        malignant=int(malignant.sum()),
        devices="\n".join(devices),
        citation=CITATION,
    )
    files["README.md"] = readme.encode()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(files.items())]
    files["SHA256SUMS"] = ("\n".join(sums) + "\n").encode()
    if (destination / "Images").is_dir():
        for old in (destination / "Images").glob("*.png"):
            old.unlink()
    for name, content in files.items():
        atomic_write(destination / name, content)
    check = read_table(destination / "bus_data.csv", ("ID", "Case"))
    print(f"{len(check)} images of {check['Case'].nunique()} patients, {sum(map(len, files.values())) / 1e6:.2f} MB")


def _uniform(seed: int, *parts: str) -> float:
    """Return a number in [0, 1) that depends on the arguments alone."""
    digest = hashlib.sha256("/".join([str(seed), *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


if __name__ == "__main__":
    main()

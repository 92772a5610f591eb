"""Pack the embedded copy of BrEaST-Lesions_USG; the same input gives the same files.

    python recipes/subsets/make_breast_lesions_usg.py FOLDER

All 256 images, reduced to a longest side of 192 pixels and packed near-losslessly; `labels.csv` keeps the columns of
the clinical table that the reader uses.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from near_lossless_png import encode

from usbench.core.atomic_files import atomic_write

LONGEST_SIDE = 192
DESTINATION = Path(__file__).resolve().parents[2] / "tasks" / "usbench_tasks" / "data" / "breast_lesions_usg"
COLUMNS = ["file", "CaseID", "BIRADS", "Verification", "Diagnosis", "Classification"]

README = """# BrEaST-Lesions_USG, embedded copy

{images} breast ultrasound images, one per patient: {benign} benign, {malignant} malignant, {normal} normal. Changes
from the published data: images were made grey and reduced to a longest side of {side} pixels, differences between
neighbouring pixels were rounded before packing (at most 4 grey levels of 255, see
`recipes/subsets/near_lossless_png.py` of the source repository), masks were left out, and `labels.csv` keeps six
columns of the clinical table. `SHA256SUMS` lists every file.

Licence: Creative Commons Attribution 4.0 International (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/. Work
that uses these images has to cite

> {citation}

and the data themselves, doi:10.7937/9WKK-Q141.
"""


def main() -> None:
    """Write the copy."""
    import imagecodecs
    from PIL import Image
    from usbench_tasks.datasets.breast_lesions_usg import CITATION, CLASSES, BreastLesionsUsg

    from usbench.data.label_table import read_table

    parser = argparse.ArgumentParser(description="Pack the embedded copy of BrEaST-Lesions_USG.")
    parser.add_argument("source", type=Path, help="folder with labels.csv and images")
    parser.add_argument("--destination", type=Path, default=DESTINATION)
    arguments = parser.parse_args()
    source, destination = arguments.source, arguments.destination

    index = BreastLesionsUsg(source).index.table
    files: dict[str, bytes] = {}
    for path in index["path"]:
        with Image.open(source / path) as picture:
            grey = picture.convert("L")
            grey.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
            name = f"images/{Path(path).stem}.png"
            files[name] = encode(np.asarray(grey), lambda data: bytes(imagecodecs.zopfli_encode(data)))
    table = read_table(source / "labels.csv", COLUMNS, ("BIRADS",))[COLUMNS]
    table["file"] = table["file"].map(lambda name: f"images/{Path(name).stem}.png")
    files["labels.csv"] = table.to_csv(index=False, lineterminator="\n").encode()
    counts = {kind: int(index["finding"].eq(kind).sum()) for kind in CLASSES}
    readme = README.format(images=len(index), side=LONGEST_SIDE, citation=CITATION, **counts)
    files["README.md"] = readme.encode()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(files.items())]
    files["SHA256SUMS"] = ("\n".join(sums) + "\n").encode()
    for name, content in files.items():
        atomic_write(destination / name, content)
    print(f"{len(index)} images, {sum(map(len, files.values())) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

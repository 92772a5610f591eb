"""Porcine spinal-cord injury: images with hematoma boxes, in a detection layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# What is assumed of the published folder. The layout could not be checked against the original; whoever finds
# otherwise changes these lines, or brings a manifest with path, subject, split and hematoma instead.
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folder name of a split and the author's split it is."""

LAYOUTS = (("{split}/images", "{split}/labels"), ("images/{split}", "labels/{split}"))
"""Where images and label files of a split may lie; the first layout that is found counts."""

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
ANIMAL = re.compile(r"(?:pig|animal|subject|swine)[ _-]?(\d+)", re.IGNORECASE)
"""How a file name tells the animal, if it does."""

# A label file has one line a box: class, then at least four numbers. Any box is a hematoma; a label file that is
# empty or absent says that there is none.


class SpinalCordInjury(Dataset):
    """Index of one row per image: ``hematoma`` (1 when the image has a box, else 0), ``boxes`` and ``split``.

    The subject is the animal where every file name tells it; otherwise each image stands for itself, and a note
    says that the independence of the split is unverified.
    """

    card = DatasetCard(
        name="spinal-cord-injury",
        title="Porcine spinal-cord injury",
        folders=("spinal_cord_injury", "injury_localization", "SCI"),
        licence="not stated",
        citation=(
            "A. Kumar et al., 'A novel open-source ultrasound dataset with deep learning benchmarks for spinal cord "
            "injury localization and anatomical segmentation', arXiv:2409.16441, 2024"
        ),
        url="https://arxiv.org/abs/2409.16441",
        organ="spinal cord",
        aliases=("spinal-cord", "sci"),
    )

    def read(self) -> Index:
        """List the images of every split and count the boxes of each.

        Raises:
            DataError: No split is found, there are no label files at all, or a label file has a line that is
                not a box.
        """
        import pandas as pd

        notes: list[str] = []
        rows: list[dict[str, object]] = []
        unlabelled = 0
        found = self._found()
        for folder, (images, labels) in found.items():
            for image in sorted(p for p in images.iterdir() if p.suffix.lower() in IMAGES):
                label = labels / f"{image.stem}.txt"
                unlabelled += not label.is_file()
                boxes = _count_boxes(label)
                rows.append(
                    {
                        "path": image.relative_to(self.root).as_posix(),
                        "split": SPLITS[folder],
                        "boxes": boxes,
                        "hematoma": int(boxes > 0),
                    }
                )
        if not rows:
            raise DataError(f"{self.root}: no images in {listed([str(i) for i, _ in found.values()])}.")
        if unlabelled == len(rows):
            raise DataError(f"{self.root}: {len(rows)} images but not one label file. Unpack the labels beside them.")
        if unlabelled:
            notes.append(f"{unlabelled} images have no label file and count as without hematoma.")
        table = pd.DataFrame(rows)
        return Index(table.assign(subject=_animals(table["path"], notes)), tuple(notes))

    def _found(self) -> dict[str, tuple[Path, Path]]:
        for layout in LAYOUTS:
            found = {}
            for split in SPLITS:
                images, labels = (self.root / part.format(split=split) for part in layout)
                if images.is_dir():
                    found[split] = (images, labels)
            if found:
                return found
        expected = " or ".join(images.format(split="train") for images, _ in LAYOUTS)
        raise DataError(
            f"{self.root}: neither {expected} is there. Give the folder of the injury-localisation part, or a manifest."
        )


def _count_boxes(label: Path) -> int:
    if not label.is_file():
        return 0
    boxes = 0
    for number, line in enumerate(label.read_text("utf-8", "replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            values = [float(field) for field in fields]
        except ValueError:
            values = []
        if len(values) < 5:
            raise DataError(f"{label}, line {number}: {line!r} is not a box (class, x, y, width, height).")
        boxes += 1
    return boxes


def _animals(paths: pd.Series[str], notes: list[str]) -> pd.Series[str]:
    animal = paths.str.rsplit("/", n=1).str[-1].str.extract(ANIMAL.pattern, flags=re.IGNORECASE)[0]
    if animal.notna().all():
        return animal.astype(int).astype(str)
    notes.append(
        "The file names do not tell the animals: images count as independent, and whether one animal is on both "
        "sides of the authors' split is unverified."
    )
    return paths

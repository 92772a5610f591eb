"""Draw ``phantoms.png``: three pictures of each simulated dataset, from healthy to severe.

Run ``python docs/phantoms_figure.py`` from the root of the repository; it takes about a minute.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from usbench_tasks.phantoms import build_eye_phantom, build_heart_phantom, build_liver_phantom, build_lung_phantom

from usbench.media import open_media

HERE = Path(__file__).resolve().parent
ROWS = (
    ("eye", build_eye_phantom, "severity", "opacities, grade {}"),
    ("heart", build_heart_phantom, "ef", "ejection fraction {} %"),
    ("liver", build_liver_phantom, "fat", "fat {} %"),
    ("lung", build_lung_phantom, "n_b_lines", "{} B-lines"),
)


def main() -> None:
    """Build twelve subjects of each kind and show the lowest, the middle and the highest."""
    figure, axes = plt.subplots(len(ROWS), 3, figsize=(8.4, 10.4), facecolor="white")
    with tempfile.TemporaryDirectory() as temporary:
        for line, (name, build, column, label) in zip(axes, ROWS, strict=True):
            folder = Path(temporary) / name
            build(folder, n_subjects=12, workers=1)
            with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
                rows = sorted(csv.DictReader(file), key=lambda row: float(row[column]))
            for cell, row in zip(line, (rows[0], rows[len(rows) // 2], rows[-1]), strict=True):
                with open_media(folder / row["path"]) as media:
                    frame = media.frames([0])[0]
                cell.imshow(frame, cmap="gray", vmin=0, vmax=255)
                cell.set_title(f"{name}: {label.format(row[column])}", fontsize=9)
                cell.axis("off")
    figure.suptitle("Simulated: no patient", fontsize=11)
    figure.tight_layout()
    figure.savefig(HERE / "phantoms.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    main()

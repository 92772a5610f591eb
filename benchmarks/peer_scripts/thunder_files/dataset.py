"""The images as thunder asks for a dataset: a description, and the files of each split."""

import json
import os
from pathlib import Path

import pandas as pd

IMAGES, OUT = Path(os.environ["IMAGES"]), Path(os.environ["OUT"])
table = pd.read_csv(IMAGES / "manifest.csv")
# It chooses rate and decay on images of their own: the second fold, which the others train on.
table.loc[table["fold"] == 2, "split"] = "val"
splits = {
    split: {"images": [str(IMAGES / path) for path in rows["path"]], "labels": rows["label"].tolist()}
    for split, rows in table.groupby("split")
}
(OUT / "splits.json").write_text(json.dumps(splits))
described = {
    "dataset_name": "busbra",
    "nb_classes": 2,
    "data_splits": str(OUT / "splits.json"),
    "compatible_tasks": ["pre_computing_embeddings", "linear_probing"],
    "classes": ["benign", "malignant"],
}
(OUT / "busbra.yaml").write_text(json.dumps(described))

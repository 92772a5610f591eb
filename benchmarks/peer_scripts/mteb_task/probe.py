"""A linear probe by mteb: one task of one's own, one encoder of one's own, results kept in its cache."""

import os
from pathlib import Path

import mteb
import numpy as np
import pandas as pd
import timm
import torch
from datasets import Dataset, DatasetDict, Image
from mteb.abstasks import AbsTaskClassification
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.cache import ResultCache
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta
from torchvision import transforms

IMAGES, OUT = Path(os.environ["IMAGES"]), Path(os.environ["OUT"])


class BusBra(AbsTaskClassification):
    """Malignant or benign, on the official first fold; every training image is used, once."""

    input_column_name = "image"
    samples_per_label = 100_000
    n_experiments = 1
    metadata = TaskMetadata(
        name="BusBra",
        description="Malignant or benign, from one ultrasound image.",
        dataset={"path": "local", "revision": "1"},
        type="ImageClassification",
        category="i2c",
        modalities=["image"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="accuracy",
    )

    def load_data(self, **kwargs):
        """Read the table in place of a dataset of the hub."""
        table = pd.read_csv(IMAGES / "manifest.csv")
        self.dataset = DatasetDict()
        for split, rows in table.groupby("split"):
            images = [str(IMAGES / path) for path in rows["path"]]
            held = Dataset.from_dict({"image": images, "label": rows["label"].tolist()})
            self.dataset[split] = held.cast_column("image", Image())
        self.data_loaded = True


class ViT(AbsEncoder):
    """The network, frozen."""

    def __init__(self):
        self.mteb_model_meta = ModelMeta.create_empty({"name": "own/vit-s", "revision": "1", "modalities": ["image"]})
        self.model = timm.create_model("vit_small_patch16_224", num_classes=0).eval()
        self.model.load_state_dict(torch.load(os.environ["WEIGHTS"]))
        size, half = transforms.Resize((224, 224)), transforms.Normalize([0.5] * 3, [0.5] * 3)
        self.transform = transforms.Compose([size, transforms.ToTensor(), half])

    @torch.inference_mode()
    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs):
        """Encode what the loader gives."""
        found = []
        for batch in inputs:
            tensors = [self.transform(image.convert("RGB")) for image in batch["image"]]
            found.append(self.model(torch.stack(tensors)).numpy())
        vectors = np.concatenate(found)
        np.save(OUT / f"{hf_split}.npy", vectors)  # for the comparison of vectors
        return vectors


result = mteb.evaluate(ViT(), BusBra(), cache=ResultCache(OUT / "cache"), encode_kwargs={"batch_size": 32})
print(result.task_results[0].get_score())

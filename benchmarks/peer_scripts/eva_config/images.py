"""The images as eva asks for a dataset."""

from pathlib import Path

import pandas as pd
import torch
from eva.vision.data.datasets.vision import VisionDataset
from PIL import Image
from torchvision import tv_tensors


class BusBra(VisionDataset):
    """One split of the table."""

    def __init__(self, root: str, split: str, transforms=None) -> None:
        super().__init__(transforms=transforms)
        self.root, self.split = Path(root), split

    def configure(self) -> None:
        """Read the table."""
        table = pd.read_csv(self.root / "manifest.csv")
        self.rows = table[table["split"] == self.split]

    def __len__(self) -> int:
        return len(self.rows)

    def filename(self, index: int) -> str:
        """Name the file of an image, under the root."""
        return self.rows["path"].iloc[index]

    def load_data(self, index: int) -> tv_tensors.Image:
        """Read an image."""
        return tv_tensors.Image(Image.open(self.root / self.filename(index)).convert("RGB"))

    def load_target(self, index: int) -> torch.Tensor:
        """Return its class."""
        return torch.tensor(int(self.rows["label"].iloc[index]))

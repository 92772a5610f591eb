"""A linear probe by clip-benchmark, with its defaults, on loaders of one's own."""

import csv
import json
import os
from pathlib import Path

import timm
import torch
from clip_benchmark.metrics import linear_probe
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

IMAGES, OUT = Path(os.environ["IMAGES"]), Path(os.environ["OUT"])
DEVICE = "cuda"


class BusBra(torch.utils.data.Dataset):
    """One split of the table."""

    def __init__(self, split):
        with (IMAGES / "manifest.csv").open() as table:
            self.rows = [row for row in csv.DictReader(table) if row["split"] == split]
        size, half = transforms.Resize((224, 224)), transforms.Normalize([0.5] * 3, [0.5] * 3)
        self.transform = transforms.Compose([size, transforms.ToTensor(), half])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        row = self.rows[i]
        return self.transform(Image.open(IMAGES / row["path"]).convert("RGB")), int(row["label"])


class ViT(torch.nn.Module):
    """The network, as the library asks for one."""

    def __init__(self):
        super().__init__()
        self.network = timm.create_model("vit_small_patch16_224", num_classes=0).eval()
        self.network.load_state_dict(torch.load(os.environ["WEIGHTS"]))

    def encode_image(self, images):
        """Encode a batch."""
        return self.network(images)


def main():
    """Probe, and write the metrics."""
    result = linear_probe.evaluate(
        ViT(),
        DataLoader(BusBra("train"), batch_size=64),
        DataLoader(BusBra("test"), batch_size=64),
        fewshot_k=-1,
        batch_size=64,
        num_workers=0,
        lr=0.1,
        epochs=10,
        model_id="vit-s",
        seed=0,
        feature_root=str(OUT / "features"),
        device=DEVICE,
        amp=False,
    )
    (OUT / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()

"""The network as thunder asks for one."""

import os

import timm
import torch
from thunder.models.pretrained_models import PretrainedModel
from torchvision import transforms


class ViT(PretrainedModel):
    """The network, frozen."""

    def __init__(self):
        super().__init__()
        self.name, self.emb_dim, self.vlm = "vit-s", 384, False
        self.network = timm.create_model("vit_small_patch16_224", num_classes=0)
        self.network.load_state_dict(torch.load(os.environ["WEIGHTS"]))

    def get_transform(self):
        """Return what is done to an image."""
        size, half = transforms.Resize((224, 224)), transforms.Normalize([0.5] * 3, [0.5] * 3)
        return transforms.Compose([size, transforms.ToTensor(), half])

    def get_linear_probing_embeddings(self, x):
        """Encode a batch."""
        return self.network(x)

    def get_segmentation_embeddings(self, x):
        """Refuse: nothing is segmented here."""
        raise NotImplementedError

"""The network as it is trained: with its heads, its four views and the sum of its losses."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tusa.errors import TusaError
from tusa.network import Tusa
from tusa.objective.backbones import Backbone, load_backbone, perceptual_distance
from tusa.objective.consistency import colour_consistency
from tusa.objective.contrastive import nt_xent
from tusa.objective.distillation import feature_prediction
from tusa.objective.entropy import negative_channel_entropy
from tusa.objective.reconstruction import absolute_error, structural_dissimilarity
from tusa.sparsemax import sparsemax
from tusa.training.augment import colour_view, spatial_view
from tusa.training.config import ObjectiveConfig, Phase, TrainConfig
from tusa.training.ranks import ALONE, Ranks


class Views(NamedTuple):
    """Four views of each of B images, at the size of a phase.

    Attributes:
        clean: ``[2B, 1, S, S]`` in [-1, 1]: first spatial view of every image, then the second.
        coloured: ``[4B, 1, S, S]``: ``clean`` coloured once, then again.
        detailed: ``[2B, 1, S', S']``: ``clean`` at the backbone's size; empty where nothing is distilled.
        subjects: integer ``[B]``.
    """

    clean: Tensor
    coloured: Tensor
    detailed: Tensor
    subjects: Tensor


def make_views(images: Tensor, subjects: Tensor, size: int, config: TrainConfig, ranks: Ranks = ALONE) -> Views:
    """Augment uint8 ``[B, H, W]`` images as the paper does: twice in space, each twice in colour."""
    detail = config.objective.backbone_size if config.objective.distillation else 0
    crops = torch.cat([spatial_view(images, max(size, detail), config.augment, ranks) for _ in range(2)])
    clean = crops
    if crops.shape[-1] != size:
        clean = nn.functional.interpolate(crops, (size, size), mode="bilinear", antialias=True)
    coloured = torch.cat([colour_view(clean, config.augment, 2, ranks) for _ in range(2)])
    if detail and crops.shape[-1] != detail:
        detailed = nn.functional.interpolate(crops, (detail, detail), mode="bilinear", antialias=True)
    else:
        detailed = crops if detail else crops[:0]
    return Views(clean * 2 - 1, coloured * 2 - 1, detailed * 2 - 1, subjects)


class Learner(nn.Module):
    """TUSA, a projection head, an optional prediction head, and the objective.

    Args:
        config: the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        objective = config.objective
        backbone = load_backbone(
            objective.backbone, Path(objective.backbone_weights) if objective.backbone_weights else None
        )
        if backbone is None and (objective.perceptual or objective.distillation):
            raise TusaError(
                "objective.perceptual and objective.distillation need a backbone: set objective.backbone, "
                "or set their weights to 0."
            )
        self.objective = objective
        self.tusa = Tusa(config.network)
        width = config.network.embedding_size
        self.head = _head(width, objective)
        # Kept out of the module's children: the backbone is neither trained nor saved.
        self._backbone: tuple[Backbone | None] = (backbone,)
        self.predictor: nn.Module | None = None
        self.target_norm: nn.BatchNorm1d | None = None
        if backbone is not None and objective.distillation:
            with torch.no_grad():
                features = backbone.pooled(torch.zeros(1, 1, 64, 64)).shape[1]
            self.predictor = nn.Linear(width, features)
            self.target_norm = nn.BatchNorm1d(features, affine=False)

    @property
    def backbone(self) -> Backbone | None:
        """The frozen feature extractor, if the run has one."""
        return self._backbone[0]

    def forward(self, views: Views, decoded: int, ranks: Ranks = ALONE) -> dict[str, Tensor]:
        """The terms of the objective for one part of a step, unweighted.

        Args:
            views: of B images.
            decoded: for how many of the images the first spatial view is decoded and painted.
            ranks: this device among all; contrast, batch norms and the use of the channels are of the joined batch.

        Returns:
            A scalar for each term with a weight, by the names of :class:`ObjectiveConfig`; where something is
            decoded also ``usage``, the share of pixels of each channel, without gradient.
        """
        weights = self.objective
        count = len(views.subjects)
        states = self.tusa.hidden_states(views.coloured)
        encodings = states[-1].mean(dim=(2, 3))
        terms: dict[str, Tensor] = {}
        if weights.contrastive:
            terms["contrastive"] = self._contrast(encodings, views.subjects, ranks)
        if self.predictor is not None and self.target_norm is not None and self.backbone is not None:
            with torch.no_grad():
                features = ranks.own(self.target_norm(ranks.join(self.backbone.pooled(views.detailed).float())))
            terms["distillation"] = feature_prediction(self.predictor(encodings), features.repeat(2, 1))
        if decoded:
            # Both colourings of the first spatial view of the first images.
            rows = torch.cat([torch.arange(decoded), torch.arange(decoded) + 2 * count]).to(encodings.device)
            logits = self.tusa.decode(views.coloured[rows], [state[rows] for state in states])
            target = views.clean[:decoded].repeat(2, 1, 1, 1)
            terms |= self._paint(logits, target, decoded, ranks)
        return terms

    def _contrast(self, encodings: Tensor, subjects: Tensor, ranks: Ranks) -> Tensor:
        count = len(subjects)
        images = torch.arange(count, device=encodings.device).repeat(4)
        images = torch.cat([images + rank * count for rank in range(ranks.size)])
        # Joined before the head, whose batch norm then sees what a single device would see.
        projected = self.head(ranks.join(encodings))
        return nt_xent(projected, images, self.objective.temperature, ranks.join(subjects.repeat(4)))

    def _paint(self, logits: Tensor, target: Tensor, decoded: int, ranks: Ranks) -> dict[str, Tensor]:
        weights, backbone = self.objective, self.backbone
        maps = sparsemax(logits.float(), dim=1)
        painted = self.tusa.painter(maps)
        terms: dict[str, Tensor] = {"usage": maps.detach().mean(dim=(0, 2, 3))}
        if weights.consistency:
            terms["consistency"] = colour_consistency(logits[:decoded], logits[decoded:])
        if weights.absolute:
            terms["absolute"] = absolute_error(painted, target)
        if weights.structural:
            terms["structural"] = structural_dissimilarity(painted, target)
        if weights.entropy:
            terms["entropy"] = negative_channel_entropy(ranks.join(maps.mean(dim=(0, 2, 3), keepdim=True)))
        if weights.perceptual and backbone is not None:
            terms["perceptual"] = perceptual_distance(backbone, painted, target)
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the terms."""
        parts = [getattr(self.objective, name) * value for name, value in terms.items() if name != "usage"]
        return torch.stack(parts).sum()


def _head(width: int, objective: ObjectiveConfig) -> nn.Module:
    if objective.head_depth == 0:
        return nn.Identity()
    layers: list[nn.Module] = []
    for _ in range(objective.head_depth - 1):
        layers += [nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, objective.head_size))


def split_views(views: Views, parts: int) -> list[Views]:
    """Cut a step's views into parts of whole images, for gradient accumulation."""
    if parts == 1:
        return [views]

    def cut(tensor: Tensor, copies: int) -> list[Tensor]:
        # Copies come one after the other, so a part takes the same images of every copy.
        rows = tensor.reshape(copies, -1, *tensor.shape[1:]) if len(tensor) else tensor.expand(copies, 0, -1, -1, -1)
        return [part.flatten(0, 1) for part in torch.tensor_split(rows, parts, dim=1)]

    clean, coloured, detailed = cut(views.clean, 2), cut(views.coloured, 4), cut(views.detailed, 2)
    subjects = views.subjects.chunk(parts)
    return [Views(*part) for part in zip(clean, coloured, detailed, subjects, strict=True)]


def parts_of(phase: Phase) -> tuple[int, int]:
    """How many parts a step has, and how many images each part decodes."""
    return phase.accumulate, phase.decoded // phase.accumulate

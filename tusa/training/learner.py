"""The network as it is trained: with its heads, its views and the sum of its losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tusa.errors import TusaError
from tusa.network import Tusa
from tusa.objective.backbones import Backbone, load_backbone, perceptual_distance
from tusa.objective.consistency import colour_consistency
from tusa.objective.contrastive import nt_xent
from tusa.objective.distillation import feature_matching, feature_prediction, relation
from tusa.objective.entropy import negative_channel_entropy
from tusa.objective.reconstruction import absolute_error, structural_dissimilarity
from tusa.objective.spread import nearest_neighbour_entropy, variance_covariance
from tusa.sparsemax import sparsemax
from tusa.swin import swin_states, window_masks
from tusa.training.config import ObjectiveConfig, Phase, TrainConfig
from tusa.training.ranks import ALONE, Ranks
from tusa.training.views import Views


class Encodings(NamedTuple):
    """What the encoder makes of a part of a step.

    Attributes:
        large: ``[C * 2B, D]``: of the large views, in the order of :attr:`Views.coloured`.
        small: ``[L * B, D]``: of the small views.
        maps: the five maps of what is decoded, ``[2 * decoded, ...]``; none where nothing is.
    """

    large: Tensor
    small: Tensor
    maps: list[Tensor]


class Learner(nn.Module):
    """TUSA, a projection head, optional prediction heads, and the objective.

    Args:
        config: the run.
        teacher_size: length of a teacher's vectors, where the run has one.
    """

    def __init__(self, config: TrainConfig, teacher_size: int = 0) -> None:
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
        self.colours = config.augment.colours
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
        self.reader: nn.Module | None = nn.Linear(width, teacher_size) if objective.taught else None
        self._masks: dict[tuple[int, int, torch.device], list[Tensor | None]] = {}
        self._states: Callable[..., list[Tensor]] = swin_states
        self._decode: Callable[..., Tensor] = self.tusa.decode

    @property
    def backbone(self) -> Backbone | None:
        """The frozen feature extractor, if the run has one."""
        return self._backbone[0]

    def compile_passes(self) -> None:
        """Pass encoder and decoder through ``torch.compile``, for each size that comes; eager where that fails."""
        # One graph a size, for training, and every phase has its own sizes.
        torch._dynamo.config.cache_size_limit = max(64, torch._dynamo.config.cache_size_limit)
        self._states = _Compiled(swin_states, "encoder")
        self._decode = _Compiled(self.tusa.decode, "decoder")

    def forward(
        self, views: Views, decoded: int, ranks: Ranks = ALONE, gradient: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The terms of the objective for one part of a step, unweighted.

        Args:
            views: of B images.
            decoded: for how many of the images the first spatial view is decoded and painted.
            ranks: this device among all; what is between images, batch norms and the use of the channels are of the
                joined batch.
            gradient: of the terms between images with respect to this part's encodings, where those terms were
                computed on the whole step by :meth:`between`; they are then left out, and ``between`` is a number
                without a meaning of its own whose gradient is theirs.

        Returns:
            A scalar for each term with a weight, by the names of :class:`ObjectiveConfig`; where something is
            decoded also ``usage``, the share of pixels of each channel, without gradient.
        """
        encodings = self.encode(views, decoded)
        if gradient is None:
            terms = self.between(encodings, views, ranks)
        else:
            given = zip((encodings.large, encodings.small), gradient, strict=True)
            terms = {"between": torch.stack([(value.float() * slope).sum() for value, slope in given]).sum()}
        if self.predictor is not None and self.target_norm is not None and self.backbone is not None:
            with torch.no_grad():
                features = ranks.own(self.target_norm(ranks.join(self.backbone.pooled(views.detailed).float())))
            terms["distillation"] = feature_prediction(
                self.predictor(encodings.large), features.repeat(self.colours, 1)
            )
        if decoded:
            images = torch.cat([views.coloured[:decoded], self._second(views, decoded)])
            logits = self._decode(images, encodings.maps)
            target = views.clean[:decoded].repeat(2, 1, 1, 1)
            terms |= self._paint(logits, target, decoded, ranks)
        return terms

    def encode(self, views: Views, decoded: int = 0) -> Encodings:
        """Encode a part of a step: its large views, its small ones, and what the decoder needs."""
        count = len(views.coloured)
        images, rows = views.coloured, []
        if decoded and self.colours == 1:
            images = torch.cat([views.coloured, views.second])
            rows = [(0, decoded), (count, count + decoded)]
        elif decoded:
            rows = [(0, decoded), (count // 2, count // 2 + decoded)]
        states = self._states(self.tusa.unet.swinViT, images, self._masks_of(images), tuple(rows))
        large = self.tusa.pool(states[-1][:count])
        small = large[:0]
        if len(views.local):
            last = self._states(self.tusa.unet.swinViT, views.local, self._masks_of(views.local), ())[-1]
            small = self.tusa.pool(last)
        maps = [*states[:-1], torch.cat([states[-1][a:b] for a, b in rows])] if rows else []
        return Encodings(large, small, maps)

    def _second(self, views: Views, decoded: int) -> Tensor:
        count = len(views.coloured)
        return views.second if self.colours == 1 else views.coloured[count // 2 : count // 2 + decoded]

    def _masks_of(self, images: Tensor) -> list[Tensor | None]:
        key = (images.shape[2], images.shape[3], images.device)
        if key not in self._masks:
            self._masks[key] = window_masks(self.tusa.unet.swinViT, key[:2], images.device)
        return self._masks[key]

    def between(self, encodings: Encodings, views: Views, ranks: Ranks = ALONE) -> dict[str, Tensor]:
        """The terms that compare images with each other, by the names of :class:`ObjectiveConfig`."""
        weights, terms = self.objective, dict[str, Tensor]()
        large, subjects = ranks.join(encodings.large), ranks.join(views.subjects.repeat(2 * self.colours))
        if weights.contrastive:
            terms["contrastive"] = self._contrast(encodings, views.subjects, ranks)
        if self.reader is not None:
            target = ranks.join(views.targets.repeat(self.colours, 1))
            read = self.reader(large)
            if weights.teacher_prediction:
                terms["teacher_prediction"] = feature_prediction(read, target)
            if weights.teacher_matching:
                terms["teacher_matching"] = feature_matching(read, target, subjects, weights.teacher_temperature)
            if weights.teacher_relation:
                terms["teacher_relation"] = relation(large, target, weights.teacher_temperature)
        if weights.neighbours:
            count = len(views.subjects)
            own = ranks.join(views.subjects)
            sides = [ranks.join(encodings.large[start : start + count]) for start in (0, count)]
            terms["neighbours"] = torch.stack([nearest_neighbour_entropy(side, own) for side in sides]).mean()
        if weights.variance or weights.covariance:
            scaled = nn.functional.normalize(large.float(), dim=1) * large.shape[1] ** 0.5
            variance, covariance = variance_covariance(scaled)
            terms |= {"variance": variance} if weights.variance else {}
            terms |= {"covariance": covariance} if weights.covariance else {}
        return terms

    def _contrast(self, encodings: Encodings, subjects: Tensor, ranks: Ranks) -> Tensor:
        count, device = len(subjects), subjects.device
        large, small = len(encodings.large), len(encodings.small)
        copies = (large + small) // count
        images = torch.arange(count, device=device).repeat(copies)
        images = torch.cat([images + rank * count for rank in range(ranks.size)])
        is_small = (torch.arange(large + small, device=device) >= large).repeat(ranks.size) if small else None
        # Joined before the head, whose batch norm then sees what a single device would see.
        projected = self.head(ranks.join(torch.cat([encodings.large, encodings.small])))
        return nt_xent(projected, images, self.objective.temperature, ranks.join(subjects.repeat(copies)), is_small)

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
        parts = [
            value if name == "between" else getattr(self.objective, name) * value
            for name, value in terms.items()
            if name != "usage"
        ]
        return torch.stack(parts).sum()


class _Compiled:
    """A function through ``torch.compile``; the function itself from the first time that this fails."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._plain, self._name = function, name
        self._function: Callable[..., Any] = torch.compile(function, dynamic=False)

    def __call__(self, *args: Any) -> Any:
        try:
            return self._function(*args)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever a compiler may raise, among it classes of its own for each back end.
            if self._function is self._plain:
                raise
            warnings.warn(f"The {self._name} is not compiled ({type(error).__name__}: {error}).", stacklevel=2)
            self._function = self._plain
            return self._plain(*args)


def _head(width: int, objective: ObjectiveConfig) -> nn.Module:
    if objective.head_depth == 0:
        return nn.Identity()
    layers: list[nn.Module] = []
    for _ in range(objective.head_depth - 1):
        layers += [nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, objective.head_size))


def joined_encodings(parts: Sequence[Encodings], colours: int, local_crops: int) -> Encodings:
    """The encodings of a step's parts as those of one part that holds all its images; leaves for a gradient."""

    def join(name: str, copies: int) -> Tensor:
        rows: list[Tensor] = [getattr(part, name).detach().float() for part in parts]
        if copies:
            rows = [torch.cat([torch.unflatten(part, 0, (copies, -1)) for part in rows], dim=1).flatten(0, 1)]
        return rows[0].requires_grad_()

    return Encodings(join("large", 2 * colours), join("small", local_crops), [])


def parted_gradient(whole: Encodings, parts: int, colours: int, local_crops: int) -> list[tuple[Tensor, Tensor]]:
    """Cut the gradient that :func:`joined_encodings` gathered into those of the parts."""

    def cut(leaf: Tensor, copies: int) -> list[Tensor]:
        slope = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        if not copies:
            return [slope] * parts
        return [part.flatten(0, 1) for part in torch.unflatten(slope, 0, (copies, -1)).tensor_split(parts, dim=1)]

    return list(zip(cut(whole.large, 2 * colours), cut(whole.small, local_crops), strict=True))


def parts_of(phase: Phase) -> tuple[int, int]:
    """How many parts a step has, and how many images each part decodes."""
    return phase.accumulate, phase.decoded // phase.accumulate

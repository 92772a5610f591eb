"""The TUSA network: a SwinUNETR that segments textures, and one kernel a texture that paints the image again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tusa.errors import TusaError
from tusa.sparsemax import sparsemax


@dataclass(frozen=True)
class TusaConfig:
    """Everything that decides the network's shape.

    Attributes:
        channels: texture channels K (the paper: 5).
        kernel_size: side of each texture's kernel in pixels, odd (the paper does not state it).
        kernel_scales: dilations of the kernels. ``(1,)`` is the paper's single scale; ``(1, 2, 4)`` gives
            every channel three kernels, whose answers are summed (the paper's own outlook, section IV).
        image_size: side of the square input in pixels, a multiple of 32 from 64.
        feature_size: width of the first stage; the embedding is 16 times as long.
        depths: transformer blocks a stage.
        num_heads: attention heads a stage.
        window_size: side of an attention window, in tokens.
        pooling: how :meth:`Tusa.encode` makes a vector of a map: ``mean``, or ``gem`` for the generalised mean.
        gem_power: power of the generalised mean; 1 is the mean of what is positive, more is nearer to the maximum.
    """

    channels: int = 5
    kernel_size: int = 7
    kernel_scales: tuple[int, ...] = (1,)
    image_size: int = 128
    feature_size: int = 36
    depths: tuple[int, int, int, int] = (2, 3, 4, 5)
    num_heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window_size: int = 7
    pooling: str = "mean"
    gem_power: float = 3.0

    def __post_init__(self) -> None:
        # TOML and JSON have no tuples: accept lists, keep the dataclass hashable.
        for name in ("kernel_scales", "depths", "num_heads"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.channels < 2:
            raise TusaError(f"channels = {self.channels}: textures compete, so there must be at least 2.")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise TusaError(f"kernel_size = {self.kernel_size}: use an odd number of pixels, such as 7.")
        if not self.kernel_scales or min(self.kernel_scales) < 1:
            raise TusaError(f"kernel_scales = {self.kernel_scales}: give one dilation or more, each at least 1.")
        if self.image_size < 64 or self.image_size % 32:
            raise TusaError(f"image_size = {self.image_size}: use a multiple of 32 pixels from 64, such as 128.")
        if self.pooling not in ("mean", "gem"):
            raise TusaError(f"pooling = {self.pooling!r}: use 'mean' or 'gem'.")
        if self.gem_power <= 0:
            raise TusaError(f"gem_power = {self.gem_power}: use a positive number, such as 3.")
        if self.feature_size % 12:
            raise TusaError(f"feature_size = {self.feature_size}: use a multiple of 12, such as 36.")

    @property
    def embedding_size(self) -> int:
        """Length of the latent vector that :meth:`Tusa.encode` returns by default."""
        return 16 * self.feature_size

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TusaConfig:
        """Rebuild a configuration from :meth:`to_dict`.

        Raises:
            TusaError: when a key is not a field of the configuration.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise TusaError(f"Unknown network settings {unknown}; the known ones are {sorted(known)}.")
        return cls(**values)


class TusaOutput(NamedTuple):
    """What one forward pass gives, each of shape ``[B, ., H, W]``.

    Attributes:
        reconstruction: the image painted from its textures, one channel in [-1, 1].
        textures: K maps in [0, 1] that sum to one at every pixel.
        logits: the K scores before sparsemax.
    """

    reconstruction: Tensor
    textures: Tensor
    logits: Tensor


class TextureKernels(nn.Module):
    """Paint an image from texture maps: a kernel of its own for each channel, then 1x1 and tanh.

    Borders are padded by reflection of the maps, so that a texture does not fade at the edge of the image.
    """

    def __init__(self, channels: int, kernel_size: int, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.kernels: nn.ModuleList = nn.ModuleList(
            nn.Conv2d(
                channels,
                channels,
                kernel_size,
                padding=scale * (kernel_size // 2),
                dilation=scale,
                groups=channels,
                bias=False,
                padding_mode="reflect" if kernel_size > 1 else "zeros",
            )
            for scale in scales
        )
        self.combine = nn.Conv2d(channels, 1, 1)

    def forward(self, textures: Tensor) -> Tensor:
        """Paint ``[B, K, H, W]`` texture maps as a ``[B, 1, H, W]`` image in [-1, 1]."""
        strokes: Tensor = self.kernels[0](textures)
        for kernel in self.kernels[1:]:
            strokes = strokes + kernel(textures)
        return torch.tanh(self.combine(strokes))

    @torch.no_grad()
    def brightness(self) -> Tensor:
        """Grey level, in [-1, 1], that an area filled by each single texture is painted with: ``[K]``."""
        sums = sum(kernel.get_parameter("weight").sum(dim=(1, 2, 3)) for kernel in self.kernels)
        return torch.tanh(self.combine.get_parameter("weight").flatten() * sums + self.combine.get_parameter("bias"))


def generalised_mean(maps: Tensor, power: float) -> Tensor:
    """The root of the mean power of what is positive in a map (GeM): float32 ``[B, C]`` of ``[B, C, H, W]``.

    Source:
        Radenovic, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018, eq. 3.
    """
    return maps.float().clamp(min=1e-6).pow(power).mean(dim=(2, 3)).pow(1 / power)


class Tusa(nn.Module):
    """The network of the paper (Fig. 1), usable whole or as a frozen encoder.

    ``unet`` is MONAI's ``SwinUNETR`` with the parameter names of the authors' published file; its encoder is
    ``unet.swinViT``, with 9,120,756 parameters in the default configuration.

    Args:
        config: the shape of the network; the paper's by default.

    Source:
        Paper, section II-A.1.
    """

    def __init__(self, config: TusaConfig | None = None) -> None:
        super().__init__()
        from monai.networks.nets import SwinUNETR

        self.config = config = config or TusaConfig()
        self.unet: Any = SwinUNETR(
            spatial_dims=2,
            in_channels=1,
            out_channels=config.channels,
            feature_size=config.feature_size,
            depths=config.depths,
            num_heads=config.num_heads,
            window_size=config.window_size,
            patch_size=2,
            use_v2=True,
        )
        self.painter = TextureKernels(config.channels, config.kernel_size, config.kernel_scales)
        self.without_decoder = ""
        """Why there is no trained decoder; empty where there is one."""

    def hidden_states(self, images: Tensor) -> list[Tensor]:
        """The encoder's five maps, finest first, each normalised over its channels at every position.

        Args:
            images: ``[B, 1, H, W]`` in [-1, 1]; H and W of at least 32, and multiples of 32 if the maps are
                to be decoded.

        Returns:
            Maps ``[B, feature_size * 2**s, H / 2**(s+1), W / 2**(s+1)]`` for s = 0 ... 4.

        Raises:
            TusaError: when the shape of ``images`` is another.
        """
        if images.ndim != 4 or images.shape[1] != 1 or min(images.shape[2:]) < 32:
            raise TusaError(
                f"TUSA takes [B, 1, H, W] with H and W of at least 32; got {list(images.shape)}. "
                "Use tusa.preprocess on each frame and stack the results."
            )
        states: list[Tensor] = self.unet.swinViT(images, normalize=True)
        return states

    def decode(self, images: Tensor, states: list[Tensor]) -> Tensor:
        """Texture scores from the encoder's maps.

        Separate from the encoder, so that training can decode a part of a batch only.

        Args:
            images: the images that were encoded, ``[B, 1, H, W]``.
            states: what :meth:`hidden_states` gave for them.

        Returns:
            Logits ``[B, K, H, W]``.

        Raises:
            TusaError: when the weights were those of an encoder alone.
        """
        if self.without_decoder:
            raise TusaError(
                f"{self.without_decoder}: no textures and no reconstruction. Encode with it, or load open-v2."
            )
        unet = self.unet
        skips = (unet.encoder1(images), *(unet.get_submodule(f"encoder{i + 2}")(states[i]) for i in range(3)))
        result: Tensor = unet.encoder10(states[4])
        for name, skip in zip(
            ("decoder5", "decoder4", "decoder3", "decoder2", "decoder1"),
            (states[3], *reversed(skips)),
            strict=True,
        ):
            result = unet.get_submodule(name)(result, skip)
        result = unet.out(result)
        return result

    def encode(self, images: Tensor, stage: int = -1) -> Tensor:
        """The latent vector: one of the encoder's maps, pooled over its positions (by their mean as the default).

        Args:
            images: ``[B, 1, H, W]`` in [-1, 1].
            stage: which of the five maps; the deepest by default.

        Returns:
            ``[B, 16 * feature_size]`` for the deepest stage (576 by default), half as many a stage up.
        """
        states = self.hidden_states(images)
        if not -len(states) <= stage < len(states):
            raise TusaError(f"stage = {stage}: the encoder has {len(states)} stages, 0 to {len(states) - 1}.")
        return self.pool(states[stage])

    def pool(self, maps: Tensor) -> Tensor:
        """One vector a map, by the configuration's pooling: ``[B, C]`` of ``[B, C, H, W]``."""
        return maps.mean(dim=(2, 3)) if self.config.pooling == "mean" else generalised_mean(maps, self.config.gem_power)

    def textures(self, images: Tensor) -> Tensor:
        """Texture maps ``[B, K, H, W]``: non-negative, one in sum at every pixel, mostly zero or one.

        Index 0 is the brightest texture of a network that was loaded or exported (:meth:`order_channels`).
        """
        return sparsemax(self.decode(images, self.hidden_states(images)), dim=1)

    def forward(self, images: Tensor) -> TusaOutput:
        """Segment textures and paint the image again from them."""
        logits = self.decode(images, self.hidden_states(images))
        maps = sparsemax(logits, dim=1)
        return TusaOutput(self.painter(maps), maps, logits)

    @torch.no_grad()
    def order_channels(self) -> list[int]:
        """Renumber the channels from the brightest texture to the darkest, in place, as in the paper's Fig. 2.

        The network's function is unchanged but for the numbering of the maps: index 0, which sheets and files call
        channel 1, becomes the most echogenic (bone, pleura), the last one the least (fluid, shadow). Networks that
        are loaded or exported are in this order already; one in training is not.

        Returns:
            For each new channel, the number that it had before.
        """
        order = self.painter.brightness().argsort(descending=True).tolist()
        head: nn.Conv2d = self.unet.out.conv.conv
        kernels = [kernel.get_parameter("weight") for kernel in self.painter.kernels]
        for parameter in (head.weight, head.bias, *kernels):
            if parameter is not None:
                parameter.copy_(parameter[order].clone())
        self.painter.combine.weight.copy_(self.painter.combine.weight[:, order].clone())
        return [int(channel) for channel in order]

"""Weight files in the layouts in which their authors publish them, made from independent implementations.

A reference network of another library gets random, non-trivial weights; its state is renamed to what the
authors publish and saved. The adapters have to undo this with key maps of their own.
"""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import torch

State = dict[str, torch.Tensor]


def randomise(network: torch.nn.Module, seed: int = 0) -> None:
    """Give every parameter a value that matters: tables, biases, scales and norms too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif "lambda" in name:
                parameter.copy_(0.5 + 0.1 * noise)
            elif parameter.ndim >= 2 and "pos" not in name and "token" not in name:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_(0.2 * noise)


def renamed(state: State, pairs: list[tuple[str, str]]) -> State:
    for old, new in pairs:
        state = {key.replace(old, new): tensor for key, tensor in state.items()}
    return state


def sam_reference() -> torch.nn.Module:
    """ViT-B image encoder of SAM by transformers, as a network whose output is ``(tokens, neck)``."""
    from transformers import SamVisionConfig, SamVisionModel

    torch.manual_seed(0)
    model = SamVisionModel(SamVisionConfig(attn_implementation="eager")).eval().requires_grad_(False)
    randomise(model)
    return model


SAM_COMMON = [
    ("vision_encoder.", ""),
    ("layers.", "blocks."),
    ("patch_embed.projection", "patch_embed.proj"),
    ("neck.conv1", "neck.0"),
    ("neck.layer_norm1", "neck.1"),
    ("neck.conv2", "neck.2"),
    ("neck.layer_norm2", "neck.3"),
    ("layer_norm1.", "norm1."),
    ("layer_norm2.", "norm2."),
]
MMLAB = [
    ("blocks.", "layers."),
    ("patch_embed.proj.", "patch_embed.projection."),
    (".norm1.", ".ln1."),
    (".norm2.", ".ln2."),
    (".mlp.lin1.", ".ffn.layers.0.0."),
    (".mlp.lin2.", ".ffn.layers.1."),
    ("neck.", "channel_reduction."),
]


class HistoryBuffer:
    """Stands for the objects that mmengine pickles into a checkpoint."""

    def __init__(self) -> None:
        self.history = [1.0, 0.5]


def medsam_file(reference: torch.nn.Module, path: Path, layout: str = "flat") -> Path:
    """Write ``medsam_vit_b.pth``: image encoder beside the two decoders."""
    state = {f"image_encoder.{k}": v for k, v in renamed(dict(reference.state_dict()), SAM_COMMON).items()}
    state["prompt_encoder.point_embeddings.0.weight"] = torch.randn(1, 256)
    state["mask_decoder.iou_token.weight"] = torch.randn(1, 256)
    content: Any = state
    if layout == "training":
        content = {"model": {f"module.{k}": v for k, v in state.items()}, "optimizer": {}, "epoch": 9}
    torch.save(content, path)
    return path


def ultrasam_file(reference: torch.nn.Module, path: Path) -> Path:
    """Write ``UltraSam.pth``: an mmengine checkpoint with pickled objects, in OpenMMLab's spelling."""
    state = renamed(renamed(dict(reference.state_dict()), SAM_COMMON), MMLAB)
    full = collections.OrderedDict((f"backbone.{k}", v) for k, v in state.items())
    full["prompt_encoder.label_encoder.weight"] = torch.randn(4, 256)
    torch.save({"state_dict": full, "meta": {"epoch": 3}, "message_hub": HistoryBuffer()}, path)
    return path


def usfm_reference() -> torch.nn.Module:
    """BEiT-B/16 by transformers, with one table of relative positions for all layers."""
    from transformers import BeitConfig, BeitModel

    torch.manual_seed(0)
    config = BeitConfig(
        image_size=224,
        patch_size=16,
        use_mask_token=True,
        use_absolute_position_embeddings=False,
        use_relative_position_bias=False,
        use_shared_relative_position_bias=True,
        layer_scale_init_value=0.1,
        use_mean_pooling=False,
        layer_norm_eps=1e-6,
        attn_implementation="eager",
    )
    model = BeitModel(config, add_pooling_layer=False).eval().requires_grad_(False)
    randomise(model)
    return model


BEIT = [
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.", ""),
    ("shared_position_bias.", "rel_pos_bias."),
    ("layers.", "blocks."),
    ("lambda_", "gamma_"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("attention.o_proj", "attn.proj"),
    ("layernorm.", "norm."),
]


def usfm_state(reference: torch.nn.Module) -> State:
    """Rename transformers' BEiT to the authors' spelling; queries, keys and values become one matrix."""
    source = dict(reference.state_dict())
    state: State = {}
    for key, tensor in source.items():
        if not any(part in key for part in (".q_proj", ".k_proj", ".v_proj")):
            state[renamed({key: tensor}, BEIT).popitem()[0]] = tensor
    for number in range(12):
        inside = f"layers.{number}.attention"
        parts = [source[f"{inside}.{name}_proj.weight"] for name in "qkv"]
        state[f"blocks.{number}.attn.qkv.weight"] = torch.cat(parts)
        state[f"blocks.{number}.attn.q_bias"] = source[f"{inside}.q_proj.bias"]
        state[f"blocks.{number}.attn.v_bias"] = source[f"{inside}.v_proj.bias"]
    state["rel_pos_bias.relative_position_index"] = torch.zeros(197, 197, dtype=torch.long)
    return state


def usfm_file(reference: torch.nn.Module, path: Path, layout: str = "flat") -> Path:
    """Write ``USFM_latest.pth``."""
    state = usfm_state(reference)
    torch.save(state if layout == "flat" else {"model": state}, path)
    return path


def narrow_sam() -> torch.nn.Module:
    """SAM's image encoder with all its blocks and pixels and a sixteenth of its width: seconds a picture."""
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT
    from usbench_encoders import sam_network

    return ImageEncoderViT(
        embed_dim=48,
        num_heads=3,
        use_rel_pos=True,
        global_attn_indexes=sam_network.GLOBAL_BLOCKS,
        window_size=14,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )

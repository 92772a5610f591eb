"""What people really give to an encoder: another one's file, half a file, a web page, a name that does not exist."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from usbench_encoders import usfm

from usbench.errors import UsbenchError, WeightsError
from usbench.plugins.catalog import load_encoder

# A few names of each published file; shapes do not matter where names do not fit.
HOLDS = {
    "medsam": ("image_encoder.pos_embed", "image_encoder.blocks.0.attn.rel_pos_h", "mask_decoder.iou_token.weight"),
    "ultrasam": ("backbone.layers.0.attn.rel_pos_h", "backbone.channel_reduction.0.weight", "bbox_head.weight"),
    "usfm": ("cls_token", "rel_pos_bias.relative_position_bias_table", "blocks.0.attn.q_bias", "blocks.0.gamma_1"),
    "tusa": ("swinViT.patch_embed.proj.weight", "swinViT.layers1c.0.layer.conv1.conv.weight", "out.conv.conv.weight"),
}


def file_of(name: str, folder: Path, wrapped: bool = False) -> Path:
    path = folder / "weights.pth"
    state: dict[str, Any] = {key: torch.ones(2, 2) for key in HOLDS[name]}
    torch.save({"model": {f"module.{key}": tensor for key, tensor in state.items()}} if wrapped else state, path)
    return path


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("given", "to"), [(a, b) for a in HOLDS for b in HOLDS if a != b])
def test_the_file_of_another_encoder_is_recognised(given: str, to: str, wrapped: bool, tmp_path: Path) -> None:
    path = file_of(given, tmp_path, wrapped)
    with pytest.raises(
        WeightsError, match=rf"It looks like the file of {given}: use `usbench weights add {given}"
    ) as error:
        load_encoder(to, weights=path).prepare()
    assert str(error.value).startswith(f"{path}: these are not the weights of {to}: ")
    assert "tensors are missing, first '" in str(error.value)


def test_usfm_given_to_medsam_on_the_command_line(tmp_path: Path) -> None:
    path = file_of("usfm", tmp_path)
    command = [sys.executable, "-m", "usbench", "weights", "add", "medsam", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: {path}: these are not the weights of medsam")
    assert line.endswith("It looks like the file of usfm: use `usbench weights add usfm FILE`.")


@pytest.mark.parametrize("name", list(HOLDS))
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>",
            "is a web page, not a weight file",
        ),
        (None, "truncated or damaged"),
        (b"", "the file is empty"),
    ],
)
def test_what_is_no_file_of_weights(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    path = file_of(name, tmp_path)
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    with pytest.raises(WeightsError, match=message):
        load_encoder(name, weights=path).prepare()


@pytest.mark.parametrize("name", ["usfm", "tusa.random"])
def test_one_tensor_missing_superfluous_or_of_another_shape(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named one by one, from a complete file."""
    if name == "usfm":
        network = load_encoder("usfm.random").network
        monkeypatch.setattr(usfm, "build", lambda: copy.deepcopy(network))  # drawing its weights takes seconds
        state, target, key = dict(network.state_dict()), "usfm", "norm.weight"
        state = {k: v for k, v in state.items() if not k.endswith("relative_position_index")}
    else:
        inner = load_encoder("tusa.random").network.state_dict()
        state, target = {f"swinViT.{k}": v for k, v in inner.items()}, "tusa"
        key = next(k for k in state if k.endswith("norm1.weight"))
    short = key.removeprefix("swinViT.")
    path = tmp_path / "weights.pth"
    broken = {
        rf"1 tensors are missing, first '{short}'": {k: v for k, v in state.items() if k != key},
        rf"1 are unknown, first '{short}2'": {**state, f"{key}2": torch.ones(3)},
        rf"1 have another shape, first '{short}': \(5,\) instead of": {**state, key: torch.ones(5)},
    }
    torch.save(state, path)
    load_encoder(target, weights=path).prepare()
    for message, content in broken.items():
        torch.save(content, path)
        with pytest.raises(WeightsError, match=message):
            load_encoder(target, weights=path).prepare()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "medsam",
            {"pooling": "neckk"},
            r"unknown pooling 'neckk'; it offers mean, neck, stages\. Did you mean 'neck'",
        ),
        ("ultrasam", {"preprocessing": "padded"}, r"unknown preprocessing 'padded'; it offers official, square"),
        ("usfm", {"precision": "fp16"}, r"unknown precision 'fp16'; it offers fp32, bf16"),
        ("pixels", {"weights": "pixels.pth"}, r"takes no weight file, so pixels\.pth would be ignored"),
        ("medsam", {"weights": "no/such.pth"}, r"no/such\.pth: no such weight file for medsam"),
        ("medsam", {}, r"medsam: no weights found\. Get medsam_vit_b\.pth from .*weights add medsam FILE.*Please cite"),
        ("ultrasam", {}, r"fetch it with `usbench weights fetch ultrasam`"),
        ("tusa.random", {"device": "cuda:99"}, r"device 'cuda:99' cannot be used .*Use --device cpu"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsbenchError, match=message) as caught:
        load_encoder(name, **options).prepare()
    assert "\n" not in str(caught.value)


def test_weights_of_a_plugin_in_a_file_are_listed(tmp_path: Path) -> None:
    """They are registered under the name on its card, by which no registry knows it."""
    from usbench.core.settings import register

    path = file_of("usfm", tmp_path)
    register("weights", "mine", path)
    command = [sys.executable, "-m", "usbench", "weights", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout
    assert "medsam" in done.stdout

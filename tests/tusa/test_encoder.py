"""The encoder without MONAI: the same parameters from the same seed, the same maps, the same windows."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from monai.networks.nets.swin_unetr import SwinTransformer, compute_mask, get_window_size, window_partition

import tusa
from tusa.inference import FastSwin
from tusa.windows import fitted, partitioned, shift_mask


@pytest.fixture(scope="module")
def pair() -> tuple[SwinTransformer, tusa.SwinEncoder]:
    """MONAI's encoder as the network of the paper has it, and ours, of one seed."""
    torch.manual_seed(7)
    reference = tusa.Tusa().unet.swinViT
    torch.manual_seed(7)
    return reference.eval(), tusa.SwinEncoder().eval()


def test_a_seed_gives_the_same_network(pair) -> None:
    reference, ours = (network.state_dict() for network in pair)
    assert list(ours) == list(reference)
    for name, tensor in reference.items():
        assert torch.equal(ours[name], tensor), name
    assert sum(p.numel() for p in pair[1].parameters()) == 9_120_756


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (65, 131)])
def test_maps_are_monais(pair, size) -> None:
    reference, ours = pair
    images = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected, found = reference(images, normalize=True), ours(images)
    fast = FastSwin(ours)(images)
    assert len(found) == len(expected) == 5
    for stage, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        assert mine.shape == theirs.shape
        torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(fast[stage], theirs, atol=2e-5, rtol=1e-4)


def test_it_has_a_gradient(pair) -> None:
    _, ours = pair
    ours(torch.zeros(1, 1, 64, 64))[-1].square().sum().backward()
    assert all(p.grad is not None for p in ours.parameters())


@pytest.mark.parametrize("sides", [(64, 64), (8, 64), (7, 7), (4, 21)])
@pytest.mark.parametrize("shift", [(0, 0), (3, 3)])
def test_windows_are_monais(sides, shift) -> None:
    window, by = fitted(sides, (7, 7), shift)
    assert (tuple(window), tuple(by)) == get_window_size(sides, (7, 7), shift)
    padded = [-(-side // length) * length for side, length in zip(sides, window, strict=True)]
    maps = torch.arange(2 * padded[0] * padded[1] * 3).view(2, *padded, 3)
    assert torch.equal(partitioned(maps, window), window_partition(maps, window))
    if any(by):
        assert torch.equal(shift_mask(padded, window, by), compute_mask(padded, window, by, "cpu"))


@pytest.mark.parametrize("name", ["open-v2", "scratch", "open-v1"])
def test_packaged_weights_load_without_the_decoder(name) -> None:
    path = tusa.open_weights_path(name)
    whole, alone = tusa.load_weights(path).unet.swinViT.state_dict(), tusa.load_encoder(path).state_dict()
    assert all(torch.equal(alone[key], whole[key]) for key in whole)


def test_a_file_with_a_name_of_nobodys_is_refused(tmp_path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = tusa.open_weights_path("scratch")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    save_file({**state, "encoder.weight": torch.zeros(2)}, tmp_path / "more.safetensors", metadata)
    with pytest.raises(tusa.TusaError, match=r"1 unknown \['encoder.weight'\]"):
        tusa.load_encoder(tmp_path / "more.safetensors")
    state.pop(next(iter(state)))
    save_file(state, tmp_path / "less.safetensors", metadata)
    with pytest.raises(tusa.TusaError, match="1 tensors missing"):
        tusa.load_encoder(tmp_path / "less.safetensors")


@pytest.mark.parametrize("name", ["tusa", "tusa.random"])
def test_encoding_does_not_import_monai(name) -> None:
    program = (
        "import sys, numpy as np, usbench; "
        f"usbench.load_encoder({name!r}).encode_frames([np.zeros((90, 90), np.uint8)]); "
        "assert 'monai' not in sys.modules; assert 'torchvision' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

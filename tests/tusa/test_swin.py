"""The training pass of the encoder is MONAI's module, in value and in gradient."""

from __future__ import annotations

import pytest
import torch

from tusa import Tusa, TusaConfig
from tusa.swin import _widened, swin_states, window_masks

CPU = torch.device("cpu")


def encoder(config: TusaConfig | None = None) -> torch.nn.Module:
    torch.manual_seed(3)
    network: torch.nn.Module = Tusa(config).unet.swinViT
    # Fresh position tables and norms are next to zero and one: with values of a trained network a mistake would show.
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name or "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (64, 64), (48, 48), (32, 32)])
def test_maps_are_those_of_monai(size: tuple[int, int]) -> None:
    network = encoder()
    images = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected = network(images, normalize=True)
        found = swin_states(network, images, window_masks(network, size, CPU))
    assert len(found) == len(expected) == 5
    for given, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(given, wanted, atol=3e-5, rtol=0)


def test_gradients_are_those_of_monai() -> None:
    network = encoder(TusaConfig(feature_size=24, depths=(2, 1, 2, 1), num_heads=(2, 4, 8, 8), window_size=5))
    images = torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1
    masks = window_masks(network, (96, 96), CPU)
    weights = [torch.randn_like(state) for state in network(images, normalize=True)]
    found = []
    for states in (network(images, normalize=True), swin_states(network, images, masks)):
        network.zero_grad()
        torch.stack([(w * state).sum() for w, state in zip(weights, states, strict=True)]).sum().backward()
        found.append({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
    for name, wanted in found[0].items():
        assert (found[1][name] - wanted).norm() <= 1e-4 * wanted.norm(), name


def test_shallow_maps_of_the_wanted_rows_only() -> None:
    network = encoder(TusaConfig(feature_size=12, depths=(1, 1, 1, 1)))
    images = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    masks = window_masks(network, (64, 64), CPU)
    with torch.no_grad():
        whole = swin_states(network, images, masks)
        part = swin_states(network, images, masks, [(0, 2), (5, 6)])
        deepest = swin_states(network, images, masks, [])
    for given, wanted in zip(part[:4], whole[:4], strict=True):
        assert torch.equal(given, wanted[[0, 1, 5]])
    assert torch.equal(part[4], whole[4])
    assert len(deepest) == 1
    assert torch.equal(deepest[0], whole[4])


@pytest.mark.parametrize("wide", [12, 16])
def test_a_widened_projection_has_zeros_after_each_head(wide: int) -> None:
    projection = torch.nn.Linear(36, 3 * 36)
    x = torch.randn(5, 36)
    found = torch.nn.functional.linear(x, *_widened(projection, 3, 12, wide)).view(5, 3, 3, wide)
    torch.testing.assert_close(found[..., :12].flatten(1), projection(x))
    assert not found[..., 12:].any()


def test_the_whole_pass_is_one_graph() -> None:
    network = encoder(TusaConfig(feature_size=12, depths=(1, 1, 1, 2)))
    images = torch.rand(2, 1, 64, 64)
    masks = window_masks(network, (64, 64), CPU)
    whole = torch.compile(swin_states, backend="eager", fullgraph=True, dynamic=False)
    for given, wanted in zip(whole(network, images, masks), swin_states(network, images, masks), strict=True):
        torch.testing.assert_close(given, wanted)

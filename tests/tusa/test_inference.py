"""The fast pass of the encoder gives what MONAI's module gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tusa import Tusa, TusaConfig
from tusa.inference import FastSwin


def encoder(config: TusaConfig | None = None) -> torch.nn.Module:
    torch.manual_seed(3)
    network: torch.nn.Module = Tusa(config).unet.swinViT.eval().requires_grad_(False)
    # Fresh position tables and norms are next to zero and one: with values of a trained network a mistake would show.
    for name, parameter in network.named_parameters():
        if "bias" in name or "norm" in name:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize(("side", "other"), [(128, 128), (96, 160), (64, 64), (224, 224)])
def test_maps_are_those_of_monai(side: int, other: int) -> None:
    network = encoder()
    images = torch.rand(3, 1, side, other, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = network(images, normalize=True)
    found = FastSwin(network)(images)
    assert list(found) == [0, 1, 2, 3, 4]
    for stage, states in enumerate(expected):
        assert states.std() > 0.5
        torch.testing.assert_close(found[stage], states, atol=2e-5, rtol=0)


def test_other_networks_and_a_part_of_the_maps() -> None:
    network = encoder(TusaConfig(feature_size=24, depths=(2, 1, 2, 1), num_heads=(2, 4, 8, 8), window_size=5))
    images = torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = FastSwin(network)(images, (2,))
    assert list(found) == [2]
    torch.testing.assert_close(found[2], network(images, normalize=True)[2], atol=2e-5, rtol=0)


def test_batches_of_any_size_and_threads_agree() -> None:
    fast = FastSwin(encoder())
    images = torch.rand(8, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    together = fast(images, (4,))[4]
    with ThreadPoolExecutor(4) as pool:
        apart = torch.cat([maps[4] for maps in pool.map(lambda one: fast(one, (4,)), images.split(1))])
    torch.testing.assert_close(apart, together, atol=2e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_autocast_goes_through(dtype: torch.dtype) -> None:
    network = encoder()
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(4)) * 2 - 1
    exact = FastSwin(network)(images, (4,))[4].mean(dim=(2, 3))
    with torch.autocast("cpu", dtype=dtype):
        rough = FastSwin(network)(images, (4,))[4].float().mean(dim=(2, 3))
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.98

"""Where weights are looked for, in which order, and what is said when there are none."""

from pathlib import Path

import pytest
import torch

from usbench.core.settings import config_path, register
from usbench.encoder import weights
from usbench.encoder.card import EncoderCard, WeightsSource
from usbench.errors import WeightsError

CARD = EncoderCard(
    name="mine",
    title="Mine",
    embedding_dim=8,
    citation="Doe et al., 2024",
    weights=WeightsSource("mine_b.pth", "https://example.org/mine", "https://example.org/f", licence="CC BY 4.0"),
)


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_found_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.find("mine", CARD) is None
    with pytest.raises(WeightsError) as caught:
        weights.require("mine", CARD)
    for part in (
        "mine_b.pth",
        "https://example.org/mine",
        "CC BY 4.0",
        "weights add mine FILE",
        "weights fetch mine",
        "Doe et al., 2024",
    ):
        assert part in str(caught.value)


def test_published_name_before_own_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    monkeypatch.setenv("USBENCH_WEIGHTS", str(folder))
    own = put(folder / "mine.safetensors")
    assert weights.find("mine", CARD) == own
    published = put(folder / "mine_b.pth")
    assert weights.find("mine", CARD) == published


def test_order_of_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configured, registered, variable = (put(tmp_path / n / "mine_b.pth") for n in ("conf", "reg", "env"))
    register("weights", "mine", registered)
    config = config_path()
    config.write_text(f'[paths]\nweights = "{configured.parent}"\n' + config.read_text())
    monkeypatch.delenv("USBENCH_WEIGHTS")
    assert weights.find("mine", CARD) == registered.resolve()
    monkeypatch.setenv("USBENCH_WEIGHTS", str(variable.parent))
    assert weights.find("mine", CARD) == variable
    monkeypatch.setenv("USBENCH_WEIGHTS", str(tmp_path / "nowhere"))
    assert weights.find("mine", CARD) == registered.resolve()
    monkeypatch.delenv("USBENCH_WEIGHTS")
    config.write_text(f'[paths]\nweights = "{configured.parent}"\n')
    assert weights.find("mine", CARD) == configured


def test_registered_file_that_is_gone(tmp_path: Path) -> None:
    path = put(tmp_path / "gone.pth")
    register("weights", "mine", path)
    path.unlink()
    with pytest.raises(WeightsError, match="no longer at"):
        weights.find("mine", CARD)


def test_digest_follows_the_content(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"abc")
    first = weights.file_sha256(path)
    assert first == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    put(path, b"abcd")
    assert weights.file_sha256(path) != first
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.file_sha256(tmp_path / "absent")


def test_state_digest_depends_on_values_names_and_types_only() -> None:
    def network(scale: float = 1.0) -> torch.nn.Module:
        layer = torch.nn.Conv2d(2, 3, 3)
        with torch.no_grad():
            layer.weight.copy_(torch.arange(54.0).reshape(3, 2, 3, 3) * scale)
            layer.bias.zero_()
        return layer

    plain = weights.state_sha256(network())
    assert weights.state_sha256(network().to(memory_format=torch.channels_last)) == plain
    assert weights.state_sha256(network(1.0000001)) != plain
    assert weights.state_sha256(network().double()) != plain
    assert weights.state_sha256(torch.nn.Sequential(network())) != plain

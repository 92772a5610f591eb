"""A teacher's vectors: of the right crops, resumable, small on disk, and of this corpus only."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tusa.errors import TusaError
from tusa.training.corpus import Corpus
from tusa.training.sources import read_corpus
from tusa.training.teacher import BankConfig, cut, draw_boxes, fill_bank, load_bank, load_teacher, pack_bank


@pytest.fixture
def corpus(manifest: Path) -> Corpus:
    return read_corpus([manifest], 80)


def moments(images: np.ndarray) -> np.ndarray:
    """A teacher that a formula knows: means of an 8 by 8 grid."""
    return images.reshape(len(images), 8, -1, 8, images.shape[2] // 8).mean(axis=(2, 4)).reshape(len(images), 64) / 255


def test_vectors_are_of_their_crops_in_any_packing(corpus: Corpus, tmp_path: Path) -> None:
    config = BankConfig(crops=3, size=64, seed=4)
    fill_bank(corpus, lambda images: moments(images).astype(np.float32), {"teacher": "moments"}, config, tmp_path / "p")
    boxes = draw_boxes(len(corpus), config)
    assert (boxes[:, 0] == [0, 0, 1, 1]).all()
    wanted = np.stack([moments(cut(corpus.images, boxes[:, crop], 64)) for crop in range(3)], axis=1)
    wanted -= wanted.mean(axis=(0, 1))
    sizes = []
    for bits, least in ((16, 0.99999), (8, 0.9995), (4, 0.98)):
        head = pack_bank(tmp_path / "p", tmp_path / "bank.safetensors", bits=bits)
        sizes.append((tmp_path / "bank.safetensors").stat().st_size)
        bank = load_bank(tmp_path / "bank.safetensors", corpus)
        assert (head["images"], head["crops"], bank.about["teacher"]) == (48, 3, "moments")
        assert torch.equal(bank.boxes, torch.from_numpy(boxes))
        alike = torch.nn.functional.cosine_similarity(bank.vectors, torch.from_numpy(wanted).float(), dim=2)
        assert alike.mean() > least
    assert sizes[0] > 1.5 * sizes[1] > 2 * sizes[2]


def test_a_bank_goes_on_after_its_last_piece_and_by_several_processes(corpus: Corpus, tmp_path: Path) -> None:
    seen: list[int] = []

    def teacher(images: np.ndarray) -> np.ndarray:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(len(images))
        return moments(images).astype(np.float32)

    config = BankConfig(crops=4, size=64)
    with pytest.raises(KeyboardInterrupt):
        fill_bank(corpus, teacher, {}, config, tmp_path, batch=48)
    head = pack_bank(tmp_path, tmp_path / "bank.safetensors")
    assert head["crops"] == 3  # what is whole can be used
    seen.clear()
    fill_bank(corpus, teacher, {}, config, tmp_path, batch=48, part=(0, 2))
    assert seen == []  # the missing piece is the other process's
    fill_bank(corpus, teacher, {}, config, tmp_path, batch=48, part=(1, 2))
    assert seen == [48]
    assert pack_bank(tmp_path, tmp_path / "bank.safetensors")["crops"] == 4


def test_banks_of_something_else(corpus: Corpus, manifest: Path, tmp_path: Path) -> None:
    teacher = lambda images: moments(images).astype(np.float32)  # noqa: E731
    fill_bank(corpus, teacher, {}, BankConfig(crops=1, size=64), tmp_path / "p")
    with pytest.raises(TusaError, match="another size"):
        fill_bank(corpus, teacher, {}, BankConfig(crops=1, size=32), tmp_path / "p")
    pack_bank(tmp_path / "p", tmp_path / "bank.safetensors")
    fewer = tmp_path / "fewer.csv"
    with manifest.open(newline="") as file:
        rows = list(csv.reader(file))
    with fewer.open("w", newline="") as file:
        csv.writer(file).writerows(rows[:-1])
    with pytest.raises(TusaError, match="another corpus"):
        load_bank(tmp_path / "bank.safetensors", read_corpus([fewer], 80))
    with pytest.raises(TusaError, match="No bank"):
        load_bank(tmp_path / "nowhere", corpus)
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(TusaError, match="not a readable"):
        load_bank(tmp_path / "text", corpus)
    (tmp_path / "p" / "crop-00-0000000.npy").unlink()
    with pytest.raises(TusaError, match="no crop that is complete"):
        pack_bank(tmp_path / "p", tmp_path / "bank.safetensors")


def test_teachers_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(TusaError, match="neither"):
        load_teacher("resnet50")
    with pytest.raises(TusaError, match="No teacher at"):
        load_teacher(str(tmp_path / "missing.onnx"))
    pytest.importorskip("onnxruntime")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(TusaError, match="not a model"):
        load_teacher(str(tmp_path / "text.onnx"))


def test_a_timm_network_with_weights_from_a_file(corpus: Corpus, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    teacher, about = load_teacher("timm:resnet10t", tmp_path / "weights.pth")
    assert about["teacher"] == "timm:resnet10t"
    assert len(about["teacher_sha256"]) == 64
    found = teacher(corpus.images[:3].numpy())
    network.reset_classifier(0)
    network.eval()
    data = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(data[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        wanted = network((corpus.images[:3, None].float() / 255 - mean) / std)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    with pytest.raises(TusaError, match="cannot make the teacher"):
        load_teacher("timm:no_such_network", tmp_path / "weights.pth")

"""Every published layout gives the same tensors, and everything else is recognised for what it is."""

import argparse
import collections
import datetime
import gzip
import io
import pathlib
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from usbench.encoder.weights import read_state
from usbench.errors import WeightsError


class HistoryBuffer:
    """Like the objects that training frameworks leave in their checkpoints."""

    def __init__(self) -> None:
        self.values = np.arange(5.0)
        self.when = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
        self.where = pathlib.PurePosixPath("/mnt/run")
        self.arguments = argparse.Namespace(lr=1e-4)


class ConfigDict(dict[str, Any]):
    """A dictionary class of a framework."""


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    base = torch.randn(6, 4, generator=generator)
    return {
        "a.weight": base,
        "a.view": base[1:4, ::2],  # shares its storage, is not contiguous
        "b.half": base.half(),
        "b.brain": base.bfloat16(),
        "c.index": torch.arange(7),
        "c.flag": torch.tensor([True, False]),
        "d.scalar": torch.tensor(2.5),
        "d.empty": torch.empty(0, 3),
    }


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype, key
        assert torch.equal(found[key], tensor), key


EXTRAS = {"meta": ConfigDict(epoch=3), "message_hub": HistoryBuffer(), "optimizer": {"state": {0: [1, 2]}}}

LAYOUTS: dict[str, Any] = {
    "flat": lambda t: t,
    "ordered": lambda t: collections.OrderedDict(t),
    "state_dict": lambda t: {"state_dict": t, "epoch": 3},
    "model": lambda t: {"model": t, "optimizer": {"lr": 0.1}, "epoch": 7},
    "model with prefix": lambda t: {"model": {f"module.{k}": v for k, v in t.items()}},
    "compiled and parallel": lambda t: {f"_orig_mod.module.{k}": v for k, v in t.items()},
    "teacher": lambda t: {"student": {k: v * 0 for k, v in t.items()}, "teacher": t},
    "mmengine": lambda t: {"state_dict": collections.OrderedDict(t), **EXTRAS},
    "parameters": lambda t: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in t.items()},
    "parameters and extras": lambda t: {
        "state_dict": {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in t.items()},
        **EXTRAS,
    },
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts_of_torch(layout: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](tensors()), path, _use_new_zipfile_serialization=zipped)
    same(read_state(path), tensors())


def test_extras_really_need_our_reader(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS["mmengine"](tensors()), path)
    with pytest.raises(Exception, match="weights_only"):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pth"])
def test_safetensors_whatever_the_suffix(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    expected = {key: tensor.clone().contiguous() for key, tensor in tensors().items()}
    save_file(expected, path)
    found = read_state(path)
    same({key: found[key] for key in expected}, expected)


def saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def tarred(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("UltraSam.pth")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zipped_file() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("MedSAM/medsam_vit_b.pth", b"0" * 100)
    return stream.getvalue()


def scripted() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    return stream.getvalue()


GOOD = saved(tensors())
FOREIGN = {
    "empty": (b"", "empty"),
    "html": (b"\n<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title>", "web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 375042383\n", "Git LFS pointer"),
    "truncated zip": (GOOD[: len(GOOD) // 2], "truncated or damaged"),
    "truncated legacy": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "truncated or damaged"),
    "gzip": (gzip.compress(GOOD), "gzip archive.*Unpack"),
    "tar": (tarred(GOOD), "tar archive.*Unpack"),
    "zip of a file": (zipped_file(), "medsam_vit_b.pth: unpack"),
    "TorchScript": (scripted(), "TorchScript"),
    "no tensors": (saved({"epoch": 3}), "holds no tensors"),
    "a list": (saved([1, 2]), "holds no tensors"),
    "whole model": (saved(torch.nn.Linear(2, 2)), "whole pickled model|holds no tensors"),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"0" * 50, "does not begin like a weight file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"0" * 50, "HDF5"),
    "cut safetensors": ((1000).to_bytes(8, "little") + b'{"a":{"dtype"' + b" " * 1000, "damaged safetensors"),
}


@pytest.mark.parametrize("kind", list(FOREIGN))
def test_what_is_no_weight_file_is_said_in_one_line(kind: str, tmp_path: Path) -> None:
    content, message = FOREIGN[kind]
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_state(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_state(tmp_path / "absent.pth")


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_any_cut_is_noticed(cut: float, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS["mmengine"](tensors()), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(WeightsError, match="truncated or damaged"):
        read_state(path)


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_cut_within_the_length_of_an_empty_storage_is_noticed(cut: int, tmp_path: Path) -> None:
    """Storages are written in the order of their addresses, so that an empty one may or may not be the last."""
    path = tmp_path / "weights.pth"
    torch.save({"empty": torch.empty(0, 3)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(WeightsError, match="truncated or damaged"):
        read_state(path)


def test_torchs_old_format_cut_anywhere_is_one_message(tmp_path: Path) -> None:
    """Also within the eight bytes that say how long the last storage is; nothing follows them when it is empty."""
    whole = tmp_path / "whole.pt"
    torch.save({"z": torch.empty(0)}, whole, _use_new_zipfile_serialization=False)
    content = whole.read_bytes()
    assert content.endswith(bytes(8)), "the length of the empty storage stands at the end"
    path = tmp_path / "cut.pt"
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError) as error:
            read_state(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_an_archive_with_a_damaged_name_is_one_message(tmp_path: Path) -> None:
    """Whose central directory is sound, so that only reading the entry itself meets bytes that are no text."""
    path = tmp_path / "a.pt"
    torch.save({"a": torch.arange(3.0)}, path)
    content = bytearray(path.read_bytes())
    for name in (b"byteorder", b"data.pkl", b"data/0"):
        damaged = bytearray(content)
        at = damaged.index(name)  # its first place is the entry's own header
        header = damaged.rindex(b"PK\x03\x04", 0, at)
        damaged[header + 7] |= 0x08  # the name is in UTF-8
        damaged[at] = 0x85
        path.write_bytes(damaged)
        try:
            read_state(path)
        except WeightsError as error:
            assert "\n" not in str(error)  # noqa: PT017

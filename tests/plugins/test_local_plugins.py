"""A plugin that is a file: its helpers, its mistakes, and its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from usbench import load_encoder
from usbench.conformance import check_encoder
from usbench.encoder.card import EncoderIdentity
from usbench.encoder.libraries import library_versions
from usbench.errors import EncodingError, NameClashError, UnknownNameError, UsbenchError

PLUGIN = """
import torch
from usbench import Encoder, EncoderCard, grey_to_tensor
{imports}

class Mine(Encoder):
    card = EncoderCard(name="{name}", title="Mine", embedding_dim={dim}, input_size=(8, 8), parameters=0)

    def load(self):
        {load}

    def preprocess(self, frame):
        {preprocess}

    def encode(self, batch):
        return batch.flatten(1)[:, :4] * {factor}
"""


def plugin(folder: Path, file: str = "mine.py", **parts: str) -> str:
    values = {
        "imports": "", "name": "mine-local", "dim": "4", "load": "return None",
        "preprocess": "return grey_to_tensor(frame, (8, 8))", "factor": "1.0", **parts,
    }  # fmt: skip
    folder.mkdir(exist_ok=True, parents=True)
    (folder / file).write_text(PLUGIN.format(**values))
    return f"{folder / file}:Mine"


def first_value(name: str) -> float:
    encoder = load_encoder(name)
    return float(encoder.encode_frames([np.full((8, 8), 255, np.uint8)])[0, 0])


def identity(name: str) -> str:
    return load_encoder(name).identity().digest()


HELPERS = {
    "beside": ("from helper import FACTOR", "helper.py"),
    "in a package": ("from parts.deep.helper import FACTOR", "parts/deep/helper.py"),
    "behind another helper": ("from outer import FACTOR", "inner.py"),
    "relative in a package": ("from pack import FACTOR", "pack/inner.py"),
    "by a computed name": ("import importlib; FACTOR = importlib.import_module('hel' + 'per').FACTOR", "helper.py"),
}


@pytest.mark.parametrize("kind", HELPERS)
def test_a_helper_that_changes_changes_vectors_and_identity(tmp_path: Path, kind: str) -> None:
    imports, file = HELPERS[kind]
    name = plugin(tmp_path, imports=imports, factor="FACTOR")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "outer.py").write_text("from inner import FACTOR\n")
    if file.startswith("pack/"):
        (tmp_path / "pack").mkdir(exist_ok=True)
        (tmp_path / "pack/__init__.py").write_text("from .inner import FACTOR\n")
    (tmp_path / file).write_text("FACTOR = 2.0\n")
    assert first_value(name) == 2.0
    before = identity(name)
    (tmp_path / file).write_text("FACTOR = 3.0\n")  # of the same length, and within the same second
    assert first_value(name) == 3.0
    assert identity(name) != before
    (tmp_path / file).write_text("FACTOR = 2.0\n")
    assert identity(name) == before


def test_a_helper_that_is_imported_late(tmp_path: Path) -> None:
    name = plugin(tmp_path, load="import late; self.factor = late.FACTOR", factor="self.factor")
    for factor in ("2.0", "3.0"):
        (tmp_path / "late.py").write_text(f"FACTOR = {factor}\n")
        assert first_value(name) == float(factor)


def test_helpers_of_one_name_in_two_folders(tmp_path: Path) -> None:
    names = []
    for factor in ("2.0", "3.0"):
        folder = tmp_path / factor[0]
        names.append(plugin(folder, load="import late; self.factor = late.FACTOR", factor="self.factor"))
        (folder / "late.py").write_text(f"FACTOR = {factor}\n")
    encoders = [load_encoder(name) for name in names]  # both imported before either is built
    picture = [np.full((8, 8), 255, np.uint8)]
    assert [float(encoder.encode_frames(picture)[0, 0]) for encoder in encoders] == [2.0, 3.0]


def test_files_that_are_not_imported_change_nothing(tmp_path: Path) -> None:
    name = plugin(tmp_path)
    before = identity(name)
    (tmp_path / "other.py").write_text("x = 1\n")
    assert identity(name) == before


MISTAKES = {
    "load raises": ({"load": "raise KeyError('weights')"}, r"load\(\) failed: KeyError: 'weights'"),
    "load gives a dictionary": ({"load": "return {}"}, "must return a torch.nn.Module or None, got dict"),
    "preprocess gives NumPy": ({"preprocess": "return frame / 255"}, "must return a tensor, got ndarray.*from_numpy"),
    "preprocess gives nothing": ({"preprocess": "pass"}, "must return a tensor, got NoneType"),
    "preprocess raises": ({"preprocess": "return frame.nothing"}, r"preprocess\(\) failed: AttributeError"),
    "the card promises more": ({"dim": "9"}, "card says embedding_dim=9, encode\\(\\) gives 4"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_one_message(tmp_path: Path, kind: str) -> None:
    parts, told = MISTAKES[kind]
    with pytest.raises(UsbenchError, match=told) as error:
        first_value(plugin(tmp_path, **parts))
    assert "\n" not in str(error.value)
    assert isinstance(error.value, EncodingError) or "load" in kind


def test_class_without_card(tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text(
        "from usbench import Encoder\nclass Mine(Encoder):\n    def preprocess(self, frame): ...\n"
        "    def encode(self, batch): ...\n"
    )
    with pytest.raises(UsbenchError, match="its class has no card"):
        load_encoder(f"{path}:Mine")


def test_name_of_an_installed_encoder(tmp_path: Path) -> None:
    with pytest.raises(NameClashError, match="'pixels', which is the name of an installed encoder"):
        load_encoder(plugin(tmp_path, name="pixels"))


def test_hint_can_be_typed(tmp_path: Path) -> None:
    path = plugin(tmp_path).removesuffix(":Mine")
    for asked in (f"{path}:Mien", path):
        with pytest.raises(UnknownNameError) as error:
            load_encoder(asked)
        assert f"{path}:Mine" in str(error.value)
    assert load_encoder(f"{path}:Mine").name == "mine-local"


@pytest.mark.parametrize(
    ("load", "status"),
    [
        ("torch.manual_seed(0); self.w = torch.rand(1)", "pass"),
        ("import random; self.w = torch.tensor(random.random())", "fail"),
        ("self.w = torch.tensor(float(hash('name') % 1000))", "fail"),  # the same here, another in each process
    ],
)
def test_built_in_two_processes(tmp_path: Path, load: str, status: str) -> None:
    encoder = load_encoder(plugin(tmp_path, load=load, factor="self.w"))
    report = check_encoder(encoder, in_two_processes=True)
    found = {finding.check: finding for finding in report.findings}
    assert found["built twice"].status == status, found["built twice"].message


def test_libraries_are_in_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = plugin(tmp_path, load="import timm, helper; return None")
    (tmp_path / "helper.py").write_text("def later():\n    import open_clip\n")
    libraries = load_encoder(name).identity().libraries
    assert "timm " in libraries
    assert "open-clip-torch " in libraries
    before = identity(name)
    library_versions.cache_clear()
    monkeypatch.setattr("usbench.encoder.libraries.metadata.version", lambda distribution: "99")
    assert identity(name) != before
    library_versions.cache_clear()


@pytest.mark.parametrize(
    ("name", "library"),
    [("timm:resnet10t", "timm "), ("transformers:x/y", "transformers "), ("open_clip:ViT-B-32", "open-clip-torch "),
     ("texture", "scikit-image "), ("tusa.random", "monai ")],
)  # fmt: skip
def test_libraries_of_bundled_encoders(name: str, library: str) -> None:
    from usbench.plugins.catalog import ENCODERS

    assert library in library_versions(ENCODERS.get(name).value)


def test_identity_without_libraries_keeps_its_digest() -> None:
    plain = EncoderIdentity("test", 1, "sha256:0", "default", "mean", "fp32")
    assert plain.digest() == "707dc1bb3c248cba92ded98e537cadaa1e563fd06c07f2c657dc5a4785b76638"

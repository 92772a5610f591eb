"""Just the vectors: what is written, that it continues, and that a run on it is the run itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import usbench
from usbench.core.settings import load_settings
from usbench.data.frame_sampling import LinspaceFrames
from usbench.embedding.vector_folder import frame_sha256, read_vectors, write_vectors
from usbench.encoder.base import Encoder
from usbench.errors import DataError, EncodingError, UsbenchError
from usbench.pipeline.embed import embed
from usbench.plugins.catalog import load_encoder, load_task


def written(folder: Path, encoder: str | Encoder = "pixels", **options: Any) -> Any:
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    return embed(loaded, folder, load_settings(), **options)


def pictures(folder: Path, count: int = 5) -> Path:
    """A folder of pictures, one clip and a file that is none."""
    generator = np.random.default_rng(1)
    (folder / "deep").mkdir(parents=True)
    for number in range(count):
        Image.fromarray(generator.integers(0, 256, (20, 30 + number), dtype=np.uint8)).save(folder / f"{number}.png")
    np.save(folder / "deep" / "clip.npy", generator.integers(0, 256, (4, 16, 16), dtype=np.uint8))
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.mark.parametrize("table", ["parquet", "csv"])
def test_rows_and_vectors_belong_together(table: str, tmp_path: Path, bus_bra_subset: Path) -> None:
    done = written(tmp_path / "out", data="bus-bra-subset", table=table)
    index = pd.read_parquet(tmp_path / "out" / "index.parquet") if table == "parquet" else pd.read_csv(
        tmp_path / "out" / "index.csv"
    )  # fmt: skip
    vectors = load_file(tmp_path / "out" / "vectors.safetensors")["vectors"]
    assert vectors.dtype == np.float32
    assert vectors.shape == (done.frames, 256) == (len(index), 256)
    dataset = usbench.load_dataset("bus-bra-subset")
    assert set(index["path"]) == set(dataset.index.table["path"])
    assert {"subject", "pathology", "device"} <= set(index.columns)
    for row in (0, 17, len(index) - 1):
        with dataset.open(index["path"][row]) as media:
            (frame,) = media.frames([index["frame"][row]])
        assert index["frame_sha256"][row] == frame_sha256(frame)
        assert index["file_sha256"][row] == dataset.digest(index["path"][row])
        assert np.array_equal(vectors[row], load_encoder("pixels").encode_frames([frame])[0])


def test_a_run_on_vectors_is_the_run_itself(tmp_path: Path, bus_bra_subset: Path) -> None:
    written(tmp_path / "out", "pixels", data="subset", task=load_task("breast_lesion"))
    direct, looked_up = usbench.run(
        ["pixels", f"precomputed:{tmp_path / 'out'}"], "breast_lesion", data="subset", label_efficiency=False
    )
    for name, outcome in direct.protocols.items():
        assert looked_up.protocols[name].metrics == outcome.metrics
        assert looked_up.protocols[name].repeats == outcome.repeats
    assert looked_up.encoder["floor"] is True
    assert looked_up.leakage == direct.leakage
    assert looked_up.encoder["title"] == "Pixels 16x16 (vectors from a file)"
    assert looked_up.encoder["weights"].startswith("vectors:")


def test_a_folder_needs_no_table(tmp_path: Path) -> None:
    done = written(tmp_path / "out", data=str(pictures(tmp_path / "images")))
    index = pd.read_parquet(tmp_path / "out" / "index.parquet")
    assert done.frames == 5 + 4
    assert list(index["path"]) == [f"{n}.png" for n in range(5)] + ["deep/clip.npy"] * 4
    assert list(index["frame"])[-4:] == [0, 1, 2, 3]
    fewer = written(tmp_path / "few", data=str(tmp_path / "images"), policy=LinspaceFrames(2))
    assert fewer.frames == 5 + 2


def test_a_manifest_and_its_columns(tmp_path: Path) -> None:
    pictures(tmp_path / "images")
    rows = pd.DataFrame(
        {"path": [f"images/{n}.png" for n in range(5)], "subject": list("aabbc"), "frame": range(5, 10)}
    )
    rows.assign(mixed=[1, "2-3", None, 4.5, "x"]).to_csv(tmp_path / "mine.csv", index=False)
    written(tmp_path / "out", data=str(tmp_path / "mine.csv"))
    index = pd.read_parquet(tmp_path / "out" / "index.parquet")
    assert list(index["subject"]) == list("aabbc")
    assert list(index["dataset_frame"]) == [5, 6, 7, 8, 9]  # a column of the table's own keeps another name
    assert list(index["frame"]) == [0] * 5


def test_what_is_stored_is_not_encoded_again(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    assert written(tmp_path / "a", data=str(folder)).encoded == 9
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save(folder / "new.png")
    again = written(tmp_path / "b", data=str(folder))
    assert (again.frames, again.encoded) == (10, 1)
    index = pd.read_parquet(tmp_path / "b" / "index.parquet")
    assert index["frame_sha256"].nunique() == 10  # digests of stored frames too


class Breaks(Encoder):
    """Encodes a few frames and then fails, as a killed program does."""

    card = usbench.EncoderCard(name="breaks", title="Breaks", embedding_dim=1, parameters=0)
    batch_size = 1
    left = 3

    def preprocess(self, frame: Any) -> Any:
        return usbench.grey_to_tensor(frame, (1, 1))

    def encode(self, batch: Any) -> Any:
        if not self.left:
            raise RuntimeError("power cut")
        self.left -= 1
        return batch.flatten(1)


def test_it_continues_after_a_break(tmp_path: Path) -> None:
    folder, encoder = str(pictures(tmp_path / "images")), Breaks()
    with pytest.raises(EncodingError, match="power cut"):
        written(tmp_path / "out", encoder, data=folder)
    assert not (tmp_path / "out").exists()
    encoder.left = 99
    assert written(tmp_path / "out", encoder, data=folder).encoded == 6


class NotANumber(Breaks):
    """Divides by zero."""

    def encode(self, batch: Any) -> Any:
        return batch.flatten(1) / 0 * 0


def test_vectors_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    folder = str(pictures(tmp_path / "images"))
    with pytest.raises(EncodingError, match=r"breaks: 1 of 1 vectors hold NaN or infinity.*division by zero"):
        written(tmp_path / "out", NotANumber(), data=folder)
    assert not (tmp_path / "out").exists()


def test_other_frames_are_refused(tmp_path: Path, bus_bra_subset: Path) -> None:
    written(tmp_path / "out", data=str(pictures(tmp_path / "images")))
    with pytest.raises(
        EncodingError, match=r"precomputed:out: has no vector of a frame of .* px.*holds 9 frames of images"
    ):
        usbench.run(f"precomputed:{tmp_path / 'out'}", "breast_lesion", data="subset")


def test_vectors_of_other_programs(tmp_path: Path, bus_bra_subset: Path) -> None:
    """Without our header: nothing is claimed about pre-training, and leakage is unknown."""
    written(tmp_path / "out", data="bus-bra-subset", table="csv")
    index = pd.read_csv(tmp_path / "out" / "index.csv")[["frame_sha256"]]
    index.to_csv(tmp_path / "out" / "index.csv", index=False)
    vectors = load_file(tmp_path / "out" / "vectors.safetensors")["vectors"]
    save_file({"vectors": vectors[:, :3].astype(np.float16)}, tmp_path / "out" / "vectors.safetensors")
    (result,) = usbench.run(f"precomputed:{tmp_path / 'out'}", "breast_lesion", data="subset", label_efficiency=False)
    assert result.encoder["embedding_dim"] == 3
    assert result.leakage["state"] == "unknown"


def broken(folder: Path, how: str) -> None:
    file, index = folder / "vectors.safetensors", folder / "index.csv"
    vectors = load_file(file)["vectors"].copy()
    table = pd.read_csv(index)
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif how == "changed index":
        table.iloc[::-1].to_csv(index, index=False)
    elif how == "short":
        save_file({"vectors": vectors[:-1]}, file)
    elif how == "nan":
        vectors[2, 5] = np.nan
        save_file({"vectors": vectors}, file)
    elif how == "flat":
        save_file({"vectors": vectors.ravel()}, file)
    elif how == "name":
        save_file({"embeddings": vectors}, file)
    elif how == "newer":
        save_file({"vectors": vectors}, file, {"usbench": json.dumps({"format": 99})})
    elif how == "order":
        table.loc[1, "frame_sha256"] = table.loc[0, "frame_sha256"]
        table.to_csv(index, index=False)
        save_file({"vectors": vectors}, file)
    elif how == "column":
        table.rename(columns={"frame_sha256": "digest"}).to_csv(index, index=False)
        save_file({"vectors": vectors}, file)
    elif how == "two indices":
        table.to_parquet(folder / "index.parquet")
        save_file({"vectors": vectors}, file)  # without a header nothing says which of them belongs
    elif how == "no index":
        index.unlink()
    elif how == "no vectors":
        file.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "truncated or damaged"),
        ("changed index", r"index.csv is not the index that was written with"),
        ("short", "8 vectors but 9 rows in index.csv"),
        ("nan", "1 vectors hold NaN or infinity, first in row 3"),
        ("flat", r"must be floating-point \[n, D\]"),
        ("name", "no tensor called 'vectors'; it has embeddings"),
        ("newer", "is of format 99"),
        ("order", "rows 1 and 2 of the index are one and the same frame with different"),
        ("column", "no column 'frame_sha256'"),
        ("two indices", "holds both index.parquet and index.csv"),
        ("no index", r"no index\.parquet or index\.csv"),
        ("no vectors", r"no vectors\.safetensors in this folder"),
    ],
)
def test_folders_that_are_not_right(how: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written(folder, data=str(pictures(tmp_path / "images")), table="csv")
    assert len(read_vectors(folder).rows) == 9
    broken(folder, how)
    with pytest.raises(DataError, match=message) as caught:
        load_encoder(f"precomputed:{folder}").prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say which data to embed"),
        ({"data": "no/such"}, "'no/such'"),
        ({"data": __file__}, "is a single file"),
        ({"data": "bus-bra-subset", "table": "xlsx"}, "unknown format 'xlsx'"),
        ({"task": load_task("breast_lesion"), "policy": LinspaceFrames(2)}, "Leave --frames out"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match=message):
        written(tmp_path / "out", **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures, videos or arrays"):
        written(tmp_path / "out", data=str(tmp_path / "empty"))


def test_precision_of_made_vectors_cannot_be_chosen(tmp_path: Path) -> None:
    written(tmp_path / "out", data=str(pictures(tmp_path / "images")))
    with pytest.raises(UsbenchError, match="leave --precision out"):
        load_encoder(f"precomputed:{tmp_path / 'out'}", precision="bf16")
    with pytest.raises(DataError, match="no such folder"):
        load_encoder(f"precomputed:{tmp_path / 'none'}")


def test_the_command(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    command = [
        sys.executable,
        "-m",
        "usbench",
        "embed",
        "-e",
        "texture",
        "-d",
        str(folder),
        "-o",
        str(tmp_path / "out"),
    ]
    first = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stderr
    assert "9 vectors of 98 values by texture" in first.stdout
    again = subprocess.run([*command, "--format", "csv"], capture_output=True, text=True, timeout=300)
    assert "0 encoded now; 9 were stored already" in again.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.csv", "vectors.safetensors"]


def folder_of(tmp_path: Path, count: int = 3, value: float = 1.0) -> Path:
    """Write a folder of vectors directly."""
    index = pd.DataFrame({"path": "a", "frame": range(count), "frame_sha256": [f"{i:064d}" for i in range(count)]})
    write_vectors(tmp_path / "v", np.full((count, 4), value, np.float32), index, {"encoder": {"name": "x"}})
    return tmp_path / "v"


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_old_vectors_stay_until_the_new_are_whole(
    step: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, 3, 1.0)
    replace, left = Path.replace, [step]

    def killed(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return replace(self, target)

    index = pd.DataFrame({"path": "a", "frame": range(5), "frame_sha256": [f"{i:064d}" for i in range(5)]})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_vectors(folder, np.full((5, 4), 2.0, np.float32), index, {}, suffix)
    found = read_vectors(folder).vectors
    assert (found.shape, float(found[0, 0])) in {((3, 4), 1.0), ((5, 4), 2.0)}
    write_vectors(folder, np.full((5, 4), 2.0, np.float32), index, {}, suffix)
    assert read_vectors(folder).vectors.shape == (5, 4)
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {f"index{suffix}", "vectors.safetensors"}


def test_a_changed_vector_is_found(tmp_path: Path) -> None:
    path = folder_of(tmp_path) / "vectors.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="changed after they were written"):
        read_vectors(path.parent)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "int8", "bool"])
def test_vectors_of_types_that_cannot_be_read_are_one_message(dtype: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = folder_of(tmp_path)
    save_file({"vectors": torch.ones(3, 4).to(getattr(torch, dtype))}, folder / "vectors.safetensors")
    with pytest.raises(DataError, match=r"must be floating-point \[n, D\]"):
        read_vectors(folder)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "NaN",
        "[" * 10_000,
        '{"encoder": 3}',
        '{"encoder": {"title": 3}}',
        '{"encoder": {"pretraining": "abc"}}',
        '{"encoder": {"pretraining": [1]}}',
        '{"encoder": {"input_size": [1.5, "x"]}}',
        '{"encoder": {"parameters": true}}',
        '{"dataset": []}',
        '{"format": {}}',
        '{"encoder": {"title": "\\ud800"}}',
    ],
)
def test_a_description_of_other_types_is_one_message(header: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    folder = folder_of(tmp_path)
    save_file({"vectors": np.ones((3, 4), np.float32)}, folder / "vectors.safetensors", {"usbench": header})
    with pytest.raises(DataError) as error:
        load_encoder(f"precomputed:{folder}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (3,), (3, 2, 2)])
def test_vectors_without_width_are_one_message(shape: tuple[int, ...], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    folder = folder_of(tmp_path)
    save_file({"vectors": np.ones(shape, np.float32)}, folder / "vectors.safetensors")
    with pytest.raises(DataError, match=r"must be floating-point \[n, D\]"):
        read_vectors(folder)

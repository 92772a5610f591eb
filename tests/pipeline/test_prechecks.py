"""What is known to fail is told before anything is encoded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from usbench import api, load_encoder
from usbench.errors import UsbenchError
from usbench.pipeline.prechecks import check_device, check_writable


@pytest.fixture
def never_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("encoding began")

    monkeypatch.setattr("usbench.embedding.extract.extract", refuse)


def test_results_folder(tmp_path: Path, never_encodes: None) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsbenchError, match=r"--results .*file/results: cannot be written"):
        api.run("pixels", "breast_lesion", data="subset", results_dir=tmp_path / "file" / "results")
    check_writable(tmp_path / "new", "--out")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    check_writable(tmp_path / "old", "--out")
    assert list((tmp_path / "old").iterdir()) == []


def test_device_and_column(tmp_path: Path, never_encodes: None) -> None:
    for device in ("cuda:99", "nonsense", "cuda:x"):
        with pytest.raises(UsbenchError, match=f"--device {device}: cannot be used"):
            check_device(device)
    with pytest.raises(UsbenchError, match="no column 'scanner'"):
        api.run("pixels", "breast_lesion", data="subset", by=["scanner"])


def test_subject_on_both_sides(tmp_path: Path, never_encodes: None) -> None:
    from PIL import Image

    rows = ["path,subject,label,split"]
    for number in range(8):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
        side = "train" if number < 5 else "test"
        rows.append(f"{number}.png,{'anna' if number in (0, 7) else number},{number % 2},{side}")
    (tmp_path / "m.csv").write_text("\n".join(rows))
    (tmp_path / "t.toml").write_text(
        'title = "t"\ndataset = "m.csv"\ntarget = "label"\npositive = "1"\nunit = "image"\n[split]\nkind = "fixed"\n'
    )
    with pytest.raises(UsbenchError, match="anna"):
        api.run("pixels", str(tmp_path / "t.toml"))


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 3), (48, 64, 1), (48, 64, 4)])
def test_one_picture_is_not_taken_for_frames(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsbenchError, match=r"Put it in a list: encode_frames\(\[image\]\)"):
        load_encoder("pixels").encode_frames(np.zeros(shape, np.uint8))
    assert len(load_encoder("pixels").encode_frames([np.zeros(shape, np.uint8)])) == 1
    assert len(load_encoder("pixels").encode_frames(np.zeros((5, 48, 64), np.uint8))) == 5


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_termination_ends_as_an_interrupt() -> None:
    program = (
        "import os, signal, sys, typer, usbench.cli as c\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def wait() -> None:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    import time; time.sleep(20)\n"
        "c.build_app = lambda arguments: app\n"
        "c.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert "finished work is kept" in done.stderr


def test_letters_that_the_terminal_lacks() -> None:
    program = "import usbench.cli as c; c._print_what_the_terminal_can(); print('25 – 75 ≥ é')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    assert done.stdout.strip() == b"25 ? 75 ? ?"

"""Builds that are killed: no half phantom is ever seen, and what they leave is removed by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from usbench_tasks.phantoms import build_eye_phantom

from usbench.core import atomic_files

BUILD = """
import sys
from pathlib import Path
from usbench_tasks.phantoms import build_eye_phantom
build_eye_phantom(Path(sys.argv[1]), n_subjects=400, workers=1)
"""


def grown_old(parent: Path) -> list[Path]:
    """Return what lies aside, made to look as if it had lain there for an hour."""
    aside = list(parent.glob(".*.usbench.tmp"))
    for path in aside:
        os.utime(path, (time.time() - 3600,) * 2)
    return aside


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill here")
def test_a_killed_build_shows_no_half_phantom_and_is_swept_by_the_next(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path / "large")])
    give_up = time.monotonic() + 120
    while not list(tmp_path.glob(".large.*/*/*")) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert process.poll() is None
    (running,) = grown_old(tmp_path)
    build_eye_phantom(tmp_path / "other", n_subjects=4)
    assert running.exists(), "the folder of a build that goes on was taken away"
    process.kill()
    process.wait()
    assert not (tmp_path / "large").exists()
    assert grown_old(tmp_path) == [running]
    atomic_files._swept.clear()  # as in another process
    build_eye_phantom(tmp_path / "third", n_subjects=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "third"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_eye_phantom(tmp_path / "eye", n_subjects=4, progress=stop)
    assert not list(tmp_path.iterdir())

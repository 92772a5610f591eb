"""Files written whole: killed at any time, beside other processes."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from usbench.core import atomic_files
from usbench.core.atomic_files import atomic_write

WRITE = """
import sys
from pathlib import Path
from usbench.core.atomic_files import atomic_write
print("ready", flush=True)
while True:
    for letter in b"ab":
        atomic_write(Path(sys.argv[1]), bytes([letter]) * 3_000_000)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill here")
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    for wait in (0.0, 0.003, 0.01, 0.02, 0.05):
        writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        give_up = time.monotonic() + 60
        while not path.exists() and time.monotonic() < give_up:
            time.sleep(0.005)
        time.sleep(0.05 + wait)
        writer.kill()
        writer.wait()
        content = path.read_bytes()
        assert (len(content), len(set(content))) == (3_000_000, 1)
    left = [p for p in tmp_path.iterdir() if p != path]
    for stray in left:
        os.utime(stray, (0, time.time() - 100))
    monkeypatch.setattr(atomic_files, "_swept", set())
    atomic_write(path, b"whole")
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_is_writing_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    held, stray, foreign = (tmp_path / name for name in (".a.1.usbench.tmp", ".b.2.usbench.tmp", ".c.tmp"))
    for path in (held, stray, foreign):
        path.write_bytes(b"half")
        os.utime(path, (0, time.time() - 100))
    monkeypatch.setattr(atomic_files, "_swept", set())
    with held.open("rb") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        atomic_write(tmp_path / "new", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.1.usbench.tmp", ".c.tmp", "new"]


def test_private_files_are_private(tmp_path: Path) -> None:
    atomic_write(tmp_path / "secret", b"x", private=True)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600

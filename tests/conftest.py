"""Fixtures shared by all tests: real data where there is any, and settings that never touch the user's own."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything loads NumPy or torch: processes that test side by side share the cores out, in subprocesses as well.
# With every core for each of them, the threads wait for each other: a pass of a network was measured four times slower.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

import pytest
from result_fixtures import board_folder, make_result, session_board  # noqa: F401  (fixtures for every folder)

REPOSITORY = Path(__file__).resolve().parent.parent

# Read before the settings below are isolated, which clears the variable for the code under test.
_NAMED_ROOT = os.environ.get("USBENCH_DATA_ROOT")


def _find_data_root() -> Path | None:
    candidates = [Path(part) for part in (_NAMED_ROOT or "").split(os.pathsep) if part]
    candidates.append(REPOSITORY.parent / "shared" / "data")
    return next((root.resolve() for root in candidates if root.is_dir()), None)


@pytest.fixture(autouse=True)
def isolated_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point configuration, cache and weights at a fresh folder, and hide any data root of the machine."""
    home = tmp_path / "usbench-home"
    monkeypatch.setenv("USBENCH_CONFIG", str(home / "config.toml"))
    monkeypatch.setenv("USBENCH_CACHE", str(home / "cache"))
    monkeypatch.setenv("USBENCH_WEIGHTS", str(home / "weights"))
    monkeypatch.delenv("USBENCH_DATA_ROOT", raising=False)
    monkeypatch.delenv("USBENCH_STORE", raising=False)
    monkeypatch.setenv("USBENCH_DEVICE", "cpu")  # what is computed here must be the same on a machine with a GPU


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets; skips the test where there is none."""
    root = _find_data_root()
    if root is None:
        pytest.skip("no real data: set USBENCH_DATA_ROOT to the folder that holds covid_blues and busbra")
    return root


@pytest.fixture(scope="session")
def bus_bra_subset() -> Path:
    """Folder of the embedded BUS-BRA subset: real images that are always there."""
    return REPOSITORY / "tasks" / "usbench_tasks" / "data" / "bus_bra_subset"

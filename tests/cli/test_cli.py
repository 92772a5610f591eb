"""The command line: quick to start, one line an error, honest about what it did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from usbench.cli import COMMANDS

HEAVY = ("torch", "sklearn", "scipy", "pandas", "av", "monai", "timm", "transformers", "matplotlib", "skimage")


def usbench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "usbench", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["list", "encoders"], ["list", "tasks"], ["list", "datasets"]])
def test_start_imports_nothing_heavy(arguments: list[str]) -> None:
    # What lists encoders asks no task and opens no file of weights.
    foreign = ["usbench.task", "usbench.data", "usbench.encoder.weights.restricted_unpickler"]
    unwanted = [*HEAVY, *(foreign if arguments[-1] == "encoders" else [])]
    code = (
        "import sys\n"
        "from usbench.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        f"print('HEAVY', [m for m in {unwanted!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_help_lists_every_command() -> None:
    text = usbench("--help").stdout
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str) -> None:
    done = usbench(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "-e", "tussa", "-t", "covid"], "error: unknown encoder 'tussa'. Did you mean 'tusa'"),
        (["run", "-e", "pixels", "-t", "covit"], "error: unknown task 'covit'. Did you mean 'covid'?"),
        (["run", "-e", "pixels", "-t", "covid"], "error: dataset 'covid-blues' not found"),
        (
            ["run", "-e", "pixels", "-t", "covid", "--data-root", "/no/such"],
            "error: --data-root /no/such: no such folder",
        ),
        (
            ["run", "-e", "pixels", "-t", "breast_lesion", "--data", "/no/such.csv"],
            "error: --data /no/such.csv: no such",
        ),
        (
            ["run", "-e", "pixels", "-t", "covid", "--data", "phantoms"],
            "error: --data phantoms: no such file, folder or dataset",
        ),
        (["run", "-e", "pixels", "-t", "covid", "--pooling", "cls"], "error: pixels: unknown pooling 'cls'"),
        (["info", "textur"], "error: nothing is called 'textur'. Did you mean 'texture'"),
    ],
)
def test_mistakes_are_one_line_with_a_way_out(arguments: list[str], message: str) -> None:
    done = usbench(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr + done.stdout


def test_unwritable_results_are_one_line(tmp_path: Path, bus_bra_subset: Path) -> None:
    (tmp_path / "file").write_text("")
    done = usbench(
        "run", "-e", "pixels", "-t", "breast_lesion", "--data", "subset", "--results", str(tmp_path / "file")
    )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr

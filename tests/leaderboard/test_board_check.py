import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from usbench.errors import ResultError
from usbench.leaderboard import find_drift, render, write_pages
from usbench.leaderboard.staleness import MARK

REPOSITORY = Path(__file__).resolve().parents[2]
REPORTED = REPOSITORY / "leaderboards" / "reported"

# Runs the command line in a process in which nothing heavy can be imported.
LIGHT = """
import sys
FORBIDDEN = {"torch", "torchvision", "sklearn", "monai", "pandas", "scipy", "matplotlib", "timm", "transformers", "av",
             "pydicom", "skimage", "umap", "pyarrow", "plotly"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocker())
from usbench.cli import main
main(sys.argv[1:])
"""


def light(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def written(board_folder: Path) -> Path:
    write_pages(render(board_folder / "results", REPORTED), board_folder)
    return board_folder


def test_check_passes_without_torch_or_data_and_fast(written: Path) -> None:
    started = time.perf_counter()
    done = light("leaderboard", "--results", str(written / "results"), "--reported", str(REPORTED), "--check")
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    assert "agree with the results" in done.stdout
    assert seconds < 10  # far under 3 s alone; the margin is for busy test machines


def test_a_hand_edit_is_found_with_file_and_line(written: Path) -> None:
    page = written / "covid.md"
    lines = page.read_text("utf-8").split("\n")
    number = next(i for i, line in enumerate(lines) if "USFM" in line)
    lines[number] = lines[number].replace("USFM", "USFM!")
    page.write_text("\n".join(lines), "utf-8")
    done = light("leaderboard", "--results", str(written / "results"), "--reported", str(REPORTED), "--check")
    assert done.returncode == 1
    assert f"covid.md:{number + 1}:" in done.stderr
    assert "USFM!" in done.stderr


@pytest.mark.parametrize("change", ["delete", "add", "crlf", "append"])
def test_every_kind_of_drift_is_found_and_mended(written: Path, change: str) -> None:
    page = written / "covid.md"
    if change == "delete":
        page.unlink()
    elif change == "add":
        (written / "forgotten.md").write_text(f"{MARK}: ... -->\nold\n", "utf-8")
        (written / "notes.md").write_text("the user's own\n", "utf-8")
    elif change == "crlf":
        page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    else:
        page.write_text(page.read_text("utf-8") + "more\n", "utf-8")
    pages = render(written / "results", REPORTED)
    assert len(find_drift(pages, written)) == 1
    write_pages(pages, written)
    assert find_drift(pages, written) == []
    if change == "add":
        assert not (written / "forgotten.md").exists()
        assert (written / "notes.md").exists()
        (written / "reported").mkdir()  # in a clone, every page beside the results is rendered
        assert [drift.path.name for drift in find_drift(pages, written)] == ["notes.md"]


def test_pages_do_not_depend_on_locale_time_zone_or_threads(written: Path, tmp_path: Path) -> None:
    for folder, environment in (
        ("a", {"LC_ALL": "C", "TZ": "UTC", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}),
        ("b", {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "2"}),
    ):
        out = tmp_path / folder
        done = light(
            "leaderboard",
            "--results",
            str(written / "results"),
            "--reported",
            str(REPORTED),
            "--out",
            str(out),
            **environment,
        )
        assert done.returncode == 0, done.stderr
    a = {p.name: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    b = {p.name: p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    assert a == b
    assert a["covid.md"] == (written / "covid.md").read_bytes()


def test_a_damaged_result_is_one_line(written: Path) -> None:
    (written / "results" / "covid" / "tusa.json").write_text("{", "utf-8")
    done = light("leaderboard", "--results", str(written / "results"), "--check")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "tusa.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_committed_pages_agree_with_the_committed_results() -> None:
    """As `make leaderboard` has it: where BASE names the commit before, a change may add results alone."""
    done = subprocess.run(
        ["bash", str(REPOSITORY / ".ci" / "drift")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "USBENCH_PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_the_front_page_is_held_to_the_results(written: Path) -> None:
    front = written.parent / "README.md"
    front.write_text("# Mine\n\n<!-- table: covid -->\nold\n<!-- end of table -->\n\nMy words.\n", "utf-8")
    done = light("leaderboard", "--results", str(written / "results"), "--check")
    assert done.returncode == 0, done.stderr  # no reported values beside: a folder of results, not a clone

    shutil.copytree(REPORTED, written / "reported")
    done = light("leaderboard", "--results", str(written / "results"), "--check")
    assert done.returncode == 1
    assert f"{front}:4: has 'old'" in done.stderr
    done = light("leaderboard", "--results", str(written / "results"))
    assert done.returncode == 0, done.stderr
    lines = front.read_text("utf-8").splitlines()
    assert lines[:3] == ["# Mine", "", "<!-- table: covid -->"]
    assert lines[-1] == "My words."
    assert any("USFM" in line for line in lines)
    assert light("leaderboard", "--results", str(written / "results"), "--check").returncode == 0


def test_a_mark_without_a_board_is_named(written: Path) -> None:
    (written.parent / "README.md").write_text("<!-- table: nowhere -->\n<!-- end of table -->\n", "utf-8")
    with pytest.raises(ResultError, match="nowhere"):
        render(written / "results", REPORTED, written.parent / "README.md")


def test_validation_needs_neither_torch_nor_data_and_finds_one_changed_prediction(written: Path) -> None:
    path = written / "results" / "covid" / "tusa.json"
    assert light("results", "validate", str(path)).returncode == 0
    data = json.loads(path.read_text("utf-8"))
    scores = data["protocols"]["svc-nested@1"]["repeats"][0]["score"]
    scores[7] = scores[7] + 0.5
    path.write_text(json.dumps(data), "utf-8")
    done = light("results", "validate", str(path))
    assert done.returncode == 1
    assert "tusa.json" in done.stderr


def test_the_line_that_a_result_adds_stands_beside_the_best_floor(written: Path) -> None:
    done = light("results", "row", str(written / "results" / "covid" / "usfm.json"))
    assert done.returncode == 0, done.stderr
    assert "USFM" in done.stdout
    assert "best baseline" in done.stdout
    assert "MedSAM" not in done.stdout
    stray = written / "stray.json"
    shutil.copy(written / "results" / "covid" / "usfm.json", stray)
    done = light("results", "row", str(stray))
    assert done.returncode == 2
    assert "belongs at <results>/covid/usfm.json" in done.stderr

"""At 80 columns no figure is cut, ``doctor`` shows what is wrong, and ``info`` knows the manifest of a task."""

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from usbench.cli import main
from usbench.cli.audit import _print
from usbench.cli.sweep_table import SweepTable
from usbench.results.schema import Result, load
from usbench.sweep.cell_state import Record
from usbench.sweep.specs import Cell, EncoderSpec, TaskSpec

RESULTS = Path(__file__).resolve().parents[2] / "leaderboards" / "results"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a terminal of 80 columns and returns its status and output."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        text = capsys.readouterr().out
        assert "…" not in text
        return int(stopped.value.code or 0), text

    return run


def lines_fit(text: str) -> bool:
    return all(len(line.rstrip()) <= 80 for line in text.splitlines())


def test_a_plan_fits_and_names_what_it_leaves_out(command: Run, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(
        'encoders = ["texture", "random-projection"]\ntasks = ["breast_lesion"]\ndata = "subset"\n', "utf-8"
    )
    _, text = command("plan", str(grid), "--quick")
    table = text.split("rate 1:")[0]
    assert lines_fit(table)
    assert re.search(r"^random-projection +breast_lesion", text, re.M)
    whole = re.search(r"^texture +.*$", text, re.M)
    assert whole is not None
    assert len(re.findall(r"\d+ ?(?:s|min|h|ms)\b|\d+\.\d+", whole[0])) >= 1
    assert "Left out for want of width" in text or "rate" in table


def test_the_list_of_weights_has_whole_digests_and_paths(command: Run) -> None:
    _, text = command("weights", "list")
    table, _, below = text.partition("\ntusa: ")
    assert lines_fit(table.split("\nefficientnet-lite0: ")[0])
    assert re.search(r"^tusa +\d+ +[0-9a-f]{12} ", text, re.M)
    assert Path(below.splitlines()[0]).is_file()


def test_the_findings_of_an_audit_are_whole() -> None:
    result = load(RESULTS / "covid" / "tusa.open-v1.json")
    console = Console(file=io.StringIO(), width=80)
    _print(console, result, RESULTS, list(result.instruments))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert lines_fit(text)
    words = " ".join(re.sub(r"^.{0,16}(?<=  )", "", line) for line in text.splitlines())
    assert "leakage" in text
    assert "best baseline" in text
    assert "…" not in text
    assert " ".join(result.leakage["detail"].split())[:40] in " ".join(words.split())


@pytest.mark.parametrize(("count", "counted"), [(2, False), (15, True)])
def test_the_table_of_a_sweep_counts_where_columns_do_not_fit(count: int, counted: bool) -> None:
    tasks = [TaskSpec(f"task_number_{i}", None) for i in range(count)]
    records = [Record(Cell(EncoderSpec(name), task), name) for name in ("tusa.open-v1", "texture") for task in tasks]
    records[0].state, records[1].state = "done", "failed"
    records[count].state, records[count].shards, records[count].shards_done = "encoding", 8, 3
    console = Console(file=io.StringIO(), width=80)
    console.print(SweepTable(console, records).render())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert lines_fit(text)
    assert "…" not in text
    assert "encoding 3/8" in text
    text = re.sub(r"^ ", "", text.replace("│", " "), flags=re.M)
    if counted:
        assert re.search(rf"^tusa\.open-v1 +1 +1 +{count - 2} *$", text, re.M)
        assert re.search(rf"^texture +{count - 1} +task_number_0: encoding 3/8", text, re.M)
    else:
        assert re.search(r"^tusa\.open-v1 +done +failed", text, re.M)


def test_doctor_is_brief_and_lists_all_on_request(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("USBENCH_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("USBENCH_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("USBENCH_DATA_ROOT", str(tmp_path))
    status, text = command("doctor")
    assert status == 0
    assert len(text.splitlines()) < 15
    assert "Nothing has to be fixed" in text
    _, everything = command("doctor", "-v")
    assert len(everything.splitlines()) > 60
    monkeypatch.setenv("USBENCH_DATA_ROOT", str(tmp_path / "gone"))
    status, text = command("doctor")
    assert status == 1
    assert text.splitlines()[0] == f"FIX   data root        {tmp_path / 'gone'}: no such folder"


def task_file(folder: Path, images: list[Path]) -> Path:
    (folder / "images").mkdir(parents=True)
    for image in images:
        shutil.copyfile(image, folder / "images" / image.name)
    rows = [
        {"path": f"images/{p.name}", "subject": f"s{i // 2}", "label": "ab"[i // 4 % 2]} for i, p in enumerate(images)
    ]
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    path = folder / "mytask.toml"
    path.write_text('dataset = "manifest.csv"\ntarget = "label"\npositive = "a"\nunit = "image"\n', "utf-8")
    return path


def test_info_tells_the_truth_about_the_manifest_of_a_task(command: Run, bus_bra_subset: Path, tmp_path: Path) -> None:
    images = sorted(p for p in bus_bra_subset.rglob("*") if p.suffix in {".png", ".webp", ".jpg"})[:16]
    path = task_file(tmp_path / "mine", images)
    _, text = command("info", str(path))
    told = " ".join(text.split())
    assert "your manifest" in told
    assert "16 images of 8 subjects, classes b, a" in told
    assert "not run yet" in told
    assert lines_fit(text.replace(str(tmp_path), ""))
    (tmp_path / "mine" / "images" / images[3].name).unlink()
    told = " ".join(command("info", str(path))[1].split())
    assert "cannot be used" in told
    assert images[3].name in told.replace(" ", "")
    (tmp_path / "mine" / "manifest.csv").unlink()
    assert "data now no data" in " ".join(command("info", str(path))[1].split())


def test_info_of_a_bundled_task_says_whether_it_was_run(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RESULTS.parents[1])
    count = len(list((RESULTS / "covid").glob("*.json")))
    assert f"covid: {count} encoders (in leaderboards" in " ".join(command("info", "covid")[1].split())
    assert "not run yet" in command("info", "spinal_hematoma")[1]


def test_a_result_of_no_encoder_is_no_surprise(make_result: Callable[..., Result]) -> None:
    console = Console(file=io.StringIO(), width=80)
    _print(console, make_result("a[b]", leakage="overlap"), Path("nowhere"), [])
    assert "a[b] on covid" in console.file.getvalue()  # type: ignore[attr-defined]

"""What the documentation tells a newcomer to type is typed here."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import usbench

ROOT = Path(__file__).parents[1]


def code(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture
def nodules(tmp_path: Path, bus_bra_subset: Path) -> Path:
    """Thirty patients with two pictures each, in the folder that the guides speak of."""
    folder = tmp_path / "Thyroid"
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, picture in enumerate(sorted(bus_bra_subset.rglob("*.png"))[:60]):
        shutil.copy(picture, folder / "images" / f"{number}.png")
        patient = number // 2
        label = ("benign", "malignant")[patient % 2]
        rows.append({"file": f"{number}.png", "patient": patient, "pathology": label, "device": "A"})
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    return tmp_path


def test_a_task_in_python_runs_as_written(nodules: Path) -> None:
    (nodules / "thyroid.py").write_text(code("tasks/README.md", "python")[0])
    done = usbench.run(
        encoder="pixels",
        task=f"{nodules / 'thyroid.py'}:task",
        data=f"{nodules / 'thyroid.py'}:Thyroid",
        data_root=nodules,
    )
    assert next(iter(done)).task["name"] == "thyroid"


def test_a_task_in_toml_runs_as_written(nodules: Path) -> None:
    table = pd.read_csv(nodules / "Thyroid" / "cases.csv")
    table = table.assign(path="../Thyroid/images/" + table["file"], subject=table["patient"], label=table["pathology"])
    (nodules / "thyroid").mkdir(exist_ok=True)
    table[["path", "subject", "label"]].to_csv(nodules / "thyroid" / "manifest.csv", index=False)
    (nodules / "thyroid.toml").write_text(code("docs/data.md", "toml")[0])
    done = usbench.run(encoder="pixels", task=str(nodules / "thyroid.toml"))
    assert len(next(iter(done)).units.id) == 30


@pytest.mark.slow
def test_the_encoder_of_the_front_page_runs_as_written(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code("README.md", "python")[1])
    done = usbench.run(encoder=f"{tmp_path / 'mine.py'}:Mine", task="breast_lesion", data="subset")
    assert len(next(iter(done)).units.id) == 354


def test_the_encoder_of_the_front_page_follows_the_guide(tmp_path: Path) -> None:
    """Its card is read without torch, and it is the same network each time."""
    (tmp_path / "mine.py").write_text(code("README.md", "python")[1])
    look = "import sys; import mine; assert mine.Mine.card.name == 'mine'; print({'torch', 'timm'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    first, second = (usbench.load_encoder(f"{tmp_path / 'mine.py'}:Mine") for _ in range(2))
    weights = [encoder.load().state_dict() for encoder in (first, second)]
    assert weights[0]
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
    assert len(pages) > 4
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        # Badges and their pages lie two folders above the front page on GitHub: tests/test_project.py looks at them.
        if "://" not in target and not target.startswith("../../actions/") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_measured_tables_say_what_results_and_benchmarks_say(tmp_path: Path) -> None:
    measured = runpy.run_path(str(ROOT / "docs" / "measured.py"))
    marks = []
    for name in measured["PAGES"]:
        page = (ROOT / name).read_text(encoding="utf-8")
        marks += re.findall(r"<!-- measured: (\w+) -->", page)
        assert measured["filled"](page) == page, "python docs/measured.py writes the pages anew"
    assert sorted(marks) == sorted(measured["TABLES"])
    rows = json.loads((ROOT / "benchmarks" / "interval_coverage.json").read_text())
    rows[0]["coverage"] = 0.123
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "interval_coverage.json").write_text(json.dumps(rows))
    page = "<!-- measured: coverage -->\nold\n<!-- end of measured -->"
    assert "**0.123**" in measured["filled"](page, tmp_path)

"""What a project has beside its code: citation, forms, versions, badges, and a wheel that runs by itself."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return found


@pytest.fixture
def check_wheel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_wheel", ROOT / ".ci" / "check_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert set(citation["keywords"]) == set(PROJECT["keywords"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_every_python_that_is_named_is_tested() -> None:
    classified = [
        words[-1]
        for words in (line.split(" :: ") for line in PROJECT["classifiers"])
        if words[:2] == ["Programming Language", "Python"]
    ]
    assert PROJECT["requires-python"] == f">={classified[0]}"
    assert workflow("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == classified
    assert workflow("release.yml")["jobs"]["alone"]["strategy"]["matrix"]["python"] == classified
    for page in ("README.md", "CONTRIBUTING.md"):
        sentence = re.search(r"on (?:Python )?(3[.\d, ]+ and 3\.\d+)\.", (ROOT / page).read_text("utf-8"))
        assert sentence is not None, page
        assert re.findall(r"3\.\d+", sentence[1]) == classified, page


def test_every_badge_shows_a_workflow_that_runs_on_main() -> None:
    badges = re.findall(
        r"\[!\[([^\]]+)\]\(\.\./\.\./actions/workflows/([\w-]+\.yml)/badge\.svg\?branch=main\)\]"
        r"\(\.\./\.\./actions/workflows/([\w-]+\.yml)\)",
        (ROOT / "README.md").read_text("utf-8"),
    )
    assert len(badges) >= 2
    for title, shown, linked in badges:
        assert shown == linked
        found = workflow(shown)
        assert found["name"] == title
        # PyYAML reads the key `on` as the boolean that it is in YAML 1.1.
        assert "main" in found[True]["push"]["branches"]  # type: ignore[index]


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.stem)
def test_an_issue_form_is_one_that_can_be_filled_in(form: Path) -> None:
    found = yaml.safe_load(form.read_text("utf-8"))
    assert found["name"]
    assert found["description"]
    fields = [part for part in found["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    ids = [part["id"] for part in fields]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"]["label"] for part in fields)
    assert any(part.get("validations", {}).get("required") for part in fields)


def test_what_the_forms_tell_people_to_read_and_type_exists() -> None:
    from usbench.cli import COMMANDS

    text = "\n".join(form.read_text("utf-8") for form in FORMS)
    assert {form.stem for form in FORMS} == {"config", "new-dataset", "new-encoder", "wrong-figure"}
    assert all((ROOT / page).exists() for page in re.findall(r"`(docs/[\w./-]+)`", text))
    commands = re.findall(r"`usbench (\w+)", text)
    assert len(commands) > 4
    assert set(commands) <= set(COMMANDS)


def notes(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / ".ci" / "release_notes.py"), tag]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release_notes.py", tmp_path / ".ci")
    version = PROJECT["version"]
    changes = (tmp_path / "CHANGELOG.md").read_text("utf-8")
    changes += f"\n## {version}: first\n\n- A line.\n\n## 0.0.1\n\n- Old.\n"
    (tmp_path / "CHANGELOG.md").write_text(changes, "utf-8")
    done = notes(tmp_path, f"v{version}")
    assert (done.returncode, done.stdout) == (0, "- A line.\n")

    done = notes(tmp_path, "v9.9.9")
    assert done.returncode == 1
    assert done.stdout == ""
    for file in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        assert file in done.stderr


def test_a_wheel_that_lacks_or_adds_something_is_refused(check_wheel: ModuleType, tmp_path: Path) -> None:
    whole = [name + "x" if name.endswith("/") else name for name in check_wheel.NEEDED]
    wheel = tmp_path / "usbench-1-py3-none-any.whl"

    def write(names: list[str]) -> None:
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in names:
                archive.writestr(name, "")

    write(whole)
    check_wheel.look_at(wheel)
    for index, missing in enumerate(check_wheel.NEEDED):
        write(whole[:index] + whole[index + 1 :])
        with pytest.raises(check_wheel.CheckError, match=f"lacks {re.escape(missing)}"):
            check_wheel.look_at(wheel)
    for extra in ("tests/test_x.py", "usbench/__pycache__/api.cpython-311.pyc"):
        write([*whole, extra])
        with pytest.raises(check_wheel.CheckError, match=re.escape(extra)):
            check_wheel.look_at(wheel)


@pytest.mark.slow
def test_the_wheel_runs_by_itself(tmp_path: Path) -> None:
    """Installed into a fresh environment, with the packages of this one; the release workflow installs those anew."""
    command = [sys.executable, str(ROOT / ".ci" / "check_wheel.py"), "--dependencies", sys.prefix]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "runs by itself on Python" in done.stdout
    assert "results are valid" in done.stdout

"""Every step of every workflow is run from its YAML, or left out for a reason that its kind states."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from workflow_runner import HEAVY, ROOT, WORKFLOWS, Runner, StepFailedError, git, kind, read, steps

ADDED = "leaderboards/results/covid/pixels.json"
"""The result that the pull request of these tests adds."""


BOARDS = ("breast_lesion", "covid")
"""Boards whose results the repository of these tests has: validating all of them would take each job minutes."""


def kept(name: str) -> bool:
    """Whether a file of this checkout is in the repository of these tests; pages are rendered there."""
    parts = Path(name).parts
    if parts[0] != "leaderboards":
        return True
    if parts[1] == "results":
        return parts[2] in BOARDS and name != ADDED
    return parts[1] != "figures" and not (len(parts) == 2 and name.endswith(".md"))


@dataclass
class Repository:
    """An origin with a main branch that lacks one result, and a clone to make changes in.

    Attributes:
        origin: A bare repository.
        work: A clone of it, on main.
        base: The commit of main: all pages agree with all results but ``ADDED``, which is not there.
    """

    origin: Path
    work: Path
    base: str

    def change(self, branch: str) -> str:
        """Commit what was changed in the clone as a branch of the origin and return its commit."""
        git(self.work, "checkout", "--quiet", "-B", branch)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--message", branch)
        git(self.work, "push", "--quiet", "--force", "origin", branch)
        return git(self.work, "rev-parse", "HEAD")

    def add_result(self) -> str:
        (self.work / ADDED).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / ADDED, self.work / ADDED)
        return self.change("one-result")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, and the workflows look at history")
    folder = tmp_path_factory.mktemp("repository")
    origin, work = folder / "origin.git", folder / "work"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", origin], check=True)
    # Everything that git knows of here, as it is now: a test must see the change that it is run on.
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    subprocess.run(["git", "clone", "--quiet", origin, work], check=True, stderr=subprocess.DEVNULL)
    for name in filter(None, files):
        if (ROOT / name).is_file() and kept(name):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, work / name)
    made = Repository(origin, work, "")
    runner = Runner(origin, folder, {"github": {}}, folder / "artifacts")
    command = "python -m usbench leaderboard --results leaderboards/results"
    runner.did.append((command, "run"))
    runner._run({}, command, work, {"github": {}})
    made.base = made.change("main")
    return made


@pytest.fixture(autouse=True)
def on_main(request: pytest.FixtureRequest) -> None:
    """Begin on main where a test has the repository, which takes long to make."""
    if "repository" not in request.fixturenames:
        return
    repository = request.getfixturevalue("repository")
    git(repository.work, "checkout", "--quiet", "--force", "-B", "main", repository.base)
    git(repository.work, "clean", "--quiet", "--force", "-d")
    git(repository.work, "push", "--quiet", "--force", "origin", "main")


def runner(repository: Repository, folder: Path, **github: Any) -> Runner:
    context = {
        "github": {
            "token": "none",
            "server_url": "https://example.org",
            "repository": "owner/usbench",
            "ref_type": "branch",
            **github,
        }
    }
    return Runner(repository.origin, folder / "jobs", context, folder / "artifacts")


def pull_request(repository: Repository, folder: Path, commit: str) -> Runner:
    event = {"pull_request": {"base": {"sha": repository.base}, "number": 7}}
    return runner(repository, folder, event_name="pull_request", event=event, sha=commit)


def test_every_step_has_a_kind_and_every_heavy_one_a_test() -> None:
    assert len(WORKFLOWS) >= 5
    kinds = {name: kind(step) for name, step in steps()}
    assert set(kinds.values()) == {"checkout", "setup", "artifact", "publish", "heavy", "run"}
    heavy = [step["run"] for _, step in steps() if kind(step) == "heavy"]
    assert all(any(run.startswith(start) for run in heavy) for start in HEAVY)  # no reason without a step


@pytest.mark.slow
def test_a_pull_request_that_adds_one_result_passes(repository: Repository, tmp_path: Path) -> None:
    """One file, no page: pages are those of the base, and the new result is recomputed and commented."""
    asked = pull_request(repository, tmp_path, repository.add_result())
    place = asked.job("leaderboard.yml", "drift")
    assert place is not None
    assert (tmp_path / "artifacts" / "site" / "index.html").is_file()
    assert asked.job("leaderboard.yml", "publish") is None

    assert asked.job("submission.yml", "recompute") is not None
    comment = (tmp_path / "artifacts" / "comment" / "body.md").read_text("utf-8")
    assert "Pixels" in comment
    assert (tmp_path / "artifacts" / "comment" / "number").read_text("utf-8") == "7\n"
    assert comment in (tmp_path / "jobs" / "summary.md").read_text("utf-8")

    done = {"conclusion": "success", "event": "pull_request", "id": 1, "head_sha": asked.context["github"]["sha"]}
    told = runner(repository, tmp_path, event_name="workflow_run", event={"workflow_run": done})
    assert told.job("submission-comment.yml", "comment") is not None
    done["conclusion"] = "failure"
    assert told.job("submission-comment.yml", "comment") is None

    for python in read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]:
        assert asked.job("ci.yml", "test", python=python) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edited", "beside_a_result"), [("leaderboards/covid.md", False), ("leaderboards/figures/covid-forest.csv", True)]
)
def test_a_page_edited_by_hand_is_refused(
    repository: Repository, tmp_path: Path, edited: str, beside_a_result: bool
) -> None:
    page = repository.work / edited
    page.write_text(page.read_text("utf-8") + "0.999\n", "utf-8")
    commit = repository.add_result() if beside_a_result else repository.change("edited")
    with pytest.raises(StepFailedError, match=f"(?s)Pages are what the results say.*{Path(edited).name}"):
        pull_request(repository, tmp_path, commit).job("leaderboard.yml", "drift")


@pytest.mark.slow
def test_a_result_whose_figures_do_not_follow_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.add_result()
    file = repository.work / ADDED
    text = file.read_text("utf-8")
    file.write_text(text.replace('"value": 0.', '"value": 0.9', 1), "utf-8")
    assert file.read_text("utf-8") != text
    commit = repository.change("invented")
    for workflow, job in (("leaderboard.yml", "drift"), ("submission.yml", "recompute")):
        with pytest.raises(StepFailedError, match=r"pixels\.json"):
            pull_request(repository, tmp_path / job, commit).job(workflow, job)


@pytest.mark.slow
def test_main_renders_commits_and_publishes(repository: Repository, tmp_path: Path) -> None:
    """A merged result reaches pages, figures and site; a second run finds nothing left to do."""
    pytest.importorskip("mkdocs", reason="the workflow builds the documentation: pip install '.[docs]'")
    git(repository.work, "push", "--quiet", "--force", "origin", f"{repository.add_result()}:main")
    merged = git(repository.origin, "rev-parse", "main")
    asked = runner(repository, tmp_path, event_name="push", event={"before": repository.base}, sha=merged)
    place = asked.job("leaderboard.yml", "publish")
    assert place is not None
    index = (place / "site" / "index.html").read_text("utf-8")
    assert "Pixels" in index
    assert 'href="docs/index.html"' in index
    assert (place / "site" / "docs" / "index.html").is_file()

    rendered = git(repository.origin, "rev-parse", "main")
    assert git(repository.origin, "rev-parse", "main~1") == merged
    changed = git(repository.origin, "diff", "--name-only", merged, rendered).splitlines()
    assert "leaderboards/covid.md" in changed
    assert all(name == "README.md" or name.startswith("leaderboards/") for name in changed)
    assert not any(name.startswith("leaderboards/results") for name in changed)

    again = runner(repository, tmp_path / "again", event_name="push", event={"before": merged}, sha=rendered)
    assert again.job("leaderboard.yml", "publish") is not None
    assert git(repository.origin, "rev-parse", "main") == rendered
    assert again.job("leaderboard.yml", "drift") is None


@pytest.mark.slow
def test_a_tag_builds_what_is_released(repository: Repository, tmp_path: Path) -> None:
    """The wheel and the source archive are built for real; trying the wheel alone has a test of its own."""
    version = "0.1.0"
    changes = repository.work / "CHANGELOG.md"
    changes.write_text(f"{changes.read_text('utf-8')}\n## {version}\n\n- The first.\n", "utf-8")
    commit = repository.change("release")
    asked = runner(repository, tmp_path, event_name="push", ref_type="tag", ref_name=f"v{version}", sha=commit)
    assert asked.job("release.yml", "build") is not None
    built = tmp_path / "artifacts" / "dist"
    assert (built / "notes.md").read_text("utf-8") == "- The first.\n"
    assert (built / f"usbench-{version}-py3-none-any.whl").is_file()
    assert (built / f"usbench-{version}.tar.gz").is_file()
    for python in read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["alone"]["strategy"]["matrix"]["python"]:
        assert asked.job("release.yml", "alone", python=python) is not None
    assert asked.job("release.yml", "publish") is not None

    asked.context["github"]["ref_name"] = "v9.9.9"
    with pytest.raises(StepFailedError, match=r"pyproject\.toml has version"):
        asked.job("release.yml", "build")

"""Runs the jobs of a GitHub workflow here, from its YAML: enough of the language for the workflows of this repository.

Every step has a kind, and what is done with it follows from the kind alone:

- *checkout*, *artifact*: done here, with a local repository as the origin and folders as the store of artifacts.
- *setup* (``actions/setup-python``, ``pip install``): not done, as the tests run in an environment that is set up; but
  what is installed has to be named in ``constraints.txt`` or to exist.
- *publish* (``gh``, GitHub Pages): not done; the script has to be valid bash, and what is published has to exist.
- *heavy*: scripts of ``HEAVY``, each with the test that runs it instead.
- everything else is run, by bash, in order, in the job's own folder.

An action or an expression that is not known here is an error, so that nothing is left out unnoticed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

HEAVY = {
    "bash .ci/run": "it is the suite that this test belongs to",
    "python .ci/check_wheel.py": "tests/test_project.py::test_the_wheel_runs_by_itself, among the slow ones",
}
ACTIONS = {
    "actions/checkout": "checkout",
    "actions/setup-python": "setup",
    "actions/upload-artifact": "artifact",
    "actions/download-artifact": "artifact",
    "actions/configure-pages": "publish",
    "actions/upload-pages-artifact": "publish",
    "actions/deploy-pages": "publish",
}


def read(path: Path) -> dict[str, Any]:
    """Return a workflow; PyYAML reads its key ``on`` as the boolean that it is in YAML 1.1."""
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def steps() -> list[tuple[str, dict[str, Any]]]:
    """Return every step of every workflow, with a name for it."""
    return [
        (f"{path.stem}.{job}.{step.get('name') or step.get('uses') or step['run'].splitlines()[0]}", step)
        for path in WORKFLOWS
        for job, found in read(path)["jobs"].items()
        for step in found["steps"]
    ]


def kind(step: dict[str, Any]) -> str:
    """Return the kind of a step, as the docstring of this module has it."""
    if "uses" in step:
        return ACTIONS[step["uses"].partition("@")[0]]
    lines = [line.strip() for line in step["run"].splitlines() if line.strip() and not line.strip().startswith("#")]
    if all(line.startswith("pip install ") for line in lines):
        return "setup"
    if any(re.search(r"(^|[\s(\"])gh (release|pr|api) ", line) for line in lines):
        return "publish"
    if len(lines) == 1 and any(lines[0].startswith(start) for start in HEAVY):
        return "heavy"
    return "run"


@dataclass
class Runner:
    """Runs jobs.

    Attributes:
        origin: Repository that is checked out, and pushed to.
        folder: Where the jobs get a folder each.
        context: What expressions may name, such as ``{"github": {"event_name": "push"}}``.
        artifacts: Where artifacts are kept, a folder each.
        did: What became of each step: its name and kind.
    """

    origin: Path
    folder: Path
    context: dict[str, Any]
    artifacts: Path
    did: list[tuple[str, str]] = field(default_factory=list)

    def job(self, workflow: str, name: str, **matrix: str) -> Path | None:
        """Run a job and return its folder; None where its condition says that it is not for this event."""
        found = read(ROOT / ".github" / "workflows" / workflow)["jobs"][name]
        context = {**self.context, "matrix": matrix}
        if not self._holds(found.get("if"), context):
            return None
        place = self.folder / f"{workflow.removesuffix('.yml')}-{name}-{len(self.did)}"
        place.mkdir(parents=True)
        for step in found["steps"]:
            if self._holds(step.get("if"), context):
                self._step(step, place, context)
        return place

    def _step(self, step: dict[str, Any], place: Path, context: dict[str, Any]) -> None:
        sort = kind(step)
        self.did.append((step.get("name") or step.get("uses") or step["run"].strip(), sort))
        options = {key: self._fill(str(value), context) for key, value in step.get("with", {}).items()}
        if sort == "checkout":
            self._check_out(place / options.get("path", ""), options.get("ref"), context)
        elif sort == "artifact":
            self._artifact(step["uses"], options, place)
        elif "uses" in step:
            if "path" in options:
                assert any((place / options["path"]).iterdir()), f"{options['path']} holds nothing to be published"
        else:
            script = self._fill(step["run"], context)
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)
            if sort == "setup":
                check_installation(script, place)
            elif sort == "run":
                self._run(step, script, place, context)

    def _run(self, step: dict[str, Any], script: str, place: Path, context: dict[str, Any]) -> None:
        program = place / "program" if (place / "program").is_dir() else place
        hidden = ("GITHUB_", "USBENCH_", "BASE", "GIT_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environment |= {
            # The program that the step before has "installed", and the tools of this environment.
            "PYTHONPATH": os.pathsep.join(map(str, (program, program / "encoders", program / "tasks"))),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_REF_NAME": str(context["github"].get("ref_name", "")),
        }
        environment |= {key: self._fill(str(value), context) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-c", script],
            cwd=place / step.get("working-directory", ""),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailedError(f"{self.did[-1][0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}")

    def _check_out(self, place: Path, ref: str | None, context: dict[str, Any]) -> None:
        subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", self.origin, place], check=True)
        commit = ref or context["github"]["sha"]
        git(place, "checkout", "--quiet", commit)

    def _artifact(self, action: str, options: dict[str, str], place: Path) -> None:
        kept, here = self.artifacts / options["name"], place / options.get("path", "")
        if action.startswith("actions/upload-artifact"):
            assert any(here.iterdir()), f"{here} holds nothing to be kept"
            shutil.copytree(here, kept, dirs_exist_ok=True)
        else:
            shutil.copytree(kept, here, dirs_exist_ok=True)

    def _fill(self, text: str, context: dict[str, Any]) -> str:
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda match: self._value(match[1], context), text)

    @staticmethod
    def _value(expression: str, context: dict[str, Any]) -> str:
        """Return ``a.b.c``, or the first of ``a.b || c.d`` that is there and not empty."""
        alternatives = [part.strip() for part in expression.split("||")]
        for alternative in alternatives:
            value: Any = context
            for part in alternative.split("."):
                if len(alternatives) == 1:
                    value = value[part]  # an expression that nothing here knows is an error
                else:
                    value = value.get(part, {})
            if value != {} and value != "":
                return str(value)
        return ""

    def _holds(self, condition: str | None, context: dict[str, Any]) -> bool:
        for part in condition.split("&&") if condition else ():
            match = re.fullmatch(r"\s*([\w.]+) == '([^']*)'\s*", part)
            assert match is not None, f"the condition {condition!r} is beyond this runner"
            if self._value(match[1], context) != match[2]:
                return False
        return True


class StepFailedError(Exception):
    """A step of a workflow ended with another status than 0."""


def check_installation(script: str, place: Path) -> None:
    """Check that what ``pip install`` names is a package with a tested version, or a folder that exists.

    Args:
        script: Lines of ``pip install``.
        place: The job's folder.
    """
    tested = {
        re.split(r"[=<>;\[]", line.strip())[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    }
    for line in filter(None, map(str.strip, script.splitlines())):
        words = shlex.split(line)[2:]
        while words:
            word = words.pop(0)
            if word == "--constraint":
                assert (place / words.pop(0)).is_file(), line
            elif not word.startswith("--"):
                path = place / word
                assert (path / "pyproject.toml").is_file() if word.startswith(".") else word in tested, (
                    f"{word}: {line}"
                )


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed."""
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "advice.detachedHead=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()

"""Build the wheel, install it alone into a fresh environment, and run the first command of the README there.

    python .ci/check_wheel.py                            # dependencies from the registry: minutes
    python .ci/check_wheel.py --dependencies .venv       # those of an environment that has them: a minute
    python .ci/check_wheel.py --wheel dist/usbench-*.whl # a wheel that was built before

Needs nothing but the standard library, so that it runs on any interpreter that the wheel is meant for. What is tried is
what a checkout cannot show: files that were left out of the wheel, and modules that are found only because the
repository lies on the path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "usbench/py.typed",
    "usbench/leaderboard/html/templates/base.html",
    "usbench/results/schemas/",
    "usbench/plugins/templates/",
    "tusa/py.typed",
    "tusa/weights/tusa.open-v2.safetensors",
    "usbench_encoders/",
    "usbench_tasks/definitions/",
    "usbench_tasks/data/bus_bra_subset/bus_data.csv",
    "usbench_tasks/data/bus_bra_subset/Images/",
)
"""What the wheel has to hold besides code; a name that ends in a slash is a folder with something in it."""

PACKAGES = ("usbench/", "tusa/", "usbench_encoders/", "usbench_tasks/", "usbench-")
"""The only top-level names it may install."""


def main() -> int:
    """Run the check; any failure is one line and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="a wheel to check; by default one is built from this checkout")
    parser.add_argument(
        "--dependencies", type=Path, metavar="VENV", help="take dependencies from this environment of the same Python"
    )
    parser.add_argument("--constraint", type=Path, help="constraints for pip, such as constraints.txt")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="usbench-wheel-") as scratch:
        try:
            check(Path(scratch), asked.wheel, asked.dependencies, asked.constraint)
        except (CheckError, subprocess.CalledProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


class CheckError(Exception):
    """The wheel is not what it should be."""


def check(scratch: Path, wheel: Path | None, dependencies: Path | None, constraint: Path | None) -> None:
    """Build, look, install and run.

    Args:
        scratch: Folder for everything that is made.
        wheel: A wheel that was built before.
        dependencies: An environment whose packages stand in for the registry's.
        constraint: Constraints for pip.

    Raises:
        CheckError: A file is missing from the wheel or superfluous in it, or the run gave no valid result.
        subprocess.CalledProcessError: A command failed.
    """
    if wheel is None:
        backend = dependencies / "bin" / "python" if dependencies else Path(sys.executable)
        command = [backend, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", scratch / "dist", ROOT]
        # With an environment at hand the build backend is the one in it; else pip fetches its own.
        run([*command, *(["--no-build-isolation"] if dependencies else [])], scratch)
        wheel = next((scratch / "dist").glob("usbench-*.whl"))
    wheel = wheel.resolve()
    look_at(wheel)
    python = install(scratch / "env", wheel, dependencies, constraint)
    place = scratch / "elsewhere"  # an empty folder: nothing of the checkout may be found from here
    place.mkdir()
    where = run([python, "-c", "import usbench; print(usbench.__file__)"], place, quiet=True)
    if not Path(where.strip()).is_relative_to(scratch / "env"):
        raise CheckError(f"usbench was imported from {where.strip()}, not from the wheel.")
    usbench = python.with_name("usbench")
    run([usbench, "run", "-e", "tusa", "-t", "breast_lesion", "--results", "results"], place)
    if not list(place.glob("results/**/*.json")):
        raise CheckError("the run wrote no result.")
    run([usbench, "results", "validate", "results"], place)
    print(f"{wheel.name} runs by itself on Python {'.'.join(map(str, sys.version_info[:2]))}.")


def look_at(wheel: Path) -> None:
    """Compare the names in the wheel with what it must and may hold."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in NEEDED:
        if not any(name.startswith(needed) if needed.endswith("/") else name == needed for name in names):
            raise CheckError(f"{wheel.name} lacks {needed}.")
    if foreign := [name for name in names if not name.startswith(PACKAGES)]:
        raise CheckError(f"{wheel.name} would install {foreign[0]}, which is no package of this project.")
    if caches := [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".tmp"))]:
        raise CheckError(f"{wheel.name} holds {caches[0]}.")


def install(folder: Path, wheel: Path, dependencies: Path | None, constraint: Path | None) -> Path:
    """Make an environment, install the wheel, and return its interpreter."""
    run([sys.executable, "-m", "venv", folder], folder.parent)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if dependencies is None:
        run([*pip, *(["--constraint", constraint.resolve()] if constraint else []), wheel], folder.parent)
        run([python, "-m", "pip", "check"], folder.parent)
        return python
    run([*pip, "--no-deps", wheel], folder.parent)
    theirs, ours = (site_packages(each) for each in (dependencies.resolve() / "bin" / "python", python))
    # A path named in a .pth file is searched after the environment's own, and .pth files in it are not read: an
    # editable installation of usbench there stays out of sight.
    (ours / "dependencies.pth").write_text(f"{theirs}\n", encoding="utf-8")
    return python


def site_packages(python: Path) -> Path:
    """Return where an interpreter keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run([python, "-c", code], ROOT, quiet=True).strip())


def run(command: list[str | Path], folder: Path, quiet: bool = False) -> str:
    """Run a command in a folder, without what this process knows of the checkout, and return what it printed."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "USBENCH_DATA_ROOT")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    for name in ("CACHE", "CONFIG", "WEIGHTS"):
        environment.setdefault(f"USBENCH_{name}", str(folder / f"usbench-{name.lower()}"))
    words = [str(word) for word in command]
    if not quiet:
        print("$", *words, flush=True)
    done = subprocess.run(
        words, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.PIPE if quiet else None
    )
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())

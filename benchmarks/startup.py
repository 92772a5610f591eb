"""How long commands take to answer, each in a process of its own, and what importing the package costs.

The first frame is timed as a user sees it: from the command to the moment at which the bar of a terminal counts images.

python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pty
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
USBENCH = [sys.executable, "-m", "usbench"]
# A machine that imports these to print a help text keeps its user waiting.
HEAVY = ("torch", "sklearn", "pandas", "av", "monai", "scipy", "umap")


ENCODERS = ("pixels", "tusa")
FIRST_FRAME = "usbench run -e tusa, until the first images are encoded"
COUNTED = re.compile(rb"\b([1-9]\d*)/\d+\b")  # as the bar has it: 16/354


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the command lines to time; some are answered from what :func:`cached_run` left in ``folder``."""
    subset = ["-t", "breast_lesion", "--data", "subset"]
    return {
        "python, nothing imported": [sys.executable, "-c", "pass"],
        "usbench --help": [*USBENCH, "--help"],
        "usbench list encoders": [*USBENCH, "list", "encoders"],
        "usbench leaderboard --check": [*USBENCH, "leaderboard", "--check"],
        "usbench leaderboard --html": [*USBENCH, "leaderboard", "--html", str(folder / "site")],
        "usbench check encoder pixels": [*USBENCH, "check", "encoder", "pixels"],
        "usbench map, 354 images, three seeds": [*USBENCH, "map", "-e", "pixels", *subset, "-o", str(folder / "map")],
        "usbench run -e pixels, result kept": cached_run(folder, "pixels"),
        "usbench run -e tusa, result kept": cached_run(folder, "tusa"),
    }


def cached_run(folder: Path, encoder: str) -> list[str]:
    """Return a run on the bundled real images, with its result in ``folder``."""
    return [*USBENCH, "run", "-e", encoder, "-t", "breast_lesion", "--data", "subset", "--results", str(folder)]


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and return its wall time.

    Raises:
        SystemExit: It failed, so that its time would mean nothing.
    """
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=HERE.parent)
    taken = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])}: failed with {done.returncode}: {done.stderr.strip()[-400:]}")
    return taken


def first_frame(environment: dict[str, str]) -> float:
    """Return the seconds from the command to the first count of the bar, and stop the run.

    Raises:
        SystemExit: The run ended before it counted an image.
    """
    command = [*USBENCH, "run", "-e", "tusa", "-t", "breast_lesion", "--data", "subset"]
    terminal, theirs = pty.openpty()
    with tempfile.TemporaryDirectory() as empty:
        own = environment | {"USBENCH_CACHE": empty, "TERM": "xterm", "COLUMNS": "120"}
        started = time.perf_counter()
        run = subprocess.Popen(
            [*command, "--results", empty], stdin=theirs, stdout=theirs, stderr=theirs, env=own, cwd=HERE.parent
        )
        os.close(theirs)
        seen = b""
        try:
            while not COUNTED.search(seen):
                seen += os.read(terminal, 4096)
            return time.perf_counter() - started
        except OSError as error:  # the other end is closed
            raise SystemExit(f"{' '.join(command[2:])}: ended early: {seen[-400:].decode(errors='replace')}") from error
        finally:
            run.send_signal(signal.SIGINT)
            os.close(terminal)
            run.wait()


def imports() -> dict[str, Any]:
    """Return the slowest imports of the command line, in milliseconds without what they import, and the heavy ones."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import usbench.cli"], capture_output=True, text=True, check=True
    )
    rows = []
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            rows.append((int(own) / 1000, rest.split("|")[1].strip()))
    names = {name.partition(".")[0] for _, name in rows}
    slowest = [{"module": name, "ms": round(ms, 1)} for ms, name in sorted(rows, reverse=True)[:8]]
    return {"modules": len(rows), "heavy": sorted(names & set(HEAVY)), "slowest": slowest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        environment = {**os.environ, "USBENCH_CACHE": str(folder / "cache"), "USBENCH_CONFIG": str(folder / "c.toml")}
        # An installed package has its bytecode; a checkout whose shell forbids it compiles every module at each start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        first = {encoder: seconds(cached_run(folder / "results", encoder), environment) for encoder in ENCODERS}
        todo = commands(folder / "results")
        times: dict[str, list[float]] = {name: [] for name in [*todo, FIRST_FRAME]}
        for _ in range(args.repeats):
            for name, command in todo.items():
                times[name].append(seconds(command, environment))
            times[FIRST_FRAME].append(first_frame(environment))
    report = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 2),
        "repeats": args.repeats,
        "seconds": {name: round(statistics.median(values), 3) for name, values in times.items()},
        "first_run_seconds": {encoder: round(value, 2) for encoder, value in first.items()},
        "imports": imports(),
    }
    (HERE / "startup.json").write_text(json.dumps(report, indent=1) + "\n")
    circumstances = f"{report['machine']}, medians of {args.repeats}, load of the machine {report['load']}."
    lines = ["# Start-up", "", f"Written by `benchmarks/startup.py`. {circumstances}", ""]
    lines += ["| command | seconds |", "|---|---:|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in report["seconds"].items()]
    found, first = report["imports"], report["first_run_seconds"]
    lines += ["", f"The first time `pixels` took {first['pixels']:.1f} s and `tusa` {first['tusa']:.1f} s."]
    lines[-1] += f" `import usbench.cli` reads {found['modules']} modules;"
    lines[-1] += f" of the heavy libraries: {', '.join(found['heavy']) or 'none'}."
    (HERE / "startup.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Time the evaluation against the plain scikit-learn and one-by-one way, both in one run, interleaved.

The vectors are synthetic, of the sizes of the real tasks: what is timed does not depend on what they mean. Each
part also tells how far the two answers are apart. Writes evaluate.json and evaluate.md next to this file.

    python benchmarks/evaluate.py                 # all parts, three repeats
    python benchmarks/evaluate.py --repeats 1 --parts svc bootstrap
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from usbench.evaluation.scoring import metric_names
from usbench.probes import ProbeData, ProbeResult, mean_by_unit, run_protocol
from usbench.probes.linear_svm import GRID
from usbench.statistics import (
    Predictions,
    Split,
    bootstrap,
    compute,
    repeated_subject_folds,
    subject_folds,
)

HERE = Path(__file__).parent
RESAMPLES = 2000


@dataclass
class Row:
    """One comparison: medians over the repeats, in seconds, and how far the answers are apart."""

    part: str
    plain: float
    ours: float
    ratio: float
    apart: str


def cohort(subjects: int, units: int, frames: int, width: int, regression: bool = False, seed: int = 0) -> ProbeData:
    """Draw embeddings of the shape of a task: correlated features, some signal, some subjects with two units."""
    rng = np.random.default_rng(seed)
    subject = np.concatenate([np.arange(subjects), rng.choice(subjects, units - subjects, replace=False)])
    target = rng.normal(size=subjects)[subject]
    latent = rng.normal(size=(units, width)) + 0.8 * target[:, None] * (np.arange(width) < 3)
    mixed = (latent / np.sqrt(1 + np.arange(width))) @ np.linalg.qr(rng.normal(size=(width, width)))[0]
    unit = np.repeat(np.arange(units), frames)
    noise = 0.02 * rng.standard_normal((len(unit), width), dtype=np.float32)
    y = 95 + 4 * target if regression else (target > 0.4).astype(int)
    return ProbeData(mixed[unit].astype(np.float32) + noise, unit, y, subject)


COVID = {"subjects": 63, "units": 63, "frames": 20}
OXYGEN = {"subjects": 56, "units": 56, "frames": 20, "regression": True}
BREAST = {"subjects": 1064, "units": 1875, "frames": 1}


# Plain counterparts: what one writes with scikit-learn and loops.


def plain_svc(width: int) -> object:
    """Build the pipeline; dividing C by the width stands for our scaling to a mean squared length of one."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    return make_pipeline(
        StandardScaler(), LinearSVC(class_weight="balanced", dual="auto", intercept_scaling=100.0, max_iter=10_000)
    )


def plain_search(data: ProbeData, splits_by_repeat: list[list[Split]], nested: bool) -> Predictions:
    """Tune C by `GridSearchCV`, inside each training fold or on the scored folds, and pool the predictions."""
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    width = data.embeddings.shape[1]
    features = np.stack([data.embeddings[data.unit == u].mean(axis=0) for u in range(data.n_units)])
    parameters = {"linearsvc__C": [c / width for c in GRID]}
    scores = np.empty((len(splits_by_repeat), data.n_units))
    folds = np.empty(scores.shape, dtype=int)
    for r, splits in enumerate(splits_by_repeat):
        for f, split in enumerate(splits):
            folds[r, split.test] = f
        outer = None if nested else GridSearchCV(plain_svc(width), parameters, cv=PredefinedSplit(folds[r]))
        if outer is not None:
            outer.fit(features, data.y)
        for f, split in enumerate(splits):
            if outer is not None:
                model = plain_svc(width).set_params(**outer.best_params_)
            else:
                seed = int(np.random.SeedSequence([0, r, f]).generate_state(1)[0])
                inner = subject_folds(data.groups[split.train], data.y[split.train], 4, seed)
                model = GridSearchCV(plain_svc(width), parameters, cv=[(s.train, s.test) for s in inner])
            model.fit(features[split.train], data.y[split.train])
            scores[r, split.test] = model.decision_function(features[split.test])
    return Predictions.binary(data.y, scores, fold=folds, groups=data.groups)


def plain_interval(outcome: Predictions) -> tuple[float, float]:
    """Resample subjects in a loop, concatenating their units and asking scikit-learn for each AUC."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    units = [np.flatnonzero(outcome.group == g) for g in range(outcome.n_groups)]
    values = []
    for _ in range(RESAMPLES):
        picked = np.concatenate([units[g] for g in rng.integers(0, outcome.n_groups, outcome.n_groups)])
        values.append(np.mean([roc_auc_score(outcome.y[picked], s[picked]) for s in outcome.score]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def answer(name: str, data: ProbeData, splits: list[list[Split]], threads: int) -> ProbeResult:
    question = "regression" if data.y.dtype.kind == "f" else "classification"
    return run_protocol(name, data, splits, question=question, n_jobs=threads)


# Parts: each gives the two ways and how to tell that they agree.

Ways = tuple[Callable[[], object], Callable[[], object], Callable[[object, object], str]]


def svc_part(name: str, shape: dict[str, int], repeats: int, width: int, threads: int) -> Ways:
    data = cohort(**shape, width=width)
    splits = repeated_subject_folds(data.groups, data.y, 5, repeats, 0)

    def apart(plain: object, ours: object) -> str:
        assert isinstance(plain, Predictions)
        assert isinstance(ours, Predictions)
        gaps = [abs(compute(m, plain) - compute(m, ours)) for m in ("accuracy", "fold_auc")]
        return f"accuracy {gaps[0]:.4f}, AUC {gaps[1]:.4f}"

    return (
        lambda: plain_search(data, splits, nested="nested" in name),
        lambda: answer(name, data, splits, threads).predictions.tested(),
        apart,
    )


def bootstrap_part(shape: dict[str, int], repeats: int) -> Ways:
    data = cohort(**shape, width=4)
    rng = np.random.default_rng(0)
    score = data.y + rng.normal(size=(repeats, data.n_units))
    outcome = Predictions.binary(data.y, score, groups=data.groups)

    def ours() -> tuple[float, float]:
        found = bootstrap(outcome, ["auc"], RESAMPLES)["auc"]
        return found.low, found.high

    def apart(a: object, b: object) -> str:
        return f"bounds {np.abs(np.subtract(a, b)).max():.4f}"

    return lambda: plain_interval(outcome), ours, apart


def heads_part(width: int, threads: int) -> Ways:
    import torch
    from heads_one_by_one import train_heads_one_by_one

    from usbench.probes.attention.folds import HeadSettings, arrange_frames, plan_folds
    from usbench.probes.attention.head import train_in_threads
    from usbench.probes.problem import Problem

    data = cohort(**OXYGEN, width=width)
    splits = repeated_subject_folds(data.groups, None, 10, 1, 0, stratify=False)
    problem = Problem(data, "regression", mean_by_unit(data), data.y, data.groups, 0, splits, 0, threads)
    settings, frames = HeadSettings(), arrange_frames(data)
    plans = plan_folds(problem, frames, settings)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    common = (frames, data.y, plans, settings, 10, device, "float32")

    def apart(a: object, b: object) -> str:
        return f"predictions {max(np.abs(p - q).max() for p, q in zip(a[0], b[0], strict=True)):.1e}"

    return lambda: train_heads_one_by_one(*common), lambda: train_in_threads(*common, threads), apart


def parts(width: int, threads: int) -> dict[str, dict[str, Callable[[], Ways]]]:
    return {
        "svc": {
            "covid, svc-paper, 5 x 5 folds": lambda: svc_part("svc-paper@1", COVID, 5, width, threads),
            "covid, svc-nested, 5 x 5 folds": lambda: svc_part("svc-nested@1", COVID, 5, width, threads),
            "breast, svc-paper, 5 folds": lambda: svc_part("svc-paper@1", BREAST, 1, width, threads),
            "breast, svc-nested, 5 folds": lambda: svc_part("svc-nested@1", BREAST, 1, width, threads),
        },
        "bootstrap": {
            "covid, AUC interval, 5 repeats": lambda: bootstrap_part(COVID, 5),
            "breast, AUC interval": lambda: bootstrap_part(BREAST, 1),
        },
        "heads": {"oxygen, 10 folds x 10 heads": lambda: heads_part(width, threads)},
    }


def measure(label: str, make: Callable[[], Ways], repeats: int) -> Row:
    """Run both ways in turns and keep the medians."""
    plain, ours, apart = make()
    seconds: tuple[list[float], list[float]] = ([], [])
    answers: list[object] = [None, None]
    for _ in range(repeats):
        for k, way in enumerate((plain, ours)):
            start = time.perf_counter()
            answers[k] = way()
            seconds[k].append(time.perf_counter() - start)
    a, b = (statistics.median(s) for s in seconds)
    row = Row(label, a, b, a / b, apart(*answers))
    print(f"{label:34s} plain {a:8.2f} s   ours {b:7.3f} s   {a / b:6.1f}x   apart: {row.apart}", flush=True)
    return row


def everything(width: int, threads: int) -> float:
    """Seconds for three tasks, three encoders, all protocols, all metrics with intervals."""
    start = time.perf_counter()
    for encoder, size in enumerate((width, 256, 64)):
        for shape, folds, repeats in ((COVID, 5, 5), (BREAST, 5, 1), (OXYGEN, 10, 5)):
            data = cohort(**shape, width=size, seed=encoder)
            regression = "regression" in shape
            y = None if regression else data.y
            splits = repeated_subject_folds(data.groups, y, folds, repeats, 0, stratify=not regression)
            names = ["ridge-nested", "attention-paper"] if regression else ["svc-paper", "svc-nested"]
            for name in (*names, "knn", "constant"):
                result = answer(name, data, splits[:1] if name == "attention-paper" else splits, threads)
                outcome = result.predictions.tested(95 if regression else None)
                bootstrap(outcome, metric_names(outcome), RESAMPLES)
    return time.perf_counter() - start


def growth(frames: int, width: int, threads: int) -> dict[str, float]:
    """Time and peak memory of the nested SVC with intervals, five frames per unit; meant for a process of its own."""
    units = frames // 5
    data = cohort(units, units, 5, width)
    before = peak_mib()
    start = time.perf_counter()
    splits = repeated_subject_folds(data.groups, data.y, 5, 1, 0)
    bootstrap(answer("svc-nested", data, splits, threads).predictions.tested(), ["fold_auc", "accuracy"])
    return {
        "frames": frames,
        "seconds": round(time.perf_counter() - start, 2),
        "vectors_mib": round(data.embeddings.nbytes / 2**20),
        "before_mib": before,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> int:
    """Peak memory of this process; the kernel's own count, because a child inherits `ru_maxrss` from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=["svc", "bootstrap", "heads", "everything", "growth"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--growth-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.growth_of:
        print(json.dumps(growth(args.growth_of, args.width, args.threads)))
        return
    import torch

    torch.set_num_threads(args.threads)
    known = parts(args.width, args.threads)
    load = os.getloadavg()[2]
    rows = [measure(label, make, args.repeats) for part in args.parts for label, make in known.get(part, {}).items()]
    report: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_at_start": round(load, 2),
        "threads": args.threads,
        "width": args.width,
        "repeats": args.repeats,
        "rows": [asdict(row) for row in rows],
    }
    if "everything" in args.parts:
        report["everything_seconds"] = everything(args.width, args.threads)
        print(f"three tasks, three encoders, all protocols: {report['everything_seconds']:.1f} s", flush=True)
    if "growth" in args.parts:
        report["growth"] = []
        for frames in (1_000, 10_000, 100_000):
            command = [sys.executable, __file__, "--growth-of", str(frames), "--width", str(args.width)]
            command += ["--threads", str(args.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            report["growth"].append(json.loads(done.stdout))
            print(done.stdout.strip(), flush=True)
    write(report)


def write(report: dict[str, Any]) -> None:
    """Write the JSON and the page."""
    (HERE / "evaluate.json").write_text(json.dumps(report, indent=1) + "\n")
    circumstances = (
        f"Written by `benchmarks/evaluate.py`. {report['machine']}, {report['threads']} threads, {report['width']} "
        f"features, medians of {report['repeats']} interleaved repeats; load of the machine by other work: "
        f"{report['load_at_start']} (15-minute average before the start)."
    )
    lines = ["# Evaluation against the plain way", "", circumstances, ""]
    lines += ["| part | plain (s) | ours (s) | ratio | answers apart by |", "|---|---:|---:|---:|---|"]
    lines += [
        f"| {r['part']} | {r['plain']:.2f} | {r['ours']:.3f} | {r['ratio']:.1f} | {r['apart']} |"
        for r in report["rows"]
    ]
    if len(report["rows"]) > 1:
        plain, ours = (sum(r[way] for r in report["rows"]) for way in ("plain", "ours"))
        lines.append(f"| **all of these** | {plain:.1f} | {ours:.2f} | {plain / ours:.1f} | |")
    lines += [
        "",
        "The SVC answers are apart where two values of C tie or nearly so: scikit-learn averages accuracies of inner",
        "folds, ours pools them, and liblinear shrinks the intercept a little. The plain heads use the same seeds.",
    ]
    if "everything_seconds" in report:
        total = f"{report['everything_seconds']:.0f} s"
        what = "`covid`, `oxygen_saturation` and `breast_lesion` for three encoders from vectors in memory, all "
        lines += ["", f"{what}protocols, every metric with its interval: {total}."]
    if "growth" in report:
        lines += ["", "`svc-nested` with intervals, five frames per unit, in a process of its own:", ""]
        lines += [
            "| frames | seconds | vectors (MiB) | memory before (MiB) | peak (MiB) |",
            "|---:|---:|---:|---:|---:|",
        ]
        columns = ("frames", "seconds", "vectors_mib", "before_mib", "peak_mib")
        lines += ["| " + " | ".join(str(g[c]) for c in columns) + " |" for g in report["growth"]]
    (HERE / "evaluate.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""How often a 95 % interval covers, and how often two equal encoders are distinguished: simulated with real refits.

Each cohort is drawn anew, two encoders of equal worth look at it, and the whole protocol runs on both: folds, tuning,
training, half-samples. The value that an interval should cover is the mean score of the protocol over all cohorts of a
setting. Keeps the numbers in interval_coverage.json beside this file, from which `docs/measured.py` writes the table of
docs/statistics.md.

    python benchmarks/interval_coverage.py --minutes 30  # cohorts of all settings in turn, until the time is up
    python benchmarks/interval_coverage.py --summary     # interval_coverage.json from what was simulated so far
    python docs/measured.py                              # the table
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from usbench.probes import ProbeData, run_protocol
from usbench.probes.half_samples import refit_halves
from usbench.statistics import Predictions, compare, compute, repeated_subject_folds
from usbench.statistics.auc_variance import auc_test
from usbench.statistics.bootstrap import draw
from usbench.statistics.metrics import prepare

HERE = Path(__file__).parent
FILE = HERE / "interval_coverage.json"
RESAMPLES = 200


@dataclass(frozen=True)
class Setting:
    """One kind of cohort.

    Attributes:
        name: Row of the table.
        subjects: Number of subjects.
        images: Images per subject.
        signal: Distance of the class means, or weight of the target, on two axes out of `width`.
        width: Features.
        folds: Folds.
        draws: Draws of the folds.
        metrics: Metrics looked at, the one that ranks first.
        regression: Whether a value is predicted.
        chosen_on: First cohorts, on which the rule of the standard error was chosen; they are not in the table.
    """

    name: str
    subjects: int
    images: int
    signal: float
    width: int
    folds: int
    draws: int
    metrics: tuple[str, ...]
    regression: bool = False
    chosen_on: int = 201

    @property
    def protocol(self) -> str:
        """The protocol that ranks such boards."""
        return "ridge-nested@2" if self.regression else "svc-nested@2"


CLASSES = ("fold_auc", "auc", "accuracy", "balanced_accuracy")
SETTINGS = [
    Setting("63 patients, AUC .55", 63, 1, 0.35, 32, 5, 5, CLASSES),
    Setting("63 patients, AUC .67", 63, 1, 0.8, 32, 5, 5, CLASSES),
    Setting("63 patients, AUC .81", 63, 1, 1.4, 32, 5, 5, CLASSES),
    Setting("200 patients, two images each, AUC .70", 200, 2, 0.6, 32, 5, 1, CLASSES),
    Setting("1,000 patients, two images each, AUC .74", 1000, 2, 0.6, 32, 5, 1, CLASSES, chosen_on=83),
    Setting("56 patients, a value", 56, 1, 0.9, 32, 10, 5, ("mae", "pearson_r"), True, chosen_on=74),
]


def cohort(setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Labels, subjects, and the features of two encoders that see half of the same noise."""
    rng = np.random.default_rng(seed)
    n, width = setting.subjects, setting.width
    subject = np.repeat(np.arange(n), setting.images)
    y = rng.normal(size=n) if setting.regression else rng.permutation(np.arange(n) >= round(0.48 * n)).astype(float)
    shared = rng.normal(size=(n, width))
    features = []
    for _ in range(2):
        own = rng.normal(size=(n, width))
        patient = np.sqrt(0.5) * shared + np.sqrt(0.5) * own
        image = rng.normal(size=(n * setting.images, width))
        latent = patient[subject] if setting.images == 1 else np.sqrt(0.5) * (patient[subject] + image)
        # On axes 3 and 4: neither the strongest, where any probe finds it, nor the weakest.
        latent[:, 2:4] += setting.signal * (y[subject, None] - (0 if setting.regression else 0.5))
        features.append(latent / np.sqrt(1 + np.arange(width)))
    return y[subject], subject, features


def simulate(setting: Setting, seed: int) -> dict[str, Any]:
    """Run both encoders on one cohort: values, half-samples, bootstrap errors and the tests of fixed predictions."""
    y, subject, features = cohort(setting, seed)
    question = "regression" if setting.regression else "classification"
    strata = None if setting.regression else y
    splits = repeated_subject_folds(
        subject, strata, setting.folds, setting.draws, seed, stratify=not setting.regression
    )
    outcomes: list[Predictions] = []
    row: dict[str, Any] = {"seed": seed, "values": [], "halves": [], "bootstrap": [], "edge": []}
    for x in features:
        data = ProbeData(x.astype(np.float32), np.arange(len(y)), y, subject)
        result = run_protocol(setting.protocol, data, splits, question=question)
        outcome = result.predictions.tested()
        halves = refit_halves(
            setting.protocol, data, splits[0], setting.metrics, folds=setting.folds, draws=setting.draws,
            question=question, choices=result.choices,
        )  # fmt: skip
        kernels = {name: prepare(name, outcome) for name in setting.metrics}
        draws = draw(outcome, kernels, RESAMPLES, 0.95, 0)
        row["values"].append([compute(name, outcome) for name in setting.metrics])
        row["halves"].append([halves.metrics[name] for name in setting.metrics])
        row["bootstrap"].append(
            [[float(np.nanstd(draws[name])), *np.nanquantile(draws[name], [0.025, 0.975])] for name in setting.metrics]
        )
        row["edge"].append(float(np.mean([bool(c.edge) for c in result.choices])))
        outcomes.append(outcome)
    found = [compare(*outcomes, name, n_resamples=RESAMPLES) for name in setting.metrics]
    row["fixed"] = [
        [c.difference, c.low, c.high, c.p, fixed_error(*outcomes, name)]
        for c, name in zip(found, setting.metrics, strict=True)
    ]
    return row


def fixed_error(a: Predictions, b: Predictions, metric: str) -> float:
    """Standard error of a difference under fixed predictions, as the pages take it."""
    if metric in ("auc", "fold_auc"):
        found = auc_test(a, b, within_folds=metric == "fold_auc")
        return 0.0 if found is None else found.standard_error
    first, second = prepare(metric, a), prepare(metric, b)
    return float(np.nanstd(draw(a, {"d": lambda w: first(w) - second(w)}, RESAMPLES, 0.95, 0)["d"]))


def summary(rows: list[dict[str, Any]], setting: Setting) -> list[dict[str, Any]]:
    """Coverage and level of one setting, for each metric, before (fixed predictions) and after (half-samples)."""
    from usbench.statistics.half_samples import interval, standard_error

    # What is true is known best from all cohorts; how often it is covered, from those the rule was not chosen on.
    values = np.array([row["values"] for row in rows], dtype=float)
    rows = [row for row in rows if row["seed"] >= setting.chosen_on]
    found = []
    for k, metric in enumerate(setting.metrics):
        truth = float(values[:, :, k].mean())
        spread = float(np.sqrt(((values[:, :, k] - truth) ** 2).mean()))
        covered, before, errors, fixed_errors, told, told_before = [], [], [], [], [], []
        for row in rows:
            for value, halves, (fixed, low, high) in zip(
                [v[k] for v in row["values"]],
                [h[k] for h in row["halves"]],
                [b[k] for b in row["bootstrap"]],
                strict=True,
            ):
                error = standard_error(fixed, halves, subjects=setting.subjects)
                bounds = interval(metric, value, error) or (value, value)
                covered.append(bounds[0] <= truth <= bounds[1])
                before.append(low <= truth <= high)
                errors.append(error.value)
                fixed_errors.append(fixed)
            difference, _, _, p, fixed = row["fixed"][k]
            paired = standard_error(fixed, row["halves"][0][k], row["halves"][1][k], subjects=setting.subjects)
            told.append(paired.p(difference) < 0.05)
            told_before.append(p < 0.05)
        found.append(
            {
                "setting": setting.name,
                "metric": metric,
                "cohorts": len(rows),
                "mean": round(truth, 4),
                "deviation": round(spread, 4),
                "error_before": round(float(np.mean(fixed_errors)) / spread, 3),
                "error": round(float(np.sqrt(np.mean(np.square(errors)))) / spread, 3),
                "coverage_before": round(float(np.mean(before)), 3),
                "coverage": round(float(np.mean(covered)), 3),
                "level_before": round(float(np.mean(told_before)), 3),
                "level": round(float(np.mean(told)), 3),
                "edge": round(float(np.mean([row["edge"] for row in rows])), 4),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="CPU time to spend")
    parser.add_argument("--raw", type=Path, nargs="+", default=[HERE / "coverage.raw.json"], help="simulated cohorts")
    parser.add_argument("--first", type=int, default=0, help="first seed, where several processes share the work")
    parser.add_argument("--step", type=int, default=1, help="distance of the seeds, the number of processes")
    parser.add_argument("--only", default="", help="settings whose name holds this, such as 1,000; all by default")
    parser.add_argument("--summary", action="store_true", help="simulate nothing, only write interval_coverage.json")
    args = parser.parse_args()
    wanted = [setting for setting in SETTINGS if args.only in setting.name]
    if not wanted:
        parser.error(f"no setting is called {args.only!r}: there are {'; '.join(s.name for s in SETTINGS)}")
    if not args.summary:
        file = args.raw[0]
        kept: dict[str, list[dict[str, Any]]] = json.loads(file.read_text()) if file.exists() else {}
        spent: dict[str, float] = {}
        saved = start = time.process_time()
        while (now := time.process_time()) - start < 60 * args.minutes:
            # The same CPU time for each setting.
            setting = min(wanted, key=lambda s: spent.get(s.name, 0.0))
            rows = kept.setdefault(setting.name, [])
            rows.append(simulate(setting, args.first + args.step * len(rows)))
            spent[setting.name] = spent.get(setting.name, 0.0) + time.process_time() - now
            if now - saved > 15:
                file.write_text(json.dumps(kept))
                saved = now
        file.write_text(json.dumps(kept))
    kinds = [json.loads(file.read_text()) for file in args.raw if file.exists()]
    if not kinds:
        parser.error(f"nothing was simulated yet: there is no {args.raw[0]}")
    found = []
    for setting in SETTINGS:
        rows = [row for kept in kinds for row in kept.get(setting.name, [])]
        found += summary(rows, setting) if any(row["seed"] >= setting.chosen_on for row in rows) else []
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{FILE} holds {len(found)} rows; python docs/measured.py writes the table.")


if __name__ == "__main__":
    main()

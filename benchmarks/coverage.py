"""How often a 95 % interval covers, and how often two equal encoders are told apart: simulated with real refits.

Each cohort is drawn anew, two encoders of equal worth look at it, and the whole protocol runs on both: folds, tuning,
training, half-samples. The value that an interval should cover is the mean score of the protocol over all cohorts of a
setting. The table in docs/statistics.md is written from coverage.json beside this file.

    python benchmarks/coverage.py --minutes 30            # cohorts of all settings in turn, until the time is up
    python benchmarks/coverage.py --table                 # the table from what was simulated so far
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
from usbench.statistics import Outcome, compare, compute, repeated_subject_folds
from usbench.statistics.bootstrap import draw
from usbench.statistics.metrics import prepare

HERE = Path(__file__).parent
FILE = HERE / "coverage.json"
RESAMPLES = 200


@dataclass(frozen=True)
class Setting:
    """One kind of cohort.

    Attributes:
        name: Row of the table.
        subjects: Number of subjects.
        images: Images a subject.
        signal: Distance of the class means, or weight of the target, on two axes out of `width`.
        width: Features.
        folds: Folds.
        draws: Draws of the folds.
        metrics: Metrics looked at, the one that ranks first.
        regression: Whether a value is predicted.
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
    Setting("1,000 patients, two images each, AUC .74", 1000, 2, 0.6, 32, 5, 1, CLASSES),
    Setting("56 patients, a value", 56, 1, 0.9, 32, 10, 5, ("mae", "pearson_r"), True),
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
    outcomes: list[Outcome] = []
    row: dict[str, Any] = {"seed": seed, "values": [], "halves": [], "bootstrap": [], "edge": []}
    for x in features:
        data = ProbeData(x.astype(np.float32), np.arange(len(y)), y, subject)
        result = run_protocol(setting.protocol, data, splits, question=question)
        outcome = result.outcome(y, subject)
        halves = refit_halves(
            setting.protocol, data, splits[0], setting.metrics, folds=setting.folds, question=question,
            choices=result.choices, seed=0,
        )  # fmt: skip
        kernels = {name: prepare(name, outcome) for name in setting.metrics}
        draws = draw(outcome, kernels, RESAMPLES, 0.95, 0, False)
        row["values"].append([compute(name, outcome) for name in setting.metrics])
        row["halves"].append([halves.metrics[name] for name in setting.metrics])
        row["bootstrap"].append(
            [[float(np.nanstd(draws[name])), *np.nanquantile(draws[name], [0.025, 0.975])] for name in setting.metrics]
        )
        row["edge"].append(float(np.mean([bool(c.edge) for c in result.choices])))
        outcomes.append(outcome)
    found = [compare(*outcomes, name, n_resamples=RESAMPLES) for name in setting.metrics]
    row["fixed"] = [[c.difference, c.low, c.high, c.p] for c in found]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="processor time to spend")
    parser.add_argument("--table", action="store_true", help="only write the table")
    args = parser.parse_args()
    kept: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    if not args.table:
        spent: dict[str, float] = {}
        saved = start = time.process_time()
        while (now := time.process_time()) - start < 60 * args.minutes:
            # The same processor time for each setting.
            setting = min(SETTINGS, key=lambda s: spent.get(s.name, 0.0))
            rows = kept.setdefault(setting.name, [])
            rows.append(simulate(setting, len(rows)))
            spent[setting.name] = spent.get(setting.name, 0.0) + time.process_time() - now
            if now - saved > 15:
                FILE.write_text(json.dumps(kept))
                saved = now
        FILE.write_text(json.dumps(kept))


if __name__ == "__main__":
    main()

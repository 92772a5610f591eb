"""Synthetic results for tests of the pages: made-up scores in the exact form of real ones. They prove nothing about any
encoder and never leave the temporary folder of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usbench.evaluation.scoring import from_stored, metric_names
from usbench.results.schema import Estimate, ProtocolResult, Repeat, Result, Units, save
from usbench.statistics.bootstrap import bootstrap

MakeResult = Callable[..., Result]


def synthetic_result(
    encoder: str = "made-up",
    task: str = "covid",
    signal: float = 1.0,
    *,
    title: str | None = None,
    floor: bool = False,
    n: int = 60,
    seed: int = 0,
    dataset: str = "covid-blues",
    kind: str = "binary",
    provision: str = "full",
    synthetic: bool = False,
    leakage: str = "clean",
    repeats: int = 2,
    optimism: float = 0.4,
    declared: str | None = None,
    **encoder_facts: Any,
) -> Result:
    """Make a result whose scores follow the truth with strength ``signal``; the cohort is the same for every seed."""
    cohort = np.random.default_rng(7)
    ids = [f"s{i:03d}" for i in range(n)]
    labels = (cohort.permutation(n) < n * 0.5).astype(int)
    values = np.round(92 + 4 * cohort.standard_normal(n), 1)
    classes = ("0", "1")
    target: list[Any] = [classes[v] for v in labels] if kind == "binary" else [float(v) for v in values]
    units = Units(
        id=ids, subject=ids, target=target, strata={"sex": ["f" if i % 2 else "m" for i in range(n)]}, frames=[20] * n
    )
    rng = np.random.default_rng(100 + seed)
    noise = rng.standard_normal((repeats, n))
    protocols = {}
    nested, paper = ("svc-nested@1", "svc-paper@1") if kind == "binary" else ("ridge-nested@1", "attention-paper@1")
    for protocol, extra in ((nested, 0.0), (paper, optimism)):
        drawn = []
        for r in range(repeats):
            fold = [int(f) for f in np.random.default_rng(r).permutation(n) % 5]
            if kind == "binary":
                score = (signal + extra) * (labels - 0.5) + noise[r]
                drawn.append(Repeat(fold, [float(f"{s:.7g}") for s in score], [classes[int(s > 0)] for s in score], r))
            else:
                score = 92 + (signal + extra) * 0.4 * (values - 92) + noise[r]
                drawn.append(Repeat(fold, [float(f"{s:.7g}") for s in score], None, r))
        threshold = None if kind == "binary" else 95.0
        outcome = from_stored(kind, classes if kind == "binary" else (), units, drawn, threshold)
        estimates = bootstrap(outcome, metric_names(outcome), n_resamples=2000, seed=0)
        metrics = {
            k: Estimate(*(None if v is None else round(v, 6) for v in (e.value, e.low, e.high)))
            for k, e in estimates.items()
        }
        protocols[protocol] = ProtocolResult(metrics, drawn, {"C": [1.0] * 5 * repeats} if kind == "binary" else {})
    counts: dict[str, Any] = {"subjects": n, "units": n, "files": n, "frames": 20 * n}
    if kind == "binary":
        counts["classes"] = {"0": int((labels == 0).sum()), "1": int((labels == 1).sum())}
    return Result(
        task={
            "name": task,
            "title": f"Title of {task}",
            "kind": kind,
            "dataset": declared or "covid-blues",
            "target": "label",
            "positive": "1" if kind == "binary" else None,
            "unit": "subject",
            "frames": "random:20:seed0",
            "split": "5 folds by subject, 2 draws",
            "threshold": None if kind == "binary" else 95.0,
            "unit_of_target": "" if kind == "binary" else "%",
            "reported": None,
        },
        dataset={
            "name": dataset,
            "title": f"Title of {dataset}",
            "provision": provision,
            "synthetic": synthetic,
            "licence": "none: made up",
            "citation": "",
            "url": "",
            "note": "",
            "fingerprint": "0" * 64,
            "counts": counts,
            "notes": [],
        },
        encoder={
            "name": encoder,
            "title": title or encoder.capitalize(),
            "floor": floor,
            "embedding_dim": 576,
            "parameters": 0 if floor else 9_120_756,
            "gflops": 0.0 if floor else 3.2,
            "input_size": [128, 128],
            "licence": "",
            "citation": "",
            "url": "",
            "weights": "none" if floor else "sha256:" + "ab" * 32,
            "version": 1,
            "preprocessing": "default",
            "pooling": "default",
            "precision": "fp32",
            "identity": "1" * 64,
            **encoder_facts,
        },
        leakage={"state": leakage, "detail": f"Made-up detail of {encoder}."},
        units=units,
        protocols=protocols,
        inputs="2" * 64,
        provenance={
            "date": "2025-01-01",
            "command": f"usbench run --encoder {encoder} --task {task}",
            "revision": "abcdef123456",
            "packages": {"usbench": "0.1.0", "numpy": "2.0.0"},
            "machine": {
                "system": "Linux x86_64",
                "python": "3.11",
                "processor": "made up",
                "cores": 2,
                "device": "cpu",
            },
            "timings": {"frames": 20 * n, "encoded_now": 20 * n, "images_per_second": 41.2, "probe_seconds": 1.0},
        },
    )


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """The maker of synthetic results."""
    return synthetic_result


@pytest.fixture(scope="session")
def session_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard folder with results on four boards, one of them simulated; tests must not change it."""
    folder = tmp_path_factory.mktemp("leaderboards")
    results = folder / "results"
    for i, (name, signal, floor) in enumerate(
        (
            ("tusa", 2.6, False),
            ("usfm", 2.2, False),
            ("medsam", 0.4, False),
            ("tusa.random", 0.9, True),
            ("pixels", 0.5, True),
            ("texture", 0.3, True),
        )
    ):
        save(results, synthetic_result(name, signal=signal, floor=floor, seed=i, title=_TITLES[name]))
        save(
            results,
            synthetic_result(
                name,
                "breast_lesion",
                signal,
                floor=floor,
                seed=i,
                dataset="bus-bra-subset",
                provision="subset",
                title=_TITLES[name],
                leakage="overlap" if name == "tusa" else "clean",
                declared="bus-bra",
                n=80,
            ),
        )
        save(
            results,
            synthetic_result(
                name,
                "saturation",
                signal,
                floor=floor,
                seed=i,
                kind="regression",
                title=_TITLES[name],
                n=50,
                leakage="unknown" if name == "medsam" else "clean",
            ),
        )
    save(
        results,
        synthetic_result(
            "tusa",
            "eye_hemorrhage",
            3.0,
            synthetic=True,
            dataset="phantom-eye",
            provision="phantom",
            title="TUSA",
            declared="eye-hemorrhage",
        ),
    )
    return folder


@pytest.fixture
def board_folder(session_board: Path, tmp_path: Path) -> Path:
    """A copy of the session's leaderboard folder that a test may change."""
    import shutil

    return Path(shutil.copytree(session_board, tmp_path / "leaderboards"))


_TITLES = {
    "tusa": "TUSA",
    "usfm": "USFM",
    "medsam": "MedSAM",
    "tusa.random": "TUSA, untrained",
    "pixels": "Pixels 16x16",
    "texture": "Texture",
}

"""What moves the TUSA embedding: short runs that differ in one thing each, judged inside the pre-training corpus.

Every variant trains from random weights for the same number of views and is then frozen. It is judged by the lesion
labels that two sources of the corpus carry in their file names (BUSI: breast, AUL: liver; malignant against benign),
with the harness's nested linear SVC and patient-level intervals, and by the organs of held-out subjects. The images
were part of the training without their labels, so the figures rank variants; they are not estimates for unseen data.
COVID-BLUES and BUS-BRA have no part in any choice. Writes docs/tusa/ablations.json and docs/tusa/ablations.md.

    python benchmarks/ablate.py ../shared/data/pretrain160 --steps 120 --runs runs/ablations
    python benchmarks/ablate.py ../shared/data/pretrain160 --weights tusa.open-v1=FILE      # judge finished weights

A variant that is finished in the folder of runs is not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import usbench
from tusa.training.config import AugmentConfig, DataConfig, ObjectiveConfig, Phase, RunConfig, TrainConfig
from tusa.training.export import export_run
from tusa.training.trainer import CHECKPOINT, Trainer
from tusa.weights import read_metadata
from usbench import SplitPlan, Task

OUT = Path(__file__).parents[1] / "docs" / "tusa"
LESIONS = {"busi": ("BUSI", "breast"), "aul": ("AUL", "liver")}
FLOORS = ("texture", "pixels", "tusa.random")

BASE = ObjectiveConfig(distillation=4.0, backbone="efficientnet-lite0", backbone_size=112)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("contrast and feature prediction, temperature 0.1, crops from 30 %, 56 px", {}),
    "contrast-only": ("no feature prediction", {"objective": {"distillation": 0.0, "backbone": "none"}}),
    "prediction-only": ("no contrast", {"objective": {"contrastive": 0.0}}),
    "temperature-0.2": ("temperature 0.2", {"objective": {"temperature": 0.2}}),
    "gentle-crops": ("crops from 60 % of the area", {"augment": {"crop_scale": (0.6, 1.0)}}),
    "no-head": (
        "contrast on the encoding itself, no projection head",
        {"objective": {"head_depth": 0, "head_size": 576}},
    ),
    "96-px": ("96 px, a third of the images per step: about the same compute", {"phase": {"size": 96, "images": 8}}),
}


def variant(corpus: Path, steps: int, changes: dict[str, Any]) -> TrainConfig:
    """The run of one variant."""
    config = TrainConfig(
        data=DataConfig(sources=(str(corpus / "manifest.csv"),)),
        augment=AugmentConfig(),
        objective=BASE,
        run=RunConfig(
            accelerator="cpu", learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10, weight_decay=0.02,
            ema=0.95, checkpoint_every=40, log_every=10, probe_every=steps,
        ),
        phases=(Phase(steps=steps, size=56, images=24, decoded=0),),
    )  # fmt: skip
    return replace(
        config,
        objective=replace(config.objective, **changes.get("objective", {})),
        augment=replace(config.augment, **changes.get("augment", {})),
        phases=(replace(config.phases[0], **changes.get("phase", {})),),
    )


def trained(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Train where it is not finished, export, and give back the training record."""
    trainer = Trainer(config, folder)
    if (folder / CHECKPOINT).is_file():
        trainer.load(folder / CHECKPOINT)
    if trainer.step < config.steps:
        trainer.fit(report=lambda step, m: print(f"  step {step + 1}/{config.steps} loss {m['loss']:.3f}", flush=True))
    return export_run(folder, folder / "weights.safetensors")


def lesion_task(corpus: Path, source: str, organ: str, folder: Path) -> tuple[Task, Path]:
    """Malignant against benign, from the names that the authors gave their files."""
    table = pd.read_csv(corpus / "manifest.csv").query("dataset == @source")
    label = table["subject"].str.extract(r"(?i)(benign|malignant)")[0].str.lower()
    table = table.assign(label=label, path=[str((corpus / f).resolve()) for f in table["file"]])[label.notna()]
    path = folder / f"{source.lower()}.csv"
    table[["path", "subject", "label"]].to_csv(path, index=False)
    task = Task(
        name=f"{organ}_lesion_of_the_corpus",
        title=f"{organ} lesion of the corpus",
        dataset=str(path),
        target="label",
        positive="malignant",
        unit="image",
        split=SplitPlan("grouped", folds=5, repeats=2),
        protocols=("svc-nested@1",),
    )
    return task, path


def views_of(weights: Path) -> int:
    """Views seen by exported weights, those of the runs that they started from included."""
    total, record = 0, read_metadata(weights).get("training")
    while record:
        total, record = total + int(record["views"]), record.get("started_from")
    return total


def judge(encoder: Any, tasks: dict[str, tuple[Task, Path]]) -> dict[str, dict[str, float]]:
    """Nested AUC within folds, with its interval, on every lesion task."""
    found: dict[str, dict[str, float]] = {}
    for key, (task, path) in tasks.items():
        frame = usbench.run(encoder=encoder, task=task, data=str(path)).to_frame()
        row = frame[frame["metric"] == "fold_auc"].iloc[0]
        found[key] = {name: round(float(row[name]), 4) for name in ("value", "low", "high")}
    return found


def page(report: dict[str, Any]) -> str:
    """The table and what it is a table of."""
    cell = "{value:.3f} ({low:.2f}–{high:.2f})".format_map
    lines = [
        "# What moves the embedding",
        "",
        f"Short runs of {report['steps']} steps from random weights, one change each; made by `benchmarks/ablate.py`.",
        "Nested AUC within folds with 95 % patient-level intervals, malignant against benign, on two labelled sources",
        "of the pre-training corpus itself (BUSI and AUL), and the accuracy of organs on held-out subjects.",
        "They served the choices; BUS-BRA and COVID-BLUES served none.",
        "",
        "| variant | what differs | views | BUSI AUC ↑ | AUL AUC ↑ | organs, held out ↑ | effective rank |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in report["rows"].items():
        organ, rank = row.get("organ_accuracy"), row.get("effective_rank")
        lines.append(
            f"| {name} | {row['what']} | {row['views'] or '–'} | {cell(row['busi'])} | {cell(row['aul'])} "
            f"| {'–' if organ is None else f'{organ:.3f}'} | {'–' if rank is None else f'{rank:.1f}'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder with manifest.csv: file, dataset, organ, subject")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="NAME=FILE[@POOLING]", help="finished weights to judge as well"
    )
    given = parser.parse_args()
    target = OUT / "ablations.json"
    OUT.mkdir(parents=True, exist_ok=True)
    report = json.loads(target.read_text()) if target.is_file() else {"steps": given.steps, "rows": {}}
    if report["steps"] != given.steps:
        report = {"steps": given.steps, "rows": {}}
    with tempfile.TemporaryDirectory() as scratch:
        tasks = {key: lesion_task(given.corpus, *of, Path(scratch)) for key, of in LESIONS.items()}
        for name in FLOORS:
            if name not in report["rows"]:
                report["rows"][name] = {"what": "floor", "views": 0, **judge(name, tasks)}
        for entry in given.weights:
            name, _, source = entry.partition("=")
            file, _, pooling = source.partition("@")
            encoder = usbench.load_encoder("tusa", weights=file, pooling=pooling or "mean")
            what = f"finished weights, pooling `{pooling or 'mean'}`"
            report["rows"][name] = {"what": what, "views": views_of(Path(file)), **judge(encoder, tasks)}
        for name in given.only:
            print(name, flush=True)
            what, changes = VARIANTS[name]
            folder = given.runs / name
            record = trained(variant(given.corpus, given.steps, changes), folder)
            encoder = usbench.load_encoder("tusa", weights=folder / "weights.safetensors")
            metrics = record["last_metrics"]
            report["rows"][name] = {
                "what": what,
                "views": record["views"],
                **judge(encoder, tasks),
                "organ_accuracy": metrics.get("probe/organ_accuracy"),
                "effective_rank": metrics.get("probe/effective_rank"),
            }
            target.write_text(json.dumps(report, indent=1) + "\n")
            (OUT / "ablations.md").write_text(page(report), encoding="utf-8")
            print(f"  {report['rows'][name]}", flush=True)
        target.write_text(json.dumps(report, indent=1) + "\n")
        (OUT / "ablations.md").write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()

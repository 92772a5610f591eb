"""What moves the TUSA embedding: short runs that differ in one thing each, judged inside the pre-training corpus.

Every variant trains from random weights for about the same compute and is then frozen. It is judged by the lesion
labels that two sources of the corpus carry in their file names (BUSI: breast, AUL: liver; malignant against benign),
with the harness's nested linear SVC, patient-level intervals and paired differences to the base, and by the organs of
held-out subjects. The images were part of the training without their labels, so the figures rank variants; they are
not estimates for unseen data. No board's data has a part in any choice. There is a series for each generation of
weights, written to docs/tusa/ablations.json and .md, and ablations-v2.json and .md.

    python benchmarks/ablate.py ../shared/data --runs runs/ablations
    python benchmarks/ablate.py ../shared/data --series open-v2 --bank bank.safetensors --runs runs/ablations-v2
    python benchmarks/ablate.py ../shared/data --only base --weights tusa.open-v1=FILE   # judge finished weights too

The bank of the second series holds a teacher's vectors (`tusa teacher`). A variant that is finished in the folder of
runs is not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

import usbench
from tusa.training.config import AugmentConfig, DataConfig, ObjectiveConfig, Phase, RunConfig, TrainConfig
from tusa.training.export import export_run
from tusa.training.trainer import CHECKPOINT, Trainer
from tusa.weights import read_metadata
from usbench import SplitPlan, Task
from usbench.evaluation.scoring import predictions_of
from usbench.leaderboard.comparison import Comparator
from usbench.statistics.predictions import Predictions

OUT = Path(__file__).parents[1] / "docs" / "tusa"
LESIONS = {"busi": ("BUSI", "breast"), "aul": ("AUL", "liver")}
FLOORS = ("texture", "pixels", "tusa.random")

METRIC = "fold_auc"
Variants = dict[str, tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Series:
    """Variants of one base.

    Attributes:
        title: Heading of its table.
        file: Name of what is written, without its ending.
        corpora: Folders of images, each with a manifest.
        protocol: The probe of the lesion tasks.
        base: The run that every variant changes in one thing; its sources and bank are filled in.
        variants: Name to what differs, in words and as changes of the tables `objective`, `augment`, `data`, `phase`,
            `run`.
    """

    title: str
    file: str
    corpora: tuple[str, ...]
    protocol: str
    base: TrainConfig
    variants: Variants


FIRST = Series(
    title="What moved the embedding: open-v1",
    file="ablations",
    corpora=("pretrain160",),
    protocol="svc-nested@1",
    base=TrainConfig(
        objective=ObjectiveConfig(distillation=4.0, backbone="efficientnet-lite0", backbone_size=112),
        run=RunConfig(
            accelerator="cpu", learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10, weight_decay=0.02,
            ema=0.95, checkpoint_every=40, log_every=10, probe_every=120,
        ),
        phases=(Phase(steps=120, size=56, images=24, decoded=0),),
    ),
    variants={
        "base": ("contrast and feature prediction, temperature 0.1, crops from 30 %, 56 px", {}),
        "contrast-only": ("no feature prediction", {"objective": {"distillation": 0.0, "backbone": "none"}}),
        "prediction-only": ("no contrast", {"objective": {"contrastive": 0.0}}),
        "temperature-0.2": ("temperature 0.2", {"objective": {"temperature": 0.2}}),
        "gentle-crops": ("crops from 60 % of the area", {"augment": {"crop_scale": (0.6, 1.0)}}),
        "no-head": (
            "contrast on the encoding itself, no projection head",
            {"objective": {"head_depth": 0, "head_size": 576}},
        ),
        "96-px": (
            "96 px, a third of the images per step: about the same compute",
            {"phase": {"size": 96, "images": 8}},
        ),
    },
)  # fmt: skip

# open-v2 as docs/tusa/configs/open-v2.toml has it, at half the side, a sixth of the images, and nothing decoded.
SECOND = Series(
    title="What moves the embedding: open-v2",
    file="ablations-v2",
    corpora=("pretrain160", "pretrain160_more"),
    protocol="svc-nested@2",
    base=TrainConfig(
        data=DataConfig(balance=0.5, bank="bank.safetensors"),
        augment=AugmentConfig(
            colours=1, local_crops=2, local_scale=(0.1, 0.35), box_jitter=0.1, brightness=0.2, contrast=0.4, gamma=0.6,
            depth_gain=0.3, noise=0.15, erase_p=0.4,
        ),
        objective=ObjectiveConfig(
            contrastive=0.5, teacher_prediction=2.0, teacher_matching=0.3, teacher_relation=1.0, neighbours=0.05,
            variance=0.5, covariance=0.02, temperature=0.1, teacher_temperature=0.07, head_size=256,
        ),
        run=RunConfig(
            accelerator="cpu", learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10, weight_decay=0.05,
            ema=0.95, checkpoint_every=20, log_every=10, probe_every=80,
        ),
        phases=(Phase(steps=80, size=64, local_size=32, images=32, decoded=0),),
    ),
    variants={
        "base": ("the objective of open-v2, 64 px", {}),
        "another-seed": ("nothing but the random numbers: what chance alone moves", {"run": {"seed": 1}}),
        "no-teacher": (
            "no term of the teacher, as `scratch`",
            {"objective": {"teacher_prediction": 0.0, "teacher_matching": 0.0, "teacher_relation": 0.0}},
        ),
        "no-spread": (
            "no term against collapse (KoLeo, variance, covariance)",
            {"objective": {"neighbours": 0.0, "variance": 0.0, "covariance": 0.0}},
        ),
        "no-contrast": ("no NT-Xent", {"objective": {"contrastive": 0.0}}),
        "no-relation": ("the teacher's similarities are not followed", {"objective": {"teacher_relation": 0.0}}),
        "no-prediction": ("the teacher's vectors are not predicted", {"objective": {"teacher_prediction": 0.0}}),
        "temperature-0.2": ("temperature 0.2 of NT-Xent", {"objective": {"temperature": 0.2}}),
        "no-small-views": (
            "two large views alone, a quarter more images per step: about the same compute",
            {"augment": {"local_crops": 0}, "phase": {"images": 40}},
        ),
        "even-groups": ("every group of organs has the same share", {"data": {"balance": 0.0}}),
        "large-batch": (
            "twice the images per step, half the steps",
            {"phase": {"images": 64, "steps": 40}},
        ),
        "96-px": (
            "96 px, and as many fewer steps as its views cost more",
            {"phase": {"size": 96, "local_size": 48, "steps": 35}},
        ),
    },
)  # fmt: skip
SERIES = {"open-v1": FIRST, "open-v2": SECOND}


def variant(series: Series, root: Path, bank: str, changes: Mapping[str, Any]) -> TrainConfig:
    """The run of one variant."""
    base = series.base
    sources = tuple(str(root / corpus / "manifest.csv") for corpus in series.corpora)
    return replace(
        base,
        data=replace(base.data, sources=sources, bank=bank, **changes.get("data", {})),
        objective=replace(base.objective, **changes.get("objective", {})),
        augment=replace(base.augment, **changes.get("augment", {})),
        phases=(phase := replace(base.phases[0], **changes.get("phase", {})),),
        run=replace(base.run, probe_every=phase.steps, **changes.get("run", {})),
    )


def trained(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Train where it is not finished, export, and give back the training record."""
    trainer = Trainer(config, folder)
    if (folder / CHECKPOINT).is_file():
        trainer.load(folder / CHECKPOINT)
    if trainer.step < config.steps:
        trainer.fit(report=lambda step, m: print(f"  step {step + 1}/{config.steps} loss {m['loss']:.3f}", flush=True))
    return export_run(folder, folder / "weights.safetensors")


def lesion_task(corpus: Path, source: str, organ: str, protocol: str, folder: Path) -> tuple[Task, Path]:
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
        protocols=(protocol,),
    )
    return task, path


def views_of(weights: Path) -> int:
    """Views seen by exported weights, those of the runs that they started from included."""
    total, record = 0, read_metadata(weights).get("training")
    while record:
        total, record = total + int(record["views"]), record.get("started_from")
    return total


class Judge:
    """Nested AUC within folds on both lesion tasks, with its interval and its paired difference to the base.

    Args:
        series: What is judged.
        root: Folder of the corpora.
        folder: Where the tables of the tasks go.
    """

    def __init__(self, series: Series, root: Path, folder: Path) -> None:
        self.protocol = series.protocol
        corpus = root / series.corpora[0]
        self.tasks = {key: lesion_task(corpus, *of, series.protocol, folder) for key, of in LESIONS.items()}
        self.base: dict[str, Predictions] = {}

    def __call__(self, encoder: Any, *, is_base: bool = False) -> dict[str, dict[str, float]]:
        """Judge an encoder; the base, when it comes first, is what the others are compared with."""
        found: dict[str, dict[str, float]] = {}
        for key, (task, path) in self.tasks.items():
            results = usbench.run(encoder=encoder, task=task, data=str(path))
            frame = results.to_frame()
            row = frame[frame["metric"] == METRIC].iloc[0]
            found[key] = {name: round(float(row[name]), 4) for name in ("value", "low", "high")}
            own = predictions_of(next(iter(results)), self.protocol)
            if is_base:
                self.base[key] = own
            elif key in self.base:
                told = Comparator(METRIC, {"own": own, "base": self.base[key]}).difference("own", "base")
                if told is not None:
                    found[key] |= {"change": round(told.value, 4), "p": round(told.p, 4)}
        return found


def page(report: Mapping[str, Any], series: Series) -> str:
    """The table and what it is a table of."""
    phase = series.base.phases[0]
    rows = report["rows"]
    paired = any("change" in row[key] for row in rows.values() for key in LESIONS)
    difference = ", and in brackets the paired difference to the base with its uncorrected p" if paired else ""
    of_training = "Intervals and p are of patients: `another-seed` says what other random numbers of a run alone move."
    lines = [
        f"# {series.title}",
        "",
        f"Short runs of {phase.steps} steps of {phase.images} images from random weights, one change each, made by",
        "`benchmarks/ablate.py`. They compare choices; no board's data had a part in any.",
        "",
        "Lesions: malignant against benign on two labelled sources of the pre-training corpus itself, BUSI and AUL, by",
        f"nested AUC within folds with 95 % patient-level intervals{difference}.",
        *([of_training] if "another-seed" in rows else []),
        "Organs: accuracy on held-out subjects.",
        "",
        "| variant | what differs | views | BUSI AUC ↑ | AUL AUC ↑ | organs, held out ↑ | effective rank |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    # A variant that was run later stands in its place all the same; after them what was judged beside them.
    for name in sorted(rows, key=[*series.variants, *rows].index):
        row = rows[name]
        organ, rank = row.get("organ_accuracy"), row.get("effective_rank")
        lines.append(
            f"| {name} | {row['what']} | {row['views'] or '–'} | {_cell(row['busi'])} | {_cell(row['aul'])} "
            f"| {'–' if organ is None else f'{organ:.3f}'} | {'–' if rank is None else f'{rank:.1f}'} |"
        )
    return "\n".join(lines) + "\n"


def _cell(found: Mapping[str, float]) -> str:
    text = "{value:.3f} ({low:.2f}–{high:.2f})".format_map(found)
    if "change" not in found:
        return text
    sign = "−" if found["change"] < 0 else "+"
    p = "p < 0.001" if found["p"] < 0.001 else f"p = {found['p']:.2g}"
    return f"{text} [{sign}{abs(found['change']):.3f}, {p}]"


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of pretrain160 and pretrain160_more")
    parser.add_argument("--series", choices=list(SERIES), default="open-v1")
    parser.add_argument("--bank", default="", help="a teacher's vectors, for the series that has one")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--only", nargs="*", help="variants; all by default")
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="NAME=FILE[@POOLING]", help="finished weights to judge as well"
    )
    given = parser.parse_args()
    series = SERIES[given.series]
    chosen = given.only if given.only is not None else list(series.variants)
    if unknown := sorted(set(chosen) - set(series.variants)):
        parser.error(f"no variants {unknown}; {given.series} has {list(series.variants)}")
    if series.base.objective.taught and not given.bank:
        parser.error(f"{given.series} learns from a teacher: make its bank with `tusa teacher` and name it by --bank")
    target = OUT / f"{series.file}.json"
    OUT.mkdir(parents=True, exist_ok=True)
    report = json.loads(target.read_text()) if target.is_file() else {"rows": {}}

    def write() -> None:
        target.write_text(json.dumps(report, indent=1) + "\n")
        target.with_suffix(".md").write_text(page(report, series), encoding="utf-8")

    with tempfile.TemporaryDirectory() as scratch:
        judge = Judge(series, given.root, Path(scratch))
        for name in ["base", *(name for name in chosen if name != "base")]:
            print(name, flush=True)
            what, changes = series.variants[name]
            folder = given.runs / name
            record = trained(variant(series, given.root, given.bank, changes), folder)
            metrics = record["last_metrics"]
            report["rows"][name] = {
                "what": what,
                "views": record["views"],
                **judge(usbench.load_encoder("tusa", weights=folder / "weights.safetensors"), is_base=name == "base"),
                "organ_accuracy": metrics.get("probe/organ_accuracy"),
                "effective_rank": metrics.get("probe/effective_rank"),
            }
            write()
            print(f"  {report['rows'][name]}", flush=True)
        for name in FLOORS:
            if name not in report["rows"]:
                report["rows"][name] = {"what": "baseline", "views": 0, **judge(name)}
        for entry in given.weights:
            name, _, source = entry.partition("=")
            file, _, pooling = source.partition("@")
            encoder = usbench.load_encoder("tusa", weights=file, pooling=pooling or "mean")
            what = f"finished weights, pooling `{pooling or 'mean'}`"
            report["rows"][name] = {"what": what, "views": views_of(Path(file)), **judge(encoder)}
        write()


if __name__ == "__main__":
    main()

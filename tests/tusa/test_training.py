"""The trainer: it learns, it survives a kill to the last digit, and it refuses what it cannot train on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tusa.errors import TusaError
from tusa.network import Tusa, TusaConfig
from tusa.training.average import Average
from tusa.training.checkpoint import WITHOUT_DIGEST, load_checkpoint, save_checkpoint
from tusa.training.config import AugmentConfig, Phase, TrainConfig
from tusa.training.corpus import Corpus
from tusa.training.export import export_run
from tusa.training.monitor import effective_rank, read_log, ridge_accuracy
from tusa.training.sampler import OrganBalancedSampler
from tusa.training.sources import read_corpus
from tusa.training.teacher import BankConfig, fill_bank, pack_bank
from tusa.training.trainer import CHECKPOINT, Trainer
from tusa.weights import load_weights

RUN = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tusa.training.config import TrainConfig
from tusa.training.trainer import CHECKPOINT, Trainer
config, folder = TrainConfig.from_dict(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2])
trainer = Trainer(config, folder)
if (folder / CHECKPOINT).exists():
    trainer.load(folder / CHECKPOINT)
trainer.fit()
"""


def losses(folder: Path) -> dict[int, float]:
    return {step: value for step, metric, value in read_log(folder) if metric == "loss"}


def beside_its_images(config: TrainConfig, folder: Path) -> TrainConfig:
    """The same run on a manifest that lies beside copies of its images, as corpora are handed on."""
    folder.mkdir()
    (corpus,) = config.data.sources
    table = pd.read_csv(corpus)
    table["file"] = [Path(shutil.copy(Path(corpus).parent / file, folder)).name for file in table["file"]]
    table.to_csv(folder / "manifest.csv", index=False)
    return replace(config, data=replace(config.data, sources=(str(folder / "manifest.csv"),)))


def start(config: TrainConfig, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    given = folder.parent / f"{folder.name}.json"
    given.write_text(json.dumps(config.to_dict()))
    return subprocess.Popen([sys.executable, "-c", RUN, str(given), str(folder)])


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(averaged_run: TrainConfig, tmp_path: Path) -> None:
    averaged_run = beside_its_images(averaged_run, tmp_path / "images")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(averaged_run, whole).wait(timeout=300) == 0
    process = start(averaged_run, killed)
    give_up = time.monotonic() + 240
    while not (killed / CHECKPOINT).exists() and time.monotonic() < give_up and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 3 <= int(load_checkpoint(killed / CHECKPOINT)["step"]) <= 12
    # All that another machine would have of it: the folder of the run, and the same images in a place of its own.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    killed = Path(shutil.move(killed, elsewhere / "run"))
    moved = beside_its_images(averaged_run, elsewhere / "images")
    assert start(moved, killed).wait(timeout=300) == 0
    assert list(losses(killed)) == list(losses(whole)) == list(range(12))
    assert losses(killed) == losses(whole)
    a, b = (load_checkpoint(folder / CHECKPOINT)["average"] for folder in (whole, killed))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_a_minute_of_training_lowers_the_loss(short_run: TrainConfig, tmp_path: Path) -> None:
    config = replace(short_run, phases=(Phase(steps=60, size=64, images=8, decoded=4),))
    trainer = Trainer(config, tmp_path)
    trainer.fit()
    curve = list(losses(tmp_path).values())
    assert len(curve) == 60
    assert np.mean(curve[-10:]) < 0.85 * np.mean(curve[:10]), curve
    terms = {metric for _, metric, _ in read_log(tmp_path)}
    assert terms >= {"contrastive", "consistency", "absolute", "structural", "entropy", "usage/0", "learning_rate"}


def test_accumulation_sums_what_one_part_would(short_run: TrainConfig, tmp_path: Path) -> None:
    # Without contrast, which sees the whole part, the gradient of two halves is that of the whole.
    alone = replace(short_run, objective=replace(short_run.objective, contrastive=0.0, entropy=0.0))
    results = []
    for parts in (1, 2):
        config = replace(alone, phases=(Phase(steps=1, size=64, images=4, decoded=4, accumulate=parts),))
        trainer = Trainer(config, tmp_path / str(parts))
        results.append(trainer.fit()["loss"])
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def small_bank(config: TrainConfig, folder: Path) -> Path:
    """A bank whose teacher gives the means of an 8 by 8 grid."""

    def means(images: np.ndarray) -> np.ndarray:
        grid = images.reshape(len(images), 8, -1, 8, images.shape[2] // 8).mean(axis=(2, 4))
        return grid.reshape(len(images), 64).astype(np.float32) / 255

    corpus = read_corpus(config.data.sources, config.data.size)
    fill_bank(corpus, means, {"teacher": "means"}, BankConfig(crops=3, size=64), folder / "pieces")
    pack_bank(folder / "pieces", folder / "bank.safetensors")
    return folder / "bank.safetensors"


@pytest.fixture
def taught_run(averaged_run: TrainConfig, tmp_path: Path) -> TrainConfig:
    """The same with a teacher, small views, one colour and every term against collapse, in joint parts."""
    first, second = averaged_run.phases
    return replace(
        averaged_run,
        data=replace(averaged_run.data, bank=str(small_bank(averaged_run, tmp_path)), balance=0.5),
        augment=replace(averaged_run.augment, colours=1, local_crops=2, box_jitter=0.1, noise=0.1, depth_gain=0.2),
        objective=replace(
            averaged_run.objective, teacher_prediction=1.0, teacher_matching=0.5, teacher_relation=0.5,
            neighbours=0.1, variance=0.5, covariance=0.02,
        ),
        phases=(replace(first, images=8), replace(second, images=6, decoded=2, accumulate=2, joint=True)),
    )  # fmt: skip


@pytest.mark.parametrize("local_crops", [0, 2])
def test_joint_parts_have_the_gradient_of_the_whole_step(
    taught_run: TrainConfig, tmp_path: Path, local_crops: int
) -> None:
    gradients, losses = [], []
    for parts in (1, 2):
        config = replace(
            taught_run,
            augment=replace(taught_run.augment, local_crops=local_crops),
            # What the decoder sees of channel use is of each part.
            objective=replace(taught_run.objective, entropy=0.0),
            run=replace(taught_run.run, clip=0.0),
            phases=(Phase(steps=1, size=64, images=6, decoded=6, accumulate=parts, joint=parts > 1),),
        )
        trainer = Trainer(config, tmp_path / str(parts))
        losses.append(trainer.fit())
        named = trainer.learner.named_parameters()
        gradients.append({name: p.grad.clone() for name, p in named if p.grad is not None})
    for term in ("loss", "contrastive", "teacher_relation", "teacher_matching", "neighbours", "covariance", "absolute"):
        assert losses[0][term] == pytest.approx(losses[1][term], rel=1e-4), term
    assert gradients[0].keys() == gradients[1].keys()
    for name, wanted in gradients[0].items():
        assert (gradients[1][name] - wanted).norm() <= 2e-3 * wanted.norm() + 1e-6, name


def test_every_term_is_logged_and_a_stopped_run_goes_on_alike(taught_run: TrainConfig, tmp_path: Path) -> None:
    Trainer(taught_run, tmp_path / "whole").fit()
    Trainer(taught_run, tmp_path / "stopped").fit(until=7)
    resumed = Trainer(taught_run, tmp_path / "stopped")
    resumed.load(tmp_path / "stopped" / CHECKPOINT)
    resumed.fit()
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    terms = {metric for _, metric, _ in read_log(tmp_path / "whole")}
    assert terms >= {
        "contrastive", "teacher_prediction", "teacher_matching", "teacher_relation", "neighbours", "variance",
        "covariance", "consistency", "absolute", "structural", "entropy", "usage/4",
    }  # fmt: skip
    assert "between" not in terms
    record = export_run(tmp_path / "whole", tmp_path / "w.safetensors")
    assert record["views"] == 4 * (6 * 8 + 6 * 6)


def test_a_deadline_stops_with_a_checkpoint(short_run: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(short_run, tmp_path)
    trainer.fit(until=2)
    trainer.fit(deadline=time.monotonic() - 1)
    assert trainer.step == 2
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == 2


def test_the_average_is_exponential() -> None:
    torch.manual_seed(0)
    config = TusaConfig(feature_size=12, depths=(1, 1, 1, 1), image_size=64)
    network = Tusa(config)
    average = Average(network, 0.9)
    wanted = None
    for _ in range(4):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        now = network.painter.combine.weight.detach().clone()
        wanted = now if wanted is None else 0.9 * wanted + 0.1 * now
        average.update(network)
    torch.testing.assert_close(average.module.painter.combine.weight, wanted)
    again = Average(Tusa(config), 0.9)
    again.load_state_dict(average.state_dict())
    again.update(network)
    torch.testing.assert_close(again.module.painter.combine.weight, 0.9 * wanted + 0.1 * now)


def toy(seed: int, count: int = 64, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Three textures, one mean grey each and a grain of its own, side by side in random order and width."""
    rng = np.random.default_rng(seed)
    images, truths = [], []
    for _ in range(count):
        edges = np.sort(rng.uniform(0.25, 0.75, 2)) * size
        band = np.digitize(np.arange(size), edges)
        truth = rng.permutation(3)[band][None, :].repeat(size, axis=0)
        x = np.arange(size)[None, :].repeat(size, axis=0)
        stripes = 18 * np.sin(2 * np.pi * (x + rng.uniform(0, 8)) / 8)
        speckle = 22 * rng.standard_normal((size, size))
        grain = np.stack([np.full((size, size), 20.0), 105 + stripes, 205 + speckle])
        images.append(np.take_along_axis(grain, truth[None], axis=0)[0].clip(0, 255).astype(np.uint8))
        truths.append(truth)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(truths))


@pytest.mark.slow
def test_textures_of_a_toy_image_are_separated(short_run: TrainConfig, tmp_path: Path) -> None:
    images, _ = toy(0)
    corpus = Corpus(images, ["toy"] * 64, [f"toy{i}" for i in range(64)], ["toy"] * 64, [])
    config = replace(
        short_run,
        network=replace(short_run.network, channels=3, kernel_size=5),
        data=replace(short_run.data, size=64),
        augment=AugmentConfig(crop_scale=(0.6, 1.0), brightness=0.05, contrast=0.1, gamma=0.1, blur_p=0.1, erase_p=0.0),
        # Without contrast: which image a texture comes from says nothing here.
        objective=replace(short_run.objective, contrastive=0.0, structural=0.3),
        run=replace(short_run.run, learning_rate=4e-3),
        phases=(Phase(steps=80, size=64, images=6, decoded=6),),
    )
    trainer = Trainer(config, tmp_path, corpus)
    trainer.fit()
    unseen, truth = toy(1, count=8)
    with torch.no_grad():
        maps = trainer.best_network.eval().textures(unseen[:, None].float() / 127.5 - 1)
    chosen = maps.argmax(dim=1)
    # Rows: the true texture; columns: the channel that took its pixels.
    table = torch.stack([torch.stack([((truth == t) & (chosen == c)).sum() for c in range(3)]) for t in range(3)])
    assert sorted(table.argmax(dim=1).tolist()) == [0, 1, 2], table
    assert float(table.max(dim=1).values.sum() / table.sum()) > 0.8, table


def test_the_sampler_gives_organs_alike_whatever_their_number(short_run: TrainConfig) -> None:
    organs = ["breast"] * 90 + ["lung"] * 10
    sampler = OrganBalancedSampler(organs, [f"s{i}" for i in range(100)], list(range(100)), 0, 0)
    drawn = [row for step in range(40) for row in sampler.batch(step, 10)]
    assert sum(row >= 90 for row in drawn) == pytest.approx(200, abs=20)
    assert sampler.batch(3, 10) == sampler.batch(3, 10)
    assert sampler.batch(3, 10) != sampler.batch(4, 10)


def test_the_sampler_gives_organs_the_root_of_their_size() -> None:
    organs = ["breast"] * 900 + ["lung"] * 100
    subjects = [f"s{i}" for i in range(1000)]
    for balance, share in ((0.0, 0.5), (0.5, 0.25), (1.0, 0.1)):
        sampler = OrganBalancedSampler(organs, subjects, list(range(1000)), 0, 0, balance)
        drawn = [row for step in range(50) for row in sampler.batch(step, 10)]
        assert len(drawn) == 500
        assert sum(row >= 900 for row in drawn) / 500 == pytest.approx(share, abs=0.05)


def test_held_out_subjects_are_whole(manifest: Path) -> None:
    corpus = read_corpus([manifest], 64)
    trained, held = corpus.split(0.3)
    assert held
    assert not {corpus.subjects[i] for i in trained} & {corpus.subjects[i] for i in held}
    assert sorted([*trained, *held]) == list(range(48))


def test_export_is_the_network_of_the_last_checkpoint(averaged_run: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(averaged_run, tmp_path / "run")
    trainer.fit(until=7)
    record = export_run(tmp_path / "run", tmp_path / "w.safetensors")
    assert record["step"] == 7
    assert record["averaged"]
    assert record["views"] == 4 * (6 * 6 + 4)
    images = torch.rand(2, 1, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = trainer.best_network.eval().encode(images)
        given = load_weights(tmp_path / "w.safetensors").encode(images)
    assert torch.nn.functional.cosine_similarity(given, expected).min() > 0.9999


def test_the_probe_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import RidgeClassifier

    rng = torch.Generator().manual_seed(0)
    x, z = torch.randn(80, 6, generator=rng), torch.randn(60, 6, generator=rng)
    labels = lambda data: ["a" if row[0] + 0.5 * row[1] > 0 else "b" for row in data]  # noqa: E731
    scaled = [((data - x.mean(0)) / x.std(0)).numpy() for data in (x, z)]
    other = RidgeClassifier(alpha=0.1 * 80).fit(scaled[0], labels(x)).score(scaled[1], labels(z))
    assert ridge_accuracy(x, labels(x), z, labels(z)) == pytest.approx(other)


def test_effective_rank_counts_directions() -> None:
    basis = torch.linalg.qr(torch.randn(50, 50, generator=torch.Generator().manual_seed(0)))[0]
    data = basis[:, :4] - basis[:, :4].mean(0)
    assert effective_rank(torch.linalg.qr(data)[0] @ torch.eye(4, 10)) == pytest.approx(4.0, abs=0.1)
    assert effective_rank(torch.randn(30, 1) @ torch.randn(1, 9)) == pytest.approx(1.0, abs=1e-3)


# What cannot be trained on -------------------------------------------------------------------------------------


def test_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "organ").mkdir()
    with pytest.raises(TusaError):
        read_corpus([tmp_path], 64)
    with pytest.raises(TusaError):
        read_corpus([], 64)
    with pytest.raises(TusaError, match="nowhere"):
        read_corpus([tmp_path / "nowhere"], 64)


def test_unreadable_images_are_named_and_skipped_up_to_a_limit(image_files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "breast"
    folder.mkdir()
    for number, path in enumerate(image_files[:4]):
        (folder / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    for number in range(3):
        (folder / f"broken{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * number)
    corpus = read_corpus([tmp_path], 64)
    assert len(corpus) == 4
    assert sorted(Path(name).name for name in corpus.unreadable) == [f"broken{i}.png" for i in range(3)]
    with pytest.raises(TusaError, match=r"More than 2 unreadable images.*broken0\.png"):
        read_corpus([tmp_path], 64, max_unreadable=2)


def test_a_checkpoint_of_another_configuration(short_run: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(short_run, tmp_path)
    trainer.save()
    other = replace(short_run, network=replace(short_run.network, channels=4))
    with pytest.raises(TusaError, match=r"network\.channels: 5 there, 4 here"):
        Trainer(other, tmp_path / "other").load(tmp_path / CHECKPOINT)


def test_a_checkpoint_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(TusaError, match="No checkpoint"):
        load_checkpoint(tmp_path / CHECKPOINT)
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(TusaError, match="cut short or damaged"):
        load_checkpoint(tmp_path / CHECKPOINT)


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "a flipped bit of a tensor", "zeros", "the name of its digest", "several disks"]
)
def test_a_damaged_checkpoint_is_told_in_one_line_and_the_one_before_is_taken(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / CHECKPOINT
    for step in (1, 2):
        save_checkpoint(path, {"step": step, "learner": {"w": torch.arange(1000.0), "n": [step, None, "x"]}})
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "empty":
        content.clear()
    elif damage == "zeros":
        content[-300:] = bytes(300)
    elif damage == "several disks":
        content[content.rindex(b"PK\x06\x07") + 16] = 9
    elif "name" in damage:
        content[content.index(b"sha256")] ^= 1
    else:
        content[content.index(torch.arange(1000.0).numpy().tobytes()) + 402] ^= 1  # torch does not look at its CRC
    path.write_bytes(content)
    assert load_checkpoint(path)["step"] == 1
    (told,) = caplog.messages
    assert str(path) in told
    assert "damaged" in told
    assert "step 1, is taken" in told
    assert "\n" not in told
    # The next checkpoint must not put the damaged one in the place of the good one.
    save_checkpoint(path, {"step": 3})
    (tmp_path / CHECKPOINT).write_bytes(b"")
    assert load_checkpoint(path)["step"] == 1
    path.with_name(CHECKPOINT + ".previous").write_bytes(b"PK")
    path.write_bytes(b"half")
    with pytest.raises(TusaError, match="damaged") as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


def test_a_checkpoint_of_an_earlier_version_has_no_digest_and_is_read(tmp_path: Path) -> None:
    torch.save({"format": WITHOUT_DIGEST, "step": 7}, tmp_path / CHECKPOINT)
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == 7


def test_the_checkpoint_before_is_kept_and_found(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, {"step": 1})
    save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 2
    path.unlink()  # a kill between the two renames
    assert load_checkpoint(path)["step"] == 1
    assert [other.name for other in tmp_path.iterdir()] == [f"{CHECKPOINT}.previous"]


def test_memory_that_runs_out_suggests_accumulation(
    short_run: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(short_run, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        # The true error of torch's CPU allocator, asked for more than any machine has.
        torch.empty(2**60)

    monkeypatch.setattr(trainer.learner, "encode", refuse)
    with pytest.raises(TusaError, match=r"Out of memory at 6 images of 64 px.*Raise accumulate"):
        trainer.fit()


def test_a_diverging_run_stops_and_says_so(short_run: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(short_run, tmp_path)
    with torch.no_grad():
        trainer.learner.tusa.painter.combine.bias.fill_(float("nan"))
    with pytest.raises(TusaError, match="not finite at step 0"):
        trainer.fit()


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        ({"steps": 0}, "at least 1"),
        ({"steps": 1, "images": 6, "accumulate": 4}, "divide by accumulate"),
        ({"steps": 1, "images": 4, "decoded": 8}, "not exceed images"),
        ({"steps": 1, "images": 2, "decoded": 2, "accumulate": 2}, "at least 2 images"),
        ({"steps": 1, "size": 50}, "multiple of 32"),
        ({"steps": 1, "size": 32}, "from 64"),
        ({"steps": 1, "size": 51, "decoded": 0}, "must be even"),
        ({"steps": 1, "local_size": 31}, "local_size"),
    ],
)
def test_impossible_phases(phase: dict[str, int], word: str) -> None:
    with pytest.raises(TusaError, match=word):
        Phase(**phase)


def test_unknown_keys_of_a_configuration() -> None:
    with pytest.raises(TusaError, match=r"Unknown keys \['learning_speed'\] in \[run\]"):
        TrainConfig.from_dict({"run": {"learning_speed": 1}})
    with pytest.raises(TusaError, match="Unknown tables"):
        TrainConfig.from_dict({"runs": {}})

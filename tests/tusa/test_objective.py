"""Each term of the objective against a formula written out by loops, or another library."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from tusa.objective.consistency import colour_consistency
from tusa.objective.contrastive import nt_xent
from tusa.objective.distillation import feature_matching, feature_prediction, relation
from tusa.objective.entropy import negative_channel_entropy
from tusa.objective.reconstruction import absolute_error, structural_dissimilarity
from tusa.objective.spread import nearest_neighbour_entropy, variance_covariance


def looped_nt_xent(z: torch.Tensor, images: list[int], temperature: float, subjects: list[int] | None = None) -> float:
    unit = [row / math.sqrt(float(row @ row)) for row in z.double()]
    losses = []
    for i in range(len(unit)):
        for j in range(len(unit)):
            if i == j or images[i] != images[j]:
                continue
            known = subjects or images
            wrong = [k for k in range(len(unit)) if images[k] != images[i] and known[k] != known[i]]
            right = math.exp(float(unit[i] @ unit[j]) / temperature)
            below = right + sum(math.exp(float(unit[i] @ unit[k]) / temperature) for k in wrong)
            losses.append(-math.log(right / below))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_with_four_views(temperature: float) -> None:
    z = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    images = [row % 5 for row in range(20)]
    assert float(nt_xent(z, torch.tensor(images), temperature)) == pytest.approx(
        looped_nt_xent(z, images, temperature), rel=1e-5
    )


def test_nt_xent_with_two_views_is_simclr() -> None:
    z = torch.randn(12, 8, generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(z, dim=1)
    logits = (unit @ unit.T / 0.2).fill_diagonal_(-torch.inf)
    other = torch.tensor([(row + 6) % 12 for row in range(12)])
    expected = torch.nn.functional.cross_entropy(logits, other)
    assert torch.allclose(nt_xent(z, torch.arange(6).repeat(2), 0.2), expected, atol=1e-6)


def test_frames_of_one_patient_are_not_negatives() -> None:
    z = torch.randn(16, 8, generator=torch.Generator().manual_seed(2))
    images, subjects = [row % 4 for row in range(16)], [row % 4 // 2 for row in range(16)]
    given = float(nt_xent(z, torch.tensor(images), 0.1, torch.tensor(subjects)))
    assert given == pytest.approx(looped_nt_xent(z, images, 0.1, subjects), rel=1e-5)
    assert given < float(nt_xent(z, torch.tensor(images), 0.1))


def test_a_batch_of_one_patient_has_no_contrast() -> None:
    z = torch.randn(8, 4, requires_grad=True)
    loss = nt_xent(z, torch.arange(2).repeat(4), 0.1, torch.zeros(8))
    loss.backward()
    assert float(loss) == 0.0
    assert torch.isfinite(z.grad).all()


def real_pair(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    first = np.asarray(Image.open(files[0]).convert("L").resize((96, 96)), dtype=np.float64) / 127.5 - 1
    noise = np.random.default_rng(0).normal(scale=0.2, size=first.shape)
    return np.clip(first + noise, -1, 1), first


def test_structural_term_against_scikit_image(image_files: list[Path]) -> None:
    painted, target = real_pair(image_files)
    # scikit-image pads and crops the border itself; both average the windows that lie wholly inside.
    _, whole = structural_similarity(
        painted, target, data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    expected = 1 - whole[5:-5, 5:-5].mean()
    a, b = (torch.tensor(image, dtype=torch.float32)[None, None] for image in (painted, target))
    assert float(structural_dissimilarity(a, b)) == pytest.approx(expected, abs=2e-3)
    assert float(structural_dissimilarity(b, b)) == pytest.approx(0.0, abs=1e-6)


def test_structural_term_keeps_its_gradient_finite_under_bfloat16() -> None:
    painted = torch.zeros(1, 1, 32, 32, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        structural_dissimilarity(painted, torch.full((1, 1, 32, 32), 0.5)).backward()
    assert torch.isfinite(painted.grad).all()


def test_absolute_and_consistency_terms() -> None:
    a, b = torch.randn(2, 1, 9, 9), torch.randn(2, 1, 9, 9)
    assert float(absolute_error(a, b)) == pytest.approx(float(np.abs(a.numpy() - b.numpy()).mean()), rel=1e-6)
    assert float(colour_consistency(a, b)) == pytest.approx(float(((a.numpy() - b.numpy()) ** 2).mean()), rel=1e-6)


def test_entropy_runs_from_even_use_to_one_channel() -> None:
    even = torch.full((2, 5, 4, 4), 0.2)
    one = torch.zeros(2, 5, 4, 4)
    one[:, 3] = 1
    half = torch.zeros(1, 4, 2, 2)
    half[:, :2] = 0.5
    assert float(negative_channel_entropy(even)) == pytest.approx(-1.0, abs=1e-6)
    assert float(negative_channel_entropy(one)) == pytest.approx(0.0, abs=1e-4)
    assert float(negative_channel_entropy(half)) == pytest.approx(-math.log(2) / math.log(4), abs=1e-4)


def test_entropy_wakes_a_dead_channel() -> None:
    logits = torch.tensor([4.0, 0.0, 0.0])[None, :, None, None].repeat(1, 1, 2, 2).requires_grad_()
    negative_channel_entropy(torch.softmax(logits, dim=1)).backward()
    assert (logits.grad[:, 0] > 0).all()  # the busy channel is pushed down
    assert (logits.grad[:, 1:] < 0).all()


def test_feature_prediction_is_one_minus_cosine() -> None:
    a = torch.randn(5, 7)
    assert float(feature_prediction(a, 3 * a)) == pytest.approx(0.0, abs=1e-6)
    assert float(feature_prediction(a, -a)) == pytest.approx(2.0, abs=1e-6)


def test_small_views_are_no_pairs_of_each_other() -> None:
    z = torch.randn(16, 8, generator=torch.Generator().manual_seed(6)).double()
    images = torch.arange(4).repeat(4)
    small = torch.arange(16) >= 8  # two large and two small views of each of four images
    unit = torch.nn.functional.normalize(z, dim=1)
    losses = []
    for i in range(16):
        for j in range(16):
            if i == j or images[i] != images[j] or (small[i] and small[j]):
                continue
            wrong = sum(math.exp(float(unit[i] @ unit[k]) / 0.1) for k in range(16) if images[k] != images[i])
            right = math.exp(float(unit[i] @ unit[j]) / 0.1)
            losses.append(-math.log(right / (right + wrong)))
    assert len(losses) == 4 * (2 + 8)
    assert float(nt_xent(z, images, 0.1, small=small)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_nearest_neighbour_entropy() -> None:
    z = torch.randn(9, 5, generator=torch.Generator().manual_seed(7))
    unit = torch.nn.functional.normalize(z, dim=1)
    subjects = torch.tensor([0, 0, 0, 1, 1, 2, 3, 4, 5])
    for known in (None, subjects):
        logs = []
        for i in range(9):
            others = [j for j in range(9) if j != i and (known is None or known[j] != known[i])]
            logs.append(math.log(min(float((unit[i] - unit[j]).norm()) for j in others)))
        assert float(nearest_neighbour_entropy(z, known)) == pytest.approx(-sum(logs) / 9, rel=1e-4)
    assert float(nearest_neighbour_entropy(torch.eye(4))) == pytest.approx(-math.log(2) / 2, abs=1e-4)
    assert float(nearest_neighbour_entropy(z, torch.zeros(9))) == 0.0


def test_nearest_neighbour_entropy_pushes_apart_even_what_coincides() -> None:
    z = torch.ones(3, 4)
    z[0, 0] += 0.1
    z.requires_grad_()
    nearest_neighbour_entropy(z).backward()
    assert torch.isfinite(z.grad).all()
    assert float(z.grad[0].norm()) > 0


def test_variance_and_covariance() -> None:
    z = torch.randn(30, 6, generator=torch.Generator().manual_seed(8)) * torch.tensor([0.2, 0.5, 0.9, 1.5, 2.0, 0.0])
    z[:, 3] += z[:, 4]
    covariance = np.cov(z.numpy().astype(np.float64), rowvar=False)
    shortfall = np.maximum(0, 1 - np.sqrt(covariance.diagonal() + 1e-4)).mean()
    repeated = (np.square(covariance).sum() - np.square(covariance.diagonal()).sum()) / 6
    given = variance_covariance(z)
    assert float(given[0]) == pytest.approx(shortfall, rel=1e-4)
    assert float(given[1]) == pytest.approx(repeated, rel=1e-4)
    assert float(variance_covariance(z, target=0.0)[0]) == 0.0


def test_feature_matching_is_cross_entropy_without_the_same_patient() -> None:
    given, wanted = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(9)).double()
    subjects = [0, 0, 1, 2, 3, 3, 4, 5]
    cosine = torch.nn.functional.cosine_similarity(given[:, None], wanted[None], dim=2)
    losses = []
    for i in range(8):
        offered = [j for j in range(8) if j == i or subjects[j] != subjects[i]]
        losses.append(-math.log(math.exp(cosine[i, i] / 0.2) / sum(math.exp(cosine[i, j] / 0.2) for j in offered)))
    found = feature_matching(given, wanted, torch.tensor(subjects), 0.2)
    assert float(found) == pytest.approx(sum(losses) / 8, rel=1e-5)


def test_relation_is_the_divergence_of_similarities() -> None:
    given, wanted = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(10)).double()
    total = 0.0
    for i in range(7):
        others = [j for j in range(7) if j != i]
        rows = []
        for vectors in (wanted, given):
            cosine = torch.nn.functional.cosine_similarity(vectors[i][None], vectors[others])
            rows.append(torch.softmax(cosine / 0.1, dim=0))
        total += float((rows[0] * (rows[0] / rows[1]).log()).sum())
    assert float(relation(given, wanted, 0.1)) == pytest.approx(total / 7, rel=1e-4)
    turned = wanted @ torch.linalg.qr(torch.randn(5, 5).double())[0]
    assert float(relation(turned, wanted)) == pytest.approx(0, abs=1e-5)

"""How alike encoders are: measured from stored vectors of real images, kept sealed, shown on the board's page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usbench.cli import main
from usbench.core.settings import Settings, load_settings
from usbench.diagnostics.encoder_similarity import measure_similarity
from usbench.errors import ResultError, UsbenchError
from usbench.leaderboard import render
from usbench.leaderboard.board import gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.html import render_site
from usbench.leaderboard.html.links import board_page
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.vectors import embed
from usbench.plugins.catalog import load_encoder, load_task
from usbench.results.schema import Result, save
from usbench.results.similarity import load_similarity, save_similarity, similarity_path
from usbench.statistics.similarity import linear_cka, mutual_neighbours, pairwise

BOARD = "breast_lesion@bus-bra-subset"
NAMES = ("pixels", "texture", "random-projection")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests here, which encode nothing that is not in it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def settings(store: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("USBENCH_CACHE", str(store))
    return load_settings()


@pytest.fixture(scope="module")
def made(store: Path, make_result: Callable[..., Result]) -> list[Result]:
    """Results with made-up scores whose vectors, of real images, are in the store."""
    found, settings = [], load_settings((), store)
    for seed, name in enumerate(NAMES):
        options = Options(data="subset")
        ready = prepare(load_encoder(name), load_task("breast_lesion"), options, settings)
        embed(ready, options, settings)
        facts = {"title": ready.encoder.title, "floor": True, "identity": ready.encoder.identity().digest()}
        result = make_result(name, "breast_lesion", seed=seed, dataset="bus-bra-subset", declared="bus-bra", **facts)
        dataset = {**result.dataset, "provision": "subset", "fingerprint": ready.located.dataset.fingerprint()}
        found.append(replace(result, dataset=dataset))
    return found


def test_every_pair_is_what_the_two_functions_say() -> None:
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(40, 5)), rng.normal(size=(40, 9)), np.ones((40, 3))]
    vectors[1][:, :2] += vectors[0][:, :2]
    alignment, shared = pairwise(vectors, 7)
    assert alignment[0, 1] == alignment[1, 0] == pytest.approx(linear_cka(vectors[0], vectors[1]))
    assert shared[1, 0] == shared[0, 1] == pytest.approx(mutual_neighbours(vectors[0], vectors[1], 7))
    assert np.isnan(alignment[2]).all()
    assert (alignment[0, 0], shared[0, 0]) == (1, 1)


def test_measured_on_one_frame_of_each_unit(made: list[Result], settings: Settings) -> None:
    found = measure_similarity(made, settings)
    assert found.board == BOARD
    assert list(found.encoders.values()) == list(NAMES)
    assert len(found.pairs) == 3
    # Each image of the subset is a unit: the vectors of all, in the order of the task.
    ready = [prepare(load_encoder(n), load_task("breast_lesion"), Options(data="subset"), settings) for n in NAMES[:2]]
    vectors = [embed(each, Options(), settings).vectors for each in ready]
    assert found.frames == len(vectors[0])
    pair = found.by_pair[frozenset(r.encoder["identity"] for r in made[:2])]
    assert pair.linear_cka == pytest.approx(linear_cka(*vectors), abs=1e-4)
    assert pair.mutual_neighbours == pytest.approx(mutual_neighbours(*vectors, found.neighbours), abs=1e-4)


def test_page_site_and_figure_show_it(made: list[Result], settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for result in made:
        save(folder, result)
    before = render(folder)
    assert not any("similarity" in name for name in before)
    assert all("How alike the encoders are" not in str(page) for page in before.values())
    save_similarity(folder, measure_similarity(made, settings))
    pages = render(folder)
    page = str(pages[f"{BOARD}.md"])
    assert page.count("## How alike the encoders are") == 1
    assert f"figures/{BOARD}-similarity.svg" in page
    (board,) = [b for b in gather(folder) if b.name == BOARD]
    assert board.similarity == load_similarity(folder, BOARD)
    rows = str(pages[f"figures/{BOARD}-similarity.csv"]).splitlines()[1:]
    assert len(rows) == 3
    assert board.similarity is not None
    cells = page.partition("## How alike")[2]
    for pair in board.similarity.pairs:
        assert f"{pair.linear_cka:.2f}" in cells
        assert f"{pair.mutual_neighbours:.2f}" in cells
    site = render_site(folder)
    assert "How alike the encoders are" in site[board_page(BOARD)]


def test_an_encoder_whose_vectors_are_others_has_no_part(
    made: list[Result], settings: Settings, tmp_path: Path
) -> None:
    """A result that was computed anew, with other weights, is not what was compared."""
    folder = tmp_path / "results"
    other = replace(made[2], encoder={**made[2].encoder, "identity": "f" * 64})
    for result in (*made[:2], other):
        save(folder, result)
    save_similarity(folder, measure_similarity(made, settings))
    (board,) = [b for b in gather(folder) if b.name == BOARD]
    (figure,) = [f for f in figures_of(board) if f.name.endswith("-similarity")]
    assert len(figure.csv.splitlines()) == 2
    text = str(render(folder)[f"{BOARD}.md"])
    assert f"Not compared, as their vectors are of another run: {other.encoder['title']}." in text


def test_what_is_not_stored_is_left_out_and_nothing_is_encoded(made: list[Result], settings: Settings) -> None:
    unknown = replace(made[0], encoder={**made[0].encoder, "name": "tusa", "identity": "e" * 64})
    told: list[str] = []
    found = measure_similarity([*made, unknown], settings, told.append)
    assert len(found.encoders) == 3
    assert [text.startswith(f"{BOARD}: tusa is left out: ") for text in told] == [True]
    with pytest.raises(UsbenchError, match="holds the vectors of 1 of its 2 encoders; two are needed"):
        measure_similarity([made[0], unknown], settings)


def test_other_data_are_refused(made: list[Result], settings: Settings) -> None:
    changed = replace(made[0], dataset={**made[0].dataset, "fingerprint": "0" * 64})
    with pytest.raises(UsbenchError, match="are not those of its results"):
        measure_similarity([changed, made[1]], settings)


@pytest.mark.parametrize("harm", ["changed", "cut", "moved"])
def test_a_file_that_was_tampered_with_is_refused(
    harm: str, made: list[Result], settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    path = save_similarity(folder, measure_similarity(made, settings))
    text = path.read_text()
    if harm == "changed":
        data = json.loads(text)
        data["pairs"][0]["linear_cka"] = 0.5
        path.write_text(json.dumps(data))
    elif harm == "cut":
        path.write_text(text[: len(text) // 2])
    else:
        target = similarity_path(folder, "covid")
        target.parent.mkdir(parents=True)
        path.rename(target)
    with pytest.raises(ResultError, match=r"was changed after|is of board|cannot be read as how alike encoders are"):
        load_similarity(folder, "covid" if harm == "moved" else BOARD)


def run(folder: Path, *arguments: str, status: int = 0) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["similarity", "--results", str(folder), *arguments])
    assert stop.value.code == status


def test_one_command_measures_every_board(
    made: list[Result], make_result: Callable[..., Result], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    for result in (*made, make_result("tusa", "covid")):
        save(folder, result)
    run(folder)
    said = capfd.readouterr()
    assert f"{BOARD}: 3 encoders on " in said.out
    assert "left out: dataset 'covid-blues' not found" in said.err
    first = similarity_path(folder, BOARD).read_bytes()
    run(folder, "--board", BOARD)
    assert similarity_path(folder, BOARD).read_bytes() == first
    run(folder, "--board", "breast", status=2)
    assert "has no board 'breast'" in capfd.readouterr().err

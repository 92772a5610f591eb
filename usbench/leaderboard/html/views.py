"""What each page of the site shows, as data for its template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.bundled import Known
from usbench.leaderboard.facets import NOT_STATED, facets
from usbench.leaderboard.html.links import board_page
from usbench.leaderboard.ranking import Ranking
from usbench.leaderboard.tables import diagnostics, encoder_page, overview, task_page
from usbench.probes.facts import protocol_facts


def index_view(boards: Sequence[Board], known: Sequence[Known], ranking: Ranking | None) -> dict[str, Any]:
    """Return everything the first page shows.

    Args:
        boards: Boards of real images.
        known: Encoders that are named even if nobody has run them.
        ranking: The ranking over the boards, if there is one.
    """
    return {
        "matrix": overview.matrix([board for board in boards if board.entries], known),
        "ranking": overview.ranking(ranking),
        "ranking_note": "" if ranking is None else overview.ranking_text(ranking),
        "no_ranking": wording.NO_RANKING,
        "tasks": [_card(board) for board in boards if board.entries],
        "waiting": overview.tasks_without_result(boards),
        "without_result": wording.WITHOUT_RESULT,
        "reported": [board for board in boards if board.reported is not None],
    }


def board_view(board: Board) -> dict[str, Any]:
    """Return everything a board's page shows besides its figures."""
    there = bool(board.entries)
    return {
        "phantom": wording.PHANTOM if board.synthetic else "",
        "title": wording.board_title(board),
        "sample": wording.sample(board),
        "best": _best(board),
        "verdict": wording.verdict(board) if there else "",
        "intervals": wording.intervals(board) if there else "",
        "protocols": [_protocol(board, name, i == 0) for i, name in enumerate(board.protocols)] if there else [],
        "diagnostics": diagnostics.sections(board),
        "reported": task_page.reported(board),
        "encoders": task_page.encoders(board) if there else None,
        "reproduction": wording.reproduction(board),
        "leaks": [e for e in board.entries if e.result.leakage.get("state") != "clean"],
    }


def measured_encoders(boards: Sequence[Board]) -> dict[str, Entry]:
    """Return every encoder with a result file, by name."""
    return {e.name: e for board in boards for e in board.entries if e.file}


def encoder_view(name: str, entry: Entry, boards: Sequence[Board]) -> dict[str, Any]:
    """Return everything an encoder's page shows."""
    there = [(b, e) for b in boards for e in b.entries if e.name == name]
    real, simulated = ([pair for pair in there if pair[0].synthetic is kind] for kind in (False, True))
    return {
        "name": name,
        "title": entry.title,
        "floor": entry.floor,
        "card": entry.result.encoder,
        "facts": _card_facts(entry),
        "real": encoder_page.standings(real, "results", "Results on real images"),
        "simulated": encoder_page.standings(simulated, "simulated", "Results on simulated images, not patients"),
        "leaks": [(b, e) for b, e in there if e.result.leakage.get("state") != "clean"],
    }


def _best(board: Board) -> list[tuple[str, str]]:
    best = {"Best encoder": board.encoders, "Best baseline": board.floors}
    return [(label, text) for label, group in best.items() if (text := overview.best_of(board, group))]


def _card(board: Board) -> dict[str, Any]:
    return {
        "title": wording.board_title(board),
        "board": board,
        "href": board_page(board.name),
        "lines": _best(board),
        "sample": wording.sample(board),
    }


def _pretraining(entry: Entry) -> str:
    found = facets(entry)
    if found["training"] == found["modality"] == "none":
        return "none"
    return f"{found['training']}, on {found['modality']}" if found["modality"] != NOT_STATED else found["training"]


def _protocol(board: Board, name: str, headline: bool) -> dict[str, Any]:
    metric = board.primary(name)
    return {
        "name": name,
        "about": protocol_facts(name),
        "text": wording.protocol_text(board, name),
        "reason": wording.primary_reason(board, metric) if headline and metric else "",
        "table": task_page.scores(board, name, headline),
    }


def _card_facts(entry: Entry) -> list[tuple[str, str]]:
    card = entry.result.encoder
    size = card.get("input_size")
    facts = [
        ("Parameters", f"{number_format.count(card.get('parameters'), 1e6, 2)} million"),
        ("Compute", f"{number_format.count(card.get('gflops'), 1.0, 2)} GFLOPs per image"),
        ("Input", f"{size[0]} × {size[1]} pixels" if size else "any size"),
        ("Embedding", f"{card.get('embedding_dim')} numbers, pooling {card.get('pooling')}"),
        ("Preprocessing", str(card.get("preprocessing"))),
        ("Precision", str(card.get("precision"))),
        ("Weights", str(card.get("weights"))),
        ("Licence", card.get("licence") or "not stated"),
        ("Year", facets(entry)["year"]),
        ("Pre-training", _pretraining(entry)),
        ("Citation", card.get("citation") or ""),
    ]
    return [(name, text) for name, text in facts if text]

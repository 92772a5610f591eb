"""The overview page: every encoder on every task, and why a cell is empty."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board
from usbench.leaderboard.bundled import Known
from usbench.leaderboard.figures import Figure
from usbench.leaderboard.markdown.table import page_name, with_footnotes, write
from usbench.leaderboard.ranking import Ranking
from usbench.leaderboard.tables import overview


def overview_page(
    boards: Sequence[Board], known: Sequence[Known], ranking: Ranking | None, figures: Sequence[Figure] = ()
) -> str:
    """Return the overview.

    Args:
        boards: All boards.
        known: Encoders that are named even if nobody has run them.
        ranking: The ranking over the boards on real images, if there is one.
        figures: Its figures, which lie in ``figures`` beside the page.
    """
    real = [b for b in boards if not b.synthetic]
    parts = [
        _head(),
        _matrix([b for b in real if b.entries], known),
        *(_figure(figure) for figure in figures if figure.name == "overview-heatmap"),
        _ranking(real, ranking),
        *(_figure(figure) for figure in figures if figure.name == "overview-ranking"),
        _tasks(real),
        _reported(real),
        _unmeasured(real, known),
    ]
    simulated = [b for b in boards if b.synthetic]
    if simulated:
        parts.append(_simulated(simulated))
    parts.append(_foot())
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def _head() -> str:
    return (
        f"<!-- {wording.WARNING} -->\n"
        "# Leaderboards\n\n"
        "Frozen encoders, probed on B-mode ultrasound. Every figure was computed from predictions that lie beside it "
        "in [results](results), with a 95 % interval that resamples subjects, next to baselines that a foundation "
        "model has to beat: the same network with random weights, pixels, classical texture, a constant answer.\n\n"
        "- **Bold**: the best and all that a paired test does not separate from it. Where the test tells nobody apart, "
        "nothing is bold.\n"
        "- *Italics*: baselines.\n"
        "- ⚠: the encoder was pre-trained on the data it is tested on; ⚠?: nobody knows whether it was.\n"
        "- Figures of the nested protocol, in which no test subject has any say in the tuning. The paper's protocol "
        "and its reported values are on each task's page.\n"
    )


def _figure(figure: Figure) -> str:
    picture = f"![{figure.caption}](figures/{figure.name}.svg)"
    return f"{picture}\n\n{figure.caption} Numbers: [CSV](figures/{figure.name}.csv).\n"


def _matrix(boards: Sequence[Board], known: Sequence[Known]) -> str:
    found = overview.matrix(boards, known)
    if found is None:
        return "## Measured\n\nNo result has been computed yet.\n"
    marked, notes = with_footnotes(found)
    return "\n".join(["## Measured", "", write(marked), *(f"- {mark}: {why}." for mark, why in notes.items())]) + "\n"


def _ranking(boards: Sequence[Board], found: Ranking | None) -> str:
    shown = overview.ranking(found)
    if found is None or shown is None:
        return f"## Ranking\n\n{wording.NO_RANKING}\n" if any(board.entries for board in boards) else ""
    lines = ["## Ranking", "", overview.ranking_text(found), "", write(shown)]
    if found.left_out:
        lines += [f"Not measured on all of them: {', '.join(found.left_out)}.", ""]
    return "\n".join(lines)


def _tasks(boards: Sequence[Board]) -> str:
    """Return the tasks; those without a result are folded away below the others."""
    text, waiting = f"## Tasks\n\n{write(overview.tasks(boards))}", overview.tasks_without_result(boards)
    if waiting is None:
        return text
    summary = f"<summary>{number_format.plural(len(waiting.rows), 'task')} without a result</summary>"
    return f"{text}\n<details>\n{summary}\n\n{wording.WITHOUT_RESULT}\n\n{write(waiting)}\n</details>\n"


def _reported(boards: Sequence[Board]) -> str:
    shown = overview.reported(boards)
    if shown is None:
        return ""
    source = next(b.reported for b in boards if b.reported).source["citation"]
    about = "Values as printed. Tuned and scored on the same splits as far as the text says, without intervals over"
    return f"## Reported in the paper, not measured here\n\n{source}. {about} patients.\n\n{write(shown)}"


def _unmeasured(boards: Sequence[Board], known: Sequence[Known]) -> str:
    shown = overview.unmeasured_table(boards, known)
    return f"## Encoders without a measured figure\n\n{write(shown)}" if shown else ""


def _simulated(boards: Sequence[Board]) -> str:
    lines = ["## Simulated images, not patients", "", wording.PHANTOM, ""]
    lines += [
        f"- [{board.task.title}, on {board.first.dataset['title']}]({page_name(board.name)})"
        for board in boards
        if board.first
    ]
    return "\n".join(lines) + "\n"


def _foot() -> str:
    return (
        "## How these pages come about\n\n"
        "`usbench results add` enters runs into `results`, one JSON file an encoder and task; `usbench leaderboard` "
        "renders these pages from those files alone, and `usbench leaderboard --check` fails when a page differs from "
        "what they say. `usbench results validate` recomputes every metric from the predictions.\n"
    )

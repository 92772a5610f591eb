"""One Markdown page a board."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard import wording
from usbench.leaderboard.board import Board
from usbench.leaderboard.figures import Figure
from usbench.leaderboard.markdown.diagnostics import write_section
from usbench.leaderboard.markdown.table import write
from usbench.leaderboard.tables import diagnostics
from usbench.leaderboard.tables import task_page as tables
from usbench.probes.facts import protocol_facts


def task_page(board: Board, figures: Sequence[Figure] = ()) -> str:
    """Return the page of a board.

    Args:
        board: The board; one without results gives a page that says so.
        figures: Its figures, which lie in ``figures`` beside the page.
    """
    parts = [_head(board)]
    if not board.entries:
        parts.append(_nothing(board))
    scores = [figure for figure in figures if not figure.name.endswith(("-shifts", "-similarity"))]
    for number, protocol in enumerate(board.protocols if board.entries else ()):
        parts.append(_protocol(board, protocol, number == 0, scores if number == 0 else ()))
    parts += [write_section(section, figures) for section in diagnostics.sections(board)]
    parts.append(_reported(board))
    if board.entries:
        parts.append(_about_encoders(board))
        parts.append(_provenance(board))
    parts.append(_reproduce(board))
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def _head(board: Board) -> str:
    task, first = board.task, board.first
    on = "" if board.own_dataset or first is None else f", on {first.dataset['title']}"
    lines = [f"<!-- {wording.WARNING} -->", f"# {task.title}{on}", ""]
    lines += [f"[All tasks](README.md) · task `{task.name}` · board `{board.name}`", ""]
    if board.synthetic:
        lines += [f"> **{wording.PHANTOM}**", ""]
    if task.description:
        lines += [task.description, ""]
    facts = []
    if first is not None:
        licence = first.dataset.get("licence") or "not stated"
        facts.append(f"**Data**: {first.dataset['title']}, {wording.sample(board)}. Licence: {licence}.")
        facts += [f"**Note**: {note}" for note in board.notes]
    facts.append(f"**Decision**: for each {task.unit}. **Frames**: `{task.frames}`. **Splits**: {task.split}.")
    if task.threshold is not None:
        facts.append(f"**AUC**: of the prediction, for values at or above {task.threshold:g} {task.unit_of_target}.")
    return "\n".join(lines + [f"- {fact}" for fact in facts]) + "\n"


def _nothing(board: Board) -> str:
    return (
        "## Not yet reproduced\n\n"
        "No result has been computed here, so there is nothing measured on this page. The data have to be obtained "
        f"from their owners (`usbench info {board.task.name}` says where).\n"
    )


def _protocol(board: Board, protocol: str, headline: bool, figures: Sequence[Figure]) -> str:
    about = protocol_facts(protocol)
    lines = [f"## {about.title} (`{protocol}`)", ""]
    if about.text:
        lines += [about.text, ""]
    metric = board.primary(protocol)
    if headline and metric:
        lines += [wording.primary_reason(board, metric), ""]
    lines.append(write(tables.scores(board, protocol, headline)))
    if headline and metric:
        lines += [_legend(board), ""]
    for figure in figures:
        lines += [f"![{figure.caption}](figures/{figure.name}.svg)", ""]
        lines += [f"{figure.caption} Numbers: [CSV](figures/{figure.name}.csv).", ""]
    odd = [entry.title for entry in board.entries if not entry.comparable]
    if odd:
        lines += [f"Computed on other units or labels than the rest, so left out of the tests: {', '.join(odd)}.", ""]
    remarks = dict.fromkeys(e.result.protocols[protocol].note for e in board.entries if protocol in e.result.protocols)
    lines += [f"{note}\n" for note in remarks if note]
    return "\n".join(lines)


def _legend(board: Board) -> str:
    lines = [wording.verdict(board)]
    lines.append(f"{wording.intervals(board)} Baselines are in italics.")
    return "\n\n".join(line for line in lines if line)


def _reported(board: Board) -> str:
    reported, shown = board.reported, tables.reported(board)
    if reported is None or shown is None:
        return ""
    source = reported.source
    cited = f"{source['citation']}, {source['table']}, section {source['section']}"
    lines = [
        "## Reported in the paper, not measured here",
        "",
        f"{cited}. Values as printed. Protocol: {reported.protocol}.",
        "",
        write(shown),
    ]
    lines += [f"- {note}" for note in reported.notes]
    lines += [f"- {item['title']}: {item['reason']}." for item in reported.absent]
    return "\n".join(lines) + "\n"


def _about_encoders(board: Board) -> str:
    details = [
        f"- {e.title}: {e.result.leakage['detail']}"
        for e in board.entries
        if e.result.leakage.get("state") != "clean" and e.result.leakage.get("detail")
    ]
    lines = ["## Encoders", "", write(tables.encoders(board))]
    if details:
        lines += ["Leakage, where it is not clean:", "", *details, ""]
    return "\n".join(lines)


def _provenance(board: Board) -> str:
    lines = ["## Provenance", ""]
    for entry in board.entries:
        if not entry.file:
            continue
        p = entry.result.provenance
        version = p.get("packages", {}).get("usbench", "")
        machine = p.get("machine", {})
        facts = [
            p.get("date", ""),
            f"usbench {version}" if version else "",
            f"revision `{p['revision']}`" if p.get("revision") else "",
            f"{machine.get('system', '')} ({machine.get('device', '')})".replace(" ()", ""),
            f"inputs `{entry.result.inputs[:12]}`",
        ]
        lines.append(f"- `{entry.name}`: " + ", ".join(f for f in facts if f.strip()))
    return "\n".join(lines) + "\n"


def _reproduce(board: Board) -> str:
    return f"## Reproduce this page\n\n```sh\n{wording.command(board)} && usbench leaderboard\n```\n"

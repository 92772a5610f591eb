"""One Markdown page a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures import Figure
from usbench.leaderboard.markdown import diagnostics
from usbench.leaderboard.markdown.table import Align, table
from usbench.leaderboard.published_values import Reported
from usbench.probes.facts import protocol_facts
from usbench.task.kinds import task_kind

RULE = "———"


def page_name(board: str) -> str:
    """Return the file name of a board's page."""
    return f"{board}.md"


def task_page(board: Board, figures: Sequence[Figure] = ()) -> str:
    """Return the page of a board.

    Args:
        board: The board; one without results gives a page that says so.
        figures: Its figures, which lie in ``figures`` beside the page.
    """
    parts = [_head(board)]
    if not board.entries:
        parts.append(_nothing(board))
    scores = [figure for figure in figures if not figure.name.endswith("-shifts")]
    for number, protocol in enumerate(board.protocols if board.entries else ()):
        parts.append(_protocol(board, protocol, number == 0, scores if number == 0 else ()))
    parts += diagnostics.sections(board, [figure for figure in figures if figure not in scores])
    if board.reported is not None:
        parts.append(_reported(board, board.reported))
    if board.entries:
        parts.append(_about_encoders(board))
        parts.append(_provenance(board))
    parts.append(_reproduce(board))
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def emphasis(text: str, entry: Entry, leaders: frozenset[str]) -> str:
    """Set a cell bold for leaders and in italics for floors."""
    if text == number_format.DASH:
        return text
    text = f"*{text}*" if entry.floor else text
    return f"**{text}**" if entry.name in leaders else text


def with_rule(entries: Sequence[Entry], rows: Sequence[Sequence[str]], label: str = "*floors*") -> list[list[str]]:
    """Put a rule between encoders and floors, which Markdown tables do not have.

    Args:
        entries: One a row, encoders first.
        rows: The rows.
        label: First cell of the rule.
    """
    out: list[list[str]] = []
    for i, (entry, row) in enumerate(zip(entries, rows, strict=True)):
        if entry.floor and (i == 0 or not entries[i - 1].floor):
            out.append([f"{RULE} {label} {RULE}", *[""] * (len(row) - 1)])
        out.append(list(row))
    return out


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
    lines.append(_scores(board, protocol, headline))
    if headline and metric:
        lines += [_legend(board, metric), ""]
    for figure in figures:
        lines += [f"![{figure.caption}](figures/{figure.name}.svg)", ""]
        lines += [f"{figure.caption} Numbers: [CSV](figures/{figure.name}.csv).", ""]
    odd = [entry.title for entry in board.entries if not entry.comparable]
    if odd:
        lines += [f"Computed on other units or labels than the rest, so left out of the tests: {', '.join(odd)}.", ""]
    remarks = dict.fromkeys(e.result.protocols[protocol].note for e in board.entries if protocol in e.result.protocols)
    lines += [f"{note}\n" for note in remarks if note]
    return "\n".join(lines)


def _scores(board: Board, protocol: str, headline: bool) -> str:
    entries = [entry for entry in board.entries if protocol in entry.result.protocols]
    metric = board.primary(protocol)
    shown = board.shown(protocol)
    standing = board.standing(protocol)
    columns = [board.column(name) for name in shown]
    differences = headline and metric is not None and standing.best_floor is not None
    heading, align = ["Encoder"], ["left"]
    for column in columns:
        heading.append(column.heading)
        align.append("right")
        if column.metric == metric:
            heading.append("95 % interval")
            align.append("center")
            if differences:
                heading += ["Δ best floor", "Δ interval", "p"]
                align += ["right", "center", "right"]
    optimism = not headline and protocol_facts(protocol).from_paper
    tuned = task_kind(board.task.kind).tuned
    if optimism and tuned:
        heading.append(optimism_heading(board, tuned))
        align.append("right")
    rows = []
    for entry in entries:
        row = [emphasis(entry.title, entry, standing.leaders)]
        for column in columns:
            estimate = entry.estimate(protocol, column.metric)
            bold = standing.leaders if column.metric == metric else frozenset[str]()
            row.append(emphasis(column.value(estimate.value), entry, bold))
            if column.metric == metric:
                row.append(column.interval(estimate.low, estimate.high))
                row += _difference(board, entry, protocol) if differences else []
        if optimism and tuned:
            row.append(board.column(tuned).difference(board.optimism(entry)))
        rows.append(row)
    return table(heading, [_align(a) for a in align], with_rule(entries, rows))


def optimism_heading(board: Board, metric: str) -> str:
    """Return the heading of the column that says how much the paper's protocol flatters."""
    column = board.column(metric)
    title = column.title if column.title.isupper() else column.title.lower()
    return f"Optimism in {title}, {column.unit}"


def _difference(board: Board, entry: Entry, protocol: str) -> list[str]:
    standing = board.standing(protocol)
    column = board.column(standing.metric or "")
    if entry.name == standing.best_floor:
        return ["best floor", "", ""]
    found = standing.differences.get(entry.name)
    if found is None:
        return ["", "", ""] if entry.floor else [number_format.DASH, "", ""]
    low, high = column.difference(found.low), column.difference(found.high)
    return [column.difference(found.value), f"{low} to {high}", number_format.p_value(found.p_adjusted)]


def _legend(board: Board, metric: str) -> str:
    column = board.column(metric)
    lines = [wording.verdict(board)]
    test = wording.test_names(board)
    lines.append(
        "Intervals are 95 % percentile bootstraps that resample subjects. *Δ best floor* is the difference in "
        f"{column.title} to the best floor on the same subjects{test}; *p* is two-sided and corrected for the number "
        "of encoders (Holm). Floors are in italics."
    )
    return "\n\n".join(line for line in lines if line)


def _reported(board: Board, reported: Reported) -> str:
    """Return published values as a table of their own: they were not measured here."""
    columns = [number_format.column(name, board.task.unit_of_target) for name in reported.metrics]
    rows = [
        [
            row.title,
            *(
                _printed(row.metrics[c.metric].printed) if c.metric in row.metrics else number_format.DASH
                for c in columns
            ),
        ]
        for row in reported.rows
    ]
    rows += [[item["title"], *["left out"] * len(columns)] for item in reported.absent]
    heading = ["Encoder (reported)", *(as_printed(c, reported) for c in columns)]
    source = reported.source
    cited = f"{source['citation']}, {source['table']}, section {source['section']}"
    lines = [
        "## Reported in the paper, not measured here",
        "",
        f"{cited}. Values as printed. Protocol: {reported.protocol}.",
        "",
        table(heading, ["left", *["right"] * len(columns)], rows),  # type: ignore[list-item]
    ]
    lines += [f"- {note}" for note in reported.notes]
    lines += [f"- {item['title']}: {item['reason']}." for item in reported.absent]
    return "\n".join(lines) + "\n"


def as_printed(column: number_format.Column, reported: Reported) -> str:
    """Return the heading of a reported metric: the paper prints the AUC of its classifiers in percent."""
    return replace(column, unit="%").heading if reported.in_percent(column.metric) else column.heading


def _printed(text: str) -> str:
    return text.replace("-", number_format.MINUS)


def _about_encoders(board: Board) -> str:
    entries = board.entries
    heading = ["Encoder", "Leakage", "Parameters, M", "GFLOPs", "Images/s", "Dimension", "Weights", "Result"]
    align: list[Align] = ["left", "left", "right", "right", "right", "right", "left", "left"]
    rows = []
    for entry in entries:
        card = entry.result.encoder
        rate = entry.result.provenance.get("timings", {}).get("images_per_second")
        dimension = card.get("embedding_dim")
        rows.append(
            [
                emphasis(entry.title, entry, frozenset()),
                wording.leakage(entry),
                number_format.count(card.get("parameters"), 1e6, 2),
                number_format.count(card.get("gflops"), 1.0, 2),
                number_format.count(rate),
                str(dimension) if dimension else number_format.DASH,
                _weights(str(card.get("weights", ""))),
                f"[{entry.name}](results/{entry.file})" if entry.file else "from the labels alone",
            ]
        )
    details = [
        f"- {e.title}: {e.result.leakage['detail']}"
        for e in entries
        if e.result.leakage.get("state") != "clean" and e.result.leakage.get("detail")
    ]
    lines = ["## Encoders", "", table(heading, align, with_rule(entries, rows))]
    if details:
        lines += ["Leakage, where it is not clean:", "", *details, ""]
    return "\n".join(lines)


def _weights(identity: str) -> str:
    kind, _, digest = identity.partition(":")
    return f"`{kind}:{digest[:10]}`" if digest else (identity or number_format.DASH)


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


def _align(name: str) -> Align:
    return "right" if name == "right" else "center" if name == "center" else "left"

"""What diagnostics found: sections with columns where encoders differ, and notes where the data speak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.diagnostics_text import findings
from usbench.leaderboard.figures.shifts import shift_order
from usbench.leaderboard.number_format import DASH, MINUS
from usbench.leaderboard.tables import drop, frame_budget, initialisations, label_efficiency, similarity
from usbench.leaderboard.tables.model import Bullets, Cell, Heading, Paragraph, Row, Section, Span, Table, name_cell
from usbench.results.subset import MIN_FOR_INTERVAL

Cells = Callable[[Entry], list[Cell]]
DAGGER = "†"
_WITH_COLUMNS = (
    "optimism",
    "label_efficiency",
    "shortcut",
    "frame_budget",
    "initialisations",
    "duplicates",
    "permutation",
)


def sections(board: Board) -> list[Section]:
    """Return the sections of a board, none where nothing has been measured.

    Args:
        board: The board.
    """
    found = (
        drop.section(board),
        label_efficiency.section(board),
        _map(board),
        _strata(board),
        _trust(board),
        frame_budget.section(board),
        initialisations.section(board),
        _robustness(board),
        similarity.section(board),
    )
    return [section for section in found if section is not None]


def _map(board: Board) -> Section | None:
    drawn = [entry for entry in board.entries if "map" in entry.result.figures]
    if not drawn:
        return None
    title = "How far to believe the map"
    labels = (
        "Neighbours in the embedding, %",
        "Neighbours in the map, %",
        "Own subject allowed, %",
        "Silhouette in the embedding",
        "Silhouette in the map",
        "Trustworthiness of the map",
    )
    rows = []
    for entry in drawn:
        before, after = (entry.result.figures["map"]["quality"][side] for side in ("embedding", "map"))
        cells = [
            _number(f"{100 * before['knn_accuracy']:.1f}", before["knn_accuracy"]),
            _over_seeds(after["knn_accuracy"], 1, 100),
            _number(f"{100 * before['knn_accuracy_same_subject']:.1f}", before["knn_accuracy_same_subject"]),
            _number(f"{before['silhouette']:.3f}", before["silhouette"]),
            _over_seeds(after["silhouette"], 3),
            _over_seeds(after["trustworthiness"], 3),
        ]
        rows.append(_row(entry, cells))
    settings, seeds = drawn[0].result.figures["map"]["settings"], drawn[0].result.figures["map"]["seeds"]
    about = (
        f"UMAP of standardised embeddings, {settings['neighbours']} neighbours, least distance "
        f"{settings['min_distance']:g}; mean ± SD over {number_format.plural(len(seeds), 'seed')}, the first of "
        "which is drawn. Neighbours: balanced accuracy of the votes of other subjects. Trustworthiness: share of the "
        "map's neighbourhoods that exist in the embedding."
    )
    key = "how-far-to-believe-the-map"
    headings = [Heading(f"c{i}", label, numeric=True, ascending=False) for i, label in enumerate(labels, start=1)]
    return Section(key, title, [Paragraph.of(about), _table(f"{key}-1", title, headings, rows)])


def _strata(board: Board) -> Section | None:
    metric = board.primary()
    held = [(e, s) for e in board.entries if (s := e.result.instruments.get("strata")) and s["metric"] == metric]
    columns = list(dict.fromkeys(name for _, section in held for name in section["columns"]))
    if not columns:
        return None
    key, title, shown = "by-stratum", "By stratum", board.column(metric or "")
    blocks: list[Table | Paragraph | Bullets] = [
        Paragraph.of(
            f"{shown.heading}, with 95 % intervals over the subjects of the stratum under fixed predictions; those of "
            f"fewer than {MIN_FOR_INTERVAL} subjects of a class have none. The largest gap is that between any two "
            "strata with an interval: subjects are resampled for all strata at once, and of more than two the interval "
            "allows for the choice, though not for several columns or encoders."
        )
    ]
    for number, name in enumerate(columns, start=1):
        measured = [(e, s["columns"][name]) for e, s in held if name in s["columns"]]
        subjects = {x["value"]: x["subjects"] for _, column in measured for x in column["levels"]}
        headings = [
            _figures(f"c{i}", f"{value} ({number_format.plural(n, 'subject')})", interval="brackets")
            for i, (value, n) in enumerate(subjects.items(), start=1)
        ]
        gaps = any("gap" in column for _, column in measured)
        if gaps:
            headings.append(_figures("gap", "Largest gap", interval="brackets"))
        rows = []
        for entry, column in measured:
            found = {x["value"]: x for x in column["levels"]}
            cells = [_in_stratum(shown, found.get(value)) for value in subjects]
            rows.append(_row(entry, [*cells, _gap(shown, column.get("gap"))] if gaps else cells))
        blocks.append(_table(f"{key}-{number}", title, headings, rows, name.replace("_", " ").capitalize()))
        if any(column["scope"] == "frames" for _, column in measured):
            blocks.append(
                Paragraph.of(
                    f"A {board.task.unit} has files of several values of {name}: probes are trained on all of them "
                    "and answer from those of one value."
                )
            )
    return Section(key, title, blocks)


def _in_stratum(column: number_format.Column, level: dict[str, Any] | None) -> Cell:
    if level is None:
        return Cell(DASH)
    e = level["estimate"]
    if e["value"] is None:
        return Cell(str(level["note"]).partition(":")[0] or DASH)
    if e["low"] is None:
        return replace(_number(column.value(e["value"]), e["value"]), note=str(level["note"]))
    return _number(column.value(e["value"]), e["value"], column.interval(e["low"], e["high"]))


def _gap(column: number_format.Column, gap: dict[str, Any] | None) -> Cell:
    if gap is None:
        return Cell(DASH)
    high, low = gap["between"]
    between = "" if gap["low"] is None else f"{column.difference(gap['low'])} to {column.difference(gap['high'])}"
    return Cell(f"{column.difference(gap['value'])}, {high} against {low}", gap["value"], between)


def _trust(board: Board) -> Section | None:
    # Optimism has a column in the table of scores, label efficiency a section of its own.
    elsewhere = ("optimism", "label_efficiency")
    audited = [e for e in board.entries if any(name not in elsewhere for name in findings(e.result))]
    if not audited:
        return None
    key, title = "how-far-to-trust-these-scores", "How far to trust these scores"
    headings, fills = list[Heading](), list[Cells]()
    for add in (_shortcut_columns, _permutation_columns):
        columns, fill = add(board, audited)
        headings += columns
        fills.append(fill)
    blocks: list[Table | Paragraph | Bullets] = []
    if headings:
        rows = [_row(e, [cell for fill in fills for cell in fill(e)]) for e in audited]
        numbered = [_figures(f"c{i}", h.label, h.interval) for i, h in enumerate(headings, start=1)]
        blocks.append(_table(f"{key}-1", title, numbered, rows))
    notes = _notes(audited)
    blocks += [Bullets(notes)] if notes else []
    command = wording.command(board).replace("usbench run", "usbench audit", 1)
    return Section(key, title, [*blocks, Paragraph.of("Measured by ", Span(command, "code"), ".")])


def _shortcut_columns(board: Board, audited: Sequence[Entry]) -> tuple[list[Heading], Cells]:
    held = [s for e in audited if "estimate" in (s := e.result.instruments.get("shortcut", {}))]
    if not held:
        return [], lambda entry: []
    column, auc = number_format.column(held[0]["metric"]), number_format.column("fold_auc")
    what = held[0]["column"]

    def fill(entry: Entry) -> list[Cell]:
        s = entry.result.instruments.get("shortcut", {})
        if "estimate" not in s or s["column"] != what:
            return [Cell(DASH)] * 4
        e, within = s["estimate"], s["within"]
        cells = [_number(column.value(e["value"]), e["value"])]
        cells.append(Cell(column.interval(e["low"], e["high"]), e["low"]))
        if "estimate" not in within:
            return [*cells, Cell(DASH), Cell(DASH)]
        d = within["difference"]
        reach = f"{auc.difference(d['low'])} to {auc.difference(d['high'])}"
        own = within["estimate"]["value"]
        return [*cells, _number(auc.value(own), own), _number(auc.difference(d["value"]), d["value"], reach)]

    labels = (
        f"{what.capitalize()} read from the embedding, balanced accuracy, %",
        "95 % interval",
        f"AUC within one {what}",
        "Δ all pairs",
    )
    return [_figures("", label, "brackets" if label == "Δ all pairs" else "") for label in labels], fill


def _permutation_columns(board: Board, audited: Sequence[Entry]) -> tuple[list[Heading], Cells]:
    if not any("n" in e.result.instruments.get("permutation", {}) for e in audited):
        return [], lambda entry: []

    def fill(entry: Entry) -> list[Cell]:
        s = entry.result.instruments.get("permutation", {})
        if "n" not in s:
            return [Cell(DASH)] * 3
        column, null = board.column(s["statistic"]), s["null"]
        shuffled = _number(column.value(null["mean"]), null["mean"], column.interval(null["low"], null["high"]))
        p = _number(number_format.p_value(s["p"]), s["p"], f"n = {s['n']}")
        return [_number(column.value(s["observed"]), s["observed"]), shuffled, p]

    labels = {"Kernel probe, true labels": "", "Shuffled labels": "brackets", "p of true labels": "brackets"}
    return [_figures("", label, interval) for label, interval in labels.items()], fill


def _notes(audited: Sequence[Entry]) -> list[Paragraph]:
    notes = []
    shortcut = next((s for e in audited if "estimate" in (s := e.result.instruments.get("shortcut", {}))), None)
    if shortcut is not None:
        what, n = shortcut["column"], sum(shortcut["subjects"].values())
        left = "".join(f", {name} ({k} subjects) left out" for name, k in shortcut["left_out"].items())
        notes.append(
            Paragraph.of(
                f"Shortcut: the {what} is predicted by the protocol that predicts the disease; chance is "
                f"{100 * shortcut['chance']:.1f} % ({len(shortcut['subjects'])} values, {n} subjects{left}). ",
                Span(f"Within one {what}", "emphasis"),
                f" counts only pairs that knowing the {what} cannot order.",
            )
        )
    if any("n" in e.result.instruments.get("permutation", {}) for e in audited):
        notes.append(
            Paragraph.of(
                "Shuffled labels: subjects exchange labels, and a kernel ridge probe is tuned, trained and scored "
                "anew for each shuffle; with the true labels, too, its AUC or correlation is its own and not the "
                "headline's. Beside the mean stands the range of 95 % of the shuffles."
            )
        )
    for name in ("duplicates", "shortcut", "frame_budget"):
        told = dict.fromkeys(f for e in audited if (f := findings(e.result).get(name, "")))
        if name == "duplicates":
            notes += [Paragraph.of(f"Near-duplicates: {text}") for text in told]
        else:
            unmeasured = [text for text in told if text.startswith("Not measured")]
            spoken = name.replace("_", " ").capitalize()
            notes += [Paragraph.of(f"{spoken}: {text[0].lower()}{text[1:]}") for text in unmeasured]
    for entry in audited:  # those without a column of their own
        others = {name: text for name, text in findings(entry.result).items() if name not in _WITH_COLUMNS}
        notes += [
            Paragraph.of(f"{name.replace('_', ' ').capitalize()}, {entry.title}: {text}")
            for name, text in others.items()
        ]
    return notes


def _robustness(board: Board) -> Section | None:
    metric = board.primary()
    held = [(e, s) for e in board.entries if (s := e.result.instruments.get("shifts")) and s["metric"] == metric]
    if not held:
        return None
    worst: dict[str, int] = {}
    for _, section in held:
        for level in section["measured"].values():
            worst[level["shift"]] = max(worst.get(level["shift"], 0), level["severity"])
    worst = {name: worst[name] for name in sorted(worst, key=shift_order)}
    column = board.column(metric or "")
    labels = ("Clean", *(f"{name.replace('_', ' ')} {severity}" for name, severity in worst.items()))
    headings = [_figures(f"c{i}", label) for i, label in enumerate(labels, start=1)]
    change, moved = [], []
    trained = False
    for entry, section in held:
        levels = [section["measured"].get(f"{name}:{severity}") for name, severity in worst.items()]
        trained |= any(level is not None and level["trained"] for level in levels)
        clean = _number(column.value(section["clean"]["value"]), section["clean"]["value"])
        change.append(_row(entry, [clean, *(_changed(column, level) for level in levels)]))
        moved.append(_row(entry, [_number("0", 0.0), *(_moved(level) for level in levels)]))
    about = (
        "Probes trained on clean images answer for shifted images of other patients. The table gives the difference "
        f"in {column.title} to clean at the greatest severity measured; {DAGGER} marks p < 0.05 (paired, corrected by "
        "Holm over all levels of the encoder). Every shift is a stand-in in the image domain for a setting of the "
        "scanner."
    )
    key, title = "under-acquisition-shifts", "Under acquisition shifts"
    blocks: list[Table | Paragraph | Bullets] = [
        Paragraph.of(about),
        _table(f"{key}-1", title, headings, change),
        Paragraph.of(
            Span("Drift", "emphasis"),
            ": how far the embedding of an image moves, as a share of the distance between subjects.",
        ),
        _table(f"{key}-2", title, headings, moved),
    ]
    if trained:
        blocks.append(Paragraph.of("In brackets: shifts that the encoder was trained to ignore."))
    command = Span(f"{wording.command(board)} --shift all", "code")
    blocks.append(Paragraph.of("Measured by ", command, ", or some of its shifts."))
    return Section(key, title, blocks, figure="shifts")


def _changed(column: number_format.Column, level: dict[str, Any] | None) -> Cell:
    if level is None:
        return Cell(DASH)
    d = level["difference"]
    clear = d["p_adjusted"] is not None and d["p_adjusted"] < 0.05
    return _number(column.difference(d["value"]), d["value"], mark=DAGGER if clear else "", aside=level["trained"])


def _moved(level: dict[str, Any] | None) -> Cell:
    if level is None or level["drift"]["value"] is None:
        return Cell(DASH)
    moved = level["drift"]["value"]
    return _number(f"{moved:.2f}", moved, aside=level["trained"])


def _over_seeds(spread: dict[str, Any], decimals: int, factor: float = 1.0) -> Cell:
    sd = "" if spread["sd"] is None else f" ± {factor * spread['sd']:.{decimals}f}"
    return _number(f"{factor * spread['mean']:.{decimals}f}", spread["mean"], mark=sd)


def _number(text: str, value: float | None, interval: str = "", mark: str = "", aside: bool = False) -> Cell:
    """Return a number with its mark; in brackets where it stands aside from the others."""
    shown = text.replace("-", MINUS) + mark
    return Cell(f"[{shown}]" if aside else shown, value, interval)


def _row(entry: Entry, cells: Sequence[Cell]) -> Row:
    return Row([name_cell(entry), *cells], entry.floor)


def _figures(key: str, label: str, interval: str = "") -> Heading:
    return Heading(key, label, numeric=True, ascending=False, interval=interval)


def _table(id_: str, title: str, headings: Sequence[Heading], rows: Sequence[Row], across: str = "") -> Table:
    """Return a table of a section, baselines among the encoders; ``across`` names what its columns are, if need be."""
    first = Heading("c0", across or "Encoder", across=bool(across))
    caption = f"{title}: {across.lower()}" if across else title
    return Table(id_, caption, [first, *headings], rows, mixed=True)

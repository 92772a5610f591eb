"""What instruments found, as sections of a Markdown page: columns where encoders differ, notes where the data speak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures import Figure
from usbench.leaderboard.figures.shifts import shift_order
from usbench.leaderboard.markdown.table import Align, table

Cells = Callable[[Entry], list[str]]
DAGGER = "†"


def sections(board: Board, figures: Sequence[Figure] = ()) -> list[str]:
    """Return the sections of a board, none where nothing has been measured.

    Args:
        board: The board.
        figures: Figures of shifts.
    """
    return [text for text in (_map(board), _strata(board), _trust(board), _robustness(board, figures)) if text]


def _map(board: Board) -> str:
    drawn = [entry for entry in board.entries if "map" in entry.result.figures]
    if not drawn:
        return ""
    heading = [
        "Encoder",
        "Neighbours in the embedding, %",
        "Neighbours in the map, %",
        "Own subject allowed, %",
        "Silhouette in the embedding",
        "Silhouette in the map",
        "Trustworthiness of the map",
    ]
    rows = []
    for entry in drawn:
        before, after = (entry.result.figures["map"]["quality"][side] for side in ("embedding", "map"))
        rows.append(
            [
                _name(entry),
                f"{100 * before['knn_accuracy']:.1f}",
                _over_seeds(after["knn_accuracy"], 1, 100),
                f"{100 * before['knn_accuracy_same_subject']:.1f}",
                f"{before['silhouette']:.3f}".replace("-", number_format.MINUS),
                _over_seeds(after["silhouette"], 3),
                _over_seeds(after["trustworthiness"], 3),
            ]
        )
    settings, seeds = drawn[0].result.figures["map"]["settings"], drawn[0].result.figures["map"]["seeds"]
    about = (
        f"UMAP of standardised embeddings, {settings['neighbours']} neighbours, least distance "
        f"{settings['min_distance']:g}; mean ± SD over {number_format.plural(len(seeds), 'seed')}, the first of "
        "which is drawn. Neighbours: balanced accuracy of the votes of other subjects. Trustworthiness: share of the "
        "map's neighbourhoods that exist in the embedding."
    )
    align: list[Align] = ["left", *(["right"] * (len(heading) - 1))]  # type: ignore[list-item]
    return "\n".join(["## How far to believe the map", "", about, "", table(heading, align, rows)])


def _over_seeds(spread: dict[str, Any], decimals: int, factor: float = 1.0) -> str:
    text = f"{factor * spread['mean']:.{decimals}f}"
    if spread["sd"] is not None:
        text += f" ± {factor * spread['sd']:.{decimals}f}"
    return text.replace("-", number_format.MINUS)


def _strata(board: Board) -> str:
    metric = board.primary()
    held = [(e, s) for e in board.entries if (s := e.result.instruments.get("strata")) and s["metric"] == metric]
    columns = list(dict.fromkeys(name for _, section in held for name in section["columns"]))
    if not columns:
        return ""
    shown = board.column(metric or "")
    lines = ["## By stratum", "", f"{shown.heading}, with 95 % intervals over the subjects of the stratum.", ""]
    for name in columns:
        measured = [(e, s["columns"][name]) for e, s in held if name in s["columns"]]
        levels = list(dict.fromkeys(level["value"] for _, column in measured for level in column["levels"]))
        subjects = {x["value"]: x["subjects"] for _, column in measured for x in column["levels"]}
        title = name.replace("_", " ").capitalize()
        heading = [f"{title} →", *(f"{value} ({number_format.plural(subjects[value], 'subject')})" for value in levels)]
        rows = []
        for entry, column in measured:
            found = {x["value"]: x for x in column["levels"]}
            rows.append([_name(entry), *(_in_stratum(shown, found.get(value)) for value in levels)])
        align: list[Align] = ["left", *(["right"] * len(levels))]  # type: ignore[list-item]
        lines.append(table(heading, align, rows))
        if any(column["scope"] == "frames" for _, column in measured):
            lines.append(
                f"A {board.task.unit} has files of several values of {name}: probes are trained on all of them and "
                "answer from those of one value.\n"
            )
    return "\n".join(lines)


def _in_stratum(column: number_format.Column, level: dict[str, Any] | None) -> str:
    if level is None:
        return number_format.DASH
    e = level["estimate"]
    if e["value"] is None:
        return str(level["note"]).partition(":")[0] or number_format.DASH
    return f"{column.value(e['value'])} ({column.interval(e['low'], e['high'])})"


def _trust(board: Board) -> str:
    from usbench.leaderboard.diagnostics_text import findings

    # Optimism has a column in the table of scores.
    audited = [e for e in board.entries if any(name != "optimism" for name in findings(e.result))]
    if not audited:
        return ""
    heading, align, cells = ["Encoder"], ["left"], list[Cells]()
    for add in (_shortcut_columns, _budget_columns, _permutation_columns):
        names, fill = add(board, audited)
        heading += names
        align += ["right"] * len(names)
        cells += [fill] if names else []
    rows = [[_name(e), *(cell for fill in cells for cell in fill(e))] for e in audited]
    lines = ["## How far to trust these scores", ""]
    if cells:
        lines += [table(heading, [_align(a) for a in align], rows)]
    lines += [f"- {note}" for note in _notes(audited)]
    lines += ["", f"Measured by `{wording.command(board).replace('usbench run', 'usbench audit', 1)}`."]
    return "\n".join(lines) + "\n"


def _shortcut_columns(board: Board, audited: Sequence[Entry]) -> tuple[list[str], Cells]:
    held = [s for e in audited if "estimate" in (s := e.result.instruments.get("shortcut", {}))]
    if not held:
        return [], lambda entry: []
    column = number_format.column(held[0]["metric"])
    what = held[0]["column"]

    def fill(entry: Entry) -> list[str]:
        s = entry.result.instruments.get("shortcut", {})
        if "estimate" not in s or s["column"] != what:
            return [number_format.DASH] * 4
        e, within = s["estimate"], s["within"]
        auc = number_format.column("fold_auc")
        own = (
            [auc.value(within["estimate"]["value"]), _delta(auc, within["difference"])] if "estimate" in within else []
        )
        return [column.value(e["value"]), column.interval(e["low"], e["high"]), *(own or [number_format.DASH] * 2)]

    title = f"{what.capitalize()} read from the embedding, balanced accuracy, %"
    return [title, "95 % interval", f"AUC within one {what}", "Δ all pairs"], fill


def _budget_columns(board: Board, audited: Sequence[Entry]) -> tuple[list[str], Cells]:
    held = [s for e in audited if "curve" in (s := e.result.instruments.get("frame_budget", {}))]
    if not held:
        return [], lambda entry: []
    column = board.column(held[0]["metric"])
    budgets = [point["frames"] for point in held[0]["curve"]]

    def fill(entry: Entry) -> list[str]:
        curve = {p["frames"]: p for p in entry.result.instruments.get("frame_budget", {}).get("curve", ())}
        return [_starred(column, curve[n]) if n in curve else number_format.DASH for n in budgets]

    return [f"{column.title} on {number_format.plural(n, 'frame')}" for n in budgets], fill


def _permutation_columns(board: Board, audited: Sequence[Entry]) -> tuple[list[str], Cells]:
    if not any("n" in e.result.instruments.get("permutation", {}) for e in audited):
        return [], lambda entry: []

    def fill(entry: Entry) -> list[str]:
        s = entry.result.instruments.get("permutation", {})
        if "n" not in s:
            return [number_format.DASH] * 3
        column, null = board.column(s["statistic"]), s["null"]
        shuffled = f"{column.value(null['mean'])} ({column.interval(null['low'], null['high'])})"
        return [column.value(s["observed"]), shuffled, f"{number_format.p_value(s['p'])} (n = {s['n']})"]

    return ["Kernel probe, true labels", "Shuffled labels", "p of true labels"], fill


def _notes(audited: Sequence[Entry]) -> list[str]:
    from usbench.leaderboard.diagnostics_text import findings

    notes = []
    shortcut = next((s for e in audited if "estimate" in (s := e.result.instruments.get("shortcut", {}))), None)
    if shortcut is not None:
        what, n = shortcut["column"], sum(shortcut["subjects"].values())
        left = "".join(f", {name} ({k} subjects) left out" for name, k in shortcut["left_out"].items())
        notes.append(
            f"Shortcut: the {what} is predicted by the protocol that predicts the disease; chance is "
            f"{100 * shortcut['chance']:.1f} % ({len(shortcut['subjects'])} values, {n} subjects{left}). *Within one "
            f"{what}* counts only pairs that knowing the {what} cannot order."
        )
    if any("curve" in e.result.instruments.get("frame_budget", {}) for e in audited):
        notes.append(
            f"Frame budget: trained and tested on so many frames; {DAGGER} marks a difference to the full budget "
            "(paired, p < 0.05, not corrected)."
        )
    if any("n" in e.result.instruments.get("permutation", {}) for e in audited):
        notes.append(
            "Shuffled labels: subjects exchange labels, and a kernel ridge probe is tuned, trained and scored anew for "
            "each shuffle; with the true labels, too, its AUC or correlation is its own and not the headline's. Beside "
            "the mean stands the range of 95 % of the shuffles."
        )
    for name in ("duplicates", "shortcut", "frame_budget"):
        told = dict.fromkeys(f for e in audited if (f := findings(e.result).get(name, "")))
        if name == "duplicates":
            notes += [f"Near-duplicates: {text}" for text in told]
        else:
            notes += [f"{name.replace('_', ' ').capitalize()}: {t[0].lower()}{t[1:]}" for t in told if _is_none(t)]
    for entry in audited:  # those without a column of their own
        others = {name: text for name, text in findings(entry.result).items() if name not in _WITH_COLUMNS}
        notes += [f"{name.replace('_', ' ').capitalize()}, {entry.title}: {text}" for name, text in others.items()]
    return notes


_WITH_COLUMNS = ("optimism", "shortcut", "frame_budget", "duplicates", "permutation")


def _is_none(text: str) -> bool:
    return text.startswith("Not measured")


def _robustness(board: Board, figures: Sequence[Figure]) -> str:
    metric = board.primary()
    held = [(e, s) for e in board.entries if (s := e.result.instruments.get("shifts")) and s["metric"] == metric]
    if not held:
        return ""
    worst: dict[str, int] = {}
    for _, section in held:
        for level in section["measured"].values():
            worst[level["shift"]] = max(worst.get(level["shift"], 0), level["severity"])
    worst = {name: worst[name] for name in sorted(worst, key=shift_order)}
    column = board.column(metric or "")
    heading = ["Encoder", "Clean", *(f"{name.replace('_', ' ')} {s}" for name, s in worst.items())]
    align: list[Align] = ["left", *(["right"] * (len(heading) - 1))]  # type: ignore[list-item]
    change, moved = [], []
    trained = False
    for entry, section in held:
        levels = [section["measured"].get(f"{name}:{severity}") for name, severity in worst.items()]
        trained |= any(level is not None and level["trained"] for level in levels)
        change.append([_name(entry), column.value(section["clean"]["value"]), *(_changed(column, x) for x in levels)])
        moved.append([_name(entry), "0", *(_moved(x) for x in levels)])
    about = (
        "Probes trained on clean images answer for shifted images of other patients. The table gives the difference "
        f"in {column.title} to clean at the greatest severity measured; {DAGGER} marks p < 0.05 (paired, corrected by "
        "Holm over all levels of the encoder). Every shift is a stand-in in the image domain for a setting of the "
        "scanner."
    )
    lines = ["## Under acquisition shifts", "", about, "", table(heading, align, change)]
    lines += ["*Drift*: how far the embedding of an image moves, as a share of the distance between subjects.", ""]
    lines += [table(heading, align, moved)]
    if trained:
        lines += ["In brackets: shifts that the encoder was trained to ignore.", ""]
    lines += [f"Measured by `{wording.command(board)} --shift all`, or some of its shifts.", ""]
    for figure in figures:
        lines += [f"![{figure.caption}](figures/{figure.name}.svg)", ""]
        lines += [f"{figure.caption} All severities: [CSV](figures/{figure.name}.csv).", ""]
    return "\n".join(lines)


def _changed(column: number_format.Column, level: dict[str, Any] | None) -> str:
    if level is None:
        return number_format.DASH
    d = level["difference"]
    text = column.difference(d["value"]) + (DAGGER if d["p_adjusted"] is not None and d["p_adjusted"] < 0.05 else "")
    return f"[{text}]" if level["trained"] else text


def _moved(level: dict[str, Any] | None) -> str:
    if level is None or level["drift"]["value"] is None:
        return number_format.DASH
    text = f"{level['drift']['value']:.2f}"
    return f"[{text}]" if level["trained"] else text


def _starred(column: number_format.Column, point: dict[str, Any]) -> str:
    p = point.get("difference", {}).get("p")
    return column.value(point["estimate"]["value"]) + (DAGGER if p is not None and p < 0.05 else "")


def _delta(column: number_format.Column, d: dict[str, Any]) -> str:
    return f"{column.difference(d['value'])} ({column.difference(d['low'])} to {column.difference(d['high'])})"


def _name(entry: Entry) -> str:
    return f"*{entry.title}*" if entry.floor else entry.title


def _align(side: str) -> Align:
    return "right" if side == "right" else "left"

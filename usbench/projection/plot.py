"""One figure of several maps, with shared colours: PNG, SVG, interactive HTML, and the numbers behind them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, distinguished by colour-blind readers, then three of Tol's muted set. Marks change as well.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000", "#882255", "#999933", "#888888")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_PLOTLY_MARKS = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "cross",
    "x",
    "triangle-left",
    "triangle-right",
    "star",
)


@dataclass(frozen=True)
class EncoderMap:
    """The map of one encoder.

    Attributes:
        title: Encoder as printed.
        name: Encoder by name.
        leakage: ``clean``, ``overlap`` or ``unknown``.
        figures: What :func:`usbench.projection.quality.map_figures` gave.
    """

    title: str
    name: str
    leakage: str
    figures: Mapping[str, Any]

    def caption(self) -> str:
        """Neighbour accuracy before and after the projection, and how faithful the map is."""
        before, after = self.figures["quality"]["embedding"], self.figures["quality"]["map"]
        return (
            f"neighbours right: {before['knn_accuracy']:.2f}, in the map {after['knn_accuracy']['mean']:.2f}\n"
            f"trustworthiness {after['trustworthiness']['mean']:.2f}"
        )


def write_maps(
    folder: Path,
    title: str,
    maps: Sequence[EncoderMap],
    units: Sequence[str],
    labels: Sequence[int],
    names: Sequence[str],
) -> list[Path]:
    """Write ``map.png``, ``map.svg``, ``map.html``, ``map.csv`` and ``quality.json``.

    The bytes of all but the PNG are the same for the same input and versions. No image is shown or embedded.

    Args:
        folder: Where to put them; made if absent.
        title: Heading.
        maps: One an encoder, of the same units.
        units: Name of each unit, shown on hover.
        labels: Class number of each unit.
        names: Class names.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _draw_still(folder, title, maps, labels, names)
    _draw_interactive(folder / "map.html", title, maps, units, labels, names)
    with (folder / "map.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["encoder", "unit", "class", "x", "y"])
        for item in maps:
            for unit, label, x, y in zip(units, labels, item.figures["x"], item.figures["y"], strict=True):
                writer.writerow([item.name, unit, names[label], x, y])
    quality = {
        item.name: {key: item.figures[key] for key in ("version", "settings", "seeds", "quality")}
        | {"leakage": item.leakage}
        for item in maps
    }
    (folder / "quality.json").write_text(json.dumps(quality, indent=1) + "\n", encoding="utf-8")
    return [folder / name for name in ("map.png", "map.svg", "map.html", "map.csv", "quality.json")]


def _style(number: int) -> tuple[str, str, str]:
    """Colour and marks of a class; beyond ten classes colours repeat with another mark."""
    shift = number // len(COLOURS)
    mark = (number + 3 * shift) % len(MARKS)
    return COLOURS[number % len(COLOURS)], MARKS[mark], _PLOTLY_MARKS[mark]


def _draw_still(
    folder: Path, title: str, maps: Sequence[EncoderMap], labels: Sequence[int], names: Sequence[str]
) -> None:
    import matplotlib as mpl
    import numpy as np
    from matplotlib.figure import Figure

    columns = 2 if len(maps) in (2, 4) else min(3, len(maps))
    rows = -(-len(maps) // columns)
    label = np.asarray(labels)
    with mpl.rc_context({"svg.hashsalt": "usbench", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.2 * columns, 4.4 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, item in zip(axes, maps, strict=False):
            x, y = np.asarray(item.figures["x"]), np.asarray(item.figures["y"])
            for number, name in enumerate(names):
                colour, mark, _ = _style(number)
                here = label == number
                axis.scatter(x[here], y[here], s=9, c=colour, marker=mark, linewidths=0, alpha=0.75, label=name)
            seen = {"overlap": " (saw some of these in pre-training)", "unknown": " (may have seen some of these)"}
            axis.set_title(item.title + seen.get(item.leakage, ""), fontsize=10)
            axis.set_xlabel(item.caption(), fontsize=8)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_aspect("equal", adjustable="datalim")
        for axis in axes[len(maps) :]:
            axis.set_axis_off()
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, texts, loc="outside lower center", ncols=min(2 * columns, len(names)), frameon=False, markerscale=2
        )
        figure.suptitle(title)
        figure.savefig(folder / "map.svg", metadata={"Date": None})
        figure.savefig(folder / "map.png", dpi=110)


def _draw_interactive(
    path: Path,
    title: str,
    maps: Sequence[EncoderMap],
    units: Sequence[str],
    labels: Sequence[int],
    names: Sequence[str],
) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    columns = min(2, len(maps))
    rows = -(-len(maps) // columns)
    headings = [f"{item.title}<br><sup>{item.caption().replace(chr(10), '; ')}</sup>" for item in maps]
    figure: Any = make_subplots(rows, columns, subplot_titles=headings, vertical_spacing=0.12)
    for place, item in enumerate(maps):
        for number, name in enumerate(names):
            colour, _, mark = _style(number)
            here = [i for i, label in enumerate(labels) if label == number]
            figure.add_trace(
                go.Scatter(
                    x=[item.figures["x"][i] for i in here],
                    y=[item.figures["y"][i] for i in here],
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=place == 0,
                    text=[units[i] for i in here],
                    hovertemplate="%{text}<extra>" + name + "</extra>",
                    marker={"color": colour, "symbol": mark, "size": 6, "opacity": 0.75},
                ),
                row=place // columns + 1,
                col=place % columns + 1,
            )
    figure.update_xaxes(showticklabels=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    figure.update_layout(
        title=title, template="plotly_white", height=120 + 520 * rows, legend={"itemsizing": "constant"}
    )
    # The library is written into the file, so that it opens from disk without a connection.
    figure.write_html(str(path), include_plotlyjs=True, div_id="map")

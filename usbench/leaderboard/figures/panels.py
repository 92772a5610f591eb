"""Figures of several panels: side by side in a file, as many beside each other as fit in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from usbench.leaderboard.figures.svg import Drawing, escape, text_width, wrapped

PAD, GAP, LINE = 12, 22, 20


@dataclass(frozen=True)
class Key:
    """One line of a legend.

    Attributes:
        label: What it says.
        style: Style class of the mark.
        mark: What the mark is.
    """

    label: str
    style: str
    mark: Literal["dot", "line"] = "dot"


@dataclass(frozen=True)
class Panels:
    """A figure of several panels of one size under a common legend.

    Attributes:
        title: Short name, read out by screen readers.
        description: What the figure shows, in a sentence.
        heading: First line of the file.
        subtitle: Sentence below it.
        panels: Drawings, each complete with its axes and its name.
        columns: How many stand side by side in a file.
        legend: Lines of the legend.
    """

    title: str
    description: str
    heading: str
    subtitle: str
    panels: Sequence[Drawing]
    columns: int
    legend: Sequence[Key] = field(default_factory=tuple)

    @property
    def width(self) -> float:
        """Width of the file in pixels."""
        columns = min(self.columns, len(self.panels))
        return 2 * PAD + columns * self.panels[0].width + (columns - 1) * GAP

    def render(self, standalone: bool = True) -> str:
        """Return the figure.

        Args:
            standalone: Whether as one SVG with colours of its own; otherwise as HTML whose panels flow with the width
                of the page, one below another on a phone.
        """
        return self._file() if standalone else self._page()

    def _file(self) -> str:
        lines = wrapped(self.subtitle, self.width - 2 * PAD, 11)
        places = self._legend_places()
        top = 26 + 14 * len(lines) + (LINE * (1 + places[-1][0]) + 4 if places else 0) + 8
        high = self.panels[0].height
        rows = -(-len(self.panels) // self.columns)
        drawing = Drawing(self.width, top + rows * (high + GAP), self.title, self.description)
        drawing.text(PAD, 20, self.heading, "t h")
        for i, line in enumerate(lines):
            drawing.text(PAD, 37 + 14 * i, line, "t s")
        for key, (row, x) in zip(self.legend, places, strict=True):
            y = 26 + 14 * len(lines) + LINE * row + 14
            if key.mark == "dot":
                drawing.spot(x + 6, y - 4, 5, key.style)
            else:
                drawing.line(x, y - 4, x + 16, y - 4, key.style)
            drawing.text(x + (16 if key.mark == "dot" else 22), y, key.label, "t s")
        for i, panel in enumerate(self.panels):
            drawing.place(
                panel, PAD + (i % self.columns) * (panel.width + GAP), top + (i // self.columns) * (high + GAP)
            )
        return drawing.render()

    def _page(self) -> str:
        keys = "".join(f"<li>{_mark(key)}{escape(key.label)}</li>" for key in self.legend)
        legend = f'<ul class="legend">{keys}</ul>' if keys else ""
        panels = "".join(panel.render(standalone=False) for panel in self.panels)
        size = f"--panel:{self.panels[0].width / 16:.3g}rem"
        subtitle = f'<p class="muted subtitle">{escape(self.subtitle)}</p>'
        return f'{subtitle}{legend}<div class="grid" style="{size}">{panels}</div>'

    def _legend_places(self) -> list[tuple[int, float]]:
        """Return row and left edge of each line of the legend, wrapped to the width."""
        places, row, x = [], 0, float(PAD)
        for key in self.legend:
            need = 22 + text_width(key.label, 11) + 14
            if x + need > self.width - PAD and x > PAD:
                row, x = row + 1, float(PAD)
            places.append((row, x))
            x += need
        return places


def _mark(key: Key) -> str:
    if key.mark == "dot":
        shape = f'<circle class="spot {key.style}" cx="6" cy="6" r="5"/>'
    else:
        shape = f'<line class="{key.style}" x1="0" y1="6" x2="16" y2="6"/>'
    return f'<svg class="figure mark" viewBox="0 0 16 12" aria-hidden="true">{shape}</svg>'

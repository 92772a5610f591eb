"""Just enough SVG: escaped text, rounded coordinates, and colours that follow the reader's light or dark theme.

Figures are written as text by this module rather than by a plotting library, because they have to be byte-identical
on every machine (plotting libraries embed versions, dates, random ids and font metrics), have to be rendered in
milliseconds by the drift check without a heavy import, and have to be legible in light mode, dark mode and print.
Colours are those of Okabe and Ito, which readers with any common colour blindness can distinguish; shape and fill carry
the same distinction, so that a black-and-white print loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _escape_html

from usbench.core.text import printable

_STYLE = """
svg{--fg:#1f2328;--muted:#59636e;--grid:#d1d9e0;--bg:#ffffff;--encoder:#0072b2;--floor:#6b6157;--accent:#b34700;
--c0:#0072b2;--c1:#d18f00;--c2:#009e73;--c3:#d55e00;--c4:#c46a96;--c5:#3d9fd6;--c7:#882255;--c8:#8a8a1f;--c9:#808080}
@media (prefers-color-scheme:dark){
svg{--fg:#e6edf3;--muted:#9aa6b2;--grid:#3d444d;--bg:#0d1117;--encoder:#56b4e9;--floor:#c9bfb3;--accent:#e69f00;
--c0:#3f9bdc;--c1:#e69f00;--c2:#1fc496;--c3:#f07a2a;--c4:#e39cc2;--c5:#8fd0f5;--c7:#d0679f;--c8:#c5c55a;--c9:#a8a8a8}}
"""

_CLASSES = """
.t{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--fg)}
.s{font-size:11px;fill:var(--muted)}.xs{font-size:9px;fill:var(--muted)}.fg{fill:var(--fg)}.b{font-weight:600}.i{font-style:italic}.h{font-size:15px;font-weight:600}
.n{font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--muted);stroke-width:1}
.e{stroke:var(--encoder);fill:var(--encoder)}.f{stroke:var(--floor);fill:var(--floor)}
.o{fill:var(--bg)}.l{stroke-width:2;fill:none}.thin{stroke-width:1.2}
.ref{stroke:var(--accent);stroke-width:1.5;stroke-dasharray:5 4;fill:none}.reft{fill:var(--accent)}
.dot{fill-opacity:.6;stroke:none}
.many{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.7}
.halo{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
.spot{fill:currentColor;stroke:none}.cell{fill:var(--encoder);stroke:none}.bar{stroke:var(--muted);stroke-width:4}
.k0{stroke:var(--c0);color:var(--c0)}.k1{stroke:var(--c1);color:var(--c1)}.k2{stroke:var(--c2);color:var(--c2)}
.k3{stroke:var(--c3);color:var(--c3)}.k4{stroke:var(--c4);color:var(--c4)}.k5{stroke:var(--c5);color:var(--c5)}
.k6{stroke:var(--fg);color:var(--fg)}.k7{stroke:var(--c7);color:var(--c7)}.k8{stroke:var(--c8);color:var(--c8)}
.k9{stroke:var(--c9);color:var(--c9)}
"""
CLASS_COLOURS = 10


class Drawing:
    """A figure under construction.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        title: Short name, read out by screen readers.
        description: What the figure shows, in a sentence.
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._title, self._description = title, description
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a straight line of a style class."""
        self._parts.append(f'<line class="{style}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>')

    def path(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Draw a line through points."""
        moves = " ".join(f"{'M' if i == 0 else 'L'}{_n(x)} {_n(y)}" for i, (x, y) in enumerate(points))
        self._parts.append(f'<path class="{style}" d="{moves}"/>')

    def circle(self, x: float, y: float, radius: float, style: str, tip: str = "") -> None:
        """Draw a circle with an optional tooltip."""
        self._shape(f'circle class="{style}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"', "circle", tip)

    def diamond(self, x: float, y: float, radius: float, style: str, tip: str = "") -> None:
        """Draw a diamond with an optional tooltip."""
        d = f"M{_n(x)} {_n(y - radius)} L{_n(x + radius)} {_n(y)} L{_n(x)} {_n(y + radius)} L{_n(x - radius)} {_n(y)} Z"
        self._shape(f'path class="{style}" d="{d}"', "path", tip)

    def dots(self, points: Sequence[tuple[float, float]], style: str, of: str = "") -> None:
        """Draw many dots of a style class as one path, each a line of no length with round ends.

        Args:
            points: Centres.
            style: Style class.
            of: What the dots are of, for scripts that name the dot under the pointer.
        """
        marks = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in points)
        name = f' data-of="{escape(of)}"' if of else ""
        self._parts.append(f'<path class="many {style}"{name} d="{marks}"/>')

    def spot(self, x: float, y: float, radius: float, style: str) -> None:
        """Draw a filled circle in the colour of a class, as legends show it."""
        self._parts.append(f'<circle class="spot {style}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def cell(self, x: float, y: float, width: float, height: float, share: float) -> None:
        """Fill a rectangle by a share between 0 and 1."""
        box = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(f'<rect class="cell" {box} fill-opacity="{0.5 * share:.2f}"/>')

    def place(self, other: Drawing, x: float, y: float) -> None:
        """Put another drawing into this one, its upper left corner at ``(x, y)``."""
        self._parts.append(f'<g transform="translate({_n(x)} {_n(y)})">{"".join(other._parts)}</g>')

    def text(self, x: float, y: float, text: str, style: str = "t", anchor: str = "start") -> None:
        """Write text; ``anchor`` is start, middle or end."""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(f'<text class="{style}" x="{_n(x)}" y="{_n(y)}"{where}>{escape(text)}</text>')

    def upwards(self, x: float, y: float, text: str, style: str = "t") -> None:
        """Write text that reads upwards and begins at ``(x, y)``."""
        turn = f'transform="rotate(-90 {_n(x)} {_n(y)})"'
        self._parts.append(f'<text class="{style}" x="{_n(x)}" y="{_n(y)}" {turn}>{escape(text)}</text>')

    def upright(self, x: float, y: float, text: str, style: str = "t s") -> None:
        """Write text that reads upwards, centred at ``(x, y)``."""
        turn = f'transform="rotate(-90 {_n(x)} {_n(y)})"'
        self._parts.append(
            f'<text class="{style}" x="{_n(x)}" y="{_n(y)}" text-anchor="middle" {turn}>{escape(text)}</text>'
        )

    def render(self, standalone: bool = True) -> str:
        """Return the SVG.

        Args:
            standalone: Whether it brings its own colours and background, as a file must; inside a web page the page's
                style sheet (:func:`page_style`) gives both.
        """
        box = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        name = f"<title>{escape(self._title)}</title><desc>{escape(self._description)}</desc>"
        if not standalone:
            return f'<svg class="figure" role="img" {box}>{name}{"".join(self._parts)}</svg>'
        ground = f'<rect width="{_n(self.width)}" height="{_n(self.height)}" style="fill:var(--bg)"/>'
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        style = f"<style>{_STYLE.strip()}{_CLASSES.rstrip()}\n</style>"
        parts = "\n".join(self._parts)
        opening = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {box}>'
        return "\n".join((opening, name, style, ground, parts, "</svg>")) + "\n"

    def _shape(self, opening: str, tag: str, tip: str) -> None:
        inner = f"><title>{escape(tip)}</title></{tag}>" if tip else "/>"
        self._parts.append(f"<{opening}{inner}")


def escape(text: str) -> str:
    """Return text that an SVG shows as it is; characters that XML forbids become spaces."""
    return _escape_html(printable(text))


def page_style() -> str:
    """Return the style classes of figures for a page that defines the colours itself."""
    return "\n".join(f"svg.figure {rule}" for rule in _rules())


def text_width(text: str, size: float = 13) -> float:
    """Estimate the width of text in pixels; generous, as fonts differ between readers."""
    wide = sum(1.5 if c in "mwMW%@—" else 0.55 if c in "iljt.,:;'|()[] " else 1.05 for c in text)
    return wide * size * 0.56


def wrapped(text: str, width: float, size: float = 13) -> list[str]:
    """Break text into lines that are no wider than ``width`` pixels; a longer word has a line of its own.

    Args:
        text: Words.
        width: The most a line may take, in pixels.
        size: Size of the type in pixels.
    """
    lines: list[str] = []
    for word in text.split():
        # Some fonts are wider than the estimate.
        if lines and 1.12 * text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def nice_ticks(low: float, high: float, target: int = 5) -> list[float]:
    """Return round numbers that cover ``low`` to ``high``, first at or below, last at or above.

    Args:
        low: Smallest value.
        high: Largest value.
        target: About how many.
    """
    span = high - low or abs(high) or 1.0
    magnitude = 10.0 ** _floor_log10(span / target)
    step = next(s * magnitude for s in (1, 2, 2.5, 5, 10) if s * magnitude >= span / target * 0.999)
    first = int(low // step)
    last = -int(-high // step)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def _rules() -> list[str]:
    return [f"{rule.strip()}}}" for line in _CLASSES.strip().splitlines() for rule in line.split("}") if rule.strip()]


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"

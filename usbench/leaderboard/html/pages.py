"""Which pages the site has: each is a template and a function that finds what to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from usbench.leaderboard.board import Board
from usbench.leaderboard.bundled import Known
from usbench.leaderboard.figures import Figure, figures_of
from usbench.leaderboard.figures.overview import overview_figures
from usbench.leaderboard.html import views
from usbench.leaderboard.html.images import embedded_picture
from usbench.leaderboard.html.links import board_page, encoder_page
from usbench.leaderboard.html.maps import dots_of
from usbench.leaderboard.ranking import Ranking, rank
from usbench.leaderboard.tables import overview
from usbench.leaderboard.tables.coverage import coverage


@dataclass
class Site:
    """What the pages are made of.

    Attributes:
        boards: All boards.
        known: Encoders that are named even if nobody has run them.
        pictures: Encoder to picture files for its page.
        docs: Address of the documentation's first page, relative ones seen from the site's root; none if empty.
    """

    boards: Sequence[Board]
    known: Sequence[Known] = ()
    pictures: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    docs: str = ""

    @cached_property
    def real(self) -> list[Board]:
        """Boards on real images."""
        return [board for board in self.boards if not board.synthetic]

    @cached_property
    def ranking(self) -> Ranking | None:
        """The ranking over the boards on real images; computed once, as it resamples them all."""
        return rank(self.real)

    @cached_property
    def figures(self) -> list[Figure]:
        """Figures of the first page."""
        return overview_figures(self.real, self.ranking)


@dataclass(frozen=True)
class Page:
    """One kind of page.

    Attributes:
        template: Name of its template.
        find: Returns path, relative to the site's root, and variables of the template, for each page of this kind.
        menu: Title of its link beside the tasks at the top of every page; none for pages that others link.
    """

    template: str
    find: Callable[[Site], Iterator[tuple[str, dict[str, Any]]]]
    menu: str = ""


def _index(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    view = views.index_view(site.real, site.known, site.ranking)
    simulated = [board for board in site.boards if board.synthetic]
    yield "index.html", {"view": view, "simulated": simulated, "figures": site.figures}


def _boards(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for board in site.boards:
        shown = {"board": board, "view": views.board_view(board), "figures": figures_of(board), "dots": dots_of(board)}
        yield board_page(board.name), shown


def _encoders(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in views.measured_encoders(site.boards).items():
        pictures = [embedded_picture(path) for path in site.pictures.get(name, ())]
        yield encoder_page(name), {"view": views.encoder_view(name, entry, site.boards), "pictures": pictures}


def _coverage(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    real = site.real
    yield "missing.html", {"table": coverage(real, site.known), "unmeasured": overview.unmeasured(real, site.known)}


PAGES: list[Page] = [
    Page("index.html", _index),
    Page("board.html", _boards),
    Page("encoder.html", _encoders),
    Page("missing.html", _coverage, menu="Missing"),
]

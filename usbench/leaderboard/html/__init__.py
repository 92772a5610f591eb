"""The static web site: the same boards as the Markdown pages, to be sorted, filtered and read on any screen.

Pages are complete without scripts; one small script of our own adds sorting, filtering, the column chooser and the
theme switch to the tables that are already there. A charting library was weighed against it: plotly's bundle alone is
some 4.5 MB a copy, draws nothing without scripts and gives screen readers nothing to read, while the figures here are
the same inline SVG as in the Markdown pages and the whole script is a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from usbench.errors import UnknownNameError, did_you_mean
from usbench.leaderboard.board import Board, files_of, gather
from usbench.leaderboard.bundled import Known, bundled_encoders
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.html import views
from usbench.leaderboard.html.environment import asset, environment, style
from usbench.leaderboard.html.images import embedded_picture
from usbench.leaderboard.html.links import board_page, encoder_page
from usbench.leaderboard.html.maps import dots_of
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.staleness import write_pages
from usbench.results.text import told_of


def render_site(
    results: Path, reported: Path | None = None, pictures: Mapping[str, Sequence[Path]] = MappingProxyType({})
) -> dict[str, str]:
    """Render every file of the site.

    Args:
        results: Folder of result files.
        reported: Folder of reported values; the ones that came with the program by default.
        pictures: Encoder to picture files for its page, such as a sheet of its textures.

    Returns:
        Path relative to the site's folder to text.

    Raises:
        UnknownNameError: A picture is of an encoder without a result.
        UsbenchError: A picture cannot be read.
        ResultError: A result or a file of reported values is damaged.
    """
    boards = gather(results, reported if reported is not None else default_reported_dir())
    measured = views.measured_encoders(boards)
    for name in pictures:
        if name not in measured:
            raise UnknownNameError(f"a picture of {name!r}, which has no result.{did_you_mean(name, measured)}")
    with told_of(*files_of(*boards)):
        return pages_of(boards, bundled_encoders(), pictures)


def write_site(
    results: Path,
    folder: Path,
    reported: Path | None = None,
    pictures: Mapping[str, Sequence[Path]] = MappingProxyType({}),
) -> list[Path]:
    """Render the site into a folder and return what was written.

    Args:
        results: Folder of result files.
        folder: Where the site goes; other files there are left alone.
        reported: Folder of reported values.
        pictures: Encoder to picture files for its page.

    Raises:
        UnknownNameError: A picture is of an encoder without a result.
        UsbenchError: A picture cannot be read.
        StoreError: The folder cannot be written.
        ResultError: A result is damaged.
    """
    return write_pages(render_site(results, reported, pictures), folder, owned=())


def pages_of(
    boards: Sequence[Board], known: Sequence[Known], pictures: Mapping[str, Sequence[Path]] = MappingProxyType({})
) -> dict[str, str]:
    """Render the site of given boards.

    Args:
        boards: All boards.
        known: Encoders that are named even if nobody has run them.
        pictures: Encoder to picture files for its page.
    """
    templates = environment()
    pages = {"assets/style.css": style() + "\n", "assets/app.js": asset("app.js")}
    real = [board for board in boards if not board.synthetic]
    pages["index.html"] = templates.get_template("index.html").render(
        boards=boards, root="", view=views.index_view(real, known), simulated=[b for b in boards if b.synthetic]
    )
    for board in boards:
        figures = figures_of(board)
        for figure in figures:
            pages[f"figures/{figure.name}.svg"] = figure.drawing.render()
            pages[f"figures/{figure.name}.csv"] = figure.csv
        pages[board_page(board.name)] = templates.get_template("board.html").render(
            boards=boards, root="../", board=board, view=views.board_view(board), figures=figures, dots=dots_of(board)
        )
    for name, entry in views.measured_encoders(boards).items():
        pages[encoder_page(name)] = templates.get_template("encoder.html").render(
            boards=boards,
            root="../",
            view=views.encoder_view(name, entry, boards),
            pictures=[embedded_picture(path) for path in pictures.get(name, ())],
        )
    return pages

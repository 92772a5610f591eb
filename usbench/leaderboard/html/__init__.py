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

from usbench.core.types import Progress, silent
from usbench.errors import UnknownNameError, did_you_mean
from usbench.leaderboard.board import files_of, gather
from usbench.leaderboard.bundled import bundled_encoders
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.html import views
from usbench.leaderboard.html.links import docs_address
from usbench.leaderboard.html.pages import PAGES, Site
from usbench.leaderboard.html.templating import asset, environment, style
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.staleness import write_pages
from usbench.results.text import told_of


def render_site(
    results: Path,
    reported: Path | None = None,
    pictures: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    docs: str = "",
    progress: Progress = silent,
) -> dict[str, str]:
    """Render every file of the site.

    Args:
        results: Folder of result files.
        reported: Folder of reported values; the ones that came with the program by default.
        pictures: Encoder to picture files for its page, such as a sheet of its textures.
        docs: Where the documentation lies: an address, or a folder seen from the site's root; no link if empty.
        progress: Told what is being done, how much of it is done, and how much there is.

    Returns:
        Path relative to the site's folder to text.

    Raises:
        UnknownNameError: A picture is of an encoder without a result.
        UsbenchError: A picture cannot be read, or the address of the documentation is none.
        ResultError: A result or a file of reported values is damaged.
    """
    boards = gather(results, reported if reported is not None else default_reported_dir(), progress=progress)
    measured = views.measured_encoders(boards)
    for name in pictures:
        if name not in measured:
            raise UnknownNameError(f"a picture of {name!r}, which has no result.{did_you_mean(name, measured)}")
    with told_of(*files_of(*boards)):
        return pages_of(Site(boards, bundled_encoders(), pictures, docs_address(docs)), progress)


def write_site(
    results: Path,
    folder: Path,
    reported: Path | None = None,
    pictures: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    docs: str = "",
    progress: Progress = silent,
) -> list[Path]:
    """Render the site into a folder and return what was written.

    Args:
        results: Folder of result files.
        folder: Where the site goes; other files there are left alone.
        reported: Folder of reported values.
        pictures: Encoder to picture files for its page.
        docs: Where the documentation lies: an address, or a folder seen from the site's root; no link if empty.
        progress: Told what is being done, how much of it is done, and how much there is.

    Raises:
        UnknownNameError: A picture is of an encoder without a result.
        UsbenchError: A picture cannot be read, or the address of the documentation is none.
        StoreError: The folder cannot be written.
        ResultError: A result is damaged.
    """
    return write_pages(render_site(results, reported, pictures, docs, progress), folder, owned=())


def pages_of(site: Site, progress: Progress = silent) -> dict[str, str]:
    """Render the pages of a site, and what they load.

    Args:
        site: What the pages are made of.
        progress: Told how many pages are written, and how many there are.
    """
    templates = environment()
    found = {"assets/style.css": style() + "\n", "assets/app.js": asset("app.js")}
    for figure in (*site.figures, *(figure for board in site.boards for figure in figures_of(board))):
        found[f"figures/{figure.name}.svg"] = figure.drawing.render()
        found[f"figures/{figure.name}.csv"] = figure.csv
    pages = [(page, path, shown) for page in PAGES for path, shown in page.find(site)]
    menu = {path: page.menu for page, path, _ in pages if page.menu}
    for done, (page, path, shown) in enumerate(pages):
        progress("writing pages", done, len(pages))
        root = "../" * path.count("/")
        template = templates.get_template(page.template)
        docs = site.docs if "://" in site.docs else root + site.docs if site.docs else ""
        found[path] = template.render(boards=site.boards, menu=menu, root=root, docs=docs, **shown)
    return found

"""What mkdocs has to be told: pages from elsewhere in the repository, references made from the code, and links.

The pages of ``docs/`` are read on GitHub as well, where ``../encoders/README.md`` is a good link. On the site a link
that leaves ``docs/`` goes to the page that was taken in from there, to the boards, or to the repository's own site;
where no address of the repository is known, its words stand without a link.
"""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
IMPORTED_FROM = [str(Path(__file__).parent), *(str(ROOT / part) for part in ("", "encoders", "tasks"))]

TAKEN_IN = {
    "README.md": "index.md",  # linked only: the site has a first page of its own
    "encoders/README.md": "encoders.md",
    "tasks/README.md": "tasks.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository that the site has, and their place in it."""

PUBLIC = {
    "reference/python.md": ("The Python interface", {"usbench": ""}),
    "reference/plugins.md": (
        "What plugins use",
        {
            "usbench.encoder": "Writing an encoder: `from usbench.encoder import ...`",
            "usbench.encoder.weights": "Reading weights: `from usbench import weights`",
            "usbench.task": "Declaring a task: `from usbench.task import ...`",
            "usbench.media": "Pixels from files: `from usbench.media import ...`",
            "usbench.results": "Result files: `from usbench.results import ...`",
            "usbench.conformance": "The contract's check: `from usbench.conformance import ...`",
            "usbench.diagnostics.shifts": "Acquisition shifts: `from usbench.diagnostics.shifts import ...`",
        },
    ),
    "reference/tusa.md": ("The package tusa", {"tusa": ""}),
}
"""Pages of the reference: title, and modules with what is said of each. Names are those of ``__all__``."""

_FENCE = re.compile(r"(^```.*?^```\s*?$)", flags=re.M | re.S)
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):<code>~?")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in ``docs/``."""
    # mkdocs takes back what a hook changes of the path while it is read.
    sys.path[:0] = [path for path in IMPORTED_FROM if path not in sys.path]
    from commands import tusa_reference, usbench_reference
    from mkdocs.structure.files import File

    pages = {place: (ROOT / source).read_text(encoding="utf-8") for source, place in TAKEN_IN.items()}
    pages.pop("index.md")
    pages |= {place: reference(title, modules) for place, (title, modules) in PUBLIC.items()}
    pages |= {"reference/usbench.md": usbench_reference(), "reference/tusa-commands.md": tusa_reference()}
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_env(env: Any, **_: Any) -> Any:
    """Give the templates the way from a page to the first one."""
    env.filters["boards_root"] = lambda page: "../" * page.url.count("/") if page else ""  # 404.html is no page
    return env


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to where their targets lie on the site."""
    place = page.file.src_uri
    source = next((source for source, taken in TAKEN_IN.items() if taken == place and place != "index.md"), None)
    parts = _FENCE.split(markdown)
    for index in range(0, len(parts), 2):  # blocks of code stand at odd places
        parts[index] = _LINK.sub(
            lambda match: link(match, source or f"docs/{place}", place, page.url, config), parts[index]
        )
    return "".join(parts)


def on_page_content(html: str, **_: Any) -> str:
    """Show names that docstrings mark as Sphinx does, such as ``:class:`Encoder```, as the code that they are."""
    return _ROLE.sub(r"<code>", html)


def link(match: re.Match[str], source: str, place: str, url: str, config: Any) -> str:
    """Return a link as the site needs it.

    Args:
        match: The link: an exclamation mark for images, text, target.
        source: Where its page lies in the repository.
        place: Where its page lies on the site.
        url: Address of the page, relative to the first one.
        config: Configuration of mkdocs, with ``repo_url`` and ``extra.boards``.
    """
    image, text, whole = match.groups()
    target, hash_, anchor = whole.partition("#")
    if not target or "://" in target or target.startswith("mailto:"):
        return match[0]
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    inside = TAKEN_IN.get(meant) or (meant.removeprefix("docs/") if meant.startswith("docs/") else None)
    if inside and not inside.endswith((".py", ".toml")) and not (ROOT / meant).is_dir():
        relative = posixpath.relpath(inside, posixpath.dirname(place) or ".")
        return f"{image}[{text}]({relative}{hash_}{anchor})"
    if meant.startswith("leaderboards/") and meant.endswith(".md"):
        boards = str(config["extra"]["boards"])
        root = "" if "://" in boards else "../" * url.count("/")
        # Written as HTML, as it leads out of what mkdocs can check; tests/test_docs_site.py does.
        return f'<a href="{root}{boards}{board_page(meant)}">{text}</a>'
    if not (ROOT / meant).exists():
        return match[0]  # the strict build says so
    repository = str(config["repo_url"] or "").rstrip("/")
    view = "tree" if (ROOT / meant).is_dir() else "blob"
    return f"[{text}]({repository}/{view}/main/{meant}{hash_}{anchor})" if repository else text


def board_page(page: str) -> str:
    """Return where the web site of the boards has what ``leaderboards/NAME.md`` shows."""
    from usbench.leaderboard.html import links

    name = Path(page).stem
    return "index.html" if name == "README" else links.board_page(name)


def public_names(module: str) -> list[str]:
    """Return ``__all__`` of a module without importing it."""
    folders = [ROOT.joinpath(*module.split(".")), ROOT / "encoders" / module, ROOT / "tasks" / module]
    path = next(folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file())
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError(f"{path} has no __all__: which of its names are public is not said.")


def reference(title: str, modules: dict[str, str]) -> str:
    """Return a page with the documentation of every public name of some modules."""
    parts = [f"# {title}"]
    for module, heading in modules.items():
        level = 3 if heading else 2
        parts += [f"## {heading}"] * bool(heading)
        parts += [f"::: {module}.{name}\n    options:\n      heading_level: {level}" for name in public_names(module)]
    return "\n\n".join(parts) + "\n"

"""What several commands share is said once."""

import ast
from collections import defaultdict
from pathlib import Path

import usbench.cli

FOLDER = Path(usbench.cli.__file__).parent


def options_of(path: Path) -> list[tuple[str, str]]:
    """Parameter and annotation of every option that a command declares in place."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.arg) and node.annotation is not None:
            text = ast.unparse(node.annotation)
            if "typer.Option" in text:
                found.append((node.arg, text))
    return found


def test_no_option_is_declared_twice() -> None:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(FOLDER.glob("*.py")):
        for option in options_of(path):
            places[option].append(path.name)
    assert len(places) > 30
    assert {option: files for option, files in places.items() if len(files) > 1} == {}


def test_the_folders_of_results_are_named_once() -> None:
    root = FOLDER.parent
    for name in ('"leaderboards") / "results"', '"runs") / "results"'):
        named = [p.relative_to(root).as_posix() for p in root.rglob("*.py") if name in p.read_text()]
        assert named == ["core/settings.py"]

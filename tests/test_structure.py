"""The plan of the code: no circles between files, whatever the layers allow."""

from __future__ import annotations

import ast
import builtins
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "usbench": ROOT / "usbench",
    "tusa": ROOT / "tusa",
    "usbench_encoders": ROOT / "encoders" / "usbench_encoders",
    "usbench_tasks": ROOT / "tasks" / "usbench_tasks",
}


def modules() -> dict[str, Path]:
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.Module) -> set[str]:
    """Modules and names that are imported anywhere in a file, except for type checking alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and type_checking(child):
                waiting += child.orelse
            else:
                waiting.append(child)
    return found


def graph(files: dict[str, Path]) -> dict[str, set[str]]:
    arrows = {}
    for name, path in files.items():
        targets = set()
        for imported in imports(ast.parse(path.read_text("utf-8"))):
            target = imported if imported in files else imported.rpartition(".")[0]
            if target in files and target != name:
                targets.add(target)
        arrows[name] = targets
    return arrows


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one file (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in arrows[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            part = []
            while True:
                part.append(stack.pop())
                if part[-1] == node:
                    break
            if len(part) > 1:
                found.append(sorted(part))

    for node in arrows:
        if node not in index:
            visit(node)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(graph(modules())) == []


def test_the_check_finds_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_package_calls_a_builtin_that_one_of_its_modules_replaces() -> None:
    """Once ``usbench.cli.list`` is imported, ``list`` in ``usbench/cli/__init__.py`` is that module."""
    hidden = {}
    for folder in PACKAGES.values():
        for init in folder.rglob("__init__.py"):
            within = {path.stem if path.suffix else path.name for path in init.parent.iterdir()}
            names = {node.id for node in ast.walk(ast.parse(init.read_text("utf-8"))) if isinstance(node, ast.Name)}
            if found := names & within & set(dir(builtins)):
                hidden[str(init.relative_to(ROOT))] = sorted(found)
    assert hidden == {}


def test_files_of_tests_bear_names_of_their_own() -> None:
    """Test modules outside packages are imported by their bare name, which two of them cannot share."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if not (path.parent / "__init__.py").exists()]
    assert sorted(name for name in set(names) if names.count(name) > 1 and name != "conftest.py") == []


def test_no_script_has_the_name_of_an_installed_package() -> None:
    """A script's folder stands in ``sys.path``: numba would import a file ``coverage.py`` for the package."""
    taken = {*sys.stdlib_module_names, *packages_distributions()}
    folders = ("benchmarks", "recipes", "tests", "docs/_site", ".ci")
    scripts = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(scripts) > 100
    assert [str(path.relative_to(ROOT)) for path in scripts if path.stem in taken] == []

"""The reference of the command line as Markdown, from the commands themselves."""

from __future__ import annotations

import inspect
from typing import Any

import typer


def usbench_reference() -> str:
    """Return the page of all commands of ``usbench``."""
    from usbench.cli import COMMANDS, HELP, build_app

    parts = ["# Commands of usbench", HELP, "Every command says `--help` too."]
    for name in COMMANDS:
        # Only the command that is called is built with its options: the others are summaries.
        group: Any = typer.main.get_command(build_app([name]))
        parts += _describe(group.commands[name], f"usbench {name}", 2)
    return "\n\n".join(parts) + "\n"


def tusa_reference() -> str:
    """Return the page of all commands of ``tusa``."""
    from tusa.cli import app

    group: Any = typer.main.get_command(app)
    parts = ["# Commands of tusa", group.help]
    for name, command in group.commands.items():
        parts += _describe(command, f"tusa {name}", 2)
    return "\n\n".join(parts) + "\n"


def _describe(command: Any, path: str, level: int) -> list[str]:
    """Return the paragraphs on a command, and on those below it."""
    parts = [f"{'#' * level} `{path}`", inspect.cleandoc(command.help or "")]
    children: dict[str, Any] = getattr(command, "commands", {})
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help" and not p.hidden]
    words = [path, *(a.name.upper() + ("..." if a.nargs == -1 else "") for a in arguments)]
    words += ["[OPTIONS]"] * bool(options) + ["COMMAND"] * bool(children)
    parts.append(f"```sh\n{' '.join(words)}\n```")
    if arguments:
        rows = [f"| `{a.name.upper()}` | {_cell(a.help)} |" for a in arguments]
        parts.append("\n".join(["| argument | meaning |", "|---|---|", *rows]))
    if options:
        rows = [f"| {_names(o)} | {_cell(o.help)} | {_default(o)} |" for o in options]
        parts.append("\n".join(["| option | meaning | default |", "|---|---|---|", *rows]))
    for name, child in children.items():
        parts += _describe(child, f"{path} {name}", level + 1)
    return parts


def _names(option: Any) -> str:
    shown = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    return ", ".join(shown) + (
        " (may be repeated)" if option.multiple and "repeated" not in (option.help or "") else ""
    )


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.default
    if default is None or default == () or default is False or callable(default) or "UNSET" in str(default):
        return ""
    if default is True and option.secondary_opts:
        return f"`{option.opts[0]}`"
    return f"`{default}`"


def _cell(text: str | None) -> str:
    """Return a help text as one cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")

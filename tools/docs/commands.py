"""The command line as Markdown, out of the application itself."""

from __future__ import annotations

import re
from typing import Any

# What typer writes behind a parameter's help.
DEFAULT = re.compile(r"\s*\[(default: (?P<value>[^\]]*)|required)\]$")
KINDS = {"<str>": "TEXT", "<int>": "N", "<float>": "NUMBER", "<list[str]>": ""}


def commands() -> str:
    """A part for each command: how it is called, what it does, arguments, options."""
    import typer
    import typer.main

    from gdcore.cli.app import app

    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in group.commands.items():
        if not command.hidden:
            parts += _command(name, command, typer.Context(command, info_name=name))
    return "\n\n".join(parts)


def _command(name: str, command: Any, context: Any) -> list[str]:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    places = [_place(each) for each in arguments]
    options = ["[OPTIONS]"] * (len(shown) > len(arguments))
    rows = ["| | | default |", "|---|---|---|"]
    for each in shown:
        spelt, words = each.get_help_record(context)
        found = DEFAULT.search(words)
        default = (found["value"] or "required") if found else ""
        code = "`" if found and found["value"] else ""
        first = places[arguments.index(each)] if each in arguments else _kinds(spelt)
        rows.append(f"| `{first}` | {_text(DEFAULT.sub('', words))} | {code}{default}{code} |")
    return [
        f"## {name}",
        "```text\n" + " ".join(["gdcore", name, *places, *options]) + "\n```",
        _text(command.help or ""),
        "\n".join(rows),
    ]


def _place(argument: Any) -> str:
    name = re.sub(r"[^A-Z]", "", argument.metavar or argument.name.upper())
    name += "..." * (argument.nargs == -1)
    return name if argument.required else f"[{name}]"


def _kinds(spelt: str) -> str:
    return re.sub(r"<[\w\[\]]+>", lambda kind: KINDS.get(kind[0], kind[0]), spelt).strip()


def _text(words: str) -> str:
    """Markdown that shows just these words."""
    return re.sub(r"([|<*\[\]_])", r"\\\1", words.replace("\b", "")).strip()

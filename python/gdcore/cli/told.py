"""What a command was told, from its arguments."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from gdcore.cli.options import sizes

if TYPE_CHECKING:
    from gdcore.cli.reading import Reading
    from gdcore.cli.training import Options

__all__ = ["given", "options_of", "reading_of"]

NAMES = ("categories", "numbers", "dates", "drop", "id_column", "na")  # which may be repeated


def options_of(told: dict[str, Any]) -> Options:
    """Those of a command's arguments that describe data, network and training."""
    from gdcore.cli.training import Options

    parsed: dict[str, Any] = {name: tuple(told.get(name) or ()) for name in NAMES}
    metrics = (told.get("metrics") or "").split(",")
    parsed["metrics"] = tuple(each.strip() for each in metrics if each.strip())
    parsed["reading"] = reading_of(told)
    hidden = sizes("--hidden", told["hidden"])
    known = {field.name: told[field.name] for field in fields(Options) if field.name in told}
    return Options(**known | parsed | {"hidden": hidden})


def reading_of(told: dict[str, Any]) -> Reading:
    """How text is to be read, as far as the arguments say it."""
    from gdcore.cli.reading import Reading

    return Reading(
        **{field.name: told[field.name] for field in fields(Reading) if field.name in told}
    )


def given(context: typer.Context, *others: str) -> list[str]:
    """The options that stand on the command line, but for some."""
    return [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in others
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]

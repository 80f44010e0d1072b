"""Pages that are made of something else when the documentation is built.

A page says where by ``<!-- generated: commands -->``, the command line's options out of typer,
by ``<!-- generated: notebook NAME -->``, cells and outputs of a file in examples/notebooks, or by
``<!-- generated: formulas MODULE -->``, within a block of reStructuredText, the classes of
activations, layers, losses or optimizers in the order of their definition, by
``<!-- generated: targets -->``, which of them go to which other program.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from tools.docs.commands import commands
from tools.docs.formulas import formulas
from tools.docs.notebooks import FOLDER, markdown
from tools.docs.targets import targets

MARK = re.compile(r"^<!-- generated: (\w+)(?: (\w+))? -->$", re.MULTILINE)


def made(match: re.Match[str]) -> str:
    kind, name = match.groups()
    if kind == "commands":
        return commands()
    if kind == "notebook":
        return markdown(FOLDER / f"{name}.ipynb")
    if kind == "formulas":
        return formulas(name)
    if kind == "targets":
        return targets()
    raise ValueError(f"nothing can be made of {match[0]}")


def read(app: Sphinx, docname: str, content: list[str]) -> None:
    content[0] = MARK.sub(made, content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

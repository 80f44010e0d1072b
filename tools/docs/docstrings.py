"""Docstrings as Sphinx reads them: equations keep their lines, and short names are links.

The docstrings are written for ``help()``: the only markup is single and double backticks, lists,
tables and Google's sections. So ``|w|`` and ``x**2`` are no markup, and lines with ``<-`` are
equations.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LITERAL = re.compile(r"(``.*?``|`[^`]+`)")
COLON = "\ue000"
DEFINITION = re.compile(r"^\w[\w']* <- ")
SECTIONS = ("Args:", "Raises:", "Returns:", "Attributes:", "Warns:", "Yields:")


def _escaped(line: str) -> str:
    """What is no markup in ``help()`` is none on the page."""
    if line.lstrip().startswith((">>>", "...", "==", "--")):
        return line
    parts = LITERAL.split(line)
    return "".join(
        part if number % 2 else re.sub(r"([|*])|(?<=\w)(_)(?=\W|$)", r"\\\1\2", part)
        for number, part in enumerate(parts)
    )


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        else:
            found.append([])
    return [each for each in found if each]


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    out: list[str] = []
    for paragraph in _paragraphs(lines):
        if any(DEFINITION.match(line) for line in paragraph):
            paragraph = [
                f"| {_escaped(line)}"
                if not line.startswith(" ")
                else f"  {_escaped(line.lstrip())}"
                for line in paragraph
            ]
        elif paragraph[0].startswith(SECTIONS) or not paragraph[0].lstrip().startswith(">>>"):
            paragraph = [_escaped(line) for line in paragraph]
        out += [*paragraph, ""]
    if what in ("property", "attribute") and out:
        # There napoleon would take the words before a colon for a type.
        out[0] = out[0].replace(":", COLON, 1)
    lines[:] = out


def restore(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def resolve(app: Sphinx, env: Any, node: Any, contnode: nodes.Element) -> nodes.Element | None:
    """A name without its module, such as ``Trainer.fit``, leads to the one that is public."""
    if node.get("refdomain") != "py" or node.get("reftype") not in ("obj", "class", "meth"):
        return None
    domain = env.get_domain("py")
    target = node["reftarget"].split(".")
    owner = [part for part in (node.get("py:module"), node.get("py:class")) if part]
    candidates = [f"gdcore.{'.'.join(target)}"]
    candidates += [".".join([*owner, *target]), ".".join([*owner[:1], *target])]
    if target[0] == "gdcore" and len(target) > 2:  # where a private module defines it
        candidates += ["gdcore." + ".".join(target[i:]) for i in range(2, len(target))]
    for candidate in candidates:
        if candidate in domain.objects:
            found = domain.objects[candidate]
            return _link(app, node, found, contnode)
    suffix = "." + target[-1] if len(target) == 1 else "." + ".".join(target)
    ends = [name for name in domain.objects if name.endswith(suffix)]
    if len({domain.objects[name].docname for name in ends}) == 1:
        return _link(app, node, domain.objects[ends[0]], contnode)
    return None


def _link(app: Sphinx, node: Any, found: Any, contnode: nodes.Element) -> nodes.Element:
    from sphinx.util.nodes import make_refnode

    return make_refnode(
        app.builder, node["refdoc"], found.docname, found.node_id, contnode, node["reftarget"]
    )


def setup(app: Sphinx) -> dict[str, bool]:
    # Before napoleon, which makes its own markup of Args and so on.
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)  # after it
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

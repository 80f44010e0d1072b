"""Notebooks: executed and stored by ``python -m tools.docs.notebooks``, and shown as Markdown.

What is stored is what a reader sees: texts, code, outputs. No times of execution, so that a file
changes where something in it does.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path, folder: Path) -> Any:
    """The notebook with the outputs that it has when all of it runs within ``folder``.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raises.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, kernel_name="python3"
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags",) if key in cell.metadata}
    notebook.metadata = METADATA
    return notebook


def store(path: Path, folder: Path) -> None:
    """Executes a notebook and writes it with its outputs."""
    import nbformat

    nbformat.write(executed(path, folder), path)


def markdown(path: Path) -> str:
    """Cells and outputs in order; the first text is the page's title."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.strip():
            parts.append(f"```python\n{source}\n```")
            parts += [part for each in cell["outputs"] if (part := _output(each))]
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _printed("".join(output["text"]))
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join("".join(data["image/png"]).split())
        return f"![](data:image/png;base64,{picture})"
    if "text/html" in data:
        text = "".join(data["text/html"])
        return f'````{{raw}} html\n<div class="cell-output">{text}</div>\n````'
    return _printed("".join(data.get("text/plain", "")))


def _printed(text: str) -> str:
    """As a terminal shows it: a line that returns to its begin is written over."""
    lines = [line.rstrip().rsplit("\r", 1)[-1] for line in COLOURS.sub("", text).split("\n")]
    if not any("   " in line.strip() for line in lines):  # sentences, no table
        lines = [part for line in lines for part in textwrap.wrap(line, 79) or [""]]
    shown = "\n".join(lines).strip("\n")
    return f"```text\n{shown}\n```" if shown else ""


if __name__ == "__main__":
    import tempfile

    for each in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        with tempfile.TemporaryDirectory() as scratch:
            store(each, Path(scratch))
        print(each)

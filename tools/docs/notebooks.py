"""A notebook as Markdown: its texts, its code, and what is stored as printed and drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def notebook(path: Path) -> str:
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
        return f"![]( data:image/png;base64,{''.join(data['image/png']).strip()} )".replace(" ", "")
    if "text/html" in data:
        text = "".join(data["text/html"])
        return f'```{{raw}} html\n<div class="cell-output">{text}</div>\n```'
    return _printed("".join(data.get("text/plain", "")))


def _printed(text: str) -> str:
    """As a terminal shows it: a line that returns to its begin is written over."""
    lines = [line.rstrip().rsplit("\r", 1)[-1] for line in COLOURS.sub("", text).split("\n")]
    shown = "\n".join(lines).strip("\n")
    return f"```text\n{shown}\n```" if shown else ""

"""The notebooks run, and what is stored in them is what they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def printed(cell: Any) -> str:
    """What a code cell prints, without what is drawn."""
    parts = []
    for output in cell["outputs"]:
        text = output.get("text", output.get("data", {}).get("text/plain", ""))
        parts.append("".join(text))
    return "".join(parts)


def stored(path: Path) -> list[Any]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder tools can be imported, whatever pytest was started with."""
    monkeypatch.syspath_prepend(str(ROOT))


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["profile.ipynb", "quickstart.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_is_stored(path: Path, tmp_path: Path) -> None:
    for module in ("nbclient", "nbformat", "ipykernel", "matplotlib", "plotly", "sklearn"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from tools.docs.notebooks import executed

    code = [cell for cell in stored(path) if cell["cell_type"] == "code"]
    ran = [cell for cell in executed(path, tmp_path).cells if cell.cell_type == "code"]
    assert len(ran) == len(code) >= 8
    for before, now in zip(code, ran):
        assert before["execution_count"] == now.execution_count
        if "varies" not in before["metadata"].get("tags", ()):
            assert printed(now) == printed(before), before["source"]
        else:
            assert bool(printed(now)) == bool(printed(before)), before["source"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_its_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 200_000
    for word in ("/root", "/home", "/tmp", "Traceback", 'execution": {'):
        assert word not in text

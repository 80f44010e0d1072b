"""Every block of every page runs, and prints what the page says it prints."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
from pages import MARKS, blocks, needed, run_page
from support import ROOT, run_json

DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if "_build" not in path.parts and DOCS / "design" not in path.parents
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
# How many blocks of a page do not run: they install, download, or need what a test may not have.
NOT_RUN = {}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_does_what_it_says(
    name: str, tmp_path: Path, own_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    for module in needed(page):
        pytest.importorskip(module, reason=f"{module} is not installed")
    if any(block.kind == "bash" and not block.why_not for block in blocks(page)):
        pytest.importorskip("typer", reason="typer is not installed")
    run_page(ROOT / name, tmp_path)

"""Every block of every page runs, and prints what the page says it prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pages import Block, blocks, needed, run_page
from support import ROOT

DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
    if "_build" not in path.parts
}
# Blocks that do not run, by page: they install, wait, or need what the tests do not have.
NOT_RUN = {
    "README.md": 3,
    "docs/design/soak.md": 1,
    "docs/guides/distributed.md": 3,
    "docs/guides/keras.md": 2,
    "docs/guides/many.md": 3,
    "docs/guides/threads.md": 1,
    "docs/guides/will_it_pay.md": 1,
    "docs/install.md": 4,
    "docs/performance.md": 1,
    "docs/profiling.md": 2,
    "docs/quickstart.md": 2,
    "docs/recipes/finding_out.md": 1,
    "docs/wheels.md": 1,
}


def found(name: str) -> list[Block]:
    return blocks(PAGES[name].read_text(encoding="utf-8"))


# A page that forks does not know that other tests of this process had JAX, which warns of it.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
@pytest.mark.parametrize("name", [name for name in PAGES if found(name)])
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    for module in needed(PAGES[name].read_text(encoding="utf-8")):
        pytest.importorskip(module, reason=f"{module} is not installed")
    for module in ("polars", "typer", "matplotlib", "pandas", "plotly", "perfetto"):
        pytest.importorskip(module, reason=f"{module} of the extras is not installed")
    run_page(PAGES[name], tmp_path)


def test_what_does_not_run_is_counted() -> None:
    """A block of code either runs or says why not; nobody skips one unseen."""
    told = {name: sum(bool(block.why_not) for block in found(name)) for name in PAGES}
    assert {name: number for name, number in told.items() if number} == NOT_RUN


def test_there_are_no_other_kinds_of_blocks() -> None:
    """Else a block would be neither run nor compared."""
    kinds = {"python", "bash", "text", "{toctree}", "{eval-rst}", "{include} ../CHANGELOG.md"}
    for name in PAGES:
        for block in found(name):
            assert block.kind in kinds, f"{name}, line {block.line}: {block.kind!r}"


def test_code_that_does_not_run_can_be_read_at_least() -> None:
    for name in PAGES:
        for block in found(name):
            if block.kind == "python" and block.why_not:
                ast.parse(block.text)


def test_readme_has_no_link_that_breaks_elsewhere() -> None:
    """A package index shows the page, and none of the files beside it."""
    targets = re.findall(r"\]\(([^)]*)\)", PAGES["README.md"].read_text(encoding="utf-8"))
    assert [target for target in targets if not target.startswith("https://")] == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "line 1 prints"),
        ("```python\n1 / 0\n```\n", "line 1: ZeroDivisionError"),
        ("words\n\n```bash\ngdcore inof\n```\n", "line 3: AssertionError"),
        ("<!-- fails: never -->\n```bash\ngdcore info\n```\n", "line 2: AssertionError"),
        ("```bash\nfalse\n```\n", "line 1: AssertionError"),
    ],
)
def test_a_wrong_page_is_found(page: str, words: str, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="typer is not installed")
    path = ROOT / "build" / "wrong.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page)
    try:
        with pytest.raises(AssertionError, match=words):
            run_page(path, tmp_path)
    finally:
        path.unlink()


def test_marks_are_known() -> None:
    with pytest.raises(ValueError, match="no such mark"):
        blocks("<!-- not ran: for some reason -->\n```python\n1\n```\n")

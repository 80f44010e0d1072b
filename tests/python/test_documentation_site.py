"""The built documentation: whole, without dead links, readable without network, and searchable."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, guarded_run

import gdcore as gd

PARTS = ("sphinx", "myst_parser", "furo")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder tools can be imported, whatever pytest was started with."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, by the command that README tells."""
    for part in PARTS:
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} of the group docs is not installed")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "tools.docs", "--out", out]
    result = guarded_run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
    return out / "html"


def text(page: Path) -> str:
    return re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path for path in pages if "_build" not in path.parts}
    assert len(pages) > 30
    assert [path for path in pages if not (site / path.with_suffix(".html")).is_file()] == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    from tools.docs.links import outside

    assert outside(site) == []


def test_a_dead_link_is_found(site: Path, tmp_path: Path) -> None:
    from tools.docs.links import dead_links

    for name, link in (("a.html", "b.html#there"), ("b.html", "a.html"), ("c.html", "b.html#not")):
        (tmp_path / name).write_text(f'<p id="there"><a href="{link}">x</a></p>')
    (tmp_path / "d.html").write_text('<img src="no.png"><a href="https://elsewhere.org/x">y</a>')
    assert dead_links(tmp_path) == [
        "c.html: b.html#not leads to no part of the page",
        "d.html: no.png leads to no file",
    ]
    assert dead_links(site) == []


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    pages = "".join(
        each.read_text(encoding="utf-8") for each in (site / "reference").glob("*.html")
    )
    places = set(re.findall(r'id="(gdcore\.[\w.]+)"', pages))
    modules = (
        "callbacks",
        "export",
        "files",
        "layers",
        "losses",
        "metrics",
        "optimizers",
        "profiling",
        "schedules",
        "solvers",
    )
    wanted = {f"gdcore.{name}" for name in gd.__all__}
    wanted |= {f"gdcore.{name}.{each}" for name in modules for each in getattr(gd, name).__all__}
    known = {place.rpartition(".")[2] for place in places} | {
        place.removeprefix("module-") for place in re.findall(r'id="(module-gdcore[\w.]*)"', pages)
    }
    missing = {
        name for name in wanted if name.rpartition(".")[2] not in known and name not in known
    }
    assert missing == set()


def test_every_option_is_in_the_reference(site: Path) -> None:
    main = pytest.importorskip("typer.main", reason="typer is not installed")
    from gdcore.cli.app import app

    page = text(site / "reference" / "command_line.html")
    for name, command in main.get_command(app).commands.items():
        assert f"gdcore {name}" in page
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in page, f"{option} of gdcore {name}"


def test_equations_of_docstrings_keep_their_lines(site: Path) -> None:
    page = (site / "reference" / "optimizers.html").read_text(encoding="utf-8")
    assert '<div class="line">m &lt;- beta1 m + (1 - beta1) g</div>' in page


def test_mathematics_needs_no_script(site: Path) -> None:
    page = (site / "guides" / "gradients.html").read_text(encoding="utf-8")
    assert page.count("<math") > 10
    assert re.findall(r"<script[^>]*mathjax", page, re.IGNORECASE) == []


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("Dense", "layers.html"),
        ("dropout", "guides/layers.html"),
        ("convolution", "limits.html"),
        ("profile", "profiling.html"),
    ],
)
def test_search_works_without_a_server(site: Path, word: str, page: str) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
    ]
    address = f"{(site / 'search.html').as_uri()}?q={word}"
    shown = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=300
    ).stdout
    results = re.findall(r'<li class="[^"]*kind[^"]*">.*?href="([^"]*)"', shown, re.DOTALL)
    assert any(page in result for result in results[:8]), (results, shown[-3000:])

"""The page of a profile: what it tells, what it loads, and that a browser draws it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pictured import (
    LENGTHS,
    ODD,
    OPERATIONS,
    SPAN,
    empty,
    picture,
    ranged,
    stretched,
    synthetic,
)
from recordings import events_of
from support import guarded_run

import gdcore as gd
from gdcore.profiling import Operation
from gdcore.profiling.records import Source
from gdcore.profiling.report import write_report


@pytest.fixture(scope="module")
def trained() -> gd.profiling.Profile:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((512, 64), dtype=np.float32), rng.integers(0, 10, 512)
    net = gd.Network([gd.Dense(96, "relu"), gd.Dense(10)], input_size=64, seed=0)
    trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=2)
    with gd.profile() as prof:
        trainer.fit(x, y, epochs=2, batch_size=64, progress=False)
    prof.recording.machine.peaks.update({"float32 x2": 1e11, "memory x2": 2e10})
    return prof


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "synthetic.html"
    recording = replace(synthetic(steps=300), counters_error="the kernel says <no> & that is it")
    recording.machine.host, recording.machine.version = "here", "0.0.test"
    write_report(recording, path)
    return path


@pytest.fixture(scope="module")
def trained_page(trained: gd.profiling.Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained.to_html(path := tmp_path_factory.mktemp("page") / "trained.html")
    return path


def own_html(page: Path) -> str:
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.DOTALL)


def test_a_page_loads_nothing(page: Path) -> None:
    text = page.read_text()
    for tag in re.findall(r"<(?:script|link|img|iframe|object|embed)\b[^>]*>", own_html(page)):
        raise AssertionError(tag)
    starts = re.findall(r"<script\b[^>]*>", text)
    assert starts
    assert not [start for start in starts if "src" in start]
    assert not re.search(r"""@import|url\(["']?https?:""", text)
    assert "http" not in own_html(page).replace("http-equiv", "")
    assert "default-src 'none'" in text
    assert text.count("plotly.js v") == 1


def test_a_page_tells_facts_and_tables(page: Path) -> None:
    html = own_html(page)
    events = 300 * 3 * len(LENGTHS)
    for fact in (f"events <b>{events:,}</b>", "isa <b>avx2</b>", "training steps <b>300</b>"):
        assert fact in html
    assert re.search(rf"steps \d+ to 300 of 300, [\d,]+ of {events:,} events", html)
    assert html.count("<table>") == 5  # with that of the slowest steps
    for text in ("trainer 1:", "median (p50) <b>", "gdcore <b>0.0.test</b>", "host <b>here</b>"):
        assert text in html
    assert "CPU <b>" not in html  # which is not known here
    assert "threads <b>3</b>" in html
    assert "<td class=number>" in html
    assert "memory: 20 GB/s on 3 threads; float32 multiply-adds: 100 GFLOP/s" in html
    assert "bfloat16: can be above the ceiling" in html


def test_a_page_escapes_what_it_shows(page: Path) -> None:
    text = page.read_text()
    assert ODD not in text
    assert "<td>&lt;b&gt;&amp;amp; $x^$ \u00e9</td>" in text
    assert "the kernel says &lt;no&gt; &amp; that is it" in text


def test_a_page_has_the_counters_of_each_thread(tmp_path: Path) -> None:
    recording = synthetic(threads=2)
    counted = {"cycles": 1234567, "instructions": 2345678, "cache_misses": 99}
    threads = [replace(each, counters=dict(counted)) for each in recording.threads]
    write_report(replace(recording, threads=threads), path := tmp_path / "a.html")
    html = own_html(path)
    assert "<th class=number>cache misses</th>" in html
    assert html.count("<td class=number>1,234,567</td>") == 2
    write_report(recording, path)
    assert "not asked for" in own_html(path)


def test_the_slowest_steps_lead_to_their_timelines(tmp_path: Path) -> None:
    write_report(stretched(synthetic(steps=200), 57, 6, 3_000_000), path := tmp_path / "a.html")
    html = own_html(path)
    links = re.findall(r"<a href='#([^']*)'>([^<]*)</a>", html)
    assert len(links) == 5
    assert links[0] == ("step-1-57", "step 57")
    for target, _ in links:
        assert html.count(f"<section id='{target}'>") == 1
        assert path.read_text().count(f'id="{target}-timeline"') == 1
    assert "<h4>step 57: 4,423.0 us</h4>" in html
    assert "on caller: 3,000 us more" in html
    assert "<h4>typical step " in html


def test_a_page_of_a_thousand_layers_is_bounded(tmp_path: Path) -> None:
    layers = [f"layer {i}" for i in range(1000)]
    ops = [("dense_forward", "forward"), ("weight_gradient", "backward"), ("update", "update")]
    kinds = [Operation(op, layer, phase, "float32") for op, phase in ops for layer in layers]
    rows = [
        (at := (step * 3000 + i) * 1000, at + 900, 20_000, 900, step + 1, i + 1, 0, 0)
        for step in range(3)
        for i in range(3000)
    ]
    recording = replace(
        synthetic(threads=1),
        events=events_of(rows),
        operations=[OPERATIONS[0], *kinds],
        nanoseconds=9_000_000,
        steps=3,
        sources=[Source(), Source("trainer 1", "trainer", "-".join(["16"] * 1001), steps=3)],
    )
    write_report(recording, path := tmp_path / "a.html")
    html = own_html(path)
    assert "16-16-16-16-...-16-16-16 (1,000 layers)" in html
    unfolded = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    assert unfolded.count("<tr>") < 90
    assert "2,975 more" in unfolded
    assert "975 more" in unfolded
    assert html.count("<tr>") < 1000
    assert html.count("<details>") == 2
    # In sum the rows are everything.
    table = unfolded[unfolded.index("By layer") : unfolded.index("By phase")]
    times = [float(row.split("</td>")[2].split(">")[1]) for row in table.split("<tr>")[2:]]
    assert len(times) == 26
    assert sum(times) == pytest.approx(100, abs=0.2)
    heights = re.findall(r'class="plotly-graph-div" style="height:(\d+)px', path.read_text())
    assert sum(map(int, heights)) < 4000
    assert path.stat().st_size < 10_000_000


def test_a_page_of_many_events_is_small(tmp_path: Path) -> None:
    write_report(synthetic(threads=2, steps=5000), path := tmp_path / "a.html")
    assert path.stat().st_size < 7_000_000


def test_a_page_shows_names_and_memory_where_there_are_some(page: Path, tmp_path: Path) -> None:
    assert "By name" not in own_html(page)
    assert "<h2>Memory</h2>" not in own_html(page)
    memory = np.array([(i * SPAN, (100 + i) << 20, i << 20) for i in range(2000)])
    write_report(replace(ranged(synthetic()), memory=memory), path := tmp_path / "a.html")
    html = own_html(path)
    assert "<td>epoch</td><td class=number>1</td>" in html
    assert "<td>metric</td><td class=number>2</td>" in html
    assert "2,099 MiB in memory, gdcore&#x27;s own buffers 1,999.0 MiB" in html
    assert 'id="memory"' in path.read_text()


def test_a_page_fits_narrow_and_dark_screens(page: Path) -> None:
    text = page.read_text()
    assert "name='viewport' content='width=device-width, initial-scale=1'" in text
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@media (prefers-color-scheme: dark)" in style
    assert "color-scheme: light dark" in style
    assert text.count("<div class='wide'><table>") == text.count("<table>")
    for name in ("broad", "medium", "narrow"):
        assert f'id="roofline-{name}"' in text
        assert f"<div class='{name}'>" in text


def test_what_was_dropped_is_told(tmp_path: Path) -> None:
    recording = synthetic(threads=2)
    threads = [replace(each, dropped=21) for each in recording.threads]
    write_report(replace(recording, threads=threads), path := tmp_path / "a.html")
    assert "dropped <b>42</b>" in own_html(path)
    assert "42 events are gone" in own_html(path)


def test_a_page_of_nothing(tmp_path: Path) -> None:
    write_report(empty(), path := tmp_path / "a.html")
    assert own_html(path).count("Nothing was recorded.") >= 3


def test_a_real_run_gives_all_forms(
    trained: gd.profiling.Profile, trained_page: Path, tmp_path: Path
) -> None:
    trained.plot(tmp_path / "timeline.png")
    trained.plot(tmp_path / "steps.png", steps=(3, 4))
    trained.roofline(tmp_path / "roofline.png")
    for path in tmp_path.iterdir():
        assert picture(path).std() > 0.05, path
    text = trained_page.read_text()
    assert "worker 1" in text
    assert "dense_forward" in text


# ---- in a browser ----


def opened(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The document as Chromium has it after all scripts, and what its console got."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is on the path, so no page can be opened")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000",
        "--enable-logging=stderr", "--v=0", "--window-size=1400,2400",
        f"--user-data-dir={folder / 'browser'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    result = guarded_run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout, re.findall(r"CONSOLE[:(]\d+\)?\] (.*)", result.stderr)


@pytest.mark.parametrize("which", ["page", "trained_page"])
def test_a_browser_draws_every_thread(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    threads = ["caller", "worker 1", "worker 2"][: 3 if which == "page" else 2]
    document, console = opened(request.getfixturevalue(which), tmp_path)
    assert console == []
    begins = [document.index(f'id="{name}"') for name in ("timeline", "threads", "roofline-broad")]
    timeline, bars, roofline = (
        document[begin:end] for begin, end in pairwise([*begins, len(document)])
    )
    for part, names in ((timeline, ["steps", *threads]), (bars, threads)):
        ticks = re.findall(r'class="ytick"><text[^>]*>([^<]*)</text>', part)
        # Beside the threads there may be a chart with numbers at its side.
        assert [tick for tick in ticks if not re.fullmatch(r"[\d,.]+", tick)] == names
    layer = timeline[timeline.index('class="barlayer') :]
    # A bar is a path from its left edge down, right and up; each row has a height of its own.
    drawn = re.findall(r'class="point"><path d="M[-\d.]+,([\d.]+)V[\d.]+H[-\d.]+V', layer)
    counts = {top: drawn.count(top) for top in drawn}
    assert len(counts) == len(threads) + 1
    assert min(counts.values()) > (20 if which == "page" else 0)  # small steps may be one worker's
    assert len(re.findall(r'class="point"', roofline)) >= 5


def test_a_browser_tells_a_page_that_fails(page: Path, tmp_path: Path) -> None:
    wrong = '<script>missing()</script><img src="https://example.invalid/a.png"></body>'
    path = tmp_path / "wrong.html"
    path.write_text(page.read_text().replace("</body>", wrong))
    _, console = opened(path, tmp_path)
    assert any("missing is not defined" in line for line in console)
    assert any("example.invalid" in line for line in console)  # the page's own rule stopped it

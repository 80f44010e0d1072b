"""Pictures and the page of a profile: written, readable, and drawn by a browser."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import events_of
from support import guarded_run

import gdcore as gd
from gdcore.profiling import Machine, Operation, Recording, Thread
from gdcore.profiling.palette import COLOURS, family, ink, offsets
from gdcore.profiling.records import Source
from gdcore.profiling.report import write_report
from gdcore.profiling.roofline import Limits, labelled, notes, plot_roofline, points
from gdcore.profiling.timeline import last_window, plot_timeline

ODD = "<b>&amp; $x^$ \u00e9"  # a layer's name that is neither HTML nor mathematics
OPERATIONS = [
    Operation("", "", "", ""),
    Operation("caller", "", "caller", ""),
    Operation("gather", "", "data", "float32"),
    Operation("dense_forward", "0", "forward", "bfloat16"),
    Operation("dense_forward", ODD, "forward", "float32"),
    Operation("loss", "", "loss", "float32"),
    Operation("weight_gradient", ODD, "backward", "float32"),
    Operation("update", "0", "update", "float32"),
    Operation("wait", "", "wait", ""),
    Operation("sleep", "", "wait", ""),
    Operation("callback", "", "callback", ""),
    Operation("step", "", "step", ""),
]
LENGTHS = {2: 40, 3: 400, 4: 300, 8: 20, 5: 5, 6: 500, 7: 90, 9: 60, 10: 30, 11: 8}
SPAN = 1000 * sum(LENGTHS.values())  # nanoseconds of a step
MEMORY, MULTIPLY_ADDS = 2e10, 1e11


def synthetic(threads: int = 3, steps: int = 8, **changes: Any) -> Recording:
    """Steps of SPAN nanoseconds in which every thread does the same, from step 1 on."""
    rows = []
    for step in range(1, steps + 1):
        for thread in range(threads):
            at = (step - 1) * SPAN
            for kind, length in LENGTHS.items():
                work = 1000 * length if kind < 8 else 0
                flops, size = 20 * work * (kind > 2), work // 2
                waits_for = 4 if kind == 8 else 0
                end = at + 1000 * length
                rows.append((at, end, flops, size, step, kind, waits_for, thread))
                at = end
    events = events_of(rows)
    peaks = {f"float32 x{threads}": MULTIPLY_ADDS, f"memory x{threads}": MEMORY}
    peaks |= {key.replace(str(threads), "1"): value for key, value in peaks.items()}
    names = ["caller", *(f"worker {i}" for i in range(1, threads))]
    recording = Recording(
        events=events[np.argsort(events["begin"], kind="stable")],
        operations=OPERATIONS,
        threads=[Thread(name, i, 100 + i) for i, name in enumerate(names)],
        machine=Machine(cpus=2, quota=None, isa="avx2", precision={}, peaks=peaks),
        nanoseconds=max(steps, 1) * SPAN,
        steps=steps,
        sources=[Source(), Source("trainer 1", "trainer", steps=steps)],
    )
    return replace(recording, **changes)


def empty() -> Recording:
    return replace(synthetic(steps=0), threads=[])


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


def picture(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)[..., :3]


def has_colour(pixels: np.ndarray, colour: str) -> bool:
    wanted = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=2) < 0.01).sum()) > 20


Draw = Callable[[Recording, Path], None]


def timeline(recording: Recording, path: Path) -> None:
    plot_timeline(recording, path, None)


DRAWN = pytest.mark.parametrize("draw", [timeline, plot_roofline])


# ---- pictures ----


def test_a_timeline_shows_every_phase_in_its_colour(tmp_path: Path) -> None:
    plot_timeline(synthetic(), path := tmp_path / "a.png", (2, 3))
    pixels = picture(path)
    assert pixels.shape[1] == 1800
    assert 400 < pixels.shape[0] < 1200
    used = {family(OPERATIONS[kind]) for kind in LENGTHS} - {"wait", "loss"}  # hatched, thin
    assert [name for name in used if not has_colour(pixels, COLOURS[name])] == []


def test_a_roofline_has_points_and_lines(tmp_path: Path) -> None:
    plot_roofline(synthetic(), path := tmp_path / "a.png")
    pixels = picture(path)
    assert pixels.shape == (900, 1425, 3)
    assert has_colour(pixels, "#000000")
    assert len(np.unique((pixels * 255).astype(int).reshape(-1, 3), axis=0)) > 50


@DRAWN
@pytest.mark.parametrize(
    ("ending", "magic"), [("png", b"\x89PNG"), ("PNG", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_ending_is_the_format(draw: Draw, ending: str, magic: bytes, tmp_path: Path) -> None:
    draw(synthetic(), path := tmp_path / f"a.{ending}")
    assert path.read_bytes().startswith(magic)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@DRAWN
@pytest.mark.parametrize("name", ["a.gdp", "a", "a.png.txt"])
def test_an_unknown_ending_lists_the_known(draw: Draw, name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("path must end in one of .pdf, .png, .svg")):
        draw(synthetic(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_svg_has_the_names_as_text(tmp_path: Path) -> None:
    plot_timeline(synthetic(threads=5), path := tmp_path / "a.svg", None)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())
    assert {"caller", *(f"worker {i}" for i in range(1, 5))} <= set(texts)
    assert {"forward 0", "step 8"} <= set(texts)
    plot_timeline(synthetic(), path, (2, 2))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())
    assert any("$x^$" in text for text in texts)


@DRAWN
def test_nothing_recorded_is_said(draw: Draw, tmp_path: Path) -> None:
    draw(empty(), path := tmp_path / "a.svg")
    assert "Nothing was recorded." in path.read_text()


def test_work_outside_of_steps_is_drawn(tmp_path: Path) -> None:
    recording = synthetic(steps=3)
    recording.events["step"] = 0
    plot_timeline(recording, path := tmp_path / "a.svg", None)
    assert "no training steps" in path.read_text()


def test_very_many_events_are_drawn_by_columns(tmp_path: Path) -> None:
    recording = synthetic(threads=2, steps=1100)
    assert len(recording.events) > 20_000
    plot_timeline(recording, path := tmp_path / "a.png", (1, 1100))
    pixels = picture(path)
    assert has_colour(pixels, COLOURS["forward"])
    assert has_colour(pixels, COLOURS["backward"])


@pytest.mark.parametrize("threads", [1, 40])
def test_few_and_many_threads_fit(threads: int, tmp_path: Path) -> None:
    plot_timeline(synthetic(threads, 3), path := tmp_path / "a.png", None)
    assert 200 < picture(path).shape[0] < 3000


# ---- which steps ----


def test_steps_choose_the_window(tmp_path: Path) -> None:
    plot_timeline(synthetic(), path := tmp_path / "a.svg", (2, 4))
    text = path.read_text()
    assert "steps 2 to 4 of 8" in text
    assert [f"step {i}<" in text for i in range(1, 6)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((9, 12), r"steps must be of those recorded, 1 to 8, got \(9, 12\)"),
        ((4, 2), r"steps must be in order \(first, last\), got \(4, 2\)"),
        ((0, 2), "steps must be at least 1, got 0"),
        ((1, 2, 3), r"steps must be two numbers \(first, last\), got \(1, 2, 3\)"),
    ],
)
def test_steps_that_are_not_there(steps: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        plot_timeline(synthetic(), tmp_path / "a.png", steps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [3, "12", {1, 2}, (1, 2.0), (True, 2), (None, 2)])
def test_steps_of_a_wrong_type(steps: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"steps must be .* got"):
        plot_timeline(synthetic(), tmp_path / "a.png", steps)


def test_steps_of_a_recording_without_any(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"steps must be .* there are none, got \(1, 2\)"):
        plot_timeline(empty(), tmp_path / "a.png", (1, 2))


def test_the_last_steps_that_fit_are_chosen() -> None:
    a_step = 3 * len(LENGTHS)
    found = last_window(synthetic(), 2 * a_step)
    assert found is not None
    assert list(found.steps) == [7, 8]
    assert (found.begin, found.end) == (6 * SPAN, 8 * SPAN - 1000 * sum((60, 30, 8)))
    assert last_window(empty(), 100) is None


def test_a_last_step_cut_short_and_a_first_one_that_was_lost_are_not_shown() -> None:
    recording = synthetic()
    recording = replace(recording, events=recording.events[recording.events["end"] < 7.5 * SPAN])
    found = last_window(recording, 10_000)
    assert found is not None
    assert list(found.steps) == [1, 2, 3, 4, 5, 6, 7]
    lossy = replace(recording, threads=[replace(each, dropped=1) for each in recording.threads])
    found = last_window(lossy, 10_000)
    assert found is not None
    assert list(found.steps) == [2, 3, 4, 5, 6, 7]


def test_steps_with_gaps_between_them_are_shown_one_at_a_time(tmp_path: Path) -> None:
    recording = synthetic()
    kept = recording.events[recording.events["step"] % 3 == 1]
    found = last_window(gaps := replace(recording, events=kept, every=3), 10_000)
    assert found is not None
    assert list(found.steps) == [7]
    plot_timeline(gaps, path := tmp_path / "a.svg", (1, 4))
    assert "nothing recorded between them" in path.read_text()


def test_a_step_with_far_too_many_events_is_shown_from_its_end() -> None:
    found = last_window(recording := synthetic(), 3)
    assert found is not None
    assert found.end == recording.window[1]
    assert len(found.events(recording)) <= 3 + 2 * len(recording.threads)


# ---- the roofline's numbers ----


def test_points_are_of_all_workers_that_did_some() -> None:
    recording = synthetic(threads=3, steps=2)
    found = {point.label: point for point in points(recording)}
    assert set(found) == {
        "dense_forward 0", f"dense_forward {ODD}", "loss", f"weight_gradient {ODD}", "update 0"
    }  # fmt: skip
    point = found["dense_forward 0"]
    assert (point.phase, point.arithmetic) == ("forward", "bfloat16")
    assert point.flops_per_byte == pytest.approx(40)
    assert point.flops_per_second == pytest.approx(3 * 20e9)
    assert point.share == pytest.approx(400 / sum(LENGTHS.values()))
    shares = [each.share for each in points(recording)]
    assert all(a >= b for a, b in pairwise(shares))
    assert points(empty()) == []


def test_one_that_did_nothing_is_no_worker() -> None:
    recording = synthetic(threads=2)
    idle = recording.events["thread"] == 1
    recording.events["flops"][idle] = recording.events["bytes"][idle] = 0
    recording.events["end"][idle] = recording.events["begin"][idle]
    assert points(recording)[0].flops_per_second == pytest.approx(20e9)


def test_another_arithmetic_than_the_ceilings_is_told(tmp_path: Path) -> None:
    found = points(synthetic())
    most = Limits(MULTIPLY_ADDS, MEMORY, "float32", 3)
    texts = [text for _, text in labelled(found, most)]
    assert "dense_forward 0 (bfloat16)" in texts
    assert f"dense_forward {ODD}" in texts
    assert "loss" not in texts  # below one percent
    assert any(each.startswith("bfloat16: can be above") for each in notes(found, most))
    plot_roofline(synthetic(), path := tmp_path / "a.svg")
    drawn = path.read_text()
    for text in ("(bfloat16)", "memory: 20 GB/s on 3 threads", "100 GFLOP/s on 3 threads"):
        assert text in drawn


def test_labels_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(1)
    places = [(float(x), float(y)) for x, y in rng.uniform(0, 60, (14, 2))]
    widths = rng.uniform(20, 60, 14).tolist()
    moved = offsets(places, widths, 11.0)
    at = [(x + right, y + up) for (x, y), (right, up) in zip(places, moved)]
    for i in range(14):
        for j in range(i):
            apart = abs(at[i][1] - at[j][1]) >= 11.0 - 1e-9
            beside = at[i][0] > at[j][0] + widths[j] or at[j][0] > at[i][0] + widths[i]
            assert apart or beside
    assert offsets([(0.0, 0.0), (100.0, 0.0)], [50.0, 50.0], 11.0) == [(0.0, 0.0)] * 2
    assert offsets([], [], 11.0) == []


def test_labels_can_be_read_on_every_colour() -> None:
    def light(colour: str) -> float:
        """Source: W3C, "Web Content Accessibility Guidelines 2.1", relative luminance."""
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear)) + 0.05

    for colour in COLOURS.values():
        pair = sorted((light(colour), light(ink(colour))))
        assert pair[1] / pair[0] > 3.0, colour


# ---- missing packages ----


@pytest.mark.parametrize(
    ("module", "draw"),
    [
        ("matplotlib.figure", timeline),
        ("matplotlib.figure", plot_roofline),
        ("plotly.graph_objects", write_report),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{module}.*"gdcore\[profile\]"'):
        draw(synthetic(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


# ---- the page ----


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "synthetic.html"
    recording = replace(synthetic(steps=300), counters_error="the kernel says <no> & that is it")
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
    assert html.count("<table>") == 4
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
    begins = [document.index(f'id="{name}"') for name in ("timeline", "threads", "roofline")]
    timeline, bars, roofline = (
        document[begin:end] for begin, end in pairwise([*begins, len(document)])
    )
    for part in (timeline, bars):
        ticks = re.findall(r'class="ytick"><text[^>]*>([^<]*)</text>', part)
        assert ticks == threads
    layer = timeline[timeline.index('class="barlayer') :]
    # A bar is a path from its left edge down, right and up; each row has a height of its own.
    drawn = re.findall(r'class="point"><path d="M[-\d.]+,([\d.]+)V[\d.]+H[-\d.]+V', layer)
    counts = {top: drawn.count(top) for top in drawn}
    assert len(counts) == len(threads)
    assert min(counts.values()) > 20
    assert len(re.findall(r'class="point"', roofline)) >= 5


def test_a_browser_tells_a_page_that_fails(page: Path, tmp_path: Path) -> None:
    wrong = '<script>missing()</script><img src="https://example.invalid/a.png"></body>'
    path = tmp_path / "wrong.html"
    path.write_text(page.read_text().replace("</body>", wrong))
    _, console = opened(path, tmp_path)
    assert any("missing is not defined" in line for line in console)
    assert any("example.invalid" in line for line in console)  # the page's own rule stopped it

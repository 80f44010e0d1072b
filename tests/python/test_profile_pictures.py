"""Pictures of a profile: written, and readable."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictured import (
    LENGTHS,
    MEMORY,
    MULTIPLY_ADDS,
    ODD,
    OPERATIONS,
    SPAN,
    empty,
    picture,
    ranged,
    synthetic,
)

from gdcore.profiling import Recording, Thread
from gdcore.profiling.limits import Limits
from gdcore.profiling.overview import overviews
from gdcore.profiling.palette import COLOURS, family, ink
from gdcore.profiling.placing import Label, placed
from gdcore.profiling.records import Source
from gdcore.profiling.report import write_report
from gdcore.profiling.roofline import (
    arranged,
    grouped,
    labelled,
    lines,
    notes,
    plot_roofline,
    points,
    spans,
    told,
)
from gdcore.profiling.rows import Rows
from gdcore.profiling.timeline import plot_timeline
from gdcore.profiling.windows import columns, last_window


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


def test_rows_are_in_order_and_steps_and_ranges_are_above_their_caller(tmp_path: Path) -> None:
    recording = synthetic(threads=8)
    window = last_window(recording, 10_000)
    assert window is not None
    rows = Rows.of(recording, window)
    assert [row.name for row in rows.rows] == [
        "steps",
        "caller",
        *(f"worker {i}" for i in range(1, 8)),
    ]
    tops = [row.top for row in rows.rows]
    assert tops == sorted(tops)
    assert [each.text for each in rows.stretches] == [f"step {i}" for i in range(1, 9)]
    recording = ranged(recording)
    rows = Rows.of(recording, window)
    assert [(row.name, row.depth) for row in rows.rows[:4]] == [
        ("steps", -1), ("ranges", 0), ("", 1), ("caller", None)
    ]  # fmt: skip
    assert [each.text for each in rows.stretches[8:]] == ["epoch", "metric", "metric"]
    plot_timeline(recording, path := tmp_path / "a.svg", (1, 8))
    text = path.read_text()
    for name in ("ranges", "epoch", "metric", "steps"):
        assert f">{name}</text>" in text


def test_teams_of_several_callers_are_apart() -> None:
    recording = synthetic(threads=4)
    names = ["caller (1)", "worker 1 (1)", "caller (2)", "worker 1 (2)"]
    threads = [Thread(name, i % 2, i, team=i // 2 * 2) for i, name in enumerate(names)]
    recording.events["team"] = recording.events["thread"] // 2 * 2
    recording.events["source"] = 1 + recording.events["thread"] // 2
    recording = replace(
        recording,
        threads=threads,
        sources=[Source(), *(Source(f"trainer {i}", "trainer", steps=8) for i in (1, 2))],
    )
    window = last_window(recording, 10_000)
    assert window is not None
    assert window.told() == "steps 1 to 8 of 8 of trainer 1"
    rows = Rows.of(recording, window)
    assert [row.name for row in rows.rows] == ["steps", *names[:2], "steps", *names[2:]]
    assert len(rows.borders) == 1
    assert rows.rows[2].top < rows.borders[0] < rows.rows[3].top
    assert [each.name for each in overviews(recording)] == ["trainer 1", "trainer 2"]


def test_columns_have_the_colour_of_most_of_their_time() -> None:
    recording = synthetic(threads=1, steps=1)
    window = last_window(recording, 10_000)
    assert window is not None
    own = window.events(recording)
    found = columns(recording, window, own, 5)
    lengths = {name: float(widths.sum()) for name, _, widths in found}
    assert sum(lengths.values()) == pytest.approx(window.end - window.begin)
    fine = columns(recording, window, own, 13550)
    lengths = {name: float(widths.sum()) for name, _, widths in fine}
    for name, kinds in {"forward": (3, 4), "loss": (5,), "backward": (6,), "update": (7,)}.items():
        wanted = 1000 * sum(LENGTHS[kind] for kind in kinds)
        assert lengths[name] == pytest.approx(wanted, abs=400), name


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
    # Two at once: the machine has two CPUs for the three.
    assert point.flops_per_second == pytest.approx(2 * 20e9)
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
    most = Limits(3, {"float32": MULTIPLY_ADDS}, {"memory": MEMORY})
    texts = [text for _, text in labelled(found, most)]
    assert "dense_forward 0 (bfloat16)" in texts
    assert f"dense_forward {ODD}" in texts
    assert "loss" not in texts  # below one percent
    assert any(each.startswith("bfloat16: can be above") for each in notes(found, most))
    plot_roofline(synthetic(), path := tmp_path / "a.svg")
    drawn = path.read_text()
    for text in ("(bfloat16)", "memory: 20 GB/s on 3 threads", "100 GFLOP/s on 3 threads"):
        assert text in drawn


def apart(boxes: list[tuple[float, float, float, float]]) -> bool:
    """Whether no two boxes (left, bottom, right, top) have a common area."""
    return not any(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


def crosses(box: tuple[float, float, float, float], segment: tuple[float, ...]) -> bool:
    """Whether one of many places of a segment is in a box."""
    x, y = (np.linspace(segment[k], segment[k + 2], 5001) for k in (0, 1))
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    return bool(inside.any())


def test_labels_stay_within_and_cover_neither_lines_nor_each_other() -> None:
    rng = np.random.default_rng(1)
    labels = [
        Label([(float(x), float(y))], 4.0, float(width), 11.0)
        for (x, y), width in zip(rng.uniform(0, 400, (14, 2)), rng.uniform(20, 90, 14), strict=True)
    ]
    segments = [(0.0, 40.0, 300.0, 300.0), (300.0, 300.0, 400.0, 300.0), (0.0, 90.0, 240.0, 300.0)]
    corners = placed(labels, (400.0, 400.0), segments)
    boxes = [
        (*corner, corner[0] + label.width, corner[1] + label.height)
        for label, corner in zip(labels, corners, strict=True)
        if corner is not None
    ]
    assert len(boxes) == 14
    assert apart(boxes)
    assert all(min(box) >= 0 and max(box) <= 400 for box in boxes)
    assert not any(crosses(box, segment) for box in boxes for segment in segments)
    beside = placed([Label([(50.0, 50.0)], 4.0, 20.0, 10.0)], (400.0, 400.0))
    assert beside == [(54.0, 45.0)]
    assert placed([Label([(5.0, 5.0)], 4.0, 500.0, 10.0)], (400.0, 400.0)) == [None]
    assert placed([], (400.0, 400.0)) == []


def test_a_roofline_has_slopes_of_caches_and_ceilings_of_other_dtypes() -> None:
    most = Limits(
        2,
        {"float32": 1e11, "bfloat16": 8e11},
        {"L1": 4e11, "L2": 1e11, "memory": 2e10},
        frozenset({"L2"}),
    )
    found = {line.name: line for line in lines(most, (0.01, 1000.0))}
    assert set(found) == {"L1", "L2", "memory", "float32", "bfloat16"}
    assert {name for name, line in found.items() if line.main} == {"memory", "float32"}
    assert found["memory"].begin == pytest.approx((0.01, 2e8))
    assert found["memory"].end == pytest.approx((5.0, 1e11))
    assert found["L1"].end == pytest.approx((2.0, 8e11))
    assert found["float32"].begin == pytest.approx((5.0, 1e11))
    assert found["bfloat16"].end == pytest.approx((1000.0, 8e11))
    assert told(most, "L2") == "L2: 100 GB/s on 2 threads (disturbed)"
    assert told(most, "bfloat16") == "bfloat16 multiply-adds: 800 GFLOP/s on 2 threads"
    assert any(each.startswith("Disturbed:") for each in notes([], most))


@pytest.mark.parametrize("size", [(1110.0, 525.0), (258.0, 325.0)])
def test_labels_of_a_roofline_are_in_the_picture_and_on_no_line(size: tuple[float, float]) -> None:
    found = points(synthetic())
    caches = {"L1": 16 * MEMORY, "L2": 6 * MEMORY, "L3": 2.5 * MEMORY, "memory": MEMORY}
    most = Limits(3, {"float32": MULTIPLY_ADDS, "bfloat16": 4 * MULTIPLY_ADDS}, caches)
    spread = spans(found, most)
    drawn = lines(most, spread[0])
    texts = [(point, str(i)) for i, (point, _) in enumerate(labelled(found, most))]
    labels = arranged(
        found,
        texts,
        [(line, line.name) for line in drawn],
        spread,
        size,
        lambda _: 8.0,
        (7.0, 15.0),
    )
    assert len(labels) == len(texts) + len(drawn)
    boxes = [
        (*each.corner, each.corner[0] + each.width, each.corner[1] + each.height) for each in labels
    ]
    assert apart(boxes)
    assert all(
        box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1] for box in boxes
    )
    (left, right), (low, high) = spread
    for line in drawn:
        ends = [
            (
                np.log(x / left) / np.log(right / left) * size[0],
                np.log(y / low) / np.log(high / low) * size[1],
            )
            for x, y in (line.begin, line.end)
        ]
        assert not any(crosses(box, (*ends[0], *ends[1])) for box in boxes)


def test_points_of_equal_shapes_are_one_where_there_are_many() -> None:
    found = points(synthetic())
    assert grouped(found) == (found, [])
    many = [replace(found[0], label=f"dense_forward {i}", share=0.001) for i in range(900)]
    drawn, left_out = grouped([*many, *found[1:]])
    assert left_out == []
    one = next(point for point in drawn if point.label.endswith(" of 900 layers"))
    assert one.share == pytest.approx(0.9)
    assert one.flops_per_second == pytest.approx(found[0].flops_per_second)
    assert one.flops_per_byte == pytest.approx(found[0].flops_per_byte)
    assert len(drawn) == len(found)
    different = [replace(found[0], flops_per_byte=1.2**i) for i in range(1, 1001)]
    drawn, left_out = grouped(different)
    assert len(drawn) + len(left_out) == 1000
    assert len(drawn) == 400


def test_colours_are_far_from_each_other() -> None:
    """Source: CIE 15:2004, "Colorimetry", CIELAB under D65."""

    def lab(colour: str) -> np.ndarray:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        x, y, z = np.cbrt(np.maximum(matrix @ linear / [0.9505, 1.0, 1.089], 0.009))
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    places = {name: lab(colour) for name, colour in COLOURS.items()}
    near = [
        (a, b)
        for i, a in enumerate(places)
        for b in list(places)[:i]
        if np.linalg.norm(places[a] - places[b]) < 18
    ]
    assert near == []


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
        ("plotly.io", write_report),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{module}.*"gdcore\[profile\]"'):
        draw(synthetic(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []

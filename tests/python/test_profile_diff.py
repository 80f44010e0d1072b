"""Two profiles side by side: planted differences are found, and noise is not called one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdcore as gd
from gdcore.profiling.diff import Difference, _student, diff
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import EVENT, Machine, Operation, Source, Thread

OPERATIONS = [
    Operation("", "", "", ""),
    Operation("dense_forward", "0", "forward", "float32"),
    Operation("dense_forward", "1", "forward", "float32"),
    Operation("weight_gradient", "0", "backward", "float32"),
    Operation("update", "0", "update", "float32"),
    Operation("step", "", "step", ""),
]
LEVELS = {1: 100.0, 2: 40.0, 3: 150.0, 4: 20.0, 5: 6.0}  # us
STEP_US = sum(LEVELS.values())
US = 1000


def recording(times: dict[int, np.ndarray], source: int = 1, **changes: Any) -> Recording:
    """One thread that does each operation once a step, in so many microseconds."""
    operations = list(times)
    steps = len(times[operations[0]])
    durations = np.stack([np.rint(times[each] * US).astype(np.int64) for each in operations], 1)
    ends = durations.ravel().cumsum()
    events = np.zeros(durations.size, EVENT)
    events["begin"], events["end"] = ends - durations.ravel(), ends
    events["step"] = np.repeat(np.arange(1, steps + 1), len(operations))
    events["operation"] = np.tile(operations, steps)
    events["source"] = source
    sources = [Source()]
    sources += [
        Source(f"trainer {i}", "trainer", "8-4-2", "adam", "mse", "float32", steps, 32)
        for i in range(1, source + 1)
    ]
    made = Recording(
        events,
        OPERATIONS,
        [Thread("caller", 0, 1)],
        Machine(2, None, "avx2", {}, host="here"),
        int(ends[-1]),
        steps,
        sources=sources,
    )
    return replace(made, **changes)


def level(steps: int, **factors: float) -> dict[int, np.ndarray]:
    """Every step alike; `_3=1.05` makes the third operation longer."""
    return {op: np.full(steps, us * factors.get(f"_{op}", 1.0)) for op, us in LEVELS.items()}


def drawn(random: np.random.Generator, steps: int, **factors: float) -> dict[int, np.ndarray]:
    """With noise, drift that all operations share, and now and then a step of many times that."""
    shared = 1 + random.normal(0, 0.01) * np.arange(steps) / steps
    shared *= 1 + np.cumsum(random.normal(0, 0.005 / np.sqrt(steps), steps))
    found = {}
    for op, us in level(steps, **factors).items():
        rare = (random.random(steps) < 0.05) * random.pareto(1.2, steps)
        found[op] = us * shared * (1 + random.normal(0, 0.02, steps)) * (1 + rare)
    return found


def of(found: Difference, op: str, layer: str = "", by: str = "op") -> dict[str, Any]:
    (row,) = [
        row for row in found.table(by) if row[by] == op and (by != "op" or row["layer"] == layer)
    ]
    return row


# ---- by hand ----


def test_times_counted_by_hand() -> None:
    found = diff(recording(level(40)), recording(level(40, _3=1.5, _2=0.5)))
    row = of(found, "weight_gradient", "0")
    assert row["a, us/step"] == pytest.approx(150)
    assert row["b, us/step"] == pytest.approx(225)
    assert row["difference"] == pytest.approx(75)
    assert row["ratio"] == pytest.approx(1.5)
    # Steps that are all alike: two percent of the longer and 0.2 us.
    assert row["noise"] == pytest.approx(0.02 * 225 + 0.2)
    assert row["beyond noise"] == "longer"
    assert of(found, "dense_forward", "1")["beyond noise"] == "shorter"
    assert of(found, "dense_forward", "0")["beyond noise"] == "no"
    step = found.table()[0]
    assert step["op"] == "(step)"
    assert step["a, us/step"] == pytest.approx(STEP_US)
    assert step["difference"] == pytest.approx(75 - 20)
    assert of(found, "forward", by="phase")["b, us/step"] == pytest.approx(120)
    assert of(found, "0", by="layer")["a, us/step"] == pytest.approx(270)
    assert of(found, "(none)", by="layer")["a, us/step"] == pytest.approx(6)


def test_sentences_tell_the_step_first() -> None:
    found = diff(recording(level(40)), recording(level(40, _3=1.5, _2=0.5)))
    assert found.sentences == [
        "A step takes more time: 316.0 us in a, 371.0 us in b, +17.4 % (noise 2.4 %).",
        "weight_gradient 0 (backward) takes more time: 150.0 us in a, 225.0 us in b, +50.0 % "
        "(noise 3.1 %).",
        "dense_forward 1 (forward) takes less time: 40 us in a, 20 us in b, -50.0 % (noise 2.5 %).",
    ]
    assert str(found).startswith(found.sentences[0])
    assert repr(found) == str(found)
    assert str(found.table()) in str(found)


def test_a_profile_does_not_differ_from_itself() -> None:
    made = recording(drawn(np.random.default_rng(0), 50))
    found = diff(made, made)
    assert found.sentences == [
        found.sentences[0],
        "No operation differs by more than the noise.",
    ]
    assert "as long in both, within the noise" in found.sentences[0]
    assert all(row["difference"] == 0 for row in found.table())


def test_what_only_one_has() -> None:
    without = level(20)
    del without[4]
    found = diff(recording(level(20)), recording(without))
    assert found.sentences[-1] == "In a only: update 0 (20 us/step)."
    row = of(found, "update", "0")
    assert (row["b, us/step"], row["difference"], row["beyond noise"]) == (None, None, None)
    assert diff(recording(without), recording(level(20))).sentences[-1] == (
        "In b only: update 0 (20 us/step)."
    )


def test_too_few_steps_tell_no_noise() -> None:
    found = diff(recording(level(7)), recording(level(40, _3=3.0)))
    assert all(row["noise"] is None and row["beyond noise"] is None for row in found.table())
    assert "whether that is noise cannot be told" in found.sentences[0]
    assert found.sentences[1] == (
        "The noise is told from 8 whole steps on; there are 7 in a and 40 in b."
    )


def test_batches_are_compared_by_sample() -> None:
    a = recording(level(20))
    b = recording({op: 2 * times for op, times in level(20).items()})
    b = replace(b, sources=[Source(), replace(b.sources[1], batch=64)])
    found = diff(a, b)
    assert found.unit == "us/sample"
    assert found.sentences[0] == (
        "The batch size differs: 32 in a, 64 in b; times are those of a sample."
    )
    assert found.sentences[1].startswith("A sample takes as long in both")
    assert of(found, "weight_gradient", "0")["a, us/sample"] == pytest.approx(150 / 32)
    assert all(row["beyond noise"] == "no" for row in found.table())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"machine": Machine(2, None, "avx2", {}, host="there")},
            "The machine differs: here in a, there in b.",
        ),
        (
            {"machine": Machine(2, None, "avx512", {}, host="here")},
            "The instruction set differs: avx2 in a, avx512 in b.",
        ),
        (
            {
                "sources": [
                    Source(),
                    Source("trainer 1", "trainer", "8-9-2", "adam", "mse", "float32", 20, 32),
                ]
            },
            "The network differs: 8-4-2 in a, 8-9-2 in b; layers are matched by their names.",
        ),
        (
            {"threads": [Thread("caller", 0, 1, cpu_seconds=3.0, ready_seconds=1.0)]},
            "While b was recorded, its threads could have run and had no CPU for 25 % of the time: "
            "that counts as noise.",
        ),
    ],
)
def test_circumstances_are_told_first(changes: dict[str, Any], sentence: str) -> None:
    found = diff(recording(level(20)), recording(level(20), **changes))
    assert found.sentences[0] == sentence


def test_threads_that_wanted_a_cpu_make_noise() -> None:
    held = [Thread("caller", 0, 1, cpu_seconds=3.0, ready_seconds=1.0)]
    found = diff(recording(level(20)), recording(level(20, _3=1.2), threads=held))
    assert of(found, "weight_gradient", "0")["beyond noise"] == "no"
    assert of(found, "weight_gradient", "0")["noise"] == pytest.approx((0.02 + 0.25) * 180 + 0.2)


def test_quotas_and_virtual_machines_make_noise() -> None:
    machine = Machine(2, None, "avx2", {}, host="here", online=4)
    whole = recording(level(20))
    seconds = whole.nanoseconds / 1e9
    taken = replace(
        whole, machine=machine, throttled_seconds=0.1 * seconds, stolen_seconds=0.2 * seconds
    )
    row = of(diff(whole, taken), "weight_gradient", "0")
    assert row["noise"] == pytest.approx((0.02 + 0.1 + 0.2 / 4) * 150 + 0.2)


def test_trainers_are_matched_by_name() -> None:
    def two(**factors: float) -> Recording:
        first, second = recording(level(20)), recording(level(20, **factors), source=2)
        return replace(second, events=np.concatenate((first.events, second.events)))

    found = diff(two(), two(_3=2.0))
    steps = [row for row in found.table() if row["op"] == "(step)"]
    assert [(row["trainer"], row["beyond noise"]) for row in steps] == [
        ("trainer 1", "no"),
        ("trainer 2", "longer"),
    ]
    assert found.sentences[0].startswith("A step of trainer 1 takes as long in both")
    assert found.sentences[2].startswith("weight_gradient 0 (backward, trainer 2) takes more time")


def test_bad_arguments() -> None:
    made = recording(level(20))
    with pytest.raises(TypeError, match=r"b must be a Profile or a Recording, got 'x' \(str\)"):
        diff(made, "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a must have at least one whole training step"):
        diff(replace(made, events=made.events[:0]), made)
    with pytest.raises(RuntimeError, match="has recorded nothing"):
        diff(made, gd.profile())
    with pytest.raises(ValueError, match="by must be one of"):
        diff(made, made).table("thread")


def test_the_page_holds_all_of_it_and_loads_nothing(tmp_path: Path) -> None:
    found = diff(recording(level(40)), recording(level(40, _3=1.5)))
    found.to_html(tmp_path / "diff.html")
    text = (tmp_path / "diff.html").read_text()
    assert found.sentences[0] in text
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert not re.findall(r"https?:|src=|<script", text.replace("default-src", ""))
    assert text.count("<table") == text.count("</table>") == 3
    assert "class='number longer'>1.5<" in text
    with pytest.raises(TypeError):
        found.to_html(3)  # type: ignore[arg-type]


# ---- noise ----


def test_noise_is_seldom_called_a_difference() -> None:
    random = np.random.default_rng(1)
    alarms = rows = 0
    for _ in range(120):
        steps = int(random.integers(8, 300))
        table = diff(recording(drawn(random, steps)), recording(drawn(random, steps))).table()
        alarms += sum(row["beyond noise"] != "no" for row in table)
        rows += len(table)
    assert alarms / rows < 0.002


@pytest.mark.parametrize("factor", [1.05, 0.95])
def test_a_planted_change_of_five_percent_is_found(factor: float) -> None:
    random = np.random.default_rng(2)
    found = others = 0
    for _ in range(40):
        table = diff(recording(drawn(random, 300)), recording(drawn(random, 300, _3=factor)))
        row = of(table, "weight_gradient", "0")
        found += row["beyond noise"] == ("longer" if factor > 1 else "shorter")
        others += of(table, "dense_forward", "0")["beyond noise"] != "no"
    assert found >= 36
    assert others <= 1


@pytest.mark.parametrize(
    ("chance", "degrees", "table"),  # Abramowitz and Stegun, table 26.10
    [(0.05, 4, 2.776), (0.01, 14, 2.977), (0.001, 30, 3.646), (0.001, 10, 4.587)],
)
def test_quantiles_are_those_of_tables(chance: float, degrees: float, table: float) -> None:
    assert _student(chance, degrees) == pytest.approx(table, rel=0.01)


def test_the_answer_is_the_same_each_time() -> None:
    a, b = (recording(drawn(np.random.default_rng(seed), 60)) for seed in (1, 2))
    assert str(diff(a, b)) == str(diff(a, b))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 10_000), min_size=8, max_size=60),
    st.lists(st.integers(1, 10_000), min_size=8, max_size=60),
)
def test_any_two_are_the_same_backwards(first: list[int], second: list[int]) -> None:
    a, b = (recording({1: np.array(times, float)}) for times in (first, second))
    there, back = diff(a, b), diff(b, a)
    opposite = {"longer": "shorter", "shorter": "longer", "no": "no"}
    for one, other in zip(there.table(), back.table(), strict=True):
        assert one["difference"] == -other["difference"]
        assert one["noise"] == pytest.approx(other["noise"])
        assert opposite[one["beyond noise"]] == other["beyond noise"]
        assert min(first) <= one["a, us/step"] <= max(first)
    assert diff(a, a).table()[0]["beyond noise"] == "no"


# ---- recorded ----


def test_live_recordings(tmp_path: Path) -> None:
    network = gd.Network([gd.Dense(64, "relu"), gd.Dense(4)], input_size=32, seed=0)
    trainer = gd.Trainer(network, "mse", gd.SGD(), num_threads=2)
    random = np.random.default_rng(0)
    x = random.standard_normal((32 * 40, 32), dtype=np.float32)
    y = random.standard_normal((32 * 40, 4), dtype=np.float32)

    def recorded(batch: int) -> gd.profiling.Profile:
        with gd.profile() as prof:
            trainer.fit(x, y, batch_size=batch, progress=False)
        return prof

    a, b = recorded(32), recorded(32)
    a.save(tmp_path / "a.npz")
    found = diff(gd.profiling.load(tmp_path / "a.npz"), b)
    assert found.unit == "us/step"
    assert {row["op"] for row in found.table()} >= {"(step)", "dense_forward", "weight_gradient"}
    assert diff(a, recorded(64)).unit == "us/sample"
    found.to_html(tmp_path / "diff.html")

"""The numbers of a whole run: step times, the slowest steps, drift, named ranges."""

from __future__ import annotations

import pytest
from pictured import (
    IN_A_STEP,
    ODD,
    SPAN,
    empty,
    ranged,
    stretched,
    synthetic,
)

from gdcore.profiling.overview import Steps, most_longer, named, overview, overviews


def test_an_overview_tells_percentiles_the_slowest_and_drift() -> None:
    recording = synthetic(threads=2, steps=100)
    found = overview(recording, 1)
    assert found is not None
    assert set(found.times) == {IN_A_STEP}
    assert (found.p50, found.p99, found.slowest, found.drift) == (IN_A_STEP,) * 3 + (0.0,)
    slow = stretched(recording, 57, 6, 3_000_000)
    for step in range(91, 101):
        slow = stretched(slow, step, 4, IN_A_STEP // 4)
    found = overview(slow, 1)
    assert found is not None
    assert found.p50 == IN_A_STEP
    assert found.slowest == IN_A_STEP + 3_000_000
    # Of 100 steps, 99 % are at place 98.01 of 0 to 99.
    assert found.p99 == pytest.approx(1.25 * IN_A_STEP + 0.01 * (3_000_000 - IN_A_STEP / 4))
    assert found.drift == pytest.approx(0.25)
    assert found.steps.numbers[found.worst].tolist() == [57, 91, 92, 93, 94]
    assert (
        most_longer(slow, found, found.worst[0])
        == f"weight_gradient {ODD} on caller: 3,000 us more"
    )
    assert "dense_forward" in most_longer(slow, found, found.worst[1])
    assert found.times[found.typical] == IN_A_STEP
    begin, end = found.span(56)
    assert begin <= 56 * SPAN < end


def test_a_callback_within_a_step_does_not_count() -> None:
    found = overview(stretched(synthetic(threads=2, steps=50), 7, 10, 9_000_000), 1)
    assert found is not None
    assert found.slowest == IN_A_STEP


def test_an_overview_of_few_or_no_steps() -> None:
    assert overview(empty(), 1) is None
    assert overviews(empty()) == []
    found = overview(synthetic(steps=1), 1)
    assert found is not None
    assert (found.drift, found.worst) == (None, [])
    assert len(Steps.of(empty(), 1).numbers) == 0


def test_buckets_keep_the_longest_step() -> None:
    found = overview(stretched(synthetic(threads=1, steps=1000), 777, 4, 5_000_000), 1)
    assert found is not None
    buckets = found.buckets(10)
    assert buckets.first.tolist() == list(range(1, 1000, 100))
    assert buckets.last.tolist() == list(range(100, 1001, 100))
    assert buckets.median.tolist() == [IN_A_STEP] * 10
    assert buckets.p99.tolist() == [IN_A_STEP] * 10
    assert (buckets.longest > IN_A_STEP).tolist() == [i == 7 for i in range(10)]
    assert len(found.buckets(5000).median) == 1000


def test_named_ranges_are_summed_by_name() -> None:
    rows = named(ranged(synthetic()))
    assert [(row["name"], row["count"]) for row in rows] == [("epoch", 1), ("metric", 2)]
    assert rows[1]["ms"] == pytest.approx(3 * SPAN / 1e6)
    assert rows[1]["mean ms"] == pytest.approx(1.5 * SPAN / 1e6)
    assert rows[0]["% of the recording"] == pytest.approx(75.0)
    assert named(synthetic()) == []

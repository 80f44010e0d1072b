"""What a profile advises: problems that were planted, recorded once, and are found in the record.

tools/planted.py recorded the files, so that no test hangs on the speed of a machine. What
they cannot hold is made by hand.
"""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import events_of

import gdcore as gd
from gdcore.profiling.advice import Advice, advise
from gdcore.profiling.advice.cause import KINDS
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Machine, Operation, Source, Thread

PROFILES = Path(__file__).parent / "data" / "profiles"

PEAKS = {"float32 x1": 1e11, "memory x1": 5e10, "float32 x2": 2e11, "memory x2": 5e10}
OPERATIONS = [
    Operation("", "", "", ""),
    Operation("dense_forward", "0", "forward", "float32"),
    Operation("update", "0", "update", "float32"),
    Operation("wait", "", "wait", ""),
    Operation("caller", "", "caller", ""),
    Operation("data", "", "data", ""),
    Operation("gather", "", "data", ""),
    Operation("callback", "", "callback", ""),
    Operation("step", "", "step", ""),
]
NUMBER = {each.op: i for i, each in enumerate(OPERATIONS)}
US = 1000


def planted(name: str) -> gd.profiling.Profile:
    return gd.profiling.load(PROFILES / f"{name}.npz")


def kinds(advice: list[Advice]) -> list[str]:
    return [sentence.kind for sentence in advice]


def sentence(advice: list[Advice], kind: str) -> str:
    (found,) = [each for each in advice if each.kind == kind]
    return str(found)


# (op, microseconds, GFLOP/s, GB/s, waits for)
Lap = tuple[str, float, float, float, str]


def lap(op: str, us: float, gflops: float = 0, gbs: float = 0, waits_for: str = "") -> Lap:
    return op, us, gflops, gbs, waits_for


def recording(*threads: list[Lap], steps: int = 10, **changes: Any) -> Recording:
    """Each thread does its laps in every step."""
    rows = []
    for number, laps in enumerate(threads):
        at = 0
        for step in range(1, steps + 1):
            for op, us, gflops, gbs, waits_for in laps:
                time = round(us * US)
                work = round(gflops * time), round(gbs * time)
                cause = NUMBER[waits_for] if waits_for else 0
                rows.append((at, at + time, *work, step, NUMBER[op], cause, number))
                at += time
    events = events_of(rows)
    names = ["caller", *(f"worker {i}" for i in range(1, len(threads)))]
    made = Recording(
        events[np.argsort(events["begin"], kind="stable")],
        OPERATIONS,
        [Thread(name, i, 100 + i) for i, name in enumerate(names)],
        Machine(2, None, "avx2", {"medium": "float32"}, dict(PEAKS)),
        int(events["end"].max()),
        steps,
        sources=[Source(), Source("trainer 1", "trainer", steps=steps)],
    )
    return replace(made, **changes)


# ---- recorded ----


def test_a_slow_callback_is_named() -> None:
    advice = planted("callback").advice()
    assert "callback" in kinds(advice)
    assert "on_epoch_end" in sentence(advice, "callback")
    assert kinds(advice)[1] == "callback"
    assert "waiting" not in kinds(advice)  # which follows from that


def test_two_threads_on_a_small_step_are_named() -> None:
    advice = planted("small_step").advice()
    assert "num_threads=1" in sentence(advice, "small_step")
    assert "partition" not in kinds(advice)


def test_an_imbalanced_partition_is_named() -> None:
    advice = planted("partition").advice()
    told = [each for each in advice if each.kind == "partition"]
    assert any("dense_forward of layer 0" in each for each in told)
    assert all("60 %" in each and "50 % would be fair" in each for each in told)


def test_a_busy_neighbour_is_named() -> None:
    advice = planted("neighbour").advice()
    assert "num_threads=1" in sentence(advice, "neighbour")
    assert not {"small_step", "partition", "slow_worker"} & set(kinds(advice))


def test_a_run_without_problems_has_none() -> None:
    assert set(kinds(planted("none").advice())) <= {"summary", "memory", "precision"}


@pytest.mark.parametrize("name", ["callback", "small_step", "partition", "neighbour", "none"])
def test_every_sentence_has_a_number(name: str) -> None:
    for each in planted(name).advice():
        assert any(character.isdigit() for character in each)
        assert each.endswith(".")


# What was planted, and the kind of sentence that comes first; the files above are older ones.
FIRST = {
    "affinity": "affinity",
    "callback_every": "callback",
    "convert": "convert",
    "epoch_callback": "callback",
    "gil": "gil",
    "metric": "metric",
    "one_thread": "one_thread",
    "oversubscribed": "quota",
    "page_faults": "page_faults",
    "quota": "quota",
    "small_batch": "small_batch",
}
# What of the recording the sentence has to name.
NAMES = {
    "callback_every": "Slow.on_batch_end",
    "convert": "x: float64 (Fortran) to float32",
    "epoch_callback": "SlowEpoch.on_epoch_end",
    "metric": "metric slow",
    "quota": "a quota of 1",
}


@pytest.mark.parametrize("name", FIRST)
def test_what_was_planted_comes_first(name: str) -> None:
    advice = planted(name).advice()
    assert kinds(advice)[:2] == ["summary", FIRST[name]]
    assert NAMES.get(name, "") in advice[1]
    assert 0 < advice[1].share <= 1


@pytest.mark.parametrize("name", ["tiny", "medium", "wide"])
def test_healthy_runs_have_nothing_but_a_summary(name: str) -> None:
    assert set(kinds(planted(name).advice())) <= {"summary", "memory", "precision"}


# ---- by hand ----

WORK = [lap("wait", 4, waits_for="dense_forward"), lap("step", 6), lap("dense_forward", 90, 90, 5)]


def test_the_summary_tells_speed_and_share() -> None:
    told = sentence(advise(recording(WORK, WORK)), "summary")
    assert (
        "10 steps of 100 us on 2 threads, at 162 GFLOP/s of all threads together, 81 % of" in told
    )
    assert "operations 90 % of the time" in told


def test_callbacks_below_the_bar_are_not_told() -> None:
    quiet, loud = (
        kinds(advise(recording([lap("callback", us), *WORK], [lap("wait", us), *WORK])))
        for us in (4, 8)
    )
    assert "callback" not in quiet
    assert "callback" in loud


def test_a_program_between_steps_is_named_but_not_what_follows_the_last() -> None:
    advice = advise(recording([lap("caller", 50), *WORK], [lap("wait", 50), *WORK]))
    assert "31 % of the time, 45 us between two steps of 100 us" in sentence(advice, "program")
    once = advise(recording([*WORK, lap("caller", 1000)], [*WORK, lap("wait", 1000)], steps=1))
    assert kinds(once) == ["summary"]


@pytest.mark.parametrize(("op", "word"), [("data", "converting"), ("gather", "copying")])
def test_data_preparation_is_named(op: str, word: str) -> None:
    advice = advise(recording([lap(op, 30, 0, 1), *WORK]))
    assert word in sentence(advice, "data")
    assert "23 %" in sentence(advice, "data")


def test_more_threads_than_cpus_are_named_with_the_quota() -> None:
    machine = Machine(1, 1.5, "avx2", {}, dict(PEAKS))
    advice = advise(recording(WORK, WORK, machine=machine))
    assert "2 threads shared 1 CPU (a quota of 1.5)" in sentence(advice, "quota")
    assert "num_threads=1" in sentence(advice, "quota")


def test_waiting_names_what_for() -> None:
    slow = [lap("dense_forward", 50, 90, 5), lap("update", 50, 1, 1)]
    fast = [lap("dense_forward", 50, 90, 5), lap("wait", 50, waits_for="update")]
    told = sentence(advise(recording(slow, fast)), "waiting")
    assert told.startswith("worker 1 waited 50 % of the time, 50 us a step, 100 % of it for others")
    assert "update of layer 0" in told


def test_a_slow_worker_is_told_from_an_uneven_partition() -> None:
    slow = [lap("dense_forward", 90, 50, 5), lap("step", 10)]
    even = [lap("dense_forward", 45, 100, 5), lap("wait", 55, waits_for="dense_forward")]
    uneven = [lap("dense_forward", 45, 50, 5), lap("wait", 55, waits_for="dense_forward")]
    assert "slow_worker" in kinds(advise(recording(slow, even)))
    assert "partition" in kinds(advise(recording(slow, uneven)))


def test_an_operation_bound_by_memory_is_named_but_not_one_in_cache() -> None:
    for gbs, bound in ((40, True), (10, False), (100, False)):
        laps = [lap("dense_forward", 50, 90, 1), lap("update", 50, gbs / 4, gbs)]
        advice = advise(recording(laps))
        assert ("memory" in kinds(advice)) == bound
        if bound:
            assert "40 GB/s where memory gives 50" in sentence(advice, "memory")


def test_a_precision_that_would_pay_is_named() -> None:
    serves = Machine(2, None, "avx512", {"medium": "bfloat16 (amx)"}, dict(PEAKS))
    assert "bfloat16 (amx)" in sentence(advise(recording(WORK, machine=serves)), "precision")
    assert "precision" not in kinds(advise(recording(WORK)))
    slow = [lap("dense_forward", 90, 20, 5), lap("step", 10)]
    assert "precision" not in kinds(advise(recording(slow, machine=serves)))


def test_a_thread_that_wanted_a_cpu_is_named() -> None:
    threads = [Thread("caller", 0, 1, 0, 2e-2, 0.0), Thread("worker 1", 1, 2, 0, 12e-3, 8e-3)]
    told = sentence(advise(recording(WORK, WORK, steps=200, threads=threads)), "neighbour")
    assert "worker 1 wanted a CPU and had none for 8,000 us, 40 %" in told


def test_lost_events_are_told() -> None:
    threads = [Thread("caller", 0, 1, dropped=1234)]
    assert "1,234 events are gone" in sentence(advise(recording(WORK, threads=threads)), "dropped")


def test_nothing_recorded_is_told() -> None:
    with gd.profile() as prof:
        pass
    assert "No training step" in sentence(prof.advice(), "summary")


def test_advice_is_text_that_keeps_its_kind() -> None:
    advice = Advice("memory", "It is 5.")
    for other in (copy.copy(advice), pickle.loads(pickle.dumps(advice))):
        assert other == "It is 5."
        assert other.kind == "memory"


def test_one_lap_that_the_system_interrupted_is_no_data_preparation() -> None:
    laps = [lap("gather", 2, 0, 1), *WORK]
    made = recording(laps, steps=100)
    events = made.events.copy()
    interrupted = np.flatnonzero(events["operation"] == NUMBER["gather"])[50]
    longer = 5_000_000
    later = events["begin"] > events["begin"][interrupted]
    for edge in ("begin", "end"):
        events[edge][later] += longer
    events["end"][interrupted] += longer
    assert "data" not in kinds(advise(replace(made, events=events)))


def test_a_neighbour_is_told_only_where_the_kernel_knows_of_one() -> None:
    slow = [lap("dense_forward", 90, 90, 5), lap("step", 10)]
    made = recording(slow, slow, steps=50)
    events = made.events.copy()
    held = np.flatnonzero(events["thread"] == 0)[20]
    events["end"][held] += 8_000_000
    events["begin"][events["begin"] > events["begin"][held]] += 8_000_000
    events["end"][events["begin"] > events["begin"][held]] += 8_000_000
    made = replace(made, events=events, nanoseconds=int(events["end"].max()))
    idle = [replace(each, cpu_seconds=1.0, ready_seconds=0.0) for each in made.threads]
    assert "neighbour" not in kinds(advise(replace(made, threads=idle)))
    assert "neighbour" in kinds(advise(made))  # where it does not tell


def test_the_last_steps_that_were_asked_for_are_no_accident() -> None:
    threads = [Thread("caller", 0, 1, dropped=100)]
    assert "dropped" in kinds(advise(recording(WORK, threads=threads)))
    assert "dropped" not in kinds(advise(recording(WORK, threads=threads, last_steps=7)))


def test_one_thread_without_a_neighbour_is_not_told_to_leave_one() -> None:
    threads = [Thread("caller", 0, 1, 0, 12e-3, 8e-3)]
    told = sentence(advise(recording(WORK, steps=200, threads=threads)), "neighbour")
    assert told.endswith("Stop it.")


def test_work_that_fits_into_a_cache_is_not_bound_by_memory() -> None:
    laps = [lap("dense_forward", 50, 90, 1), lap("update", 50, 10, 40)]
    for size, bound in ((1 << 20, True), (64 << 20, False)):
        machine = Machine(1, None, "avx2", {}, dict(PEAKS), caches=[[32768, 1], [size, 1]])
        assert ("memory" in kinds(advise(recording(laps, machine=machine)))) == bound
    machine = Machine(1, None, "avx2", {}, dict(PEAKS), disturbed=["memory x1"])
    assert "memory" not in kinds(advise(recording(laps, machine=machine)))


def test_many_threads_have_one_sentence() -> None:
    busy = [lap("dense_forward", 100, 90, 5), lap("update", 900, 1, 1)]
    idle = [lap("dense_forward", 100, 90, 5), lap("wait", 900, waits_for="update")]
    advice = advise(recording(busy, *[idle] * 7, machine=Machine(8, None, "avx2", {}, dict(PEAKS))))
    told = sentence(advice, "waiting")
    assert "So did 6 threads more" in told


def test_what_the_first_step_makes_once_is_told() -> None:
    made = recording([lap("step", 10), *WORK])
    assert "first_step" not in kinds(advise(made))
    events = made.events.copy()
    events["end"] += 5000 * US  # of the first lap, which makes the plan
    events["begin"][1:] += 5000 * US
    late = replace(made, events=events, nanoseconds=made.nanoseconds + 5000 * US)
    told = sentence(advise(late), "first_step")
    assert "The first step took 5,110 us" in told
    events["step"] += 1  # as in a recording that began later
    assert "first_step" not in kinds(advise(replace(late, events=events)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_tells_each_cause(kind: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "profiling.md").read_text(encoding="utf-8")
    assert f"| `{kind}`" in page

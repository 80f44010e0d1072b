"""Who is waited for: recordings made by hand, whose answers are counted by hand, and a live one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdcore as gd
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import EVENT, Machine, Operation, Source, Thread
from gdcore.profiling.waiting import TeamWaits, step_times, waiting

OPERATIONS = [
    Operation("", "", "", ""),
    Operation("dense_forward", "0", "forward", "float32"),
    Operation("dense_forward", "1", "forward", "float32"),
    Operation("weight_gradient", "0", "backward", "float32"),
    Operation("step", "", "step", ""),
    Operation("wait", "", "wait", ""),
    Operation("sleep", "", "wait", ""),
    Operation("callback", "", "callback", ""),
    Operation("dense_forward", "0", "validation", "float32", "validation"),
    Operation("step", "", "validation", "", "validation"),
]
F0, F1, W0, STEP, WAIT, SLEEP, CALLBACK, VALIDATION, OTHER_STEP = range(1, len(OPERATIONS))
US = 1000


@dataclass
class Team:
    """Writes down what the threads of a caller do, in microseconds, as the recorder would."""

    caller: int = 0
    source: int = 1
    workers: int = 2
    now: int = 0
    last: int = 0
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    since: dict[int, int] = field(default_factory=dict)  # hired workers wait

    def lap(
        self,
        thread: int,
        begin: int,
        end: int,
        op: int,
        step: int,
        cause: int = 0,
        purpose: int = 0,
    ) -> None:
        what = begin * US, end * US, 0, 0, step, op, cause
        self.rows.append((*what, thread, self.caller, self.source, 0, purpose))

    def run(
        self,
        step: int,
        alone: int,
        parts: Sequence[tuple[int, dict[int, int]]],
        *,
        wakes: dict[int, int] | None = None,
        purpose: int = 0,
        new: bool = False,
    ) -> None:
        """The caller is alone at first; then each part ends with a barrier of those in it.

        Args:
            step: Its number.
            alone: Microseconds of the caller's ``step``.
            parts: For each barrier the operation, and what each thread takes for it.
            wakes: How long each thread takes to go on after a barrier.
            purpose: 0 for training.
            new: Whether hired workers call what they waited for ``step``.
        """
        wakes = wakes or {}
        begun = self.now + alone
        self.lap(self.caller, self.now, begun, OTHER_STEP if purpose else STEP, step, 0, purpose)
        there = list(parts[0][1])
        at = {}
        for thread in there:
            at[thread] = begun
            if thread != self.caller and thread in self.since:
                cause = STEP if new or not self.last else self.last
                self.lap(thread, self.since[thread], begun, WAIT, step, cause, purpose)
        for number, (op, takes) in enumerate(parts):
            arrived = {thread: at[thread] + takes[thread] for thread in there}
            for thread in there:
                self.lap(thread, at[thread], arrived[thread], op, step, 0, purpose)
            latest = max(arrived.values())
            self.last = op
            for thread in there:
                at[thread] = latest + wakes.get(thread, 0)
                ends = number + 1 == len(parts)
                if len(there) == 1 and ends:  # nobody took the work that was offered
                    at[thread] = latest
                elif ends and thread != self.caller:
                    self.since[thread] = arrived[thread]
                else:
                    self.lap(thread, arrived[thread], at[thread], WAIT, step, op, purpose)
        self.now = at[self.caller]

    def between(self, us: int, step: int) -> None:
        self.lap(self.caller, self.now, self.now + us, CALLBACK, step)
        self.now += us


def recording(*teams: Team, **changes: Any) -> Recording:
    events = np.array([row for team in teams for row in team.rows], EVENT)
    count = int(events["thread"].max()) + 1
    owner = dict.fromkeys(range(count), teams[0].caller)  # of those that were never there
    owner |= dict(zip(events["thread"].tolist(), events["team"].tolist(), strict=True))
    sources = [Source()]
    for i in range(1, max(team.source for team in teams) + 1):
        own = events["step"][events["source"] == i]
        sources.append(Source(f"trainer {i}", "trainer", steps=int(own.max(initial=0))))
    made = Recording(
        events[np.argsort(events["begin"], kind="stable")],
        OPERATIONS,
        [
            Thread(
                "caller" if owner[i] == i else f"worker {i}", int(owner[i] != i), i, team=owner[i]
            )
            for i in range(count)
        ],
        Machine(2, None, "avx2", {}),
        int(events["end"].max()),
        sum(source.steps for source in sources),
        sources=sources,
    )
    return replace(made, **changes)


def only(found: Recording) -> TeamWaits:
    (team,) = waiting(found).teams
    return team


def row(table: gd.profiling.Table, **key: Any) -> dict[str, Any]:
    (found,) = [each for each in table if all(each[name] == key[name] for name in key)]
    return found


def two_barriers(steps: int = 1) -> Team:
    """Worker 1 is the last at the first barrier, the caller at the second; a step takes 205 us."""
    team = Team()
    for step in range(1, steps + 1):
        team.run(step, 10, [(F0, {0: 50, 1: 90})], new=True)
        team.run(step, 5, [(F1, {0: 100, 1: 50})])
        team.between(300, step)
    return team


# ---- by hand ----


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_barriers_counted_by_hand(steps: int) -> None:
    team = only(recording(two_barriers(steps)))
    assert (team.steps, team.threads) == (steps, ("caller", "worker 1"))
    assert team.step == pytest.approx(205)
    # 90 - (50 + 90) / 2 and 100 - (100 + 50) / 2; half of 10 + 5.
    assert team.uneven == pytest.approx(20 + 25)
    assert team.serial == pytest.approx(7.5)
    assert team.gain == pytest.approx(52.5)
    assert team.without == pytest.approx(152.5)
    assert team.wake_up == 0
    assert [each["layer"] for each in team.barriers] == ["1", "0", ""]
    first, second = row(team.barriers, layer="0"), row(team.barriers, layer="1")
    assert (first["last"], first["last %"], first["times/step"]) == ("worker 1", 100, 1)
    assert (second["last"], second["last %"]) == ("caller", 100)
    assert first["waited, us/step"] == pytest.approx(40)
    assert second["lost %"] == pytest.approx(100 * 25 / 205)
    serial = row(team.barriers, op="step")
    assert serial["lost, us/step"] == pytest.approx(7.5)
    assert (serial["last"], serial["times/step"]) == ("caller", 2)


def test_arrivals_counted_by_hand() -> None:
    arrivals = only(recording(two_barriers())).arrivals
    assert row(arrivals, layer="0", thread="caller")["waited, us/step"] == pytest.approx(40)
    assert row(arrivals, layer="0", thread="worker 1")["waited, us/step"] == 0
    assert row(arrivals, layer="1", thread="worker 1")["waited, us/step"] == pytest.approx(50)
    assert row(arrivals, op="step", thread="worker 1")["waited, us/step"] == pytest.approx(15)


def test_the_critical_path_counted_by_hand() -> None:
    path = only(recording(two_barriers(3))).path
    told = {(each["op"], each["layer"], each["thread"]): each["us/step"] for each in path}
    assert told == {
        ("dense_forward", "1", "caller"): pytest.approx(100),
        ("dense_forward", "0", "worker 1"): pytest.approx(90),
        ("step", "", "caller"): pytest.approx(15),
    }
    assert sum(each["%"] for each in path) == pytest.approx(100)
    assert all(each["in % of steps"] == 100 for each in path)


def test_waking_up_is_told_apart_from_uneven_work() -> None:
    team = Team()
    # The caller wakes up 20 us late both times, and is the last at the second barrier for that.
    team.run(1, 0, [(F0, {0: 50, 1: 90}), (W0, {0: 100, 1: 110})], wakes={0: 20}, new=True)
    found = only(recording(team))
    assert found.uneven == pytest.approx(20 + 5)  # 120 - (120 + 110) / 2
    assert found.wake_up == pytest.approx(40)
    assert row(found.barriers, layer="0", phase="backward")["last"] == "caller"
    assert row(found.path, op="wake-up")["thread"] == "caller"
    assert sum(each["us/step"] for each in found.path) == pytest.approx(90 + 20 + 100 + 20)


def test_a_worker_that_was_absent_is_not_waited_for() -> None:
    team = Team()
    both, alone = {0: 60, 1: 40}, {0: 100}
    team.run(1, 4, [(F0, both)], new=True)
    team.run(1, 4, [(F1, alone)])  # offered, and not taken
    team.run(1, 4, [(W0, both)])  # what worker 1 waited for names the layer it was not at
    team.run(2, 4, [(F0, alone)])
    team.run(2, 4, [(W0, both)], new=True)
    found = only(recording(team))
    assert {each["layer"] for each in found.barriers if each["op"] == "dense_forward"} == {"0"}
    assert row(found.barriers, layer="0", phase="forward")["times/step"] == 0.5
    assert row(found.barriers, layer="0", phase="backward")["times/step"] == 1
    assert found.uneven == pytest.approx(3 * 10 / 2)
    assert found.serial == pytest.approx(3 * 2 / 2)
    told = row(found.path, layer="1")
    assert (told["us/step"], told["then us, median"]) == (50, 100)
    assert told["in % of steps"] == 50
    assert sum(each["us/step"] for each in found.path) == pytest.approx(found.step)


def test_a_worker_absent_from_all_steps() -> None:
    team = Team()
    team.run(1, 4, [(F0, {0: 60})])
    team.lap(1, 0, 64, SLEEP, 1, STEP)
    found = only(recording(team))
    assert found.threads == ("caller",)
    assert found.gain == 0
    assert not found.barriers


def test_one_thread_waits_for_nobody() -> None:
    team = Team()
    team.run(1, 4, [(F0, {0: 60})])
    team.run(1, 4, [(F1, {0: 60})])
    found = only(recording(team))
    assert (found.step, found.gain, found.wake_up) == (128, 0, 0)
    assert str(found) == "1 step of 128.0 us on one thread: nobody waits."
    assert sum(each["us/step"] for each in found.path) == pytest.approx(128)


def test_each_trainer_has_its_own() -> None:
    other = Team(caller=2, source=2, now=3)
    for step in range(1, 5):
        other.run(step, 0, [(F0, {2: 30, 3: 10})], new=True)
    found = waiting(recording(two_barriers(3), other))
    assert [(each.trainer, each.steps) for each in found.teams] == [
        ("trainer 1", 3),
        ("trainer 2", 4),
    ]
    assert [each.gain for each in found.teams] == [pytest.approx(52.5), pytest.approx(10)]
    assert found.teams[1].threads == ("caller", "worker 3")
    assert {each["trainer"] for each in found.barriers} == {"trainer 1", "trainer 2"}


def test_one_caller_with_two_trainers() -> None:
    first = two_barriers(2)
    second = Team(source=2, now=first.now, since=first.since)
    second.run(1, 10, [(F0, {0: 50, 1: 50})], new=True)
    found = waiting(recording(first, second))
    assert [each.steps for each in found.teams] == [2, 1]
    assert [each.uneven for each in found.teams] == [pytest.approx(45), 0]


def test_validation_is_left_out() -> None:
    team = two_barriers()
    team.run(1, 10, [(VALIDATION, {0: 500, 1: 1})], purpose=1, new=True)
    later = Team(now=team.now, since=team.since, rows=team.rows)
    later.run(2, 10, [(F0, {0: 50, 1: 90})], new=True)
    later.run(2, 5, [(F1, {0: 100, 1: 50})])
    found = only(recording(later))
    assert (found.steps, found.step, found.gain) == (2, pytest.approx(205), pytest.approx(52.5))
    assert sum(each["us/step"] for each in found.path) == pytest.approx(205)


def test_the_first_step_goes_where_events_were_lost() -> None:
    whole = recording(two_barriers(3))
    lossy = replace(whole, threads=[replace(whole.threads[0], dropped=9), *whole.threads[1:]])
    assert only(lossy).steps == 2
    assert only(replace(lossy, last_steps=2)).steps == 3
    assert only(replace(lossy, last_steps=3)).steps == 3


def test_without_whole_steps() -> None:
    whole = recording(two_barriers())
    begun = replace(whole, sources=[Source(), Source("trainer 1", "trainer", steps=0)])
    assert not waiting(begun).teams
    assert str(waiting(begun)) == "(no whole training step was recorded)"
    assert not waiting(replace(whole, events=whole.events[:0])).teams


def test_it_prints_sentences_and_tables() -> None:
    text = str(waiting(recording(two_barriers())))
    assert text.startswith(
        "1 step of 205.0 us on 2 threads. If nobody waited for another, one would take 152.5 us, "
        "25.6 % less: 45 us are lost to workers that are done later than others, 7.5 us to what "
        "the caller does alone. The most is lost at dense_forward 1: 25 us, where the others wait "
        "for caller 100 % of the time."
    )
    assert "Critical path:" in text


# ---- any ----

TIMES = st.integers(min_value=1, max_value=200)


@st.composite
def teams(draw: st.DrawFn) -> tuple[Team, dict[str, float]]:
    """A team at work, and the sums that a simulation of it gives."""
    workers = draw(st.integers(2, 4))
    team = Team(workers=workers)
    sums = {"uneven": 0.0, "serial": 0.0, "steps": draw(st.integers(1, 4)), "barriers": 0}
    for step in range(1, int(sums["steps"]) + 1):
        for number in range(draw(st.integers(1, 3))):
            there = [0, *(i for i in range(1, workers) if draw(st.booleans()))]
            alone = draw(TIMES)
            wakes = {i: draw(st.integers(0, 50)) for i in there}
            parts = []
            at = dict.fromkeys(there, 0)
            for _ in range(draw(st.integers(1, 3))):
                takes = {i: draw(TIMES) for i in there}
                parts.append((draw(st.sampled_from([F0, F1, W0])), takes))
                arrived = [at[i] + takes[i] for i in there]
                if len(there) > 1:
                    sums["uneven"] += max(arrived) - sum(arrived) / len(there)
                    sums["barriers"] += 1
                at = {i: max(arrived) + wakes[i] for i in there}
            sums["serial"] += alone * (len(there) - 1) / len(there)
            team.run(step, alone, parts, wakes=wakes, new=number == 0)
        team.between(draw(st.integers(0, 50)), step)
    return team, sums


@settings(max_examples=60, deadline=None)
@given(teams())
def test_any_team_adds_up(drawn: tuple[Team, dict[str, float]]) -> None:
    team, sums = drawn
    made = recording(team)
    found = only(made)
    steps = sums["steps"]
    assert found.steps == steps
    assert found.uneven == pytest.approx(sums["uneven"] / steps)
    assert found.serial == pytest.approx(sums["serial"] / steps)
    shared = [each for each in found.barriers if each["op"] != "step"]
    assert sum(each["times/step"] for each in shared) == pytest.approx(sums["barriers"] / steps)
    assert sum(each["lost, us/step"] for each in found.barriers) == pytest.approx(found.gain)
    for name in ("lost, us/step", "waited, us/step"):
        assert all(each[name] >= 0 for each in found.barriers)
    # The path is all of the step, and no shorter than what nobody's waiting would leave.
    assert sum(each["us/step"] for each in found.path) == pytest.approx(found.step)
    assert sum(each["%"] for each in found.path) == pytest.approx(100)
    assert 0 < found.without <= found.step
    by_hand = made.durations[(made.events["thread"] == 0) & ~made.phase("callback")].sum()
    assert step_times(made).nanoseconds.sum() == by_hand


def test_a_million_events_take_seconds_at_most() -> None:
    made = recording(two_barriers(100))
    length = int(made.events["end"].max())
    events = np.tile(made.events, 1000)
    turn = np.repeat(np.arange(1000), len(made.events))
    for name in ("begin", "end"):
        events[name] += turn * length
    events["step"] += (turn * 100).astype(np.uint32)
    sources = [Source(), Source("trainer 1", "trainer", steps=1000 * 100)]
    long = replace(made, events=events, sources=sources)
    assert len(events) > 900_000
    begun = time.perf_counter()
    found = only(long)
    assert time.perf_counter() - begun < 10  # about one on a machine of its own
    assert found.steps == 100_000
    assert found.gain == pytest.approx(52.5)


# ---- recorded ----

PROFILES = sorted((Path(__file__).parent / "data" / "profiles").glob("*.npz"))


@pytest.mark.parametrize("path", PROFILES, ids=[path.stem for path in PROFILES])
def test_recorded_profiles_add_up(path: Path) -> None:
    recorded = gd.profiling.load(path).recording
    found = only(recorded)
    steps = recorded.events["step"] > 0
    there = np.unique(recorded.events["thread"][steps]).tolist()
    assert found.threads == tuple(recorded.threads[thread].name for thread in there)
    assert sum(each["us/step"] for each in found.path) == pytest.approx(found.step)
    assert 0 <= found.gain < found.step
    assert (found.gain > 0) == (len(there) > 1)


def test_a_planted_imbalance_is_at_the_worker_that_has_more() -> None:
    (path,) = [each for each in PROFILES if each.stem == "partition"]
    worst = only(gd.profiling.load(path).recording).barriers[0]
    assert (worst["last"], worst["last %"]) == ("worker 1", 100)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("every", [1, 3])
def test_a_live_recording_adds_up(threads: int, every: int) -> None:
    network = gd.Network([gd.Dense(256, "relu"), gd.Dense(4)], input_size=64, seed=0)
    trainer = gd.Trainer(network, "mse", gd.SGD(), num_threads=threads)
    random = np.random.default_rng(0)
    x = random.standard_normal((64 * 12, 64), dtype=np.float32)
    y = random.standard_normal((64 * 12, 4), dtype=np.float32)
    with gd.profile(every=every) as prof:
        trainer.fit(x, y, batch_size=64, progress=False)
    found = only(prof.recording)
    assert found.steps == 12 // every
    assert sum(each["us/step"] for each in found.path) == pytest.approx(found.step)
    assert 0 <= found.gain < found.step
    assert len(found.threads) <= threads
    if threads == 1:
        assert (found.gain, found.wake_up) == (0, 0)

"""Whom the workers of a step wait for, what that costs, and the path that decides how long it is.

Between two barriers each worker does its part of the operations; the last to arrive lets all of
them go on. Barriers are told apart by the caller's ``step``, with which each run of the team
begins, and by how often a worker has waited since. So a hired worker that was absent from some
runs is counted in those alone that it took part in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.recording import Recording
from gdcore.profiling.records import WAITS
from gdcore.profiling.tables import Table, shown

__all__ = ["StepTimes", "TeamWaits", "Waits", "step_times", "waiting"]

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class TeamWaits:
    """What the steps of one trainer, on the workers of one caller, wait for.

    Times are microseconds a step, in the mean over its whole steps.

    Attributes:
        trainer: Whose steps they are.
        threads: The names of those that took part.
        steps: How many whole steps were recorded.
        step: What one takes, without callbacks, data and the program around it.
        uneven: What it would gain if the workers were done at the same time at every barrier.
        serial: What it would gain if the others had a part of what the caller does alone.
        wake_up: From the last arrival at each barrier until its last worker goes on.
        barriers: For each operation that a barrier ends, the most time lost first.
        arrivals: For each of those and each thread, how long it waited and how often it was last.
        path: The critical path: for each operation and thread that decided, how long they took.
    """

    trainer: str
    threads: tuple[str, ...]
    steps: int
    step: float
    uneven: float
    serial: float
    wake_up: float
    barriers: Table = field(default_factory=Table)
    arrivals: Table = field(default_factory=Table)
    path: Table = field(default_factory=Table)

    @property
    def gain(self) -> float:
        """What a step would gain if nobody waited for another's work."""
        return self.uneven + self.serial

    @property
    def without(self) -> float:
        """What a step would take if nobody waited for another's work."""
        return self.step - self.gain

    def __str__(self) -> str:
        """In a sentence or two."""
        whose = f"{self.trainer}: " if self.trainer else ""
        steps = f"{self.steps:,} step{'s' * (self.steps != 1)} of {shown(self.step)} us"
        if len(self.threads) < 2:
            return f"{whose}{steps} on one thread: nobody waits."
        percent = 100 * self.gain / max(self.step, 1e-9)
        told = (
            f"{whose}{steps} on {len(self.threads)} threads. If nobody waited for another, one "
            f"would take {shown(self.without)} us, {percent:.1f} % less: "
            f"{shown(self.uneven)} us are lost to workers that are done later than others, "
            f"{shown(self.serial)} us to what the caller does alone."
        )
        if self.barriers and self.barriers[0]["lost, us/step"] > 0:
            worst = self.barriers[0]
            name = " ".join(part for part in (worst["op"], worst["layer"]) if part)
            told += (
                f" The most is lost at {name}: {shown(worst['lost, us/step'])} us, where the others"
                f" wait for {worst['last']} {worst['last %']:.0f} % of the time."
            )
        return f"{told} Waking up takes {shown(self.wake_up)} us."


@dataclass(frozen=True)
class Waits:
    """What `waiting` found; printed, it is sentences and tables.

    Attributes:
        teams: One for each trainer and caller, in the order of the trainers.
    """

    teams: tuple[TeamWaits, ...]

    @property
    def barriers(self) -> Table:
        """Those of all teams; with more than one, the first column tells whose."""
        return self._joined("barriers")

    @property
    def arrivals(self) -> Table:
        """Those of all teams, likewise."""
        return self._joined("arrivals")

    @property
    def path(self) -> Table:
        """The critical paths of all teams, likewise."""
        return self._joined("path")

    def _joined(self, name: str) -> Table:
        if len(self.teams) == 1:
            found: Table = getattr(self.teams[0], name)
            return found
        return Table(
            {"trainer": team.trainer} | row for team in self.teams for row in getattr(team, name)
        )

    def __str__(self) -> str:
        """What it costs, the barriers and the critical path."""
        if not self.teams:
            return "(no whole training step was recorded)"
        parts = ["\n".join(str(team) for team in self.teams)]
        if self.barriers:
            parts.append(f"Barriers:\n{self.barriers}")
        parts.append(f"Critical path:\n{self.path}")
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        """The same, so that an interactive session shows it."""
        return str(self)


@dataclass(frozen=True)
class StepTimes:
    """How long each whole training step took its caller.

    Attributes:
        keys: (S,) the steps, as `Recording.step_keys` numbers them, rising.
        nanoseconds: (S,) without callbacks, data and the program around them.
        inside: (N,) the events that are added up.
        whole: (N,) the events of whole steps, with what is around them.
    """

    keys: _Ints
    nanoseconds: _Ints
    inside: _Bools
    whole: _Bools

    def places(self, keys: _Ints) -> _Ints:
        """Where steps are in `keys`, of events that are in `whole`."""
        found: _Ints = np.searchsorted(self.keys, keys)
        return found


def step_times(recording: Recording) -> StepTimes:
    """Measures the training steps that a recording has from their beginning to their end.

    A forward pass whose update never came is no step. Where events were lost, a trainer's first
    step may have lost some, and is left out.
    """
    events, keys = recording.events, recording.step_keys
    begun = np.array([source.steps for source in recording.sources], np.int64)
    training = recording.training & (events["step"] <= begun[events["source"]])
    found = _distinct(keys[training & recording.work])
    if recording.dropped:
        source = found >> 32
        first = np.diff(source, prepend=-1) > 0
        if recording.last_steps is not None:  # what was cut off there is whole steps
            kept = np.bincount(source, minlength=len(begun))
            first &= kept[source] < np.minimum(recording.last_steps, begun[source])
        found = found[~first]
    whole = training & _among(keys, found)
    inside = whole & (events["thread"] == events["team"])
    inside &= recording.work | recording.where(lambda each: each.op in ("step", *WAITS))
    # The sums of bincount are floats, exact up to 2^53 ns: a hundred days.
    places = np.searchsorted(found, keys[inside])
    sums = np.bincount(places, recording.durations[inside], len(found)).astype(np.int64)
    return StepTimes(found, sums, inside, whole)


def waiting(recording: Recording) -> Waits:
    """Tells who waits for whom at each barrier of the training steps, and what that costs.

    A worker waits at a barrier from its own arrival to the last one's. What a step loses there is
    the last arrival less the mean of all: it would gain that if the work were shared evenly. What
    the caller does alone between two runs of the team, ``step`` in the tables, could likewise be
    shared in the best case.

    The critical path goes from barrier to barrier with the worker that arrived last, so that its
    rows add up to the step; ``wake-up`` is the time from an arrival until the one who decides
    next goes on.

    Args:
        recording: With any number of trainers; work beside training is left out.

    Returns:
        A `TeamWaits` for each trainer and caller with whole steps.
    """
    times = step_times(recording)
    if not len(times.keys):
        return Waits(())
    parts = _Parts(recording, times)
    sources = recording.sources
    several = len(recording.trainers) > 1
    teams = []
    for whose in _distinct((parts.source << 16) + parts.team):
        source, team = divmod(int(whose), 1 << 16)
        name = sources[source].name if several else ""
        teams.append(_of_team(recording, times, parts, source, team, name))
    return Waits(tuple(teams))


class _Parts:
    """What each thread did between two barriers: rows; and the barriers: segments of rows.

    Members are the events of operations and of the caller's ``step``, by segment, thread, begin.
    """

    def __init__(self, recording: Recording, times: StepTimes) -> None:
        events = recording.events
        steps = recording.where(lambda each: each.op == "step")
        waits = recording.where(lambda each: each.op in WAITS)
        chosen = np.flatnonzero((times.whole & (recording.work | steps)) | waits)
        chosen = chosen[np.argsort(events["thread"][chosen], kind="stable")]
        waiting = waits[chosen]
        visits = np.cumsum(waiting & ~np.concatenate(([False], waiting[:-1])))
        # What a thread waits for behind a member; its own number where it goes on at once.
        cause = np.append(events["waits_for"][chosen[1:]], 0)
        followed = np.append(waiting[1:], False)
        followed[:-1] &= events["thread"][chosen[1:]] == events["thread"][chosen[:-1]]
        cause = np.where(followed & (cause > 0), cause, events["operation"][chosen])
        own = ~waiting
        chosen, visits, cause = chosen[own], visits[own], cause[own]

        thread = events["thread"][chosen].astype(np.int64)
        place = times.places(recording.step_keys[chosen])
        run = self._runs(recording, steps, chosen)
        key = self._group(events["team"][chosen], place, run, len(times.keys))
        # By run and thread, in time: the visits since the run's first member number the barriers.
        order = np.argsort(key, kind="stable")
        key, thread, visits = key[order], thread[order], visits[order]
        first = _starts(key, thread)
        base = visits[np.flatnonzero(first)][np.cumsum(first) - 1]
        ordinal = visits - base
        segment = key * (int(ordinal.max(initial=0)) + 1) + ordinal
        again = np.argsort(segment, kind="stable")
        segment, thread = segment[again], thread[again]
        order = order[again]

        self.member = chosen[order]
        self.begin, self.end = events["begin"][self.member], events["end"][self.member]
        row_starts = np.flatnonzero(_starts(segment, thread))
        row_ends = np.append(row_starts[1:], len(segment)) - 1
        self.row_of_member = np.cumsum(_starts(segment, thread)) - 1
        self.thread = thread[row_starts]
        self.row_begin = self.begin[row_starts]
        self.arrival = self.end[row_ends]
        cause = cause[order][row_ends]

        starts = np.diff(segment[row_starts], prepend=-1) > 0
        self.segment = np.cumsum(starts) - 1  # of rows
        heads = np.flatnonzero(starts)
        self.count = np.diff(np.append(heads, len(starts)))
        self.last = np.maximum.reduceat(self.arrival, heads)
        late = np.flatnonzero(self.arrival == self.last[self.segment])
        self.critical = late[np.diff(self.segment[late], prepend=-1) > 0]  # rows, one a segment
        self.team = events["team"][self.member[row_starts[heads]]].astype(np.int64)
        self.step = place[order][row_starts[heads]]
        self.source = times.keys[self.step] >> 32
        # The caller's wait names what the barrier ends: a hired worker's may name what came later.
        of_caller = np.flatnonzero(self.thread == self.team[self.segment])
        self.operation = cause[self.critical].astype(np.int64)
        self.operation[self.segment[of_caller]] = cause[of_caller]

    @staticmethod
    def _runs(recording: Recording, steps: _Bools, chosen: _Ints) -> _Ints:
        """For each event, how often its team's caller had begun to give work to the others."""
        events = recording.events
        run = np.zeros(len(chosen), np.int64)
        for team in _distinct(events["team"][chosen]):
            begins = events["begin"][steps & (events["thread"] == team)]
            own = events["team"][chosen] == team
            run[own] = np.searchsorted(begins, events["begin"][chosen[own]], "right")
        return run

    @staticmethod
    def _group(team: NDArray[Any], place: _Ints, run: _Ints, steps: int) -> _Ints:
        """A number for each run of each team in each step, which rises in this order."""
        group = team.astype(np.int64) * steps + place
        groups = _distinct(group)
        return np.searchsorted(groups, group) * (int(run.max(initial=0)) + 1) + run


def _of_team(
    recording: Recording, times: StepTimes, parts: _Parts, source: int, team: int, name: str
) -> TeamWaits:
    mine = (parts.source == source) & (parts.team == team)
    steps = _distinct(parts.step[mine])
    count = len(steps)
    nanoseconds = times.nanoseconds[steps]
    total = max(float(nanoseconds.sum()), 1.0)
    used = _distinct(parts.thread[mine[parts.segment]])
    threads = [*(i for i in used if i == team), *(i for i in used if i != team)]
    loss = _Loss(recording, parts, mine)
    names = [thread.name for thread in recording.threads]
    barriers, arrivals = _barriers(recording, loss, [int(i) for i in threads], names, count, total)
    path = _Path(recording, times, parts, mine)
    return TeamWaits(
        trainer=name,
        threads=tuple(names[i] for i in threads),
        steps=count,
        step=total / count / 1e3,
        uneven=float(loss.uneven.sum()) / count / 1e3,
        serial=float(loss.serial.sum()) / count / 1e3,
        wake_up=path.wake_up / count / 1e3,
        barriers=barriers,
        arrivals=arrivals,
        path=path.table(recording, names, count, total),
    )


class _Loss:
    """What is lost at barriers of two and more, and by what the caller does alone before them."""

    def __init__(self, recording: Recording, parts: _Parts, mine: _Bools) -> None:
        shared = mine & (parts.count > 1)
        rows = shared[parts.segment]
        number = np.cumsum(shared) - 1
        self.segment = number[parts.segment[rows]]  # of each row
        self.thread = parts.thread[rows]
        last = parts.last[shared]
        self.waited = (last[self.segment] - parts.arrival[rows]).astype(np.float64)
        self.operation = parts.operation[shared]
        self.critical = parts.thread[parts.critical[shared]]
        count = parts.count[shared]
        self.uneven: _Floats = np.bincount(self.segment, self.waited, len(count)) / count
        # The caller's `step` before a run of several, until the first of the others began.
        step = recording.where(lambda each: each.op == "step")[parts.member]
        own = step & rows[parts.row_of_member]
        before = number[parts.segment[parts.row_of_member[own]]]
        self.caller = int(parts.team[mine][0])
        first = np.full(len(count), np.iinfo(np.int64).max)
        others = self.thread != self.caller
        np.minimum.at(first, self.segment[others], parts.row_begin[rows][others])
        taken = np.maximum(np.minimum(parts.end[own], first[before]) - parts.begin[own], 0)
        self.alone: _Floats = np.bincount(before, taken, len(count)).astype(np.float64)
        self.serial: _Floats = self.alone * (count - 1) / count


def _barriers(
    recording: Recording,
    loss: _Loss,
    threads: list[int],
    names: list[str],
    steps: int,
    total: float,
) -> tuple[Table, Table]:
    kinds = recording.operations
    size = len(recording.threads)
    found = []
    for operation in _distinct(loss.operation):
        own = loss.operation == operation
        times = int(own.sum())
        waited = np.bincount(loss.thread[own[loss.segment]], loss.waited[own[loss.segment]], size)
        last = np.bincount(loss.critical[own], minlength=size)
        there = np.bincount(loss.thread[own[loss.segment]], minlength=size)
        kind = kinds[operation]
        lost = float(loss.uneven[own].sum())
        found.append(((kind.op, kind.layer, kind.phase), times, lost, waited, last, there))
    begins = loss.alone > 0
    if begins.any():
        behind = begins[loss.segment]
        there = np.bincount(loss.thread[behind], minlength=size)
        waited = np.bincount(loss.thread[behind], loss.alone[loss.segment[behind]], size)
        waited[loss.caller] = 0
        last = np.zeros(size, np.int64)
        last[loss.caller] = times = int(begins.sum())
        lost = float(loss.serial.sum())
        found.append((("step", "", "step"), times, lost, waited, last, there))
    found.sort(key=lambda each: -each[2])
    barriers, arrivals = Table(), Table()
    for key, times, lost, waited, last, there in found:
        op: dict[str, Any] = dict(zip(("op", "layer", "phase"), key, strict=True))
        most = int(last.argmax())
        barriers.append(
            op
            | {
                "times/step": times / steps,
                "lost, us/step": lost / steps / 1e3,
                "lost %": 100 * lost / total,
                "waited, us/step": float(waited.sum()) / steps / 1e3,
                "last": names[most],
                "last %": 100 * int(last[most]) / times,
            }
        )
        arrivals.extend(
            op
            | {
                "thread": names[i],
                "waited, us/step": float(waited[i]) / steps / 1e3,
                "last %": 100 * int(last[i]) / int(there[i]),
                "times/step": int(there[i]) / steps,
            }
            for i in threads
            if there[i]
        )
    return barriers, arrivals


class _Path:
    """From each segment's last arrival to the next one's, with whoever decided."""

    def __init__(self, recording: Recording, times: StepTimes, parts: _Parts, mine: _Bools) -> None:
        segments = np.flatnonzero(mine)
        segments = segments[np.lexsort((parts.last[segments], parts.step[segments]))]
        step = parts.step[segments]
        first = np.diff(step, prepend=-1) > 0
        # A step begins with the first that any of its threads did.
        earliest = np.full(len(mine), np.iinfo(np.int64).max)
        np.minimum.at(earliest, parts.segment, parts.row_begin)
        opens = np.zeros(len(mine), np.int64)
        before = np.concatenate(([0], parts.last[segments][:-1]))
        opens[segments] = np.where(first, earliest[segments], before)

        decides = np.zeros(len(parts.thread), bool)
        decides[parts.critical[mine]] = True
        row, segment = parts.row_of_member, parts.segment[parts.row_of_member]
        own = decides[row]
        # Others could not begin before the caller had given them their work.
        is_step = recording.where(lambda each: each.op == "step")[parts.member]
        gives = is_step & ~own & mine[segment]
        on = own | gives
        begin = np.maximum(parts.begin[on], opens[segment[on]])
        until = parts.end[on]
        start = parts.row_begin[parts.critical][segment[on]]
        until = np.where(gives[on], np.minimum(until, start), until)
        self.taken = np.maximum(until - begin, 0)
        self.member = parts.member[on]
        self.thread = parts.thread[row[on]]
        self.step = parts.step[segment[on]]

        caller = int(parts.team[segments[0]])
        spans = _within(recording, times, caller, opens[segments], parts.last[segments])
        told = np.bincount(segment[on], self.taken, len(mine))[segments]
        steps = _distinct(step)
        # The caller is the one to go on behind the last barrier.
        rest = times.nanoseconds[steps] - np.bincount(step, spans)[steps]
        self.wakes: _Floats = np.maximum(np.concatenate((spans - told, rest)), 0.0)
        woken = parts.thread[parts.critical[segments]]
        self.woken = np.concatenate((woken, np.full(len(steps), caller)))
        self.woken_step = np.concatenate((step, steps))
        self.wake_up = float(self.wakes.sum())

    def table(self, recording: Recording, names: list[str], steps: int, total: float) -> Table:
        kinds = recording.operations
        groups: dict[tuple[str, ...], int] = {}
        of_kind = np.array(
            [groups.setdefault((k.op, k.layer, k.phase), len(groups)) for k in kinds]
        )
        wake = groups.setdefault(("wake-up", "", "wait"), len(groups))
        group = np.concatenate(
            (of_kind[recording.events["operation"][self.member]], np.full(len(self.wakes), wake))
        )
        number = group * len(names) + np.concatenate((self.thread, self.woken))
        taken = np.concatenate((self.taken, self.wakes))
        step = np.concatenate((self.step, self.woken_step))
        order = np.argsort(number, kind="stable")
        order = order[taken[order] > 0]
        by_number = list(groups)
        rows = Table()
        ends = np.flatnonzero(np.diff(number[order], append=-1)) + 1
        for own in np.split(order, ends)[:-1]:
            which, thread = divmod(int(number[own[0]]), len(names))
            sums = np.bincount(step[own], taken[own])
            sums = sums[sums > 0]
            op: dict[str, Any] = dict(zip(("op", "layer", "phase"), by_number[which], strict=True))
            rows.append(
                op
                | {
                    "thread": names[thread],
                    "us/step": float(sums.sum()) / steps / 1e3,
                    "%": 100 * float(sums.sum()) / total,
                    "in % of steps": 100 * len(sums) / steps,
                    "then us, median": float(np.median(sums)) / 1e3,
                }
            )
        rows.sort(key=lambda row: -row["us/step"])
        return rows


def _within(
    recording: Recording, times: StepTimes, caller: int, begin: _Ints, end: _Ints
) -> _Floats:
    """How much of stretches of time was the caller's steps, without what is around those."""
    events = recording.events
    inside = times.inside & (events["thread"] == caller)
    begins, ends = events["begin"][inside], events["end"][inside]
    sums = np.concatenate(([0], np.cumsum(ends - begins)))

    def until(time: _Ints) -> _Floats:
        place = np.searchsorted(begins, time)  # so many began before
        rest = np.maximum(np.append(ends, 0)[place - 1] - time, 0)
        found: _Floats = np.where(place > 0, sums[place] - rest, 0).astype(np.float64)
        return found

    return until(end) - until(begin)


def _starts(first: NDArray[Any], second: NDArray[Any]) -> _Bools:
    """Where one of the two differs from what is before it."""
    found = np.ones(len(first), bool)
    found[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return found


def _distinct(values: NDArray[Any]) -> _Ints:
    """In order. Not np.unique, for the reason that `Recording._in_order` has."""
    values = np.sort(values).astype(np.int64)
    return values[np.diff(values, prepend=-1) > 0]


def _among(values: _Ints, sorted_values: _Ints) -> _Bools:
    if not len(sorted_values):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    found: _Bools = sorted_values[place] == values
    return found

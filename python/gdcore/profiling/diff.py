"""What became slower or faster between two profiles, and whether that is more than noise."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._names import choice
from gdcore.files import checked_path
from gdcore.profiling._profile import Profile
from gdcore.profiling.diff_page import STEP, write_diff
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Operation
from gdcore.profiling.tables import Table, shown
from gdcore.profiling.waiting import step_times
from gdcore.typing import DifferenceBy

__all__ = ["Difference", "diff"]

_BY: tuple[DifferenceBy, ...] = ("op", "layer", "phase")
_Floats = NDArray[np.float64]

# Two recordings of the same program differ by a percent or two for where its memory happens to be.
# Source: Mytkowicz, Diwan, Hauswirth and Sweeney, "Producing wrong data without doing anything
# obviously wrong!", ASPLOS 2009.
_PLACE = 0.02
_LEAST = 0.2  # us a step, some readings of the clock
_FEWEST_BLOCKS = 8
_DRIFT = 1.5
_FEWEST_STEPS = 8
_FALSE_ALARMS = 0.01  # of a whole comparison
_TOLD = 5  # sentences each of what became slower and faster
_DISTURBED = 0.02


@dataclass(frozen=True)
class _Change:
    """A quantity in both profiles, in microseconds a step or a sample."""

    key: tuple[str, ...]
    a: float | None
    b: float | None
    noise: float | None  # None: too few steps to tell

    @property
    def difference(self) -> float | None:
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def ratio(self) -> float | None:
        return self.b / self.a if self.a and self.b is not None else None

    @property
    def verdict(self) -> str | None:
        """``"longer"``, ``"shorter"``, or ``"no"`` difference beyond the noise; None: unknown."""
        if self.difference is None or self.noise is None:
            return None
        if abs(self.difference) <= self.noise:
            return "no"
        return "longer" if self.difference > 0 else "shorter"


class Difference:
    """Two profiles side by side; printed, it is sentences and a table. See `diff`.

    Attributes:
        sentences: How the circumstances differ, if they do, then the step, then what became slower
            or faster by more than the noise, then what only one has.
    """

    def __init__(self, a: Recording, b: Recording) -> None:
        first, second = _Side("a", a), _Side("b", b)
        by_sample = first.batches != second.batches and all(
            side.batches and all(side.batches) for side in (first, second)
        )
        self._unit = "us/sample" if by_sample else "us/step"
        held = max(first.held, second.held)
        self._steps = _changes(first.step_series(), second.step_series(), by_sample, held)
        self._changes = {
            by: _changes(first.series(by), second.series(by), by_sample, held) for by in _BY
        }
        self.sentences = [*_circumstances(first, second), *self._told(first, second)]

    @property
    def unit(self) -> str:
        """``"us/step"``, or ``"us/sample"`` where the batch sizes differ."""
        return self._unit

    def table(self, by: DifferenceBy = "op") -> Table:
        """The step, then what is in it, the largest difference first.

        Args:
            by: ``"op"`` (each operation of each layer), ``"layer"`` or ``"phase"``.

        Returns:
            Dicts with the time in a and b over all threads, in the median step; ``difference``;
            ``ratio``, b over a; ``noise``, which a difference of the same program hardly exceeds;
            ``beyond noise``: ``"longer"``, ``"shorter"`` or ``"no"``. What one does not have is
            None, and noise where there are too few steps to tell.

        Raises:
            ValueError: by is none of these.
        """
        by = choice("by", by, _BY)
        width = ("op", "layer", "phase", "trainer") if by == "op" else (by, "trainer")
        several = any(change.key[-1] for change in self._steps)
        step = STEP, *[""] * (len(width) - 2)
        rows = [self._row(width, (*step, change.key[-1]), change) for change in self._steps]
        changes = sorted(self._changes[by], key=_size, reverse=True)
        rows += [self._row(width, change.key, change) for change in changes]
        if not several:
            for row in rows:
                del row["trainer"]
        return Table(rows)

    def _row(self, width: tuple[str, ...], key: tuple[str, ...], change: _Change) -> dict[str, Any]:
        row: dict[str, Any] = dict(zip(width, key, strict=True))
        return row | {
            f"a, {self._unit}": change.a,
            f"b, {self._unit}": change.b,
            "difference": change.difference,
            "ratio": change.ratio,
            "noise": change.noise,
            "beyond noise": change.verdict,
        }

    def __str__(self) -> str:
        """The sentences and the table by operation."""
        return "\n".join(self.sentences) + f"\n\n{self.table()}"

    def __repr__(self) -> str:
        """The same, so that an interactive session shows it."""
        return str(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes one page with the sentences and the tables side by side; it loads nothing.

        Raises:
            OSError: The file cannot be written.
            TypeError: path is no path.
        """
        tables = {by: self.table(by) for by in ("phase", "layer", "op")}
        write_diff(self.sentences, tables, self.unit, Path(checked_path(path)))

    # ---- sentences ----

    def _told(self, first: _Side, second: _Side) -> Iterator[str]:
        for change in self._steps:
            yield self._of_step(change)
        if min(first.fewest, second.fewest) < _FEWEST_STEPS:
            yield (
                f"The noise is told from {_FEWEST_STEPS} whole steps on; there are "
                f"{first.fewest:,} in a and {second.fewest:,} in b."
            )
            yield from self._in_one_only()
            return
        told = False
        for verdict in ("longer", "shorter"):
            found = [each for each in self._changes["op"] if each.verdict == verdict]
            found.sort(key=_size, reverse=True)
            for change in found[:_TOLD]:
                yield f"{_label(change.key)} takes {_WORDS[verdict]}: {self._amount(change)}."
            if len(found) > _TOLD:
                yield f"{len(found) - _TOLD} more take {_WORDS[verdict]}; the table has them."
            told = told or bool(found)
        if not told:
            yield "No operation differs by more than the noise."
        yield from self._in_one_only()

    def _of_step(self, change: _Change) -> str:
        whose = f" of {change.key[-1]}" if change.key[-1] else ""
        what = "sample" if self._unit == "us/sample" else "step"
        if change.a is None or change.b is None:
            there, value = ("a", change.a) if change.b is None else ("b", change.b)
            return f"Steps{whose} are in {there} only: {shown(value)} {self._unit}."
        if change.verdict is None:
            told = f"from {shown(change.a)} us in a to {shown(change.b)} us in b"
            return f"A {what}{whose} went {told}; whether that is noise cannot be told."
        return f"A {what}{whose} takes {_WORDS[change.verdict]}: {self._amount(change)}."

    def _amount(self, change: _Change) -> str:
        told = f"{shown(change.a)} us in a, {shown(change.b)} us in b"
        if not change.ratio:
            return f"{told} (noise {shown(change.noise)} us)"
        percent = 100 / (change.a or 1.0)
        return (
            f"{told}, {percent * (change.difference or 0.0):+.1f} % "
            f"(noise {percent * (change.noise or 0.0):.1f} %)"
        )

    def _in_one_only(self) -> Iterator[str]:
        for name, there in (
            ("a", [each for each in self._changes["op"] if each.b is None]),
            ("b", [each for each in self._changes["op"] if each.a is None]),
        ):
            if there:
                there.sort(key=_size, reverse=True)
                listed = ", ".join(
                    f"{_label(each.key)} ({shown(each.a if name == 'a' else each.b)} {self._unit})"
                    for each in there[:_TOLD]
                )
                more = f" and {len(there) - _TOLD} more" if len(there) > _TOLD else ""
                yield f"In {name} only: {listed}{more}."


def diff(a: Profile | Recording, b: Profile | Recording) -> Difference:
    """Compares two profiles: what became slower or faster from a to b, and is it more than noise?

    >>> print(gd.profiling.diff(gd.profiling.load("before.npz"), prof))

    Times are those of the median training step, over all threads; of what most steps do not have,
    the mean. The noise of a difference comes from how steps vary, steps that are alike because they
    follow each other counted as fewer; from how far the quarters of a profile lie apart, as drift
    goes on between two; and from the share of the time that threads were ready to run and had no
    CPU. Two percent and 0.2 us always count as noise: two runs of the same program differ by that.
    The bar is set so that, over all rows, chance alone passes it in a percent of the comparisons.

    Operations are matched by op, layer and phase, and by trainer where there are several. Where the
    batch sizes differ, times are those of a sample.

    Args:
        a: The one before.
        b: The one after.

    Raises:
        RuntimeError: One is still being recorded.
        TypeError: One is no profile.
        ValueError: One has no whole training step.
    """
    return Difference(_recording("a", a), _recording("b", b))


def _recording(argument: str, value: object) -> Recording:
    if isinstance(value, Profile):
        return value.recording
    if isinstance(value, Recording):
        return value
    raise TypeError(
        f"{argument} must be a Profile or a Recording, got {value!r} ({type(value).__name__})"
    )


_WORDS = {
    "longer": "more time",
    "shorter": "less time",
    "no": "as long in both, within the noise",
}


@dataclass(frozen=True)
class _Series:
    """A quantity in each step of a trainer, in time, and how many samples a step has."""

    values: _Floats
    batch: int


class _Side:
    """One of the two: its steps, each with the time of each operation over all threads."""

    def __init__(self, argument: str, recording: Recording) -> None:
        self.recording = recording
        self._times = step_times(recording)
        keys = self._times.keys
        if not len(keys):
            raise ValueError(
                f"{argument} must have at least one whole training step: train within the profile"
            )
        sources = keys >> 32
        self.sources = [i for i in range(len(recording.sources)) if (sources == i).any()]
        self._rows = {i: np.flatnonzero(sources == i) for i in self.sources}
        self.fewest = min(len(rows) for rows in self._rows.values())
        self.batches = [recording.sources[i].batch for i in self.sources]

    def trainer(self, source: int) -> str:
        return self.recording.sources[source].name if len(self.sources) > 1 else ""

    @property
    def held(self) -> float:
        """The share of the time that threads could have run and had no CPU.

        The system tells it of threads, a quota of the process, a virtual machine of its CPUs.
        """
        recording = self.recording
        wanted = sum(each.ready_seconds or 0.0 for each in recording.threads)
        had = sum(each.cpu_seconds or 0.0 for each in recording.threads)
        held = wanted / (wanted + had) if wanted > 0 else 0.0
        seconds = max(recording.nanoseconds / 1e9, 1e-9)
        held += recording.throttled_seconds / seconds
        held += recording.stolen_seconds / seconds / max(recording.machine.online, 1)
        return min(held, 1.0)

    def step_series(self) -> dict[tuple[str, ...], _Series]:
        """By trainer."""
        return {
            (self.trainer(i),): _Series(
                self._times.nanoseconds[rows] / 1e3, self.recording.sources[i].batch
            )
            for i, rows in self._rows.items()
        }

    def series(self, by: str) -> dict[tuple[str, ...], _Series]:
        """By op, layer and phase, by layer or by phase, and by trainer."""
        recording, whole = self.recording, self._times.whole
        groups: dict[tuple[str, ...], int] = {}
        numbers = np.array(
            [groups.setdefault(_key(each, by), len(groups)) for each in recording.operations]
        )
        place = self._times.places(recording.step_keys[whole])
        group = numbers[recording.events["operation"][whole]]
        found = {}
        shape = len(self._times.keys), len(groups)
        sums = np.bincount(
            place * len(groups) + group, recording.durations[whole], shape[0] * shape[1]
        ).reshape(shape)
        for source, rows in self._rows.items():
            for key, i in groups.items():
                values = sums[rows, i]
                if values.any():
                    batch = recording.sources[source].batch
                    found[(*key, self.trainer(source))] = _Series(values / 1e3, batch)
        return found


def _key(kind: Operation, by: str) -> tuple[str, ...]:
    if by == "op":
        return kind.op, kind.layer, kind.phase
    if by == "layer":
        return ((kind.layer if kind.of_plan else "") or "(none)",)
    return (kind.phase,)


# ---- noise ----


def _changes(
    a: dict[tuple[str, ...], _Series],
    b: dict[tuple[str, ...], _Series],
    by_sample: bool,
    held: float,
) -> list[_Change]:
    keys = [*a, *(key for key in b if key not in a)]
    tests = max(len(keys), 1)
    found = []
    for key in keys:
        sides = [_level(each[key], by_sample) if key in each else None for each in (a, b)]
        first, second = sides
        noise = None
        if first is not None and second is not None:
            noise = _noise(first, second, tests, held)
        found.append(
            _Change(
                key,
                None if first is None else first.level,
                None if second is None else second.level,
                noise,
            )
        )
    return found


@dataclass(frozen=True)
class _Level:
    """What a step takes, and how well that is known.

    Attributes:
        level: The median step's; the mean where most steps have none of it.
        error: The standard error of `level`.
        steps: So many independent steps would tell as much; 0 where there are too few to tell.
        drift: How far apart the levels of its quarters are.
        least: What is always noise.
    """

    level: float
    error: float
    steps: float
    drift: float
    least: float


def _level(series: _Series, by_sample: bool) -> _Level:
    divisor = series.batch if by_sample else 1
    values = series.values / divisor
    count = len(values)
    rare = (values > 0).mean() < 0.5
    middle = np.mean if rare else np.median
    level = float(middle(values))
    least = _LEAST / divisor
    if count < _FEWEST_STEPS:
        return _Level(level, 0.0, 0.0, 0.0, least)
    quarters = [float(middle(part)) for part in np.array_split(values, 4)]
    drift = max(quarters) - min(quarters)
    steps = count / _stretch(values - level if rare else np.sign(values - level))
    if rare:
        error = float(values.std(ddof=1)) / math.sqrt(steps)
    else:
        # As many steps are below a median's 95 % interval as above it, by the binomial law.
        # Source: McKean and Schrader, Communications in Statistics B 13(6), 1984.
        rank = max((count - 1.96 * count / math.sqrt(steps)) / 2 - 0.5, 0.0) / (count - 1)
        low, high = np.quantile(values, (rank, 1 - rank))
        error = float(high - low) / 2 / 1.96
    return _Level(level, error, steps, drift, least)


def _stretch(values: _Floats) -> float:
    """How many steps tell no more than one of them, as those that follow each other are alike.

    It is what sums of blocks vary more than those of independent values would; the most of blocks
    of any length, as drift shows in long ones alone.
    Source: Flyvbjerg and Petersen, Journal of Chemical Physics 91(1), 1989.
    """
    variance = float((values**2).mean())
    if variance == 0:
        return 1.0
    most = 1.0
    length = 2
    while len(values) // length >= _FEWEST_BLOCKS:
        blocks = len(values) // length
        sums = values[: blocks * length].reshape(blocks, length).sum(axis=1)
        most = max(most, float((sums**2).mean()) / (length * variance))
        length *= 2
    return most


def _noise(a: _Level, b: _Level, tests: int, held: float) -> float | None:
    """What chance exceeds in 1 % of the comparisons, all rows together.

    What drifts within a profile goes on in the next one, hence farther than its quarters tell.
    """
    steps = min(a.steps, b.steps)
    if steps == 0:
        return None
    surely = _student(_FALSE_ALARMS / tests, max(steps - 1, 4))  # the series is good from 4 on
    level = max(a.level, b.level)
    parts = surely * a.error, surely * b.error, _DRIFT * a.drift, _DRIFT * b.drift, _PLACE * level
    return math.hypot(*parts) + held * level + max(a.least, b.least)


def _student(chance: float, degrees: float) -> float:
    """What Student's t exceeds on either side with that chance.

    Source: Abramowitz and Stegun, "Handbook of mathematical functions", 26.7.5.
    """
    z = NormalDist().inv_cdf(1 - chance / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / degrees**power for power, term in enumerate(terms)))


def _size(change: _Change) -> float:
    if change.difference is not None:
        return abs(change.difference)
    return change.a or change.b or 0.0


def _label(key: tuple[str, ...]) -> str:
    op, layer, phase, trainer = key
    name = " ".join(part for part in (op, layer) if part)
    beside = ", ".join(part for part in (phase if phase != op else "", trainer) if part)
    return f"{name} ({beside})" if beside else name


# ---- circumstances ----


def _circumstances(a: _Side, b: _Side) -> Iterator[str]:
    """What else differs, and could be why."""
    ours, theirs = a.recording.machine, b.recording.machine
    for what, first, second in (
        ("machine", ours.host, theirs.host),
        ("processor", ours.cpu, theirs.cpu),
        ("instruction set", ours.isa, theirs.isa),
        ("version of gdcore", ours.version, theirs.version),
    ):
        if first and second and first != second:
            yield f"The {what} differs: {first} in a, {second} in b."
    if ours.precision != theirs.precision:
        yield "What serves each matmul_precision differs."
    threads = [_threads(each.recording) for each in (a, b)]
    if threads[0] != threads[1]:
        yield (
            f"The threads differ: {threads[0]} in a, {threads[1]} in b; times are sums over them, "
            "so that an operation shared by more may take more in sum and yet less of a step."
        )
    if len(a.sources) != len(b.sources):
        yield (
            f"The trainers differ: {len(a.sources)} in a, {len(b.sources)} in b; "
            "they are matched by their names."
        )
    for one, other in zip(a.sources, b.sources, strict=False):
        yield from _of_trainers(a, one, b, other)
    for name, side in (("a", a), ("b", b)):
        if side.held > _DISTURBED:
            yield (
                f"While {name} was recorded, its threads could have run and had no CPU for "
                f"{100 * side.held:.0f} % of the time: that counts as noise."
            )
        if side.recording.dropped and side.recording.last_steps is None:
            yield f"{name} has lost {side.recording.dropped:,} events, its oldest."


def _of_trainers(a: _Side, first: int, b: _Side, second: int) -> Iterator[str]:
    ours, theirs = a.recording.sources[first], b.recording.sources[second]
    whose = f" of {a.trainer(first)}" if a.trainer(first) else ""
    if ours.batch != theirs.batch and ours.batch and theirs.batch:
        yield (
            f"The batch size{whose} differs: {ours.batch:,} in a, {theirs.batch:,} in b; "
            "times are those of a sample."
        )
    for what, own, other in (
        ("network", ours.network, theirs.network),
        ("dtype", ours.dtype, theirs.dtype),
        ("loss", ours.loss, theirs.loss),
        ("optimizer", ours.optimizer, theirs.optimizer),
        ("arithmetic", _arithmetic(a, first), _arithmetic(b, second)),
    ):
        if own and other and own != other:
            rest = "; layers are matched by their names" if what == "network" else ""
            yield f"The {what}{whose} differs: {own} in a, {other} in b{rest}."


def _threads(recording: Recording) -> int:
    used = recording.events["thread"][recording.work & recording.training]
    return int((np.bincount(used, minlength=1) > 0).sum())


def _arithmetic(side: _Side, source: int) -> str:
    recording = side.recording
    own = recording.work & recording.training & (recording.events["source"] == source)
    used = np.flatnonzero(np.bincount(recording.events["operation"][own], minlength=1))
    return " and ".join(sorted({recording.operations[i].arithmetic for i in used.tolist()} - {""}))

"""What a recording says, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gdcore.profiling.advice.cause import Cause, percent, threads_of, us
from gdcore.profiling.advice.causes import CAUSES
from gdcore.profiling.facts import Facts
from gdcore.profiling.limits import limits
from gdcore.profiling.ranks.told import sentences
from gdcore.profiling.recording import Recording

__all__ = ["Advice", "advise"]


class Advice(str):
    """A sentence with its numbers.

    Attributes:
        kind: A word for what it is about: ``"summary"``, ``"ranks"``, ``"dropped"``, or a
            cause such as ``"neighbour"``; the documentation's page on profiles has all of them.
        share: The part of the time that it is about, 0 to 1, where that can be told.
        trainer: Whose it is, where several were at work; else ``""``.
    """

    kind: str
    share: float
    trainer: str

    def __new__(cls, kind: str, text: str, share: float = 0.0, trainer: str = "") -> Advice:
        """A sentence of a kind."""
        made = super().__new__(cls, f"{trainer}: {text}" if trainer else text)
        made.kind, made.share, made.trainer = kind, share, trainer
        return made

    def __reduce__(self) -> tuple[Callable[..., Advice], tuple[str, str, float, str]]:
        """Copies and pickles keep the kind."""
        return _again, (self.kind, str(self), self.share, self.trainer)


def _again(kind: str, text: str, share: float, trainer: str) -> Advice:
    made = Advice(kind, text, share)
    made.trainer = trainer
    return made


def advise(recording: Recording) -> list[Advice]:
    """A summary of each trainer, then what holds it up, worst first, then what else there is."""
    found = []
    trainers = recording.trainers
    for source in trainers:
        facts = Facts(recording, source)
        if not facts.steps or facts.caller < 0:
            continue
        name = recording.sources[source].name if len(trainers) > 1 else ""
        found.append(Advice("summary", _summary(facts), facts.worked, name))
        found += [Advice(each.kind, each.text, each.share, name) for each in _causes(facts)]
    if not found:
        found += _beside_training(recording)
    told = [Advice("ranks", text, share) for text, share in sentences(recording)]
    return [*found, *told, *_dropped(recording)]


def _causes(facts: Facts) -> list[Cause]:
    """Those there are, without those that another one explains."""
    found: list[Cause] = []
    told: set[str] = set()
    for look in CAUSES:
        found += look(facts, frozenset(told))
        told |= {each.kind for each in found}
    return sorted(found, key=lambda each: (each.tier, -each.share))


def _summary(facts: Facts) -> str:
    speed = facts.flops / max(facts.step * facts.steps, 1.0) * 1e9
    most = limits(facts.recording)
    marked = " (measured while others had CPUs)" if most.dtype in most.disturbed else ""
    steps = f"{facts.steps:,}"
    if facts.recording.every > 1:
        steps += f" of {facts.all_steps:,}"
    return (
        f"{steps} steps of {us(facts.step)} on {threads_of(len(facts.workers))}, at "
        f"{speed / 1e9:.3g} GFLOP/s of all threads together, {percent(speed / most.peak)} of the "
        f"machine's peak without lower precision{marked}; the workers were at operations "
        f"{percent(facts.worked)} of the time."
    )


def _beside_training(recording: Recording) -> Iterator[Advice]:
    """Of a recording without training steps, what there was."""
    told = False
    for phase, what in (
        ("inference", "Predictions"),
        ("validation", "Evaluation"),
        ("checks", "Gradients by differences"),
        ("matmul", "Products of matrices"),
    ):
        mask = recording.phase(phase) & recording.work
        if not mask.any():
            continue
        told = True
        events = recording.events[mask]
        threads = np.unique(events["thread"])
        time = float(recording.durations[mask].sum()) / len(threads)
        speed = float(events["flops"].sum()) / max(time, 1.0)
        peak = limits(recording).peak / 1e9
        share = time / max(recording.nanoseconds, 1)
        yield Advice(
            "summary",
            f"{what} took {us(time)} on {threads_of(len(threads))}, {percent(share)} of the time, "
            f"at {speed:.3g} GFLOP/s of all threads together, {percent(speed / peak)} of the "
            "machine's peak without lower precision. No training step was recorded.",
            share,
        )
    if not told:
        yield Advice("summary", "No training step was recorded: there is nothing to advise on.")


def _dropped(recording: Recording) -> Iterator[Advice]:
    # Who asked for the last steps has them.
    if not recording.dropped or recording.last_steps is not None:
        return
    yield Advice(
        "dropped",
        f"{recording.dropped:,} events are gone and {len(recording.events):,} were kept: record "
        "every n-th step with every=n, or give more room with events_per_thread.",
    )

"""Learning sample by sample: its cost, and how well it follows a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from statistics import median

from benchmarks.learners import LEARNERS
from benchmarks.processes import Worker, in_turns
from benchmarks.streams import STREAMS, Stream
from benchmarks.tables import Row

__all__ = ["online_tables"]

_MISSING = "not installed"
_LOGISTIC = "scaler, logistic regression"

# Networks that learn from one sample a call, and all networks. river's model is another one, so it
# has a ratio of its own.
_ONE_A_CALL = ("torch", "jax")
_NETWORKS = (*_ONE_A_CALL, "jax-scan")


def _medians(stream: Stream, names: Iterable[str], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of what each of the installed learners measured, which take turns."""
    workers = {
        name: Worker("online_worker", name, stream.name)
        for name in names
        if LEARNERS[name].installed
    }
    return {
        name: {key: median(answer[key] for answer in answers) for key in answers[0]}
        for name, answers in in_turns(workers, rounds).items()
    }


def _cost_table(rounds: int) -> list[Row]:
    names = ("gdcore-one", "gdcore-many", *_NETWORKS, "river")
    rows: list[Row] = []
    for stream in (STREAMS["one-output"], STREAMS["two-outputs"]):
        micros = {
            name: found["seconds"] * 1e6 for name, found in _medians(stream, names, rounds).items()
        }
        row: Row = {"network": stream.network}
        row |= {f"{LEARNERS[name].label}, us": micros.get(name, _MISSING) for name in names}
        row["learn_one: times the best, one a call"] = _ratio(micros, "gdcore-one", _ONE_A_CALL)
        row["learn_many: times the best"] = _ratio(micros, "gdcore-many", _NETWORKS)
        row["learn_one: times river"] = _ratio(micros, "gdcore-one", ("river",))
        rows.append(row)
    return rows


def _ratio(micros: Mapping[str, float], ours: str, peers: Iterable[str]) -> float | str:
    theirs = [micros[name] for name in peers if name in micros]
    return min(theirs) / micros[ours] if theirs else "no peer"


def _judged_table(stream: Stream, names: Iterable[str], rounds: int) -> list[Row]:
    found = _medians(stream, names, rounds)
    rows: list[Row] = []
    for name in names:
        row: Row = {
            "learner": LEARNERS[name].label,
            "model": _LOGISTIC if name.startswith("river") else stream.network,
            "us a sample": _MISSING,
        }
        row |= dict.fromkeys(stream.judged, _MISSING)
        if name in found:
            row["us a sample"] = found[name]["seconds"] * 1e6
            row |= {what: found[name][what] for what in stream.judged}
        rows.append(row)
    return rows


def _phishing_table(rounds: int) -> list[Row]:
    if find_spec("river") is None:
        return [{"learner": f"river, which has the stream, is {_MISSING}"}]
    names = ("gdcore-one", "gdcore-predict", "river-predict")
    return _judged_table(STREAMS["phishing"], names, rounds)


def _flip_table(rounds: int) -> list[Row]:
    stream = STREAMS["flip"]
    names = ("gdcore-one", "gdcore-many", *_NETWORKS, "river-predict")
    told_right = stream.samples().told_right
    best: Row = {"learner": "labels that are no noise", "model": "", "us a sample": ""}
    best |= {what: float(told_right[part].mean()) for what, part in stream.judged.items()}
    return [*_judged_table(stream, names, rounds), best]


def online_tables(rounds: int) -> dict[str, list[Row]]:
    """Tables by their titles: cost of a sample, river's Phishing, labels that flip."""
    return {
        "online, one sample a step": _cost_table(rounds),
        "online, river's Phishing, each sample predicted, then learnt": _phishing_table(rounds),
        "online, labels that flip half-way": _flip_table(rounds),
    }

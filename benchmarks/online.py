"""Learning sample by sample: its cost, and how well it follows a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from statistics import median

from benchmarks.learners import LEARNERS
from benchmarks.processes import measured
from benchmarks.streams import STREAMS, Stream
from gdcore.benchmark.figures import Row

__all__ = ["online_tables"]

_MISSING = "not installed"
_LOGISTIC = "scaler, logistic regression"

# Networks that learn from one sample a call, and all networks. river's model is another one, so it
# has a ratio of its own.
_ONE_A_CALL = ("torch", "jax")
_NETWORKS = (*_ONE_A_CALL, "jax-scan")


def _medians(
    stream: Stream, names: Sequence[str], rounds: int
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Medians of what each learner measured, which take turns, and why others did not."""
    wanted = {
        name: ("online_worker", name, stream.name) for name in names if LEARNERS[name].installed
    }
    found, reasons = measured(wanted, rounds)
    medians = {
        name: {key: median(answer[key] for answer in answers) for key in answers[0]}
        for name, answers in found.items()
    }
    return medians, {name: _MISSING for name in names if name not in wanted} | reasons


def _cost_table(rounds: int) -> list[Row]:
    names = ("gdcore-one", "gdcore-many", *_NETWORKS, "river")
    rows: list[Row] = []
    for stream in (STREAMS["one-output"], STREAMS["two-outputs"]):
        found, reasons = _medians(stream, names, rounds)
        micros = {name: answer["seconds"] * 1e6 for name, answer in found.items()}
        row: Row = {"network": stream.network}
        row |= {
            f"{LEARNERS[name].label}, us": micros.get(name, reasons.get(name)) for name in names
        }
        row["learn_one: times the best, one a call"] = _ratio(micros, "gdcore-one", _ONE_A_CALL)
        row["learn_many: times the best"] = _ratio(micros, "gdcore-many", _NETWORKS)
        row["learn_one: times river"] = _ratio(micros, "gdcore-one", ("river",))
        rows.append(row)
    return rows


def _ratio(micros: Mapping[str, float], ours: str, peers: Iterable[str]) -> float | str:
    theirs = [micros[name] for name in peers if name in micros]
    return min(theirs) / micros[ours] if theirs else "no peer"


def _judged_table(stream: Stream, names: Sequence[str], rounds: int) -> list[Row]:
    found, reasons = _medians(stream, names, rounds)
    rows: list[Row] = []
    for name in names:
        row: Row = {
            "learner": LEARNERS[name].label,
            "model": _LOGISTIC if name.startswith("river") else stream.network,
            "us a sample": reasons.get(name),
        }
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

"""Muon and SOAP beside PyTorch's and pytorch_optimizer's, in turns, on networks' parameters."""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

from benchmarks.processes import started
from gdcore.benchmark.figures import Row
from gdcore.benchmark.turns import in_turns

__all__ = ["SHAPES", "matrix_rule_table"]

# Weights and biases.
SHAPES = {
    "784-512-512-10": "512x784,512,512x512,512,10x512,10",
    "1024-4096": "4096x1024,4096",
}
_PEERS = {"muon": ("torch", "pytorch_optimizer"), "soap": ("pytorch_optimizer",)}


def matrix_rule_table(rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each rule, network and number of threads: microseconds of a step.

    PyTorch's Muon multiplies in bfloat16. SOAP is not tried on a side of 4,096, whose first
    eigenvectors alone would take minutes.
    """
    rows: list[Row] = []
    for network, shapes in SHAPES.items():
        for rule, peers in _PEERS.items():
            if rule == "soap" and network == "1024-4096":
                continue
            rows += [
                _row(rule, network, shapes, peers, n, rounds, seconds) for n in sorted({1, threads})
            ]
    return rows


def _row(
    rule: str,
    network: str,
    shapes: str,
    peers: tuple[str, ...],
    threads: int,
    rounds: int,
    seconds: float,
) -> Row:
    libraries = ["gdcore", *(peer for peer in peers if find_spec(peer) is not None)]
    wanted = {
        library: ("matrix_worker", library, rule, shapes, threads, seconds) for library in libraries
    }
    with started(wanted) as (workers, reasons):
        found = in_turns({name: each.measure for name, each in workers.items()}, rounds)
    row: Row = {"rule": rule, "network": network, "threads": threads}
    times = {name: median(each["seconds"] for each in answers) for name, answers in found.items()}
    for library in libraries:
        row[f"{library}, us"] = times[library] * 1e6 if library in times else reasons[library]
    theirs = [each for name, each in times.items() if name != "gdcore"]
    if "gdcore" in times and theirs:
        row["times the best peer"] = min(theirs) / times["gdcore"]
    return row

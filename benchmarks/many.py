"""Many small networks at once, on a table of diabetes' size, beside other ways to train them."""

from __future__ import annotations

from statistics import median

from benchmarks.many_worker import BATCH, EPOCHS, LIBRARIES, SHAPE, WIDTHS
from benchmarks.processes import measured
from gdcore.benchmark.figures import Row

__all__ = ["many_table"]

_OURS = ("fit_many", "loop")


def many_table(rounds: int, threads: int) -> list[Row]:
    """A row for each way: epochs of one network in a second, all networks together."""
    wanted = {name: ("many_worker", name, threads) for name in LIBRARIES}
    found, reasons = measured(wanted, rounds)
    network = "-".join(map(str, WIDTHS))
    rows: list[Row] = []
    speeds: dict[str, float] = {}
    for name, (label, networks) in LIBRARIES.items():
        row: Row = {"way": label, "network": network, "rows": SHAPE[0], "batch": BATCH}
        row |= {"networks": networks, "epochs": EPOCHS}
        if name in reasons:
            rows.append(row | {"epochs/s": reasons[name]})
            continue
        answers = found[name]
        speeds[name] = median(answer["epochs/s"] for answer in answers)
        loss = median(answer["loss"] for answer in answers)
        rows.append(row | {"epochs/s": speeds[name], "loss": loss})
    peers = [speed for name, speed in speeds.items() if name not in _OURS]
    if "fit_many" in speeds and peers:
        rows[0]["times the best peer"] = speeds["fit_many"] / max(peers)
    return rows

"""`predict` beside ONNX Runtime, on the network that gdcore exports: `... benchmarks.run predict`.

Both get float32 rows that lie ready, and answer on one thread and on all; the best of each counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.processes import measured
from gdcore.benchmark.figures import Row

__all__ = ["LIBRARIES", "PREDICTIONS", "Prediction", "prediction_table"]

LIBRARIES = ("gdcore", "ONNX Runtime")


@dataclass(frozen=True)
class Prediction:
    """A network with relu, and how many rows it gets at once.

    Attributes:
        widths: Inputs, units of each layer, outputs.
        rows: At once.
    """

    widths: tuple[int, ...]
    rows: int

    @property
    def name(self) -> str:
        """Such as ``"30-64-1 b1"``."""
        return f"{'-'.join(map(str, self.widths))} b{self.rows}"


_MNIST, _COVERTYPE = (784, 512, 512, 10), (54, 256, 256, 7)
PREDICTIONS = {
    each.name: each
    for each in (
        Prediction((30, 64, 1), 1),
        Prediction((17, 256, 256, 6), 1),
        Prediction(_MNIST, 1),
        Prediction(_MNIST, 128),
        Prediction(_COVERTYPE, 1024),
        Prediction(_MNIST, 10_000),
    )
}


def prediction_table(rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each network and number of rows: microseconds a call, each on its best threads."""
    rows: list[Row] = []
    for name in PREDICTIONS:
        keys = [(each, count) for each in LIBRARIES for count in sorted({1, threads})]
        workers = {key: ("prediction_worker", *key, name, seconds) for key in keys}
        found, reasons = measured(workers, rounds)
        row: Row = {"network and rows": name}
        best: dict[str, float] = {}
        for library in LIBRARIES:
            times = {
                count: median(each["seconds"] for each in found[library, count])
                for count in sorted({1, threads})
                if (library, count) not in reasons
            }
            if not times:
                row[f"{library}, us"] = reasons[library, 1]
                continue
            best[library] = min(times.values())
            row[f"{library}, us"] = best[library] * 1e6
            row[f"{library} on x threads"] = min(times, key=lambda count: times[count])
        if len(best) == len(LIBRARIES):
            row["times ONNX Runtime"] = best[LIBRARIES[1]] / best[LIBRARIES[0]]
        rows.append(row)
    return rows

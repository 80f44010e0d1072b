"""`fit` on scikit-learn's digits, beside its MLPClassifier."""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

from benchmarks.estimator_worker import BATCH, EPOCHS, HIDDEN
from benchmarks.processes import measured
from gdcore.benchmark.figures import Row

__all__ = ["estimator_table"]

_LABELS = {"gdcore": "gdcore Trainer.fit", "sklearn": "scikit-learn MLPClassifier.fit"}


def estimator_table(rounds: int) -> list[Row]:
    """A row for each library; each chooses its threads, and every round has its own seed."""
    if find_spec("sklearn") is None:
        return [{"library": "scikit-learn, which has the data, is not installed"}]
    found, reasons = measured({name: ("estimator_worker", name) for name in _LABELS}, rounds)
    rows: list[Row] = []
    speeds: dict[str, float] = {}
    for name, label in _LABELS.items():
        row: Row = {"library": label, "network": f"64-{HIDDEN}-10", "batch": BATCH}
        row["epochs"] = EPOCHS
        if name in reasons:
            rows.append(row | {"samples/s": reasons[name]})
            continue
        speeds[name] = median(answer["samples/s"] for answer in found[name])
        row["samples/s"] = speeds[name]
        row["test accuracy"] = median(answer["accuracy"] for answer in found[name])
        rows.append(row)
    if len(speeds) == len(_LABELS):
        rows[0]["times scikit-learn"] = speeds["gdcore"] / speeds["sklearn"]
    return rows

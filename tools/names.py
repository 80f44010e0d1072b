"""The names that arguments take, for type checkers: python/gdcore/typing.py.

It is made from what there is, the formulas and the tables of names, and committed, so that type
checkers and editors need no build:

    python tools/names.py            writes it
    python tools/names.py --check    tells whether it is up to date
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from generated import write_or_check

from gdcore import ensembles, fit_results, initializers, linalg, metrics, schedules
from gdcore._native import DTYPES
from gdcore.activations import Activation
from gdcore.callbacks import MODES
from gdcore.losses import Loss
from gdcore.metrics import Metric
from gdcore.optimizers import Optimizer
from gdcore.profiling import diff, tables
from gdcore.solvers import Solver

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "python" / "gdcore" / "typing.py"

HEAD = '''"""The names that arguments take, as types: editors complete them, checkers refuse others.

>>> def network(activation: gdcore.typing.ActivationName) -> gdcore.Network: ...

Written by tools/names.py from what there is; a formula of one's own is passed as an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

'''

TAIL = '''
_Float = np.float32 | np.float64
DType = DTypeName | type[_Float] | type[float] | np.dtype[_Float]
"""The argument dtype of `gdcore.Network`."""


class SparseRows(Protocol):
    """What SciPy's CSR arrays and matrices have: see ``Input(columns, sparse=True)``."""

    @property
    def format(self) -> Any:
        """``"csr"``."""

    @property
    def shape(self) -> Any:
        """(N, columns)."""

    @property
    def indptr(self) -> Any:
        """(N + 1,): where the elements of each row begin in the other two, and where all end."""

    @property
    def indices(self) -> Any:
        """Of each element its column."""

    @property
    def data(self) -> Any:
        """Of each element its value."""


Inputs = ArrayLike | SparseRows | Mapping[str, ArrayLike | SparseRows]
"""An array, or arrays by the names of a network's inputs or outputs."""


def __dir__() -> list[str]:
    return __all__
'''


def aliases() -> dict[str, tuple[Iterable[str], str]]:
    """Each type with its names, and what it is the type of."""
    difference = sys.modules[diff.__module__]
    return {
        "ActivationName": (Activation.members, "Activations, see `gdcore.activations`."),
        "DTypeName": (DTYPES, "What parameters and arithmetic may be in."),
        "DifferenceBy": (difference._BY, "What `gdcore.profiling.Difference.table` may sum over."),
        "EnsembleAverage": (ensembles.AVERAGES, "What `gdcore.Ensemble` takes the mean of."),
        "FiguresOf": (fit_results.OF, "Which figures `gdcore.FitResults.spread` takes."),
        "InitializerName": (initializers.NAMES, "Initial values, see `gdcore.initializers`."),
        "LossName": (Loss.members, "Losses, see `gdcore.losses`."),
        "MetricName": (Metric.members, "Metrics, see `gdcore.metrics`."),
        "Mode": (MODES, "Which way a figure is better, see `gdcore.callbacks.EarlyStopping`."),
        "OptimizerName": (Optimizer.members, "Optimizers, see `gdcore.optimizers`."),
        "Precision": (linalg.PRECISIONS, "Of products, see `gdcore.matmul`."),
        "ScheduleName": (schedules.NAMES, "Schedules over all epochs, see `gdcore.schedules`."),
        "SolverName": (Solver.members, "Optimizers of all samples at once, see `gdcore.solvers`."),
        "TableBy": (tables.BY, "What `gdcore.profiling.Profile.table` may sum over."),
        "Task": (metrics.TASKS, "What outputs mean, see `gdcore.metrics`."),
        "Unit": (schedules.UNITS, "What schedules count."),
    }


def generate() -> str:
    found = aliases()
    parts = [HEAD, "__all__ = [\n"]
    parts += [f'    "{name}",\n' for name in sorted([*found, "DType", "Inputs", "SparseRows"])]
    parts.append("]\n")
    for name, (names, what) in found.items():
        literal = "".join(f'    "{each}",\n' for each in names)
        parts.append(f'\n{name} = Literal[\n{literal}]\n"""{what}"""\n')
    return "".join([*parts, TAIL])


if __name__ == "__main__":
    sys.exit(write_or_check(COMMITTED, generate, "python tools/names.py"))

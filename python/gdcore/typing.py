"""The names that arguments take, as types: editors complete them, checkers refuse others.

>>> def network(activation: gdcore.typing.ActivationName) -> gdcore.Network: ...

Written by tools/names.py from what there is; a formula of one's own is passed as an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "ActivationName",
    "DType",
    "DTypeName",
    "DifferenceBy",
    "EnsembleAverage",
    "FiguresOf",
    "InitializerName",
    "Inputs",
    "LossName",
    "MetricName",
    "Mode",
    "OptimizerName",
    "Precision",
    "ScheduleName",
    "SolverName",
    "SparseRows",
    "TableBy",
    "Task",
    "Unit",
]

ActivationName = Literal[
    "identity",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "sigmoid",
    "logsigmoid",
    "hardsigmoid",
    "tanh",
    "tanhshrink",
    "hardtanh",
    "softsign",
    "gelu",
    "gelu_tanh",
    "silu",
    "hardswish",
    "mish",
    "softplus",
    "softshrink",
    "hardshrink",
    "threshold",
    "softmax",
    "log_softmax",
]
"""Activations, see `gdcore.activations`."""

DTypeName = Literal[
    "float32",
    "float64",
]
"""What parameters and arithmetic may be in."""

DifferenceBy = Literal[
    "op",
    "layer",
    "phase",
]
"""What `gdcore.profiling.Difference.table` may sum over."""

EnsembleAverage = Literal[
    "auto",
    "outputs",
    "probabilities",
]
"""What `gdcore.Ensemble` takes the mean of."""

FiguresOf = Literal[
    "best",
    "last",
]
"""Which figures `gdcore.FitResults.spread` takes."""

InitializerName = Literal[
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "pytorch",
    "normal",
    "zeros",
]
"""Initial values, see `gdcore.initializers`."""

LossName = Literal[
    "mse",
    "mae",
    "huber",
    "smooth_l1",
    "log_cosh",
    "quantile",
    "poisson_nll",
    "gaussian_nll",
    "cosine",
    "kl_div",
    "hinge",
    "squared_hinge",
    "bce_with_logits",
    "binary_focal",
    "cross_entropy",
    "nll",
    "focal",
]
"""Losses, see `gdcore.losses`."""

MetricName = Literal[
    "accuracy",
    "top_k",
    "mae",
    "rmse",
    "r2",
    "auc",
]
"""Metrics, see `gdcore.metrics`."""

Mode = Literal[
    "auto",
    "min",
    "max",
]
"""Which way a figure is better, see `gdcore.callbacks.EarlyStopping`."""

OptimizerName = Literal[
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "radam",
    "adagrad",
    "rmsprop",
    "adadelta",
    "ftrl",
    "madgrad",
    "sgd",
    "asgd",
    "lion",
    "rprop",
    "adafactor",
    "muon",
    "soap",
    "adabelief",
    "yogi",
    "adan",
    "ademamix",
    "adopt",
    "lars",
    "lamb",
    "prodigy",
    "schedule_free_sgd",
    "schedule_free_adamw",
]
"""Optimizers, see `gdcore.optimizers`."""

Precision = Literal[
    "highest",
    "high",
    "medium",
]
"""Of products, see `gdcore.matmul`."""

ScheduleName = Literal[
    "constant",
    "step",
    "exponential",
    "cosine",
    "linear",
    "one_cycle",
    "flat_cos",
    "coslog",
]
"""Schedules over all epochs, see `gdcore.schedules`."""

SolverName = Literal[
    "lbfgs",
    "levenberg_marquardt",
]
"""Optimizers of all samples at once, see `gdcore.solvers`."""

TableBy = Literal[
    "op",
    "layer",
    "phase",
    "thread",
    "rank",
]
"""What `gdcore.profiling.Profile.table` may sum over."""

Task = Literal[
    "multiclass",
    "binary",
    "regression",
]
"""What outputs mean, see `gdcore.metrics`."""

Unit = Literal[
    "epoch",
    "step",
]
"""What schedules count."""

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

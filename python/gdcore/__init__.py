"""gdcore: trains dense neural networks by gradient descent on CPUs.

>>> import gdcore as gd
>>> net = gd.Network([gd.Dense(128, "relu"), gd.Dense(10)], input_size=64)
>>> trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.Adam(lr=1e-3))
>>> trainer.fit(x, y, epochs=20, batch_size=32)
>>> net.predict(x)
"""

from __future__ import annotations

from gdcore import _start  # noqa: F401  # isort: skip  (before what else loads _core)
from gdcore import (
    callbacks,
    files,
    initializers,
    losses,
    metrics,
    optimizers,
    profiling,
    schedules,
)
from gdcore.activations import (
    ELU,
    GELU,
    GELUTanh,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from gdcore.checks import GradientReport, check_gradients, numerical_gradient
from gdcore.config import get_num_threads, set_num_threads, show_config
from gdcore.history import History
from gdcore.layers import Dense
from gdcore.linalg import matmul
from gdcore.losses import MAE, MSE, BCEWithLogits, CrossEntropy, Huber
from gdcore.network import Network
from gdcore.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from gdcore.profiling import profile, scaling_study

# Not in __all__: a star import must leave Python's own in place.
from gdcore.profiling import range as range
from gdcore.training import Trainer

__version__ = str(show_config()["version"])

__all__ = [
    "ELU",
    "GELU",
    "MAE",
    "MSE",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BCEWithLogits",
    "CrossEntropy",
    "Dense",
    "GELUTanh",
    "GradientReport",
    "History",
    "Huber",
    "Identity",
    "LeakyReLU",
    "Network",
    "RMSprop",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Trainer",
    "callbacks",
    "check_gradients",
    "files",
    "get_num_threads",
    "initializers",
    "losses",
    "matmul",
    "metrics",
    "numerical_gradient",
    "optimizers",
    "profile",
    "profiling",
    "scaling_study",
    "schedules",
    "set_num_threads",
    "show_config",
]

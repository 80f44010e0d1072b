"""gdcore: trains dense neural networks by gradient descent on CPUs.

>>> import gdcore as gd
>>> net = gd.Network([gd.Dense(128, "relu"), gd.Dense(10)], input_size=64)
>>> trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.Adam(lr=1e-3))
>>> trainer.fit(x, y, epochs=20, batch_size=32)
>>> net.predict(x)

What there is, by topic; ``help(gd.Trainer)`` tells of one of them:

network        Network, Dense
activations    ELU, GELU, GELUTanh, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus,
               Tanh
training       Trainer, History
losses         BCEWithLogits, BinaryFocal, CosineDistance, CrossEntropy, Focal, GaussianNLL, Hinge,
               Huber, KLDiv, LogCosh, MAE, MSE, NLL, PoissonNLL, Quantile, SmoothL1, SquaredHinge;
               a function of one's own: losses.Function
optimizers     Adadelta, Adagrad, Adam, AdamW, RMSprop, SGD
learning rate  schedules: Constant, Cosine, Exponential, Function, Step, Warmup, spread
judging        metrics: AUC, Accuracy, MAE, R2, RMSE, TopK
while it fits  callbacks: Callback, Checkpoint, EarlyStopping, Live, TensorBoard
initial values initializers: their names and formulas
gradients      check_gradients, numerical_gradient, GradientReport
profiles       profile, range, scaling_study, and in profiling what they return
files          Network.save, Network.load, Trainer.save, Trainer.load; files: read_description
arithmetic     matmul
this machine   show_config, get_num_threads, set_num_threads
types          typing: the names that arguments take, for type checkers
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from gdcore import _start  # noqa: F401  # isort: skip  (before what else loads _core)
from gdcore.config import show_config

if TYPE_CHECKING:
    from gdcore import (
        callbacks,
        files,
        initializers,
        losses,
        metrics,
        optimizers,
        profiling,
        schedules,
        typing,
    )

    # Not in __all__: a star import must leave Python's own in place.
    from gdcore._ranges import range as range
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
    from gdcore.config import get_num_threads, set_num_threads
    from gdcore.history import History
    from gdcore.layers import Dense
    from gdcore.linalg import matmul
    from gdcore.losses import (
        MAE,
        MSE,
        NLL,
        BCEWithLogits,
        BinaryFocal,
        CosineDistance,
        CrossEntropy,
        Focal,
        GaussianNLL,
        Hinge,
        Huber,
        KLDiv,
        LogCosh,
        PoissonNLL,
        Quantile,
        SmoothL1,
        SquaredHinge,
    )
    from gdcore.network import Network
    from gdcore.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
    from gdcore.profiling import profile, scaling_study
    from gdcore.training import Trainer

    __all__ = [
        "ELU",
        "GELU",
        "MAE",
        "MSE",
        "NLL",
        "SGD",
        "Adadelta",
        "Adagrad",
        "Adam",
        "AdamW",
        "BCEWithLogits",
        "BinaryFocal",
        "CosineDistance",
        "CrossEntropy",
        "Dense",
        "Focal",
        "GELUTanh",
        "GaussianNLL",
        "GradientReport",
        "Hinge",
        "History",
        "Huber",
        "Identity",
        "KLDiv",
        "LeakyReLU",
        "LogCosh",
        "Network",
        "PoissonNLL",
        "Quantile",
        "RMSprop",
        "ReLU",
        "SiLU",
        "Sigmoid",
        "SmoothL1",
        "Softmax",
        "Softplus",
        "SquaredHinge",
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
        "typing",
    ]
else:
    # But for what training needs they are loaded when they are first asked for, so that `import
    # gdcore` takes little time. The names that a module stands for; tests hold this against what
    # type checkers see above.
    _WHERE = {
        "_ranges": ("range",),
        "activations": (
            *("ELU", "GELU", "GELUTanh", "Identity", "LeakyReLU", "ReLU", "SiLU", "Sigmoid"),
            *("Softmax", "Softplus", "Tanh"),
        ),
        "checks": ("GradientReport", "check_gradients", "numerical_gradient"),
        "config": ("get_num_threads", "set_num_threads", "show_config"),
        "history": ("History",),
        "layers": ("Dense",),
        "linalg": ("matmul",),
        "losses": (
            *("BCEWithLogits", "BinaryFocal", "CosineDistance", "CrossEntropy", "Focal"),
            *("GaussianNLL", "Hinge", "Huber", "KLDiv", "LogCosh", "MAE", "MSE", "NLL"),
            *("PoissonNLL", "Quantile", "SmoothL1", "SquaredHinge"),
        ),
        "network": ("Network",),
        "optimizers": ("Adadelta", "Adagrad", "Adam", "AdamW", "RMSprop", "SGD"),
        "profiling": ("profile", "scaling_study"),
        "training": ("Trainer",),
    }
    _MODULES = (
        *("callbacks", "files", "initializers", "losses", "metrics", "optimizers", "profiling"),
        *("schedules", "typing"),
    )
    _HOME = {name: module for module, names in _WHERE.items() for name in names}
    _PUBLIC = sorted({*_HOME, *_MODULES})

    # No process forks while another thread loads one of them: what it has locked for that would
    # stay locked in the child.
    _loading = threading.RLock()
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(
            before=_loading.acquire,
            after_in_parent=_loading.release,
            after_in_child=_loading.release,
        )

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            with _loading:
                value = getattr(importlib.import_module(f"gdcore.{_HOME[name]}"), name)
            globals()[name] = value  # from now on without a detour
            return value
        if name in _MODULES or name in _WHERE:
            with _loading:
                return importlib.import_module(f"gdcore.{name}")
        # help() prints every class in full where there is an __all__: 3,000 lines that hide the
        # overview above. It alone is told of none.
        if name == "__all__" and sys._getframe(1).f_globals.get("__name__") != "pydoc":
            return [each for each in _PUBLIC if each != "range"]
        raise AttributeError(f"module 'gdcore' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*_PUBLIC, "__all__", *(name for name in globals() if name.startswith("__"))]

    # What training needs is there at once: a process may lose the right to read files, and need not
    # stop to load.
    importlib.import_module("gdcore.training")


__version__ = str(show_config()["version"])

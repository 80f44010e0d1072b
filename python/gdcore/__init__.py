"""gdcore: trains dense neural networks by gradient descent on CPUs.

>>> import gdcore as gd
>>> net = gd.Network([gd.Dense(128, "relu"), gd.Dense(10)], input_size=64)
>>> trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.Adam(lr=1e-3))
>>> trainer.fit(x, y, epochs=20, batch_size=32)
>>> net.predict(x)

What there is, by topic; ``help(gd.Trainer)`` tells of one of them:

network        Network
layers         all of `layers`
activations    all of `activations`
columns        compute_bins
training       Trainer, History
many networks  fit_many, FitResult, FitResults, folds, Ensemble
losses         all of `losses`
optimizers     all of `optimizers`
solvers        all of `solvers`
wrappers       Lookahead, SAM, Penalized: optimizers around another
averaging      EMA, SWA: of the weights
clipping       AdaptiveClip, ClipNorm, ClipValue
groups         Group
parameters     Parameter: beside those of layers
learning rate  schedules: Adaptive, Chained, Constant, CosLog, Cosine, CosineWarmRestarts,
               Cyclic, Exponential, FlatCos, Function, InverseScaling, InverseSqrt, Lambda,
               Linear, MultiStep, Multiplicative, OneCycle, Piecewise, Polynomial,
               ReduceOnPlateau, Sequential, Step, Warmup, spread
to find one    lr_range_test, RangeTest
judging        metrics: AUC, Accuracy, MAE, R2, RMSE, TopK
while it fits  callbacks: Callback, Checkpoint, EarlyStopping, Live, Log, MLflow, TensorBoard
initial values initializers: their names and formulas
gradients      check_gradients, numerical_gradient, GradientReport
profiles       profile, range, scaling_study, and in profiling what they return
data           data: Arrow, Chunks, NPY, Parquet: more than memory holds
tables         tabular: Preparation, Model; load_model
files          Network.save, Network.load, Trainer.save, Trainer.load; files: read_description
other programs export: from_keras_weights, from_sklearn, from_torch, load_torch_state, targets,
               to_c, to_keras_weights, to_onnx, to_sklearn, to_torch, torch_state
several ranks  distributed: Communicator, TorchCommunicator, busy, estimate, run_ranks,
               threads_for
arithmetic     matmul
this machine   show_config, get_num_threads, set_num_threads
types          typing: the names that arguments take, for type checkers
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gdcore import _start  # noqa: F401  # isort: skip  (before what else loads _core)

from gdcore import _pools
from gdcore._loading import loading
from gdcore.config import show_config as show_config

if TYPE_CHECKING:
    # No __all__: type checkers would not see what it gets from these modules. Public is
    # what a star brings, and what is imported as itself.
    from gdcore import callbacks as callbacks
    from gdcore import data as data
    from gdcore import distributed as distributed
    from gdcore import export as export
    from gdcore import files as files
    from gdcore import initializers as initializers
    from gdcore import layers as layers
    from gdcore import losses as losses
    from gdcore import metrics as metrics
    from gdcore import optimizers as optimizers
    from gdcore import profiling as profiling
    from gdcore import schedules as schedules
    from gdcore import solvers as solvers
    from gdcore import tabular as tabular
    from gdcore import typing as typing
    from gdcore._ranges import range as range

    # A formula or a layer is public by its module's __all__ alone.
    from gdcore.activations import *  # noqa: F403
    from gdcore.averaging import EMA as EMA
    from gdcore.averaging import SWA as SWA
    from gdcore.binning import compute_bins as compute_bins
    from gdcore.checks import GradientReport as GradientReport
    from gdcore.checks import check_gradients as check_gradients
    from gdcore.checks import numerical_gradient as numerical_gradient
    from gdcore.clipping import AdaptiveClip as AdaptiveClip
    from gdcore.clipping import ClipNorm as ClipNorm
    from gdcore.clipping import ClipValue as ClipValue
    from gdcore.config import get_num_threads as get_num_threads
    from gdcore.config import set_num_threads as set_num_threads
    from gdcore.cross_validation import folds as folds
    from gdcore.ensembles import Ensemble as Ensemble
    from gdcore.fit_results import FitResult as FitResult
    from gdcore.fit_results import FitResults as FitResults
    from gdcore.groups import Group as Group
    from gdcore.history import History as History
    from gdcore.layers import *  # noqa: F403
    from gdcore.linalg import matmul as matmul
    from gdcore.losses import *  # noqa: F403
    from gdcore.many import fit_many as fit_many
    from gdcore.network import Network as Network
    from gdcore.optimizers import *  # noqa: F403
    from gdcore.parameters import Parameter as Parameter
    from gdcore.profiling import profile as profile
    from gdcore.profiling import scaling_study as scaling_study
    from gdcore.range_test import RangeTest as RangeTest
    from gdcore.range_test import lr_range_test as lr_range_test
    from gdcore.solvers import *  # noqa: F403
    from gdcore.tabular import load_model as load_model
    from gdcore.training import Trainer as Trainer
    from gdcore.wrappers import SAM as SAM
    from gdcore.wrappers import Lookahead as Lookahead
    from gdcore.wrappers import Penalized as Penalized
else:

    def _wrapped(names: list[str]) -> str:
        """The names in lines of the overview above."""
        lines = [""]
        for name in sorted(names, key=str.lower):
            if len(lines[-1]) + len(name) > 80:
                lines.append("")
            lines[-1] += f"{name}, "
        return "\n".ljust(16).join(line.rstrip() for line in lines).removesuffix(",")

    # All is loaded when it is first asked for, so that `import gdcore` takes little time. The names
    # that a module stands for, where it is not all of its own; tests hold this against what type
    # checkers see above.
    _WHERE = {
        "_ranges": ("range",),
        "averaging": ("EMA", "SWA"),
        "binning": ("compute_bins",),
        "checks": ("GradientReport", "check_gradients", "numerical_gradient"),
        "clipping": ("AdaptiveClip", "ClipNorm", "ClipValue"),
        "config": ("get_num_threads", "set_num_threads", "show_config"),
        "cross_validation": ("folds",),
        "ensembles": ("Ensemble",),
        "fit_results": ("FitResult", "FitResults"),
        "groups": ("Group",),
        "history": ("History",),
        "linalg": ("matmul",),
        "many": ("fit_many",),
        "network": ("Network",),
        "parameters": ("Parameter",),
        "profiling": ("profile", "scaling_study"),
        "range_test": ("RangeTest", "lr_range_test"),
        "tabular": ("load_model",),
        "training": ("Trainer",),
        "wrappers": ("SAM", "Lookahead", "Penalized"),
    }
    _MODULES = (
        *(
            "callbacks",
            "data",
            "distributed",
            "export",
            "files",
            "initializers",
            "layers",
            "losses",
            "metrics",
            "optimizers",
        ),
        *("profiling", "schedules", "solvers", "tabular", "typing"),
    )
    _HOME = {name: module for module, names in _WHERE.items() for name in names}
    # Public by their own __all__ alone.
    _FAMILIES = ("activations", "layers", "losses", "optimizers", "solvers")
    _TRAINING = frozenset((*_FAMILIES, "network", "training"))

    def _families() -> dict[str, Any]:
        return {each: importlib.import_module(f"gdcore.{each}") for each in _FAMILIES}

    def _load_training() -> None:
        """Loads at once what training needs.

        Its first step need not stop to load, and the process may have lost the right to by then.
        """
        with loading:
            importlib.import_module("gdcore.training")
            for module in _families().values():
                globals().update((name, getattr(module, name)) for name in module.__all__)

    def _public() -> list[str]:
        whole = (name for module in _families().values() for name in module.__all__)
        return sorted({*_HOME, *_MODULES, *whole})

    class _Package(ModuleType):
        """A module whose docstring names what is loaded only later."""

        @property
        def __doc__(self) -> str | None:
            text: str | None = self.__dict__["__doc__"]
            for name, module in _families().items() if text else ():  # there is none under -OO
                text = text.replace(f"all of `{name}`", _wrapped(module.__all__))
            return text

        @__doc__.setter
        def __doc__(self, text: str | None) -> None:
            self.__dict__["__doc__"] = text

        def __reduce__(self) -> Any:
            """What cloudpickle, which knows plain modules alone, makes of it: its import."""
            return importlib.import_module, (self.__name__,)

    sys.modules[__name__].__class__ = _Package

    def __getattr__(name: str) -> Any:
        module = _HOME.get(name, name)
        if name in _HOME and module not in _TRAINING:
            with loading:
                value = getattr(importlib.import_module(f"gdcore.{module}"), name)
            globals()[name] = value  # from now on without a detour
            return value
        if name in (_WHERE.keys() | {*_MODULES}) - _TRAINING:
            with loading:
                return importlib.import_module(f"gdcore.{name}")
        # help() prints every class in full where there is an __all__: 3,000 lines that hide the
        # overview above. It alone is told of none.
        if name == "__all__" and sys._getframe(1).f_globals.get("__name__") != "pydoc":
            return [each for each in _public() if each != "range"]
        if not name.startswith("_"):
            _load_training()
            if name in _HOME:
                globals()[name] = getattr(sys.modules[f"gdcore.{module}"], name)
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module 'gdcore' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*_public(), "__all__", *(name for name in globals() if name.startswith("__"))]


_pools.show_to_threadpoolctl()
__version__ = str(show_config()["version"])

"""Every public call with good arguments, and how each of them is taken."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import numbers
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from world import LABELS, PROBABILITIES, WEIGHT, World, X, Y

import gdcore as gd
from gdcore import callbacks, files, schedules
from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.metrics import Metric
from gdcore.optimizers import Optimizer
from gdcore.schedules import Schedule

__all__ = ["CALLS", "Call", "Slot", "public_calls"]


# ---- what a slot takes: the plain value of what was given, or an error if it should not be ----


def _seen(value: Any) -> Any:
    """As NumPy sees it, but that pandas' numbers which may be missing are numbers where none is."""
    found = np.asarray(value)
    if found.dtype.kind == "O" and hasattr(value, "convert_dtypes"):
        found = value.to_numpy(np.float64)
    return np.array(found, subok=False)


def _plain_array(value: Any, good: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError("a mask")
    found = _seen(value)
    if found.dtype.kind not in "biuf":
        raise TypeError(found.dtype)
    kept = found.astype(np.asarray(good).dtype if np.asarray(good).dtype.kind == "f" else float)
    if not np.isfinite(kept).all():
        raise ValueError("not finite")
    return kept


def _matrix(value: Any, good: Any) -> Any:
    found = _plain_array(value, good)
    if found.shape != good.shape:
        raise ValueError(found.shape)
    return found


def _rows(value: Any, good: Any) -> Any:
    """Any number of rows."""
    found = _plain_array(value, good)
    if found.ndim != 2 or found.shape[1] != good.shape[1] or not len(found):
        raise ValueError(found.shape)
    return found


def _any_array(value: Any, good: Any) -> Any:
    return _plain_array(value, good)


def _factor(value: Any, good: Any) -> Any:
    """Products of what is not finite are what they are."""
    found = _seen(value)
    if found.dtype.kind not in "biuf" or np.ma.is_masked(value):
        raise TypeError(found.dtype)
    return found.astype(np.float64)


def _floats(value: Any, good: Any) -> Any:
    """An array to be updated, as it is."""
    found = _seen(value)
    if not isinstance(value, np.ndarray) or found.dtype not in (np.float32, np.float64):
        raise TypeError(found.dtype)
    return found


def _judged(value: Any, good: Any) -> Any:
    """Outputs may be NaN: then the metric is."""
    with contextlib.suppress(ValueError):
        return _matrix(value, good)
    if not isinstance(value, np.ndarray) or value.shape != good.shape:
        raise ValueError("no outputs")
    return np.array(np.asarray(value), np.float64)


def _label(value: Any, good: Any) -> Any:
    return int(value) if isinstance(value, (bool, np.bool_)) else _count(value, good)


def _labels(value: Any, good: Any) -> Any:
    found = _seen(value)
    if found.shape == PROBABILITIES.shape:
        found = _matrix(value, PROBABILITIES)
        if not np.allclose(found.sum(1), 1, atol=1e-3):
            raise ValueError("no probabilities")
        return found
    if found.dtype.kind not in "biu" or found.shape != good.shape:
        raise ValueError("no labels")
    if (found < 0).any() or (found > 3).any():
        raise ValueError("out of range")
    return found.astype(np.int64)


def _unit(value: Any, good: Any) -> Any:
    found = _matrix(value, good)
    if (found < 0).any() or (found > 1).any():
        raise ValueError("out of [0, 1]")
    return found


def _weight(value: Any, good: Any) -> Any:
    if value is None:
        return None
    found = _matrix(value, good)
    if (found < 0).any() or not found.any():
        raise ValueError("no weights")
    return found


def _count(value: Any, good: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError("a bool")
    found = operator.index(value)
    if not -(2**63) <= found < 2**63:
        raise ValueError(found)
    return found


def _maybe_count(value: Any, good: Any) -> Any:
    return None if value is None else _count(value, good)


def _real(value: Any, good: Any) -> Any:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError("no number")
    if not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def _maybe_real(value: Any, good: Any) -> Any:
    return None if value is None else _real(value, good)


def _flag(value: Any, good: Any) -> Any:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError("no bool")
    return bool(value)


def _word(value: Any, good: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("no text")
    return str(value)


def _maybe_word(value: Any, good: Any) -> Any:
    return None if value is None else _word(value, good)


def _dtype(value: Any, good: Any) -> Any:
    found = np.dtype(value)
    if value is None or found not in (np.float32, np.float64):
        raise TypeError(found)
    return found.name


def _pair(value: Any, good: Any) -> Any:
    first, second = value
    if not isinstance(value, (tuple, list)):
        raise TypeError("no pair")
    return _real(first, 0.0), _real(second, 0.0)


def _as_it_is(value: Any, good: Any) -> Any:
    """Where there is no plain form: only crashes, and what changes beside an error, count."""
    return value


Plain = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Slot:
    """An argument: what is right there, and how a value is taken."""

    good: Any
    plain: Plain
    names: tuple[str, ...] = ()  # in messages, beside the argument's own


@dataclass(frozen=True)
class Call:
    """A public call with good arguments."""

    run: Callable[..., Any]  # takes the world and the slots by name
    slots: dict[str, Slot]


_THREADS = Slot(2, _maybe_count)
_BATCH = Slot(3, _maybe_count)


def _array(good: Any, plain: Plain = _matrix, *names: str) -> Slot:
    return Slot(good, plain, names)


# Of two arrays that do not fit each other either may be named.
_ABOUT = {"x": _array(X, _matrix, "y"), "y": _array(Y), "sample_weight": _array(WEIGHT, _weight)}
_LAYERS = [gd.Dense(3, "relu"), gd.Dense(2)]


def _fit(w: World, **slots: Any) -> Any:
    return dict(w.mse.fit(**slots))


def _validated(w: World, xv: Any, yv: Any, wv: Any) -> Any:
    return dict(w.mse.fit(X, Y, validation_data=(xv, yv, wv), progress=False))


def _bound(w: World, a: Any, b: Any) -> Any:
    arrays = [a, b]
    rule = gd.Adam(lr=0.1).bind(arrays)
    rule.step([np.ones(np.asarray(each).shape) for each in arrays])
    return {"a": np.asarray(a), "b": np.asarray(b)}


def _saved(w: World, path: Any, extra: Any) -> Any:
    w.mse.save(path, extra=extra)
    return files.read_description(path)


def _state(w: World, weight: Any) -> None:
    w.net.load_state_dict({**w.net.state_dict(), "0.weight": weight})


def _set_lr(thing: Any, lr: Any) -> None:
    thing.lr = lr


def _square(v: Any) -> float:
    with np.errstate(over="ignore"):
        return float((np.asarray(v) ** 2).sum())


def _made(cls: type[Any]) -> Callable[..., Any]:
    return lambda w, **slots: cls(**slots)


_FIELDS: dict[str, tuple[Any, Plain]] = {
    "float": (0.5, _real), "int": (3, _count), "bool": (False, _flag), "Unit": ("epoch", _word),
    "tuple[float, float]": ((0.5, 0.5), _pair), "tuple[int, ...]": ((2, 5), _as_it_is),
    "tuple[tuple[int, float], ...]": (((0, 1.0), (4, 0.5)), _as_it_is),
    "tuple[Schedule, ...]": ((schedules.Constant(),) * 3, _as_it_is),
}  # fmt: skip


def _formula_calls() -> dict[str, Call]:
    """The constructor of each formula there is, and of a metric its judgement."""
    found = {}
    for family in (Activation, Loss, Optimizer, Schedule, Metric):
        for cls in family.members.values():
            slots = {}
            for each in dataclasses.fields(cls):
                good, plain = _FIELDS.get(str(each.type), (None, _as_it_is))
                if each.default is not dataclasses.MISSING:
                    good = each.default
                slots[each.name] = Slot(good, plain)
            if slots:
                found[f"{family.__name__}.{cls.__name__}"] = Call(_made(cls), slots)
    slots = {
        "y": _array(Y),
        "output": _array(Y + 1, _judged, "y"),
        "sample_weight": _array(WEIGHT, _weight),
    }
    for name in ("mae", "rmse", "r2"):
        metric = Metric.members[name]()
        found[f"Metric {name}"] = Call(lambda w, metric=metric, **slots: metric(**slots), slots)
    return found


CALLS: dict[str, Call] = {
    "Network.forward": Call(
        lambda w, **s: w.net.forward(**s),
        {"x": _array(X, _rows), "training": Slot(False, _flag)},
    ),
    "Network.predict": Call(
        lambda w, **s: w.net.predict(**s), {"x": _array(X, _rows), "batch_size": _BATCH}
    ),
    "Network.predict_proba": Call(
        lambda w, **s: w.net.predict_proba(**s),
        {"x": _array(X, _rows), "batch_size": _BATCH, "task": Slot("binary", _as_it_is)},
    ),
    "Network.predict_classes": Call(
        lambda w, **s: w.net.predict_classes(**s),
        {"x": _array(X, _rows), "batch_size": _BATCH, "task": Slot(None, _as_it_is)},
    ),
    "Network.jacobian": Call(
        lambda w, **s: w.net.jacobian(**s),
        {"x": _array(X, _rows), "return_outputs": Slot(False, _flag)},
    ),
    "Network.soft_update": Call(
        lambda w, **s: w.net.soft_update(w.net, **s), {"tau": Slot(0.5, _real)}
    ),
    "compute_bins": Call(lambda w, **s: gd.compute_bins(**s, n_bins=2), {"x": _array(X, _rows)}),
    "Network.backward": Call(
        lambda w, **s: w.net.backward(**s),
        {"grad_output": _array(Y), "accumulate": Slot(False, _flag)},
    ),
    "Network.load_state_dict": Call(_state, {"weight": _array(np.ones((11, 6)))}),
    "Network.load_state_dict, all": Call(
        lambda w, state: w.net.load_state_dict(state), {"state": Slot({}, _as_it_is)}
    ),
    "Network": Call(
        lambda w, **s: gd.Network(**s),
        {
            "layers": Slot(_LAYERS, _as_it_is),
            "input_size": Slot(4, _count),
            "dtype": Slot("float32", _dtype),
            "seed": Slot(1, _count),
        },
    ),
    "Dense": Call(
        lambda w, **s: gd.Dense(**s),
        {
            "units": Slot(4, _count),
            "activation": Slot("relu", _as_it_is),
            "bias": Slot(True, _flag),
            "weight_init": Slot("zeros", _word),
            "bias_init": Slot(None, _maybe_word),
            "name": Slot("a", _maybe_word),
        },
    ),
    "Trainer": Call(
        lambda w, network, **s: gd.Trainer(w.net if network is _LAYERS else network, **s),
        {
            "network": Slot(_LAYERS, _as_it_is),
            "loss": Slot("mse", _as_it_is),
            "optimizer": Slot("adam", _as_it_is),
            "matmul_precision": Slot("highest", _word),
            "num_threads": _THREADS,
            "clip_grad_norm": Slot(1.0, _maybe_real),
            "schedule": Slot(None, _as_it_is),
            "seed": Slot(3, _maybe_count),
        },
    ),
    "Trainer.step": Call(lambda w, **s: w.mse.step(**s), _ABOUT),
    "Trainer.step, classes": Call(
        lambda w, **s: w.classes.step(**s), {**_ABOUT, "y": _array(LABELS, _labels)}
    ),
    "Trainer.step, binary": Call(
        lambda w, **s: w.binary.step(**s), {**_ABOUT, "y": _array(PROBABILITIES, _unit)}
    ),
    "Trainer.learn_one": Call(
        lambda w, **s: w.mse.learn_one(**s), {"x": _array(X[0]), "y": _array(Y[0])}
    ),
    "Trainer.learn_one, classes": Call(
        lambda w, **s: w.classes.learn_one(X[0], **s), {"y": Slot(2, _label)}
    ),
    "Trainer.learn_many": Call(
        lambda w, **s: w.mse.learn_many(**s),
        {"x": _array(X, _rows, "y"), "y": _array(Y, _rows, "x")},
    ),
    "Trainer.learn_many, classes": Call(
        lambda w, **s: w.classes.learn_many(X, **s), {"y": _array(LABELS, _labels)}
    ),
    "Trainer.fit": Call(
        _fit,
        {
            **_ABOUT,
            "epochs": Slot(1, _maybe_count),
            "batch_size": _BATCH,
            "shuffle": Slot(True, _flag),
            "validation_data": Slot(None, _as_it_is),
            "validation_split": Slot(None, _as_it_is),
            "metrics": Slot((), _as_it_is),
            "callbacks": Slot((), _as_it_is),
            "progress": Slot(False, _flag),
        },
    ),
    "Trainer.fit, until": Call(
        lambda w, **s: _fit(w, x=X, y=Y, progress=False, **s),
        {"until_epoch": Slot(1, _maybe_count)},
    ),
    "Trainer.fit, validation": Call(
        _validated,
        {
            "xv": _array(X, _matrix, "validation_data[0]", "validation_data[1]"),
            "yv": _array(Y, _matrix, "validation_data[1]"),
            "wv": _array(WEIGHT, _weight, "validation_data[2]"),
        },
    ),
    "Trainer.evaluate": Call(
        lambda w, **s: w.mse.evaluate(**s),
        {**_ABOUT, "batch_size": _BATCH, "metrics": Slot((), _as_it_is)},
    ),
    "Trainer.evaluate, classes": Call(
        lambda w, **s: w.classes.evaluate(X, **s), {"y": _array(LABELS, _labels)}
    ),
    "Trainer.operations": Call(
        lambda w, **s: w.mse.operations(**s), {"batch_size": Slot(3, _count)}
    ),
    "Trainer.flops_per_step": Call(
        lambda w, **s: w.mse.flops_per_step(**s), {"batch_size": Slot(3, _count)}
    ),
    "Trainer.memory_plan": Call(
        lambda w, **s: w.mse.memory_plan(**s),
        {"batch_size": _BATCH, "samples": Slot(9, _maybe_count), "shuffle": Slot(True, _flag)},
    ),
    "Trainer.save": Call(
        _saved, {"path": Slot("model", _as_it_is), "extra": Slot(None, _as_it_is)}
    ),
    "Trainer.load": Call(
        lambda w, path, network, schedule, num_threads: gd.Trainer.load(
            path, network=network, schedule=schedule, num_threads=num_threads
        ),
        {
            "path": Slot("there", _as_it_is),
            "network": Slot(None, _as_it_is),
            "schedule": Slot(None, _as_it_is),
            "num_threads": _THREADS,
        },
    ),
    "Network.load": Call(lambda w, **s: gd.Network.load(**s), {"path": Slot("there", _as_it_is)}),
    "Network.save": Call(
        lambda w, **s: w.net.save(**s),
        {"path": Slot("model", _as_it_is), "extra": Slot(None, _as_it_is)},
    ),
    "files.read_description": Call(
        lambda w, **s: files.read_description(**s), {"path": Slot("there", _as_it_is)}
    ),
    "Trainer.lr": Call(lambda w, lr: _set_lr(w.mse, lr), {"lr": Slot(0.1, _real)}),
    "BoundRule.lr": Call(lambda w, lr: _set_lr(w.rule, lr), {"lr": Slot(0.1, _real)}),
    "BoundRule.step": Call(
        lambda w, a, b, check_finite: w.rule.step([a, b], check_finite=check_finite),
        {
            "a": _array(np.ones((2, 3)), _matrix, "gradients[0]"),
            "b": _array(np.ones(3), _matrix, "gradients[1]"),
            "check_finite": Slot(True, _flag),
        },
    ),
    "BoundRule.step, all": Call(
        lambda w, gradients: w.rule.step(gradients),
        {"gradients": Slot([np.ones((2, 3)), np.ones(3)], _as_it_is, ("gradients[0]",))},
    ),
    "Optimizer.bind": Call(
        _bound,
        {
            "a": _array(np.ones((2, 3)), _floats, "arrays[0]", "arrays[1]"),
            "b": _array(np.ones(3), _floats, "arrays[1]", "arrays[0]"),
        },
    ),
    "matmul": Call(
        lambda w, **s: gd.matmul(**s),
        {
            "a": _array(X, _factor),
            "b": _array(X.T.copy(), _factor, "a"),
            "transpose_a": Slot(False, _flag, ("a",)),
            "transpose_b": Slot(False, _flag, ("a", "b")),
            "out": Slot(None, _as_it_is),
            "precision": Slot("highest", _word),
            "num_threads": _THREADS,
        },
    ),
    "numerical_gradient": Call(
        lambda world, /, **s: gd.numerical_gradient(_square, **s),
        {"w": _array(X[:2], _any_array), "h": Slot(1e-3, _maybe_real, ("f", "w + h"))},
    ),
    "numerical_gradient, f": Call(
        lambda w, f: gd.numerical_gradient(f, [1.0, 2.0]), {"f": Slot(np.sum, _as_it_is)}
    ),
    "check_gradients": Call(
        lambda w, net, **s: repr(gd.check_gradients(w.net if net is _LAYERS else net, **s).ok),
        {
            "net": Slot(_LAYERS, _as_it_is),
            "loss": Slot("mse", _as_it_is),
            **_ABOUT,
            "h": Slot(1e-5, _maybe_real),
            "tolerance": Slot(1e-6, _real),
        },
    ),
    "set_num_threads": Call(lambda w, **s: gd.set_num_threads(**s), {"num_threads": _THREADS}),
    "profile": Call(
        lambda w, **s: gd.profile(**s) and None,
        {
            "every": Slot(1, _count),
            "last_steps": Slot(None, _maybe_count),
            "events_per_thread": Slot(2048, _count),
            "counters": Slot(False, _flag),
        },
    ),
    "callbacks.EarlyStopping": Call(
        lambda w, **s: callbacks.EarlyStopping(**s) and None,
        {
            "monitor": Slot("val_loss", _word),
            "patience": Slot(3, _count),
            "min_delta": Slot(0.0, _real),
            "mode": Slot("min", _word),
            "restore_best": Slot(True, _flag),
        },
    ),
    "callbacks.Checkpoint": Call(
        lambda w, **s: callbacks.Checkpoint(**s) and None,
        {
            "path": Slot("model", _as_it_is),
            "every": Slot(1, _count),
            "monitor": Slot(None, _maybe_word),
            "mode": Slot("min", _word),
        },
    ),
    **{
        f"schedules.{cls.__name__}": Call(
            lambda w, cls=cls, **s: cls(**s) and None,
            {"function": Slot(abs, _as_it_is), "per": Slot("epoch", _word)},
        )
        for cls in (schedules.Function, schedules.Lambda, schedules.Multiplicative)
    },
    **_formula_calls(),
}


def public_calls() -> set[str]:
    """What a caller may call with arguments, by name: for the test that each is here."""
    found = set()
    for name in gd.__all__:
        thing = getattr(gd, name)
        if inspect.isfunction(thing) and inspect.signature(thing).parameters:
            found.add(name)
    for cls in (gd.Network, gd.Trainer):
        found.add(cls.__name__)
        for name, thing in vars(cls).items():
            function = thing.__func__ if isinstance(thing, classmethod) else thing
            if (
                inspect.isfunction(function)
                and not name.startswith("_")
                and len(inspect.signature(function).parameters) > 1
            ):
                found.add(f"{cls.__name__}.{name}")
    return found

"""Every public call with good arguments, and how each of them is taken."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from world import LABELS, PROBABILITIES, WEIGHT, World, X, Y

import gdcore as gd
from gdcore import callbacks, files, schedules
from gdcore.activations import Activation
from gdcore.averaging import Average
from gdcore.clipping import Clip
from gdcore.losses import Loss
from gdcore.metrics import Metric
from gdcore.optimizers import Optimizer
from gdcore.schedules import Schedule
from gdcore.solvers import Solver
from gdcore.wrappers import Wrapper
from tools.soak import hostile_slots as take
from tools.soak.hostile_slots import Call, Slot

__all__ = ["CALLS", "public_calls"]


_THREADS = Slot(2, take.maybe_count)
_BATCH = Slot(3, take.maybe_count)


def _array(good: Any, plain: take.Plain = take.matrix, *names: str) -> Slot:
    return Slot(good, plain, names)


# Of two arrays that do not fit each other either may be named.
_ABOUT = {
    "x": _array(X, take.matrix, "y"),
    "y": _array(Y),
    "sample_weight": _array(WEIGHT, take.weight),
}
_LAYERS = [gd.Dense(3, "relu"), gd.Dense(2)]


def _fit(w: World, **slots: Any) -> Any:
    return dict(w.mse.fit(**slots))


def _around(w: World, optimizer: Any, **slots: Any) -> Any:
    """Trains the network of a world with what goes around a rule."""
    clip = None if isinstance(optimizer, Solver) else gd.ClipNorm(0.1, per="layer")
    average = None if isinstance(optimizer, Solver) else gd.EMA(0.5)
    trainer = gd.Trainer(w.net, "mse", optimizer, clip=clip, average=average)
    return dict(trainer.fit(epochs=2, progress=False, **slots))


def _many(w: World, **slots: Any) -> Any:
    results = gd.fit_many([w.mse, lambda: gd.Trainer(w.net._again(seed=4), "mse", "sgd")], **slots)
    return [[dict(each.history), repr(each.error)] for each in results]


def _ranged(w: World, **slots: Any) -> Any:
    return gd.lr_range_test(w.mse, steps=10, **slots).table()


def _validated(w: World, xv: Any, yv: Any, wv: Any) -> Any:
    return dict(w.mse.fit(X, Y, validation_data=(xv, yv, wv), progress=False))


def _bound(w: World, a: Any, b: Any) -> Any:
    arrays = [a, b]
    rule = gd.Adam(lr=0.1).bind(arrays)
    rule.step([np.ones(np.asarray(each).shape) for each in arrays])
    return {"a": np.asarray(a), "b": np.asarray(b)}


_BYTES = gd.Trainer(gd.Network([gd.Dense(2)], input_size=3, seed=0), "mse", "sgd").to_bytes()


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


_FIELDS: dict[str, tuple[Any, take.Plain]] = {
    "float": (0.5, take.real), "int": (3, take.count), "bool": (False, take.flag),
    "Unit": ("epoch", take.word),
    "Optimizer": ("sgd", take.as_it_is),
    "tuple[float, float]": ((0.5, 0.5), take.pair), "tuple[int, ...]": ((2, 5), take.as_it_is),
    "tuple[tuple[int, float], ...]": (((0, 1.0), (4, 0.5)), take.as_it_is),
    "tuple[Schedule, ...]": ((schedules.Constant(),) * 3, take.as_it_is),
}  # fmt: skip


def _formula_calls() -> dict[str, Call]:
    """The constructor of each formula there is, and of a metric its judgement."""
    found = {}
    families = (Activation, Loss, Optimizer, Solver, Wrapper, Average, Clip, Schedule, Metric)
    for family in families:
        for cls in family.members.values():
            slots = {}
            for each in dataclasses.fields(cls):
                good, plain = _FIELDS.get(str(each.type), (None, take.as_it_is))
                if each.default is not dataclasses.MISSING:
                    good = each.default
                slots[each.name] = Slot(good, plain)
            if slots:
                found[f"{family.__name__}.{cls.__name__}"] = Call(_made(cls), slots)
    slots = {
        "y": _array(Y),
        "output": _array(Y + 1, take.judged, "y"),
        "sample_weight": _array(WEIGHT, take.weight),
    }
    for name in ("mae", "rmse", "r2"):
        metric = Metric.members[name]()
        found[f"Metric {name}"] = Call(lambda w, metric=metric, **slots: metric(**slots), slots)
    return found


CALLS: dict[str, Call] = {
    "Network.forward": Call(
        lambda w, **s: w.net.forward(**s),
        {"x": _array(X, take.rows), "training": Slot(False, take.flag)},
    ),
    "Network.predict": Call(
        lambda w, **s: w.net.predict(**s), {"x": _array(X, take.rows), "batch_size": _BATCH}
    ),
    "Network.predict_proba": Call(
        lambda w, **s: w.net.predict_proba(**s),
        {"x": _array(X, take.rows), "batch_size": _BATCH, "task": Slot("binary", take.as_it_is)},
    ),
    "Network.predict_classes": Call(
        lambda w, **s: w.net.predict_classes(**s),
        {"x": _array(X, take.rows), "batch_size": _BATCH, "task": Slot(None, take.as_it_is)},
    ),
    "Network.jacobian": Call(
        lambda w, **s: w.net.jacobian(**s),
        {"x": _array(X, take.rows), "return_outputs": Slot(False, take.flag)},
    ),
    "Network.soft_update": Call(
        lambda w, **s: w.net.soft_update(w.net, **s), {"tau": Slot(0.5, take.real)}
    ),
    "compute_bins": Call(
        lambda w, **s: gd.compute_bins(**s, n_bins=2), {"x": _array(X, take.rows)}
    ),
    "Network.backward": Call(
        lambda w, **s: w.net.backward(**s),
        {"grad_output": _array(Y), "accumulate": Slot(False, take.flag)},
    ),
    "Network.load_state_dict": Call(_state, {"weight": _array(np.ones((11, 6)))}),
    "Network.load_state_dict, all": Call(
        lambda w, state: w.net.load_state_dict(state), {"state": Slot({}, take.as_it_is)}
    ),
    "Network": Call(
        lambda w, **s: gd.Network(**s),
        {
            "layers": Slot(_LAYERS, take.as_it_is),
            "input_size": Slot(4, take.count),
            "dtype": Slot("float32", take.dtype),
            "seed": Slot(1, take.count),
        },
    ),
    "Dense": Call(
        lambda w, **s: gd.Dense(**s),
        {
            "units": Slot(4, take.count),
            "activation": Slot("relu", take.as_it_is),
            "bias": Slot(True, take.flag),
            "weight_init": Slot("zeros", take.word),
            "bias_init": Slot(None, take.maybe_word),
            "name": Slot("a", take.maybe_word),
        },
    ),
    "Trainer": Call(
        lambda w, network, **s: gd.Trainer(w.net if network is _LAYERS else network, **s),
        {
            "network": Slot(_LAYERS, take.as_it_is),
            "loss": Slot("mse", take.as_it_is),
            "optimizer": Slot("adam", take.as_it_is),
            "matmul_precision": Slot("highest", take.word),
            "num_threads": _THREADS,
            "clip_grad_norm": Slot(1.0, take.maybe_real),
            "schedule": Slot(None, take.as_it_is),
            "seed": Slot(3, take.maybe_count),
        },
    ),
    "Trainer, around": Call(
        lambda w, **s: gd.Trainer(w.net, "mse", "adam", **s),
        {
            "clip": Slot(gd.ClipValue(0.5), take.as_it_is, ("clip_grad_norm",)),
            "average": Slot("ema", take.as_it_is),
            "groups": Slot([gd.Group("0.*", lr_factor=0.5)], take.as_it_is),
            "loss_weights": Slot(None, take.as_it_is),
        },
    ),
    "Trainer.step": Call(lambda w, **s: w.mse.step(**s), _ABOUT),
    "Trainer.step, classes": Call(
        lambda w, **s: w.classes.step(**s), {**_ABOUT, "y": _array(LABELS, take.labels)}
    ),
    "Trainer.step, binary": Call(
        lambda w, **s: w.binary.step(**s), {**_ABOUT, "y": _array(PROBABILITIES, take.unit)}
    ),
    "Trainer.learn_one": Call(
        lambda w, **s: w.mse.learn_one(**s), {"x": _array(X[0]), "y": _array(Y[0])}
    ),
    "Trainer.learn_one, classes": Call(
        lambda w, **s: w.classes.learn_one(X[0], **s), {"y": Slot(2, take.label)}
    ),
    "Trainer.learn_many": Call(
        lambda w, **s: w.mse.learn_many(**s),
        {"x": _array(X, take.rows, "y"), "y": _array(Y, take.rows, "x")},
    ),
    "Trainer.learn_many, classes": Call(
        lambda w, **s: w.classes.learn_many(X, **s), {"y": _array(LABELS, take.labels)}
    ),
    "Trainer.fit": Call(
        _fit,
        {
            **_ABOUT,
            "epochs": Slot(1, take.maybe_count),
            "batch_size": _BATCH,
            "shuffle": Slot(True, take.flag),
            "validation_data": Slot(None, take.as_it_is),
            "validation_split": Slot(None, take.as_it_is),
            "metrics": Slot((), take.as_it_is),
            "callbacks": Slot((), take.as_it_is),
            "progress": Slot(False, take.flag),
            "accumulate": Slot(2, take.count),
        },
    ),
    "Trainer.fit, around": Call(
        lambda w, **s: _around(w, gd.SAM(gd.Penalized(gd.Lookahead("adam"), l1=0.1)), **s),
        {**_ABOUT, "batch_size": _BATCH, "accumulate": Slot(2, take.count)},
    ),
    "Trainer.fit, solver": Call(
        lambda w, **s: _around(w, gd.LBFGS(), **s),
        {**_ABOUT, "batch_size": Slot(None, take.maybe_count)},
    ),
    "fit_many": Call(
        _many,
        {
            **_ABOUT,
            "epochs": Slot(2, take.count),
            "batch_size": _BATCH,
            "shuffle": Slot(True, take.flag),
            "validation_data": Slot(None, take.as_it_is),
            "rows": Slot(None, take.as_it_is),
            "metrics": Slot((), take.as_it_is),
            "callbacks": Slot((), take.as_it_is),
            "progress": Slot(False, take.flag),
            "num_threads": _THREADS,
            "accumulate": Slot(1, take.count),
        },
    ),
    "fit_many, trainers": Call(
        lambda w, trainers: len(gd.fit_many(trainers, X, Y, epochs=1, progress=False)),
        {"trainers": Slot([], take.as_it_is)},
    ),
    "folds": Call(
        lambda w, **s: gd.folds(**s),
        {
            "n_or_y": Slot(8, take.as_it_is, ("k", "stratify")),
            "k": Slot(3, take.count),
            "seed": Slot(1, take.count),
            "stratify": Slot(None, take.as_it_is),
        },
    ),
    "lr_range_test": Call(
        _ranged,
        {
            **_ABOUT,
            "batch_size": Slot(3, take.count),
            "start_lr": Slot(1e-4, take.real, ("end_lr",)),
            "end_lr": Slot(1.0, take.real, ("start_lr",)),
            "stop_factor": Slot(4.0, take.real),
        },
    ),
    "Trainer.fit, until": Call(
        lambda w, **s: _fit(w, x=X, y=Y, progress=False, **s),
        {"until_epoch": Slot(1, take.maybe_count)},
    ),
    "Trainer.fit, validation": Call(
        _validated,
        {
            "xv": _array(X, take.matrix, "validation_data[0]", "validation_data[1]"),
            "yv": _array(Y, take.matrix, "validation_data[1]"),
            "wv": _array(WEIGHT, take.weight, "validation_data[2]"),
        },
    ),
    "Trainer.evaluate": Call(
        lambda w, **s: w.mse.evaluate(**s),
        {**_ABOUT, "batch_size": _BATCH, "metrics": Slot((), take.as_it_is)},
    ),
    "Trainer.evaluate, classes": Call(
        lambda w, **s: w.classes.evaluate(X, **s), {"y": _array(LABELS, take.labels)}
    ),
    "Trainer.operations": Call(
        lambda w, **s: w.mse.operations(**s), {"batch_size": Slot(3, take.count)}
    ),
    "Trainer.flops_per_step": Call(
        lambda w, **s: w.mse.flops_per_step(**s), {"batch_size": Slot(3, take.count)}
    ),
    "Trainer.memory_plan": Call(
        lambda w, **s: w.mse.memory_plan(**s),
        {
            "batch_size": _BATCH,
            "samples": Slot(9, take.maybe_count),
            "shuffle": Slot(True, take.flag),
        },
    ),
    "Trainer.save": Call(
        _saved, {"path": Slot("model", take.as_it_is), "extra": Slot(None, take.as_it_is)}
    ),
    "Trainer.load": Call(
        lambda w, path, network, schedule, num_threads: gd.Trainer.load(
            path, network=network, schedule=schedule, num_threads=num_threads
        ),
        {
            "path": Slot("there", take.as_it_is),
            "network": Slot(None, take.as_it_is),
            "schedule": Slot(None, take.as_it_is),
            "num_threads": _THREADS,
        },
    ),
    "Trainer.from_bytes": Call(
        lambda w, data, network, num_threads: gd.Trainer.from_bytes(
            data, network=network, num_threads=num_threads
        ),
        {
            "data": Slot(_BYTES, take.as_it_is),
            "network": Slot(None, take.as_it_is),
            "num_threads": _THREADS,
        },
    ),
    "load_model": Call(
        lambda w, **s: repr(gd.load_model(**s)), {"path": Slot("there", take.as_it_is)}
    ),
    "Network.load": Call(
        lambda w, **s: gd.Network.load(**s), {"path": Slot("there", take.as_it_is)}
    ),
    "Network.save": Call(
        lambda w, **s: w.net.save(**s),
        {"path": Slot("model", take.as_it_is), "extra": Slot(None, take.as_it_is)},
    ),
    "files.read_description": Call(
        lambda w, **s: files.read_description(**s), {"path": Slot("there", take.as_it_is)}
    ),
    "Trainer.lr": Call(lambda w, lr: _set_lr(w.mse, lr), {"lr": Slot(0.1, take.real)}),
    "BoundRule.lr": Call(lambda w, lr: _set_lr(w.rule, lr), {"lr": Slot(0.1, take.real)}),
    "BoundRule.step": Call(
        lambda w, a, b, check_finite: w.rule.step([a, b], check_finite=check_finite),
        {
            "a": _array(np.ones((2, 3)), take.matrix, "gradients[0]"),
            "b": _array(np.ones(3), take.matrix, "gradients[1]"),
            "check_finite": Slot(True, take.flag),
        },
    ),
    "BoundRule.step, all": Call(
        lambda w, gradients: w.rule.step(gradients),
        {"gradients": Slot([np.ones((2, 3)), np.ones(3)], take.as_it_is, ("gradients[0]",))},
    ),
    "Optimizer.bind": Call(
        _bound,
        {
            "a": _array(np.ones((2, 3)), take.floats, "arrays[0]", "arrays[1]"),
            "b": _array(np.ones(3), take.floats, "arrays[1]", "arrays[0]"),
        },
    ),
    "Optimizer.bind, schedule": Call(
        lambda w, **s: gd.SGD(lr=0.1).bind([np.ones(3)], **s).step([np.ones(3)]),
        {"groups": Slot((), take.as_it_is), "schedule": Slot(None, take.as_it_is)},
    ),
    "matmul": Call(
        lambda w, **s: gd.matmul(**s),
        {
            "a": _array(X, take.factor),
            "b": _array(X.T.copy(), take.factor, "a"),
            "transpose_a": Slot(False, take.flag, ("a",)),
            "transpose_b": Slot(False, take.flag, ("a", "b")),
            "out": Slot(None, take.as_it_is),
            "precision": Slot("highest", take.word),
            "num_threads": _THREADS,
        },
    ),
    "numerical_gradient": Call(
        lambda world, /, **s: gd.numerical_gradient(_square, **s),
        {"w": _array(X[:2], take.any_array), "h": Slot(1e-3, take.maybe_real, ("f", "w + h"))},
    ),
    "numerical_gradient, f": Call(
        lambda w, f: gd.numerical_gradient(f, [1.0, 2.0]), {"f": Slot(np.sum, take.as_it_is)}
    ),
    "check_gradients": Call(
        lambda w, net, **s: repr(gd.check_gradients(w.net if net is _LAYERS else net, **s).ok),
        {
            "net": Slot(_LAYERS, take.as_it_is),
            "loss": Slot("mse", take.as_it_is),
            **_ABOUT,
            "h": Slot(1e-5, take.maybe_real),
            "tolerance": Slot(1e-6, take.real),
        },
    ),
    "set_num_threads": Call(lambda w, **s: gd.set_num_threads(**s), {"num_threads": _THREADS}),
    "profile": Call(
        lambda w, **s: gd.profile(**s) and None,
        {
            "every": Slot(1, take.maybe_count),
            "last_steps": Slot(None, take.maybe_count),
            "events_per_thread": Slot(2048, take.count),
            "counters": Slot(False, take.flag),
        },
    ),
    "callbacks.EarlyStopping": Call(
        lambda w, **s: callbacks.EarlyStopping(**s) and None,
        {
            "monitor": Slot("val_loss", take.word),
            "patience": Slot(3, take.count),
            "min_delta": Slot(0.0, take.real),
            "mode": Slot("min", take.word),
            "restore_best": Slot(True, take.flag),
        },
    ),
    "callbacks.Checkpoint": Call(
        lambda w, **s: callbacks.Checkpoint(**s) and None,
        {
            "path": Slot("model", take.as_it_is),
            "every": Slot(1, take.count),
            "monitor": Slot(None, take.maybe_word),
            "mode": Slot("min", take.word),
        },
    ),
    **{
        f"schedules.{cls.__name__}": Call(
            lambda w, cls=cls, **s: cls(**s) and None,
            {"function": Slot(abs, take.as_it_is), "per": Slot("epoch", take.word)},
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

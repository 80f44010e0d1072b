"""Every line of bad input: its error type, the argument's name in the message, nothing changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_bits
from world import LABELS, PROBABILITIES, WEIGHT, World, X, Y

import gdcore as gd

NAN, INF = math.nan, math.inf


def put(array: Any, value: Any, dtype: Any = None) -> np.ndarray:
    """A copy with `value` somewhere in the middle."""
    changed = np.array(array, dtype=dtype)
    changed.ravel()[changed.size // 2] = value
    return changed


Call = Callable[[World], Any]
CASES: list[tuple[str, Call, type[Exception], tuple[str, ...]]] = []


def case(name: str, call: Call, error: type[Exception], *words: str) -> None:
    CASES.append((name, call, error, words))


# ---- arrays: the same faults at every border ----

# (what it is, the call with a bad array, a good array, its name in messages)
BORDERS: list[tuple[str, Callable[[World, Any], Any], np.ndarray, str]] = [
    ("forward", lambda w, a: w.net.forward(a), X, "x"),
    ("training forward", lambda w, a: w.net.forward(a, training=True), X, "x"),
    ("predict", lambda w, a: w.net.predict(a), X, "x"),
    ("backward", lambda w, a: w.net.backward(a), Y, "grad_output"),
    ("step x", lambda w, a: w.mse.step(a, Y), X, "x"),
    ("step y", lambda w, a: w.mse.step(X, a), Y, "y"),
    ("step weight", lambda w, a: w.mse.step(X, Y, sample_weight=a), WEIGHT, "sample_weight"),
    ("step probabilities", lambda w, a: w.classes.step(X, a), PROBABILITIES, "y"),
    ("step bce", lambda w, a: w.binary.step(X, a), PROBABILITIES, "y"),
    ("fit x", lambda w, a: w.mse.fit(a, Y, progress=False), X, "x"),
    ("fit y", lambda w, a: w.mse.fit(X, a, progress=False), Y, "y"),
    (
        "fit weight",
        lambda w, a: w.mse.fit(X, Y, sample_weight=a, progress=False),
        WEIGHT,
        "sample_weight",
    ),
    (
        "validation x",
        lambda w, a: w.mse.fit(X, Y, validation_data=(a, Y), progress=False),
        X,
        "validation_data[0]",
    ),
    (
        "validation y",
        lambda w, a: w.mse.fit(X, Y, validation_data=(X, a), progress=False),
        Y,
        "validation_data[1]",
    ),
    (
        "validation weight",
        lambda w, a: w.mse.fit(X, Y, validation_data=(X, Y, a), progress=False),
        WEIGHT,
        "validation_data[2]",
    ),
    ("evaluate x", lambda w, a: w.mse.evaluate(a, Y), X, "x"),
    ("evaluate y", lambda w, a: w.mse.evaluate(X, a), Y, "y"),
    (
        "evaluate weight",
        lambda w, a: w.mse.evaluate(X, Y, sample_weight=a),
        WEIGHT,
        "sample_weight",
    ),
    ("check x", lambda w, a: gd.check_gradients(w.net, "mse", a, Y), X, "x"),
    ("check y", lambda w, a: gd.check_gradients(w.net, "mse", X, a), Y, "y"),
    (
        "state",
        lambda w, a: w.net.load_state_dict({**w.net.state_dict(), "0.weight": a}),
        np.ones((11, 6)),
        "0.weight",
    ),
    ("numerical", lambda w, a: gd.numerical_gradient(lambda v: float(v.sum()), a), X, "w"),
]

for where, call, good, argument in BORDERS:

    def bad(
        name: str,
        array: Any,
        error: type[Exception],
        where: str = where,
        call: Callable[[World, Any], Any] = call,
        argument: str = argument,
    ) -> None:
        case(f"{where}: {name}", lambda w: call(w, array), error, argument)

    bad("object", good.astype(object), TypeError)
    bad("complex", good.astype(complex), TypeError)
    bad("string", good.astype(str), TypeError)
    bad("bytes", good.astype("S8"), TypeError)
    bad("dates", np.zeros(good.shape, "datetime64[s]"), TypeError)
    bad("records", np.zeros(good.shape, [("a", float)]), TypeError)
    bad("NaN", put(good, NAN), ValueError)
    bad("infinity", put(good, INF), ValueError)
    bad("minus infinity", put(good, -INF), ValueError)
    bad("empty", good[:0], ValueError)
    if argument != "w":
        bad("one rank more", good[None], ValueError)
        bad("no rank", np.float64(1), ValueError)
    if good is not WEIGHT and argument != "w":
        bad("None", None, TypeError)
    if good is not X and argument != "0.weight":
        bad("too short", good[:-1], ValueError)
        bad("too long", np.concatenate([good, good[:1]]), ValueError)
    if good.ndim == 2 and argument != "w":
        bad("a column less", good[:, :-1], ValueError)
        bad("a column more", np.hstack([good, good[:, :1]]), ValueError)
        bad("transposed", good.T, ValueError)
        one_rank_less = TypeError if where == "step probabilities" else ValueError
        bad("one rank less", good[0], one_rank_less)  # there, these are labels that are no integers
        bad("no columns", good[:, :0], ValueError)
    if good is WEIGHT:
        bad("negative", put(good, -1e-3), ValueError)
        bad("all zero", np.zeros(8), ValueError)

for name, a, b, argument in (
    ("object", X.astype(object), X.T, "a"),
    ("complex", X, X.T.astype(complex), "b"),
    ("string", X.astype(str), X.T, "a"),
    ("None", None, X, "a"),
):
    case(f"matmul: {name}", lambda w, a=a, b=b: gd.matmul(a, b), TypeError, argument)
for name, a, b, argument in (
    ("inner sizes", X, X, "a"),
    ("rank 1", X[0], X.T, "a"),
    ("rank 3", X, X.T[None], "b"),
    ("rank 0", np.float64(3), X, "a"),
):
    case(f"matmul: {name}", lambda w, a=a, b=b: gd.matmul(a, b), ValueError, argument)
case(
    "matmul: inner sizes of transposes",
    lambda w: gd.matmul(X, X, transpose_a=True, transpose_b=True),
    ValueError,
    "a",
)

OUT = np.zeros((8, 8))
SHARED = np.zeros(8 * 8 + 4)
READ_ONLY = np.zeros((8, 8))
READ_ONLY.flags.writeable = False
for name, out, error in (
    ("shape", np.zeros((8, 7)), ValueError),
    ("rank", np.zeros(64), ValueError),
    ("list", OUT.tolist(), TypeError),
    ("dtype", OUT.astype(np.float32), TypeError),
    ("integers", OUT.astype(int), TypeError),
    ("strided", np.zeros((8, 16))[:, ::2], ValueError),
    ("Fortran order", np.zeros((8, 8), order="F"), ValueError),
    ("read-only", READ_ONLY, ValueError),
):
    case(f"matmul: out {name}", lambda w, out=out: gd.matmul(X, X.T, out=out), error, "out")
case(
    "matmul: out overlaps a",
    lambda w: gd.matmul(SHARED[:64].reshape(8, 8), np.eye(8), out=SHARED[4:].reshape(8, 8)),
    ValueError,
    "out",
)
case(
    "matmul: out overlaps b",
    lambda w: gd.matmul(np.eye(8), SHARED[:64].reshape(8, 8), out=SHARED[4:].reshape(8, 8)),
    ValueError,
    "out",
)
case("matmul: precision", lambda w: gd.matmul(X, X.T, precision="hihg"), ValueError,
     "precision", "did you mean 'high'")  # fmt: skip
case("matmul: precision 1", lambda w: gd.matmul(X, X.T, precision=1), TypeError, "precision")
case("matmul: float64 high", lambda w: gd.matmul(X, X.T, precision="high"), ValueError,
     "precision", "float64")  # fmt: skip
case("matmul: transpose_a 1", lambda w: gd.matmul(X, X, transpose_a=1), TypeError, "transpose_a")

# ---- labels ----

for method in ("step", "evaluate"):
    for name, labels, error in (
        ("too large", put(LABELS, 4), ValueError),
        ("negative", put(LABELS, -1), ValueError),
        ("far out", put(LABELS.astype(np.uint64), 2**64 - 1), ValueError),
        ("fractions", LABELS + 0.5, TypeError),
        ("floats", LABELS.astype(float), TypeError),
        ("too short", LABELS[:-1], ValueError),
        ("too long", np.append(LABELS, 0), ValueError),
        ("a column", LABELS[:, None], ValueError),
        ("empty", LABELS[:0], ValueError),
        ("strings", LABELS.astype(str), TypeError),
        ("objects", LABELS.astype(object), TypeError),
    ):
        case(
            f"{method} labels: {name}",
            lambda w, method=method, labels=labels: getattr(w.classes, method)(X, labels),
            error,
            "y",
        )
case("fit labels", lambda w: w.classes.fit(X, put(LABELS, 4), progress=False), ValueError, "y")
case(
    "probabilities below 0", lambda w: w.classes.step(X, put(PROBABILITIES, -0.1)), ValueError, "y"
)
case("bce targets above 1", lambda w: w.binary.step(X, put(PROBABILITIES, 1.1)), ValueError, "y")
case("bce targets below 0", lambda w: w.binary.step(X, put(PROBABILITIES, -0.1)), ValueError, "y")

# ---- sizes and counts ----

BIG = 2**62
for name, call, argument in (
    ("units", lambda v: gd.Dense(v), "units"),
    ("input_size", lambda v: gd.Network([gd.Dense(2)], input_size=v), "input_size"),
):
    for value in (0, -1, 2**63, 10**30):
        case(f"{name} {value}", lambda w, c=call, v=value: c(v), ValueError, argument)
    for value in (2.0, "3", None, True, NAN):
        case(f"{name} {value!r}", lambda w, c=call, v=value: c(v), TypeError, argument)
case("sizes whose product overflows",
     lambda w: gd.Network([gd.Dense(2**40)], input_size=2**40), ValueError,
     "layer", str(2**40))  # fmt: skip
case("a sum of sizes that overflows",
     lambda w: gd.Network([gd.Dense(BIG), gd.Dense(1)], input_size=1), ValueError,
     "layer", str(BIG))  # fmt: skip
case("more than the memory there is",
     lambda w: gd.Network([gd.Dense(2**31)], input_size=2**28), MemoryError)  # fmt: skip

for method, argument in (("fit", "batch_size"), ("evaluate", "batch_size")):
    for value, error in ((0, ValueError), (-3, ValueError), (2.5, TypeError), ("8", TypeError)):
        options = {"progress": False} if method == "fit" else {}
        case(
            f"{method} batch_size {value!r}",
            lambda w, m=method, v=value, o=options: getattr(w.mse, m)(X, Y, batch_size=v, **o),
            error,
            argument,
        )
for value, error in ((0, ValueError), (-3, ValueError), (2.5, TypeError)):
    case(f"predict batch_size {value}", lambda w, v=value: w.net.predict(X, batch_size=v), error,
         "batch_size")  # fmt: skip
    case(f"operations {value}", lambda w, v=value: w.mse.operations(v), error, "batch_size")
    case(f"flops {value}", lambda w, v=value: w.mse.flops_per_step(v), error, "batch_size")
    case(f"epochs {value}", lambda w, v=value: w.mse.fit(X, Y, epochs=v, progress=False), error,
         "epochs")  # fmt: skip
    case(f"until_epoch {value}",
         lambda w, v=value: w.mse.fit(X, Y, until_epoch=v, progress=False), error,
         "until_epoch")  # fmt: skip
    case(f"set_num_threads {value}", lambda w, v=value: gd.set_num_threads(v), error, "num_threads")
    case(f"trainer threads {value}",
         lambda w, v=value: gd.Trainer(w.net, "mse", "sgd", num_threads=v), error,
         "num_threads")  # fmt: skip
    case(f"matmul threads {value}", lambda w, v=value: gd.matmul(X, X.T, num_threads=v), error,
         "num_threads")  # fmt: skip
for value, error in ((0.0, ValueError), (-1.0, ValueError), (NAN, ValueError), (INF, ValueError),
                     ("1", TypeError), (True, TypeError)):  # fmt: skip
    case(f"clip_grad_norm {value!r}",
         lambda w, v=value: gd.Trainer(w.net, "mse", "sgd", clip_grad_norm=v), error,
         "clip_grad_norm")  # fmt: skip
for name, x, y, error, argument in (
    ("a batch", X[:1], Y[0], ValueError, "x"),
    ("x too short", X[0, 1:], Y[0], ValueError, "x"),
    ("x NaN", put(X[0], NAN), Y[0], ValueError, "x"),
    ("x complex", X[0].astype(complex), Y[0], TypeError, "x"),
    ("y too short", X[0], Y[0, 1:], ValueError, "y"),
    ("y NaN", X[0], put(Y[0], NAN), ValueError, "y"),
    ("y None", X[0], None, TypeError, "y"),
):
    case(f"learn_one: {name}", lambda w, x=x, y=y: w.mse.learn_one(x, y), error, argument)
for label, error in ((4, ValueError), (-1, ValueError), (1.5, TypeError), ([1], ValueError)):
    case(f"learn_one label {label}", lambda w, v=label: w.classes.learn_one(X[0], v), error, "y")
case("learn_many x", lambda w: w.mse.learn_many(put(X, NAN), Y), ValueError, "x")
case("learn_many y", lambda w: w.mse.learn_many(X, Y[1:]), ValueError, "y")
case("learn_many labels", lambda w: w.classes.learn_many(X, put(LABELS, 4)), ValueError, "y")
case("a million threads", lambda w: gd.set_num_threads(10**6), ValueError, "num_threads")
case("epochs and until_epoch",
     lambda w: w.mse.fit(X, Y, epochs=1, until_epoch=2, progress=False), ValueError,
     "epochs", "until_epoch")  # fmt: skip
case("validation_data of one", lambda w: w.mse.fit(X, Y, validation_data=(X,), progress=False),
     TypeError, "validation_data")  # fmt: skip
case("validation_data an array", lambda w: w.mse.fit(X, Y, validation_data=X, progress=False),
     TypeError, "validation_data")  # fmt: skip
case("shuffle 1", lambda w: w.mse.fit(X, Y, shuffle=1, progress=False), TypeError, "shuffle")
case("progress None", lambda w: w.mse.fit(X, Y, progress=None), TypeError, "progress")
case("training 1", lambda w: w.net.forward(X, training=1), TypeError, "training")
case("accumulate 0", lambda w: w.net.backward(Y, accumulate=0), TypeError, "accumulate")
for value, error in ((-1, ValueError), (1.5, TypeError), ("a", TypeError)):
    case(f"network seed {value}", lambda w, v=value: nets.network([1, 1], ["relu"], seed=v), error,
         "seed")  # fmt: skip
    case(f"trainer seed {value}", lambda w, v=value: gd.Trainer(w.net, "mse", "sgd", seed=v), error,
         "seed")  # fmt: skip
case("rows of different numbers in a fit", lambda w: w.mse.fit(X, Y[:-1], progress=False),
     ValueError, "y")  # fmt: skip

# ---- hyperparameters ----

HYPER: list[tuple[Callable[..., Any], str, tuple[float, ...]]] = [
    (gd.SGD, "lr", (-0.1, NAN, INF)),
    (gd.SGD, "momentum", (-0.1, NAN, INF)),
    (gd.SGD, "dampening", (NAN, INF)),
    (gd.SGD, "weight_decay", (-0.1, NAN, INF)),
    (gd.Adam, "lr", (-0.1, NAN, INF)),
    (gd.Adam, "eps", (-1e-8, NAN, INF)),
    (gd.Adam, "weight_decay", (-0.1, NAN, INF)),
    (gd.Huber, "delta", (0.0, -1.0, NAN, INF)),
    (gd.CrossEntropy, "label_smoothing", (-0.1, 1.1, NAN)),
    (gd.LeakyReLU, "negative_slope", (NAN, INF)),
    (gd.ELU, "alpha", (NAN, -INF)),
    (gd.Softplus, "beta", (0.0, -1.0, NAN, INF)),
    (gd.CELU, "alpha", (0.0, -1.0, NAN, INF)),
    (gd.Softshrink, "lambd", (-0.1, NAN, INF)),
    (gd.Hardshrink, "lambd", (-0.1, NAN, INF)),
    (gd.Threshold, "threshold", (NAN, INF)),
    (gd.Threshold, "value", (NAN, -INF)),
    (gd.Hardtanh, "min_val", (NAN, -INF, 1.0, 2.0)),
    (gd.Hardtanh, "max_val", (NAN, INF, -1.0, -2.0)),
]
for make, name, values in HYPER:
    title = getattr(make, "__name__", "")
    for value in values:
        case(f"{title} {name} {value}", lambda w, m=make, n=name, v=value: m(**{n: v}), ValueError,
             name)  # fmt: skip
    for value in ("0.1", None, True, 1j):
        case(f"{title} {name} {value!r}", lambda w, m=make, n=name, v=value: m(**{n: v}), TypeError,
             name)  # fmt: skip
for betas in ((1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, NAN)):
    case(f"betas {betas}", lambda w, b=betas: gd.Adam(betas=b), ValueError, "betas")
for betas in (0.9, (0.9,), (0.9, 0.99, 0.999), ("a", 0.9), None):
    case(f"betas {betas}", lambda w, b=betas: gd.Adam(betas=b), TypeError, "betas")
case("nesterov alone", lambda w: gd.SGD(nesterov=True), ValueError, "nesterov", "momentum")
case("nesterov with dampening",
     lambda w: gd.SGD(momentum=0.9, dampening=0.1, nesterov=True), ValueError,
     "nesterov", "dampening")  # fmt: skip
case("nesterov 1", lambda w: gd.SGD(momentum=0.9, nesterov=1), TypeError, "nesterov")
case("amsgrad 1", lambda w: gd.Adam(amsgrad=1), TypeError, "amsgrad")
for value in (-0.1, NAN, INF):
    case(f"trainer.lr {value}", lambda w, v=value: setattr(w.mse, "lr", v), ValueError, "lr")
    case(f"rule.lr {value}", lambda w, v=value: setattr(w.rule, "lr", v), ValueError, "lr")
case("trainer.lr text", lambda w: setattr(w.mse, "lr", "0.1"), TypeError, "lr")
for value in (0.0, -1e-3, NAN, 1e-300):
    case(f"numerical h {value}",
         lambda w, v=value: gd.numerical_gradient(lambda a: float(a.sum()), X, h=v), ValueError,
         "h")  # fmt: skip
for value in (0.0, -1e-3, NAN):
    case(f"check h {value}", lambda w, v=value: gd.check_gradients(w.net, "mse", X, Y, h=v),
         ValueError, "h")  # fmt: skip
    case(f"check tolerance {value}",
         lambda w, v=value: gd.check_gradients(w.net, "mse", X, Y, tolerance=v), ValueError,
         "tolerance")  # fmt: skip
for value in (1.797693e308, -1.797693e308):
    case(f"numerical w {value}", lambda w, v=value: gd.numerical_gradient(lambda a: 0.0, v),
         ValueError, "w")  # fmt: skip
case("numerical long double",
     lambda w: gd.numerical_gradient(lambda a: 0.0, np.longdouble("1e400")), ValueError,
     "w must be finite")  # fmt: skip
for result in (NAN, INF, np.float32(NAN), np.longdouble("1e400")):
    case(f"f returns {result!r}",
         lambda w, r=result: gd.numerical_gradient(lambda a: r, X), ValueError,
         "f must")  # fmt: skip
case("f too steep", lambda w: gd.numerical_gradient(lambda a: 1e308 if a > 0 else -1e308, 0.0),
     ValueError, "f must")  # fmt: skip
for result in ("text", None, np.ones(2), 1j):
    case(f"f returns {result!r}",
         lambda w, r=result: gd.numerical_gradient(lambda a: r, X), TypeError,
         "f must")  # fmt: skip

# ---- names ----

case("activation relux", lambda w: gd.Dense(3, "relux"), ValueError,
     "activation", "relux", "did you mean 'relu'")  # fmt: skip
case("activation ReLU", lambda w: gd.Dense(3, "ReLU"), ValueError,
     "activation", "did you mean 'relu'")  # fmt: skip
case("activation number", lambda w: gd.Dense(3, 5), TypeError, "activation")
case("activation class", lambda w: gd.Dense(3, gd.ReLU), TypeError, "activation", "ReLU()")
case("activation a loss", lambda w: gd.Dense(3, gd.MSE()), TypeError, "activation")
case("loss", lambda w: gd.Trainer(w.net, "cross_entrpy", "sgd"), ValueError,
     "loss", "did you mean 'cross_entropy'")  # fmt: skip
case("loss number", lambda w: gd.Trainer(w.net, 3, "sgd"), TypeError, "loss")
case("optimizer", lambda w: gd.Trainer(w.net, "mse", "adma"), ValueError,
     "optimizer", "did you mean 'adam'")  # fmt: skip
case("optimizer class", lambda w: gd.Trainer(w.net, "mse", gd.Adam), TypeError, "optimizer")
case("optimizer None", lambda w: gd.Trainer(w.net, "mse", None), TypeError, "optimizer")
case("weight_init", lambda w: gd.Dense(3, weight_init="he_norml"), ValueError,
     "weight_init", "did you mean 'he_normal'")  # fmt: skip
case("bias_init", lambda w: gd.Dense(3, bias_init="zero"), ValueError,
     "bias_init", "did you mean 'zeros'")  # fmt: skip
case("dtype", lambda w: gd.Network([gd.Dense(1)], input_size=1, dtype="float23"), ValueError,
     "dtype", "did you mean 'float32'")  # fmt: skip
for dtype in ("float16", "int64", "complex64", None, "nonsense", object):
    case(f"dtype {dtype}", lambda w, d=dtype: gd.Network([gd.Dense(1)], input_size=1, dtype=d),
         ValueError, "dtype")  # fmt: skip
case("matmul_precision",
     lambda w: gd.Trainer(w.net, "mse", "sgd", matmul_precision="higest"), ValueError,
     "matmul_precision", "did you mean 'highest'")  # fmt: skip
case("matmul_precision of float64",
     lambda w: gd.Trainer(w.net, "mse", "sgd", matmul_precision="high"), ValueError,
     "matmul_precision", "float64")  # fmt: skip
case("no network", lambda w: gd.Trainer("net", "mse", "sgd"), TypeError, "network")
case("check of no network", lambda w: gd.check_gradients(3, "mse", X, Y), TypeError, "net")

# ---- layers ----

case("no layers", lambda w: gd.Network([], input_size=1), ValueError, "layers")
case("a layer alone", lambda w: gd.Network(gd.Dense(1), input_size=1), TypeError, "layers")
for value in (None, 3, {}, "relu"):
    case(f"layers {value!r}", lambda w, v=value: gd.Network(v, input_size=1), TypeError,
         "layers must be a sequence")  # fmt: skip
case("no layer among layers", lambda w: gd.Network([gd.Dense(1), 3], input_size=1), TypeError,
     "layers[1]")  # fmt: skip
case("one name twice",
     lambda w: gd.Network([gd.Dense(1, name="a"), gd.Dense(1, name="a")], input_size=1), ValueError,
     "name", "'a'")  # fmt: skip
case("a name that is an index",
     lambda w: gd.Network([gd.Dense(1), gd.Dense(1, name="0")], input_size=1), ValueError,
     "name", "'0'")  # fmt: skip
for name in ("", "a.b"):
    case(f"name {name!r}", lambda w, n=name: gd.Dense(1, name=n), ValueError, "name")
case("name 3", lambda w: gd.Dense(1, name=3), TypeError, "name")
case("bias 1", lambda w: gd.Dense(1, bias=1), TypeError, "bias")

# ---- state ----


def without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


case("missing key", lambda w: w.net.load_state_dict(without(w.net.state_dict(), "1.bias")),
     ValueError, "state", "1.bias")  # fmt: skip
case("extra key", lambda w: w.net.load_state_dict({**w.net.state_dict(), "2.bias": np.ones(2)}),
     ValueError, "2.bias")  # fmt: skip
case("renamed key",
     lambda w: w.net.load_state_dict(
         {("1.wait" if k == "1.weight" else k): v for k, v in w.net.state_dict().items()}),
     ValueError, "state", "1.weight")  # fmt: skip
case("the last array is wrong",
     lambda w: w.net.load_state_dict(
         {k: (np.ones(5) if k == "1.bias" else 2 * v) for k, v in w.net.state_dict().items()}),
     ValueError, "1.bias")  # fmt: skip
case("the last array is not finite",
     lambda w: w.net.load_state_dict(
         {k: (v + NAN if k == "1.bias" else 2 * v) for k, v in w.net.state_dict().items()}),
     ValueError, "1.bias")  # fmt: skip
case("keys that are no strings", lambda w: w.net.load_state_dict({**w.net.state_dict(), 3: X}),
     ValueError, "state", "3")  # fmt: skip
for state in ([1], None, X, "0.weight"):
    case(f"state {type(state).__name__}", lambda w, s=state: w.net.load_state_dict(s), TypeError,
         "state")  # fmt: skip

# ---- rules on arrays of one's own ----

LOCKED = np.ones(3)
LOCKED.flags.writeable = False
BASE = np.ones(10)
for name, arrays, error, words in (
    ("none", [], ValueError, ("arrays",)),
    ("one alone", np.ones(3), TypeError, ("arrays",)),
    ("a list", [[1.0, 2.0]], TypeError, ("arrays[0]",)),
    ("integers", [np.ones(3), np.ones(3, int)], TypeError, ("arrays[1]",)),
    ("half", [np.ones(3, np.float16)], TypeError, ("arrays[0]",)),
    ("complex", [np.ones(3, complex)], TypeError, ("arrays[0]",)),
    ("two dtypes", [np.ones(3), np.ones(3, np.float32)], TypeError, ("arrays[1]",)),
    ("an empty one", [np.ones(0)], ValueError, ("arrays[0]",)),
    ("read-only", [LOCKED], ValueError, ("arrays[0]",)),
    ("strided", [np.ones(6)[::2]], ValueError, ("arrays[0]",)),
    ("unaligned", [np.zeros(25, np.uint8)[1:].view(float)], ValueError, ("arrays[0]", "aligned")),
    ("masked", [np.ma.ones(3)], TypeError, ("arrays[0]", "masked")),
    ("nothing", None, TypeError, ("arrays must",)),
    ("a dict", {"a": np.ones(3)}, TypeError, ("arrays must",)),
    ("overlapping", [BASE[:6], BASE[5:]], ValueError, ("arrays[0]", "arrays[1]")),
    ("the same twice", [BASE, BASE], ValueError, ("arrays[0]", "arrays[1]")),
):
    case(f"bind: {name}", lambda w, a=arrays: gd.Adam().bind(a), error, *words)
GOOD = [np.ones((2, 3)), np.ones(3)]
for name, gradients, error, words in (
    ("one less", GOOD[:1], ValueError, ("gradients",)),
    ("one more", [*GOOD, np.ones(3)], ValueError, ("gradients",)),
    ("shape", [np.ones((3, 2)), np.ones(3)], ValueError, ("gradients[0]",)),
    ("size", [np.ones((2, 3)), np.ones(4)], ValueError, ("gradients[1]",)),
    ("complex", [np.ones((2, 3)), np.ones(3, complex)], TypeError, ("gradients[1]",)),
    ("strings", [np.ones((2, 3)).astype(str), np.ones(3)], TypeError, ("gradients[0]",)),
    ("object", [np.ones((2, 3), object), np.ones(3)], TypeError, ("gradients[0]",)),
    ("NaN in the last", [np.ones((2, 3)), put(np.ones(3), NAN)], ValueError, ("gradients[1]",)),
    ("infinity", [put(np.ones((2, 3)), INF), np.ones(3)], ValueError, ("gradients[0]",)),
    ("None", None, TypeError, ("gradients must",)),
    ("a dict", {0: np.ones((2, 3)), 1: np.ones(3)}, TypeError, ("gradients must",)),
):
    case(f"rule.step: {name}", lambda w, g=gradients: w.rule.step(g), error, *words)
for wrong in (0, None, "no"):
    case(f"rule.step: check_finite {wrong!r}", lambda w, c=wrong: w.rule.step(GOOD, check_finite=c),
         TypeError, "check_finite")  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed() -> World:
    """Where a world arrives that sees no bad call."""
    world = World()
    world.go_on()
    return world


@pytest.mark.parametrize(
    ("call", "error", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_an_error_that_changes_nothing(
    undisturbed: World, call: Call, error: type[Exception], words: tuple[str, ...]
) -> None:
    world = World()
    before, threads, shared = world.state(), gd.get_num_threads(), SHARED.copy()
    with pytest.raises(error) as raised:
        call(world)
    assert raised.type is error
    for word in words:
        assert word in str(raised.value)
    assert world.state() == before
    assert gd.get_num_threads() == threads
    assert not OUT.any()
    assert_same_bits(SHARED, shared, "shared memory")
    world.go_on()
    assert world.state() == undisturbed.state()


def test_names_are_unique() -> None:
    names = [name for name, *_ in CASES]
    assert len(names) == len(set(names))

"""Networks, data and ways to train, drawn from the registries, and what came out of them.

A formula that is new in a registry is drawn as those before it, each of its fields from values that
its own checks allow.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from random import Random
from typing import Any

import nets
import numpy as np
from support import digest

import gdcore as gd
from gdcore import initializers
from gdcore._formula import Formula
from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer
from gdcore.schedules import Schedule
from tools.soak.finding import Case

__all__ = [
    "LARGE", "SMALL", "TINY", "act", "build", "data", "draw", "drawn_formula", "made",
    "optimizer_states", "outcome", "plain", "trained",
]  # fmt: skip

Sizes = tuple[Sequence[int], Sequence[int]]

# Widths and rows around the edges of vectors, panels and parts of a batch; in the large ones
# workers share what they pack, and in the tiny ones no sum hides what one number loses.
SMALL: Sizes = (1, 2, 3, 8, 20, 33, 64, 100, 257), (1, 2, 3, 31, 64, 127, 128, 129, 300, 513)
TINY: Sizes = (1, 2, 3), (1, 1, 2)
LARGE: Sizes = (64, 300, 337, 400, 512, 600), (64, 300, 336, 512, 700)

# What a field of a formula may be drawn from, by its type.
_VALUES: dict[str, tuple[Any, ...]] = {
    "float": (0.0, 1e-3, 0.01, 0.1, 0.5, 0.9),
    "int": (1, 2, 5, 40),
    "bool": (False, True),
    "str": ("epoch", "step"),
}
_RATES = (1.0, 1.0, 1.0, 0.1, 10.0, 0.0)  # times the optimizer's own


def drawn_formula(random: Random, family: type[Any], rates: Sequence[float] = _RATES) -> Case:
    """A member by its name, and options that it takes."""
    name = random.choice([n for n, each in sorted(family.members.items()) if _is_drawn(each)])
    member = family.members[name]
    for _ in range(100):
        options: dict[str, Any] = {}
        for field in fields(member):
            needed = field.default is MISSING
            kind = field.type if isinstance(field.type, str) else field.type.__name__
            if field.name == "lr":
                options["lr"] = field.default * random.choice(rates)
            elif not needed and random.random() < 0.5:
                continue
            elif kind.startswith("tuple[float, float"):
                count = kind.count("float")
                options[field.name] = [random.choice(_VALUES["float"]) for _ in range(count)]
            elif kind in _VALUES:
                options[field.name] = random.choice(_VALUES[kind])
        case = {"name": name, "options": options}
        try:
            made(family, case)
        except (TypeError, ValueError):
            continue
        return case
    return {"name": name, "options": {}}


def _is_drawn(member: type[Any]) -> bool:
    """Whether it needs no more than `_VALUES` has, and no validation data."""
    needed = [field.type for field in fields(member) if field.default is MISSING]
    return all(kind in _VALUES for kind in needed) and not hasattr(member, "monitor")


def made(family: type[Formula], case: Case | None) -> Any:
    """The formula of a case."""
    if case is None:
        return None
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in case["options"].items()}
    return family.members[case["name"]](**options)


def draw(
    random: Random,
    sizes: Sequence[Sizes] = (SMALL, SMALL, SMALL, TINY, LARGE),
    most: float = 3e8,
    dtypes: Sequence[str] = ("float32", "float64"),
    extremes: bool = True,
) -> Case:
    """A network, its data, a trainer and what to do with it.

    Args:
        sizes: Widths and rows to choose from.
        most: Multiply-adds of one step at the most.
        dtypes: To choose from.
        extremes: Also numbers that overflow or vanish, and learning rates that diverge.
    """
    while True:
        case = _drawn(random, sizes, dtypes, extremes)
        widths = [case["inputs"], *(layer["units"] for layer in case["layers"])]
        if case["rows"] * sum(a * b for a, b in pairwise(widths)) > most:
            continue
        if _goes_together(case):
            return case
        case["layers"][-1]["activation"] = {"name": "identity", "options": {}}
        if _goes_together(case):
            return case


def _drawn(
    random: Random, sizes: Sequence[Sizes], dtypes: Sequence[str], extremes: bool
) -> Case:  # fmt: skip
    widths, rows = random.choice(sizes)
    dtype = random.choice(dtypes)
    precisions = ("highest", "highest", "high", "medium") if dtype == "float32" else ("highest",)
    rates = (*_RATES, 1e20) if extremes and random.random() < 0.2 else _RATES
    case: Case = {
        "inputs": random.choice(widths),
        "layers": [
            {
                "units": random.choice(widths),
                "activation": drawn_formula(random, Activation),
                "bias": random.random() < 0.8,
                "init": random.choice(initializers.NAMES),
            }
            for _ in range(random.choice((1, 2, 2, 3, 3, 4)))
        ],
        "dtype": dtype,
        "rows": random.choice(rows),
        "loss": drawn_formula(random, Loss),
        "rule": drawn_formula(random, Optimizer, rates),
        "clip": random.choice((None, None, 1e-2, 1.0)),
        "schedule": drawn_formula(random, Schedule) if random.random() < 0.3 else None,
        "precision": random.choice(precisions),
        "weights": random.random() < 0.3,
        "soft": random.random() < 0.3,
        "scale": random.choice((-30, -12, 8, 25)) if extremes and random.random() < 0.15 else 0,
        "seed": random.randrange(1000),
    }
    if random.random() < 0.5:
        case["layers"][-1]["activation"] = {"name": "identity", "options": {}}
    case["ways"] = [_way(random, case["rows"], widths) for _ in range(random.choice((1, 2, 3, 4)))]
    return case


def _way(random: Random, rows: int, widths: Sequence[int]) -> list[Any]:
    few = random.choice((1, max(1, rows // 3), rows))
    batch = random.choice((None, 1 if rows < 40 else 7, max(1, rows // 2), max(1, rows // 3), rows))
    ways: list[list[Any]] = [
        ["step", rows, random.choice((1, 3))],
        ["step", few, 2],
        ["fit", random.choice((1, 2)), batch, random.random() < 0.5],
        ["learn_many", min(rows, 10)],
        ["learn_one", min(rows, 3)],
        ["backward", few, random.random() < 0.3],
        ["evaluate", random.choice((None, 1, few))],
        ["matmul", few, random.choice(widths), random.choice(widths), random.randrange(4)],
        ["bind", [random.choice(widths) * random.choice(widths) for _ in range(3)]],
    ]
    return random.choice(ways)


def _goes_together(case: Case) -> bool:
    """Whether the trainer takes this loss over this last layer without a word."""
    last = case["layers"][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "loss '.*' takes log-probabilities, which are at most 0")
        try:
            build({**case, "inputs": 1, "layers": [last]})
        except (UserWarning, ValueError):
            return False
    return True


def build(case: Case, threads: int | None = 1) -> gd.Trainer:
    """The trainer of a case."""
    layers = [
        gd.Dense(
            layer["units"],
            made(Activation, layer["activation"]),
            bias=layer["bias"],
            weight_init=layer["init"],
        )
        for layer in case["layers"]
    ]
    net = gd.Network(layers, input_size=case["inputs"], dtype=case["dtype"], seed=case["seed"])
    return gd.Trainer(
        net,
        made(Loss, case["loss"]),
        made(Optimizer, case["rule"]),
        num_threads=threads,
        clip_grad_norm=case["clip"],
        schedule=made(Schedule, case["schedule"]),
        matmul_precision=case["precision"],
    )


def data(case: Case) -> tuple[Any, Any, Any]:
    """Inputs, targets and sample weights or None."""
    rows, outputs, seed = case["rows"], case["layers"][-1]["units"], case["seed"]
    x = (nets.inputs(rows, case["inputs"], seed) * 10.0 ** case["scale"]).astype(case["dtype"])
    y = nets.targets(case["loss"]["name"], rows, outputs, seed)
    if y.dtype.kind in "iu" and case["soft"]:
        y = np.random.default_rng(seed).dirichlet(np.ones(outputs), rows)
    elif y.dtype.kind == "f":
        y = np.round(y) if case["soft"] else y
        y = y.astype(case["dtype"])
    weight = np.random.default_rng(seed + 1).uniform(0, 2, rows) if case["weights"] else None
    if weight is not None:
        weight[0] = 1.0
    return x, y, weight


def optimizer_states(trainer: gd.Trainer) -> dict[str, Any]:
    """The arrays that a rule keeps, by their number and the parameter they belong to."""
    states = trainer._native.copy()[2]
    return {f"{i} {key}": array for i, state in enumerate(states) for key, array in state.items()}


def plain(array: Any) -> Any:
    """A copy in which every NaN has the same bits: which NaN it is nobody promises."""
    copied = np.array(array)
    if copied.dtype.kind == "f":
        copied[np.isnan(copied)] = np.nan
    return copied


def outcome(work: Callable[[], Any]) -> str:
    """A digest of what comes out of a call, or the exception it raises."""
    try:
        value = work()
    except (ArithmeticError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if value is None:
        return "done"
    arrays = value if isinstance(value, dict) else {"value": value}
    return digest({key: plain(array) for key, array in arrays.items()})


def act(trainer: gd.Trainer, way: Sequence[Any], x: Any, y: Any, weight: Any) -> Any:
    """One of the ways of a case: the losses or figures that come out."""
    name, *arguments = way
    net = trainer.network
    if name == "step":
        rows, times = arguments
        few = None if weight is None else weight[:rows]
        return [trainer.step(x[:rows], y[:rows], few) for _ in range(times)]
    if name == "fit":
        epochs, batch, shuffle = arguments
        history = trainer.fit(
            x, y, epochs=epochs, batch_size=batch, shuffle=shuffle, sample_weight=weight,
            progress=False,
        )  # fmt: skip
        return history["loss"]
    if name == "learn_many":
        return trainer.learn_many(x[: arguments[0]], y[: arguments[0]])
    if name == "learn_one":
        return [trainer.learn_one(x[at], y[at]) for at in range(arguments[0])]
    if name == "evaluate":
        return list(trainer.evaluate(x, y, weight, arguments[0]).values())
    if name == "matmul":
        return _product(trainer, *arguments)
    if name == "bind":
        return _updated(trainer, arguments[0])
    rows, twice = arguments
    output = net.forward(x[:rows], training=True)
    found = net.backward(np.cos(output))
    if twice:
        net.forward(x[:rows], training=True)
        found = net.backward(np.sin(output), accumulate=True)
    gradients = net.gradients()
    trainer.apply_gradients()
    return {"input": found, **gradients}


def _product(trainer: gd.Trainer, rows: int, inner: int, columns: int, turned: int) -> Any:
    """A product of arrays, either of which may be transposed."""
    dtype = trainer.network.dtype
    a, b = (nets.inputs(*shape).astype(dtype) for shape in ((rows, inner), (inner, columns)))
    return gd.matmul(
        a.T.copy() if turned & 1 else a,
        b.T.copy() if turned & 2 else b,
        transpose_a=bool(turned & 1),
        transpose_b=bool(turned & 2),
        precision=trainer.matmul_precision,
    )


def _updated(trainer: gd.Trainer, sizes: Sequence[int]) -> dict[str, Any]:
    """What the trainer's rule makes of arrays of one's own."""
    arrays = [nets.inputs(1, size, size)[0].astype(trainer.network.dtype) for size in sizes]
    rule = trainer.optimizer.bind(arrays)
    for _ in range(3):
        rule.step([np.cos(array) for array in arrays], check_finite=False)
    return {str(at): array for at, array in enumerate(arrays)}


def trained(case: Case, threads: int | None = 1) -> dict[str, str]:
    """Digests of all that comes out of a case, in the order in which it did.

    The number of threads is set for the process too: for what is asked of the network alone.
    """
    gd.set_num_threads(threads)
    trainer = build(case, threads)
    x, y, weight = data(case)
    told = {"start": outcome(trainer.network.state_dict)}
    for at, way in enumerate(case["ways"]):
        where = f"{at} {json.dumps(way)}"
        told[f"{where}: result"] = outcome(lambda way=way: act(trainer, way, x, y, weight))
        told[f"{where}: parameters"] = outcome(trainer.network.state_dict)
        told[f"{where}: state"] = outcome(lambda: optimizer_states(trainer))
        told[f"{where}: position"] = f"{trainer.steps} {trainer.epochs} {trainer.lr.hex()}"
    told["predictions"] = outcome(lambda: trainer.network.predict(x))
    gd.set_num_threads(None)
    return told

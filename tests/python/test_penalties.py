"""Penalties on the size of weights: lasso, ridge, elastic net."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd

RULES: dict[str, gd.optimizers.Optimizer] = {
    "sgd": gd.SGD(lr=0.05, momentum=0.9),
    "adam": gd.Adam(lr=1e-2),
    "muon": gd.Muon(lr=1e-2),
    "lars": gd.LARS(lr=1e-2),
}
STACKS: dict[str, tuple[list[Any], int]] = {
    "tanh": ([gd.Dense(9, "tanh"), gd.Dense(3)], 5),
    "deep": ([gd.Dense(40, "relu"), gd.Dense(8, "silu"), gd.Dense(2)], 7),
    "norm": ([gd.Dense(8), gd.LayerNorm(), "tanh", gd.Dense(1)], 4),
}


def network(name: str, dtype: Any = "float64") -> gd.Network:
    layers, inputs = STACKS[name]
    return gd.Network(layers, input_size=inputs, dtype=dtype, seed=3)


def batch(net: gd.Network, step: int = 0, rows: int = 20) -> tuple[Any, Any]:
    rng = np.random.default_rng(step)
    outputs = net.predict(np.zeros((1, net.input_size))).shape[1]
    return rng.standard_normal((rows, net.input_size)), rng.standard_normal((rows, outputs))


def slope(w: Any, l1: float, l2: float) -> Any:
    return l1 * np.sign(w) + l2 * w


def gradients(net: gd.Network, step: int) -> dict[str, Any]:
    """Of some loss, left in the network."""
    x, y = batch(net, step)
    net.backward((net.forward(x, training=True) - y) / len(x))
    return net.gradients()


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("rule", RULES)
def test_it_is_the_gradient_of_the_penalty(rule: str, name: str) -> None:
    """What the rule within makes of the gradients of weights with the penalty's added."""
    net, other = network(name), network(name)
    wrapped = gd.Penalized(RULES[rule], l1=3e-3, l2=2e-2)
    trainer = gd.Trainer(net, "mse", wrapped, clip_grad_norm=0.5)
    keys = list(other.state_dict())
    arrays = list(other.state_dict().values())
    bound = RULES[rule].bind(arrays)
    for step in range(100):
        other.load_state_dict(dict(zip(keys, arrays, strict=True)))
        x, y = batch(net, step)
        output = other.forward(x, training=True)
        other.backward(2 * (output - y) / y.size)
        found = list(other.gradients().values())
        norm = np.sqrt(sum((g**2).sum() for g in found))
        share = min(1.0, 0.5 / (norm + 1e-6))
        bound.step(
            [
                g * share + (slope(w, 3e-3, 2e-2) if w.ndim == 2 else 0)
                for g, w in zip(found, arrays, strict=True)
            ]
        )
        told = trainer.step(x, y)
        assert told == pytest.approx(((output - y) ** 2).mean(), rel=1e-8)  # without the penalty
    for key, value in zip(keys, arrays, strict=True):
        np.testing.assert_allclose(net.state_dict()[key], value, rtol=1e-8, atol=1e-10)


def test_it_is_that_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    net = network("tanh")
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)
    ).double()
    names = {"0": "0", "1": "2"}
    for key, value in net.state_dict().items():
        layer, _, kind = key.partition(".")
        module.get_parameter(f"{names[layer]}.{kind}").data = torch.from_numpy(value)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    rule = gd.Penalized(gd.AdamW(lr=1e-2), l1=1e-3, l2=1e-2)
    trainer = gd.Trainer(net, "mse", rule)
    for step in range(100):
        x, y = batch(net, step)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(module(torch.from_numpy(x)), torch.from_numpy(y))
        for layer in (module[0], module[2]):
            loss = loss + 1e-3 * layer.weight.abs().sum() + 5e-3 * (layer.weight**2).sum()
        loss.backward()
        optimizer.step()
        trainer.step(x, y)
    for key, value in net.state_dict().items():
        layer, _, kind = key.partition(".")
        want = module.get_parameter(f"{names[layer]}.{kind}").detach().numpy()
        np.testing.assert_allclose(value, want, rtol=1e-8, atol=1e-10)


def peer(**options: Any) -> Any:
    """scikit-learn's classifier after one epoch, which makes its weights; the data with it."""
    neural = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 6))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.3)
    theirs = neural.MLPClassifier(
        (8,), activation="tanh", alpha=0.5, shuffle=False, max_iter=1, random_state=0, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x, y)
    return theirs, x, y


def twin(theirs: Any) -> gd.Network:
    layers = [gd.Dense(8, "tanh"), gd.Dense(3)]
    net = gd.Network(layers, input_size=6, dtype="float64")
    weights = {f"{i}.weight": w.T for i, w in enumerate(theirs.coefs_)}
    net.load_state_dict(weights | {f"{i}.bias": b for i, b in enumerate(theirs.intercepts_)})
    return net


@pytest.mark.parametrize("size", [60, 20])
def test_l2_is_scikit_learns_alpha(size: int) -> None:
    """Over the size of a batch; the loss that it tells has the penalty, ours has not."""
    theirs, x, y = peer(solver="sgd", momentum=0.0, learning_rate_init=0.2, batch_size=size)
    net = twin(theirs)
    trainer = gd.Trainer(net, "cross_entropy", gd.Penalized(gd.SGD(lr=0.2), l2=0.5 / size))
    for _ in range(10):
        before = sum((w**2).sum() for w in theirs.coefs_)
        theirs.partial_fit(x, y)
        history = trainer.fit(x, y, epochs=1, batch_size=size, shuffle=False, progress=False)
    if size == 60:
        assert theirs.loss_ == pytest.approx(history["loss"][-1] + 0.5 / 2 * before / 60, rel=1e-10)
    state = net.state_dict()
    for i, (weight, bias) in enumerate(zip(theirs.coefs_, theirs.intercepts_, strict=True)):
        np.testing.assert_allclose(state[f"{i}.weight"], weight.T, rtol=1e-9)
        np.testing.assert_allclose(state[f"{i}.bias"], bias, rtol=1e-9)


def test_weight_decay_without_biases_is_alpha_too() -> None:
    """Of solvers and of rules that add weight_decay w to the gradient."""
    found = []
    for rule, groups in (
        (gd.Penalized(gd.SGD(lr=0.1), l2=0.03), []),
        (gd.SGD(lr=0.1, weight_decay=0.03), [gd.Group("*.bias", weight_decay=0.0)]),
    ):
        net = network("deep")
        trainer = gd.Trainer(net, "mse", rule, groups=groups)
        trainer.fit(*batch(net), epochs=20, batch_size=None, progress=False)
        found.append(net.state_dict())
    for key, value in found[0].items():
        np.testing.assert_allclose(value, found[1][key], rtol=1e-12)


def test_groups_have_penalties_of_their_own() -> None:
    net = network("deep")
    rule = gd.Penalized(gd.SGD(lr=1.0), l1=1e-2, l2=0.1)
    groups = [
        gd.Group("0.*", l1=0.2, weights_only=False),
        gd.Group("*.weight", l2_factor=0.5, lr_factor=0.5),
        gd.Group("2.weight", l1_factor=0.0),
    ]
    numbers = {
        "0.weight": (0.2, 0.05, 0.5),
        "0.bias": (0.2, 0.1, 1.0),
        "1.weight": (1e-2, 0.05, 0.5),
        "2.weight": (0.0, 0.05, 0.5),
    }
    state = {key: value + 0.3 for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    trainer = gd.Trainer(net, None, rule, groups=groups)
    found = gradients(net, 0)
    trainer.apply_gradients()
    for key, w in state.items():
        l1, l2, rate = numbers.get(key, (0.0, 0.0, 1.0))
        want = w - rate * (found[key] + slope(w, l1, l2))
        np.testing.assert_allclose(net.state_dict()[key], want, rtol=1e-13)


@pytest.mark.parametrize("rule", [gd.SGD(lr=0.1), gd.LARS(lr=0.1)], ids=["sgd", "lars"])
def test_arrays_of_ones_own(rule: gd.optimizers.Optimizer) -> None:
    """Matrices are weights; gradients stay as they are."""
    rng = np.random.default_rng(0)
    first = [rng.standard_normal(shape) for shape in ((4, 5), (7,), (2, 3, 3))]
    one, two = ([array.copy() for array in first] for _ in range(2))
    groups = [gd.Group("1", weights_only=False, l2=0.5)]
    bound = gd.Lookahead(gd.Penalized(rule, l1=0.1, l2=0.2), k=9).bind(one, groups=groups)
    plain = rule.bind(two)
    for _ in range(3):
        found = [rng.standard_normal(array.shape) for array in first]
        given = [array.copy() for array in found]
        bound.step(given)
        assert all((a == b).all() for a, b in zip(given, found, strict=True))
        l2 = (0.2, 0.5, 0.2)
        plain.step([g + slope(w, 0.1, b) for g, w, b in zip(found, two, l2, strict=True)])
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_it_pulls_down_where_the_rule_goes_up() -> None:
    found = []
    for sign in (1, -1):
        net = network("tanh")
        rule = gd.Penalized(gd.Adam(lr=0.01, maximize=sign < 0), l1=0.1)
        trainer = gd.Trainer(net, None, rule)
        for _ in range(5):
            net.forward(batch(net)[0], training=True)
            net.backward(np.full((20, 3), 0.1 * sign))
            trainer.apply_gradients()
        found.append(net.state_dict())
    assert_same_state(found[0], found[1])


def test_sam_goes_uphill_without_it() -> None:
    """The order of wrappers does not matter, and nothing else of SAM's step changes."""
    x, y = batch(network("tanh"))
    found = []
    for rule in (
        gd.SAM(gd.Penalized(gd.SGD(lr=0.1), l2=0.1), rho=0.3),
        gd.Penalized(gd.SAM(gd.SGD(lr=0.1), rho=0.3), l2=0.1),
    ):
        net = network("tanh")
        gd.Trainer(net, "mse", rule).step(x, y)
        found.append(net.state_dict())
    assert_same_state(found[0], found[1])
    plain, first = network("tanh"), network("tanh").state_dict()
    gd.Trainer(plain, "mse", gd.SAM(gd.SGD(lr=0.1), rho=0.3)).step(x, y)
    for key, w in first.items():
        pull = 0.1 * 0.1 * w if key.endswith("weight") else 0.0
        np.testing.assert_allclose(found[0][key], plain.state_dict()[key] - pull, rtol=1e-12)


def test_what_it_takes() -> None:
    """No state; a copy of the gradients where the rule within sees whole parameters."""
    for rule, more in ((gd.Adam(), 0), (gd.Muon(), 1)):
        net = network("deep")
        plain, penalized = (
            gd.Trainer(net, "mse", each).memory_plan(20) for each in (rule, gd.Penalized(rule))
        )
        assert penalized["optimizer_state"] == plain["optimizer_state"]
        assert penalized["total"] - plain["total"] == more * plain["parameters"]


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("l1", lambda: gd.Penalized("sgd", l1=-1), ValueError, "l1 must be"),
    ("l2 nan", lambda: gd.Penalized("sgd", l2=float("nan")), ValueError, "l2 must be"),
    ("l2 text", lambda: gd.Penalized("sgd", l2="1"), TypeError, "l2 must be"),
    ("flag", lambda: gd.Penalized("sgd", weights_only=1), TypeError, "weights_only must be"),
    ("none", lambda: gd.Penalized(None), TypeError, "optimizer must be"),
    ("twice", lambda: gd.Penalized(gd.SAM(gd.Penalized("sgd"))), ValueError, "no penalty within"),
    (
        "solver",
        lambda: gd.Trainer(network("tanh"), "mse", gd.Penalized(gd.LBFGS(), l2=1.0)),
        ValueError,
        "Penalized",
    ),
    (
        "tiny",
        lambda: gd.Trainer(network("tanh", "float32"), "mse", gd.Penalized("sgd", l1=1e-60)),
        ValueError,
        "l1 must be",
    ),
    (
        "group without",
        lambda: gd.Trainer(network("tanh"), "mse", "adam", groups=[gd.Group("0.*", l1=0.1)]),
        ValueError,
        r"groups\[0\]: l1 is for a penalty, .*gdcore.Penalized",
    ),
    (
        "group",
        lambda: gd.Penalized("sgd").bind([np.ones(3)], groups=[gd.Group("0", l1=-0.1)]),
        ValueError,
        r"groups\[0\]: l1 must be",
    ),
    (
        "group factor",
        lambda: gd.Penalized("sgd").bind([np.ones(3)], groups=[gd.Group("0", l1=1, l1_factor=2)]),
        ValueError,
        "together",
    ),
    (
        "group flag",
        lambda: gd.Penalized("sgd").bind(
            [np.ones(3)], groups=[gd.Group("0", weights_only_factor=2)]
        ),
        ValueError,
        "no factor",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()

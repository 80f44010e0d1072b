"""For those who build on networks: jacobian, soft_update, parameters beside the layers."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
from support import assert_same_state
from test_layers import INPUTS, STACKS, Twin, X, Y, network

import gdcore as gd

LOG_STD = gd.Parameter("log_std", 3, init=-0.5)


# ---- jacobian ----


ENSEMBLES = [name for name in STACKS if network(name).members > 1]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_has_no_jacobian(name: str) -> None:
    with pytest.raises(ValueError, match="jacobian is of one network, got an ensemble of"):
        network(name).jacobian(X)


@pytest.mark.parametrize("name", [name for name in STACKS if name not in ENSEMBLES])
def test_the_jacobian_is_pytorchs(name: str) -> None:
    net = network(name)
    gd.Trainer(net, "mse", "sgd").step(X, np.zeros((len(X), net.output_size)))  # averages that tell
    twin = Twin(net)
    x = twin.torch.tensor(X, requires_grad=True)
    outputs = twin.module.eval()(x)  # of rows that do not see each other
    got = net.jacobian(X)
    assert got.shape == (len(X), net.output_size, INPUTS)
    for k in range(net.output_size):
        (want,) = twin.torch.autograd.grad(outputs[:, k].sum(), x, retain_graph=True)
        np.testing.assert_allclose(got[:, k], want, rtol=1e-10, atol=1e-12)


def test_rows_threads_and_batches_change_no_bit_of_a_jacobian() -> None:
    layers = [gd.Dense(40, "gelu"), gd.LayerNorm(), gd.Dropout(0.5), gd.Dense(3, "softmax")]
    net = gd.Network(layers, input_size=INPUTS)
    x = np.random.default_rng(0).standard_normal((600, INPUTS))
    found = []
    for threads in (1, 3):
        gd.set_num_threads(threads)
        found.append(net.jacobian(x))
    np.testing.assert_array_equal(*found)
    for i in (0, 255, 256, 599):
        np.testing.assert_array_equal(net.jacobian(x[i : i + 1])[0], found[0][i])
    assert np.abs(found[0].sum(axis=1)).max() < 1e-6  # of what adds up to 1
    outputs, derivatives = net.jacobian(x, return_outputs=True)
    np.testing.assert_array_equal(outputs, net.predict(x))
    np.testing.assert_array_equal(derivatives, found[0])


def test_a_jacobian_tells_the_outputs_of_heads() -> None:
    a, b = gd.Input(3, name="a"), gd.Input(2, name="b")
    h = gd.Dense(5, "tanh")(gd.Concat()(a, b))
    net = gd.Network(inputs=[a, b], outputs={"one": gd.Dense(1)(h), "two": gd.Dense(2)(h)})
    x = {"a": X[:, :3], "b": X[:, 3:5]}
    outputs, derivatives = net.jacobian(x, return_outputs=True)
    assert_same_state(outputs, net.predict(x))
    assert derivatives["two"]["b"].shape == (len(X), 2, 2)
    with pytest.raises(TypeError, match="return_outputs must be True or False"):
        net.jacobian(x, return_outputs="yes")  # type: ignore[arg-type]


def test_a_jacobian_leaves_all_else_as_it_was() -> None:
    net = network("batch norm")
    output = net.forward(X, training=True)
    state = net.state_dict()
    net.backward(output)
    gradients = net.gradients()
    net.jacobian(X[:5])
    assert_same_state(net.state_dict(), state)
    assert_same_state(net.gradients(), gradients)
    net.backward(output, accumulate=True)
    np.testing.assert_allclose(net.gradients()["0.weight"], 2 * gradients["0.weight"], rtol=1e-12)


def test_a_jacobian_takes_what_predict_takes() -> None:
    net = network("scale")
    for wrong, error, words in (
        (X[:, :2], ValueError, r"x must have shape \(N, 6\)"),
        (X[:0], ValueError, "x must have at least one row"),
        (np.full((1, INPUTS), np.nan), ValueError, "x must be finite"),
        ([["a"] * INPUTS], TypeError, "x must"),
    ):
        with pytest.raises(error, match=words):
            net.jacobian(wrong)


# ---- soft_update ----


def pair(dtype: Any = "float32") -> tuple[gd.Network, gd.Network]:
    layers = [gd.Dense(9, "relu"), gd.BatchNorm(), gd.Dense(3)]
    made = [
        gd.Network(layers, input_size=INPUTS, seed=seed, dtype=dtype, parameters=[LOG_STD])
        for seed in (1, 2)
    ]
    gd.Trainer(made[1], "mse", "sgd").step(X, Y)
    return made[0], made[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tau", [0, 0.005, 0.5, 1.0])
def test_a_soft_update_is_a_weighted_mean(tau: float, dtype: Any) -> None:
    own, other = pair(dtype)
    before, target = own.state_dict(), other.state_dict()
    own.soft_update(other, tau)
    share = np.dtype(dtype).type(tau)
    for key, value in own.state_dict().items():
        want = (1 - share) * before[key] + share * target[key]
        np.testing.assert_array_equal(value, want.astype(dtype), err_msg=key)
    assert_same_state(other.state_dict(), target)


def test_a_soft_update_is_seen_by_workers_and_uses_gradients_up() -> None:
    own, other = pair()
    own.backward(own.forward(X, training=True))
    own.soft_update(other, 1)
    np.testing.assert_array_equal(own.predict(X), other.predict(X))
    for call in (own.gradients, lambda: own.backward(Y)):
        with pytest.raises(RuntimeError, match="backward"):
            call()
    own.soft_update(own, 0.3)
    assert_same_state(own.state_dict(), other.state_dict())


def test_soft_updates_of_each_other_at_once_end() -> None:
    own, other = pair()
    trainer = gd.Trainer(other, "mse", gd.SGD(lr=0.0))

    def blend(one: gd.Network, two: gd.Network) -> None:
        for _ in range(300):
            one.soft_update(two, 0.5)

    jobs = [(own, other), (other, own), (own, other)]
    threads = [threading.Thread(target=blend, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for _ in range(50):
        trainer.step(X, Y)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert np.isfinite(own.predict(X)).all()


def plain(*layers: Any, **options: Any) -> gd.Network:
    return gd.Network(layers, **{"input_size": INPUTS, **options})


DIFFERENT: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no network": (lambda: 3, TypeError, "other must be a gdcore.Network, got int"),
    "dtype": (
        lambda: plain(gd.Dense(3), dtype="float64"),
        ValueError,
        "other must be of float32 as this network, got float64",
    ),
    "inputs": (lambda: plain(gd.Dense(3), input_size=5), ValueError, "must have 6 inputs, got 5"),
    "layers": (
        lambda: plain(gd.Dense(3), "relu"),
        ValueError,
        "other must have 1 layers, got 2",
    ),
    "units": (lambda: plain(gd.Dense(4)), ValueError, "the same layers, and layer '0' differs"),
    "parameters": (
        lambda: plain(gd.Dense(3), parameters=[LOG_STD]),
        ValueError,
        "other must have the same parameters beside its layers",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_networks_that_differ_are_not_blended(what: str) -> None:
    make, error, words = DIFFERENT[what]
    net = plain(gd.Dense(3))
    before = net.state_dict()
    with pytest.raises(error) as told:
        net.soft_update(make(), 0.5)
    assert words in str(told.value)
    assert_same_state(net.state_dict(), before)


@pytest.mark.parametrize(
    ("tau", "error"), [(-0.1, ValueError), (1.5, ValueError), ("1", TypeError)]
)
def test_tau_is_a_share(tau: Any, error: type[Exception]) -> None:
    own, other = pair()
    with pytest.raises(error, match="tau must be"):
        own.soft_update(other, tau)


# ---- parameters beside the layers ----


def policy(dtype: Any = "float64") -> gd.Network:
    """Of the mean of a Gaussian, whose spread does not depend on the input."""
    layers = [gd.Dense(16, "tanh"), gd.Dense(3)]
    return gd.Network(layers, input_size=INPUTS, dtype=dtype, seed=1, parameters=[LOG_STD])


def likelihood(mean: Any, y: Any, parameters: Any) -> Any:
    """Minus its logarithm, of each sample."""
    log_std = parameters["log_std"]
    z = (y - mean) * np.exp(-log_std)
    losses = (0.5 * z * z + log_std).sum(axis=1)
    each = (1 - z * z) / len(y)
    return losses, -z * np.exp(-log_std) / len(y), {"log_std": each}


def test_a_gaussian_policy_learns_its_spread_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    net = policy()
    state = net.state_dict()
    twin = Twin(gd.Network(net.layers, input_size=INPUTS, dtype="float64", seed=1))
    log_std = torch.nn.Parameter(torch.tensor(state["log_std"]))
    optimizer = torch.optim.Adam([*twin.module.parameters(), log_std], lr=1e-2)
    weight = np.linspace(0.2, 2, len(X))
    trainer = gd.Trainer(net, likelihood, gd.Adam(lr=1e-2), clip_grad_norm=0.5)
    x, y, w = (torch.tensor(each) for each in (X, Y, weight / weight.sum()))
    for step in range(100):
        optimizer.zero_grad()
        z = (y - twin.module(x)) * torch.exp(-log_std)
        losses = (0.5 * z * z + log_std).sum(dim=1)
        loss = losses.mean() if step % 2 else (w * losses).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*twin.module.parameters(), log_std], 0.5)
        optimizer.step()
        told = trainer.step(X, Y, None if step % 2 else weight)
        assert told == pytest.approx(loss.item(), rel=1e-10)
    np.testing.assert_allclose(net.state_dict()["log_std"], log_std.detach(), rtol=1e-9)
    assert abs(net.state_dict()["log_std"] + 0.5).max() > 0.1
    for key, value in twin.module.state_dict().items():
        np.testing.assert_allclose(net.state_dict()[key], value, rtol=1e-8, atol=1e-10)


def test_its_gradient_is_checked() -> None:
    report = gd.check_gradients(policy(), likelihood, X[:9], Y[:9], np.linspace(1, 2, 9))
    assert report.ok
    assert "log_std" in report.parameters

    def wrong(mean: Any, y: Any, parameters: Any) -> Any:
        losses, gradient, free = likelihood(mean, y, parameters)
        return losses, gradient, {"log_std": 1.01 * free["log_std"]}

    assert not gd.check_gradients(policy(), wrong, X[:9], Y[:9]).ok


def test_gradients_from_outside_train_it() -> None:
    inside, outside = policy(), policy()
    one = gd.Trainer(inside, likelihood, "adam")
    two = gd.Trainer(outside, None, "adam")
    for _ in range(3):
        one.step(X, Y)
        mean = outside.forward(X, training=True)
        _, gradient, free = likelihood(mean, Y, outside.state_dict())
        outside.backward(gradient, parameters={"log_std": free["log_std"].sum(axis=0)})
        two.apply_gradients()
    for key, value in inside.state_dict().items():
        np.testing.assert_allclose(outside.state_dict()[key], value, rtol=1e-12)


def test_gradients_of_it_add_up_and_are_zero_where_none_is_given() -> None:
    net = policy()
    output = net.forward(X, training=True)
    net.backward(output)
    assert list(net.gradients())[-1] == "log_std"
    np.testing.assert_array_equal(net.gradients()["log_std"], np.zeros(3))
    net.backward(output, parameters={"log_std": [1, 2, 3]})
    net.backward(output, True, parameters={"log_std": [1, 1, 1]})
    np.testing.assert_array_equal(net.gradients()["log_std"], [2, 3, 4])
    net.backward(output, True, parameters={})
    np.testing.assert_array_equal(net.gradients()["log_std"], [2, 3, 4])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_loss_by_name_leaves_it_as_it_is(threads: int) -> None:
    """Whichever way the step is shared, and with a rule that would move it without a gradient."""
    x = np.resize(X, (300, INPUTS))
    net, without = policy("float32"), gd.Network(policy().layers, input_size=INPUTS, seed=1)
    for each, clip in ((net, None), (without, None), (net, 0.1), (without, 0.1)):
        options: Any = {"num_threads": threads, "clip_grad_norm": clip}
        trainer = gd.Trainer(each, "mse", gd.AdamW(lr=1e-2, weight_decay=0.1), **options)
        trainer.fit(x, np.resize(Y, (300, 3)), epochs=2, batch_size=128, progress=False)
    state = net.state_dict()
    np.testing.assert_array_equal(state.pop("log_std"), np.full(3, -0.5, np.float32))
    assert_same_state(state, without.state_dict())
    assert gd.check_gradients(net, "mse", X[:3], Y[:3]).ok


def test_groups_know_it() -> None:
    trainer = gd.Trainer(
        policy(), likelihood, gd.SGD(lr=0.1), groups=[gd.Group("log_std", frozen=True)]
    )
    trainer.step(X, Y)
    assert trainer.network.state_dict()["log_std"].tolist() == [-0.5] * 3


def test_files_pickles_and_copies_hold_it(tmp_path: Path) -> None:
    shapes = [gd.Parameter("scalar", (), 2.0), gd.Parameter("matrix", (2, 3)), LOG_STD]
    net = gd.Network([gd.Dense(3)], input_size=2, parameters=shapes)
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    net.load_state_dict({**net.state_dict(), "matrix": matrix})
    assert [v.shape for v in net.state_dict().values()] == [(3, 2), (3,), (), (2, 3), (3,)]
    assert net.num_parameters == 9 + 1 + 6 + 3
    lines = str(net.summary()).splitlines()
    assert lines[-3].split() == ["log_std", "parameter", "(3,)", "3", "12", "0"]
    net.save(tmp_path / "net")
    for again in (
        gd.Network.load(tmp_path / "net"),
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
    ):
        assert again.parameters == net.parameters == tuple(shapes)
        assert_same_state(again.state_dict(), net.state_dict())
    trainer = gd.Trainer(policy(), likelihood, "adam")
    trainer.step(X, Y)
    trainer.save(tmp_path / "run")
    again = gd.Trainer.load(tmp_path / "run", loss=likelihood)
    for each in (trainer, again):
        each.fit(X, Y, epochs=2, batch_size=16, progress=False)
    assert_same_state(again.network.state_dict(), trainer.network.state_dict())
    plain(gd.Dense(3)).save(tmp_path / "plain")
    assert "parameters" not in models.unpacked(tmp_path / "plain")[1]["network"]


@pytest.mark.parametrize("parameters", [3, [3], [{}], [{"name": "a", "shape": [0], "init": 0.0}]])
def test_forged_parameters_are_told(parameters: Any, tmp_path: Path) -> None:
    policy().save(tmp_path / "net")
    arrays, description = models.unpacked(tmp_path / "net")
    description["network"]["parameters"] = parameters
    models.pack(tmp_path / "net", arrays, description)
    with pytest.raises(ValueError, match="is damaged or was forged"):
        gd.Network.load(tmp_path / "net")


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no name": (lambda: gd.Parameter(None), TypeError, "name must be a string"),  # type: ignore[arg-type]
    "dots": (lambda: gd.Parameter("a.b"), ValueError, "name must be non-empty and without dots"),
    "size": (lambda: gd.Parameter("a", 0), ValueError, "shape must be at least 1, got 0"),
    "sizes": (lambda: gd.Parameter("a", (2, 0)), ValueError, "shape[1] must be at least 1, got 0"),
    "real": (lambda: gd.Parameter("a", (2.0,)), TypeError, "shape[0] must be an integer"),  # type: ignore[arg-type]
    "init": (lambda: gd.Parameter("a", init=float("nan")), ValueError, "init must be finite"),
    "type": (
        lambda: plain(gd.Dense(3), parameters=["a"]),
        TypeError,
        "parameters[0] must be a gdcore.Parameter, got str",
    ),
    "twice": (
        lambda: plain(gd.Dense(3), parameters=[LOG_STD, gd.Parameter("log_std")]),
        ValueError,
        "parameters[0] and parameters[1] must have different names, got 'log_std' twice",
    ),
    "too large": (
        lambda: plain(gd.Dense(3), parameters=[gd.Parameter("a", init=1e300)]),
        ValueError,
        "init must",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_parameters_are_refused(what: str) -> None:
    make, error, words = BAD[what]
    with pytest.raises(error) as told:
        make()
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (3, TypeError, "parameters must be a mapping, got int"),
        ({"log_std": [1, 2]}, ValueError, r"parameters\['log_std'\] must have shape \(3,\)"),
        ({"log_std": [1, 2, np.inf]}, ValueError, r"parameters\['log_std'\] must be finite"),
        ({"0.bias": [1, 2, 3]}, ValueError, "has the key '0.bias', which is no parameter beside"),
    ],
)
def test_bad_gradients_of_it_are_refused(given: Any, error: type[Exception], words: str) -> None:
    net = policy()
    net.forward(X, training=True)
    with pytest.raises(error, match=words):
        net.backward(Y, parameters=given)
    with pytest.raises(RuntimeError, match="gradients are there after backward"):
        net.gradients()


@pytest.mark.parametrize(
    ("third", "error", "words"),
    [
        ((), TypeError, r"must return a triple \(loss, gradient, parameters\), got tuple of 2"),
        ((3,), ValueError, "must return a gradient of the parameter 'log_std', got no mapping"),
        (({"std": 1},), ValueError, r"of the parameter 'log_std', got the keys \['std'\]"),
        (
            ({"log_std": [1.0]},),
            ValueError,
            r"a gradient of 'log_std' of shape \(3,\), or of each sample \(40, 3\), got \(1,\)",
        ),
        (({"log_std": [np.nan] * 3},), ValueError, "must return a finite gradient of 'log_std'"),
    ],
)
def test_what_a_loss_returns_of_it_is_checked(
    third: Any, error: type[Exception], words: str
) -> None:
    def wrong(mean: Any, y: Any, parameters: Any) -> Any:
        parameters["log_std"][:] = 7  # a copy
        return (*likelihood(mean, y, parameters)[:2], *third)

    trainer = gd.Trainer(policy(), wrong, "sgd")
    before = trainer.network.state_dict()
    with pytest.raises(error, match=words):
        trainer.step(X, Y)
    assert_same_state(trainer.network.state_dict(), before)


def test_weights_need_the_parts_of_the_samples() -> None:
    def together(mean: Any, y: Any, parameters: Any) -> Any:
        losses, gradient, free = likelihood(mean, y, parameters)
        return losses, gradient, {"log_std": free["log_std"].sum(axis=0)}

    trainer = gd.Trainer(policy(), together, "sgd")
    trainer.step(X, Y)
    with pytest.raises(ValueError, match=r"by each sample, of shape \(40, 3\), where samples have"):
        trainer.step(X, Y, np.ones(len(X)))

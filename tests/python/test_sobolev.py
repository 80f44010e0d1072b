"""Training on derivatives beside values: against differences and PyTorch, its bits, bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from benchmarks import sobolev
from support import assert_same_state, run_json

import gdcore as gd

THREADS = (1, 2, 3, 5)
SMOOTH = [name for name in nets.ELEMENTWISE if name != "identity"]
DIRECTIONS = 3


def data(
    rows: int = 24,
    inputs: int = DIRECTIONS,
    outputs: int = 2,
    seed: int = 0,
    dtype: str = "float64",
) -> tuple[Any, Any, Any]:
    """Sines of sums of the inputs, and their derivatives."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (rows, inputs))
    by = rng.normal(size=(outputs, inputs))
    y = np.sin(x @ by.T)
    dy = np.cos(x @ by.T)[:, :, None] * by
    return x.astype(dtype), y.astype(dtype), dy.astype(dtype)


def some_missing(dy: Any, seed: int = 1) -> Any:
    """All derivatives of some rows, and single ones."""
    rng = np.random.default_rng(seed)
    dy = np.where(rng.uniform(size=dy.shape) < 0.2, np.nan, dy)
    dy[rng.uniform(size=len(dy)) < 0.3] = np.nan
    return dy


def weighed(rows: int) -> Any:
    weights = np.random.default_rng(2).uniform(0.2, 2, rows)
    weights[1] = 0
    return weights


def loss_of(
    net: gd.Network, x: Any, y: Any, dy: Any, weight: Any = 1.0, sample_weight: Any = None
) -> tuple[float, float, float]:
    """All, that of values and that of derivatives, as the guide has them, by other means."""
    errors = np.nan_to_num((net.jacobian(x) - dy) ** 2)
    values = ((net.predict(x) - y) ** 2).mean(1)
    derivatives = errors.mean((1, 2))
    weighted = (errors * weight).mean((1, 2))
    each = (values + weighted, values, derivatives)
    return tuple(float(np.average(losses, weights=sample_weight)) for losses in each)  # type: ignore[return-value]


def fit(net: gd.Network, given: tuple[Any, Any, Any], **options: Any) -> gd.Trainer:
    """A trainer of this network that has been at work; the trainer's own options by their names."""
    own = {
        key: options.pop(key)
        for key in ("num_threads", "clip_grad_norm", "average", "schedule", "clip", "seed")
        if key in options
    }
    optimizer = options.pop("optimizer", gd.SGD(lr=0.1))
    trainer = gd.Trainer(net, options.pop("loss", "mse"), optimizer, **own)
    x, y, dy = given
    trainer.fit(x, y, dy=dy, **{"epochs": 2, "batch_size": 8, "progress": False} | options)
    return trainer


def stack(dtype: str = "float64", seed: int = 0) -> gd.Network:
    layers = [gd.Dense(24, "tanh"), gd.Dense(16), "gelu", gd.Dense(16, "silu"), gd.Dense(2)]
    return gd.Network(layers, input_size=DIRECTIONS, dtype=dtype, seed=seed)


def residual() -> gd.Network:
    inner = [gd.Dense(8, "softplus"), gd.Dense(8)]
    layers = [
        gd.Standardize([0.1, -0.2, 0.3], [1.5, 0.7, 1.1]),
        *(gd.Dense(8, "mish"), gd.Residual(inner), "tanh", gd.Dense(2, bias=False)),
    ]
    return gd.Network(layers, input_size=DIRECTIONS, dtype="float64", seed=1)


def gradient(net: gd.Network, given: tuple[Any, Any, Any], **options: Any) -> dict[str, Any]:
    """By what a step of rate 1 does."""
    before = net.state_dict()
    fit(net, given, optimizer=gd.SGD(lr=1.0), epochs=1, batch_size=None, **options)
    after = net.state_dict()
    net.load_state_dict(before)
    return {key: before[key] - after[key] for key in before}


# ---- gradients ----


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_those_of_differences(name: str) -> None:
    given = data(rows=5)
    net = nets.network([DIRECTIONS, 4, 2], [name, name], seed=3)
    start = net.state_dict()
    found = gradient(net, given, derivative_weight=(0.5, 1.0, 2.0))
    h = 1e-5
    for key, value in start.items():
        expected = np.zeros_like(value)
        for at in np.ndindex(value.shape):
            losses = []
            for step in (h, -h):
                moved = {**start, key: value.copy()}
                moved[key][at] += step
                net.load_state_dict(moved)
                losses.append(loss_of(net, *given, weight=(0.5, 1.0, 2.0))[0])
            expected[at] = (losses[0] - losses[1]) / (2 * h)
        np.testing.assert_allclose(found[key], expected, rtol=1e-6, atol=2e-8, err_msg=key)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_history_tells_the_losses_apart(dtype: str) -> None:
    x, y, dy = data(dtype=dtype)
    dy, weights = some_missing(dy), weighed(len(x))
    net = stack(dtype)
    whole, values, derivatives = loss_of(net, x, y, dy, 0.3, weights)
    options = {"epochs": 1, "batch_size": None, "sample_weight": weights}
    history = fit(net, (x, y, dy), derivative_weight=0.3, **options).history
    close = {"rel": 1e-12 if dtype == "float64" else 1e-5}
    assert list(history) == ["loss", "value_loss", "derivative_loss"]
    assert history["loss"] == [pytest.approx(whole, **close)]
    assert history["value_loss"] == [pytest.approx(values, **close)]
    assert history["derivative_loss"] == [pytest.approx(derivatives, **close)]


Step = Callable[[Any, Any, Any, Any], Any]


def torch_steps(
    net: gd.Network, given: tuple[Any, Any, Any], batches: Sequence[Any], weight: Any, samples: Any
) -> dict[str, Any]:
    """The parameters after steps of Adam by PyTorch, which goes back through its own way back."""
    torch = pytest.importorskip("torch")
    import torch_twin

    twin = torch_twin.TorchNetwork(net)
    optimizer = torch.optim.Adam(twin.parameters.values(), lr=1e-2)
    x, y, dy = map(torch.tensor, given)
    each = torch.tensor(np.ones(len(x)) if samples is None else samples)
    by_input = torch.tensor(weight, dtype=x.dtype)
    for rows in batches:
        at = x[rows].requires_grad_()
        out = twin(at)
        slopes = [
            torch.autograd.grad(out[:, j].sum(), at, create_graph=True)[0]
            for j in range(out.shape[1])
        ]
        known = ~torch.isnan(dy[rows])  # what is left out must not be NaN on the way back
        errors = known * (torch.stack(slopes, 1) - dy[rows].nan_to_num()) ** 2 * by_input
        losses = ((out - y[rows]) ** 2).mean(1) + errors.mean((1, 2))
        optimizer.zero_grad()
        ((each[rows] * losses).sum() / each[rows].sum()).backward()
        optimizer.step()
    return {key: value.detach().numpy() for key, value in twin.parameters.items()}


@pytest.mark.parametrize(
    ("widths", "rows", "size", "steps", "missing", "weight"),
    [
        ([3, 16, 16, 2], 24, None, 50, False, 1.0),
        ([3, 40, 33, 1], 20, 8, 60, True, (0.2, 0.0, 3.0)),
        ([1, 20, 20, 3], 16, 4, 60, True, 0.5),
        ([7, 12, 1], 2300, None, 5, False, 1.0),  # in pieces
    ],
)
def test_it_is_pytorchs_double_backward(
    widths: list[int], rows: int, size: int | None, steps: int, missing: bool, weight: Any
) -> None:
    x, y, dy = data(rows, widths[0], widths[-1])
    samples = None
    if missing:
        dy, samples = some_missing(dy), weighed(rows)
    names = ["tanh", "gelu", "identity"][-len(widths) + 1 :]
    net = nets.network(widths, names, seed=4)
    at = size or rows
    batches = [slice(k, k + at) for k in range(0, rows, at)]
    epochs = -(-steps // len(batches))
    expected = torch_steps(net, (x, y, dy), batches * epochs, weight, samples)
    options = {"sample_weight": samples, "derivative_weight": weight, "shuffle": False}
    fit(net, (x, y, dy), optimizer=gd.Adam(lr=1e-2), epochs=epochs, batch_size=size, **options)
    for key, value in net.state_dict().items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-10, atol=1e-10, err_msg=key)


def test_residuals_and_standardized_inputs_have_derivatives() -> None:
    given = data(rows=6)
    net = residual()
    start = net.state_dict()
    found = gradient(net, given)
    h, rng = 1e-5, np.random.default_rng(0)
    trained = [key for key in start if not key.endswith(("mean", "scale"))]
    for _ in range(6):  # along some directions of all parameters
        way = {key: rng.normal(size=start[key].shape) for key in trained}
        losses = []
        for step in (h, -h):
            net.load_state_dict(start | {key: start[key] + step * way[key] for key in trained})
            losses.append(loss_of(net, *given)[0])
        along = sum(float((found[key] * way[key]).sum()) for key in trained)
        assert (losses[0] - losses[1]) / (2 * h) == pytest.approx(along, rel=1e-7, abs=1e-9)


def test_another_loss_is_what_the_values_take() -> None:
    x, y, dy = data(outputs=1)
    net = nets.network([DIRECTIONS, 8, 1], ["tanh", "identity"])
    huber = gd.Huber(delta=0.1)
    error = np.abs(net.predict(x) - y)
    values = np.where(error < 0.1, error**2 / 2, 0.1 * (error - 0.05)).mean()
    history = fit(net, (x, y, dy[:, 0]), loss=huber, batch_size=None, epochs=1).history
    assert history["value_loss"][0] == pytest.approx(float(values))


def test_the_gradient_is_clipped_whole() -> None:
    given = data()
    plain = gradient(stack(), given)
    norm = float(np.sqrt(sum((each**2).sum() for each in plain.values())))
    clipped = gradient(stack(), given, clip_grad_norm=norm / 3)
    for key, value in plain.items():
        np.testing.assert_allclose(clipped[key], value / 3, rtol=1e-5, atol=1e-12)


def test_frozen_layers_stay() -> None:
    net = stack()
    start = net.state_dict()
    trainer = gd.Trainer(net, "mse", "sgd", groups=[gd.Group("0.*", frozen=True)])
    x, y, dy = data()
    trainer.fit(x, y, dy=dy, epochs=1, progress=False)
    after = net.state_dict()
    assert {key for key in start if (start[key] != after[key]).any()} == {
        key for key in start if not key.startswith("0.")
    }


# ---- bits ----

RUNS: dict[str, dict[str, Any]] = {
    "fused": {},
    "clipped": {"clip_grad_norm": 0.5},
    "matrices": {"optimizer": gd.Muon(lr=0.01)},
    "sam": {"optimizer": gd.SAM(gd.SGD(lr=0.1))},
    "averaged": {"average": gd.EMA(0.9), "optimizer": gd.AdamW()},
    "accumulated": {"accumulate": 3},
    "pieces": {"batch_size": None, "rows": 2500},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("run", RUNS)
def test_threads_change_no_bit(run: str, dtype: str) -> None:
    options = {**RUNS[run]}
    x, y, dy = data(options.pop("rows", 70), dtype=dtype)
    states, histories = [], []
    for threads in THREADS:
        net = stack(dtype)
        given = {"batch_size": 32, **options}
        trainer = fit(net, (x, y, some_missing(dy)), num_threads=threads, **given)
        states.append(net.state_dict())
        histories.append(trainer.history)
    for state, history in zip(states, histories, strict=True):
        assert_same_state(state, states[0])
        assert history == histories[0]
    assert histories[0]["loss"][1] < histories[0]["loss"][0]


WIDE = """
import json, numpy as np, gdcore as gd
from test_sobolev import data, stack, fit
from support import digest
found = {}
for dtype in ("float32", "float64"):
    net = stack(dtype)
    fit(net, data(70, dtype=dtype), optimizer="adam")
    found[dtype] = digest(net.state_dict())
print(json.dumps(found))
"""


def test_the_instruction_set_changes_no_bit() -> None:
    assert run_json(WIDE, env={"GDCORE_MAX_ISA": "scalar"}) == run_json(WIDE)


def test_batches_put_together_are_one() -> None:
    one, two = stack(), stack()
    given = data(48)
    fit(one, given, batch_size=24, shuffle=False)
    fit(two, given, batch_size=8, accumulate=3, shuffle=False)
    assert_same_state(two.state_dict(), one.state_dict())


def test_a_saved_trainer_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    x, y, dy = data(40)
    options: dict[str, Any] = {"dy": dy, "derivative_weight": 0.7, "progress": False}
    trainers = [
        gd.Trainer(stack(), "mse", "adamw", schedule=gd.schedules.Cosine(t_max=6)) for _ in range(2)
    ]
    trainers[0].fit(x, y, epochs=6, **options)
    trainers[1].fit(x, y, epochs=2, **options)
    trainers[1].save(tmp_path / "run.safetensors")
    loaded = gd.Trainer.load(tmp_path / "run.safetensors")
    loaded.fit(x, y, until_epoch=6, **options)
    assert_same_state(loaded.network.state_dict(), trainers[0].network.state_dict())


def test_weight_zero_trains_values_alone() -> None:
    x, y, dy = data(40)
    one, two = stack(), stack()
    fit(one, (x, y, dy), derivative_weight=0.0)
    gd.Trainer(two, "mse", gd.SGD(lr=0.1)).fit(x, y, epochs=2, batch_size=8, progress=False)
    for key, value in one.state_dict().items():
        np.testing.assert_allclose(value, two.state_dict()[key], rtol=1e-9, atol=1e-12)


def test_plain_fits_and_those_on_derivatives_take_turns() -> None:
    x, y, dy = data(40)
    trainer = gd.Trainer(stack(), "mse", "adam")
    for given in (None, dy, None, some_missing(dy)):
        history = trainer.fit(x, y, dy=given, epochs=2, progress=False)
        assert ("value_loss" in history) == (given is not None)
    assert trainer.epochs == 8


# ---- around it ----


@pytest.mark.parametrize("name", sobolev.FUNCTIONS)
def test_derivatives_help_where_there_are_few_samples(name: str) -> None:
    function = sobolev.FUNCTIONS[name]
    h = 1e-6
    x, _, dy = function.samples(50, 0)
    for d, step in enumerate(np.eye(2) * h):
        slope = (function.values(x + step) - function.values(x - step)) / (2 * h)
        np.testing.assert_allclose(dy[:, d], slope, rtol=1e-6, atol=1e-6)
    fits = ["gdcore, values", "gdcore, derivatives too"]
    plain, both = (sobolev.error(function, fit, 50, 0, steps=500) for fit in fits)
    assert both < plain / 2


def test_callbacks_and_validation_see_it() -> None:
    x, y, dy = data(40)
    trainer = gd.Trainer(stack(), "mse", "adam")
    early = gd.callbacks.EarlyStopping("derivative_loss", patience=1)
    history = trainer.fit(
        *(x, y),
        **{"dy": dy, "validation_split": 0.25, "epochs": 3, "callbacks": [early]},
        progress=False,
    )
    assert {"loss", "value_loss", "derivative_loss", "val_loss"} == set(history)
    assert history["val_loss"][-1] == pytest.approx(
        float(((trainer.network.predict(x[30:]) - y[30:]) ** 2).mean())
    )


def test_the_columns_of_a_table_take_their_derivatives_along() -> None:
    pandas = pytest.importorskip("pandas")
    x, y, dy = data(16)
    one, two = stack(), stack()
    table = pandas.DataFrame(x, columns=["a", "b", "c"])
    for net, order in ((one, [0, 1, 2]), (two, [2, 0, 1])):
        trainer = gd.Trainer(net, "mse", "sgd")
        trainer.fit(table, y, epochs=1, progress=False, dy=dy)
        trainer.fit(table.iloc[:, order], y, epochs=1, progress=False, dy=dy[:, :, order])
    assert_same_state(two.state_dict(), one.state_dict())


# ---- bad input ----


def trained(layers: Any, dy: Any, loss: Any = "mse", optimizer: Any = "sgd", **more: Any) -> None:
    net = gd.Network(layers, input_size=DIRECTIONS, dtype="float64", seed=0)
    start = net.state_dict()
    y = more.pop("y", np.zeros((4, net.output_size)))
    batch = {"batch_size": None} if more.pop("whole", False) else {}
    trainer = gd.Trainer(net, loss, optimizer)
    try:
        x = np.random.default_rng(0).normal(size=(4, DIRECTIONS))
        trainer.fit(x, y, dy=dy, epochs=1, progress=False, **batch, **more)
    finally:
        assert trainer.epochs == 0
        assert_same_state(net.state_dict(), start)


TWO = [gd.Dense(4, "tanh"), gd.Dense(2)]
ONE = [gd.Dense(4, "tanh"), gd.Dense(1)]
RIGHT = np.zeros((4, 2, 3))
LONELY: dict[str, Any] = {"loss": "mse"}


def infinite() -> Any:
    dy = RIGHT.copy()
    dy[1, 0, 2] = np.inf
    return dy


@pytest.mark.parametrize(
    ("layers", "dy", "more", "words"),
    [
        (TWO, np.zeros((4, 3)), {}, r"dy must have shape \(4, 2, 3\), of rows, .* got \(4, 3\)"),
        (TWO, np.zeros((5, 2, 3)), {}, r"dy must have shape \(4, 2, 3\).* got \(5, 2, 3\)"),
        (TWO, np.zeros((4, 3, 2)), {}, r"got \(4, 3, 2\)"),
        (ONE, np.zeros((4, 2)), {}, r"\(4, 1, 3\), .* or \(4, 3\), got \(4, 2\)"),
        (ONE, np.zeros(()), {}, r"got \(\)"),
        (TWO, infinite(), {}, "NaN where a derivative is not known, got inf at index 8"),
        (TWO, np.full((4, 2, 3), np.nan), {}, "dy must hold a derivative, got NaN everywhere"),
        (TWO, RIGHT, {"derivative_weight": -1}, "derivative_weight must be at least 0, got -1"),
        (TWO, RIGHT, {"derivative_weight": np.inf}, "derivative_weight must be finite and at"),
        (TWO, RIGHT, {"derivative_weight": [1, 2]}, "one number or 3, one an input, got"),
        (TWO, RIGHT, {"derivative_weight": [1, -2, 3]}, r"derivative_weight\[1\] must be at least"),
        (TWO, None, {"derivative_weight": 2}, "derivative_weight goes with dy, got 2 without"),
        (TWO, None, {"derivative_weight": np.ones(3)}, "derivative_weight goes with dy, got array"),
        (TWO, RIGHT, {"derivative_weight": np.ones(())}, "one number or 3, one an input, got"),
        (TWO, RIGHT, {"optimizer": gd.LBFGS(), "whole": True}, "optimizer 'lbfgs', which asks"),
        (TWO, RIGHT, {"loss": "gaussian_nll", "y": np.zeros((4, 1))}, "got 'gaussian_nll'"),
        (TWO, RIGHT, {"loss": "cross_entropy", "y": [0, 1, 0, 1]}, "got 'cross_entropy'"),
        ([gd.Dense(4), gd.LayerNorm(), gd.Dense(2)], RIGHT, {}, "layer '1' of kind 'layer_norm'"),
        ([gd.Dense(4, "softmax"), gd.Dense(2)], RIGHT, {}, "activation 'softmax' of layer '0'"),
        ([gd.Dense(4), gd.Dropout(0.5), gd.Dense(2)], RIGHT, {}, "activation, add, dense, stand"),
    ],
)
def test_bad_input_is_told(layers: Any, dy: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trained(layers, dy, **more)


@pytest.mark.parametrize(
    ("dy", "more", "words"),
    [
        (RIGHT.astype(complex), {}, "dy must hold real numbers, got"),
        (RIGHT, {"derivative_weight": "high"}, "derivative_weight must be a number or a sequence"),
        (RIGHT, {"derivative_weight": None}, "derivative_weight must be a number or a sequence"),
        (RIGHT, {"derivative_weight": True}, "derivative_weight must be a real number, got True"),
    ],
)
def test_wrong_types_are_told(dy: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        trained(TWO, dy, **more)


def test_what_has_no_one_loss_or_input_is_refused() -> None:
    def own(prediction: Any, target: Any) -> Any:
        return ((prediction - target) ** 2).sum(1), 2 * (prediction - target)

    with pytest.raises(ValueError, match="dy needs a loss of gdcore, got a Python function"):
        trained(TWO, RIGHT, loss=own)
    a, b = gd.Input(2, name="a"), gd.Input(1, name="b")
    net = gd.Network(inputs=[a, b], outputs=gd.Dense(1)(gd.Concat()(a, b)))
    x = {"a": np.zeros((4, 2)), "b": np.zeros((4, 1))}
    with pytest.raises(ValueError, match="dy is for a network of one input of real numbers"):
        gd.Trainer(net, "mse", "sgd").fit(x, np.zeros(4), dy=np.zeros((4, 3)), epochs=1)


def test_a_run_that_diverges_goes_back() -> None:
    net = stack()
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e200))
    start = net.state_dict()
    x, y, dy = data()
    with pytest.raises(FloatingPointError, match="in epoch 1"):
        trainer.fit(x, y, dy=dy, epochs=5, progress=False)
    assert_same_state(net.state_dict(), start)

"""Layers: against PyTorch, alone and in networks; descriptions, files, bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from layer_twins import (
    EMBEDDINGS,
    batch_norm_twin,
    ensemble_twin,
    mix_twin,
    norm_twin,
    standardize_twin,
    table_twin,
)

import gdcore as gd
from gdcore import _core
from gdcore.activations import Activation
from gdcore.layers import Layer

RNG = np.random.default_rng(5)
INPUTS, ROWS, OUTPUTS = 6, 40, 3
X = RNG.standard_normal((ROWS, INPUTS))
Y = RNG.standard_normal((ROWS, OUTPUTS))


# From one to four bins a column.
BINS = [np.linspace(-1.1, 1.3, 2 + column % 4).tolist() for column in range(INPUTS)]


def targets(net: gd.Network) -> Any:
    return np.resize(Y, (ROWS, net.output_size))


STACKS: dict[str, Callable[[], list[Any]]] = {
    "activation": lambda: [gd.Dense(8), "gelu", gd.Dense(OUTPUTS)],
    "activation first": lambda: ["tanh", gd.Dense(OUTPUTS)],
    "layer norm": lambda: [gd.Dense(8), gd.LayerNorm(), "relu", gd.Dense(OUTPUTS)],
    "layer norm first": lambda: [gd.LayerNorm(eps=0.1), gd.Dense(OUTPUTS)],
    "layer norm plain": lambda: [
        gd.Dense(8, "silu"),
        gd.LayerNorm(affine=False),
        gd.Dense(OUTPUTS),
    ],
    "rms norm": lambda: [gd.Dense(8), gd.RMSNorm(), "tanh", gd.Dense(OUTPUTS)],
    "rms norm plain": lambda: [gd.Dense(8), gd.RMSNorm(1e-3, affine=False), gd.Dense(OUTPUTS)],
    "batch norm": lambda: [gd.Dense(8), gd.BatchNorm(), "relu", gd.Dense(OUTPUTS)],
    "batch norm first": lambda: [gd.BatchNorm(0.1, 0.3), gd.Dense(OUTPUTS)],
    "batch norm plain": lambda: [gd.Dense(8), gd.BatchNorm(affine=False), gd.Dense(OUTPUTS)],
    "batch norm ghost": lambda: [gd.Dense(8), gd.BatchNorm(ghost=13), "gelu", gd.Dense(OUTPUTS)],
    "batch norm dropped": lambda: [
        gd.Dense(8),
        gd.BatchNorm(),
        "relu",
        gd.Residual([gd.Dense(8, "tanh")]),
        gd.Dense(OUTPUTS),
    ],
    "batch norm last": lambda: [gd.Residual([gd.Dense(6, "silu"), gd.BatchNorm()]), gd.BatchNorm()],
    "scale": lambda: [gd.Dense(8), gd.Scale(), "tanh", gd.Dense(OUTPUTS)],
    "scale first": lambda: [gd.Scale(), gd.Dense(OUTPUTS)],
    "prelu": lambda: [gd.Dense(8), gd.PReLU(), gd.Dense(OUTPUTS)],
    "prelu each": lambda: [gd.PReLU(shared=False, init=-0.5), gd.Dense(8), gd.Dense(OUTPUTS)],
    "glu": lambda: [gd.Dense(10), gd.GLU(), gd.Dense(OUTPUTS)],
    "swiglu": lambda: [gd.GLU("silu"), gd.Dense(8), gd.GLU("identity"), gd.Dense(OUTPUTS)],
    "residual": lambda: [
        gd.Dense(8, "relu"),
        gd.Residual([gd.LayerNorm(), gd.Dense(12, "silu"), gd.Dense(8)]),
        "relu",
        gd.Dense(OUTPUTS),
    ],
    "shortcut": lambda: [
        gd.Residual([gd.Dense(8, "tanh"), gd.Dense(5)], shortcut=[gd.Dense(5, bias=False)]),
        gd.Dense(OUTPUTS),
    ],
    "residuals": lambda: [
        gd.Residual([gd.Residual([gd.Dense(INPUTS, "gelu")]), gd.RMSNorm()]),
        gd.Residual([gd.Dense(INPUTS, "gelu"), gd.LayerNorm()]),
        gd.Dense(OUTPUTS),
    ],
    "standardize": lambda: [gd.Standardize.of(X + 3), gd.Dense(8, "tanh"), gd.Dense(OUTPUTS)],
    "parametric": lambda: [
        gd.Dense(8),
        gd.ParametricActivation("silu"),
        gd.Dense(8),
        gd.ParametricActivation("relu"),
        gd.Dense(OUTPUTS),
    ],
    "ntk": lambda: [
        gd.Dense(20, "tanh", parametrization="ntk"),
        gd.Dense(OUTPUTS, parametrization="ntk", bias_init="lecun_normal"),
    ],
    "weight norm": lambda: [
        gd.Dense(40, "silu", weight_norm=True),
        gd.Dense(OUTPUTS, weight_norm=True, bias=False),
    ],
    "linear relu": lambda: [gd.LinearReLUEmbedding(5), gd.Dense(OUTPUTS)],
    "periodic": lambda: [
        gd.Dense(4),
        gd.PeriodicEmbedding(5, frequencies=6, sigma=0.3),
        gd.Dense(OUTPUTS),
    ],
    "periodic lite": lambda: [
        gd.PeriodicEmbedding(4, frequencies=5, sigma=0.3, lite=True),
        gd.Dense(OUTPUTS),
    ],
    "pbld": lambda: [gd.PeriodicEmbedding.pbld(frequencies=7), gd.Dense(OUTPUTS)],
    "piecewise A": lambda: [
        gd.PiecewiseLinearEmbedding(BINS, 3, activation="relu", version="A"),
        gd.Dense(OUTPUTS),
    ],
    "piecewise B": lambda: [
        gd.Dense(INPUTS),
        gd.PiecewiseLinearEmbedding(BINS, 3),
        gd.Dense(OUTPUTS),
    ],
    "tabm": lambda: [
        gd.EnsembleDense(8, 4, "relu", r_init="normal"),
        gd.EnsembleDense(8, 4, "relu"),
        gd.EnsembleDense(OUTPUTS, 4, shared=False),
    ],
    "tabm mini": lambda: [
        gd.EnsembleScale(3),
        gd.Dense(8, "silu"),
        gd.BatchNorm(),
        gd.Dense(8, "tanh"),
        gd.EnsembleDense(OUTPUTS, 3, shared=False),
    ],
    "tabm packed": lambda: [
        gd.Dense(5, "tanh"),
        gd.EnsembleDense(8, 5, "relu", shared=False, bias=False),
        gd.Residual([gd.EnsembleDense(8, 5, "gelu")]),
        gd.EnsembleDense(OUTPUTS, 5, "softmax", shared=False),
    ],
}


def network(name: str, dtype: Any = "float64", seed: int = 1) -> gd.Network:
    return gd.Network(STACKS[name](), input_size=INPUTS, dtype=dtype, seed=seed)


def test_a_count_of_batches_is_passed_over_beside_averages() -> None:
    net = gd.Network([gd.BatchNorm(), gd.Dense(2), gd.LayerNorm()], input_size=3)
    state = {**net.state_dict(), "0.num_batches_tracked": np.int64(7)}
    net.load_state_dict(state)
    with pytest.raises(ValueError, match=r"2\.num_batches_tracked"):
        net.load_state_dict({**state, "2.num_batches_tracked": np.int64(7)})


def test_the_row_shows_rates() -> None:
    net = gd.Network([gd.Dense(4, "relu"), gd.Dropout(0.25), gd.Dense(2)], input_size=3)
    assert "4 relu -> dropout 0.25 -> 2" in repr(net)


class Twin:
    """The same layers in PyTorch, with the same parameters."""

    def __init__(self, net: gd.Network) -> None:
        self.torch = pytest.importorskip("torch")
        self.members = 1
        self.module = self.sequential(net.layers, INPUTS)[0].double()
        state = {key: self.torch.tensor(value) for key, value in net.state_dict().items()}
        missing, extra = self.module.load_state_dict(state, strict=False)
        # The edges of bins, of which another makes weights.
        assert all(key.endswith(".bins") for key in extra)
        theirs = ("num_batches_tracked", "impl.weight", "impl.bias", "impl.mask")
        assert all(key.endswith((*theirs, "impl.single_bin_mask")) for key in missing)

    def sequential(self, layers: Any, width: int) -> tuple[Any, int]:
        modules = []
        for layer in layers:
            module, width = self.module_of(layer, width)
            modules.append(module)
        return self.torch.nn.Sequential(*modules), width

    def module_of(self, layer: Any, width: int) -> tuple[Any, int]:
        nn = self.torch.nn
        if isinstance(layer, Activation):
            return self.activation(layer), width
        if isinstance(layer, EMBEDDINGS):
            activation = getattr(layer, "activation", "relu")
            return table_twin(layer, width, self.activation(activation))
        if isinstance(layer, (gd.EnsembleDense, gd.EnsembleScale)):
            made = ensemble_twin(
                layer, width, self.activation(getattr(layer, "activation", "identity"))
            )
            self.members = layer.members
            return made, getattr(layer, "units", width)
        if isinstance(layer, gd.Dense) and (layer.weight_norm or layer.parametrization == "ntk"):
            return norm_twin(layer, width, self.activation(layer.activation)), layer.units
        if isinstance(layer, gd.ParametricActivation):
            return mix_twin(width, self.activation(layer.activation)), width
        if isinstance(layer, gd.Standardize):
            return standardize_twin(layer), width
        if isinstance(layer, gd.Dense):
            linear = nn.Linear(width, layer.units, bias=layer.bias)
            return self.joined(linear, self.activation(layer.activation)), layer.units
        if isinstance(layer, gd.BatchNorm):
            return batch_norm_twin(layer, width, self.members), width
        if isinstance(layer, gd.LayerNorm):
            return nn.LayerNorm(width, layer.eps, layer.affine), width
        if isinstance(layer, gd.RMSNorm):
            return nn.RMSNorm(width, layer.eps, layer.affine), width
        if isinstance(layer, gd.PReLU):
            return nn.PReLU(1 if layer.shared else width, layer.init), width
        if isinstance(layer, gd.Scale):
            return self.scale(width), width
        if isinstance(layer, gd.GLU):
            return self.gate(self.activation(layer.activation)), width // 2
        assert isinstance(layer, gd.Residual)
        return self.residual(layer, width)

    def predicted(self, x: Any) -> Any:
        """The mean of the members of an ensemble."""
        with self.torch.no_grad():
            output = self.module.eval()(x)
        return output if self.members == 1 else output.mean(1)

    def scale(self, width: int) -> Any:
        nn, torch = self.torch.nn, self.torch

        class Scale(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.ones(width))

            def forward(self, x: Any) -> Any:
                return x * self.weight

        return Scale()

    def gate(self, activation: Any) -> Any:
        class Gate(self.torch.nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, x: Any) -> Any:
                a, b = x.chunk(2, dim=1)
                return a * activation(b)

        return Gate()

    def activation(self, activation: Any) -> Any:
        name = Activation.resolve("activation", activation).name
        nn = self.torch.nn
        kinds = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
        kinds |= {"sigmoid": nn.Sigmoid, "softmax": lambda: nn.Softmax(dim=-1)}
        return nn.Identity() if name == "identity" else kinds[name]()

    def joined(self, linear: Any, activation: Any) -> Any:
        """With the keys of the linear layer alone."""

        class Joined(self.torch.nn.Linear):  # type: ignore[misc, name-defined]
            def forward(self, x: Any) -> Any:
                return activation(super().forward(x))

        linear.__class__ = Joined
        return linear

    def residual(self, layer: gd.Residual, width: int) -> tuple[Any, int]:
        shortcut = layer.shortcut
        body, last = self.sequential(layer.layers, width)
        if shortcut is not None:
            body.add_module("shortcut", self.sequential(shortcut, width)[0])

        def forward(x: Any) -> Any:
            y = x
            for key, module in body._modules.items():
                if key != "shortcut":
                    y = module(y)
            return (x if shortcut is None else body._modules["shortcut"](x)) + y

        body.forward = forward
        return body, last


@pytest.mark.parametrize("name", STACKS)
class TestAgainstPyTorch:
    def test_outputs_and_gradients_agree(self, name: str) -> None:
        net = network(name)
        twin = Twin(net)
        x = twin.torch.tensor(X, requires_grad=True)
        np.testing.assert_allclose(net.predict(X), twin.predicted(x), rtol=1e-10, atol=1e-12)
        want = twin.module.train()(x)
        got = net.forward(X, training=True)
        np.testing.assert_allclose(got, want.detach(), rtol=1e-10, atol=1e-12)
        gradient = RNG.standard_normal(want.shape)
        want.backward(twin.torch.tensor(gradient))
        np.testing.assert_allclose(net.backward(gradient), x.grad, rtol=1e-10, atol=1e-12)
        gradients = net.gradients()
        for key, parameter in twin.module.named_parameters():
            np.testing.assert_allclose(gradients[key], parameter.grad, rtol=1e-9, atol=1e-11)

    def test_a_hundred_steps_agree(self, name: str) -> None:
        net = network(name)
        twin = Twin(net)
        trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-3))
        optimizer = twin.torch.optim.Adam(twin.module.parameters(), lr=1e-3)
        x, y = twin.torch.tensor(X), twin.torch.tensor(targets(net))
        for _ in range(100):
            optimizer.zero_grad()
            output = twin.module(x)
            wanted = y if twin.members == 1 else y[:, None].expand_as(output)
            loss = twin.torch.nn.functional.mse_loss(output, wanted)
            loss.backward()
            optimizer.step()
            assert trainer.step(X, targets(net)) == pytest.approx(loss.item(), rel=1e-10)
        want = twin.module.state_dict()  # running averages too
        for key, value in net.state_dict().items():
            if not key.endswith(".bins"):
                np.testing.assert_allclose(value, want[key], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(net.predict(X), twin.predicted(x), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", STACKS)
class TestEverywhere:
    def test_gradients_are_checked(self, name: str) -> None:
        net = network(name)
        assert gd.check_gradients(net, "mse", X[:5], targets(net)[:5]).ok

    def test_threads_and_batches_change_no_bit(self, name: str) -> None:
        found = []
        for threads in (1, 2, 3):
            net = network(name, "float32")
            trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2), num_threads=threads)
            trainer.fit(X, targets(net), epochs=2, batch_size=32, progress=False)
            found.append(net.state_dict())
        for other in found[1:]:
            for key, value in found[0].items():
                np.testing.assert_array_equal(value, other[key])
        np.testing.assert_array_equal(net.predict(X, batch_size=7), net.predict(X))

    def test_files_pickles_and_copies_hold_it(self, name: str, tmp_path: Path) -> None:
        net = network(name, "float32")
        gd.Trainer(net, "mse", "sgd").step(X, targets(net))
        for again in nets.again(net, tmp_path):
            np.testing.assert_array_equal(again.predict(X), net.predict(X))

    def test_the_summary_has_a_line_for_each_layer_of_the_graph(self, name: str) -> None:
        net = network(name)
        lines = str(net.summary()).splitlines()
        assert f"{net.num_parameters:,}" in lines[-1]
        names = tuple(line.split()[0] + "." for line in lines)
        assert all(key.startswith(names) for key in net.state_dict())


class TestBatchNorm:
    def net(self) -> gd.Network:
        return gd.Network([gd.Dense(8), gd.BatchNorm(), "relu", gd.Dense(3)], input_size=INPUTS)

    def test_a_batch_of_one_row_is_refused_and_changes_nothing(self) -> None:
        net = self.net()
        trainer = gd.Trainer(net, "mse", "sgd")
        before = net.state_dict()
        words = "layer '1' of kind 'batch_norm' needs at least 2 rows in a batch in training, got 1"
        for call in (
            lambda: trainer.step(X[:1], Y[:1]),
            lambda: trainer.learn_one(X[0], Y[0]),
            lambda: trainer.fit(X, Y, epochs=1, batch_size=13, progress=False),  # 40 = 3 * 13 + 1
            lambda: net.forward(X[:1], training=True),
        ):
            with pytest.raises(ValueError, match=words):
                call()
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(value, before[key])
        assert trainer.steps == 0
        assert net.predict(X[:1]).shape == (1, 3)

    def test_an_epoch_that_diverges_leaves_the_averages_as_they_were(self) -> None:
        net = self.net()
        trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e30))
        before = net.state_dict()
        with pytest.raises(FloatingPointError, match=r"became|left the finite"):
            trainer.fit(X, Y, epochs=1, batch_size=8, progress=False)
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(value, before[key])

    def test_a_whole_batch_is_normalized_beyond_what_goes_through_at_once(self) -> None:
        x = RNG.standard_normal((5000, INPUTS)) + 3
        net = self.net()
        twin = Twin(gd.Network(net.layers, input_size=INPUTS, dtype="float64"))
        got = gd.Network(net.layers, input_size=INPUTS, dtype="float64")
        trainer = gd.Trainer(got, "mse", gd.SGD(lr=0.1))
        y = np.zeros((5000, 3))
        loss = twin.torch.nn.functional.mse_loss(
            twin.module(twin.torch.tensor(x)), twin.torch.tensor(y)
        )
        assert trainer.step(x, y) == pytest.approx(loss.item(), rel=1e-12)
        assert (
            trainer.memory_plan(5000)["activations"] > 2 * trainer.memory_plan(2048)["activations"]
        )
        want = twin.module.state_dict()["1.running_var"]
        np.testing.assert_allclose(got.state_dict()["1.running_var"], want, rtol=1e-10)

    @pytest.mark.parametrize(("ghost", "rows"), [(64, 2113), (100, 12801), (3, 5000), (9000, 9001)])
    def test_ghost_batches_go_through_in_pieces(self, ghost: int, rows: int) -> None:
        x = RNG.standard_normal((rows, INPUTS)) + 3
        y = np.zeros((rows, 3))
        layers = [gd.Dense(8), gd.BatchNorm(ghost=ghost), "relu", gd.Dropout(0.3), gd.Dense(3)]
        found = []
        for threads in (1, 2):
            net = gd.Network(layers, input_size=INPUTS, dtype="float64", seed=2)
            trainer = gd.Trainer(net, "mse", gd.SGD(lr=0.1), num_threads=threads)
            trainer.step(x, y)
            found.append(net.state_dict())
        for key, value in found[0].items():
            np.testing.assert_array_equal(value, found[1][key])
        del layers[3]
        net = gd.Network(layers, input_size=INPUTS, dtype="float64", seed=2)
        twin = Twin(net)
        trainer = gd.Trainer(net, "mse", gd.SGD(lr=0.1))
        loss = twin.torch.nn.functional.mse_loss(
            twin.module(twin.torch.tensor(x)), twin.torch.tensor(y)
        )
        assert trainer.step(x, y) == pytest.approx(loss.item(), rel=1e-10)
        loss.backward()
        with twin.torch.no_grad():
            for parameter in twin.module.parameters():
                parameter -= 0.1 * parameter.grad
        for key, value in net.state_dict().items():
            want = twin.module.state_dict()[key]
            np.testing.assert_allclose(value, want, rtol=1e-9, atol=1e-11)

    def test_ghost_batches_bound_the_memory(self) -> None:
        def activations(rows: int, ghost: int | None) -> int:
            layers = [gd.Dense(8), gd.BatchNorm(ghost=ghost), gd.Dense(3)]
            net = gd.Network(layers, input_size=INPUTS)
            return gd.Trainer(net, "mse", "sgd").memory_plan(rows)["activations"]

        assert activations(100_000, 64) == activations(4000, 64) < 1.1 * activations(2048, None)
        assert activations(100_000, 100) < activations(100_000, None) / 10
        assert activations(100_000, 2**40) == activations(100_000, None)

    def test_states_must_be_there_and_fit(self) -> None:
        net = self.net()
        state = net.state_dict()
        assert list(state)[-2:] == ["1.running_mean", "1.running_var"]
        assert "1.running_mean" not in self.gradients_of(net)
        with pytest.raises(ValueError, match=r"state lacks the keys '1\.running_mean'"):
            net.load_state_dict({k: v for k, v in state.items() if k != "1.running_mean"})
        net.load_state_dict({**state, "1.running_var": np.full(8, 4.0)})
        assert net.state_dict()["1.running_var"].tolist() == [4.0] * 8
        assert net.num_parameters == INPUTS * 8 + 8 + 16 + 8 * 3 + 3

    def gradients_of(self, net: gd.Network) -> dict[str, Any]:
        net.forward(X, training=True)
        net.backward(Y)
        return net.gradients()

    def test_a_run_that_goes_on_from_a_file_has_the_same_bits(self, tmp_path: Path) -> None:
        whole = gd.Trainer(self.net(), "mse", gd.Adam(), seed=1)
        whole.fit(X, Y, epochs=4, batch_size=16, progress=False)
        half = gd.Trainer(self.net(), "mse", gd.Adam(), seed=1)
        half.fit(X, Y, epochs=2, batch_size=16, progress=False)
        half.save(tmp_path / "half.safetensors")
        again = gd.Trainer.load(tmp_path / "half.safetensors")
        again.fit(X, Y, epochs=2, batch_size=16, progress=False)
        for key, value in again.network.state_dict().items():
            np.testing.assert_array_equal(value, whole.network.state_dict()[key])


class TestDropout:
    def trained(self, steps: int, net: gd.Network | None = None, **arguments: Any) -> gd.Trainer:
        made = net or gd.Network(
            [gd.Dense(64, "relu"), gd.Dropout(0.4), gd.Dense(OUTPUTS)], input_size=INPUTS, seed=3
        )
        trainer = gd.Trainer(made, "mse", gd.Adam(), seed=7, **arguments)
        for _ in range(steps):
            trainer.step(X, Y)
        return trainer

    def test_the_mean_stays_and_a_share_goes(self) -> None:
        net = gd.Network([gd.Dropout(0.25)], input_size=1000)
        x = np.ones((1000, 1000))
        y = net.forward(x, training=True)
        assert np.unique(y).tolist() == [0.0, pytest.approx(1 / 0.75)]
        assert abs((y == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / y.size) ** 0.5
        np.testing.assert_array_equal(net.backward(x), y)  # the same ones are left out
        assert (net.forward(x, training=True) != y).any()  # and others in the next pass
        np.testing.assert_array_equal(net.predict(x), x)
        np.testing.assert_array_equal(net.forward(x), x)

    def test_a_run_that_goes_on_from_a_file_draws_the_same(self, tmp_path: Path) -> None:
        whole = self.trained(12).network.state_dict()
        half = self.trained(6)
        half.save(tmp_path / "half.safetensors")
        again = gd.Trainer.load(tmp_path / "half.safetensors")
        for _ in range(6):
            again.step(X, Y)
        for key, value in again.network.state_dict().items():
            np.testing.assert_array_equal(value, whole[key])

    def test_threads_draw_the_same_and_seeds_do_not(self) -> None:
        one = self.trained(5, num_threads=1).network.predict(X)
        np.testing.assert_array_equal(self.trained(5, num_threads=3).network.predict(X), one)
        net = gd.Network(
            [gd.Dense(64, "relu"), gd.Dropout(0.4), gd.Dense(OUTPUTS)], input_size=INPUTS, seed=3
        )
        other = gd.Trainer(net, "mse", gd.Adam(), seed=8)
        for _ in range(5):
            other.step(X, Y)
        assert (net.predict(X) != one).any()

    def test_evaluation_leaves_nothing_out(self) -> None:
        trainer = self.trained(5)
        want = float(np.mean((trainer.network.predict(X) - Y) ** 2))
        assert trainer.evaluate(X, Y)["loss"] == pytest.approx(want, rel=1e-5)
        assert gd.check_gradients(trainer.network, "mse", X[:4], Y[:4]).ok

    def test_a_rate_of_zero_is_no_layer(self) -> None:
        plain = self.trained(3, gd.Network([gd.Dense(OUTPUTS)], input_size=INPUTS))
        layers = [gd.Dense(OUTPUTS), gd.Dropout(0)]
        with_it = self.trained(3, gd.Network(layers, input_size=INPUTS))
        np.testing.assert_array_equal(with_it.network.predict(X), plain.network.predict(X))


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("rate one", lambda: gd.Dropout(1.0), ValueError, "rate must be at least 0 and below 1, got 1"),
    ("rate below", lambda: gd.Dropout(-0.1), ValueError, "rate must be at least 0"),
    ("rate NaN", lambda: gd.Dropout(float("nan")), ValueError, "rate must be finite"),
    ("rate text", lambda: gd.Dropout("0.5"), TypeError, "rate must be a real number, got '0.5'"),
    ("eps below", lambda: gd.LayerNorm(-1e-5), ValueError, "eps must be at least 0"),
    ("a width", lambda: gd.LayerNorm(64), ValueError, "eps must be below 1, got 64: the width of"),
    ("a width of columns", lambda: gd.BatchNorm(64), ValueError, "the layer finds it"),
    ("a width of squares", lambda: gd.RMSNorm(64), ValueError, "eps must be below 1, got 64"),
    ("eps text", lambda: gd.RMSNorm("x"), TypeError, "eps must be a real number"),
    ("momentum", lambda: gd.BatchNorm(momentum=1.5), ValueError, "momentum must be at least 0 and"),
    ("ghost", lambda: gd.BatchNorm(ghost=1), ValueError, "ghost must be at least 2, got 1"),
    ("ghost real", lambda: gd.BatchNorm(ghost=2.0), TypeError, "ghost must be an integer"),
    ("affine", lambda: gd.LayerNorm(affine=1), TypeError, "affine must be"),
    ("name", lambda: gd.Dropout(name="a.b"), ValueError, "name must be non-empty and without dots"),
    ("odd", lambda: gd.Network([gd.GLU()], input_size=3), ValueError, "must be even, got 3"),
    ("gate", lambda: gd.GLU("sigmoidd"), ValueError, "activation must be one of"),
    ("shared", lambda: gd.PReLU(shared=2), TypeError, "shared must be"),
    ("init", lambda: gd.PReLU(init=float("inf")), ValueError, "init must be finite"),
    ("no layers", lambda: gd.Residual([]), ValueError, "layers must hold at least one layer"),
    ("one layer", lambda: gd.Residual(gd.Dense(3)), TypeError, "write [layer]"),
    ("a class", lambda: gd.Residual([gd.LayerNorm]), TypeError, "write LayerNorm()"),
    ("not a layer", lambda: gd.Network([3], input_size=2), TypeError, "layers[0] must be a layer"),
    (
        "misspelt",
        lambda: gd.Network([gd.Dense(3), "rleu"], input_size=2),
        ValueError,
        "layers[1] must be one of",
    ),
    (
        "widths",
        lambda: gd.Network([gd.Residual([gd.Dense(3)])], input_size=2),
        ValueError,
        "layer '0' adds values of one width, got 2 and 3: a shortcut may change it",
    ),
    (
        "names twice",
        lambda: gd.Residual([gd.Dense(3, name="a"), gd.LayerNorm(name="a")]),
        ValueError,
        "layers[0] and layers[1] must have different names, got 'a' twice",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_descriptions_are_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as told:
        make()
    assert words in str(told.value)


def test_every_kind_in_cpp_has_its_class_and_every_class_its_kind() -> None:
    without_class = {"activation"}  # called by its name
    without_class |= {"ntk_dense", "weight_norm_dense"}  # forms of Dense
    of_several = {"residual"}
    assert set(_core.layer_kinds()) - without_class == set(Layer.kinds) - of_several


def test_layers_show_the_call_that_makes_them() -> None:
    space = {name: getattr(gd, name) for name in gd.__all__}
    for name, stack in STACKS.items():
        for layer in network(name).layers:
            assert eval(repr(layer), space) == layer
        assert stack() is not None
    residual = gd.Network(STACKS["residual"](), input_size=INPUTS)
    assert repr(residual).startswith(
        "Network(6 -> 8 relu -> residual(layer_norm -> 12 silu -> 8) relu -> 3, float32,"
    )

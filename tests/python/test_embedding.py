"""Embeddings: against PyTorch, dense and sparse; what a sparse table leaves alone; bad codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import nets
import numpy as np
import pytest
from whole_rule_options import WHOLE_OPTIONS

import gdcore as gd
from gdcore.typing import OptimizerName

RNG = np.random.default_rng(11)
CATEGORIES, SIZES, ROWS = (5, 300, 1, 40), (3, 8, 2, 17), 64
OUTPUTS = 2


def codes(rows: int, seed: int = 0) -> Any:
    """Some codes often, most of them seldom."""
    rng = np.random.default_rng(seed)
    drawn = [np.minimum(rng.zipf(1.4, rows) - 1, most - 1) for most in CATEGORIES]
    return np.stack(drawn, axis=1)


X = codes(ROWS)
Y = RNG.standard_normal((ROWS, OUTPUTS))


def network(sparse: bool = False, dtype: Any = "float64", **options: Any) -> gd.Network:
    return gd.Network(
        [gd.Embedding(SIZES, sparse, **options), gd.Dense(12, "tanh"), gd.Dense(OUTPUTS)],
        inputs=gd.Input(categories=CATEGORIES),
        dtype=dtype,
        seed=1,
    )


class Twin:
    """The same in PyTorch: tables in a ModuleList, then a Sequential."""

    def __init__(self, net: gd.Network, sparse: bool) -> None:
        self.torch = torch = pytest.importorskip("torch")
        nn = torch.nn
        pairs = zip(CATEGORIES, SIZES, strict=True)
        self.tables = nn.ModuleList(nn.Embedding(n, size, sparse=sparse) for n, size in pairs)
        self.rest = nn.Sequential(nn.Identity(), nn.Linear(sum(SIZES), 12), nn.Linear(12, OUTPUTS))
        self.tables.double()
        self.rest.double()
        state = {key: torch.tensor(value) for key, value in net.state_dict().items()}
        self.tables.load_state_dict({k[2:]: v for k, v in state.items() if k.startswith("0.")})
        self.rest.load_state_dict({k: v for k, v in state.items() if not k.startswith("0.")})

    def __call__(self, x: Any) -> Any:
        x = self.torch.tensor(x)
        looked_up = [table(x[:, k]) for k, table in enumerate(self.tables)]
        h = self.torch.tanh(self.rest[1](self.torch.cat(looked_up, dim=1)))
        return self.rest[2](h)

    def state(self) -> dict[str, Any]:
        tables = {f"0.{key}": value for key, value in self.tables.state_dict().items()}
        return {**tables, **self.rest.state_dict()}


class TestAgainstPyTorch:
    def test_outputs_and_gradients_agree(self) -> None:
        net = network()
        twin = Twin(net, sparse=False)
        want = twin(X)
        np.testing.assert_allclose(net.predict(X), want.detach(), rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(net.forward(X, training=True), net.predict(X))
        want.backward(twin.torch.tensor(Y))
        net.backward(Y)
        gradients = net.gradients()
        assert list(gradients)[:4] == [f"0.{k}.weight" for k in range(4)]
        for k, table in enumerate(twin.tables):
            got = gradients[f"0.{k}.weight"]
            np.testing.assert_allclose(got, table.weight.grad, rtol=1e-10, atol=1e-13)

    @pytest.mark.parametrize("rule", ["adam", "adamw", "momentum", "sparse adam"])
    def test_a_hundred_steps_agree(self, rule: str) -> None:
        sparse = rule == "sparse adam"
        net = network(sparse)
        twin = Twin(net, sparse)
        optim = twin.torch.optim
        tables, rest = list(twin.tables.parameters()), list(twin.rest.parameters())
        # PyTorch's SparseAdam adds eps to the root before the correction: none to speak of.
        ours: Any = {
            "adam": gd.Adam(lr=1e-2),
            "adamw": gd.AdamW(lr=1e-2, weight_decay=0.1),
            "momentum": gd.SGD(lr=1e-2, momentum=0.9, weight_decay=1e-2),
            "sparse adam": gd.Adam(lr=1e-2, eps=1e-60),
        }[rule]
        theirs: Any = {
            "adam": lambda: [optim.Adam([*tables, *rest], lr=1e-2)],
            "adamw": lambda: [optim.AdamW([*tables, *rest], lr=1e-2, weight_decay=0.1)],
            "momentum": lambda: [
                optim.SGD([*tables, *rest], lr=1e-2, momentum=0.9, weight_decay=1e-2)
            ],
            "sparse adam": lambda: [
                optim.SparseAdam(tables, lr=1e-2, eps=1e-60),
                optim.Adam(rest, lr=1e-2, eps=1e-60),
            ],
        }[rule]()
        trainer = gd.Trainer(net, "mse", ours)
        for step in range(100):
            x = codes(ROWS, step)
            loss = twin.torch.nn.functional.mse_loss(twin(x), twin.torch.tensor(Y))
            for each in theirs:
                each.zero_grad()
            loss.backward()
            for each in theirs:
                each.step()
            assert trainer.step(x, Y) == pytest.approx(loss.item(), rel=1e-10)
        for key, value in twin.state().items():
            np.testing.assert_allclose(net.state_dict()[key], value, rtol=1e-8, atol=1e-10)

    def test_tables_start_as_pytorchs_do(self) -> None:
        inputs = gd.Input(categories=(3000, 3000))
        table = gd.Network([gd.Embedding(8)], inputs=inputs).state_dict()["0.1.weight"]
        assert abs(table.mean()) < 0.03
        assert abs(table.std() - 1) < 0.02
        small = gd.Network([gd.Embedding(8, weight_init="lecun_normal")], inputs=inputs)
        norms = np.linalg.norm(small.state_dict()["0.0.weight"], axis=1)
        assert abs((norms**2).mean() - 1) < 0.05  # fan in is the size
        normal = gd.Network([gd.Embedding(8, weight_init="normal")], inputs=inputs)
        np.testing.assert_array_equal(normal.state_dict()["0.1.weight"], table)


# Rules that see whole parameters take no sparse tables.
WHOLE = {getattr(gd, name).name for name in WHOLE_OPTIONS}


def parts_of(trainer: gd.Trainer) -> list[dict[str, Any]]:
    """Parameters, and each state of the rule."""
    _, parameters, states = trainer._native.copy()
    return [parameters, *states]


@pytest.mark.parametrize("name", sorted({*get_args(OptimizerName)} - WHOLE))
def test_every_rule_leaves_alone_what_a_batch_does_not_name(name: str) -> None:
    """The first of its steps on a row is that of the dense table; then others come and go."""
    sparse = gd.Trainer(network(sparse=True), "mse", name)
    dense = gd.Trainer(network(), "mse", name)
    sparse.step(X, Y)
    dense.step(X, Y)
    for one, other in zip(parts_of(sparse), parts_of(dense), strict=True):
        for key, value in one.items():
            named = np.unique(X[:, int(key[2])]) if key.startswith("0.") else slice(None)
            np.testing.assert_array_equal(value[named], other[key][named])
    before = parts_of(sparse)
    x = codes(8, seed=5)
    sparse.step(x, Y[:8])
    for old, new in zip(before, parts_of(sparse), strict=True):
        for k, categories in enumerate(CATEGORIES):
            others = np.setdiff1d(np.arange(categories), x[:, k])
            key = f"0.{k}.weight"
            np.testing.assert_array_equal(new[key][others], old[key][others])


def trained(sparse: bool, threads: int, batch_size: int | None, **options: Any) -> dict[str, Any]:
    net = network(sparse, "float32")
    x, y = codes(3000, 7), np.resize(Y, (3000, OUTPUTS))
    trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2), num_threads=threads, seed=2, **options)
    trainer.fit(x, y, epochs=2, batch_size=batch_size, progress=False)
    return net.state_dict()


@pytest.mark.parametrize("sparse", [False, True])
class TestBits:
    # 3,000 rows go through in two pieces, whose gradients are kept.
    @pytest.mark.parametrize("batch_size", [100, None])
    def test_threads_change_none(self, sparse: bool, batch_size: int | None) -> None:
        one = trained(sparse, 1, batch_size)
        for threads in (2, 3):
            for key, value in trained(sparse, threads, batch_size).items():
                np.testing.assert_array_equal(value, one[key])

    def test_a_limit_that_is_not_met_changes_none(self, sparse: bool) -> None:
        want = trained(sparse, 1, 100)
        for key, value in trained(sparse, 2, 100, clip_grad_norm=1e9).items():
            np.testing.assert_array_equal(value, want[key])

    def test_rows_do_not_see_each_other(self, sparse: bool) -> None:
        net = network(sparse, "float32")
        for i in (0, 7):
            np.testing.assert_array_equal(net.predict(X[i : i + 1])[0], net.predict(X)[i])
        np.testing.assert_array_equal(net.predict(X, batch_size=7), net.predict(X))

    def test_steps_of_ones_own_are_those_of_the_trainer(self, sparse: bool) -> None:
        want = gd.Trainer(network(sparse), "mse", gd.Adam())
        own = gd.Trainer(network(sparse), None, gd.Adam())
        net = own.network
        for step in range(4):
            x = codes(ROWS, step)
            want.step(x, Y)
            for half in (slice(0, 32), slice(32, None)):
                out = net.forward(x[half], training=True)
                net.backward(2 * (out - Y[half]) / Y.size, accumulate=half.start > 0)
            own.apply_gradients()
        for one, other in zip(parts_of(own), parts_of(want), strict=True):
            for key, value in one.items():
                np.testing.assert_allclose(value, other[key], rtol=1e-7, atol=1e-12)

    def test_a_run_that_goes_on_from_a_file_has_the_same(
        self, sparse: bool, tmp_path: Path
    ) -> None:
        def fit(trainer: gd.Trainer, epochs: int) -> gd.Trainer:
            trainer.fit(X, Y, epochs=epochs, batch_size=16, progress=False)
            return trainer

        whole = fit(gd.Trainer(network(sparse), "mse", gd.Adam(), seed=1), 4)
        half = fit(gd.Trainer(network(sparse), "mse", gd.Adam(), seed=1), 2)
        half.save(tmp_path / "half.safetensors")
        again = fit(gd.Trainer.load(tmp_path / "half.safetensors"), 2)
        for key, value in again.network.state_dict().items():
            np.testing.assert_array_equal(value, whole.network.state_dict()[key])


class TestDescriptions:
    @pytest.mark.parametrize("size", [4, SIZES])
    def test_files_pickles_and_copies_hold_it(self, size: Any, tmp_path: Path) -> None:
        layers = [gd.Embedding(size, sparse=True, name="tables"), gd.Dense(OUTPUTS)]
        net = gd.Network(layers, inputs=gd.Input(categories=CATEGORIES, name="codes"))
        assert "tables.3.weight" in net.state_dict()
        for again in nets.again(net, tmp_path):
            np.testing.assert_array_equal(again.predict(X), net.predict(X))

    def test_gradients_are_checked(self) -> None:
        for sparse in (False, True):
            assert gd.check_gradients(network(sparse), "mse", X[:6], Y[:6]).ok

    def test_beside_numbers(self) -> None:
        x, c = gd.Input(3, name="numbers"), gd.Input(categories=CATEGORIES, name="codes")
        h = gd.Concat()(x, gd.Embedding(4)(c))
        net = gd.Network(inputs=[x, c], outputs=gd.Dense(OUTPUTS)(h), dtype="float64", seed=3)
        numbers = RNG.standard_normal((ROWS, 3))
        state = net.state_dict()
        rows = [state[f"1.{k}.weight"][X[:, k]] for k in range(4)] if "1.0.weight" in state else []
        rows = rows or [state[f"0.{k}.weight"][X[:, k]] for k in range(4)]
        weight, bias = (state[key] for key in list(state)[-2:])
        want = np.concatenate([numbers, *rows], axis=1) @ weight.T + bias
        data = {"numbers": numbers, "codes": X}
        np.testing.assert_allclose(net.predict(data), want, rtol=1e-12, atol=1e-13)
        trainer = gd.Trainer(net, "mse", gd.Adam(lr=0.05))
        losses = trainer.fit(data, Y, epochs=30, progress=False)["loss"]
        assert losses[-1] < losses[0] / 2

    def test_a_step_touches_no_memory_for_what_is_not_named(self) -> None:
        """A gradient of such a table would be 1.3 GB; none of it is there."""
        inputs = gd.Input(categories=(10_000_000,))
        net = gd.Network([gd.Embedding(4, sparse=True, weight_init="zeros")], inputs=inputs)
        trainer = gd.Trainer(net, "mse", gd.SGD(lr=1.0))
        x, y = np.array([[3], [9_999_999], [3]]), np.ones((3, 4))
        trainer.step(x, y)
        table = net.predict(np.array([[3], [9_999_999], [4]]))
        np.testing.assert_allclose(table[:, 0], [4 / 12, 2 / 12, 0], rtol=1e-6)


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("size 0", lambda: gd.Embedding(0), ValueError, "size must be at least 1, got 0"),
    ("size text", lambda: gd.Embedding("8"), TypeError, "size must be an integer"),
    ("sizes", lambda: gd.Embedding((4, 0)), ValueError, r"size\[1\] must be at least 1, got 0"),
    ("no sizes", lambda: gd.Embedding(()), ValueError, "one for each column, got none"),
    ("sparse", lambda: gd.Embedding(4, sparse=1), TypeError, "sparse must be True or False"),
    ("init", lambda: gd.Embedding(4, weight_init="x"), ValueError, "weight_init must be one of"),
    (
        "columns",
        lambda: gd.Network([gd.Embedding((4, 4))], inputs=gd.Input(categories=(5, 6, 7))),
        ValueError,
        "layer '0' must be one number or one for each of the 3 columns that it reads, got 2",
    ),
    (
        "numbers",
        lambda: gd.Network([gd.Embedding(4), gd.Dense(2)], input_size=3),
        ValueError,
        "layer '0' of kind 'embedding' reads an input of codes",
    ),
    (
        "behind numbers",
        lambda: gd.Network([gd.Dense(2), gd.Embedding(4)], input_size=3),
        ValueError,
        "layer '1' of kind 'embedding' reads an input of codes",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), [each[1:] for each in BAD])
def test_descriptions_that_cannot_be_are_refused(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("value", "words"),
    [(300, "300"), (-1, "-1"), (1.5, r"1\.5"), (float("nan"), "nan|NaN")],
)
def test_codes_that_are_none_are_refused_and_change_nothing(value: float, words: str) -> None:
    net = network(sparse=True)
    trainer = gd.Trainer(net, "mse", gd.Adam())
    before = net.state_dict()
    x = X.astype(np.float64)
    x[5, 1] = value
    for call in (
        lambda: trainer.step(x, Y),
        lambda: trainer.fit(x, Y, epochs=1, progress=False),
        lambda: net.predict(x),
        lambda: net.forward(x, training=True),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert trainer.steps == 0
    for key, value_then in before.items():
        np.testing.assert_array_equal(net.state_dict()[key], value_then)

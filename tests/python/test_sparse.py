"""Sparse rows: against the same rows as a dense array, against PyTorch and SciPy; bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from support import ROOT, assert_same_bits

import gdcore as gd

sparse = pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(3)
ROWS, COLUMNS = 120, 500
DENSE = RNG.standard_normal((ROWS, COLUMNS)) * (RNG.random((ROWS, COLUMNS)) < 0.02)
DENSE[7] = 0  # a row without an element
X = sparse.csr_array(DENSE)
Y = RNG.standard_normal((ROWS, 2))


class Csr:
    """What SciPy's arrays have, without SciPy."""

    format = "csr"

    def __init__(self, indptr: Any, indices: Any, data: Any, shape: Any) -> None:
        self.indptr, self.indices, self.data = indptr, indices, data
        self.shape = shape


def network(lazy: bool = False, dtype: Any = "float64", is_sparse: bool = True) -> gd.Network:
    return gd.Network(
        [gd.Dense(40, "relu", sparse=lazy), gd.LayerNorm(), gd.Dense(2)],
        inputs=gd.Input(COLUMNS, sparse=is_sparse),
        dtype=dtype,
        seed=1,
    )


def same(one: gd.Network, other: gd.Network) -> None:
    for key, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[key])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestAgainstDenseRows:
    def test_every_call_gives_the_same_bits(self, dtype: str) -> None:
        net, dense = network(dtype=dtype), network(dtype=dtype, is_sparse=False)
        np.testing.assert_array_equal(net.predict(X), dense.predict(DENSE))
        np.testing.assert_array_equal(net.predict(DENSE), dense.predict(DENSE))
        np.testing.assert_array_equal(net.predict(X, batch_size=7), dense.predict(DENSE))
        np.testing.assert_array_equal(net.forward(X, training=True), dense.predict(DENSE))
        assert net.backward(Y) is None  # it would be a dense array
        dense.forward(DENSE, training=True)
        dense.backward(Y)
        for key, value in net.gradients().items():
            np.testing.assert_array_equal(value, dense.gradients()[key])

    def test_training_gives_the_same_bits(self, dtype: str) -> None:
        trainers = [
            gd.Trainer(network(dtype=dtype, is_sparse=flag), "mse", gd.Adam(lr=1e-2), seed=4)
            for flag in (True, False)
        ]
        for trainer, x in zip(trainers, (X, DENSE), strict=True):
            trainer.step(x, Y)
            trainer.fit(x, Y, epochs=2, batch_size=16, validation_split=0.25, progress=False)
            trainer.learn_many(x[:5], Y[:5])
            trainer.learn_one(x[[3]] if x is X else x[3], Y[3])
            trainer.learn_one(DENSE[3], Y[3])
        same(trainers[0].network, trainers[1].network)
        assert trainers[0].history == trainers[1].history
        assert trainers[0].evaluate(X, Y) == trainers[1].evaluate(DENSE, Y)
        assert trainers[0].evaluate(X, Y, batch_size=7) == trainers[1].evaluate(DENSE, Y, None, 7)
        weights = RNG.random(ROWS)
        scores = [
            trainer.fit(
                x, Y, epochs=1, batch_size=50, sample_weight=weights, metrics=["r2"],
                validation_data=(x[:30], Y[:30], weights[:30]), progress=False,
            )
            for trainer, x in zip(trainers, (X, DENSE), strict=True)
        ]  # fmt: skip
        assert scores[0] == scores[1]
        same(trainers[0].network, trainers[1].network)


class TestAgainstPyTorch:
    @pytest.mark.parametrize("lazy", [False, True])
    def test_a_hundred_steps_agree(self, lazy: bool) -> None:
        """Of a lazy rule with the weights of columns that were not there put back."""
        torch = pytest.importorskip("torch")
        net = gd.Network(
            [gd.Dense(16, "tanh", sparse=lazy), gd.Dense(2)],
            inputs=gd.Input(COLUMNS, sparse=True),
            dtype="float64",
        )
        twin = torch.nn.Sequential(torch.nn.Linear(COLUMNS, 16), torch.nn.Linear(16, 2)).double()
        twin.load_state_dict({k: torch.tensor(v) for k, v in net.state_dict().items()})
        first = twin[0].weight
        optimizer = torch.optim.Adam(twin.parameters(), lr=1e-2)
        trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2))
        for step in range(100):
            rows = np.arange(step, step + 20) % ROWS
            x = torch.tensor(DENSE[rows])
            loss = torch.nn.functional.mse_loss(
                twin[1](torch.tanh(twin[0](x))), torch.tensor(Y[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            unseen = np.flatnonzero((DENSE[rows] == 0).all(axis=0)) if lazy else []
            kept = [first.data, *(v for v in optimizer.state[first].values() if v.ndim == 2)]
            before = [each[:, unseen].clone() for each in kept]
            optimizer.step()
            kept = [first.data, *(v for v in optimizer.state[first].values() if v.ndim == 2)]
            before += [torch.zeros_like(before[0])] * (len(kept) - len(before))
            for each, old in zip(kept, before, strict=True):
                each[:, unseen] = old
            assert trainer.step(X[rows], Y[rows]) == pytest.approx(loss.item(), rel=1e-10)
        for key, value in twin.state_dict().items():
            np.testing.assert_allclose(net.state_dict()[key], value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("lazy", [False, True])
class TestBits:
    def test_threads_change_none(self, lazy: bool) -> None:
        x, y = sparse.vstack([X] * 20, format="csr"), np.concatenate([Y] * 20)
        found = []
        for threads in (1, 2, 3):
            net = network(lazy, "float32")
            trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2), num_threads=threads)
            trainer.fit(x, y, epochs=2, batch_size=None, progress=False)  # in two pieces
            trainer.fit(x, y, epochs=1, batch_size=200, progress=False)
            found.append(net)
        same(found[0], found[1])
        same(found[0], found[2])

    def test_steps_of_ones_own_are_those_of_the_trainer(self, lazy: bool) -> None:
        want = gd.Trainer(network(lazy), "mse", gd.Adam())
        own = gd.Trainer(network(lazy), None, gd.Adam())
        for begin in (0, 40, 80):
            rows = slice(begin, begin + 40)
            want.step(X[rows], Y[rows])
            out = own.network.forward(X[rows], training=True)
            own.network.backward(2 * (out - Y[rows]) / out.size)
            own.apply_gradients()
        for key, value in own.network.state_dict().items():
            np.testing.assert_allclose(value, want.network.state_dict()[key], rtol=1e-9, atol=1e-12)

    def test_gradients_are_checked(self, lazy: bool) -> None:
        assert gd.check_gradients(network(lazy), "mse", X[:5], Y[:5]).ok

    def test_files_pickles_and_copies_hold_it(self, lazy: bool, tmp_path: Path) -> None:
        net = network(lazy, "float32")
        for again in nets.again(net, tmp_path):
            assert again.inputs[0].sparse
            assert again.input_size == COLUMNS
            np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_a_lazy_rule_leaves_alone_what_no_row_has() -> None:
    trainer = gd.Trainer(network(lazy=True), "mse", gd.AdamW(lr=0.1, weight_decay=0.5))
    before = trainer.network.state_dict()["0.weight"]
    trainer.step(X[:10], Y[:10])
    trainer.step(X[10:20], Y[10:20])
    seen = (DENSE[:20] != 0).any(axis=0)
    changed = (trainer.network.state_dict()["0.weight"] != before).any(axis=0)
    np.testing.assert_array_equal(changed, seen)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_rows_of_any_type_and_order_are_those_rows(index: Any) -> None:
    net = network()
    want = net.predict(X)
    order = np.concatenate(
        [RNG.permutation(np.arange(a, b)) for a, b in zip(X.indptr, X.indptr[1:], strict=False)]
    ).astype(int)
    indptr, indices, data = X.indptr.astype(index), X.indices.astype(index), X.data
    shuffled = Csr(indptr, indices[order], data[order], X.shape)
    np.testing.assert_array_equal(net.predict(shuffled), want)
    halves = Csr(2 * indptr, np.repeat(indices, 2), np.repeat(data / 2, 2), X.shape)
    np.testing.assert_allclose(net.predict(halves), want, rtol=1e-12)  # they add up
    for made in (sparse.csr_matrix(DENSE), Csr(indptr, indices, data.tolist(), X.shape)):
        np.testing.assert_array_equal(net.predict(made), want)
    whole = network(dtype="float32").predict(X.astype(np.float32))
    np.testing.assert_allclose(whole, want, rtol=1e-3, atol=1e-4)


def test_a_sample_is_a_pair_of_arrays_too() -> None:
    """Indices in any order, as of CSR; an empty one is a row of zeros."""
    pairs = [([3, 0], [2.0, -1.0]), ([], []), ([1, 1], [0.5, 0.5])]
    dense = [[-1.0, 0, 0, 2.0], [0, 0, 0, 0], [0, 1.0, 0, 0]]
    made = []
    for _ in range(2):
        net = gd.Network(
            [gd.Dense(3, "tanh", sparse=True), gd.Dense(2)], inputs=gd.Input(4, sparse=True)
        )
        made.append(gd.Trainer(net, "cross_entropy", "adam"))
    for (indices, values), row in zip(pairs, dense, strict=True):
        given = (np.array(indices, np.int32), np.array(values))
        output = made[0].network._native.forward_one(given)
        assert_same_bits(output, made[1].network.predict(np.array([row]))[0], "output")
        assert made[0].learn_one(given, 1) == made[1].learn_one(np.array(row), 1)
    for indices, values, error in (
        ([4], [1.0], r"x.indices must be from 0 to 3, got 4"),
        ([0, 1], [1.0], r"x must be \(indices, values\)"),
        ([0.5], [1.0], r"x must be \(indices, values\).* got float64"),
        ([0], [np.nan], "x must be finite"),
    ):
        with pytest.raises(ValueError, match=error):
            made[0].learn_one((np.array(indices), np.array(values)), 1)


def test_beside_numbers_and_codes() -> None:
    words, numbers = gd.Input(COLUMNS, sparse=True, name="words"), gd.Input(3, name="numbers")
    codes = gd.Input(categories=(4,), name="codes")
    h = gd.Concat()(gd.Dense(8, sparse=True)(words), numbers, gd.Embedding(2, sparse=True)(codes))
    inputs = [words, numbers, codes]
    net = gd.Network(inputs=inputs, outputs=gd.Dense(2)(h), dtype="float64", seed=2)
    data = {
        "words": X,
        "numbers": RNG.standard_normal((ROWS, 3)),
        "codes": RNG.integers(0, 4, (ROWS, 1)),
    }
    trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2))
    losses = trainer.fit(data, Y, epochs=5, batch_size=32, validation_split=0.2, progress=False)
    assert losses["loss"][-1] < losses["loss"][0]
    net.forward(data, training=True)
    assert list(net.backward(Y)) == ["numbers"]
    with pytest.raises(ValueError, match=r"x\['numbers'\] must have 120 rows like x\['words'\]"):
        net.predict({**data, "numbers": np.zeros((3, 3))})


def test_derivatives_are_those_by_the_other_inputs() -> None:
    rows, numbers = gd.Input(COLUMNS, sparse=True, name="rows"), gd.Input(3, name="numbers")
    joined = gd.Concat()(gd.Dense(4, "tanh")(rows), numbers)
    net = gd.Network(inputs=[rows, numbers], outputs=gd.Dense(2)(joined), dtype="float64", seed=0)
    x = {"rows": X, "numbers": DENSE[:, :3]}
    outputs, derivatives = net.jacobian(x, return_outputs=True)
    np.testing.assert_array_equal(outputs, net.predict(x))
    assert {name: each.shape for name, each in derivatives.items()} == {"numbers": (ROWS, 2, 3)}
    assert network().jacobian(X) == {}


def test_first_values_by_data_are_those_of_dense_rows() -> None:
    net, dense = network(), network(is_sparse=False)
    gd.initializers.from_data(net, X)
    gd.initializers.from_data(dense, DENSE)
    same(net, dense)


def test_memory_goes_by_elements() -> None:
    """A dense copy of these rows would take 80 GB, and a step would touch 2 GB of weights."""
    rows, columns = 20_000, 1_000_000
    indices = RNG.integers(0, columns, (rows, 5)).astype(np.int32)
    indices.sort(axis=1)
    x = sparse.csr_array(
        (np.ones(5 * rows, np.float32), indices.ravel(), np.arange(rows + 1) * 5),
        shape=(rows, columns),
    )
    net = gd.Network(
        [gd.Dense(8, sparse=True, weight_init="zeros"), gd.Dense(1)],
        inputs=gd.Input(columns, sparse=True),
    )
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=0.1))
    loss = trainer.step(x[:100], np.ones(100))
    assert trainer.step(x[:100], np.ones(100)) < loss
    assert net.predict(x).shape == (rows, 1)


def broken(**changes: Any) -> Csr:
    parts = {"indptr": X.indptr, "indices": X.indices, "data": X.data, "shape": X.shape}
    return Csr(**{**parts, **changes})


NAN = X.data.copy()
NAN[5] = np.nan
WIDE = X.indices.copy()
WIDE[0] = COLUMNS
FALLS = X.indptr.copy()
FALLS[60] = 0
LONG = X.indptr.copy()
LONG[-1] += 1
BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("format", lambda: X.tocoo(), TypeError, "must be CSR where it is sparse, got format 'coo'"),
    ("columns", lambda: X[:, :-1], ValueError, "must have shape (N, 500), got (120, 499)"),
    ("rows", lambda: X[:0], ValueError, "must have at least one row"),
    ("nan", lambda: broken(data=NAN), ValueError, "x.data must be finite in float64, got NaN"),
    ("index", lambda: broken(indices=WIDE), ValueError, "x.indices must be from 0 to 499, got 500"),
    ("below", lambda: broken(indices=~X.indices), ValueError, "from 0 to 499, got -"),
    (
        "wrap",
        lambda: broken(indices=X.indices + np.int64(2**32)),
        ValueError,
        "from 0 to 499, got 42949",
    ),
    ("short", lambda: broken(indptr=X.indptr[:-1]), ValueError, "x.indptr must have 121 numbers"),
    ("begin", lambda: broken(indptr=X.indptr + 1), ValueError, "x.indptr must begin with 0, got 1"),
    ("fall", lambda: broken(indptr=FALLS), ValueError, "x.indptr must not fall, got 0 after"),
    ("end", lambda: broken(indptr=LONG), ValueError, "x.indptr must end with at most the number"),
    ("cut", lambda: broken(data=X.data[:-1]), ValueError, f"x.data must have {X.nnz} numbers like"),
    ("square", lambda: broken(data=X.data[None]), ValueError, "x.data must have one dimension"),
    ("floats", lambda: broken(indices=X.indices * 1.0), TypeError, "x.indices must hold integers"),
    ("text", lambda: broken(data=["a"]), TypeError, "x.data must hold real numbers"),
    ("dense", lambda: DENSE[:, :3], ValueError, "x must have shape (N, 500), got (120, 3)"),
]


@pytest.mark.parametrize(("make", "error", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_rows_that_cannot_be_are_refused_and_change_nothing(
    make: Callable[[], Any], error: type[Exception], words: str
) -> None:
    net = network()
    trainer = gd.Trainer(net, "mse", "adam")
    before = net.state_dict()
    for call in (
        lambda: net.predict(make()),
        lambda: trainer.step(make(), Y),
        lambda: trainer.fit(make(), Y, epochs=1, progress=False),
    ):
        with pytest.raises(error, match=re.escape(words)):
            call()
    assert trainer.steps == 0
    for key, value in before.items():
        np.testing.assert_array_equal(net.state_dict()[key], value)


def test_networks_that_cannot_read_sparse_rows_say_so() -> None:
    plain = gd.Network([gd.Dense(2)], input_size=COLUMNS)
    with pytest.raises(TypeError, match=r"inputs=gdcore\.Input\(columns, sparse=True\)"):
        plain.predict(X)
    with pytest.raises(TypeError, match=r"x is sparse where dense rows are taken"):
        gd.Trainer(plain, "mse", "adam").step(X, Y)
    with pytest.raises(TypeError, match=r"y is sparse where dense rows are taken"):
        gd.Trainer(network(), "mse", "adam").step(X, sparse.csr_array(Y))
    words = gd.Input(COLUMNS, sparse=True)
    with pytest.raises(ValueError, match="layer '0' of kind 'layer_norm' reads dense rows"):
        gd.Network([gd.LayerNorm(), gd.Dense(2)], inputs=words)
    with pytest.raises(ValueError, match="sparse of layer '1' is for what reads sparse rows"):
        gd.Network([gd.Dense(3), gd.Dense(2, sparse=True)], inputs=words)
    with pytest.raises(ValueError, match="categories are codes"):
        gd.Input(categories=(3,), sparse=True)
    with pytest.raises(TypeError, match="sparse must be True or False"):
        gd.Dense(3, sparse=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sparse and weight_norm must not be given together"):
        gd.Dense(3, sparse=True, weight_norm=True)
    with pytest.raises(ValueError, match="of kind 'ntk_dense' reads dense rows"):
        gd.Network([gd.Dense(3, parametrization="ntk")], inputs=words)
    with pytest.raises(ValueError, match="at most 2147483647 columns"):
        gd.Network([gd.Dense(1)], inputs=gd.Input(2**31, sparse=True))
    with pytest.raises(ValueError, match="sparse where this network's are"):
        network().soft_update(network(is_sparse=False), 0.5)

    def loss(output: Any, y: Any) -> Any:
        return (output - y) ** 2, 2 * (output - y)

    with pytest.raises(ValueError, match="a loss that is a Python function takes dense rows"):
        gd.Trainer(network(), loss, "adam")
    with pytest.raises(ValueError, match="groups must not be given where an Embedding or a Dense"):
        gd.Trainer(network(lazy=True), "mse", "adam", groups=[gd.Group("0.*", lr_factor=0.1)])


def test_the_libraries_of_the_benchmark_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import sparse as benchmark

    columns = 2000
    data = benchmark.batches(3, 64, columns)
    ours = benchmark.Ours(columns=columns)
    theirs = benchmark.Torch(columns=columns)
    whole = benchmark.Ours(columns=columns, sparse=False)
    product = benchmark.TorchProduct(columns=columns)
    for batch in data * 2:
        # SparseAdam adds eps to the average before it is corrected, and Adam, as ours, behind.
        assert ours.step(batch) == pytest.approx(theirs.step(batch), rel=1e-4)
        assert whole.step(batch) == pytest.approx(product.step(batch), rel=1e-5)

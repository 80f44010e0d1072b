"""Steps on sparse rows, in gdcore, PyTorch and scikit-learn: `python -m benchmarks.sparse`.

Rows of 100,000 columns of which 50 are filled, some columns often and most of them seldom, and a
label of 0 or 1. A network has 64 units with relu and one output, and Adam; what is linear is one
output and plain gradient descent, as scikit-learn's SGDClassifier, which takes one row at a time.
PyTorch has a table of weights whose rows are added up, `EmbeddingBag`, with SparseAdam or with Adam
for all of the table, and products with sparse matrices, `torch.sparse`, with Adam too. The networks
start from the same parameters and compute the same, up to where SparseAdam adds its eps.

    python -m benchmarks.sparse --rounds 9 --threads 2    # medians of all, which take turns
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gdcore as gd
from benchmarks.alone import command
from benchmarks.processes import measured
from gdcore.benchmark.figures import Row

__all__ = ["LIBRARIES", "Batch", "batches", "network", "sparse_table"]

COLUMNS, FILLED, UNITS, BATCH = 100_000, 50, 64, 1024
LR = 1e-3
_BATCHES = 64  # that take turns


class Batch(NamedTuple):
    """A CSR array and its labels, (N, 1)."""

    x: Any
    y: NDArray[np.float32]


def batches(count: int = _BATCHES, rows: int = BATCH, columns: int = COLUMNS) -> list[Batch]:
    """Rows out of nowhere, whose labels hang on the commonest columns."""
    import scipy.sparse

    random = np.random.default_rng(0)

    def batch() -> Batch:
        places = (columns * random.random((rows, FILLED)) ** 4).astype(np.int32)
        values = random.standard_normal(places.size, np.float32)
        begins = FILLED * np.arange(rows + 1, dtype=np.int32)
        x = scipy.sparse.csr_array((values, places.ravel(), begins), shape=(rows, columns))
        x.sum_duplicates()
        scores = x[:, : columns // 100].sum(axis=1)
        return Batch(x, (scores > 0).astype(np.float32).reshape(-1, 1))

    return [batch() for _ in range(count)]


def network(columns: int = COLUMNS, *, sparse: bool = True) -> gd.Network:
    """That of all libraries."""
    layers = [gd.Dense(UNITS, "relu", sparse=sparse), gd.Dense(1)]
    return gd.Network(layers, inputs=gd.Input(columns, sparse=True), seed=0)


class Ours:
    """In gdcore; without ``sparse``, Adam goes over all weights in each step."""

    def __init__(
        self, threads: int | None = None, columns: int = COLUMNS, *, sparse: bool = True
    ) -> None:
        self.network = network(columns, sparse=sparse)
        adam = gd.Adam(lr=LR)
        self._trainer = gd.Trainer(self.network, "bce_with_logits", adam, num_threads=threads)

    def step(self, batch: Batch) -> float:
        """One update; the loss before it."""
        return self._trainer.step(batch.x, batch.y)


class OursLinear(Ours):
    """One output, and gradient descent."""

    def __init__(self, threads: int | None = None, columns: int = COLUMNS) -> None:
        layers = [gd.Dense(1, weight_init="zeros", sparse=True)]
        self.network = gd.Network(layers, inputs=gd.Input(columns, sparse=True))
        rule = gd.SGD(lr=LR)
        self._trainer = gd.Trainer(self.network, "bce_with_logits", rule, num_threads=threads)


class Torch:
    """In PyTorch; without ``sparse``, Adam goes over the whole table in each step."""

    def __init__(
        self, threads: int | None = None, columns: int = COLUMNS, *, sparse: bool = True
    ) -> None:
        import torch

        self._torch = torch
        if threads is not None:
            torch.set_num_threads(threads)
        nn, adam = torch.nn, torch.optim.Adam
        state = {k: torch.tensor(v) for k, v in network(columns).state_dict().items()}
        weight = state["0.weight"].T.contiguous()
        self._bag = nn.EmbeddingBag.from_pretrained(weight, False, mode="sum", sparse=sparse)
        self._bias = nn.Parameter(state["0.bias"])
        self._last = nn.Linear(UNITS, 1)
        self._last.weight.data, self._last.bias.data = state["1.weight"], state["1.bias"]
        rest = [self._bias, *self._last.parameters()]
        if sparse:
            table: Any = torch.optim.SparseAdam(list(self._bag.parameters()), lr=LR)
            self._rules = [table, adam(rest, lr=LR, fused=True)]
        else:
            self._rules = [adam([*self._bag.parameters(), *rest], lr=LR, fused=True)]
        self._known: dict[int, Any] = {}  # of each batch what it is in PyTorch

    def _tensors(self, batch: Batch) -> Any:
        torch, x = self._torch, batch.x
        begins = torch.from_numpy(x.indptr[:-1].astype(np.int64))
        places = torch.from_numpy(x.indices.astype(np.int64))
        return places, begins, torch.from_numpy(x.data), torch.from_numpy(batch.y)

    def _sums(self, *x: Any) -> Any:
        places, begins, values = x
        return self._bag(places, begins, per_sample_weights=values)

    def step(self, batch: Batch) -> float:
        """As `Ours.step`."""
        if id(batch) not in self._known:
            self._known[id(batch)] = self._tensors(batch)
        *x, y = self._known[id(batch)]
        for rule in self._rules:
            rule.zero_grad(set_to_none=True)
        functional = self._torch.nn.functional
        hidden = functional.relu(self._sums(*x) + self._bias)
        loss = functional.binary_cross_entropy_with_logits(self._last(hidden), y)
        loss.backward()
        for rule in self._rules:
            rule.step()
        return float(loss.item())


class TorchProduct(Torch):
    """The same by a product with a sparse matrix, whose gradient is dense."""

    def __init__(self, threads: int | None = None, columns: int = COLUMNS) -> None:
        super().__init__(threads, columns, sparse=False)

    def _tensors(self, batch: Batch) -> Any:
        torch, x = self._torch, batch.x
        parts = [torch.from_numpy(each) for each in (x.indptr, x.indices, x.data)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is called a beta
            matrix = torch.sparse_csr_tensor(*parts, size=x.shape, check_invariants=False)
        return matrix, torch.from_numpy(batch.y)

    def _sums(self, *x: Any) -> Any:
        (matrix,) = x
        return self._torch.sparse.mm(matrix, self._bag.weight)


class Sklearn:
    """A linear classifier, which learns from the rows of a batch one after the other."""

    def __init__(self, threads: int | None = None) -> None:
        from sklearn.linear_model import SGDClassifier

        self._learner = SGDClassifier(
            loss="log_loss", penalty=None, learning_rate="constant", eta0=LR, n_jobs=threads
        )

    def step(self, batch: Batch) -> float:
        """One pass over a batch, of which there is no loss."""
        self._learner.partial_fit(batch.x, batch.y.ravel(), classes=[0, 1])
        return 0.0


LIBRARIES: dict[str, Callable[[int | None], Any]] = {
    "gdcore": Ours,
    "PyTorch, SparseAdam": Torch,
    "gdcore, all weights": lambda threads: Ours(threads, sparse=False),
    "PyTorch, Adam": lambda threads: Torch(threads, sparse=False),
    "PyTorch, torch.sparse": TorchProduct,
    "gdcore, linear": OursLinear,
    "scikit-learn, linear": Sklearn,
}
_PEERS = {
    "gdcore": "PyTorch, SparseAdam",
    "gdcore, all weights": "PyTorch, Adam",
    "gdcore, linear": "scikit-learn, linear",
}


def sparse_table(rounds: int, threads: int, seconds: float) -> list[Row]:
    """Milliseconds of a step in each library, and how many times faster than its peer ours is."""
    wanted = {name: ("sparse", name, threads, seconds) for name in LIBRARIES}
    found, reasons = measured(wanted, rounds)
    times = {name: median(each["seconds"] for each in rows) for name, rows in found.items()}
    table: list[Row] = []
    for name in wanted:
        row: Row = {"library": name, "threads": threads}
        row["ms a step"] = 1e3 * times[name] if name in times else reasons[name]
        row["rows a second"] = round(BATCH / times[name]) if name in times else None
        peer = _PEERS.get(name)
        if name in times and peer in times:
            row["times its peer"] = times[peer] / times[name]
        table.append(row)
    return table


def _step(make: Callable[[int | None], Any]) -> Callable[[int | None], Callable[[Batch], object]]:
    return lambda threads: make(threads).step


def main() -> None:
    """Measures, or as a worker serves measurements."""
    steps = {name: _step(make) for name, make in LIBRARIES.items()}
    command("sparse", __doc__, "a step on sparse rows", steps, batches, sparse_table, 0.5)


if __name__ == "__main__":
    main()

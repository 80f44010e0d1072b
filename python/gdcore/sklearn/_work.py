"""The samples of a fit, cut into batches as scikit-learn cuts them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from gdcore._sparse import Csr
from gdcore.sklearn._aim import Aim
from gdcore.sklearn._engine import Engine

__all__ = ["Work", "rows_as_taken"]


class Part(NamedTuple):
    """A batch.

    Attributes:
        rows: Which samples.
        samples: How many.
        weights: Theirs, or None.
        mass: The sum of these, without them the count.
    """

    rows: NDArray[np.int64]
    samples: int
    weights: NDArray[Any] | None
    mass: float


class Work:
    """The samples of a fit, cut into batches."""

    def __init__(
        self, estimator: Any, engine: Engine, x: Any, y: NDArray[Any], weights: Any
    ) -> None:
        self._estimator, self._engine = estimator, engine
        dtype = np.dtype(engine.form.dtype)
        self._x = rows_as_taken(x, dtype)
        self._weights = weights
        self.aim = Aim.of(estimator.loss, estimator.out_activation_, y, dtype)
        self.samples: int = x.shape[0]
        self.batch_size = self._checked_batch_size()
        self.batches = -(-self.samples // self.batch_size)
        sgd = estimator.solver == "sgd" and estimator.optimizer is None
        self.rate_factor = self.aim.gradient if sgd else 1.0
        self._data: Any = None  # as the trainer has it
        self._order = np.arange(self.samples)

    def _checked_batch_size(self) -> int:
        given = self._estimator.batch_size
        if isinstance(given, str):  # auto
            return min(200, self.samples)
        if given > self.samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=2,
            )
        return int(min(given, self.samples))

    def epoch(self) -> float:
        """Trains on each sample once; returns the mean of the losses before each step."""
        engine, aim, alpha = self._engine, self.aim, self._estimator.alpha
        trainer: Any = engine.trainer
        if self._data is None:
            names = ("X", "y", "sample_weight")
            self._data = trainer._native.prepare(self._x, aim.y, self._weights, names)
        parts = [part for part in self._cut() if part.mass > 0]  # without it a batch says nothing
        engine.decay([alpha / part.mass / aim.gradient for part in parts])
        squares = engine.squares() if alpha > 0 else 0.0
        done = iter(parts)
        total = 0.0

        def add(loss: float) -> bool:
            """Adds the loss of the batch that was just trained on, and its penalty before that."""
            nonlocal squares, total
            part = next(done)
            found = aim.batch_loss(loss, part.rows, part.weights)
            total += (found + 0.5 * alpha * squares / part.mass) * part.samples
            if alpha > 0:
                squares = engine.squares()
            return True

        shuffles: bool = self._estimator.shuffle
        order = self._order if shuffles else None
        try:
            trainer._native.fit_epoch(self._data, self.batch_size, shuffles, None, add, order=order)
        except FloatingPointError as error:  # what scikit-learn finds only after the last epoch
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                f"values and need to be preprocessed: {error}"
            ) from None
        return total / sum(part.samples for part in parts)

    def _cut(self) -> Iterator[Part]:
        """The batches of an epoch."""
        if self._estimator.shuffle:
            # As sklearn.utils.shuffle draws, without the checks of its arguments.
            self._order = self._order[self._estimator._random_state.permutation(self.samples)]
        for start in range(0, self.samples, self.batch_size):
            rows = self._order[start : start + self.batch_size]
            weights = None if self._weights is None else self._weights[rows]
            mass = len(rows) if weights is None else float(weights.sum())
            yield Part(rows, len(rows), weights, mass)


def rows_as_taken(x: Any, dtype: Any = None) -> Any:
    """Rows as a network takes them: contiguous, or CSR."""
    if not issparse(x):
        return np.ascontiguousarray(x, dtype)
    csr = x.tocsr()
    data = csr.data if dtype is None else csr.data.astype(dtype, copy=False)
    return Csr(csr.indptr, csr.indices, data, csr.shape)

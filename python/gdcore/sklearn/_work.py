"""The samples of a fit, cut into batches as scikit-learn cuts them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import shuffle

from gdcore._sparse import Csr, rows_of
from gdcore.sklearn._aim import Aim
from gdcore.sklearn._engine import Engine

__all__ = ["Work", "rows_as_taken"]


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
        estimator, engine, aim = self._estimator, self._engine, self.aim
        trainer: Any = engine.trainer
        step: Callable[..., float] = trainer.step
        alpha, total, seen = estimator.alpha, 0.0, 0
        for rows, x in self._cut():
            weights = None if self._weights is None else self._weights[rows]
            count: int = x.shape[0]
            mass = count if weights is None else float(weights.sum())
            if mass == 0:  # a batch of samples without weight says nothing
                continue
            penalty = 0.0
            if alpha > 0:
                engine.decay(alpha / mass / aim.gradient)
                penalty = 0.5 * alpha * engine.squares() / mass
            else:
                engine.decay(0.0)
            loss = aim.batch_loss(step(x, aim.y[rows], weights), rows, weights)
            total += (loss + penalty) * count
            seen += count
        return total / seen

    def _cut(self) -> Iterator[tuple[Any, Any]]:
        """The rows of each batch, and what they hold."""
        x, size = self._x, self.batch_size
        if self._estimator.shuffle:
            self._order = shuffle(self._order, random_state=self._estimator._random_state)
        for start in range(0, self.samples, size):
            if isinstance(x, Csr):
                rows: Any = self._order[start : start + size]
                yield rows, rows_of(x, rows)
            elif self._estimator.shuffle:
                rows = self._order[start : start + size]
                yield rows, x.take(rows, axis=0)
            else:
                rows = slice(start, start + size)
                yield rows, x[rows]


def rows_as_taken(x: Any, dtype: Any = None) -> Any:
    """Rows as a network takes them: contiguous, or CSR."""
    if not issparse(x):
        return np.ascontiguousarray(x, dtype)
    csr = x.tocsr()
    data = csr.data if dtype is None else csr.data.astype(dtype, copy=False)
    return Csr(csr.indptr, csr.indices, data, csr.shape)

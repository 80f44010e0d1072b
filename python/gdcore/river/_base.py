"""What both models share."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from river.utils.dataframe import into_frame, to_numpy

from gdcore import _core
from gdcore._check import flag, integer, real
from gdcore._names import choice
from gdcore._sparse import Csr
from gdcore.activations import Activation
from gdcore.losses import Loss, LossFunction, resolve_loss
from gdcore.network import Network
from gdcore.optimizers import Adam, Optimizer
from gdcore.river._drift import Watch, checked_detector
from gdcore.river._learner import Form, Learner, checked_hidden
from gdcore.river._replay import Reservoir
from gdcore.solvers import Solver

__all__ = ["MLP"]


def __dir__() -> list[str]:
    return __all__


Row = tuple[NDArray[np.int32], NDArray[np.float64]]  # columns, ascending, and what they hold


class MLP:
    """Base of `MLPClassifier` and `MLPRegressor`."""

    _classifies: ClassVar[bool]
    _tasks: ClassVar[tuple[str, ...]]
    _first_outputs: ClassVar[int]

    def __init__(
        self,
        hidden: tuple[Any, ...],
        activation: Any,
        loss: Any,
        optimizer: Any,
        scale: bool,
        drift_detector: Any,
        drift_lr_factor: float,
        drift_steps: int,
        drift_reset: bool,
        replay_size: int,
        replays: int,
        dtype: Any,
        seed: int,
    ) -> None:
        # As they were given, since river's clone() goes by them.
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.scale = scale
        self.drift_detector = drift_detector
        self.drift_lr_factor = drift_lr_factor
        self.drift_steps = drift_steps
        self.drift_reset = drift_reset
        self.replay_size = replay_size
        self.replays = replays
        self.dtype = dtype
        self.seed = seed

        factor = real("drift_lr_factor", drift_lr_factor, above=0)
        steps = integer("drift_steps", drift_steps, at_least=0)
        size = integer("replay_size", replay_size, at_least=0)
        detector = checked_detector(drift_detector, self._classifies)
        self._resets = flag("drift_reset", drift_reset)
        self._again = integer("replays", replays, at_least=0)
        self._scaler = _core.RunningScaler() if flag("scale", scale) else None
        self._watch = None if detector is None else Watch(detector, factor, steps)
        self._learner = Learner(self._form(), self._first_outputs)
        self._reservoir = Reservoir(size, self.seed) if size else None
        self._single = self._learner.form.dtype == "float32"

    def _form(self) -> Form:
        """What the network is made of, of the parameters.

        Raises:
            TypeError: One is of the wrong type.
            ValueError: One is out of its domain, or names nothing that there is.
        """
        loss = resolve_loss("loss", self.loss)
        if isinstance(loss, LossFunction) or not isinstance(loss, Loss):
            raise TypeError("loss must be one of gdcore.losses, got a function")
        if loss.task not in self._tasks:
            raise ValueError(f"loss must be one for {self._tasks[0]}, got {loss!r}")
        given = Adam(lr=0.01) if self.optimizer is None else self.optimizer
        optimizer = Optimizer.resolve("optimizer", given)
        if isinstance(optimizer, Solver):
            raise ValueError(f"optimizer must be one that learns from one sample, got {given!r}")
        return Form(
            checked_hidden(self.hidden),
            Activation.resolve("activation", self.activation),
            loss,
            optimizer,
            choice("dtype", self.dtype, ("float32", "float64")),
            integer("seed", self.seed, at_least=0),
        )

    # What was learnt, to look at.

    @property
    def network(self) -> Network:
        """A copy of the network as a dense one, ready for all of gdcore.

        It reads the features in the order of `features`, scaled where there is a scaler; its
        outputs are numbers, or logits in the order of the classes.
        """
        return self._learner.dense(self._first_outputs)

    @property
    def features(self) -> list[Hashable]:
        """The features there have been, in the order of the network's inputs."""
        return list(self._learner.columns)

    @property
    def samples(self) -> int:
        """Number of updates so far, those with samples of the replay buffer among them."""
        return self._learner.trainer.steps

    @property
    def lr(self) -> float:
        """The learning rate of the next update; can be set."""
        return self._learner.trainer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._learner.trainer.lr = value

    @property
    def drifts(self) -> int:
        """How many drifts the detector has found."""
        return 0 if self._watch is None else self._watch.drifts

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes, with those of C++, which river does not see."""
        network, native = self._learner.network, self._learner.trainer._native
        own = network.num_parameters * (1 + native.states) * network.dtype.itemsize
        seen: int = super()._raw_memory_usage  # type: ignore[misc]  # of river's class beside this
        return seen + own

    # Samples.

    def _known(self, x: Any) -> Row:
        """A sample as the network reads it, without features that it has never learnt from."""
        columns = self._learner.columns
        x = x if isinstance(x, dict) else _as_dict(x)
        row = _core.sparse_row(columns, x, self._single)
        if row is None:
            known = {name: value for name, value in x.items() if name in columns}
            row = _core.sparse_row(columns, known, self._single)
        found: Row = row
        return found if self._scaler is None else (row[0], self._scaler.scaled(*found, False))

    def _learn(self, x: Any, target: Any) -> float:
        """One sample and its target, which is right; returns the loss before the update."""
        learner = self._learner
        x = x if isinstance(x, dict) else _as_dict(x)
        row = _core.sparse_row(learner.columns, x, self._single)
        if row is not None:
            return self._learn_row(row, target)
        new = learner.add_features(x)
        try:
            return self._learn_row(_core.sparse_row(learner.columns, x, self._single), target)
        except (TypeError, ValueError):  # a target that the loss does not take
            learner.drop_features(new)
            raise

    def _learn_row(self, row: Row, target: Any) -> float:
        learner, scaler, watch = self._learner, self._scaler, self._watch
        wrong = watch is not None and watch.binary and self._is_wrong(row, target)
        if scaler is None:
            loss = learner.learn(row, target)
        else:
            loss = learner.learn((row[0], scaler.scaled(*row, True)), target)
            scaler.learn(*row)
        if watch is not None:
            error = wrong if watch.binary else self._error(loss)
            if watch.told(error, learner.trainer) and self._resets:
                learner.reset()
        reservoir = self._reservoir
        if reservoir is not None:
            for (columns, values), each in reservoir.drawn(self._again):
                if scaler is not None:
                    values = scaler.scaled(columns, values, False)
                learner.learn((columns, values), each)
            reservoir.offer((row, target))
        return loss

    def _error(self, loss: float) -> float:
        """What a detector of numbers is told of a loss."""
        raise NotImplementedError

    def _is_wrong(self, row: Row, target: int) -> bool:
        """Whether a classifier takes a sample for another class than it is of."""
        raise NotImplementedError

    # Tables.

    def _learn_table(self, x: Any, targets: Sequence[Any], place: Any) -> None:
        """Rows of a table, in order, as single samples; place(i) has the target of row i."""
        names, values = self._table(x)
        if len(values) != len(targets):
            raise ValueError(f"y must have {len(values)} values like X, got {len(targets)}")
        learner = self._learner
        if not len(values):
            return
        for name in learner.add_features(names):
            assert name in learner.columns
        columns = np.array([learner.columns[name] for name in names], np.int32)
        order = np.argsort(columns)
        columns, values = columns[order], np.ascontiguousarray(values[:, order])
        for i, row in enumerate(values):
            self._learn_row((columns, row.copy()), place(i))

    def _outputs(self, x: Any) -> NDArray[Any]:
        """What the network makes of a table, (N, outputs)."""
        names, values = self._table(x)
        learner = self._learner
        known = [i for i, name in enumerate(names) if name in learner.columns]
        columns = np.array([learner.columns[names[i]] for i in known], np.int32)
        order = np.argsort(columns)
        columns = columns[order]
        values = np.ascontiguousarray(values[:, np.array(known, int)[order]])
        if self._scaler is not None:
            values = np.stack([self._scaler.scaled(columns, row, False) for row in values])
        count = len(columns)
        rows = Csr(
            np.arange(len(values) + 1) * count,
            np.tile(columns, len(values)),
            values.ravel(),
            (len(values), learner.network.input_size),
        )
        outputs: NDArray[Any] = learner.network.predict(rows)
        return outputs

    def _table(self, x: Any) -> tuple[list[Hashable], NDArray[np.float64]]:
        """Names and numbers of a data frame.

        Raises:
            TypeError: x is no data frame, or a column holds something else than numbers.
            ValueError: A number is not finite.
        """
        try:
            frame = into_frame(x)
        except TypeError:
            raise TypeError(f"X must be a data frame, got {type(x).__name__}") from None
        names = list(frame.columns)
        try:
            values = to_numpy(frame)
        except (TypeError, ValueError):
            values = _by_column(frame, names)
        largest = float(np.finfo(self._learner.form.dtype).max)
        wrong = np.argwhere(~(np.abs(values) <= largest))
        if len(wrong):
            row, column = wrong[0]
            got = values[row, column]
            raise ValueError(
                f"X[{names[column]!r}] must be finite{' in float32' * self._single}, "
                f"got {'NaN' if math.isnan(got) else got} in row {row}"
            )
        return names, values


def _as_dict(x: Any) -> dict[Hashable, Any]:
    if not isinstance(x, Mapping):
        raise TypeError(f"x must be a dict of numbers by feature, got {type(x).__name__}")
    return dict(x)


def _by_column(frame: Any, names: Sequence[Hashable]) -> NDArray[np.float64]:
    """The numbers of a frame, or an error that names the column that has none."""
    columns = []
    for i, name in enumerate(names):
        column = frame[:, i].to_numpy()
        try:
            columns.append(np.asarray(column, np.float64))
        except (TypeError, ValueError):
            raise TypeError(f"X[{name!r}] must hold numbers, got {column.dtype}") from None
    found: NDArray[np.float64] = np.stack(columns, axis=1)
    return found

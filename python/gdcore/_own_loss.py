"""Training by a loss that is a Python function, see `gdcore.LossFunction`.

Forward, backward and update are C++; what is between them, the loss and the order of batches, is
here. A trainer for it has the interface of the compiled ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gdcore import _core
from gdcore._check import integer
from gdcore._frames import array, feature_names, ordered, ordered_row, real_array
from gdcore._ranges import Range
from gdcore._sparse import refuse_sparse
from gdcore.losses import LossFunction

__all__ = ["Judgement", "OwnData", "OwnTrainer", "check_finite", "judge", "own_trainer", "prepared"]

_DEFAULT_ROWS = 1024  # of an evaluation
_INTERVAL = 0.05  # seconds between two calls of the progress


@dataclass(frozen=True)
class OwnData:
    """Checked inputs, targets as given, and weights or None."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[np.float64] | None

    @property
    def samples(self) -> int:
        """How many."""
        return len(self.x)

    def rows(self, index: Any) -> OwnData:
        """Some of them."""
        weights = None if self.weights is None else self.weights[index]
        return OwnData(self.x[index], self.y[index], weights)

    def weight(self) -> float:
        """Of all together."""
        return float(self.samples) if self.weights is None else float(self.weights.sum())


def prepared(
    x: Any, y: Any, sample_weight: Any, inputs: int, dtype: Any, names: tuple[str, str, str]
) -> OwnData:
    """The arrays of a data set, checked; see `gdcore.Trainer.fit` for the errors."""
    rows = _finite(names[0], x, dtype)
    if rows.ndim != 2 or rows.shape[1] != inputs:
        raise ValueError(f"{names[0]} must have shape (N, {inputs}), got {rows.shape}")
    if not len(rows):
        raise ValueError(f"{names[0]} must not be empty, got shape {rows.shape}")
    targets = array(y, names[1])
    if targets.shape[:1] != (len(rows),):
        raise ValueError(f"{names[1]} must have {len(rows)} rows like x, got shape {targets.shape}")
    if sample_weight is None:
        return OwnData(rows, targets, None)
    weights = _finite(names[2], sample_weight, np.float64)
    if weights.shape != (len(rows),):
        raise ValueError(f"{names[2]} must have shape ({len(rows)},) like x, got {weights.shape}")
    if (weights < 0).any():
        raise ValueError(f"{names[2]} must hold weights of at least 0, got {weights.min():g}")
    total = float(weights.sum())
    if not 0 < total < math.inf:
        raise ValueError(f"{names[2]} must have a sum above 0 and finite, got {total:g}")
    return OwnData(rows, targets, weights)


def _finite(argument: str, value: Any, dtype: Any) -> NDArray[Any]:
    made = real_array(argument, value)
    with np.errstate(over="ignore"):  # what the dtype cannot hold becomes infinite
        converted = np.ascontiguousarray(made, dtype)
    if not np.isfinite(converted).all():
        raise ValueError(f"{argument} must be finite, got NaN or infinity")
    return converted


@dataclass(frozen=True)
class Judgement:
    """What a function says of a batch.

    Attributes:
        loss: The batch's, by weight.
        gradient: (N, outputs) of it, by weight.
        parameters: The gradients at the parameters beside the layers.
    """

    loss: float
    gradient: NDArray[Any]
    parameters: dict[str, NDArray[Any]] = field(default_factory=dict)


def judge(
    own: LossFunction,
    output: NDArray[Any],
    data: OwnData,
    parameters: Mapping[str, NDArray[Any]],
) -> Judgement:
    """Calls the function for the outputs of a batch, and checks what it returns.

    ``parameters`` are those beside the layers; where there are some, the function gets them too and
    returns their gradients.

    Raises:
        TypeError: That is no pair of real numbers.
        ValueError: A shape is wrong, or there are weights and one loss for all samples.
    """
    name = getattr(own.function, "__name__", type(own.function).__name__)
    with Range(f"loss {name}"):
        returned = own.function(output, data.y, *([dict(parameters)] if parameters else []))
    who = f"the loss {name}"
    wanted = "a triple (loss, gradient, parameters)" if parameters else "a pair (loss, gradient)"
    if not isinstance(returned, (tuple, list)) or len(returned) != (3 if parameters else 2):
        kind = type(returned).__name__
        many = f" of {len(returned)}" if isinstance(returned, (tuple, list)) else ""
        raise TypeError(f"{who} must return {wanted}, got {kind}{many}")
    losses = real_array(f"{who}: its loss", returned[0]).astype(np.float64)
    gradient = real_array(f"{who}: its gradient", returned[1])
    samples = data.samples
    if losses.shape not in ((), (samples,)):
        raise ValueError(
            f"{who} must return one loss or one a sample, of shape ({samples},), "
            f"got shape {losses.shape}"
        )
    if gradient.shape != output.shape:
        raise ValueError(
            f"{who} must return a gradient of shape {output.shape} like the prediction, got "
            f"{gradient.shape}"
        )
    share = None if data.weights is None else data.weights / data.weights.sum()
    free = {
        key: _free_gradient(who, key, returned[2], value, share, samples)
        for key, value in parameters.items()
    }
    if share is None:
        return Judgement(float(losses.mean()), gradient, free)
    if not losses.shape:
        raise ValueError(
            f"{who} must return the losses of shape ({samples},) where samples have weights, got "
            "one number: which sample it comes from is not known then"
        )
    factors = (samples * share).reshape(-1, *(1 for _ in gradient.shape[1:]))
    return Judgement(float((share * losses).sum()), gradient * factors, free)


def _free_gradient(
    who: str, key: str, returned: Any, value: NDArray[Any], share: Any, samples: int
) -> NDArray[Any]:
    """At a parameter beside the layers: of all samples together, or the part of each."""
    if not isinstance(returned, Mapping) or key not in returned:
        told = f"the keys {list(returned)}" if isinstance(returned, Mapping) else "no mapping"
        raise ValueError(f"{who} must return a gradient of the parameter {key!r}, got {told}")
    gradient = real_array(f"{who}: its gradient of {key!r}", returned[key])
    each = (samples, *value.shape)
    if gradient.shape == each:
        factor = 1.0 if share is None else (samples * share).reshape(-1, *(1 for _ in value.shape))
        total: NDArray[Any] = np.asarray((gradient * factor).sum(axis=0))
        return total
    if gradient.shape != value.shape:
        raise ValueError(
            f"{who} must return a gradient of {key!r} of shape {value.shape}, or of each sample "
            f"{each}, got {gradient.shape}"
        )
    if share is not None:
        raise ValueError(
            f"{who} must return the gradient of {key!r} by each sample, of shape {each}, where "
            "samples have weights"
        )
    return np.asarray(gradient)


def check_finite(own: LossFunction, found: Judgement) -> None:
    """ValueError where what a function says would not train."""
    name = getattr(own.function, "__name__", type(own.function).__name__)
    if not math.isfinite(found.loss):
        raise ValueError(f"the loss {name} must return finite losses, got {found.loss}")
    if not np.isfinite(found.gradient).all():
        raise ValueError(f"the loss {name} must return a finite gradient, got NaN or infinity")
    for key, gradient in found.parameters.items():
        if not np.isfinite(gradient).all():
            raise ValueError(f"the loss {name} must return a finite gradient of {key!r}")


class OwnTrainer:
    """The methods of a compiled trainer that need a loss, for a function; mixed into these."""

    own: LossFunction
    network: Any  # gdcore.Network
    seed: int
    apply_gradients: Callable[[], None]
    end_epoch: Callable[[], None]
    copy: Callable[[], Any]
    set_position: Callable[..., None]
    set_state: Callable[..., None]
    num_threads: Any
    lr: float
    steps: int
    epochs: int

    def prepare(self, x: Any, y: Any, sample_weight: Any, names: Any) -> OwnData:
        """Checks and converts."""
        size, dtype = self.network.input_size, self.network.dtype
        if not self.network._wiring.is_plain:
            x = self.network._native.joined(x, names[0])
        return prepared(x, y, sample_weight, size, dtype, tuple(names))

    def step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """See `gdcore.Trainer.step`."""
        names = self.network.feature_names
        table = ordered(x, "x", names, self.network.dtype)
        data = self.prepare(table, y, sample_weight, ("x", "y", "sample_weight"))
        loss = self._update(data)
        if names is None and (names := feature_names(x)) is not None:
            self.network._native.input_names = list(names)
        return loss

    def learn_one(self, x: Any, y: Any) -> float:
        """See `gdcore.Trainer.learn_one`."""
        if isinstance(x, Mapping):
            rows: Any = {key: array(each, f"x[{key!r}]")[None] for key, each in x.items()}
        else:
            row = array(ordered_row(x, "x", self.network.feature_names), "x")
            if row.shape != (self.network.input_size,):
                raise ValueError(f"x must have shape ({self.network.input_size},), got {row.shape}")
            rows = row[None]
        return self._update(self.prepare(rows, array(y, "y")[None], None, ("x", "y", "")))

    def learn_many(self, x: Any, y: Any) -> NDArray[np.float64]:
        """See `gdcore.Trainer.learn_many`."""
        table = ordered(x, "x", self.network.feature_names, self.network.dtype)
        data = self.prepare(table, y, None, ("x", "y", ""))
        rows = (data.rows(slice(i, i + 1)) for i in range(data.samples))
        return np.array([self._update(row) for row in rows])

    def fit_epoch(
        self,
        data: OwnData,
        batch_size: int | None,
        shuffle: bool,
        progress: Callable[[int], None] | None,
        on_batch: Callable[[float], bool] | None,
        accumulate: int = 1,
        order: NDArray[np.int64] | None = None,
    ) -> dict[str, float]:
        """One pass over the data; see `gdcore.Trainer.fit`."""
        one = min(batch_size or data.samples, data.samples)
        at_once = min(one * accumulate, data.samples)
        if not shuffle or at_once >= data.samples:
            order = None
        elif order is None:
            order = _core.shuffled(data.samples, self.seed, self.epochs)
        before = self._snapshot()
        loss_sum = weight_sum = 0.0
        told = time.monotonic()
        for begin in range(0, data.samples, at_once):
            end = min(begin + at_once, data.samples)
            batch = data.rows(slice(begin, end) if order is None else order[begin:end])
            going_on = True
            weight = batch.weight()
            if weight > 0:  # a batch of samples without weight says nothing
                loss = self._descend(batch, one, before)
                loss_sum += loss * weight
                weight_sum += weight
                going_on = on_batch is None or bool(on_batch(loss))
            if end == data.samples:
                self._end_epoch(before)
            now = time.monotonic()
            if progress is not None and (end == data.samples or now - told >= _INTERVAL):
                told = now
                progress(end)
            if not going_on:
                break
        return {"loss": loss_sum / weight_sum}

    def evaluate(self, data: OwnData, batch_size: int | None) -> dict[str, float]:
        """See `gdcore.Trainer.evaluate`."""
        at_once = _DEFAULT_ROWS if batch_size is None else integer("batch_size", batch_size)
        loss_sum = weight_sum = 0.0
        for begin in range(0, data.samples, at_once):
            batch = data.rows(slice(begin, begin + at_once))
            weight = batch.weight()
            if weight > 0:
                output = self.network._native.predict(
                    batch.x, None, self.num_threads, validates=True, joined=True, apart=True
                )
                loss_sum += self._judged(self.network._apart(output), batch).loss * weight
                weight_sum += weight
        return {"loss": loss_sum / weight_sum}

    def operations(self, batch_size: int) -> NoReturn:
        """There is no plan of what Python does."""
        raise RuntimeError(
            "this trainer's loss is a Python function, whose operations are not known beforehand"
        )

    flops_per_step = operations

    def _forward(self, batch: OwnData) -> Any:
        """The outputs, of an ensemble those of its members, with what backward needs."""
        native = self.network._native
        return self.network._apart(native.forward(batch.x, True, self.num_threads, joined=True))

    def _update(self, batch: OwnData) -> float:
        """One update; nothing has changed where it raises."""
        found = self._judged(self._forward(batch), batch)
        check_finite(self.own, found)
        self._apply(found)
        return found.loss

    def _judged(self, output: NDArray[Any], batch: OwnData) -> Judgement:
        return judge(self.own, output, batch, self.network._native.free_parameters())

    def _apply(self, found: Judgement) -> None:
        self.network.backward(found.gradient, parameters=found.parameters)
        self.apply_gradients()

    def _descend(self, batch: OwnData, rows: int, before: Any) -> float:
        """An update within an epoch, which goes back to its start where it diverges.

        The gradient is that of so many rows at a time, each with its share of the weight.
        """
        loss, total, goes_on = 0.0, batch.weight(), False
        for begin in range(0, batch.samples, rows):
            part = batch.rows(slice(begin, begin + rows)) if rows < batch.samples else batch
            if (share := part.weight() / total) == 0:
                continue
            found = self._judged(self._forward(part), part)
            if not math.isfinite(found.loss):
                became = "NaN" if math.isnan(found.loss) else "infinite"
                self._diverged(f"the loss became {became}", before)
            loss += share * found.loss
            try:
                check_finite(self.own, found)
                free = {key: share * each for key, each in found.parameters.items()}
                self.network.backward(share * found.gradient, goes_on, parameters=free)
            except ValueError as error:  # a number that is not finite
                self._diverged(str(error), before)
            goes_on = True
        try:
            self.apply_gradients()
        except ValueError as error:
            self._diverged(str(error), before)
        return loss

    def _end_epoch(self, before: Any) -> None:
        (steps, epochs, *rest), parameters, states = self.copy()
        for what, arrays in (("a parameter", [parameters]), ("the optimizer's state", states)):
            if not _all_finite(arrays):
                self._diverged(f"{what} left the finite numbers", before)
        self.set_position(steps, epochs + 1, *rest)
        self.end_epoch()  # in C++: what goes on by epochs

    def _snapshot(self) -> Any:
        taken = self.copy()
        if not _all_finite([taken[1]]):
            raise RuntimeError(
                "the parameters are not finite, so that no epoch can go on from them: give the "
                "network others with load_state_dict"
            )
        if not _all_finite(taken[2]):
            raise RuntimeError(
                "the optimizer's state is not finite, so that no epoch can go on from it: make a "
                "new trainer of the network"
            )
        return taken

    def _diverged(self, what: str, before: Any) -> NoReturn:
        step, lr = self.steps, self.lr
        position, parameters, states = before
        self.network.load_state_dict(parameters)
        for index, state in enumerate(states):
            for key, values in state.items():
                self.set_state(index, key, values)
        self.set_position(*position)
        raise FloatingPointError(
            f"{what} in epoch {self.epochs + 1} at step {step} with learning rate {lr:g}; "
            "parameters and optimizer are back where the epoch began. Try a smaller learning rate "
            "or clip_grad_norm."
        )


def _all_finite(states: Any) -> bool:
    return all(np.isfinite(each).all() for state in states for each in state.values())


class _Own32(OwnTrainer, _core.Trainer32):  # type: ignore[misc]
    pass


class _Own64(OwnTrainer, _core.Trainer64):  # type: ignore[misc]
    pass


def own_trainer(own: LossFunction, network: Any, seed: int, *options: Any) -> Any:
    """A trainer with a function for a loss; ``options`` as the compiled ones take them."""
    refuse_sparse(network)
    made: Any = (_Own32 if network.dtype == np.float32 else _Own64)(
        network._native, None, [], [], *options
    )
    made.own, made.network, made.seed = own, network, seed
    return made

"""The trainer: a network, a loss and an optimizer at work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, NoReturn, SupportsIndex, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore import _core
from gdcore._check import flag, integer, optional_integer, real, thread_count
from gdcore._fitting import Fitting, Validation, one_at_a_time
from gdcore._native import TRAINERS, NativeTrainer
from gdcore.callbacks import Callback, resolve_callbacks
from gdcore.history import History
from gdcore.linalg import checked_precision
from gdcore.losses import Loss
from gdcore.metrics import Accuracy, Metric, resolve_metrics
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.schedules import Function, Schedule, resolve_schedule

__all__ = ["Operation", "Trainer"]


# What messages call the arrays.
_NAMES = ("x", "y", "sample_weight")
_VALIDATION_NAMES = ("validation_data[0]", "validation_data[1]", "validation_data[2]")


class Operation(TypedDict):
    """One operation of a training step, as `Trainer.operations` lists them."""

    zone: str
    layer: str
    phase: str
    flops: int
    bytes: int


class Trainer:
    """Trains a network by gradient descent; owns the optimizer's state and the position.

    >>> trainer = gdcore.Trainer(net, loss="cross_entropy", optimizer=gdcore.Adam(lr=1e-3))
    >>> history = trainer.fit(x, y, epochs=10, batch_size=32, validation_data=(xv, yv))

    A batch's loss is sum_i w_i l_i / sum_i w_i over its samples, w_i = 1 without sample weights;
    see `gdcore.losses` for l_i and the targets y of each loss. Arrays are taken as in `Network`.
    Whatever is not right raises before anything has changed.

    `fit` raises FloatingPointError where the loss becomes NaN or infinite in an epoch: it names
    epoch, step and learning rate, and parameters and optimizer are back where the epoch began.

    A trainer can be neither pickled nor copied; it can be saved, see `save`.

    Args:
        network: What to train; its parameters are changed in place.
        loss: A loss by name or as an object, or None where gradients come from a loss of one's own;
            see `apply_gradients`.
        optimizer: An optimizer by name or as an object.
        matmul_precision: Of the products in training steps: ``"highest"``, ``"high"`` or
            ``"medium"``, as in `gdcore.matmul`. Layers for which a lower one would be slower take
            float32, and so do `evaluate` and ``predict``. float64 knows ``"highest"`` only.
        num_threads: 1 to 1024; None as in `gdcore.set_num_threads`. Results do not depend on it at
            ``"highest"``.
        clip_grad_norm: The largest Euclidean norm |g| of the gradient of all parameters together,
            finite and above 0: where |g| > clip_grad_norm, each update takes
            g <- g clip_grad_norm / (|g| + 1e-6), as PyTorch's ``clip_grad_norm_``. None: no limit.
            Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
            networks", ICML 2013, arXiv:1211.5063.
        schedule: How the learning rate changes, see `gdcore.schedules`: an object such as
            ``gdcore.schedules.Cosine(t_max=10)``, or a function of the number of epochs done that
            returns the learning rate. None: it stays the optimizer's.
        seed: Decides the order of shuffled samples, at least 0; None takes the network's.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain or names nothing that there is, or loss and
            network do not go together.
    """

    def __init__(
        self,
        network: Network,
        loss: str | Loss | None,
        optimizer: str | Optimizer,
        *,
        matmul_precision: str = "highest",
        num_threads: int | None = None,
        clip_grad_norm: float | None = None,
        schedule: Schedule | Callable[[int], float] | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network must be a gdcore.Network, got {type(network).__name__}")
        self._network = network
        self._loss = None if loss is None else Loss.resolve("loss", loss)
        self._optimizer = Optimizer.resolve("optimizer", optimizer)
        self._matmul_precision = checked_precision(
            "matmul_precision", matmul_precision, network.dtype
        )
        self._clip_grad_norm = (
            None if clip_grad_norm is None else real("clip_grad_norm", clip_grad_norm, above=0)
        )
        self._seed = network.seed if seed is None else integer("seed", seed, at_least=0)
        self._schedule = resolve_schedule("schedule", schedule)
        self._num_threads = thread_count(num_threads)
        self._history = History()
        self._stopped = False
        self._claim = _core.Claim("fit is at work on this trainer: one at a time")
        self._native: NativeTrainer = TRAINERS[network.dtype.name](
            network._native,
            None if self._loss is None else self._loss.name,
            [] if self._loss is None else self._loss.parameters(),
            self._optimizer.name,
            self._optimizer.parameters(),
            self._num_threads,
            self._seed,
            self._clip_grad_norm,
            self._matmul_precision,
        )
        # Looked up once: each time anew takes a twentieth of the smallest step.
        self._step: Callable[..., float] = self._native.step
        self._learn_one: Callable[..., float] = self._native.learn_one
        if self._schedule is not None:
            own = isinstance(self._schedule, Function)
            self._native.set_schedule(
                self._schedule.rate if isinstance(self._schedule, Function) else None,
                [] if own else self._schedule.parts(),
                self._schedule.per == "step",
            )

    @property
    def network(self) -> Network:
        """What is trained."""
        return self._network

    @property
    def loss(self) -> Loss | None:
        """The loss as an object, or None."""
        return self._loss

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer as an object; `lr` tells the learning rate in use."""
        return self._optimizer

    @property
    def matmul_precision(self) -> str:
        """As given."""
        return self._matmul_precision

    @property
    def clip_grad_norm(self) -> float | None:
        """The largest norm of a gradient, or None."""
        return self._clip_grad_norm

    @property
    def schedule(self) -> Schedule | None:
        """How the learning rate changes, or None."""
        return self._schedule

    @property
    def seed(self) -> int:
        """What decides the order of shuffled samples."""
        return self._seed

    @property
    def history(self) -> History:
        """What the last `fit` has seen, or the one at work: its finished epochs.

        It is what `fit` returns, and is there as well where `fit` ended with an exception.
        """
        return self._history

    @property
    def lr(self) -> float:
        """Learning rate of the next step; can be set, to a finite number of at least 0.

        With a schedule, setting it scales the schedule from here on, so that the next step has this
        rate. A ValueError where the schedule is at 0: that cannot be scaled.
        """
        return self._native.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._native.lr = real("lr", value, at_least=0)

    @property
    def steps(self) -> int:
        """Number of updates so far."""
        return self._native.steps

    @property
    def epochs(self) -> int:
        """Number of epochs finished so far."""
        return self._native.epochs

    def __repr__(self) -> str:
        return f"Trainer({self.network}, {self.loss}, {self.optimizer}, steps={self.steps})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses to be pickled or copied."""
        raise TypeError(
            "a Trainer cannot be pickled or copied: save it to a file, or copy its network "
            "and make a new trainer"
        )

    def step(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Makes one update on one batch.

        Where training diverges, this and online learning go on, with losses that are infinite or
        NaN; `fit` stops.

        Args:
            x: (N, input_size), finite.
            y: The targets, as the loss takes them.
            sample_weight: (N,), finite, at least 0, not all 0.

        Returns:
            The loss of the batch before the update.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range.
        """
        return self._step(x, y, sample_weight)

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> float:
        """Online learning: makes one update on one sample as it comes.

        Samples may keep coming for ever, in any mixture with `learn_many`, `step` and `fit`. It is
        `step` on a batch of one, to the same bits.

        >>> for x, y in stream:
        ...     loss = trainer.learn_one(x, y)

        Args:
            x: (input_size,), finite.
            y: The sample's target, as the loss takes it: a label, (outputs,) numbers, or for one
                output a number.

        Returns:
            The loss of the sample before the update.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: x or y is complex, of objects or of strings, or a label no integer.
            ValueError: x or y is of another shape, not finite, or a label out of range.
        """
        return self._learn_one(x, y)

    def learn_many(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Online learning: makes one update on each sample, in order, as `learn_one` does.

        It checks the samples once, and trains to the bits of one `learn_one` after the other.
        Ctrl-C stops between two samples with a KeyboardInterrupt.

        Args:
            x: (N, input_size), finite.
            y: The targets, as the loss takes them.

        Returns:
            (N,), the loss of each sample before its own update.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings.
            ValueError: An array is of another shape, empty, not finite, or holds labels out of
                range.
        """
        return self._native.learn_many(x, y)

    @one_at_a_time
    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int | None = None,
        until_epoch: int | None = None,
        batch_size: int | None = 32,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[ArrayLike, ...] | None = None,
        metrics: Sequence[str | Metric | Callable[..., float]] = (),
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
    ) -> History:
        """Trains for a number of epochs, each once over all samples.

        Ctrl-C stops between two steps with a KeyboardInterrupt, and leaves a trainer to go on with;
        `history` has the epochs that were finished.

        Args:
            x: (N, input_size), finite.
            y: The targets, as the loss takes them.
            epochs: How many more; at least 1. One if until_epoch is None too.
            until_epoch: In place of epochs, how many in total, with those before this call; at
                least 1. There may be none left to do.
            batch_size: None, or a number from N on, is gradient descent over all samples at once,
                1 stochastic gradient descent, n mini-batches. The last batch of an epoch has what
                is left.
            shuffle: Takes the samples of each epoch in another order, which depends on seed and
                epoch alone. A batch of all samples has no order, and is taken as it is.
            sample_weight: (N,), finite, at least 0, not all 0.
            validation_data: (xv, yv) or (xv, yv, weights), evaluated after each epoch.
            metrics: What else to compute on the validation data, see `gdcore.metrics`: names such
                as ``"auc"``, objects such as ``gdcore.metrics.TopK(3)``, or functions
                f(y, output) -> float, named by their ``__name__``. Each is tried once before the
                first epoch, so that what it cannot judge is an error before any update.
            callbacks: What to do after batches and epochs, see `gdcore.callbacks`.
            progress: Shows a bar on standard error, or in the notebook.

        Returns:
            One float an epoch for ``"loss"``, the mean of the losses before each update, and with
            validation data for ``"val_loss"``, ``"val_accuracy"`` if the loss has one, and
            ``"val_..."`` for each metric.

        Raises:
            FloatingPointError: The loss became NaN or infinite; the message names epoch, step and
                learning rate. Parameters and optimizer are back where that epoch began.
            RuntimeError: The trainer has no loss, is in another `fit`, or the parameters are not
                finite.
            TypeError: An array is complex, of objects or of strings, or an argument is of the wrong
                type.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, or an argument is out of its domain.
        """
        last = self._last_epoch(epochs, until_epoch)
        _core.profile_mark("caller")
        validation = self._validation(validation_data, metrics)
        fitting = Fitting(
            self._prepare(x, y, sample_weight, _NAMES),
            optional_integer("batch_size", batch_size),
            flag("shuffle", shuffle),
            validation,
            resolve_callbacks(callbacks),
            flag("progress", progress),
        )
        _core.profile_mark("data")
        first = self.epochs + 1
        if validation is not None:
            self._judged(validation)  # what a metric cannot judge is an error before any update
        self._history = history = History()
        self._stopped = False
        fitting.run(self, self._native, first, last, history)
        return history

    def stop(self) -> None:
        """Ends `fit`, where a callback calls it: at the end of a batch or of an epoch.

        An epoch that was not finished is not counted, but its updates stay.
        """
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called since the last `fit` began."""
        return self._stopped

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
        *,
        metrics: Sequence[str | Metric | Callable[..., float]] = (),
    ) -> dict[str, float]:
        """Computes the loss, for classes the accuracy, and metrics, without an update.

        Args:
            x: (N, input_size), finite.
            y: The targets, as the loss takes them.
            sample_weight: (N,), finite, at least 0, not all 0.
            batch_size: Rows at a time, at least 1; None chooses. It changes no more than the
                rounding of the loss.
            metrics: What else to compute, as in `fit`.

        Returns:
            ``"loss"``, each metric by its name, and the ``"accuracy"``, by weight: for
            ``"cross_entropy"`` the share of the samples whose largest output is their class, for
            ``"bce_with_logits"`` the share of the outputs that are above 0 where the target is
            above 1/2, and not above 0 where it is not.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings, or batch_size no integer.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, or batch_size is below 1.
        """
        batch_size = optional_integer("batch_size", batch_size)
        resolved = resolve_metrics(metrics)
        data = self._prepare(x, y, sample_weight, _NAMES)
        return self._scores(Validation(data, x, y, sample_weight, resolved), batch_size)

    def apply_gradients(self) -> None:
        """Makes one update with the gradients of the network's last `Network.backward`.

        With it any loss trains, here the sum of squares:

        >>> trainer = gdcore.Trainer(net, loss=None, optimizer="adam")
        >>> output = net.forward(x, training=True)
        >>> net.backward(2 * (output - y))
        >>> trainer.apply_gradients()

        Raises:
            RuntimeError: No `Network.backward` came before.
            ValueError: A gradient is not finite.
        """
        self._native.apply_gradients()

    def operations(self, batch_size: int) -> list[Operation]:
        """Lists what one step on a batch computes, in order, with its FLOPs and bytes.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: batch_size is no integer.
            ValueError: batch_size is below 1.
        """
        return self._native.operations(integer("batch_size", batch_size))

    def flops_per_step(self, batch_size: int) -> int:
        """Counts the floating-point operations of one step: those of all `operations` together.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: batch_size is no integer.
            ValueError: batch_size is below 1.
        """
        return self._native.flops_per_step(integer("batch_size", batch_size))

    def memory_plan(
        self, batch_size: int | None, samples: int | None = None, shuffle: bool = True
    ) -> dict[str, int]:
        """Tells how many bytes `fit` holds beside the data.

        Nothing more is taken while it trains but the copy of data that are not C-contiguous and of
        the network's dtype, and, where there are validation data, the activations of up to 1,024
        rows. `step` does without a snapshot and a batch's copy.

        Args:
            batch_size: As in `fit`; None, all samples at once, needs ``samples``.
            samples: How many there will be; counts the order of shuffled samples.
            shuffle: As in `fit`.

        Returns:
            ``"parameters"``; ``"gradients"``; ``"optimizer_state"``; ``"snapshot"``, the copy of
            parameters and state that an epoch which diverges goes back to; ``"activations"``,
            outputs of the layers and gradients at them, for at most 2,048 rows at a time;
            ``"packing"``, for the matmuls of all threads; ``"batch"``, the rows of a shuffled
            batch side by side; ``"order"`` of shuffled samples; ``"total"``.

        Raises:
            TypeError: batch_size or samples is no integer, or shuffle no bool.
            ValueError: One is below 1, or both are None.
        """
        samples = optional_integer("samples", samples)
        batch_size = optional_integer("batch_size", batch_size)
        if batch_size is None and samples is None:
            raise ValueError("samples must be given where batch_size is None")
        batch = min(each for each in (batch_size, samples) if each is not None)
        # Rows of a batch that has them all are taken where they lie.
        moves = flag("shuffle", shuffle) and batch_size is not None and batch != samples
        plan: dict[str, int] = self._native.memory(batch, moves)
        plan["order"] = 8 * samples if moves and samples is not None else 0
        plan["total"] = sum(plan.values())
        return plan

    def save(self, path: str | PathLike[str], *, extra: Mapping[str, Any] | None = None) -> None:
        """Writes everything needed to go on to a safetensors file.

        That is the network, loss, optimizer with its state, schedule, seed and position: a trainer
        that is loaded from it goes on with the same bits as this one. The number of threads is not
        saved; of a schedule that is a function of one's own, only that there was one. Within an
        epoch, after `fit` was interrupted, the next begins anew.

        The file is written beside and renamed, so that at any moment the old or the new one is
        there, whole. Equal trainers are equal files. `Network.load` reads the network alone.

        >>> trainer.save("run.safetensors")
        >>> trainer = gdcore.Trainer.load("run.safetensors")
        >>> trainer.fit(x, y, until_epoch=10)

        Args:
            path: Where; a file that is there is replaced.
            extra: As in `Network.save`.

        Raises:
            OSError: The file cannot be written; one that was there still is.
            TypeError: path is no path, or extra no mapping.
            ValueError: A parameter is not finite, or JSON cannot hold extra.
        """
        from gdcore import persistence  # only here: import gdcore stays light

        persistence.save_trainer(self, path, extra)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        network: Network | None = None,
        schedule: Callable[[int], float] | Schedule | None = None,
        num_threads: int | None = None,
    ) -> Trainer:
        """Reads a trainer that `save` wrote.

        Args:
            path: The file.
            network: A network of the same description to put the parameters into; None makes one.
            schedule: In place of the one that was saved; needed where that is a function.
            num_threads: As in `Trainer`.

        Raises:
            OSError: The file cannot be read; FileNotFoundError where there is none.
            TypeError: An argument is of the wrong type.
            ValueError: The file is no trainer's, is damaged, of a newer format, or belongs to
                another network than the one given.
        """
        from gdcore import persistence

        return persistence.load_trainer(path, network, schedule, num_threads)

    def _last_epoch(self, epochs: int | None, until_epoch: int | None) -> int:
        if until_epoch is None:
            return self.epochs + (1 if epochs is None else integer("epochs", epochs))
        if epochs is not None:
            raise ValueError("epochs and until_epoch must not be given together")
        return integer("until_epoch", until_epoch)

    def _validation(self, data: Any, metrics: Any) -> Validation | None:
        resolved = resolve_metrics(metrics)
        if data is None:
            if resolved:
                raise ValueError(
                    "metrics are computed on validation_data, got None; pass "
                    "validation_data=(x, y) to see them on the training data"
                )
            return None
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
        x, y, *weights = data
        weight = weights[0] if weights else None
        return Validation(self._prepare(x, y, weight, _VALIDATION_NAMES), x, y, weight, resolved)

    def _scores(self, validation: Validation, batch_size: int | None = None) -> dict[str, float]:
        """Loss, accuracy and metrics on data that was prepared."""
        values: dict[str, float] = self._native.evaluate(validation.data, batch_size)
        for key, metric in validation.metrics:
            if isinstance(metric, Accuracy) and key in values:
                # The loss knows better what its outputs mean.
                validation = validation.without(key)
        return values | self._judged(validation, batch_size)

    def _judged(self, validation: Validation, batch_size: int | None = None) -> dict[str, float]:
        """The metrics alone."""
        if not validation.metrics:
            return {}
        output = self._network._native.predict(validation.x, batch_size, self._num_threads)
        judge = (validation.y, output, validation.weight)
        return {key: metric(*judge) for key, metric in validation.metrics}

    def _prepare(self, x: Any, y: Any, sample_weight: Any, names: tuple[str, str, str]) -> Any:
        """The arrays, checked and converted once, for the trainer of this dtype."""
        return self._native.prepare(x, y, sample_weight, names)

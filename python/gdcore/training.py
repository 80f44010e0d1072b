"""The trainer: a network, a loss and an optimizer at work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import is_
from os import PathLike
from typing import Any, Literal, NoReturn, SupportsIndex

import gdcore.data
from gdcore import _core
from gdcore._averaged import Averaged
from gdcore._beginning import Beginning
from gdcore._check import integer, optional_integer, real, thread_count
from gdcore._fitting import one_at_a_time
from gdcore._frames import ordered
from gdcore._given import Given
from gdcore._judging import Judging
from gdcore._native import TRAINERS, NativeTrainer
from gdcore._objective import Objective
from gdcore._online import Online
from gdcore._planning import Operation, Planning
from gdcore._saving import Saving
from gdcore._scheduling import PlateauState, Scheduling, resolve_schedules
from gdcore._sharing import Sharing
from gdcore._warn import warn
from gdcore.averaging import Average, resolve_average
from gdcore.callbacks import Callback
from gdcore.clipping import Clip, resolve_clip
from gdcore.groups import Group, ScheduleLike, checked_groups, resolved
from gdcore.history import History
from gdcore.linalg import checked_precision
from gdcore.losses import LossFunction, LossLike
from gdcore.metrics import Metric
from gdcore.network import Network
from gdcore.optimizers import SGD, Optimizer
from gdcore.solvers import check_schedule
from gdcore.typing import Inputs, MetricName, OptimizerName, Precision, SolverName

__all__ = ["Operation", "Trainer"]


def __dir__() -> list[str]:
    return __all__


Metrics = Sequence[MetricName | Metric | Callable[..., float]]

_DEFAULTS = (32, True, None, None, None, (), (), True, 1, None)
_BARE = (
    "fit(x, y) trains for one epoch: give epochs; in a scikit-learn pipeline, whose last step is "
    "called 'trainer', that is pipeline.fit(x, y, trainer__epochs=20)"
)


class Trainer(Given, Beginning, Online, Planning, Averaged, Scheduling, Sharing, Saving):
    """Trains a network by gradient descent; owns the optimizer's state and the position.

    >>> trainer = gdcore.Trainer(net, loss="cross_entropy", optimizer=gdcore.Adam(lr=1e-3))
    >>> history = trainer.fit(x, y, epochs=10, batch_size=32, validation_data=(xv, yv))

    A batch's loss is sum_i w_i l_i / sum_i w_i over its samples, w_i = 1 without sample weights;
    see `gdcore.losses` for l_i and the targets y of each loss. Arrays are taken as in `Network`.
    Whatever is not right raises before anything has changed.

    Where the network's outputs have names, each has a loss, and targets, by name; each loss is such
    a mean of its own, and what is trained is sum over outputs of loss_weight x loss:

    >>> loss = {"price": "mse", "kind": "cross_entropy"}
    >>> trainer = gdcore.Trainer(net, loss, "adamw", loss_weights={"price": 0.1})
    >>> trainer.fit({"a": xa, "b": xb}, {"price": yp, "kind": yk}, epochs=10)

    `fit` raises FloatingPointError where the loss becomes NaN or infinite in an epoch: it names
    epoch, step and learning rate, and parameters and optimizer are back where the epoch began.

    A trainer can be neither pickled nor copied; it can be saved, see `save`.

    Args:
        network: What to train; its parameters are changed in place.
        loss: A loss by name or as an object; a function (prediction, target) -> (loss, gradient) of
            one's own, see `gdcore.LossFunction`; or None where gradients come from elsewhere,
            see `apply_gradients`. Where outputs have names, a dict of a loss for each, none of them
            a function. ``"bce_with_logits"`` and ``"cross_entropy"`` take logits: a
            last layer with an activation that bounds them, such as relu or tanh, is warned of.
        optimizer: An optimizer by name or as an object; one of `gdcore.solvers` is for `fit` with
            ``batch_size=None``, and stops it where it has converged.
        matmul_precision: Of the products in training steps: ``"highest"``, ``"high"`` or
            ``"medium"``, as in `gdcore.matmul`. Layers for which a lower one would be slower take
            float32, and so do `evaluate` and ``predict``. float64 knows ``"highest"`` only.
        num_threads: 1 to 1024; None as `gdcore.set_num_threads` says at each call. Results do not
            depend on it at ``"highest"``.
        clip_grad_norm: The largest Euclidean norm |g| of the gradient of all parameters together,
            finite and above 0: each update takes g <- g min(1, clip_grad_norm / (|g| + 1e-6)), as
            PyTorch's ``clip_grad_norm_``. None: no limit. Short for ``clip=gdcore.ClipNorm(...)``.
        clip: In its place what else limits gradients, see `gdcore.clipping`: norms by parameter or
            layer, values, or a share of the weights' norms.
        average: An average of the weights to keep, see `gdcore.averaging`: `gdcore.EMA`, ``"ema"``
            or `gdcore.SWA`. `averaged` is a network of it, and by it judge `evaluate` and `fit`.
        loss_weights: Where outputs have names, what each loss counts in their sum, by name: finite,
            at least 0, one above 0. One that is left out counts 1.
        schedule: How the learning rate changes, see `gdcore.schedules`: an object such as
            ``gdcore.schedules.Cosine(t_max=10)``, a function of the number of epochs done that
            returns the learning rate, or a name such as ``"cosine"`` or ``"one_cycle"``, over all
            epochs up to the last of the first `fit`, see `gdcore.schedules.spread`; until then the
            rate stays. None: it stays the optimizer's. Or a dict of them by hyperparameters of the
            optimizer that are numbers: ``"lr"``, ``"weight_decay"``, ``"betas[0]"``, ...
        seed: Decides the order of shuffled samples, at least 0; None takes the network's.
        groups: Parameters with hyperparameters of their own, or frozen, see `gdcore.Group`.
        communicator: Other processes that share the training, see ``gdcore.distributed``: one of
            mpi4py such as ``mpi4py.MPI.COMM_WORLD``, or a `gdcore.distributed.Communicator`. All
            ranks make the same trainer, and the same calls in the same order.
        slices: In how many slices each batch is cut; the sums of their gradients are added as a
            binary tree, so that the result depends on this number, and on the number of ranks that
            share the slices not at all. At least the number of ranks; None is 8 with a
            communicator, and without one no slices. `gdcore.BatchNorm` sees each slice by itself;
            its running statistics move by the mean over slices.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain or names nothing that there is, a group matches
            no parameter, two set the same of one, or all are frozen, or loss and
            network do not go together: ``"cross_entropy"`` over one output, or a loss of logits
            over probabilities, as of sigmoid (but for ``"cross_entropy"`` over softmax, see
            `gdcore.CrossEntropy`); or an output has no loss, or a loss no output.
    """

    def __init__(
        self,
        network: Network,
        loss: LossLike | Mapping[str, LossLike] | None,
        optimizer: OptimizerName | SolverName | Optimizer,
        *,
        matmul_precision: Precision = "highest",
        num_threads: int | None = None,
        clip_grad_norm: float | None = None,
        clip: Clip | None = None,
        average: Average | Literal["ema"] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        schedule: ScheduleLike | Mapping[str, ScheduleLike] | None = None,
        seed: int | None = None,
        groups: Sequence[Group] = (),
        communicator: Any = None,
        slices: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network must be a gdcore.Network, got {type(network).__name__}")
        self._network = network
        self._objective = Objective.of(loss, loss_weights, network)
        self._optimizer = Optimizer.resolve("optimizer", optimizer)
        self._matmul_precision = checked_precision(
            "matmul_precision", matmul_precision, network.dtype
        )
        self._clip = resolve_clip(clip, clip_grad_norm)
        self._average = resolve_average("average", average)
        self._seed = network.seed if seed is None else integer("seed", seed, at_least=0)
        check_schedule(self._optimizer, schedule)
        self._schedule = resolve_schedules("schedule", schedule, self._rule)
        self._plateau = PlateauState()
        self._groups = checked_groups(groups)
        self._num_threads = thread_count(num_threads)
        self._share(communicator, slices)
        self._history = History()
        self._past = (History(), 0)  # of all epochs before those of _history, and how many
        self._figures: dict[str, bool | None] = {}  # of the last fit, see figures_of
        self._stopped = False
        self._within: _core.EpochPart | None = None  # of a source, where an epoch has begun
        self._claim = _core.Claim("fit is at work on this trainer: one at a time")
        self._native: NativeTrainer = self._compiled(network)
        # Looked up once: each time anew takes a twentieth of the smallest step.
        self._step: Callable[..., float] = self._native.step
        self._learn_one: Callable[..., float] = self._native.learn_one
        self._follow()

    def _compiled(self, network: Network, judges: bool = False) -> Any:
        """The trainer in C++, of which this is the face; or one of another network that judges."""
        around: list[tuple[str, list[float]]] = []
        groups: list[Any]
        if judges:
            within: Optimizer = SGD()
            hyper, *groups = within.parameters(), [], []
        else:
            within = self._optimizer.innermost()
            grouped = resolved(self._groups, network._native.parameter_names, self._optimizer)
            around += grouped.around
            hyper, *groups = self._formed(within.parameters(), grouped)
            if self._average is not None:
                around.append((self._average.name, self._average.numbers()))
        options = (
            within.name,
            hyper,
            self._num_threads,
            self._seed,
            None if judges else self.clip_grad_norm,
            self._matmul_precision,
            *groups,
            around,
            None if judges or self._clip is None else self._clip.native(),
        )
        shared = () if judges or not self._slices else (self._slices, self._channel)
        loss = self._objective.one
        if isinstance(loss, LossFunction):
            from gdcore._own_loss import own_trainer  # only here: import gdcore stays light

            if self._matmul_precision != "highest":
                raise ValueError(
                    "matmul_precision must be 'highest' where the loss is a Python function, got "
                    f"{self._matmul_precision!r}"
                )
            if shared:
                raise ValueError(
                    "slices and communicator must be None where the loss is a Python function"
                )
            return own_trainer(loss, network, self._seed, *options)
        compiled = self._objective.compiled()
        return TRAINERS[network.dtype.name](network._native, *compiled, *options, *shared)

    @property
    def history(self) -> History:
        """What the last `fit` has seen, or the one at work: its finished epochs.

        It is what `fit` returns, and is there as well where `fit` ended with an exception. After
        `load` it is what all fits before have seen, one after the other.
        """
        return self._history

    @property
    def num_threads(self) -> int:
        """How many threads the next call may use; can be set.

        It is what was given or set. Where that is None, it is what `gdcore.get_num_threads` tells:
        what `gdcore.set_num_threads` says counts from the next step on.
        """
        return self._native.num_threads

    @num_threads.setter
    def num_threads(self, value: int | None) -> None:
        checked = thread_count(value)
        self._native.num_threads = checked
        self._num_threads = checked

    @property
    def lr(self) -> float:
        """Learning rate of the next step; can be set, to a finite number of at least 0.

        With a schedule, setting it scales the schedule from here on, so that the next step has this
        very rate. A ValueError where the schedule is at 0: that cannot be scaled.
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
        groups = f", groups={list(self.groups)}" if self.groups else ""
        of = f"{self.network}, {self.loss}, {self.optimizer}{groups}"
        return f"Trainer({of}, steps={self.steps})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses to be pickled or copied."""
        raise TypeError(
            "a Trainer cannot be pickled or copied: save it to a file, or copy its network "
            "and make a new trainer"
        )

    def step(self, x: Inputs, y: Inputs, sample_weight: Inputs | None = None) -> float:
        """Makes one update on one batch.

        Where training diverges, this and online learning go on, with losses that are infinite or
        NaN; `fit` stops.

        Args:
            x: (N, input_size), finite; of several inputs a dict of (N, size) each.
            y: The targets, as the loss takes them; of outputs with names a dict of them.
            sample_weight: (N,), finite, at least 0, not all 0; of outputs with names also a dict of
                them, in which those without may be missing.

        Returns:
            The loss of the batch before the update, of several the sum.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range.
        """
        return self._step(x, y, sample_weight)

    @one_at_a_time
    def fit(
        self,
        x: Inputs,
        y: Inputs | None = None,
        *,
        epochs: int | None = None,
        until_epoch: int | None = None,
        batch_size: int | None = 32,
        shuffle: bool = True,
        sample_weight: Inputs | None = None,
        validation_data: tuple[Inputs, ...] | gdcore.data.Source | None = None,
        validation_split: float | None = None,
        metrics: Metrics | Mapping[str, Metrics] = (),
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
        accumulate: int = 1,
        dy: Inputs | None = None,
        derivative_weight: float | Sequence[float] = 1.0,
        data: Literal["replicated", "sharded"] = "replicated",
    ) -> History:
        """Trains for a number of epochs, each once over all samples.

        Ctrl-C stops between two steps with a KeyboardInterrupt, and leaves a trainer to go on with;
        `history` has the epochs that were finished.

        The names of a table's columns are kept, see `Network.feature_names`.

        Args:
            x: As in `step`; or a source of `gdcore.data`, whose rows need not fit into memory. An
                epoch of one that is cut short, by an exception too, goes on in the next `fit`.
            y: As in `step`; None with a source.
            epochs: How many more; at least 1. One if until_epoch is None too; where nothing else
                is given either, as a scikit-learn ``Pipeline`` calls it, that is told by a warning.
            until_epoch: In place of epochs, how many in total, with those before this call; at
                least 1. There may be none left to do.
            batch_size: None, or a number from N on, is gradient descent over all samples at once,
                1 stochastic gradient descent, n mini-batches. The last batch of an epoch has what
                is left.
            shuffle: Takes the samples of each epoch in another order, which depends on seed and
                epoch alone. A batch of all samples has no order, and is taken as it is.
            sample_weight: As in `step`.
            validation_data: (xv, yv) or (xv, yv, weights), evaluated after each epoch; or a source
                of `gdcore.data`, which is read once, as by `evaluate`.
            validation_split: In place of validation_data, the share of the samples that is held
                out, above 0 and below 1: the last ones, as they were given, before any shuffling;
                the number is rounded up, as Keras does. Shuffle sorted data first.
            metrics: What else to compute on the validation data, see `gdcore.metrics`: names such
                as ``"auc"``, objects such as ``gdcore.metrics.TopK(3)``, or functions
                f(y, output) -> float, named by their ``__name__``. Functions get arrays, y in the
                shape of the output or labels (N,), and the weights if they have an argument
                ``sample_weight``; where they have none and there are weights, a warning tells. Each
                metric is tried once before the first epoch, so that what it cannot judge is an
                error before any update. Where outputs have names, a dict of such sequences by name.
            callbacks: What to do after batches and epochs, see `gdcore.callbacks`.
            progress: Shows a bar on standard error, or in the notebook.
            accumulate: Makes an update after so many batches, with the gradient of the mean over
                all their samples by weight: to the bit one batch that many times as large, but that
                `gdcore.BatchNorm` sees each by itself. The last ones of an epoch may be fewer.
            dy: Derivatives of y by the inputs, to be trained on beside y (Sobolev training,
                arXiv 1706.04859): (N, outputs, inputs), or of one output (N, inputs); NaN adds
                nothing. A sample's loss is then l_i + 1 / (outputs inputs) sum_jd
                derivative_weight_d (df_j/dx_d - dy_ijd)^2, f the network: of dense layers,
                activations with a second derivative, residuals. Validation judges values only.
            derivative_weight: At least 0; a sequence has one for each input.
            data: Of a trainer with a communicator, what each rank gives: ``"replicated"``, all
                rows; ``"sharded"``, rows of its own, any number of them, that are taken as one
                table, those of rank 0 first. Then the rows that a rank needs come to it from the
                others, some megabytes at a time. Of a source each rank then reads units of its
                own, such as row groups, into a file that is mapped, and shuffling is that of
                arrays. Validation data are whole on every rank.

        Returns:
            One float an epoch for ``"loss"``, the mean of the losses before each update, and with
            validation data for ``"val_loss"``, ``"val_accuracy"`` if the loss has one, and
            ``"val_..."`` for each metric. Where outputs have names, say ``"kind"``, also for
            ``"kind_loss"`` and ``"val_kind_loss"``, before its weight, and accuracy and metrics are
            called ``"val_kind_accuracy"``. With dy also for ``"value_loss"``, l_i, and for
            ``"derivative_loss"``, the mean squared error of the derivatives before any weight.

        Warns:
            UserWarning: The schedule is over: from here on no rate is left that would train. Or
                nothing says how many epochs there shall be.

        Raises:
            FloatingPointError: The loss, or a number of parameters or optimizer, became NaN or
                infinite; the message names epoch, step and learning rate. Parameters and optimizer
                are back where that epoch began, and finite.
            RuntimeError: The trainer has no loss, is in another `fit`, or the parameters or the
                optimizer's state are not finite.
            TypeError: An array is complex, of objects or of strings, or an argument is of the wrong
                type.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, or an argument is out of its domain.
        """
        last = self._last_epoch(epochs, until_epoch)
        arrays = (sample_weight, validation_data, validation_split)
        rest = (batch_size, shuffle, *arrays, metrics, callbacks, progress, accumulate, dy)
        bare = epochs is None and until_epoch is None and all(map(is_, rest, _DEFAULTS))
        _core.profile_mark("caller")
        with self._together():
            fitting = self._fitting_of(data, x, y, (*rest, derivative_weight))
        self._check_alike(**fitting.alike())
        _core.profile_mark("data")
        first = self.epochs + 1
        if fitting.validation is not None:  # what a metric cannot judge, before any update
            fitting.validation.judged(self._judge())
        if bare:
            warn(_BARE)
        history = self._begin(fitting, last)
        with self._interruptible():
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
        x: Inputs,
        y: Inputs | None = None,
        sample_weight: Inputs | None = None,
        batch_size: int | None = None,
        *,
        metrics: Metrics | Mapping[str, Metrics] = (),
        averaged: bool | None = None,
        data: Literal["replicated", "sharded"] = "replicated",
    ) -> dict[str, float]:
        """Computes the loss, for classes the accuracy, and metrics, without an update.

        Args:
            x: As in `step`; or a source of `gdcore.data`, whose rows need not fit into memory: they
                are read once, and put into a file of the system's temporary folder (``TMPDIR``).
                Outputs are held in memory where there are metrics.
            y: As in `step`; None with a source.
            sample_weight: As in `step`; None with a source, which has its own.
            batch_size: Rows at a time, at least 1; None chooses. It changes no more than the
                rounding of the loss.
            metrics: What else to compute, as in `fit`.
            averaged: Whether to judge the averaged weights; None: where there are some.
            data: As in `fit`. Rows that are sharded come to every rank, which judges all of them.

        Returns:
            ``"loss"``, each metric by its name, and the ``"accuracy"``, by weight: for
            ``"cross_entropy"``, ``"nll"`` and ``"focal"`` the share of the samples whose largest
            output is their class, for ``"bce_with_logits"``, ``"binary_focal"`` and the hinge
            losses the share of the outputs that are above 0 where the target is above 1/2, and not
            above 0 where it is not. What has the label ignore_index does not count. Where outputs
            have names, ``"loss"`` is the weighted sum, and each has its ``"kind_loss"``,
            ``"kind_accuracy"`` and metrics.

        Raises:
            OSError: A file cannot be read, or the temporary folder has no room for the rows.
            RuntimeError: The trainer has no loss, or the average has not begun.
            TypeError: An array is complex, of objects or of strings, or batch_size no integer.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, batch_size is below 1, or no average is kept.
        """
        judge = self._judge(averaged)
        batch_size = optional_integer("batch_size", batch_size)
        names = self._network.feature_names
        if y is None:
            from gdcore._streaming import gathered_source  # only here: import gdcore stays light

            x, y, *weights = gathered_source(x, sample_weight, self, names)
            sample_weight = weights[0] if weights else None
        x = ordered(x, "x", names, self._network.dtype)
        if self._are_apart(data):
            from gdcore._sharded import gathered  # only here: most trainers are alone

            x, y, sample_weight = gathered(self, (x, y, sample_weight))
        return Judging.of(self, (x, y, sample_weight), metrics).scores(judge, batch_size)

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

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        network: Network | None = None,
        schedule: ScheduleLike | Mapping[str, ScheduleLike] | None = None,
        num_threads: int | None = None,
        loss: Callable[..., tuple[Any, ...]] | LossFunction | None = None,
        groups: Sequence[Group] | None = None,
        communicator: Any = None,
    ) -> Trainer:
        """Reads a trainer that `save` wrote.

        Where its loss and network do not go together, as older files may have it, a warning tells.

        Args:
            path: The file.
            network: A network of the same description to put the parameters into; None makes one.
            schedule: In place of the one that was saved; needed where that is a function.
            num_threads: As in `Trainer`.
            loss: The function that was the loss; needed where there was one, and nowhere else.
            groups: In place of those that were saved, from which they differ by schedules alone;
                needed where one of them followed a function.
            communicator: As in `Trainer`; of as many ranks as one likes.

        Raises:
            OSError: The file cannot be read; FileNotFoundError where there is none.
            TypeError: An argument is of the wrong type.
            ValueError: The file is no trainer's, is damaged, of a newer format, or belongs to
                another network than the one given.
        """
        from gdcore import _resuming

        return _resuming.resumed(
            Trainer, path, network, schedule, num_threads, loss, groups, communicator
        )

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        *,
        network: Network | None = None,
        schedule: ScheduleLike | Mapping[str, ScheduleLike] | None = None,
        num_threads: int | None = None,
        loss: Callable[..., tuple[Any, ...]] | LossFunction | None = None,
        groups: Sequence[Group] | None = None,
        communicator: Any = None,
    ) -> Trainer:
        """Makes the trainer of which `to_bytes` made bytes, as `load` does of a file.

        Args:
            data: Those, or all that a file of `save` holds.
            network: As in `load`; so are the others.
            schedule: In place of the one that was saved.
            num_threads: As in `Trainer`.
            loss: The function that was the loss.
            groups: In place of those that were saved.
            communicator: As in `Trainer`.

        Raises:
            TypeError: data are no bytes, or an argument is of the wrong type.
            ValueError: As `load`.
        """
        from gdcore import _resuming
        from gdcore.persistence import opened_bytes

        model = opened_bytes(data)
        given = (network, schedule, num_threads, loss, groups, communicator)
        return _resuming.read(Trainer, model, *given)

    def _whole_history(self) -> History:
        """Of all epochs so far, in this trainer and those it was loaded from."""
        past, epochs = self._past
        return past.followed_by(self._history, epochs)

"""The trainer: a network, a loss and an optimizer at work."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, NoReturn, SupportsIndex, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._check import flag, integer, optional_integer, real, thread_count
from gdcore._native import TRAINERS, NativeTrainer
from gdcore.history import History
from gdcore.linalg import checked_precision
from gdcore.losses import Loss
from gdcore.network import Network
from gdcore.optimizers import Optimizer

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

    A trainer can be neither pickled nor copied; its network can.

    Args:
        network: What to train; its parameters are changed in place.
        loss: A loss by name or as an object, or None where gradients come from a loss of one's own;
            see `apply_gradients`.
        optimizer: An optimizer by name or as an object.
        matmul_precision: ``"highest"``, ``"high"`` or ``"medium"``, as in `gdcore.matmul`. float64
            knows ``"highest"`` only.
        num_threads: 1 to 1024; None as in `gdcore.set_num_threads`. Results do not depend on it at
            ``"highest"``.
        clip_grad_norm: The largest Euclidean norm |g| of the gradient of all parameters together,
            finite and above 0: where |g| > clip_grad_norm, each update takes
            g <- g clip_grad_norm / (|g| + 1e-6), as PyTorch's ``clip_grad_norm_``. None: no limit.
            Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
            networks", ICML 2013, arXiv:1211.5063.
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
        self._history = History()
        self._native: NativeTrainer = TRAINERS[network.dtype.name](
            network._native,
            None if self._loss is None else self._loss.name,
            [] if self._loss is None else self._loss.parameters(),
            self._optimizer.name,
            self._optimizer.parameters(),
            thread_count(num_threads),
            self._seed,
            self._clip_grad_norm,
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
        """Learning rate of the next step; can be set, to a finite number of at least 0."""
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
            "a Trainer cannot be pickled or copied: do so with its network, and make a new trainer"
        )

    def step(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Makes one update on one batch.

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
        return self._native.step(x, y, sample_weight)

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
        return self._native.learn_one(x, y)

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
            progress: Shows a bar on standard error, if there is one.

        Returns:
            One float an epoch for ``"loss"``, the mean of the losses before each update, and with
            validation data for ``"val_loss"`` and, if the loss has one, ``"val_accuracy"``.

        Raises:
            FloatingPointError: The loss became NaN or infinite; the message names epoch, step and
                learning rate. Parameters and optimizer are back where that epoch began.
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings, or an argument is of the wrong
                type.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, or an argument is out of its domain.
        """
        last = self._last_epoch(epochs, until_epoch)
        batch_size = optional_integer("batch_size", batch_size)
        shuffle, progress = flag("shuffle", shuffle), flag("progress", progress)
        data = self._prepare(x, y, sample_weight, _NAMES)
        validation = self._validation(validation_data)
        first = self.epochs + 1
        self._history = history = History()
        shown = progress and first <= last and sys.stderr is not None
        with _bar(first, last, data.samples) if shown else nullcontext() as bar:
            for number in range(first, last + 1):
                advance = bar.epoch(number) if bar else None
                values = {"loss": self._native.fit_epoch(data, batch_size, shuffle, advance)}
                if validation is not None:
                    found = self._native.evaluate(validation, None)
                    values |= {f"val_{key}": value for key, value in found.items()}
                history.append(values)
                if bar:
                    bar.show(values)
        return history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> dict[str, float]:
        """Computes the loss, and for classes the accuracy, without an update.

        Args:
            x: (N, input_size), finite.
            y: The targets, as the loss takes them.
            sample_weight: (N,), finite, at least 0, not all 0.
            batch_size: Rows at a time, at least 1; None chooses. It changes no more than the
                rounding of the loss.

        Returns:
            ``"loss"``, and the ``"accuracy"``, by weight: for ``"cross_entropy"`` the share of the
            samples whose largest output is their class, for ``"bce_with_logits"`` the share of the
            outputs that are above 0 where the target is above 1/2, and not above 0 where it is not.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings, or batch_size no integer.
            ValueError: An array is of another shape, empty, not finite, or holds labels or weights
                out of range, or batch_size is below 1.
        """
        batch_size = optional_integer("batch_size", batch_size)
        return self._native.evaluate(self._prepare(x, y, sample_weight, _NAMES), batch_size)

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

    def _last_epoch(self, epochs: int | None, until_epoch: int | None) -> int:
        if until_epoch is None:
            return self.epochs + (1 if epochs is None else integer("epochs", epochs))
        if epochs is not None:
            raise ValueError("epochs and until_epoch must not be given together")
        return integer("until_epoch", until_epoch)

    def _validation(self, data: Any) -> Any:
        if data is None:
            return None
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
        x, y, *weights = data
        return self._prepare(x, y, weights[0] if weights else None, _VALIDATION_NAMES)

    def _prepare(self, x: Any, y: Any, sample_weight: Any, names: tuple[str, str, str]) -> Any:
        """The arrays, checked and converted once, for the trainer of this dtype."""
        return self._native.prepare(x, y, sample_weight, names)


def _bar(first: int, last: int, samples: int) -> Any:
    from gdcore._progress import ProgressBar  # only here: tqdm is not for import gdcore

    return ProgressBar(first, last, samples)

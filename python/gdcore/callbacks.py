"""Callbacks: what to do while `Trainer.fit` trains.

>>> trainer.fit(x, y, epochs=100, validation_data=(xv, yv),
...             callbacks=[gdcore.callbacks.EarlyStopping(patience=5),
...                        gdcore.callbacks.Checkpoint("run.safetensors")])

A callback of one's own is a subclass of `Callback`. It may read and save the trainer, set its
learning rate, use its network, and call `Trainer.stop`. What it raises ends `fit` and leaves a
trainer to go on with.

Each callback whose `on_fit_begin` has returned hears of the end once: by `on_fit_end`, or by
`on_exception` where an exception ends `fit`, be it divergence, Ctrl-C or another callback's.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gdcore._callback import Callback
from gdcore._check import checked_path, flag, integer, listed, optional_integer, real
from gdcore._logs import Log, MLflow
from gdcore._names import choice
from gdcore._repr import call_of
from gdcore.typing import Mode

if TYPE_CHECKING:
    from gdcore import _live
    from gdcore.training import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Live", "Log", "MLflow", "TensorBoard"]


def __dir__() -> list[str]:
    return __all__


MODES: tuple[Mode, ...] = ("auto", "min", "max")


class Watch:
    """Follows one figure of the history: which epoch had the best."""

    def __init__(self, monitor: str, mode: Mode, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a key of the history, got {type(monitor).__name__}")
        self.mode = choice("mode", mode, MODES)
        self.monitor = monitor
        self._sign = 1.0
        self.min_delta = real("min_delta", min_delta, at_least=0)
        self.reset()

    def reset(self) -> None:
        self.best = math.nan
        self.best_epoch = 0

    def check(self, figures: Mapping[str, bool | None]) -> float:
        """1 where lower is better, -1 where higher is.

        Args:
            figures: What the history will have, with whether higher is better; None: not known.

        Raises:
            ValueError: It has no such figure, or nobody knows its direction.
        """
        if self.monitor not in figures:
            raise ValueError(
                f"monitor must be one of {', '.join(map(repr, sorted(figures)))}, "
                f"got {self.monitor!r}"
            )
        higher = figures[self.monitor] if self.mode == "auto" else self.mode == "max"
        if higher is None:
            raise ValueError(
                f"mode must be 'min' or 'max' to monitor {self.monitor!r}, got 'auto': whether it "
                "is better higher or lower is told neither by its name nor by higher_is_better of "
                "the metric"
            )
        return -1.0 if higher else 1.0

    def begin(self, trainer: Trainer) -> None:
        """Forgets an earlier fit."""
        self._sign = self.check(trainer._figures)
        self.reset()

    def is_better(self, epoch: int, values: Mapping[str, float]) -> bool:
        value = float(values[self.monitor])
        if math.isnan(value):
            return False
        gain = self._sign * (self.best - value)
        if self.best_epoch and not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, epoch
        return True


class EarlyStopping(Callback):
    """Stops where a figure has not become better for some epochs, and restores the best.

    Source: Prechelt, "Early stopping - but when?", in: Neural Networks: Tricks of the Trade, 1998.

    Args:
        monitor: The figure, a key of the history such as ``"val_loss"``.
        patience: After how many epochs without a better one to stop, at least 1.
        min_delta: By how much it must be better to count, at least 0.
        mode: ``"min"``: lower is better; ``"max"``: higher; ``"auto"``: as the metric says by its
            ``higher_is_better``, and lower for losses.
        restore_best: At the end the network has the parameters of the best epoch, whether training
            was stopped or not, and whatever ended it: divergence, Ctrl-C and exceptions too. So has
            the average, where the trainer keeps one. The optimizer's state stays that of the last.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in `Trainer.fit`, before anything is done, the
            history will have no such key, or mode is needed.
    """

    _watch: Watch

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best: bool = True,
    ) -> None:
        self._watch = Watch(monitor, mode, min_delta)
        self._patience = integer("patience", patience)
        self._restore_best = flag("restore_best", restore_best)
        self._parameters: Any = None  # see Averaged._weights

    def __repr__(self) -> str:
        watch = self._watch
        return call_of(
            self,
            monitor=watch.monitor,
            patience=self._patience,
            min_delta=watch.min_delta,
            mode=watch.mode,
            restore_best=self._restore_best,
        )

    @property
    def best(self) -> float:
        """The best figure of the last fit; NaN before it."""
        return self._watch.best

    @property
    def best_epoch(self) -> int:
        """The epoch that had it, counted from 1; 0 before any."""
        return self._watch.best_epoch

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Forgets an earlier fit."""
        self._watch.begin(trainer)
        self._parameters = None
        self._since = trainer.epochs
        self._seen = 0

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Keeps the parameters if they are the best, or stops if that was long ago."""
        self._seen += 1
        if self._watch.is_better(epoch, values):
            self._since = epoch
            if self._restore_best:
                self._parameters = trainer._weights()
        elif epoch - self._since >= self._patience:
            trainer.stop()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restores the best parameters."""
        self._restore(trainer)

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Restores the best parameters."""
        if len(trainer.history.get(self._watch.monitor, ())) > self._seen:
            # Another callback raised after the epoch, before this one heard of it.
            last = {key: column[-1] for key, column in trainer.history.items()}
            self.on_epoch_end(trainer, trainer.epochs, last)
        self._restore(trainer)

    def _restore(self, trainer: Trainer) -> None:
        if self._parameters is not None:  # of the last epoch too: one after may have begun
            trainer._set_weights(self._parameters)
        self._parameters = None


class Checkpoint(Callback):
    """Saves the trainer after epochs, as `Trainer.save` does.

    Args:
        path: Where; ``{epoch}`` in it is replaced, as by ``str.format``, so that
            ``"run-{epoch:03d}.safetensors"`` keeps each file. Without, the last one stays.
        every: Saves after each so many epochs, at least 1.
        monitor: Saves only where this figure, a key of the history, is the best so far, of the
            epochs that ``every`` leaves in this fit; None saves always. Where the trainer goes on
            from epochs before, and an earlier one of them is in the file, the figure it had then
            counts too.
        mode: As in `EarlyStopping`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in `Trainer.fit`, before anything is done, the
            history will have no such key, or mode is needed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        monitor: str | None = None,
        mode: Mode = "auto",
    ) -> None:
        self._path = checked_path(path)
        try:
            self._path.format(epoch=1)
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"path may hold {{epoch}} and no other field, got {self._path!r} ({error})"
            ) from None
        self._every = integer("every", every)
        watch = Watch("loss" if monitor is None else monitor, mode)  # checks mode in any case
        self._watch = None if monitor is None else watch
        self._mode = watch.mode

    def __repr__(self) -> str:
        monitor = None if self._watch is None else self._watch.monitor
        return call_of(self, path=self._path, every=self._every, monitor=monitor, mode=self._mode)

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Takes what the file has for the best so far, if it is of this training."""
        if self._watch is None:
            return
        self._watch.begin(trainer)
        path = self._path.format(epoch=0)
        if path != self._path.format(epoch=1):
            return  # each epoch has a file of its own, and none takes the place of a better one
        from gdcore import persistence  # only here: import gdcore stays light

        monitor = self._watch.monitor
        found = trainer._by_first(lambda: persistence.figure_of(path, trainer, monitor))
        if found is not None:
            self._watch.is_better(*found)

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Saves."""
        if epoch % self._every == 0 and (
            self._watch is None or self._watch.is_better(epoch, values)
        ):
            trainer.save(self._path.format(epoch=epoch))


_files = itertools.count()


class TensorBoard(Callback):
    """Writes scalars that TensorBoard shows; needs the package of the extra ``tensorboard``.

    After each epoch, at its number: what the history has, such as ``loss/training`` and
    ``loss/validation``, the learning rate of the next step (``lr``), and how long the epoch took
    (``seconds``). See them with ``tensorboard --logdir runs``.

    Args:
        log_dir: The folder of this run; a new file is added to what is there.
        every: Also writes the loss of every so many steps, at the step's number (``loss/batch``);
            each step then waits for Python. None: not.

    Raises:
        ImportError: tensorboardX is not installed.
        TypeError: An argument is of the wrong type.
        ValueError: every is below 1.
    """

    _on_first_rank = True

    def __init__(self, log_dir: str | os.PathLike[str], *, every: int | None = None) -> None:
        self._log_dir = checked_path(log_dir)
        self._every = optional_integer("every", every)
        try:
            from tensorboardX import SummaryWriter  # only who uses it needs it
        except ModuleNotFoundError as error:
            raise ImportError(
                f"TensorBoard needs {error.name}, which is not installed. Install it with: "
                'python -m pip install "gdcore[tensorboard]"'
            ) from None
        self._make = SummaryWriter
        self._writer: Any = None
        self._began = 0.0

    def __repr__(self) -> str:
        return call_of(self, log_dir=self._log_dir, every=self._every)

    def watches_batches(self) -> bool:
        """Only where the losses of steps are asked for."""
        return self._every is not None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Opens a file."""
        self._close()  # where an earlier fit was interrupted just here
        # Files of the same second would have the same name, and the second replace the first.
        suffix = f".{os.getpid()}.{next(_files)}"
        # Each second, so that who looks on sees what was done.
        self._writer = self._make(self._log_dir, flush_secs=1, filename_suffix=suffix)
        self._began = time.perf_counter()

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        """Writes the loss of every so many steps."""
        if self._every is not None and trainer.steps % self._every == 0:
            self._writer.add_scalar("loss/batch", loss, trainer.steps)

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Writes the epoch's figures."""
        now = time.perf_counter()
        for key, value in values.items():
            part = "validation" if key.startswith("val_") else "training"
            self._writer.add_scalar(f"{key.removeprefix('val_')}/{part}", value, epoch)
        self._writer.add_scalar("lr", trainer.lr, epoch)
        self._writer.add_scalar("seconds", now - self._began, epoch)
        self._began = now

    def on_fit_end(self, trainer: Trainer) -> None:
        """Closes the file."""
        self._close()

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Closes the file."""
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class Live(Callback):
    """Keeps a small file up to date that ``gdcore watch`` shows while the training runs.

    It has the state of the `Trainer.fit` at work: rates, losses by epoch, learning rate, memory. It
    is replaced at most four times a second, so that steps hardly become slower; who reads finds one
    state, whole. It stays when the fit has ended, and tells how.

    Args:
        path: Where; a file that is there is replaced.

    Raises:
        TypeError: path is no path.
        OSError: In `Trainer.fit`, before anything is done: it cannot be written. Where that happens
            later, a warning tells, and training goes on.
    """

    _on_first_rank = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = checked_path(path)
        self._writer: _live.Writer | None = None

    def __repr__(self) -> str:
        return call_of(self, path=self._path)

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Writes the first state."""
        from gdcore import _live  # only here: import gdcore stays light

        self._writer = _live.Writer(self._path, trainer)

    def on_progress(self, trainer: Trainer, samples: int) -> None:
        """Writes, if the last time is long enough ago."""
        if self._writer is not None:
            self._writer.progress(samples)

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Likewise, with the epoch's figures."""
        if self._writer is not None:
            self._writer.epoch(values)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Writes the last state."""
        self._end("stopped" if trainer.stopped else "finished")

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Writes what ended it."""
        self._end("failed", f"{type(error).__name__}: {error}".removesuffix(": "))

    def _end(self, state: str, why: str = "") -> None:
        if self._writer is not None:
            self._writer.end(state, why)
        self._writer = None


def resolve_callbacks(callbacks: object) -> list[Callback]:
    """Returns the callbacks as a list.

    Raises:
        TypeError: It is no sequence of `Callback` objects.
    """
    if isinstance(callbacks, Callback):
        raise TypeError("callbacks must be a sequence of callbacks, got one: write [callback]")
    row = listed("callbacks", callbacks, "callbacks")
    for index, callback in enumerate(row):
        if isinstance(callback, type) and issubclass(callback, Callback):
            raise TypeError(
                f"callbacks[{index}] must be an object, got the class: "
                f"write {callback.__name__}(...)"
            )
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks[{index}] must be a gdcore.callbacks.Callback, "
                f"got {callback!r} ({type(callback).__name__})"
            )
    return row

"""What every callback is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gdcore._repr import call_of

if TYPE_CHECKING:
    from gdcore.callbacks import Watch
    from gdcore.training import Trainer

__all__ = ["Callback"]


class Callback:
    """Base of all callbacks; each method does nothing until it is overridden."""

    # What a callback looks at; `Trainer.fit` checks it before anything is done.
    _watch: Watch | None = None
    # Whether of several ranks that share a training the first alone has it, as what writes files.
    _on_first_rank = False

    def __repr__(self) -> str:
        # What one of a user's own was given is not known here.
        return super().__repr__() if inspect.signature(type(self)).parameters else call_of(self)

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Called before the first epoch of a `Trainer.fit`."""

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        """Called after each update with the loss of the batch before it.

        Overriding it makes every step wait for Python.
        """

    def on_progress(self, trainer: Trainer, samples: int) -> None:
        """Called within an epoch between two steps, with how many of its samples are done.

        That is at most 20 times a second, and once when all are done: steps hardly wait for it.
        """

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Called after each epoch, counted from 1, with what the history has of it."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Called after the last epoch, unless an exception ended the `Trainer.fit`."""

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Called in place of `on_fit_end` where an exception ends the `Trainer.fit`.

        Here belongs what must be done in any case, such as to close a file. The exception then
        reaches the caller of fit; what is raised here is told by a warning.
        """

    def watches_batches(self) -> bool:
        """Whether `on_batch_end` is overridden."""
        return getattr(self.on_batch_end, "__func__", None) is not Callback.on_batch_end

    def watches_progress(self) -> bool:
        """Whether `on_progress` is overridden."""
        return getattr(self.on_progress, "__func__", None) is not Callback.on_progress

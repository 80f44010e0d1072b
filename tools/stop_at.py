"""What `interrupts.py` and `forks.py` end a training with, at a step of their choice."""

from __future__ import annotations

import gdcore as gd

__all__ = ["StopAt"]


class StopAt(gd.callbacks.Callback):
    """Stops when so many steps are done."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        """See `gdcore.callbacks.Callback`."""
        if trainer.steps >= self._steps:
            trainer.stop()

"""Online learning: samples as they come, one update each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gdcore._native import NativeTrainer
from gdcore.typing import Inputs

__all__ = ["Online"]


class Online:
    """The part of a `Trainer` that learns sample by sample."""

    _native: NativeTrainer
    # Looked up once: each time anew takes a twentieth of the smallest step.
    _learn_one: Callable[..., float]

    def learn_one(self, x: Inputs, y: Inputs) -> float:
        """Online learning: makes one update on one sample as it comes.

        Samples may keep coming for ever, in any mixture with `learn_many`, `step` and `fit`. It is
        `step` on a batch of one, to the same bits.

        >>> for x, y in stream:
        ...     loss = trainer.learn_one(x, y)

        Args:
            x: (input_size,), finite; of several inputs a dict of (size,) each.
            y: The sample's target, as the loss takes it: a label, (outputs,) numbers, or for one
                output a number; no other shape. Of outputs with names a dict of them.

        Returns:
            The loss of the sample before the update.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: x or y is complex, of objects or of strings, or a label no integer.
            ValueError: x or y is of another shape, not finite, or a label out of range.
        """
        return self._learn_one(x, y)

    def learn_many(self, x: Inputs, y: Inputs) -> NDArray[np.float64]:
        """Online learning: makes one update on each sample, in order, as `learn_one` does.

        It checks the samples once, and trains to the bits of one `learn_one` after the other.
        Ctrl-C stops between two samples with a KeyboardInterrupt.

        Args:
            x: (N, input_size), finite; of several inputs a dict of (N, size) each.
            y: The targets, as the loss takes them; of outputs with names a dict of them.

        Returns:
            (N,), the loss of each sample before its own update.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An array is complex, of objects or of strings.
            ValueError: An array is of another shape, empty, not finite, or holds labels out of
                range.
        """
        return self._native.learn_many(x, y)

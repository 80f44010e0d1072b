"""What `Trainer.fit` saw, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["History"]


def __dir__() -> list[str]:
    return __all__


class History(dict[str, list[float]]):
    """One float an epoch for each key: ``"loss"``, ``"val_loss"``, ``"val_accuracy"``.

    ``"loss"`` is the mean of the samples' losses as training met them, each before the update it
    took part in. The keys with ``val_`` are there after a fit with validation data, the accuracy if
    the loss has one.

    It is a dict, so that whatever takes one takes it: ``pandas.DataFrame(history)`` has a row an
    epoch, ``json.dumps(history)`` is text. `Trainer.save` keeps it.
    """

    def append(self, values: Mapping[str, float]) -> None:
        """Adds one epoch."""
        for key, value in values.items():
            self.setdefault(key, []).append(value)

    def followed_by(self, later: Mapping[str, list[float]], epochs: int) -> History:
        """A history with the epochs of both, ``later`` beginning after so many ``epochs``.

        A figure that an epoch has not is NaN there.
        """
        end = epochs + max(map(len, later.values()), default=0)
        joined = History()
        for key in {**self, **later}:
            column = self.get(key, [])[:epochs]
            column += [math.nan] * (epochs - len(column)) + later.get(key, [])
            joined[key] = column + [math.nan] * (end - len(column))
        return joined

    def __repr__(self) -> str:
        return f"History({super().__repr__()})"

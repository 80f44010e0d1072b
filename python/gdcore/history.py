"""What `Trainer.fit` saw, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["History"]


def __dir__() -> list[str]:
    return __all__


_FIRST, _LAST = 3, 17  # epochs of the table in notebooks


class History(dict[str, list[float]]):
    """One float an epoch for each key: ``"loss"``, ``"val_loss"``, ``"val_accuracy"``.

    ``"loss"`` is the mean of the samples' losses as training met them, each before the update it
    took part in. The keys with ``val_`` are there after a fit with validation data, the accuracy if
    the loss has one. After one with derivatives as targets ``"value_loss"`` and
    ``"derivative_loss"`` are its parts.

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

    def _repr_html_(self) -> str:
        """A curve of the losses and a table of the epochs: of many, the first and the last."""
        from gdcore import _html  # only notebooks need it

        losses = {key: self[key] for key in ("loss", "val_loss") if key in self}
        count = max(map(len, self.values()), default=0)
        shown = [*range(min(_FIRST, count)), *range(max(count - _LAST, _FIRST), count)]
        rows = [
            [f"{k + 1:,}", *(f"{row[k]:.6g}" if k < len(row) else "" for row in self.values())]
            for k in shown
        ]
        if len(shown) < count:
            rows.insert(_FIRST, ["\N{HORIZONTAL ELLIPSIS}", *([""] * len(self))])
        return _html.curves(losses, "loss") + _html.table(["epoch", *self], rows, left=0)

    def __repr__(self) -> str:
        return f"History({super().__repr__()})"

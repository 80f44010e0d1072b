"""What `Trainer.fit` saw, epoch by epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from gdcore._check import checked_path, listed
from gdcore._names import unknown

if TYPE_CHECKING:
    from gdcore._pictures import Picture

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

    >>> history.to_pandas().tail()
    >>> history.plot("training.png")
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

    def to_pandas(self) -> Any:
        """Makes a DataFrame of it.

        Returns:
            ``pandas.DataFrame``, a column for each key and a row for each epoch, whose index
            ``"epoch"`` counts from 1.

        Raises:
            ImportError: pandas is not installed; the extra ``profile`` has it.
        """
        from gdcore._pictures import needed  # only who uses it needs it

        frame = needed("pandas", "profile").DataFrame(dict(self))
        frame.index = frame.index + 1
        return frame.rename_axis("epoch")

    @overload
    def plot(self, path: None = None, keys: Sequence[str] | None = None) -> Picture: ...

    @overload
    def plot(self, path: str | os.PathLike[str], keys: Sequence[str] | None = None) -> None: ...

    def plot(
        self, path: str | os.PathLike[str] | None = None, keys: Sequence[str] | None = None
    ) -> Picture | None:
        """Draws its figures over the epochs: losses to the left, all others to the right.

        Training and validation of the same figure have one colour, validation is dashed.

        Args:
            path: Where to: .png, .svg or .pdf by its ending. None returns the picture, which
                notebooks show.
            keys: What to draw; None: everything.

        Raises:
            ImportError: matplotlib is not installed; the extra ``plot`` has it.
            TypeError: path is no path, or keys no sequence.
            ValueError: The ending is of no known format, a key is none of the history, or there is
                no epoch to draw.
        """
        from pathlib import Path  # only who draws needs it

        from gdcore import _curves

        chosen = list(self) if keys is None else listed("keys", keys, "names of figures")
        if not any(self.values()):
            raise ValueError("the history has no epoch to draw")
        for i, key in enumerate(chosen):
            if key not in self:
                raise unknown(f"keys[{i}]", key, list(self))
        if not chosen:
            raise ValueError("keys must name at least one figure, got none")
        target = None if path is None else Path(checked_path(path))
        return _curves.drawn_curves({key: self[key] for key in chosen}, target)

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

"""A trainer as a file or as bytes; a part of `gdcore.Trainer`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Saving"]


class Saving:
    """The part of a `gdcore.Trainer` that writes it."""

    def save(
        self, path: str | PathLike[str], *, extra: Mapping[str, Any] | list[Any] | None = None
    ) -> None:
        """Writes everything needed to go on to a safetensors file.

        That is the network, loss, optimizer with its state, schedule, seed, position and `history`:
        a trainer that is loaded from it goes on with the same bits as this one. The number of
        threads is not saved; of a schedule or a loss that is a function of one's own, only that
        there was one. Within an epoch, after `fit` was interrupted, the next begins anew; that of a
        source goes on.

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
            TypeError: path is no path, or extra neither mapping nor list.
            ValueError: A parameter is not finite, or JSON cannot hold extra.
        """
        from gdcore import persistence  # only here: import gdcore stays light

        persistence.save_trainer(cast("Trainer", self), path, extra)

    def to_bytes(self, *, extra: Mapping[str, Any] | list[Any] | None = None) -> bytes:
        """What `save` would write, in memory: for another process, or a database.

        Args:
            extra: As in `Network.save`.

        Raises:
            TypeError: extra is neither mapping nor list.
            ValueError: A parameter is not finite, or JSON cannot hold extra.
        """
        from gdcore import persistence  # only here: import gdcore stays light

        return persistence.packed_trainer(cast("Trainer", self), extra)

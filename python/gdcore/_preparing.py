"""Data that a trainer is given, checked and cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from gdcore._check import real
from gdcore._frames import array, ordered
from gdcore._judging import NAMES, VALIDATION_NAMES
from gdcore._native import NativeTrainer
from gdcore._sparse import cut, is_csr
from gdcore.network import Network

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Preparing"]


class Preparing:
    """The part of a `gdcore.Trainer` that takes arrays."""

    _native: NativeTrainer
    _network: Network
    # What prepares arrays in place of the trainer, where several have them in common.
    _shared: Callable[[Any, Any, Any, Any, tuple[str, str, str]], Any] | None = None

    def _split(
        self, x: Any, y: Any, sample_weight: Any, share: object
    ) -> tuple[tuple[Any, Any, Any], tuple[Any, ...]]:
        """The arrays in two: without their last rows, and these."""
        share = real("validation_split", share, above=0, below=1)
        # All of them first, so that messages tell a row by its place in what was given.
        samples = self._prepare(x, y, sample_weight, NAMES).samples
        kept = int(samples * (1 - share) + 1e-9)  # 100 (1 - 0.29) is a little less than 71
        if kept == 0:
            raise ValueError(
                f"validation_split must leave at least one of the {samples} samples for training, "
                f"got {share:g}"
            )
        pairs = [
            _parted(each, name, kept)
            for each, name in zip((x, y, sample_weight), NAMES, strict=True)
        ]
        held_out = tuple(each[1] for each in pairs if each[1] is not None)
        return (pairs[0][0], pairs[1][0], pairs[2][0]), held_out

    def _ordered(self, data: Any, names: Sequence[str] | None) -> Any:
        """Validation data with the columns of a table where they are in x; of a source its rows."""
        if data is not None and not isinstance(data, (tuple, list)):
            from gdcore._gathering import Source, gathered  # only here: import gdcore stays light

            if isinstance(data, Source):
                return gathered(data, cast("Trainer", self), names, "validation_data")
        if not isinstance(data, (tuple, list)) or not data:
            return data  # told by Judging.validation
        return (ordered(data[0], VALIDATION_NAMES[0], names, self._network.dtype), *data[1:])

    def _prepare(self, x: Any, y: Any, sample_weight: Any, names: tuple[str, str, str]) -> Any:
        """The arrays, checked and converted once, for the trainer of this dtype."""
        if self._shared is not None:
            return self._shared(self, x, y, sample_weight, names)
        return self._native.prepare(x, y, sample_weight, names)


def _parted(given: Any, name: str, kept: int) -> tuple[Any, Any]:
    """An array's first rows and the others, or those of all arrays in a dict."""
    if given is None:
        return None, None
    if is_csr(given):
        return cut(given, kept)
    if not isinstance(given, Mapping):
        made = array(given, name)
        return made[:kept], made[kept:]
    parts = {key: _parted(each, f"{name}[{key!r}]", kept) for key, each in given.items()}
    return (
        {key: first for key, (first, _) in parts.items()},
        {key: rest for key, (_, rest) in parts.items()},
    )

"""What `Trainer.fit` saw, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["History"]


class History(Mapping[str, list[float]]):
    """One float an epoch for each key: ``"loss"``, ``"val_loss"``, ``"val_accuracy"``.

    ``"loss"`` is the mean of the samples' losses as training met them, each before the update it
    took part in. The keys with ``val_`` are there after a fit with validation data, the accuracy if
    the loss has one.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def append(self, values: Mapping[str, float]) -> None:
        """Adds one epoch."""
        for key, value in values.items():
            self._values.setdefault(key, []).append(value)

    def __getitem__(self, key: str) -> list[float]:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"History({self._values})"

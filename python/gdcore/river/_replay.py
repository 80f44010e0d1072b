"""A sample of all samples so far, to learn some of them again."""

from __future__ import annotations

from typing import Any

__all__ = ["Reservoir"]

_MASK = 2**64 - 1


class Reservoir:
    """Keeps ``size`` of all items that were offered, each with the same probability.

    Source: Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software
    11, 1985, algorithm R. Random numbers are those of SplitMix64 (Steele, Lea and Flood, "Fast
    splittable pseudorandom number generators", OOPSLA 2014).
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.items: list[Any] = []
        self.offered = 0
        self._state = seed & _MASK

    def below(self, n: int) -> int:
        """A random number from 0 to n - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * n) >> 64

    def offer(self, item: Any) -> None:
        """Takes an item, or not."""
        self.offered += 1
        if len(self.items) < self.size:
            self.items.append(item)
            return
        at = self.below(self.offered)
        if at < self.size:
            self.items[at] = item

    def drawn(self, count: int) -> list[Any]:
        """That many of the items, with replacement; none where there are none."""
        items = self.items
        return [items[self.below(len(items))] for _ in range(count if items else 0)]

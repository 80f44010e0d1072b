"""Schedules that are Python functions of one's own."""

from __future__ import annotations

from collections.abc import Callable

from gdcore._check import real
from gdcore._formula import formula
from gdcore.schedules.base import Schedule, Tree, per_field
from gdcore.typing import Unit

__all__ = ["Function", "Lambda", "Multiplicative"]


class _OfOnesOwn(Schedule):
    """Base of them."""

    function: Callable[[int], float]

    def __post_init__(self) -> None:
        """Checks that there is something to call."""
        super().__post_init__()
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {type(self.function).__name__}")

    def _called(self, t: int) -> float:
        """What the function says for time t, checked."""
        return real(f"schedule({t})", self.function(t), at_least=0)


@formula
class Function(_OfOnesOwn):
    """lr_t = function(t): a Python function of one's own.

    It is called between steps and may not train. It is not saved with a trainer: `Trainer.load`
    takes it anew.

    Args:
        function: Takes t, returns the learning rate, finite and at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: function cannot be called.
        ValueError: per is neither ``"epoch"`` nor ``"step"``.
    """

    function: Callable[[int], float]
    per: Unit = per_field()

    def rate(self, t: int) -> float:
        """What the function says for time t, checked."""
        return self._called(t)

    def _tree(self) -> Tree:
        return self._value

    def _value(self, _: float, t: int) -> float:
        return self._called(t)


@formula
class Lambda(_OfOnesOwn):
    """lr_t = lr_0 function(t), as PyTorch's ``LambdaLR``; else as `Function`.

    Args:
        function: Takes t, returns the factor, finite and at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: function cannot be called.
        ValueError: per is neither ``"epoch"`` nor ``"step"``.
    """

    function: Callable[[int], float]
    per: Unit = per_field()

    def _tree(self) -> Tree:
        return self._value

    def _value(self, base: float, t: int) -> float:
        return base * self._called(t)


@formula
class Multiplicative(_OfOnesOwn):
    """lr_t = lr_0 function(1) ... function(t), as PyTorch's ``MultiplicativeLR``.

    Each factor is asked for once, as long as time goes on; else as `Function`.

    Args:
        function: Takes a time from 1 on, returns a factor, finite and at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: function cannot be called.
        ValueError: per is neither ``"epoch"`` nor ``"step"``.
    """

    function: Callable[[int], float]
    per: Unit = per_field()

    def _tree(self) -> Tree:
        return _Product(self._called)


class _Product:
    """Of the factors up to a time; of the last one asked for it is known."""

    def __init__(self, factor: Callable[[int], float]) -> None:
        self._factor = factor
        self._known: tuple[float, int, float] | None = None

    def __call__(self, base: float, t: int) -> float:
        begin, value = 0, base
        if self._known is not None and self._known[0] == base and self._known[1] <= t:
            _, begin, value = self._known
        for time in range(begin + 1, t + 1):
            value *= self._factor(time)
        self._known = (base, t, value)
        return value

"""An optimizer at work on arrays of one's own, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from gdcore._check import flag, listed, real
from gdcore._native import RULES

if TYPE_CHECKING:
    from gdcore._bound_schedules import StepSchedules
    from gdcore.groups import Group
    from gdcore.optimizers import Optimizer

__all__ = ["BoundRule"]


def __dir__() -> list[str]:
    return __all__


class BoundRule:
    """An optimizer at work on NumPy arrays; made by `Optimizer.bind`.

    It is bound to these very arrays, so it can be neither pickled nor copied.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        arrays: Sequence[NDArray[Any]],
        groups: Sequence[Group],
        resolve: Callable[[list[str], float], tuple[tuple[Any, ...], StepSchedules]],
    ) -> None:
        """Made by `Optimizer.bind`; ``resolve`` tells hyperparameters and groups, by keys."""
        self._optimizer = optimizer
        self._arrays = _checked(arrays)
        self._groups = groups
        dtype = self._arrays[0].dtype
        keys = [str(index) for index in range(len(self._arrays))]
        (hyper, *grouped), self._follows = resolve(keys, float(np.finfo(dtype).tiny))
        native = RULES[dtype.name]
        shapes = [list(array.shape) for array in self._arrays]
        self._native = native(optimizer.innermost().name, hyper, shapes, *grouped)
        self._step: Callable[..., None] = self._native.step
        if self._follows:
            self._step = self._scheduled_step

    def __repr__(self) -> str:
        shapes = ", ".join(str(array.shape) for array in self._arrays)
        groups = f", groups={list(self._groups)}" if self._groups else ""
        return f"{self._optimizer!r}.bind([{self._arrays[0].dtype} arrays of {shapes}]{groups})"

    @property
    def lr(self) -> float:
        """Learning rate of the next step; can be set.

        With a schedule, setting it scales the schedule from here on, as `Trainer.lr`.
        """
        follows = self._follows
        return follows.rate(self._native.steps) if follows.has_rate else self._native.lr

    @lr.setter
    def lr(self, value: float) -> None:
        checked = real("lr", value, at_least=0)
        if not self._follows.has_rate:
            self._native.lr = checked
        self._follows.set_rate(checked, self._native.steps)

    @property
    def steps(self) -> int:
        """Number of updates so far: the t of schedules."""
        return self._native.steps

    def _scheduled_step(self, *arguments: Any) -> None:
        native, follows = self._native, self._follows
        t = native.steps
        values = follows.at(t)
        if follows.has_rate:
            native.lr = follows.rate(t)
        for value in values:
            native.set_hyper(*value)
        native.step(*arguments)

    def step(self, gradients: Sequence[NDArray[Any]], *, check_finite: bool = True) -> None:
        """Updates all arrays once, in place.

        Args:
            gradients: One array for each bound array, of its shape; one of another dtype is
                converted, which copies.
            check_finite: Looks for NaN and infinity before anything changes. Without it large
                gradients are read once, not twice, and what is not finite goes into the arrays.

        Raises:
            TypeError: gradients is no sequence, or a gradient is complex, of objects or of strings.
            ValueError: There are more or fewer of them, one is of another shape, not finite or
                shares memory with a bound array, a bound array is not what it was, or a schedule
                gives what is none.
        """
        if type(gradients) is not list:
            gradients = listed("gradients", gradients, "arrays")
        if type(check_finite) is not bool:
            check_finite = flag("check_finite", check_finite)
        self._step(self._arrays, gradients, check_finite)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses to be pickled or copied."""
        raise TypeError("a BoundRule cannot be pickled or copied: it is bound to its arrays")


def _checked(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    if isinstance(arrays, np.ndarray):
        raise TypeError("arrays must be a sequence of arrays, got one array: write [array]")
    bound = listed("arrays", arrays, "arrays")
    if not bound:
        raise ValueError("arrays must hold at least one array, got none")
    for index, array in enumerate(bound):
        where = f"arrays[{index}]"
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{where} must be a NumPy array, got {type(array).__name__}")
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"{where} must not be a masked array")
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{where} must be float32 or float64, got {array.dtype}")
        if array.dtype != bound[0].dtype:
            raise TypeError(f"{where} must be {bound[0].dtype} like arrays[0], got {array.dtype}")
        if array.size == 0:
            raise ValueError(f"{where} must not be empty, got shape {array.shape}")
        if not array.flags.writeable:
            raise ValueError(f"{where} must be writable, got a read-only array")
        if not array.flags.c_contiguous:
            raise ValueError(f"{where} must be C-contiguous, got strides {array.strides}")
        if not array.flags.aligned:
            raise ValueError(f"{where} must be aligned, got address {array.ctypes.data:#x}")
    spans = sorted((array.ctypes.data, index) for index, array in enumerate(bound))
    for (begin, first), (after, second) in pairwise(spans):
        if begin + bound[first].nbytes > after:
            raise ValueError(f"arrays[{first}] and arrays[{second}] must not overlap in memory")
    return [np.asarray(array) for array in bound]  # of a subclass, such as memmap, a plain view

"""What outputs say of classes: probabilities, and the class that is most likely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._names import choice
from gdcore.activations import Activation
from gdcore.typing import Task

if TYPE_CHECKING:
    from gdcore.network import Network

__all__ = ["Outputs"]

_TASKS: tuple[Task, ...] = ("binary", "multiclass")
# What makes probabilities of its sums, and of what.
_OF: dict[str, Task] = {"sigmoid": "binary", "softmax": "multiclass"}
# What leaves logits of its sums: log softmax(log softmax(x)) is log softmax(x).
_LOGITS_OF: dict[str, Task] = {"log_softmax": "multiclass"}


@dataclass(frozen=True)
class Outputs:
    """What a network's outputs, or those of one of its heads, mean.

    Attributes:
        size: How many there are.
        last: What makes them of sums that may be any number.
        task: ``"binary"`` or ``"multiclass"``.
    """

    size: int
    last: Activation
    task: Task

    @classmethod
    def of(cls, network: Network, head: str | None, given: object) -> Outputs:
        """The outputs of a head, or of a network without heads.

        Raises:
            TypeError: The argument task is no string.
            ValueError: It is neither of them, or the outputs cannot be that.
        """
        task = None if given is None else choice("task", given, _TASKS)
        last = network._wiring.last(head)
        size = network.output_size if head is None else network.heads[head]
        made = _OF.get(last.name) or _LOGITS_OF.get(last.name)
        if made is None and last.bounds != (-math.inf, math.inf):
            raise ValueError(
                "the last layer must be linear, sigmoid, softmax or log_softmax to tell classes, "
                f"got {last.name!r}, whose outputs are neither logits nor probabilities"
            )
        found = task or made or ("binary" if size == 1 else "multiclass")
        if made is not None and found != made:
            raise ValueError(
                f"task must be {made!r} for a last layer of {last.name!r}, got {found!r}"
            )
        if found == "multiclass" and size == 1:
            raise ValueError(
                "task 'multiclass' needs an output for each of at least two classes, got one output"
            )
        return cls(size, last, found)

    def probabilities(self, output: NDArray[Any]) -> NDArray[Any]:
        """(N, K) probabilities of outputs (N, K), in their dtype, rounded once from float64."""
        if self.last.name in _OF:
            return output
        p = output.astype(np.float64)
        if self.task == "multiclass":
            with np.errstate(invalid="ignore"):  # of infinite outputs NaN
                shifted = np.exp(p - p.max(axis=1, keepdims=True))
            p = shifted / shifted.sum(axis=1, keepdims=True)
        else:
            small = np.exp(-np.abs(p))  # at most 1: nothing overflows
            p = np.where(p >= 0, 1.0, small) / (1.0 + small)
        return p.astype(output.dtype)

    def classes(self, output: NDArray[Any]) -> NDArray[np.int64]:
        """(N,) the largest of several outputs, or 1 where they say more than one half, else 0.

        Raises:
            ValueError: An output is NaN, of which there is no class.
        """
        _check_known(output)
        return self._chosen(output, 0.5 if self.last.name in _OF else 0.0)

    def classes_of_probabilities(self, shares: NDArray[Any]) -> NDArray[np.int64]:
        """What probabilities (N, K) say, as `classes` does; ValueError where one is NaN."""
        _check_known(shares)
        return self._chosen(shares, 0.5)

    def of_members(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """(N, K): the mean of the probabilities of members (N, members, K), added in order."""
        count = outputs.shape[1]
        total = self.probabilities(outputs[:, 0]).astype(np.float64)
        for member in range(1, count):
            total += self.probabilities(outputs[:, member])
        return np.asarray(total / count, outputs.dtype)

    def classes_of_members(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """What the mean probabilities of members (N, members, K) say, as `classes` does."""
        return self._chosen(self.of_members(outputs), 0.5)

    def judged(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """(N, K) as metrics take outputs: of the mean probabilities of members (N, members, K)."""
        shares = self.of_members(outputs)
        if self.last.name in _OF:
            return shares
        tiny = np.finfo(shares.dtype).tiny
        logs = np.log(np.maximum(shares, tiny))
        if self.task == "binary":
            logs -= np.log(np.maximum(1 - shares, tiny))
        return np.asarray(logs)

    def _chosen(self, output: NDArray[Any], half: float) -> NDArray[np.int64]:
        """(N,) the largest of several, or 1 where above ``half``; (N, K) of labels of their own."""
        if self.task == "multiclass":
            return np.asarray(output.argmax(axis=1), np.int64)
        found = (output > half).astype(np.int64)
        return found[:, 0] if self.size == 1 else found


def _check_known(output: NDArray[Any]) -> None:
    if np.isnan(output).any():
        row = int(np.isnan(output).any(axis=1).argmax())
        raise ValueError(
            f"the network's output must not be NaN to tell classes, got it in row {row}"
        )

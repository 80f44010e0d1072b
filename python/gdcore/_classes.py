"""What outputs say of classes: probabilities, and the class that is most likely."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._layer import last_activation
from gdcore._names import choice
from gdcore.activations import Activation
from gdcore.typing import Task

if TYPE_CHECKING:
    from gdcore.network import Network

__all__ = ["chosen", "classes", "judged", "of_members", "probabilities", "task_of"]

_TASKS: tuple[Task, ...] = ("binary", "multiclass")
# What makes probabilities of its sums, and of what.
_OF: dict[str, Task] = {"sigmoid": "binary", "softmax": "multiclass"}
# What leaves logits of its sums: log softmax(log softmax(x)) is log softmax(x).
_LOGITS_OF: dict[str, Task] = {"log_softmax": "multiclass"}


def task_of(network: Network, given: object) -> Task:
    """What the outputs of a network mean: ``"binary"`` or ``"multiclass"``.

    Raises:
        TypeError: The argument task is no string.
        ValueError: It is neither of them, or the outputs cannot be that.
    """
    task = None if given is None else choice("task", given, _TASKS)
    last = _last(network)
    outputs = network.output_size
    made = _OF.get(last.name) or _LOGITS_OF.get(last.name)
    if made is None and last.bounds != (-math.inf, math.inf):
        raise ValueError(
            "the last layer must be linear, sigmoid, softmax or log_softmax to tell classes, got "
            f"{last.name!r}, whose outputs are neither logits nor probabilities"
        )
    found = task or made or ("binary" if outputs == 1 else "multiclass")
    if made is not None and found != made:
        raise ValueError(f"task must be {made!r} for a last layer of {last.name!r}, got {found!r}")
    if found == "multiclass" and outputs == 1:
        raise ValueError(
            "task 'multiclass' needs an output for each of at least two classes, got one output"
        )
    return found


def probabilities(network: Network, output: NDArray[Any], task: Task) -> NDArray[Any]:
    """(N, K) probabilities of outputs (N, K), in their dtype, rounded once from float64."""
    if _last(network).name in _OF:
        return output
    p = output.astype(np.float64)
    if task == "multiclass":
        with np.errstate(invalid="ignore"):  # of infinite outputs NaN
            shifted = np.exp(p - p.max(axis=1, keepdims=True))
        p = shifted / shifted.sum(axis=1, keepdims=True)
    else:
        small = np.exp(-np.abs(p))  # at most 1: nothing overflows
        p = np.where(p >= 0, 1.0, small) / (1.0 + small)
    return p.astype(output.dtype)


def of_members(network: Network, outputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """(N, K): the mean of the probabilities of members (N, members, K), added in order."""
    count = outputs.shape[1]
    total = probabilities(network, outputs[:, 0], task).astype(np.float64)
    for member in range(1, count):
        total += probabilities(network, outputs[:, member], task)
    return np.asarray(total / count, outputs.dtype)


def judged(network: Network, outputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """(N, K) as metrics take outputs, for members (N, members, K): of their mean probabilities."""
    shares = of_members(network, outputs, task)
    if _last(network).name in _OF:
        return shares
    tiny = np.finfo(shares.dtype).tiny
    if task == "multiclass":
        return np.asarray(np.log(np.maximum(shares, tiny)))
    return np.asarray(np.log(np.maximum(shares, tiny)) - np.log(np.maximum(1 - shares, tiny)))


def classes(network: Network, output: NDArray[Any], task: Task) -> NDArray[np.int64]:
    """(N,) the largest of several outputs, or 1 where the outputs say more than one half, else 0.

    Raises:
        ValueError: An output is NaN, of which there is no class.
    """
    if np.isnan(output).any():
        row = int(np.isnan(output).any(axis=1).argmax())
        raise ValueError(
            f"the network's output must not be NaN to tell classes, got it in row {row}"
        )
    return chosen(output, task, 0.5 if _last(network).name in _OF else 0.0)


def chosen(output: NDArray[Any], task: Task, half: float) -> NDArray[np.int64]:
    """The same, where what is above ``half`` says more than one half."""
    if task == "multiclass":
        return np.asarray(output.argmax(axis=1), np.int64)
    found = (output > half).astype(np.int64)
    return found[:, 0] if output.shape[1] == 1 else found


def _last(network: Network) -> Activation:
    return last_activation(network.layers)

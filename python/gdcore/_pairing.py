"""Whether a loss and a network go together: what the last layer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gdcore._warn import warn
from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.network import Network

__all__ = ["as_saved", "check_outputs", "check_pairing", "tell_saved"]

_saved: ContextVar[bool] = ContextVar("_saved", default=False)


def check_pairing(loss: Loss, network: Network, head: str | None = None) -> None:
    """Checks that the loss can train the network, or one of its heads.

    Within `as_saved` anything is right. Warns where the last layer bounds the logits of the loss,
    so that some targets are out of reach.

    Raises:
        ValueError: The loss needs more outputs, or takes logits and gets probabilities.
    """
    if _saved.get():
        return
    if message := _wrong(loss, network, head):
        raise ValueError(_of(head) + message)
    if message := _doubtful(loss, network, head):
        warn(_of(head) + message)


def check_outputs(loss: Loss, network: Network, head: str | None = None) -> None:
    """Checks that the loss has something to say about so many outputs.

    Raises:
        ValueError: The loss is over classes, and there is one output.
    """
    if message := _too_few(loss, network, head):
        raise ValueError(_of(head) + message)


@contextmanager
def as_saved() -> Iterator[None]:
    """Within it, trainers take loss and network of a file as they are.

    What was trained once stays readable, whatever was checked then; `tell_saved` warns of it.
    """
    token = _saved.set(True)
    try:
        yield
    finally:
        _saved.reset(token)


def tell_saved(loss: Loss, network: Network, head: str | None = None) -> None:
    """Warns where a trainer out of a file has a loss and a network that do not go together."""
    if message := _wrong(loss, network, head) or _doubtful(loss, network, head):
        warn(f"the trainer is read as it was saved, but {_of(head)}{message}")


def _of(head: str | None) -> str:
    return "" if head is None else f"output {head!r}: "


def _too_few(loss: Loss, network: Network, head: str | None) -> str | None:
    size = network.output_size if head is None else network.heads[head]
    if loss.task != "multiclass" or size > 1:
        return None
    return (
        f"loss {loss.name!r} needs a network with an output for each of at least two classes, got "
        "one output; for two classes, one output and 'bce_with_logits' do as well"
    )


def _of_logarithms(loss: Loss) -> bool:
    """Whether it takes log-probabilities."""
    return loss.name in ("nll", "kl_div")


def _wrong(loss: Loss, network: Network, head: str | None) -> str | None:
    if message := _too_few(loss, network, head):
        return message
    last = network._wiring.last(head)
    softmax = loss.name == "cross_entropy" and last.name == "softmax"
    if softmax and head is not None and network._wiring.readers(head) > 1:
        return (
            "loss 'cross_entropy' takes logits, and the last layer's softmax cannot be left out in "
            "training, since others read it too: let them read a softmax of their own"
        )
    if last.bounds == (0.0, 1.0) and _of_logarithms(loss):
        return (
            f"loss {loss.name!r} takes log-probabilities, got a last layer with the activation "
            f"{last.name!r}, which makes probabilities: take the activation 'log_softmax', or none "
            "and 'cross_entropy', which has it inside"
        )
    if not _takes_logits(loss, last) or last.bounds != (0.0, 1.0):
        return None
    return (
        f"loss {loss.name!r} takes logits, got a last layer with the activation {last.name!r}, "
        "which makes probabilities of them: leave that activation out, the loss has it inside"
    )


def _doubtful(loss: Loss, network: Network, head: str | None) -> str | None:
    last = network._wiring.last(head)
    low, high = last.bounds
    if _of_logarithms(loss) and high > 0:
        return (
            f"loss {loss.name!r} takes log-probabilities, which are at most 0, and the last "
            f"layer's activation {last.name!r} gives others: what it minimizes then has no "
            "lower end. Take the activation 'log_softmax', or of logits 'cross_entropy'"
        )
    if not _takes_logits(loss, last) or (math.isinf(low) and math.isinf(high)):
        return None
    ends = [f"below {low:g}"] * math.isfinite(low) + [f"above {high:g}"] * math.isfinite(high)
    return (
        f"loss {loss.name!r} takes logits, which may be any number, and the last layer's "
        f"activation {last.name!r} gives none {' or '.join(ends)}: leave that activation out"
    )


def _takes_logits(loss: Loss, last: Activation) -> bool:
    """Whether the loss takes the last layer's outputs for logits, which they may not be.

    Cross entropy over softmax trains on the logits before it. Over log_softmax it takes the
    outputs, and they are logits, those whose exponentials add up to 1: each distribution has some,
    and a second log_softmax, the loss' own, changes none of them.
    """
    if loss.name == "cross_entropy" and last.name in ("softmax", "log_softmax"):
        return False
    return loss.task in ("binary", "multiclass") and not _of_logarithms(loss)

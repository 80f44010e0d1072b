"""What goes between layers while they are turned into something else, and errors that name one."""

from __future__ import annotations

from typing import Any, NamedTuple

from gdcore.activations import Activation
from gdcore.network import Network

__all__ = ["Shape", "checked_network", "cannot"]


class Shape(NamedTuple):
    """Of a value: columns of each member of an ensemble, and members; codes of each column."""

    width: int
    members: int = 1
    categories: tuple[int, ...] | None = None

    @property
    def columns(self) -> int:
        """Of all members together."""
        return self.width * self.members


def checked_network(network: Any) -> Network:
    """The argument net.

    Raises:
        TypeError: It is no network.
    """
    if not isinstance(network, Network):
        hint = ": give its network" if hasattr(network, "network") else ""
        raise TypeError(f"net must be a gdcore.Network, got {type(network).__name__}{hint}")
    return network


def cannot(target: str, name: str, kind: str, reason: str) -> ValueError:
    """The error for a layer, or for an activation, that a target has no equal of."""
    return ValueError(f"layer {name!r} ({kind}) cannot go to {target}: {reason}")


def activation_of(value: Any) -> Activation:
    """The activation that a layer's field holds."""
    return Activation.resolve("activation", value)

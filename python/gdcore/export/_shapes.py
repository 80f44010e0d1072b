"""What goes between layers while they are turned into something else, and errors that name one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gdcore._check import listed
from gdcore.activations import Activation
from gdcore.ensembles import Ensemble
from gdcore.network import Network

__all__ = ["Shape", "activation_of", "cannot", "checked_labels", "checked_model", "checked_network"]


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


def checked_model(model: Any) -> Network | Ensemble:
    """The argument net where it may be several networks.

    Raises:
        TypeError: It is neither.
    """
    return model if isinstance(model, Ensemble) else checked_network(model)


def cannot(target: str, name: str, kind: str, reason: str) -> ValueError:
    """The error for a layer, or for an activation, that a target has no equal of."""
    return ValueError(f"layer {name!r} ({kind}) cannot go to {target}: {reason}")


def activation_of(value: Any) -> Activation:
    """The activation that a layer's field holds."""
    return Activation.resolve("activation", value)


def checked_labels(network: Network | Ensemble, labels: Any) -> Any:
    """What outputs are called, one each or two for one output, as JSON has it; None for none.

    Raises:
        TypeError: They are no sequence, or no mapping of sequences where outputs have names.
        ValueError: There are not as many as outputs, or of an output that there is not.
    """
    if labels is None:
        return None
    if not network.heads:
        return _labels("labels", labels, network.output_size)
    if not isinstance(labels, Mapping):
        raise TypeError(
            f"labels must be a dict of those of each output by name, got {type(labels).__name__}"
        )
    for name in labels:
        if name not in network.heads:
            known = ", ".join(network.heads)
            raise ValueError(f"labels must be of outputs that there are, {known}, got {name!r}")
    return {
        name: _labels(f"labels[{name!r}]", each, network.heads[name])
        for name, each in labels.items()
    }


def _labels(argument: str, labels: Any, size: int) -> list[Any]:
    found = [
        each.item() if hasattr(each, "item") else each
        for each in listed(argument, labels, "labels")
    ]
    count = 2 if size == 1 else size
    if len(found) != count:
        what = "those of class 0 and class 1" if size == 1 else f"as many as outputs, {size}"
        raise ValueError(f"{argument} must be {what}, got {len(found)}")
    for each in found:
        if not isinstance(each, (str, int, float)):
            raise TypeError(f"{argument} must be strings or numbers, got {type(each).__name__}")
    return found

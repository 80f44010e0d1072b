"""Parameters beside the layers of a network: a loss of one's own reads and trains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from gdcore._check import checked_field, integer, listed, real_field
from gdcore._frozen import Frozen, frozen
from gdcore._layer import check_name

__all__ = ["Parameter"]


def __dir__() -> list[str]:
    return __all__


def _name(argument: str, value: object) -> object:
    if value is None:
        raise TypeError(f"{argument} must be a string, got None")
    check_name(value)
    return value


def _shape(argument: str, value: object) -> tuple[int, ...]:
    if hasattr(value, "__index__"):
        return (integer(argument, value),)
    sizes = listed(argument, value, "integers")
    return tuple(integer(f"{argument}[{i}]", size) for i, size in enumerate(sizes))


@frozen
class Parameter(Frozen):
    """A parameter that belongs to no layer, such as the spread of a Gaussian policy.

    >>> spread = gdcore.Parameter("log_std", 2, init=-0.5)
    >>> net = gdcore.Network([gdcore.Dense(2)], input_size=8, parameters=[spread])
    >>> net.state_dict()["log_std"]
    array([-0.5, -0.5], dtype=float32)

    It stands under its name in `Network.state_dict`, in `Network.gradients` and in files, and
    groups, optimizers and clipping take it as any other. What reads it is a loss that is a Python
    function, see `gdcore.LossFunction`, or who calls `Network.backward` with its gradient. A loss
    by name does not know it, and leaves it as it is.

    Args:
        name: Its key; not empty, without dots.
        shape: Its sizes, each at least 1, or one size; () is a single number.
        init: What all of it is at first, finite.

    Raises:
        TypeError: name is no string, a size no integer, or init no number.
        ValueError: An argument is out of its domain.
    """

    name: str = field(metadata={"check": _name})
    shape: int | Sequence[int] = checked_field((), _shape)
    init: float = real_field(0.0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as a tuple."""
        return _shape("shape", self.shape)


def checked_parameters(parameters: Any) -> tuple[Parameter, ...]:
    """The argument parameters of a network.

    Raises:
        TypeError: It is no sequence of them.
        ValueError: Two have one name.
    """
    row = listed("parameters", parameters, "parameters")
    names: dict[str, int] = {}
    for index, each in enumerate(row):
        if not isinstance(each, Parameter):
            kind = type(each).__name__
            raise TypeError(f"parameters[{index}] must be a gdcore.Parameter, got {kind}")
        if each.name in names:
            both = f"parameters[{names[each.name]}] and parameters[{index}]"
            raise ValueError(f"{both} must have different names, got {each.name!r} twice")
        names[each.name] = index
    return tuple(row)


def native_parameters(parameters: Sequence[Parameter]) -> list[tuple[str, list[int], float]]:
    """As C++ takes them."""
    return [(each.name, list(each.sizes), each.init) for each in parameters]

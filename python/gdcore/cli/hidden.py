"""The hidden layers that the options of a command describe."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gdcore import Dense, Dropout, LayerNorm, Residual, RMSNorm
from gdcore._check import real
from gdcore._layer import Layer
from gdcore._names import choice
from gdcore.activations import Activation, Identity

__all__ = ["NORMS", "hidden_layers"]

NORMS: dict[str, type[LayerNorm | RMSNorm]] = {"layer": LayerNorm, "rms": RMSNorm}


def hidden_layers(
    sizes: Sequence[int], activation: str, norm: str | None, dropout: float | None, residual: bool
) -> list[Layer | Activation]:
    """A dense layer for each size, with what comes behind it.

    Args:
        sizes: Units of each.
        activation: Of each.
        norm: What stands before the activation, a name of `NORMS`.
        dropout: The rate of the Dropout behind the activation.
        residual: Whether a layer as wide as the one before it is added to its input.

    Raises:
        ValueError: An option is out of its domain, names nothing, or has no layer to be for.
    """
    function = Activation.resolve("--activation", activation)
    if norm is not None:
        choice("--norm", norm, NORMS)
    rate = 0.0 if dropout is None else real("--dropout", dropout, at_least=0, below=1)
    told = ",".join(map(str, sizes))
    given = {"--norm": norm is not None, "--dropout": rate > 0, "--residual": residual}
    for option, needs_layers in given.items():
        if needs_layers and not sizes:
            raise ValueError(f"{option} is for hidden layers, got --hidden {told!r}")
    if residual and all(before != units for before, units in pairwise(sizes)):
        raise ValueError(
            "--residual needs hidden layers of one width behind each other, as in --hidden "
            f"{sizes[0]},{sizes[0]}, got --hidden {told}"
        )
    layers: list[Layer | Activation] = []
    for k, units in enumerate(sizes):
        made = _one(units, function, norm, rate)
        if residual and k > 0 and units == sizes[k - 1]:
            layers.append(Residual(made))
        else:
            layers += made
    return layers


def _one(
    units: int, activation: Activation, norm: str | None, rate: float
) -> list[Layer | Activation]:
    made: list[Layer | Activation] = [Dense(units, activation if norm is None else "identity")]
    if norm is not None:
        made.append(NORMS[norm]())
        if not isinstance(activation, Identity):
            made.append(activation)
    if rate > 0:
        made.append(Dropout(rate))
    return made

"""Layers of ensembles whose members are trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar, Literal

from gdcore._check import checked_field, flag, integer, listed, required_field
from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore._names import choice
from gdcore.activations import Activation
from gdcore.typing import ActivationName

__all__ = ["EnsembleDense", "EnsembleScale"]

FactorInit = Literal["ones", "normal", "signs"]


def _members(argument: str, value: object) -> int:
    return integer(argument, value, at_least=2)


def _init(argument: str, value: object) -> FactorInit:
    return choice(argument, value, ("ones", "normal", "signs"))


def _optional_init(argument: str, value: object) -> FactorInit | None:
    return None if value is None else _init(argument, value)


def _chunks(argument: str, value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    sizes = listed(argument, value, "sizes")
    return tuple(integer(f"{argument}[{i}]", each) for i, each in enumerate(sizes))


@frozen
class EnsembleDense(Layer):
    """A dense layer of each member of an ensemble.

    y_m = f(((x_m * r_m) W^T) * s_m + b_m) for member m, x (N, members, inputs), W (units, inputs)
    one for all, r (members, inputs), s and b (members, units), y (N, members, units): a
    BatchEnsemble, whose product is one over all rows of all members. With ``shared=False``
    y_m = f(x_m W_m + b_m), W (members, inputs, units).

    Behind a value of no members, each of them gets the same x. From there on all is the ensemble's:
    activations, Dropout and norms over columns see each member by itself, and a `Dense` is one for
    all members. The loss of a network that ends so is the mean of its members' losses against the
    same target; see `Network.predict` for what it predicts.

    W and b start within 1 / sqrt(inputs), b of all members at the same numbers unless each has a W
    of its own. Keys and shapes, ``weight``, ``r``, ``s`` and ``bias``, are those of
    ``LinearBatchEnsemble`` and ``LinearEnsemble`` in tabm.

    Source: Wen, Tran and Ba, "BatchEnsemble", ICLR 2020; Gorishniy, Kotelnikov and Babenko, "TabM:
    advancing tabular deep learning with parameter-efficient ensembling", ICLR 2025.

    Args:
        units: Outputs of each member, at least 1.
        members: How many, at least 2; those of x, if it has some.
        activation: f, by name or as an object.
        shared: Whether there is one W for all members.
        bias: Whether there is a b.
        r_init: How r starts: ``"ones"``, ``"normal"``, N(0, 1), or ``"signs"``, -1 or 1 at random.
            None is ``"signs"`` where the members part, else ``"ones"``: at random no more than
            once, as TabM does.
        s_init: The same of s.
        chunks: Sizes that add up to the inputs: r of a member starts at one number for all inputs
            of a chunk, such as those that an embedding makes of one column. None: a number each.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    kind: ClassVar[str] = "ensemble_dense"

    units: int = required_field(integer)
    members: int = checked_field(32, _members)
    activation: ActivationName | Activation = "identity"
    _: KW_ONLY
    shared: bool = checked_field(True, flag)
    bias: bool = checked_field(True, flag)
    r_init: FactorInit | None = checked_field(None, _optional_init)
    s_init: FactorInit = checked_field("ones", _init)
    chunks: Sequence[int] | None = checked_field(None, _chunks)
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves the activation."""
        activation = Activation.resolve("activation", self.activation)
        object.__setattr__(self, "activation", activation)
        super().__post_init__()
        if not self.shared:
            for field, default in (("r_init", None), ("s_init", "ones"), ("chunks", None)):
                if (value := getattr(self, field)) != default:
                    raise ValueError(f"{field} has no meaning without shared, got {value!r}")

    def output_activation(self) -> Activation:
        """Its own."""
        return Activation.resolve("activation", self.activation)

    def shown(self) -> str:
        """Members, units, and the activation if there is one."""
        name = Activation.resolve("activation", self.activation).name
        return f"{self.members} x {self.units}" + (f" {name}" if name != "identity" else "")


@frozen
class EnsembleScale(Layer):
    """Factors of each member of an ensemble.

    y_m = x_m * w_m for member m, x and y (N, members, width), w (members, width). Behind a value of
    no members each of them gets the same x, and with `Dense` layers behind, one for all members, it
    is what parts the members of TabM-mini. The key ``weight`` is that of ``ElementwiseAffine`` in
    tabm.

    Source: Gorishniy, Kotelnikov and Babenko, "TabM: advancing tabular deep learning with
    parameter-efficient ensembling", ICLR 2025.

    Args:
        members: How many, at least 2; those of x, if it has some.
        init: How w starts, as ``r_init`` of `EnsembleDense`.
        chunks: As in `EnsembleDense`.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    kind: ClassVar[str] = "ensemble_scale"

    members: int = checked_field(32, _members)
    _: KW_ONLY
    init: FactorInit | None = checked_field(None, _optional_init)
    chunks: Sequence[int] | None = checked_field(None, _chunks)
    name: str | None = None

    def shown(self) -> str:
        """Its kind, and members."""
        return f"{self.kind} x {self.members}"

"""What activations, losses and optimizers have in common: a name, and numbers as parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from gdcore._frozen import Frozen
from gdcore._frozen import frozen as formula
from gdcore._names import unknown

__all__ = ["Formula", "formula"]

F = TypeVar("F", bound="Formula")


class Formula(Frozen):
    """A formula by its name and parameters; the arithmetic itself is in C++.

    A family is a subclass that says ``family="..."``. Its members, made by ``@formula``, are frozen
    dataclasses that set ``name`` to the formula's name in C++ and have its parameters as fields, in
    the same order. Defining the class is all: it is found by its name from then on. A subclass that
    sets no ``name`` of its own enters nothing: it is a member's variant, or a base in between.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    members: ClassVar[dict[str, type[Any]]]
    # Of a family: whether its members go around one of the family above it.
    needs_another: ClassVar[bool] = False

    def __init_subclass__(cls, *, family: str | None = None) -> None:
        """Opens a family, or enters a member into the family it belongs to.

        Raises:
            ValueError: Another class has the same name in the same family.
        """
        super().__init_subclass__()
        if family is not None:
            cls.family, cls.members = family, {}
        elif "name" in vars(cls):
            there = cls.members.get(cls.name)
            # The same class once more, from a notebook's cell or for its slots, takes its place.
            if there is not None and _origin(there) != _origin(cls):
                raise ValueError(
                    f"name must be new, got {cls.name!r} for {'.'.join(_origin(cls))}: "
                    f"that is {'.'.join(_origin(there))}"
                )
            cls.members[cls.name] = cls

    def parameters(self) -> list[float]:
        """The parameters as C++ takes them: in order, tuples in sequence, bools as 0 or 1.

        None is left out: an array that there is not, which comes last.
        """
        numbers: list[float] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None:
                continue
            numbers.extend(map(float, value if isinstance(value, tuple) else (value,)))
        return numbers

    @classmethod
    def named(cls) -> dict[str, type[Any]]:
        """All that a name alone makes, those of families within this one too."""
        found = dict(cls.members)
        for each in cls.__subclasses__():
            if "members" in vars(each) and not each.needs_another:
                found |= each.members
        return found

    @classmethod
    def resolve(cls: type[F], argument: str, value: str | F) -> F:
        """Returns the member called ``value``, with its defaults, or ``value`` if it is a member.

        Raises:
            TypeError: ``value`` is neither a string nor of this family.
            ValueError: No member has this name.
        """
        if isinstance(value, str):
            known = cls.named()
            if value not in known:
                raise unknown(argument, value, known)
            member: F = known[value]()
            return member
        if isinstance(value, cls):
            if not hasattr(value, "name"):
                kind = type(value).__name__
                raise TypeError(f"{argument} must be {cls.family} with a name, {kind} has none")
            return value
        if isinstance(value, type) and issubclass(value, cls):
            raise TypeError(
                f"{argument} must be an object, got the class: write {value.__name__}()"
            )
        kind = type(value).__name__
        raise TypeError(f"{argument} must be the name of {cls.family} or an object, got {kind}")


def _origin(cls: type[Any]) -> tuple[str, str]:
    return cls.__module__, cls.__name__

"""Dataclasses that never change and take little time to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gdcore._loading import making

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[T], T]:
        return lambda function: function


__all__ = ["Frozen", "frozen"]

T = TypeVar("T")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """What ``@dataclass(frozen=True)`` makes of a `Frozen`, when that is first asked for.

    A dataclass compiles methods for each class anew, and most of what it takes to load gdcore would
    go there. So all but ``__init__`` is in `Frozen`, and that comes with the first object.
    """
    declared = {name: each for name, each in vars(cls).items() if isinstance(each, Field)}
    for name, each in declared.items():  # as a dataclass leaves them
        if each.default is MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, each.default)
    _later[cls] = declared
    for name in _MADE:
        setattr(cls, name, _Made(name))
    return cls


_MADE = ("__dataclass_fields__", "__dataclass_params__", "__match_args__")
# The fields of those that are no dataclasses yet.
_later: dict[type[Any], dict[str, Any]] = {}


def _make(cls: type[Any]) -> None:
    """Makes dataclasses of a class and its bases, if they are none yet."""
    if _later.keys().isdisjoint(cls.__mro__):
        return
    with making:
        for each in reversed(cls.__mro__):
            if each in _later:
                _make_one(each)


def _make_one(cls: Any) -> None:
    for name, declared in _later[cls].items():
        setattr(cls, name, declared)
    of_base = any(hasattr(base, "__dataclass_params__") for base in cls.__mro__[1:])
    dataclass(frozen=of_base, eq=False, repr=False, match_args=False)(cls)
    cls.__dataclass_params__.frozen = True  # for those who derive from it
    by_position = tuple(each.name for each in fields(cls) if not each.kw_only)
    type.__setattr__(cls, "__match_args__", by_position)
    del _later[cls]


class _Made:
    """Stands for what a dataclass has, until it is one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, of: object, cls: type[Any]) -> Any:
        _make(cls)
        return getattr(cls, self.name)


class _Signature:
    """Nothing: who asks for it would otherwise find no arguments where no object was made yet."""

    def __get__(self, of: object, cls: type[Any]) -> Any:
        _make(cls)
        raise AttributeError("__signature__")


class Frozen:
    """Base of what `frozen` makes."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __signature__ = _Signature()

    if not TYPE_CHECKING:  # which would take any arguments then

        def __new__(cls, *_: Any, **__: Any) -> Any:
            """Makes the class a dataclass with its first object."""
            _make(cls)
            return super().__new__(cls)

    def __post_init__(self) -> None:
        """Checks every field that was declared with a check, and keeps what the check returns."""
        for each in fields(self):
            if check := each.metadata.get("check"):
                value = check(each.name, getattr(self, each.name))
                object.__setattr__(self, each.name, value)

    # As frozen dataclasses have them.

    def __setattr__(self, name: str, value: object) -> None:
        if self._frozen(name, first=name not in self.__dict__):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if self._frozen(name, first=False):
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def _frozen(self, name: str, *, first: bool) -> bool:
        if name in self.__dataclass_fields__:
            return not first  # it is __init__ that comes first
        # A class derived from a dataclass may have attributes of its own.
        return "__dataclass_fields__" in vars(type(self))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((self.__class__, *_values(self)))

    def __repr__(self) -> str:
        told = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.__class__.__qualname__}({', '.join(told)})"


def _values(described: Any) -> tuple[Any, ...]:
    return tuple(getattr(described, each.name) for each in fields(described))

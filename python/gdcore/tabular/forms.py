"""Reading JSON that anybody may have written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Form"]


class Form:
    """A JSON object, whose values are asked for by key and type.

    Every method raises ValueError, with the path to the value, where it is not what was asked for.
    """

    def __init__(self, path: str, value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{path} must be an object, got {_short(value)}")
        self._path = path
        self._value = value

    def error(self, key: str, expected: str, got: object) -> ValueError:
        """The error for a value that is not as expected."""
        return ValueError(f"{self._path}.{key} must be {expected}, got {_short(got)}")

    def get(self, key: str) -> Any:
        """The value as it is."""
        if key not in self._value:
            raise ValueError(f"{self._path} must have {key!r}, and has not")
        return self._value[key]

    def has(self, key: str) -> bool:
        """Whether there is such a value."""
        return key in self._value

    def whole(self, key: str) -> int:
        """A whole number of at least 0."""
        value = self.get(key)
        if type(value) is not int or value < 0:
            raise self.error(key, "a whole number of at least 0", value)
        return value

    def text(self, key: str) -> str:
        """A string."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self.error(key, "text", value)
        return value

    def flag(self, key: str) -> bool:
        """A truth value."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(key, "true or false", value)
        return value

    def whole_or_none(self, key: str) -> int | None:
        """A whole number of at least 1, or null."""
        value = self.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise self.error(key, "null or a whole number of at least 1", value)
        return value

    def number(self, key: str, above: float = -math.inf) -> float:
        """A finite number."""
        return self._finite(key, self.get(key), above)

    def numbers(self, key: str, above: float = -math.inf) -> tuple[float, ...]:
        """At least one finite number."""
        values = tuple(self._finite(key, each, above) for each in self.list(key))
        if not values:
            raise self.error(key, "numbers", [])
        return values

    def list(self, key: str) -> list[Any]:
        """A list of anything."""
        value = self.get(key)
        if not isinstance(value, list):
            raise self.error(key, "a list", value)
        return value

    def different(self, key: str, *types: type, at_least: int = 1) -> tuple[Any, ...]:
        """Values of the given types, no two the same."""
        values = self.list(key)
        right = all(type(each) in types for each in values)
        right = right and not any(
            isinstance(each, float) and not math.isfinite(each) for each in values
        )
        if not right or len(set(values)) < len(values) or len(values) < at_least:
            names = " or ".join("null" if each is type(None) else each.__name__ for each in types)
            raise self.error(key, f"at least {at_least} different values of type {names}", values)
        return tuple(values)

    def one_of(self, kinds: Mapping[str, Any]) -> Any:
        """What the class of the value's ``"kind"`` makes of it."""
        kind = self.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise self.error("kind", " or ".join(map(repr, kinds)), kind)
        return kinds[kind].from_json(self)

    def _finite(self, key: str, value: Any, above: float) -> float:
        if type(value) not in (int, float) or not abs(value) < math.inf or not value > above:
            wanted = "finite" if above == -math.inf else f"finite and above {above:g}"
            raise self.error(key, wanted, value)
        try:
            return float(value)
        except OverflowError:
            raise self.error(key, "finite", value) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

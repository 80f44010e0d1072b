"""The arrays of `gdcore.fit_many`: converted and checked once for all trainers that agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore._check import listed
from gdcore._frames import array, feature_names, ordered
from gdcore._judging import NAMES, VALIDATION_NAMES
from gdcore._sparse import is_csr, rows_of
from gdcore.losses import LossFunction
from gdcore.training import Trainer

__all__ = ["Arrays", "Part"]

Rows = NDArray[np.int64]


class Part(NamedTuple):
    """What one network learns from, as `Trainer.fit` takes it."""

    x: Any
    y: Any
    sample_weight: Any
    validation_data: tuple[Any, ...] | None


@dataclass
class Arrays:
    """What was given, and what became of it.

    Attributes:
        whole: All rows.
        rows: Of each network those for training and for validation, None where all or none; or None
            where nothing was said.
        left: Of each pair of them, by the objects given, how many networks are to come.
    """

    whole: Part
    rows: list[tuple[Rows, Rows | None]] | None
    keys: list[tuple[int, ...]]
    left: dict[tuple[int, ...], int]
    _tables: dict[Any, Any] = field(default_factory=dict)
    _parts: dict[Any, Part] = field(default_factory=dict)
    _prepared: dict[Any, tuple[Any, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, x: Any, y: Any, weight: Any, validation_data: Any, rows: object, count: int
    ) -> Arrays:
        """Checks the rows.

        Raises:
            TypeError: Rows are no integers or booleans.
            ValueError: There are not as many as networks, they are out of range, or there is
                validation_data beside those for validation.
        """
        whole = Part(x, y, weight, validation_data)
        if rows is None:
            return cls(whole, None, [()] * count, {(): count})
        given = listed("rows", rows, "rows, one entry a network")
        if len(given) != count:
            raise ValueError(
                f"rows must have an entry for each of {count} networks, got {len(given)}"
            )
        samples = _samples(x)
        checked: dict[tuple[int, ...], tuple[Rows, Rows | None]] = {}
        keys = []
        for i, each in enumerate(given):
            parts = each if isinstance(each, tuple) else (each,)
            if len(parts) > 2 or not parts:
                raise ValueError(
                    f"rows[{i}] must be a tuple (training, validation), or an array of rows for "
                    f"training, got a tuple of {len(parts)}"
                )
            key = tuple(map(id, parts))
            if key not in checked:
                found = [_checked(f"rows[{i}]", part, samples) for part in parts]
                checked[key] = (found[0], found[1] if len(found) > 1 else None)
            if len(parts) > 1 and validation_data is not None:
                raise ValueError(
                    "validation_data must be None where rows say what each network is validated on"
                )
            keys.append(key)
        left = {key: keys.count(key) for key in checked}
        return cls(whole, [checked[key] for key in keys], keys, left)

    def part(self, index: int, trainer: Trainer) -> tuple[Part, tuple[str, ...] | None]:
        """What a network learns from, and what the columns of x are called."""
        part, names = self._of_columns(trainer)
        if self.rows is None:
            return part, names
        key = (self.keys[index], id(part.x))
        if key not in self._parts:
            self._parts[key] = _cut(part, *self.rows[index])
        return self._parts[key], names

    def begun(self, index: int) -> None:
        """Drops what no network to come needs."""
        key = self.keys[index]
        self.left[key] -= 1
        if not self.left[key]:
            self._drop([each for each in self._parts if each[0] == key])

    def keep(self, index: int) -> None:
        """Drops the rows of all networks that have not those of this one."""
        self._drop([each for each in self._parts if each[0] != self.keys[index]])

    def sent(self) -> Arrays:
        """The same for another process: as given, but for what only this one can read."""
        x, y, weight, validation = self.whole
        if not isinstance(validation, (tuple, list, type(None))):
            raise TypeError(
                "validation_data must be a tuple of arrays where there is an executor, got "
                f"{validation!r}"
            )
        names = (*NAMES, *VALIDATION_NAMES)
        given = (x, y, weight, *(validation or ()))
        x, y, weight, *held_out = (
            _picklable(each, name) for each, name in zip(given, names, strict=False)
        )
        whole = Part(x, y, weight, None if validation is None else tuple(held_out))
        return Arrays(whole, self.rows, self.keys, self.left)

    def _drop(self, gone: list[Any]) -> None:
        ids = {id(each) for k in gone for each in _objects(self._parts.pop(k))}
        ids -= {id(each) for each in (*_objects(self.whole), *self._tables.values())}
        for prepared in [k for k in self._prepared if ids & set(k[:3])]:
            del self._prepared[prepared]

    def check(self, trainer: Trainer) -> tuple[Part, tuple[str, ...] | None]:
        """All rows, as a network would learn from them: what is wrong shows."""
        part, names = self._of_columns(trainer)
        if self.rows is not None and any(each[1] is not None for each in self.rows):
            weights = () if part.sample_weight is None else (part.sample_weight,)
            part = part._replace(validation_data=(part.x, part.y, *weights))
        return part, names

    def prepared(
        self, trainer: Trainer, x: Any, y: Any, weight: Any, names: tuple[str, str, str]
    ) -> Any:
        """What a trainer makes of arrays; the same for all that would make the same."""
        native, network = trainer._native, trainer.network
        if isinstance(trainer._objective.one, LossFunction):
            return native.prepare(x, y, weight, names)
        key = (
            *(id(x), id(y), id(weight), names, network.dtype.name),
            *(repr(network.inputs), tuple(network.heads.items())),
            *(network.output_size, network.members, repr(trainer._objective.compiled())),
            *((network.feature_names,) if feature_names(x) else ()),
        )
        if key not in self._prepared:  # with the arrays, so that no other has their numbers
            self._prepared[key] = ((x, y, weight), native.prepare(x, y, weight, names))
        return self._prepared[key][1]

    def _of_columns(self, trainer: Trainer) -> tuple[Part, tuple[str, ...] | None]:
        """All rows with the columns of a table in the network's order, as arrays of its dtype."""
        network, (x, y, weight, validation_data) = trainer.network, self.whole
        names = network.feature_names or feature_names(x)
        x = self._table(x, NAMES[0], names, network.dtype)
        if not isinstance(validation_data, (tuple, list, type(None))):
            key = (id(validation_data), names, network.dtype.name)
            if key not in self._tables:  # a source is read once for all that agree
                self._tables[key] = trainer._ordered(validation_data, names)
            validation_data = self._tables[key]
        if isinstance(validation_data, (tuple, list)) and validation_data:
            first = self._table(validation_data[0], VALIDATION_NAMES[0], names, network.dtype)
            validation_data = (first, *validation_data[1:])
        return Part(x, y, weight, validation_data), names

    def _table(self, x: Any, argument: str, names: tuple[str, ...] | None, dtype: Any) -> Any:
        key = (id(x), names, dtype.name)
        if key not in self._tables:
            self._tables[key] = ordered(x, argument, names, dtype)
        return self._tables[key]


def _objects(part: Part) -> tuple[Any, ...]:
    held_out = part.validation_data
    return (part.x, part.y, *(held_out if isinstance(held_out, (tuple, list)) else ()))


def _cut(part: Part, training: Rows, validation: Rows | None) -> Part:
    x, y, weight, given = part
    held_out = given
    if validation is not None:
        weights = () if weight is None else (_taken(weight, "sample_weight", validation),)
        held_out = (_taken(x, "x", validation), _taken(y, "y", validation), *weights)
    own = None if weight is None else _taken(weight, "sample_weight", training)
    return Part(_taken(x, "x", training), _taken(y, "y", training), own, held_out)


def _picklable(given: Any, name: str) -> Any:
    """Tables and CSR arrays as they are, and NumPy's array of anything else."""
    if isinstance(given, Mapping):
        return {key: _picklable(each, f"{name}[{key!r}]") for key, each in given.items()}
    if given is None or is_csr(given) or feature_names(given) is not None:
        return given
    return array(given, name)


def _taken(given: Any, name: str, rows: Rows) -> Any:
    """Rows of an array, or of all arrays in a dict."""
    if isinstance(given, Mapping):
        return {key: _taken(each, f"{name}[{key!r}]", rows) for key, each in given.items()}
    return rows_of(given, rows) if is_csr(given) else array(given, name)[rows]


def _samples(x: Any) -> int:
    """How many rows there are."""
    if isinstance(x, Mapping):
        if not x:
            raise ValueError("x must hold an array for each input, got an empty dict")
        return _samples(next(iter(x.values())))
    if is_csr(x):
        return int(x.shape[0])
    shape = array(x, "x").shape
    if not shape:
        raise ValueError("x must have rows, got a number")
    return int(shape[0])


def _checked(argument: str, given: Any, samples: int) -> Rows:
    rows = array(given, argument)
    if rows.dtype == np.bool_ and rows.shape == (samples,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
        raise TypeError(
            f"{argument} must be integers (n,), or booleans ({samples},), got {rows.dtype} "
            f"{rows.shape}"
        )
    if not rows.size:
        raise ValueError(f"{argument} must hold at least one row, got none")
    least, most = int(rows.min()), int(rows.max())
    if least < 0 or most >= samples:
        wrong = least if least < 0 else most
        raise ValueError(f"{argument} must be at least 0 and below {samples}, got {wrong}")
    return rows.astype(np.int64)

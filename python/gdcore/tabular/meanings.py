"""What the outputs of a network mean: classes, or numbers in their own units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gdcore.tabular import forms

__all__ = ["ClassTarget", "LabelsTarget", "NumberTarget", "Target", "few_enough", "target_from"]

FEW = 20  # whole numbers of so many different values may be classes
ROWS_EACH = 10  # if there are so many rows for each value


def few_enough(distinct: int, numbers: NDArray[np.float64]) -> bool:
    """Whether numbers (N,), so many of them different, are taken for classes."""
    few = distinct <= max(2, min(FEW, len(numbers) // ROWS_EACH))
    return few and bool((numbers == np.rint(numbers)).all())


@dataclass(frozen=True)
class ClassTarget:
    """Classes to tell apart: texts, whole numbers, numbers or truth values, ascending.

    Where they are one-hot, each has a column of its own, 1 in its rows and else 0; these are in
    their order.
    """

    kind: ClassVar[str] = "classes"
    name: str
    classes: tuple[str, ...] | tuple[int, ...] | tuple[float, ...]
    one_hot: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that hold it."""
        return self.one_hot or (self.name,)

    def fits(self, outputs: int) -> bool:
        """Whether a network with so many outputs has learnt it: 1 does for two classes."""
        return outputs == len(self.classes) or (outputs == 1 and len(self.classes) == 2)

    def told(self) -> str:
        """The first few classes."""
        more = ", ..." if len(self.classes) > 8 else ""
        return ", ".join(map(repr, self.classes[:8])) + more

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        told: dict[str, Any] = {"name": self.name, "classes": list(self.classes)}
        return told | ({"one_hot": list(self.one_hot)} if self.one_hot else {})

    @classmethod
    def from_json(cls, form: forms.Form) -> ClassTarget:
        """Reads what `to_json` gave; ValueError where it is something else."""
        for kind in (str, bool, int, float):
            if all(type(each) is kind for each in form.list("classes")):
                classes = form.different("classes", kind, at_least=2)
                one_hot = form.different("one_hot", str) if form.has("one_hot") else ()
                if one_hot and len(one_hot) != len(classes):
                    raise form.error("one_hot", "as long as classes", one_hot)
                return cls(form.text("name"), classes, one_hot)
        raise form.error("classes", "of one type", form.list("classes"))


@dataclass(frozen=True)
class NumberTarget:
    """Numbers to predict: the network's output k times deviation[k], plus mean[k].

    Args:
        name: The target's.
        mean: What an output of 0 is.
        deviation: What an output of 1 is above it.
        columns: Those that hold it, where they are several with names of their own.
        lowest: What predictions are raised to, of each column; None: they are not.
        highest: What they are lowered to; given with lowest.
    """

    kind: ClassVar[str] = "numbers"
    name: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    columns: tuple[str, ...] = ()
    lowest: tuple[float, ...] | None = None
    highest: tuple[float, ...] | None = None

    def fits(self, outputs: int) -> bool:
        """Whether a network with so many outputs has learnt it."""
        return outputs == len(self.mean)

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (N, K) as the network is to give them."""
        with np.errstate(over="ignore", invalid="ignore"):
            made: NDArray[np.float64] = (values - np.array(self.mean)) / np.array(self.deviation)
        return made

    def restored(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """The network's outputs (N, K) in the target's own units, within its bounds."""
        values: NDArray[np.float64] = outputs.astype(np.float64)
        values *= np.array(self.deviation)
        values += np.array(self.mean)
        if self.lowest is not None:
            np.clip(values, self.lowest, self.highest, out=values)
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        told: dict[str, Any] = {"name": self.name, "mean": list(self.mean)}
        told["deviation"] = list(self.deviation)
        rest = {"columns": self.columns or None, "lowest": self.lowest, "highest": self.highest}
        return told | {key: list(row) for key, row in rest.items() if row is not None}

    @classmethod
    def from_json(cls, form: forms.Form) -> NumberTarget:
        """Reads what `to_json` gave; ValueError where it is something else."""
        mean, deviation = form.numbers("mean"), form.numbers("deviation", above=0)
        columns = form.different("columns", str) if form.has("columns") else ()
        bounds = [form.numbers(each) for each in ("lowest", "highest") if form.has(each)]
        rows = {"deviation": deviation, "columns": columns or mean}
        rows |= dict(zip(("lowest", "highest"), bounds, strict=False))
        for key, row in rows.items():
            if len(row) != len(mean):
                raise form.error(key, "as long as mean", row)
        if len(bounds) == 1:
            raise form.error("lowest", "given with highest", None)
        return cls(form.text("name"), mean, deviation, columns, *bounds)


@dataclass(frozen=True)
class LabelsTarget:
    """Labels of which a row may have none, one or several; each is the column of its name."""

    kind: ClassVar[str] = "labels"
    name: str
    columns: tuple[str, ...]

    def fits(self, outputs: int) -> bool:
        """Whether a network with so many outputs has learnt it."""
        return outputs == len(self.columns)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, form: forms.Form) -> LabelsTarget:
        """Reads what `to_json` gave; ValueError where it is something else."""
        return cls(form.text("name"), form.different("columns", str))


Target = ClassTarget | NumberTarget | LabelsTarget
_KINDS: dict[str, Any] = {each.kind: each for each in (ClassTarget, NumberTarget, LabelsTarget)}


def target_from(path: str, value: object) -> Target:
    """Reads one of them, as its ``to_json`` with its kind gave it; ValueError where it is none."""
    made: Target = forms.Form(path, value).one_of(_KINDS)
    return made

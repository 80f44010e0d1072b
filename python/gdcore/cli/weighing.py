"""What rows count in training: by their class, and by a column."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore.cli.targets import Chosen
from gdcore.tabular.cells import Notation
from gdcore.tabular.columns import named
from gdcore.tabular.meanings import ClassTarget
from gdcore.tabular.tables import Table

if TYPE_CHECKING:
    from gdcore.cli.parts import Part
    from gdcore.cli.training import Options

__all__ = ["by_class", "check", "of_column", "of_training", "parsed"]

BALANCED = "balanced"


def of_column(table: Table, name: str | None, notation: Notation) -> NDArray[np.float64] | None:
    """The numbers of --weight-column, (N,); None without one.

    Raises:
        ValueError: There is no such column, or a cell is no number of at least 0, or all are 0.
    """
    if name is None:
        return None
    named("--weight-column", [name], table.frame.columns)
    column = table.column(name, notation)
    weights = column.numbers()
    if (wrong := ~(weights >= 0)).any():
        at = int(wrong.argmax())
        got = "a missing cell" if np.isnan(weights[at]) else repr(column.cells[at])
        raise ValueError(
            f"--weight-column {name} must hold numbers of at least 0, got {got} in "
            f"{column.rows.told(at)}: correct it, or write 0 for a row that shall not count"
        )
    if not weights.any():
        raise ValueError(f"--weight-column {name} must hold a number above 0, got 0 in all rows")
    return weights


def check(name: str | None, **parts: NDArray[np.float64] | None) -> None:
    """ValueError where all rows of a part, by what they are, weigh nothing."""
    for what, weights in parts.items():
        if weights is not None and len(weights) and not weights.any():
            told = what.replace("_", " ")
            raise ValueError(
                f"--weight-column {name} is 0 in all rows that are {told}: give another --seed or "
                "--validation"
            )


def parsed(text: str | None) -> dict[str, float] | None:
    """What --class-weight says of classes by their names; None for balanced or nothing.

    Raises:
        ValueError: It is something else.
    """
    if text is None or text.strip() == BALANCED:
        return None
    wrong = ValueError(
        "--class-weight must be balanced, a=1,b=3 or JSON as "
        f'{{"a": 1, "b": 3}}, with weights of at least 0, got {text!r}'
    )
    try:
        found: Any
        if text.lstrip().startswith("{"):
            found = json.loads(text)
        else:
            pairs = [each.rpartition("=") for each in text.split(",")]
            found = {name.strip(): float(value) for name, sign, value in pairs if sign}
            if len(found) < len(pairs):
                raise wrong
        numbers = {str(name): float(value) for name, value in found.items()}
    except (AttributeError, TypeError, ValueError):
        raise wrong from None
    if not all(0 <= each < math.inf for each in numbers.values()) or not any(numbers.values()):
        raise wrong
    return numbers


def by_class(text: str, chosen: Chosen, kept: NDArray[Any]) -> NDArray[np.float64]:
    """The weight of each row for training, (N,), by its class.

    Args:
        text: What --class-weight says.
        chosen: The target, with the classes of all rows.
        kept: The rows for training.

    Raises:
        ValueError: The target is no class, or has no such class.
    """
    target = chosen.target
    if not isinstance(target, ClassTarget):
        raise ValueError(
            f"--class-weight is for classes, and the target {target.name!r} is {target.kind}: give "
            "--weight-column"
        )
    labels = chosen.y[kept].astype(np.int64)
    given = parsed(text)
    if given is None:
        # Each class is to count the same in all: N / (classes x its rows).
        sizes = np.bincount(labels, minlength=len(target.classes))
        weights = len(labels) / (np.count_nonzero(sizes) * np.maximum(sizes, 1))
        found: NDArray[np.float64] = weights[labels]
        return found
    names = [str(each).lower() if isinstance(each, bool) else str(each) for each in target.classes]
    for name in given:
        if name not in names:
            raise ValueError(
                f"--class-weight must name classes of {target.name!r} ({target.told()}), got "
                f"{name!r}"
            )
    weights = np.array([given.get(each, 1.0) for each in names])
    if not weights[labels].any():
        raise ValueError("--class-weight must leave a class with a weight above 0, got 0 for all")
    rows: NDArray[np.float64] = weights[labels]
    return rows


def of_training(
    options: Options, chosen: Chosen, whole: Part, kept: NDArray[Any]
) -> NDArray[np.float64] | None:
    """What each row for training counts, (N,), by --class-weight and --weight-column."""
    weights = None if whole.weights is None else whole.weights[kept]
    if options.class_weight is None:
        return weights
    own = by_class(options.class_weight, chosen, kept)
    return own if weights is None else own * weights

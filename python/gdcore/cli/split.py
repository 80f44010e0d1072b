"""Which rows are held out of training."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer, real

__all__ = ["split"]


def split(rows: int, share: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the rows for training and those that are held out, in an order by ``seed``.

    Args:
        rows: How many there are.
        share: Of them that is held out, at least 0 and below 1; the number is rounded down.
        seed: At least 0.

    Raises:
        TypeError: share is no number, or seed no integer.
        ValueError: One is out of its domain, or a share of more than 0 holds no row.
    """
    share = real("--validation", share, at_least=0, below=1)
    seed = integer("--seed", seed, at_least=0)
    # 0.29 of 100 rows is a little less than 29; one row is left for training in any case.
    count = min(int(rows * share + 1e-9), rows - 1)
    if share > 0 and count == 0:
        raise ValueError(
            f"--validation must hold out at least one of the {rows} rows, or be 0 for none, got "
            f"{share:g}"
        )
    held_out, kept = np.split(_shuffled(rows, seed), [count])
    return kept, held_out


def _shuffled(count: int, seed: int) -> NDArray[Any]:
    """0 to count - 1 in an order that is the same in every version of Python and NumPy."""
    generator = random.Random(seed)
    return np.argsort([generator.random() for _ in range(count)], kind="stable")

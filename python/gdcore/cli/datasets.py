"""Data that the command line knows by name."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from gdcore._names import unknown

__all__ = ["Dataset", "load"]

HELD_OUT = 5  # every fifth sample


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, columns) and classes (N,), and the same of the samples held out."""

    x: NDArray[Any]
    y: NDArray[Any]
    x_held_out: NDArray[Any]
    y_held_out: NDArray[Any]
    classes: int


def load(name: str, seed: int) -> Dataset:
    """Returns a dataset by its name, a fifth of it held out.

    Each column is standardized with mean and deviation of the samples that are left for training.

    Args:
        name: ``"digits"``: 1797 images of 8 x 8 pixels, that come with scikit-learn.
        seed: Decides which samples are held out.

    Raises:
        ValueError: There is no dataset of that name.
    """
    if name != "digits":
        raise unknown("DATA", name, ["digits"])
    x, y = load_digits(return_X_y=True)
    order = _shuffled(len(x), seed)
    held_out, kept = np.split(order, [len(x) // HELD_OUT])
    mean, deviation = x[kept].mean(axis=0), x[kept].std(axis=0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)
    return Dataset(x[kept], y[kept], x[held_out], y[held_out], int(y.max()) + 1)


def _shuffled(count: int, seed: int) -> NDArray[np.intp]:
    """0 to count - 1 in an order that is the same in every version of Python and NumPy."""
    generator = random.Random(seed)
    return np.argsort([generator.random() for _ in range(count)], kind="stable")

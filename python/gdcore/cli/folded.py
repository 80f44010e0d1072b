"""Rows in folds, each prepared from its own rows for training alone, and models of such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gdcore import Network, Standardize, folds
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.cli import networks
from gdcore.cli.learning import learnt_again
from gdcore.cli.parts import Part
from gdcore.cli.targets import Chosen, Wanted
from gdcore.cli.weighing import by_class as by_class_of
from gdcore.cli.weighing import check
from gdcore.tabular.fitted import Fitted, Prepared
from gdcore.tabular.inputs import DateColumn, EmbeddedColumn, NumericColumn
from gdcore.tabular.meanings import ClassTarget, NumberTarget
from gdcore.tabular.networks import network_over
from gdcore.tabular.tables import Table

__all__ = ["Fold", "cut", "joined", "like"]

_NAME = "fold"  # of the layer that a model has for the preparation of its fold


@dataclass(frozen=True)
class Fold:
    """A way to hold out rows.

    Attributes:
        kept: The rows for training.
        held_out: The others.
        preparation: From the rows for training.
        chosen: The target, in the same way.
        whole: All rows.
        weights: What each row for training counts; None: all the same.
    """

    kept: NDArray[np.int64]
    held_out: NDArray[np.int64]
    preparation: Fitted
    chosen: Chosen
    whole: Part
    weights: NDArray[np.float64] | None = None


def cut(
    table: Table,
    preparation: Fitted,
    target: Wanted,
    y: NDArray[Any],
    parts: int,
    seed: int,
    dtype: DTypeLike,
    weights: NDArray[np.float64] | None = None,
    class_weight: str | None = None,
    weight_column: str | None = None,
) -> list[Fold]:
    """Holds out each row once; of classes each part has its share.

    Args:
        table: All rows.
        preparation: Of all rows: what each column is.
        target: What is to be learnt.
        y: The targets of all rows, of classes as they are for each fold.
        parts: How many folds.
        seed: Decides which rows stand together.
        dtype: The networks'.
        weights: What each row counts by --weight-column.
        class_weight: What --class-weight says.
        weight_column: The name of that column.

    Raises:
        ValueError: There are fewer rows than parts, or a fold cannot be prepared.
    """
    if parts > len(table):
        raise ValueError(f"--folds must be at most the number of rows, {len(table)}, got {parts}")
    by_class = isinstance(preparation.target, ClassTarget)
    rows = folds(target.labels if by_class else len(table), parts, seed=seed, stratify=by_class)

    def made(number: int, kept: NDArray[np.int64], held_out: NDArray[np.int64]) -> Fold:
        try:
            if weights is not None:
                parted = {"for_training": weights[kept], "held_out": weights[held_out]}
                check(weight_column, **parted)
            own, chosen = learnt_again(table, preparation, target, kept)
            x = own.inputs(table, dtype)
        except ValueError as error:
            raise ValueError(f"fold {number} of --folds {parts}: {error}") from None
        whole = Part(x, y if by_class else chosen.y, chosen.values, weights)
        counts = None if weights is None else weights[kept]
        if class_weight is not None:
            mine = by_class_of(class_weight, chosen, kept)
            counts = mine if counts is None else mine * counts
        return Fold(kept, held_out, own, chosen, whole, counts)

    return [made(number, *each) for number, each in enumerate(rows)]


def joined(
    parts: Sequence[Fold],
) -> tuple[Prepared, NDArray[Any], NDArray[np.float64] | None, list[tuple[Any, Any]]]:
    """All folds' rows one after the other, x, y, weights, and the places of each fold's rows there.

    Each has the same rows, prepared in another way: so the folds can be trained at once.
    """
    first = parts[0].whole.x
    x: Prepared
    if isinstance(first, dict):
        x = {key: np.concatenate([each.whole.x[key] for each in parts]) for key in first}
    else:
        x = np.concatenate([each.whole.x for each in parts])
    y = np.concatenate([each.whole.y for each in parts])
    count = len(parts[0].whole)
    rows = [(f.kept + i * count, f.held_out + i * count) for i, f in enumerate(parts)]
    if all(each.weights is None for each in parts):
        return x, y, None, rows
    weights = np.ones(len(y))
    for fold, (kept, held_out) in zip(parts, rows, strict=True):
        weights[kept] = fold.weights
        if fold.whole.weights is not None:
            weights[held_out] = fold.whole.weights[fold.held_out]
    return x, y, weights, rows


def like(
    net: Network,
    own: Fitted,
    of_all: Fitted,
    hidden: Sequence[Layer | Activation],
) -> Network:
    """A network that predicts from rows prepared by ``of_all`` what net does from its own fold's.

    A layer in front has the one scale become the other, and the last layer the target's. Only a
    missing cell, which becomes the mean of all rows, is not that of the fold.
    """
    first, size = _between(own, of_all), networks.vector_size(net)
    assert isinstance(size, int)  # the command line knows one for all columns
    made = network_over(
        of_all,
        hidden,
        net.output_size,
        size,
        first,
        dtype=net.dtype.name,
        seed=net.seed,
    )
    state = made.state_dict()
    keys = [key for key in state if not key.startswith(f"{_NAME}.")]
    state |= dict(zip(keys, net.state_dict().values(), strict=True))
    if isinstance(own.target, NumberTarget) and isinstance(of_all.target, NumberTarget):
        scale = np.divide(own.target.deviation, of_all.target.deviation)
        shift = np.subtract(own.target.mean, of_all.target.mean) / of_all.target.deviation
        weight, bias = keys[-2:]
        state[weight] = (state[weight] * scale[:, None]).astype(net.dtype)
        state[bias] = (state[bias] * scale + shift).astype(net.dtype)
    made.load_state_dict(state)
    return made


def _between(own: Fitted, of_all: Fitted) -> Standardize | None:
    """From the inputs of ``of_all`` to those of ``own``; None where there are none of numbers."""
    means: list[float] = []
    scales: list[float] = []
    for mine, its in zip(own.columns, of_all.columns, strict=True):
        if isinstance(mine, EmbeddedColumn) or isinstance(its, EmbeddedColumn):
            continue
        own_means, own_scales = [0.0] * mine.width, [1.0] * mine.width
        for kind in (NumericColumn, DateColumn):
            if isinstance(mine, kind) and isinstance(its, kind):
                own_means[0] = (mine.mean - its.mean) / its.deviation
                own_scales[0] = mine.deviation / its.deviation
        means += own_means
        scales += own_scales
    return Standardize(means, scales, name=_NAME) if means else None

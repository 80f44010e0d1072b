"""Layers: what a network is made of. Descriptions only; `gdcore.Network` owns the parameters.

Wherever a layer is expected in a list of layers, an activation does as well, as an object or by its
name: ``[Dense(64), LayerNorm(), "relu", Dense(10)]``. Names and defaults are PyTorch's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdcore._layer import Layer as Layer
from gdcore.layers import (
    branches,
    dense,
    dropout,
    embedding,
    ensembles,
    gates,
    joins,
    normalization,
    tabular,
)
from gdcore.layers.branches import *  # noqa: F403
from gdcore.layers.dense import *  # noqa: F403
from gdcore.layers.dropout import *  # noqa: F403
from gdcore.layers.embedding import *  # noqa: F403
from gdcore.layers.ensembles import *  # noqa: F403
from gdcore.layers.gates import *  # noqa: F403
from gdcore.layers.joins import *  # noqa: F403
from gdcore.layers.normalization import *  # noqa: F403
from gdcore.layers.tabular import *  # noqa: F403

if not TYPE_CHECKING:  # type checkers see what a star brings, and could not follow a sum
    __all__ = ["Layer"]
    for _module in (
        branches,
        dense,
        dropout,
        embedding,
        ensembles,
        gates,
        joins,
        normalization,
        tabular,
    ):
        __all__ += _module.__all__

    def __dir__() -> list[str]:
        return __all__

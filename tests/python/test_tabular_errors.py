"""What layers for tables and ensembles refuse, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gdcore as gd

BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no means", lambda: gd.Standardize([], []), ValueError, "means must hold at least one number"),
    ("scale 0", lambda: gd.Standardize([1], [0]), ValueError, "scales[0] must be above 0, got 0"),
    ("scales", lambda: gd.Standardize([1, 2], [1]), ValueError, "as many as means, 2, got 1"),
    ("means text", lambda: gd.Standardize("12", [1]), TypeError, "means must be a sequence of num"),
    (
        "columns",
        lambda: gd.Network([gd.Standardize([1, 2], [1, 1])], input_size=3),
        ValueError,
        "means of layer '0' must be as many as its input has columns, 3, got 2",
    ),
    (
        "a denormal scale",
        lambda: gd.Network([gd.Standardize([0], [1e-40])], input_size=1),
        ValueError,
        "scales of layer '0' must be a number that float32 can hold",
    ),
    ("no rows", lambda: gd.Standardize.of(np.zeros((0, 2))), ValueError, "x must not be empty"),
    (
        "one number",
        lambda: gd.Standardize.of([[1, 2], [3, 2]]),
        ValueError,
        "got 2 alone in column 1",
    ),
    (
        "a gap",
        lambda: gd.Standardize.of([[1, 2], [np.nan, 2]]),
        ValueError,
        "NaN or infinity in col",
    ),
    (
        "a row",
        lambda: gd.Standardize.of([1, 2]),
        ValueError,
        "x must have shape (N, columns), got (2,",
    ),
    ("text", lambda: gd.Standardize.of([["a"]]), TypeError, "x must hold real numbers"),
    ("size", lambda: gd.LinearReLUEmbedding(0), ValueError, "size must be at least 1, got 0"),
    (
        "waves",
        lambda: gd.PeriodicEmbedding(frequencies=0),
        ValueError,
        "frequencies must be at least",
    ),
    ("sigma", lambda: gd.PeriodicEmbedding(sigma=0), ValueError, "sigma must be above 0, got 0"),
    ("lite", lambda: gd.PeriodicEmbedding(lite=1), TypeError, "lite must be True or False"),
    (
        "x alone",
        lambda: gd.PeriodicEmbedding.pbld(1),
        ValueError,
        "size must be at least 2 where the",
    ),
    (
        "rows of waves",
        lambda: gd.Network([gd.PeriodicEmbedding(activation="softmax")], input_size=2),
        ValueError,
        "layer '0' embeds each column by itself, activation 'softmax' needs whole rows",
    ),
    (
        "mix of rows",
        lambda: gd.Network([gd.ParametricActivation("softmax")], input_size=2),
        ValueError,
        "layer '0' mixes each column by itself, activation 'softmax' needs whole rows",
    ),
    (
        "bins",
        lambda: gd.PiecewiseLinearEmbedding([], 2),
        ValueError,
        "bins must hold the edges of at",
    ),
    (
        "one edge",
        lambda: gd.PiecewiseLinearEmbedding([[1]], 2),
        ValueError,
        "bins[0] must hold at leas",
    ),
    (
        "edges",
        lambda: gd.PiecewiseLinearEmbedding([[0, 1], [1, 1]], 2),
        ValueError,
        "bins[1] must hold edges that grow, got 1 before 1",
    ),
    (
        "version",
        lambda: gd.PiecewiseLinearEmbedding([[0, 1]], version="C"),
        ValueError,
        "one of A, B",
    ),
    (
        "bins of columns",
        lambda: gd.Network([gd.PiecewiseLinearEmbedding([[0, 1]])], input_size=2),
        ValueError,
        "bins of layer '0' must be those of each column of its input, 2, got those of 1",
    ),
    (
        "edges in float32",
        lambda: gd.Network([gd.PiecewiseLinearEmbedding([[1, 1 + 1e-12]])], input_size=1),
        ValueError,
        "bins of layer '0' must have edges that grow in float32, got 1 and 1 in column 0",
    ),
    (
        "form",
        lambda: gd.Dense(2, parametrization="mup"),
        ValueError,
        "parametrization must be one of",
    ),
    (
        "both",
        lambda: gd.Dense(2, parametrization="ntk", weight_norm=True),
        ValueError,
        "weight_norm and parametrization 'ntk' must not be given together",
    ),
    ("one member", lambda: gd.EnsembleDense(3, 1), ValueError, "members must be at least 2, got 1"),
    (
        "factors",
        lambda: gd.EnsembleDense(3, r_init="sign"),
        ValueError,
        "r_init must be one of ones,",
    ),
    (
        "factors apart",
        lambda: gd.EnsembleDense(3, shared=False, r_init="ones"),
        ValueError,
        "r_init has no meaning without shared, got 'ones'",
    ),
    (
        "chunks",
        lambda: gd.Network([gd.EnsembleDense(3, chunks=(2, 2))], input_size=5),
        ValueError,
        "chunks of layer '0' must add up to the columns of its input, 5, got 4",
    ),
    (
        "members",
        lambda: gd.Network([gd.EnsembleScale(3), gd.EnsembleDense(2, 4)], input_size=2),
        ValueError,
        "members of layer '1' must be the 3 of its input, got 4",
    ),
    (
        "behind members",
        lambda: gd.Network([gd.EnsembleScale(3), gd.LayerNorm()], input_size=2),
        ValueError,
        "layer '1' of kind 'layer_norm' cannot stand behind the 3 members of an ensemble",
    ),
    (
        "ntk behind members",
        lambda: gd.Network([gd.EnsembleScale(3), gd.Dense(2, parametrization="ntk")], input_size=2),
        ValueError,
        "of kind 'ntk_dense' cannot stand behind the 3 members",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_descriptions_are_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as told:
        make()
    assert words in str(told.value)

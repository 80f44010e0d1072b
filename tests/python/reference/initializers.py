"""Initializers of a (fan_out, fan_in) weight: bound of the uniform forms, variance of all."""

from __future__ import annotations

import math


def variance(name: str, fan_in: int, fan_out: int) -> float:
    """The variance of one initial value; 0 for constants."""
    if name == "zeros":
        return 0.0
    if name == "pytorch":  # kaiming_uniform_(a=sqrt(5)), so a bound of 1 / sqrt(fan_in)
        return 1.0 / (3.0 * fan_in)
    if name == "orthogonal":  # rows or columns of length 1
        return 1.0 / max(fan_in, fan_out)
    if name == "normal":  # torch.nn.init.normal_
        return 1.0
    family = name.rsplit("_", 1)[0]
    return {
        "he": 2.0 / fan_in,  # He et al. 2015
        "glorot": 2.0 / (fan_in + fan_out),  # Glorot and Bengio 2010
        "lecun": 1.0 / fan_in,  # LeCun et al. 1998
    }[family]


def bound(name: str, fan_in: int, fan_out: int) -> float | None:
    """The largest magnitude a value can have; None for the normal forms."""
    if name.endswith("normal") or name == "orthogonal":
        return None
    return math.sqrt(3.0 * variance(name, fan_in, fan_out))

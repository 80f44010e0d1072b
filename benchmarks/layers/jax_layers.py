"""Layers for JAX, as its users write them: parameters as dictionaries, functions of those."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["batch_norm", "dense", "dense_of", "dropout", "layer_norm", "norm_of", "running_of"]

_RANDOM = np.random.default_rng(0)


def dense_of(inputs: int, units: int) -> dict[str, Any]:
    """Parameters of a dense layer, from PyTorch's distribution."""
    bound = inputs**-0.5
    return {
        "weight": _RANDOM.uniform(-bound, bound, (inputs, units)),
        "bias": _RANDOM.uniform(-bound, bound, units),
    }


def norm_of(width: int) -> dict[str, Any]:
    """Parameters of a normalization."""
    return {"weight": np.ones(width), "bias": np.zeros(width)}


def running_of(width: int) -> dict[str, Any]:
    """What batch normalization keeps."""
    return {"mean": np.zeros(width), "var": np.ones(width)}


def dense(p: Any, x: Any) -> Any:
    """X W + b."""
    return x @ p["weight"] + p["bias"]


def layer_norm(p: Any, x: Any) -> Any:
    """Each row with mean 0 and variance 1."""
    import jax

    mean = x.mean(axis=1, keepdims=True)
    off = x - mean
    return (
        off * jax.lax.rsqrt((off * off).mean(axis=1, keepdims=True) + 1e-5) * p["weight"]
        + p["bias"]
    )


def batch_norm(p: Any, kept: Any, x: Any) -> tuple[Any, Any]:
    """Each column with mean 0 and variance 1, and the averages that remember both."""
    import jax

    mean = x.mean(axis=0)
    off = x - mean
    var = (off * off).mean(axis=0)
    unbiased = var * (x.shape[0] / (x.shape[0] - 1))
    kept = {
        "mean": 0.9 * kept["mean"] + 0.1 * jax.lax.stop_gradient(mean),
        "var": 0.9 * kept["var"] + 0.1 * jax.lax.stop_gradient(unbiased),
    }
    return off * jax.lax.rsqrt(var + 1e-5) * p["weight"] + p["bias"], kept


def dropout(x: Any, rate: float, key: Any) -> Any:
    """Elements left out at random."""
    import jax
    import jax.numpy as jnp

    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

"""Layers that bring values to a scale of their own."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore._check import checked_field, flag_field, integer, real, real_field
from gdcore._frozen import frozen
from gdcore._layer import Layer

__all__ = ["BatchNorm", "LayerNorm", "RMSNorm"]


def _eps(argument: str, value: object) -> float:
    """What a normalization adds; a larger number is a width, as PyTorch's layers take it first."""
    number = real(argument, value, at_least=0)
    if number >= 1:
        raise ValueError(
            f"{argument} must be below 1, got {number:g}: the width of the input is not given, the "
            "layer finds it"
        )
    return number


def _ghost(argument: str, value: object) -> int | None:
    """Rows of a ghost batch: one row alone has no variance."""
    return None if value is None else integer(argument, value, at_least=2)


@frozen
class BatchNorm(Layer):
    """Brings each column to mean 0 and variance 1, then to a mean and spread that are learnt.

    y = (x - mean) / sqrt(var + eps) * weight + bias, x and y (N, width), weight and bias (width,).
    In training (`Trainer.step`, `Trainer.fit`, ``forward(x, training=True)``) mean and
    var = mean((x - mean)^2) are those of the batch's columns, and running averages remember them:
    running = (1 - momentum) * running + momentum * batch, of the variance N / (N - 1) times that of
    the batch. Elsewhere mean and var are those averages; `check_gradients` compares gradients with
    them. They stand in ``state_dict`` as ``running_mean`` and ``running_var``, (width,), and are
    saved with the network; no rule updates them. PyTorch's count of batches is not kept.

    All rows of a batch go through the network together, so that training takes memory for a whole
    batch (`Trainer.memory_plan` tells) and at least 2 rows; rows of weight 0 count as others do.

    With ``ghost=n`` mean and var are those of n rows at a time, in the order of the batch, and the
    running averages remember one such ghost batch after the other. The last may be shorter; a
    single row that would be left over goes with those before it. Ghost batches need not go through
    together: memory is that of some 2,048 rows, or of the smallest batch that whole ghost batches
    and parts of 256 rows make.

    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML 2015; ghost batches: Hoffer, Hubara and Soudry, "Train longer,
    generalize better: closing the generalization gap in large batch training of neural networks",
    NeurIPS 2017.

    Args:
        eps: Added to the variance, in [0, 1). The width is no argument: it is that of x.
        momentum: What a batch counts in the running averages, in [0, 1].
        affine: Whether there are weight, which starts at 1, and bias, which starts at 0.
        ghost: Rows that are normalized together, at least 2. None: all rows of a batch.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "batch_norm"

    eps: float = checked_field(1e-5, _eps)
    momentum: float = real_field(0.1, at_least=0, at_most=1)
    affine: bool = flag_field(True)
    ghost: int | None = checked_field(None, _ghost)
    _: KW_ONLY
    name: str | None = None


@frozen
class LayerNorm(Layer):
    """Brings each row to mean 0 and variance 1, then to a mean and spread that are learnt.

    y = (x - mean) / sqrt(var + eps) * weight + bias, x and y (N, width), weight and bias (width,);
    mean and var = mean((x - mean)^2) are those of each row.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    Args:
        eps: Added to the variance, in [0, 1). The width is no argument: it is that of x.
        affine: Whether there are weight, which starts at 1, and bias, which starts at 0.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "layer_norm"

    eps: float = checked_field(1e-5, _eps)
    affine: bool = flag_field(True)
    _: KW_ONLY
    name: str | None = None


@frozen
class RMSNorm(Layer):
    """Brings each row to a mean square of 1, then to a spread that is learnt.

    y = x / sqrt(mean(x^2) + eps) * weight, x and y (N, width), weight (width,); the mean is that of
    each row.

    Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Args:
        eps: Added to the mean square, in [0, 1). None: the distance from 1 to the next number of
            the network's dtype, as in PyTorch.
        affine: Whether there is a weight, which starts at 1.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "rms_norm"

    eps: float | None = None
    affine: bool = flag_field(True)
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description."""
        if self.eps is not None:
            object.__setattr__(self, "eps", _eps("eps", self.eps))
        super().__post_init__()

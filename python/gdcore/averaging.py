"""Averages of the weights that a trainer keeps beside those it trains.

>>> trainer = gdcore.Trainer(net, "mse", "adamw", average=gdcore.EMA(decay=0.999))
>>> trainer.fit(x, y, epochs=20, validation_data=(xv, yv))  # val_loss is that of the average
>>> trainer.averaged.save("average.safetensors")

No step reads an average. It is taken in the update itself, while the new weights are in cache. What
layers keep beside their weights, as the statistics of `gdcore.BatchNorm`, is not averaged: with the
averaged weights go those of the network as they are, which are running averages already, as in
PyTorch's ``AveragedModel``. Frozen parameters are as they are, too.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from gdcore._check import flag_field, integer, real_field
from gdcore._formula import Formula, formula
from gdcore._names import choice
from gdcore.typing import Unit

__all__ = ["EMA", "SWA", "Average"]


def __dir__() -> list[str]:
    return __all__


UNITS: tuple[Unit, ...] = ("epoch", "step")
_MOST = 2**53  # epochs or steps: float64 has no more whole numbers in a row


def _whole(argument: str, value: object) -> int:
    return integer(argument, value, at_most=_MOST)


def _unit(argument: str, value: object) -> Unit:
    return choice(argument, value, UNITS)


class Average(Formula, family="an average of the weights"):
    """Base of all averages."""

    start: int
    every: int
    per: Unit

    def numbers(self) -> list[float]:
        """As C++ takes them."""
        raise NotImplementedError

    def _times(self) -> list[float]:
        return [float(self.start), float(self.every), float(self.per == "epoch")]


@formula
class EMA(Average):
    """The exponential moving average of the weights.

    m <- w at the first time, then m <- m + (1 - decay) (w - m)
    with warmup, at the n-th time, decay is min(decay, (1 + n) / (10 + n)), n = 0 the first

    That is PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn(decay)``. An average over so
    many steps needs many of them: of a decay of 0.999 about a thousand, or ``warmup``.

    Sources: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
    Control Optim. 30, 1992; the warm-up is that of TensorFlow's ``ExponentialMovingAverage``.

    Args:
        decay: Share of the average that is kept at each time, within [0, 1).
        start: The first time, counted from 1, in the unit of ``per``.
        every: After how many steps, or epochs, the next one is.
        per: ``"step"`` or ``"epoch"``.
        warmup: Forgets the first weights quickly.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "ema"
    decay: float = real_field(0.999, at_least=0, below=1)
    start: int = field(default=1, metadata={"check": _whole})
    every: int = field(default=1, metadata={"check": _whole})
    per: Unit = field(default="step", metadata={"check": _unit})
    warmup: bool = flag_field(False)

    def numbers(self) -> list[float]:
        """As C++ takes them."""
        return [self.decay, float(self.warmup), *self._times()]


@formula
class SWA(Average):
    """The plain mean of the weights from some time on.

    m <- m + (w - m) / (n + 1), at the n-th time, n = 0 the first

    That is PyTorch's ``AveragedModel`` as it is by default, updated at the ends of epochs. It is
    for weights that go about a minimum: with a learning rate that stays up, or goes up and down.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization",
    UAI 2018, arXiv:1803.05407.

    Args:
        start: The first time, counted from 1, in the unit of ``per``: 75 takes the weights that the
            75th epoch leaves.
        every: After how many epochs, or steps, the next one is.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "swa"
    start: int = field(metadata={"check": _whole})
    every: int = field(default=1, metadata={"check": _whole})
    per: Unit = field(default="epoch", metadata={"check": _unit})

    def numbers(self) -> list[float]:
        """As C++ takes them."""
        return [0.0, *self._times()]


def resolve_average(argument: str, value: object) -> Average | None:
    """Returns None or an average; ``"ema"`` is one with its defaults.

    Raises:
        TypeError: ``value`` is anything else.
        ValueError: No average has this name, or SWA lacks its start.
    """
    if value is None:
        return None
    if isinstance(value, str) and value == SWA.name:
        raise ValueError(f"{argument} must say when it begins: write gdcore.SWA(start=...)")
    return Average.resolve(argument, value)  # type: ignore[arg-type]

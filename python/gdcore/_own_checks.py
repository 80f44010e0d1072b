"""The gradients that `gdcore.check_gradients` compares, of a loss that is a Python function.

As cpp/train/numerical_gradient.cpp does it, on one thread and with a call of the function for each
loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gdcore._own_loss import OwnData, check_finite, judge
from gdcore.losses import LossFunction

__all__ = ["OwnGradients"]

_EPS = float(np.finfo(np.float64).eps)
_FINER = 4.0  # from one step to the next
_COARSER = 2  # steps that are larger than h
_STEPS = 7
_DRAWS = 8
_DEVIATIONS = 6.0


class _Slopes(NamedTuple):
    below: float
    above: float
    central: float
    rounding: float  # how far off it may make the central one

    @property
    def gap(self) -> float:
        return abs(self.above - self.below)


class OwnGradients:
    """Backpropagation and central differences of one loss at one place.

    Args:
        network: The compiled network in float64; it is left as it was.
        own: The loss.
        data: What it is taken of.
        h: The step; None for eps^(1/3) max(1, |w|).
    """

    def __init__(self, network: Any, own: LossFunction, data: OwnData, h: float | None) -> None:
        self._network, self._own, self._data, self._h = network, own, data, h
        self._values = {key: value.copy() for key, value in network.state_dict().items()}
        self._places = [
            (key, index) for key, value in self._values.items() for index in np.ndindex(value.shape)
        ]
        self._evaluations = 0
        self._noise = 0.0

    def exact(self) -> dict[str, Any]:
        """By backpropagation."""
        start = time.perf_counter()
        output = self._network.forward(self._data.x, True, None, joined=True)
        found = judge(self._own, output, self._data)
        check_finite(self._own, found)
        self._network.backward(found.gradient, False)
        seconds = time.perf_counter() - start
        return {"gradients": self._network.gradients(), "loss": found.loss, "seconds": seconds}

    def numerical(self, closer: Sequence[int] | None) -> dict[str, Any]:
        """By differences: of all parameters, or those of ``closer`` with several steps."""
        start, before = time.perf_counter(), self._evaluations
        here = self._loss()
        if closer is None:
            self._noise = self._scatter(here)
        wanted = range(len(self._places)) if closer is None else closer
        rows, kinks = [], []
        for at, place in enumerate(wanted):
            key, index = self._places[place]
            reach = self._reach(key, index)
            slopes = self._slopes(key, index, here, reach)
            bend = 1e-4 * (abs(slopes.below) + abs(slopes.above))
            bend += max(10 * reach * max(1.0, abs(here)), 4 * slopes.rounding)
            kink = False
            if closer is not None or slopes.gap > bend:
                slopes, kink = self._closer(key, index, here, reach)
            if kink:
                kinks.append(at)
            rows.append(slopes)
        columns = np.array(rows).T
        smooth = np.ones(len(rows), bool)
        smooth[kinks] = False
        below, above = (np.where(smooth, columns[2], columns[k]) for k in (0, 1))
        return {
            "central": columns[2],
            "error": columns[3],
            "below": below,
            "above": above,
            "kinks": kinks,
            "evaluations": self._evaluations - before,
            "seconds": time.perf_counter() - start,
        }

    def _loss(self) -> float:
        self._evaluations += 1
        output = self._network.predict(self._data.x, None, None, joined=True)
        found = judge(self._own, output, self._data)
        check_finite(self._own, found)
        return found.loss

    def _reach(self, key: str, index: tuple[int, ...]) -> float:
        size = max(1.0, abs(float(self._values[key][index])))
        return math.cbrt(_EPS) * size if self._h is None else self._h

    def _scatter(self, here: float) -> float:
        """What rounding may make of the loss: how it scatters as weights move by a few units."""
        draws = np.random.Generator(np.random.Philox(0))
        total = 0.0
        for _ in range(_DRAWS):
            for key, value in self._values.items():
                units = draws.integers(0, 2, value.shape) * 8 - 4
                self._network.set_parameter(key, value * (1 + units * _EPS))
            total += (self._loss() - here) ** 2 / (2 * _DRAWS)
        for key, value in self._values.items():
            self._network.set_parameter(key, value)
        return max(8 * _EPS * abs(here), _DEVIATIONS * math.sqrt(total))

    def _slopes(self, key: str, index: tuple[int, ...], here_loss: float, h: float) -> _Slopes:
        value = self._values[key]
        here = float(value[index])
        up, down = here + h, here - h
        if not down < here < up:
            raise ValueError(f"h must be large enough to move w = {here}, got {h}")
        losses = []
        for moved in (up, down):
            value[index] = moved
            self._network.set_parameter(key, value)
            losses.append(self._loss())
        value[index] = here
        self._network.set_parameter(key, value)
        below, above = (
            (here_loss - losses[1]) / (here - down),
            (losses[0] - here_loss) / (up - here),
        )
        rounding = (self._noise + _EPS * abs(here) * abs(above - below)) / h
        return _Slopes(below, above, (losses[0] - losses[1]) / (up - down), rounding)

    def _closer(
        self, key: str, index: tuple[int, ...], here_loss: float, h: float
    ) -> tuple[_Slopes, bool]:
        """From several steps, and whether there is a kink right here."""
        steps = [h * _FINER ** (_COARSER - k) for k in range(_STEPS)]
        found = [self._slopes(key, index, here_loss, step) for step in steps]
        # The finest step whose gap shows through the rounding.
        finest = 0
        while finest + 1 < _STEPS and 32 * found[finest + 1].rounding <= found[0].gap:
            finest += 1
        last = found[finest]
        if finest > 0 and last.gap > max(
            found[finest - 1].gap / 2 + 4 * last.rounding, 8 * last.rounding
        ):
            return last._replace(rounding=last.gap / 2 + last.rounding), True
        # Smooth: the step whose slope is least off from that of the one before.
        off = [abs(one.central - other.central) + one.rounding for other, one in pairwise(found)]
        best = int(np.argmin(off))
        return found[best + 1]._replace(rounding=off[best]), False

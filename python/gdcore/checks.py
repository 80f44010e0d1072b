"""Are the gradients right? Numerical differentiation, alone and beside backpropagation.

The central difference (f(w + h) - f(w - h)) / 2h needs nothing but f, and two values of f for each
number in w. Backpropagation gets all derivatives for about the price of three values, which is why
it exists; `check_gradients` tells the price of both.

Source of the step: Press et al., "Numerical Recipes", section 5.7: an error in f of eps |f| and a
third derivative of the size of f make h = eps^(1/3) max(1, |w|) about the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore import _core
from gdcore._check import real
from gdcore.losses import Loss
from gdcore.network import Network

__all__ = [
    "GradientReport",
    "Kink",
    "ParameterReport",
    "check_gradients",
    "numerical_gradient",
]

_EPS = float(np.finfo(np.float64).eps)


def numerical_gradient(
    f: Callable[[Any], Any], w: ArrayLike, h: float | None = None
) -> NDArray[np.float64]:
    """Differentiates any Python function by central differences, (f(w + h) - f(w - h)) / 2h.

    >>> gdcore.numerical_gradient(lambda w: (w**2).sum(), [1.0, 2.0])
    array([2., 4.])

    Args:
        f: Takes w and returns a real number. Each call gets an array of its own, so that f may
            change it; w itself is never changed.
        w: Where to differentiate, of any shape, finite, taken as float64. For a number f gets a
            number.
        h: The step, above 0; None for eps^(1/3) max(1, |w_i|), about 6e-6.

    Returns:
        df/dw in float64, of the shape of w.

    Raises:
        TypeError: w is complex, of objects or of strings, or f returns anything but a real number.
        ValueError: w is empty or not finite, h is not above 0, so small that w + h is w or so large
            that w + h is infinite, or f or its slope is NaN or infinite.
    """
    at = np.asarray(w)
    if at.dtype.kind not in "biuf":
        raise TypeError(f"w must hold real numbers, got dtype {at.dtype}")
    with np.errstate(over="ignore"):  # a long double may become infinite
        at = at.astype(np.float64)
    if at.size == 0:
        raise ValueError(f"w must not be empty, got shape {at.shape}")
    if not np.isfinite(at).all():
        raise ValueError("w must be finite in float64, got NaN or infinity")
    step = None if h is None else real("h", h, above=0)

    def value(index: tuple[int, ...], number: float) -> float:
        moved = at.copy()
        moved[index] = number
        result = np.asarray(f(moved[()]))  # [()] makes a number of an array of shape ()
        if result.shape != () or result.dtype.kind not in "biuf":
            raise TypeError(
                f"f must return a real number, got {result.dtype} of shape {result.shape}"
            )
        with np.errstate(over="ignore"):
            found = float(result)
        if not math.isfinite(found):
            raise ValueError(f"f must return finite numbers, got {found} at w{[*index]} = {number}")
        return found

    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        here = float(at[index])
        reach = _EPS ** (1 / 3) * max(1.0, abs(here)) if step is None else step
        up, down = here + reach, here - reach
        if not down < here < up:
            raise ValueError(f"h must be large enough to move w = {here}, got {reach}")
        if not math.isfinite(up - down):
            raise ValueError(f"w + h and w - h must be finite, got w = {here} and h = {reach}")
        slope = (value(index, up) - value(index, down)) / (up - down)
        if not math.isfinite(slope):
            raise ValueError(f"f must have a finite slope, got {slope} at w{[*index]} = {here}")
        gradient[index] = slope
    return gradient[()]


@dataclass(frozen=True)
class Kink:
    """A parameter at a place where the loss has no derivative, such as ReLU at 0.

    What backpropagation takes there is a convention: told, not judged.

    Attributes:
        index: Where it is in its array.
        below: Slope towards smaller values.
        above: Slope towards larger values.
        backpropagation: The slope that backpropagation takes.
    """

    index: tuple[int, ...]
    below: float
    above: float
    backpropagation: float


@dataclass(frozen=True)
class ParameterReport:
    """How far both gradients of one parameter array are apart; kinks are left out of it.

    Attributes:
        shape: Of the array.
        relative_error: |b - n| / max(|b|, |n|) in the Euclidean norm, 0 where both are 0, b from
            backpropagation and n from central differences.
        largest_difference: max |b_i - n_i|.
        kinks: Where the loss has no derivative.
        ok: Whether the error is within the tolerance, or no more than the rounding of the central
            differences.
    """

    shape: tuple[int, ...]
    relative_error: float
    largest_difference: float
    kinks: tuple[Kink, ...]
    ok: bool


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found; printed, a table.

    Attributes:
        parameters: A report for each key of ``state_dict``.
        loss: The loss where it was differentiated.
        tolerance: The largest relative error that passes.
        forward_passes: How many the central differences took; backpropagation takes one, and one
            backward pass.
        numerical_seconds: Time of the central differences.
        backpropagation_seconds: Time of backpropagation.
    """

    parameters: Mapping[str, ParameterReport]
    loss: float
    tolerance: float
    forward_passes: int
    numerical_seconds: float
    backpropagation_seconds: float

    @property
    def ok(self) -> bool:
        """Whether all parameters are."""
        return all(report.ok for report in self.parameters.values())

    @property
    def relative_error(self) -> float:
        """The largest of all parameters."""
        return max(report.relative_error for report in self.parameters.values())

    def __str__(self) -> str:
        width = max(map(len, [*self.parameters, "parameter"]))
        lines = [f"{'parameter':<{width}}  {'shape':<14}{'relative error':>16}{'kinks':>7}"]
        for name, report in self.parameters.items():
            shape = " x ".join(map(str, report.shape))
            verdict = "" if report.ok else "  too large"
            lines.append(
                f"{name:<{width}}  {shape:<14}{report.relative_error:>16.1e}"
                f"{len(report.kinks):>7}{verdict}"
            )
        for name, report in self.parameters.items():
            lines += [
                f"kink at {name}{list(kink.index)}: slope {kink.below:.6g} below, "
                f"{kink.above:.6g} above, backpropagation takes {kink.backpropagation:.6g}"
                for kink in report.kinks[:3]
            ]
        times = self.numerical_seconds / max(self.backpropagation_seconds, 1e-9)
        lines += [
            "backpropagation      1 forward and 1 backward pass, "
            f"{_time(self.backpropagation_seconds)}",
            f"central differences  {self.forward_passes:,} forward passes, "
            f"{_time(self.numerical_seconds)}, {times:,.0f} times as long",
            f"{'agree' if self.ok else 'DISAGREE'} at tolerance {self.tolerance:g}",
        ]
        return "\n".join(lines)


def check_gradients(
    net: Network,
    loss: str | Loss,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    h: float | None = None,
    tolerance: float = 1e-6,
) -> GradientReport:
    """Sets backpropagation and central differences beside each other, per parameter, in float64.

    The network is copied to float64 first, and not changed. The central differences run in C++ on
    all threads; they cost two forward passes a parameter, so take a small network or few samples.

    >>> print(gdcore.check_gradients(net, "cross_entropy", x[:8], y[:8]))

    Args:
        net: The network.
        loss: A loss by name or as an object.
        x: (N, input_size), finite.
        y: The targets, as the loss takes them.
        sample_weight: (N,), finite, at least 0, not all 0.
        h: The step of the differences, above 0; None for eps^(1/3) max(1, |w_i|), about 6e-6.
        tolerance: The largest relative error, in norm for an array, that passes; above 0.

    Raises:
        TypeError: An argument is of the wrong type, or an array complex, of objects or of strings.
        ValueError: An array is of another shape, empty, not finite, or holds labels or weights out
            of range, or an argument is out of its domain.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a gdcore.Network, got {type(net).__name__}")
    formula = Loss.resolve("loss", loss)
    step = None if h is None else real("h", h, above=0)
    tolerance = real("tolerance", tolerance, above=0)
    native = net._native.to64()
    about = (native, formula.name, formula.parameters(), x, y, sample_weight)
    exact = _core.backpropagation_gradient_network(*about, None)
    numerical = _core.numerical_gradient_network(*about, step, None)
    # What rounding alone can make of one difference: the loss is known to about eps of itself.
    rounding = _EPS * abs(exact["loss"]) / (_EPS ** (1 / 3) if step is None else step)
    parameters = {
        name: _compare(
            gradient,
            numerical["gradients"][name],
            numerical["kinks"].get(name, []),
            numerical["one_sided"][name],
            tolerance,
            rounding,
        )
        for name, gradient in exact["gradients"].items()
    }
    return GradientReport(
        parameters,
        exact["loss"],
        tolerance,
        numerical["evaluations"],
        numerical["seconds"],
        exact["seconds"],
    )


def _compare(
    exact: NDArray[np.float64],
    numerical: NDArray[np.float64],
    kinks: list[int],
    one_sided: tuple[NDArray[np.float64], NDArray[np.float64]],
    tolerance: float,
    rounding: float,
) -> ParameterReport:
    difference = np.delete((exact - numerical).ravel(), kinks)
    size = max(
        float(np.linalg.norm(np.delete(gradient.ravel(), kinks))) for gradient in (exact, numerical)
    )
    apart = float(np.linalg.norm(difference))
    found = []
    for position in kinks:
        index = tuple(int(i) for i in np.unravel_index(position, exact.shape))
        below, above = (float(slopes[index]) for slopes in one_sided)
        found.append(Kink(index, below, above, float(exact[index])))
    return ParameterReport(
        shape=exact.shape,
        relative_error=apart / size if size else 0.0,
        largest_difference=float(np.abs(difference).max(initial=0.0)),
        kinks=tuple(found),
        ok=apart <= max(tolerance * size, rounding * difference.size**0.5),
    )


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"

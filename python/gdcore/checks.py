"""Are the gradients right? Numerical differentiation, alone and beside backpropagation.

The central difference (f(w + h) - f(w - h)) / 2h needs nothing but f, and two values of f for each
number in w. Backpropagation gets all derivatives for about the price of three values, which is why
it exists; `check_gradients` tells the price of both.

Source of the step: Press et al., "Numerical Recipes", section 5.7: an error in f of eps |f| and a
third derivative of the size of f make h = eps^(1/3) max(1, |w|) about the best. Several steps to
tell the error, as `check_gradients` takes them, are of the same section, after Ridders, "Accurate
computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4, 1982.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore import _core
from gdcore._check import real
from gdcore._frames import ordered, real_array
from gdcore._objective import Objective
from gdcore._pairing import as_saved, check_outputs
from gdcore.losses import LossFunction, LossLike
from gdcore.network import Network
from gdcore.typing import Inputs

__all__ = [
    "GradientReport",
    "Kink",
    "ParameterReport",
    "check_gradients",
    "numerical_gradient",
]


def __dir__() -> list[str]:
    return __all__


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
        TypeError: f is no function, w is complex, of objects, of strings or masked, or f returns
            anything but a real number.
        ValueError: w is empty or not finite, h is not above 0, so small that w + h is w or so large
            that w + h is infinite, or f or its slope is NaN or infinite.
    """
    if not callable(f):
        raise TypeError(f"f must be a function of w, got {type(f).__name__}")
    at = real_array("w", w)
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
        rounding: How much of the relative error may come from the central differences, which are
            rounded and take a finite step. From 1 on they show nothing of the gradient.
        kinks: Where the loss has no derivative.
        ok: Whether the error is within the tolerance, or no more than it and the rounding.
    """

    shape: tuple[int, ...]
    relative_error: float
    largest_difference: float
    rounding: float
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

    def _repr_html_(self) -> str:
        """The same with a table of the parameters."""
        from gdcore import _html  # only notebooks need it

        head = ("parameter", "shape", "", "relative error", "kinks")
        rows = [
            (
                name,
                " x ".join(map(str, report.shape)),
                _verdict(report) or "agrees",
                f"{report.relative_error:.1e}",
                f"{len(report.kinks)}",
            )
            for name, report in self.parameters.items()
        ]
        after = str(self).splitlines()[1 + len(rows) :]
        told = [re.sub("  +", ": ", line) for line in after]
        return _html.table(head, rows, left=3) + _html.items(told)

    def __str__(self) -> str:
        width = max(map(len, [*self.parameters, "parameter"]))
        lines = [f"{'parameter':<{width}}  {'shape':<14}{'relative error':>16}{'kinks':>7}"]
        for name, report in self.parameters.items():
            shape = " x ".join(map(str, report.shape))
            verdict = _verdict(report)
            lines.append(
                f"{name:<{width}}  {shape:<14}{report.relative_error:>16.1e}"
                f"{len(report.kinks):>7}{'  ' if verdict else ''}{verdict}"
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


def _verdict(report: ParameterReport) -> str:
    """What there is to say of it; nothing where both gradients agree."""
    if not report.ok:
        return "too large"
    return "lost in rounding" if report.rounding >= 1 else ""


def check_gradients(
    net: Network,
    loss: LossLike | Mapping[str, LossLike],
    x: Inputs,
    y: Inputs,
    sample_weight: Inputs | None = None,
    *,
    loss_weights: Mapping[str, float] | None = None,
    h: float | None = None,
    tolerance: float = 1e-6,
) -> GradientReport:
    """Sets backpropagation and central differences beside each other, per parameter, in float64.

    The network is copied to float64 first, and not changed. The central differences run in C++ on
    all threads; they cost two forward passes a parameter, some twenty where a look closer is taken,
    so take a small network or few samples.

    Rounding makes noise n of the loss, and a central difference is off by up to n / h. Near a
    minimum, or where a classifier is sure, n is far more than eps |loss|, and gradients are small.
    n is measured: the loss scatters as all weights move by a few units in the last place, which is
    what rounding in sums amounts to (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd
    edition, section 3.1). It is at least what moving the outputs p so makes of the loss, and for
    losses of logits eps max(1, |p|).

    Where both gradients differ by more than that and the tolerance, or where n / h could hide a
    difference, a look closer takes steps from 256 h down to h / 256, and the slope from that which
    agrees best with all smaller ones; what is left between them counts as its error. The slopes
    on both sides tell whether there is a kink, such as ReLU's at 0: nearby, where there is a
    derivative, or at the point, where there is none. The latter is told, and not judged.

    >>> print(gdcore.check_gradients(net, "cross_entropy", x[:8], y[:8]))

    Args:
        net: The network.
        loss: A loss by name or as an object, or a function, see `gdcore.LossFunction`; then the
            differences are taken in Python, on one thread. Where outputs have names, a dict of a
            loss for each.
        x: As in `Trainer.step`.
        y: As in `Trainer.step`.
        sample_weight: As in `Trainer.step`.
        loss_weights: As in `Trainer`.
        h: The step of the differences, above 0; None for eps^(1/3) max(1, |w_i|), about 6e-6.
        tolerance: The largest relative error, in norm for an array, that passes, beside what
            rounding and step may make; above 0. No single number may be off by more either.

    Raises:
        TypeError: An argument is of the wrong type, or an array complex, of objects or of strings.
        ValueError: An array is of another shape, empty, not finite, or holds labels or weights out
            of range, or an argument is out of its domain, or the network has no parameters.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a gdcore.Network, got {type(net).__name__}")
    if net.num_parameters == 0:
        raise ValueError("net must have parameters to check, got a network of layers without any")
    with as_saved():  # whatever can be differentiated is checked
        objective = Objective.of(loss, loss_weights, net)
    step = None if h is None else real("h", h, above=0)
    tolerance = real("tolerance", tolerance, above=0)
    exact, numerical = _gradients(net, objective, x, y, sample_weight, step)
    first = numerical(None)
    backward = np.concatenate([gradient.ravel() for gradient in exact["gradients"].values()])
    found = _Differences(backward, first)
    parts: dict[str, slice] = {}
    for name, gradient in exact["gradients"].items():
        begin = next(reversed(parts.values())).stop if parts else 0
        parts[name] = slice(begin, begin + gradient.size)
    evaluations, seconds = first["evaluations"], first["seconds"]
    # Where they differ, the step may have been too large, or a kink within reach.
    # What that changes may put others in doubt.
    while True:
        closer = np.concatenate([found.doubtful(part, tolerance) for part in parts.values()])
        if not closer.size:
            break
        second = numerical(closer.tolist())
        found.replace(closer, second)
        evaluations += second["evaluations"]
        seconds += second["seconds"]
    parameters = {
        name: found.report(part, exact["gradients"][name].shape, tolerance)
        for name, part in parts.items()
    }
    return GradientReport(
        parameters, exact["loss"], tolerance, evaluations, seconds, exact["seconds"]
    )


def _gradients(
    net: Network, objective: Objective, x: Any, y: Any, sample_weight: Any, h: float | None
) -> tuple[dict[str, Any], Callable[[list[int] | None], dict[str, Any]]]:
    """The gradient by backpropagation, and what takes differences."""
    native, loss = net._native.to64(), objective.one
    if isinstance(loss, LossFunction):
        from gdcore._own_checks import OwnGradients  # only here: they are seldom asked for
        from gdcore._own_loss import prepared
        from gdcore._sparse import refuse_sparse

        refuse_sparse(net)
        table = ordered(x, "x", net.feature_names, np.float64)
        names = ("x", "y", "sample_weight")
        if not net._wiring.is_plain:
            table = native.joined(table, "x")
        data = prepared(table, y, sample_weight, net.input_size, np.float64, names)
        own = OwnGradients(native, loss, data, h)
        return own.exact(), own.numerical
    if loss is not None:
        check_outputs(loss, net)
    for head, each in objective.heads.items():
        check_outputs(each, net, head)
    about = (native, *objective.compiled(), x, y, sample_weight)

    def numerical(closer: list[int] | None) -> dict[str, Any]:
        return _core.numerical_gradient_network(*about, h, closer, None)

    return _core.backpropagation_gradient_network(*about, None), numerical


class _Differences:
    """Both gradients of all parameters one after the other, and how far off they may be."""

    def __init__(self, backward: NDArray[np.float64], numerical: Mapping[str, Any]) -> None:
        self.backward = backward
        self.central, self.error = numerical["central"], numerical["error"]
        self.below, self.above = numerical["below"], numerical["above"]
        self.is_kink = np.zeros(backward.size, bool)
        self.is_kink[numerical["kinks"]] = True
        self.looked_at = np.zeros(backward.size, bool)

    def replace(self, index: NDArray[np.intp], numerical: Mapping[str, Any]) -> None:
        """Takes what a look closer has found."""
        for name in ("central", "error", "below", "above"):
            getattr(self, name)[index] = numerical[name]
        self.is_kink[index], self.looked_at[index] = False, True
        self.is_kink[index[numerical["kinks"]]] = True

    def _apart(self, part: slice, tolerance: float) -> _Apart:
        kept = ~self.is_kink[part]
        backward, central = self.backward[part] * kept, self.central[part] * kept
        size = max(_norm(backward), _norm(central))
        difference, error = np.abs(backward - central), self.error[part] * kept
        near = tolerance * size
        ok = bool(
            _norm(difference) <= near + _norm(error)
            and (difference <= near + error).all()  # a single one is not lost among many
        )
        return _Apart(size, difference, error, ok)

    def doubtful(self, part: slice, tolerance: float) -> NDArray[np.intp]:
        """What of an array deserves a look closer, and did not have it.

        That is what makes the difference, if it is too large, and all where rounding could hide it.
        """
        found = self._apart(part, tolerance)
        hidden = _norm(found.error) > tolerance * found.size > 0
        if found.ok and not hidden:
            return np.empty(0, np.intp)
        # What stays is not half of what is allowed.
        share = tolerance * found.size / (2 * found.difference.size**0.5)
        near = (found.difference <= share + found.error / 2) & (not hidden)
        index: NDArray[np.intp] = part.start + np.flatnonzero(~near & ~self.looked_at[part])
        return index

    def report(self, part: slice, shape: tuple[int, ...], tolerance: float) -> ParameterReport:
        """What is told of an array."""
        found = self._apart(part, tolerance)
        kinks = []
        for position in np.flatnonzero(self.is_kink[part]):
            index = tuple(int(i) for i in np.unravel_index(position, shape))
            at = part.start + position
            slopes = (self.below[at], self.above[at], self.backward[at])
            kinks.append(Kink(index, *map(float, slopes)))
        scale = found.size or 1.0
        error = _norm(found.error) if found.size else 0.0
        return ParameterReport(
            shape=shape,
            relative_error=_norm(found.difference) / scale,
            largest_difference=float(found.difference.max()),
            rounding=error / scale,
            kinks=tuple(kinks),
            ok=found.ok,
        )


def _norm(values: NDArray[np.float64]) -> float:
    """In the Euclidean norm, of numbers whose squares may be 0 or infinite, too."""
    largest = float(np.abs(values).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(values / largest))


class _Apart(NamedTuple):
    size: float  # of the larger gradient
    difference: NDArray[np.float64]
    error: NDArray[np.float64]  # that the central differences may have
    ok: bool


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"

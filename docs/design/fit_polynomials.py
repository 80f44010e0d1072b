"""Computes the polynomial coefficients of math-inl, periodic-inl and tanhshrink in cpp/kernels.

Usage: python docs/design/fit_polynomials.py [--check] [name ...]    (needs mpmath; half a minute)

Each polynomial p has the least possible max |w(x) (p(x) - f(x))| over an interval; w turns its
error into the relative error of the finished function (absolute for the tail of erf, which is
subtracted from 1). Remez' exchange finds it on a grid of 1,200 Chebyshev points, in 60 digits.

Rounding every coefficient to float or double on its own would cost accuracy. So the lowest is
rounded, the others are fitted again and make up for it, the next is rounded, and so on. The error
printed is the one after rounding, in units of 2^-24 (float) or 2^-53 (double), half an ulp of 1;
rounding errors of the evaluation come on top, and elementary_functions.md has the measured sum.

--check fails unless these files hold every number printed.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpmath import mp, mpf

mp.dps = 60
Function = Callable[[mpf], mpf]
BITS = {"float": 24, "double": 53}


@dataclass(frozen=True)
class Fit:
    """p(x) with `terms` coefficients, approximating `function` on [low, high] under `weight`."""

    function: Function
    weight: Function
    low: mpf
    high: mpf
    terms: dict[str, int]


def round_to(value: mpf, bits: int) -> mpf:
    with mp.workprec(bits):
        return +value


def literal(value: mpf, scalar: str) -> str:
    """The shortest decimal that reads back as the same number."""
    exact = float(value)
    if scalar == "double":
        return repr(exact)
    for digits in range(5, 10):
        text = f"{exact:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == exact:
            break
    return (text if any(c in text for c in ".e") else text + ".0") + "f"


def horner(coefficients: list[mpf], x: mpf) -> mpf:
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def remez(
    grid: list[mpf], values: list[mpf], weights: list[mpf], powers: list[int]
) -> dict[int, mpf]:
    """Coefficients of x^k for k in `powers` with the least max |w (p - f)| over the grid."""
    count = len(powers) + 1
    reference = [round(i * (len(grid) - 1) / (count - 1)) for i in range(count)]
    for _ in range(100):
        system = mp.matrix(count, count)
        right = mp.matrix(count, 1)
        for row, i in enumerate(reference):
            for column, k in enumerate(powers):
                system[row, column] = grid[i] ** k
            system[row, count - 1] = (-1) ** row / weights[i]
            right[row] = values[i]
        solution = mp.lu_solve(system, right)
        dense = [mpf(0)] * (powers[-1] + 1)
        for column, k in enumerate(powers):
            dense[k] = solution[column]
        errors = [w * (horner(dense, x) - f) for x, f, w in zip(grid, values, weights, strict=True)]
        # The largest error of every run of one sign. Of too many runs the least ones go: alone at
        # an end, else with the smaller neighbour, so that signs go on alternating.
        runs: list[int] = []
        for i, error in enumerate(errors):
            if runs and (error > 0) == (errors[runs[-1]] > 0):
                if abs(error) > abs(errors[runs[-1]]):
                    runs[-1] = i
            else:
                runs.append(i)
        sizes = [abs(errors[i]) for i in runs]
        while len(runs) > count:
            least = sizes.index(min(sizes))
            if len(runs) == count + 1 or least in (0, len(runs) - 1):
                drop = [0 if sizes[0] < sizes[-1] else len(runs) - 1]
            else:
                drop = [least, least + (1 if sizes[least + 1] < sizes[least - 1] else -1)]
            runs = [i for k, i in enumerate(runs) if k not in drop]
            sizes = [x for k, x in enumerate(sizes) if k not in drop]
        if len(runs) < count:
            raise ArithmeticError("Remez exchange lost an alternation")
        if max(map(abs, errors)) < abs(solution[count - 1]) * mpf("1.001"):
            return dict(zip(powers, solution[: count - 1], strict=True))
        reference = runs
    raise ArithmeticError("Remez exchange does not converge")


def fit(job: Fit, scalar: str, points: int = 1200) -> tuple[list[mpf], mpf]:
    """Rounded coefficients and the error they leave, lowest power rounded first."""
    middle, half = (job.high + job.low) / 2, (job.high - job.low) / 2
    grid = [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    values = [job.function(x) for x in grid]
    weights = [abs(job.weight(x)) for x in grid]
    done: list[mpf] = []
    while len(done) < job.terms[scalar]:
        rest = [f - horner(done, x) for x, f in zip(grid, values, strict=True)]
        powers = list(range(len(done), job.terms[scalar]))
        done.append(round_to(remez(grid, rest, weights, powers)[powers[0]], BITS[scalar]))
    error = max(w * abs(horner(done, x) - f) for x, f, w in zip(grid, values, weights, strict=True))
    return done, error


LN2 = mp.log(2)
# Half a percent beyond the exact interval, for arguments that rounding pushes over its ends.
HALF = LN2 / 2 * mpf("1.005")
# z = s^2 with s = (m - 1) / (m + 1) at m = sqrt(2).
Z_MAX = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.005")


def exp_tail(r: mpf) -> mpf:
    """(e^r - 1 - r) / r^2, by its series: no cancellation near 0."""
    term, total, k = mpf(1) / 2, mpf(0), 3
    while abs(term) > mpf(10) ** -58:
        total, term, k = total + term, term * r / k, k + 1
    return total


def exp_weight(r: mpf) -> mpf:
    """For e^r - 1, relative; fading beyond ln 2 / 2, where only the largest results are made."""
    fading = max(mpf(1), r / HALF) ** 3
    return r * r / (mp.expm1(r) * fading) if r else mpf("1e-30")


def atanh_tail(z: mpf) -> mpf:
    """(2 atanh(s) - 2 s) / s^3 for z = s^2."""
    term, total, k = mpf(1), mpf(0), 3
    while abs(term) > mpf(10) ** -58:
        total, term, k = total + 2 * term / k, term * z, k + 2
    return total


def erf_over_x(z: mpf) -> mpf:
    """erf(x) / x for z = x^2."""
    x = mp.sqrt(z)
    return mp.erf(x) / x


def atanh_weight(z: mpf) -> mpf:
    s = mp.sqrt(z)
    return s**3 / (2 * mp.atanh(s))


def shrink(z: mpf) -> mpf:
    """(x - tanh x) / x^3 for z = x^2."""
    x = mp.sqrt(z)
    with mp.workdps(200):  # x may be near 0
        return (x - mp.tanh(x)) / x**3


def sin_over_turn(z: mpf) -> mpf:
    """sin(2 pi r) / r for z = r^2."""
    r = mp.sqrt(z)
    return mp.sin(2 * mp.pi * r) / r


def cos_tail(z: mpf) -> mpf:
    """(cos(2 pi r) - 1) / z for z = r^2."""
    with mp.workdps(200):  # z may be near 0
        return (mp.cos(2 * mp.pi * mp.sqrt(z)) - 1) / z


def erf_tail_fit(scalar: str) -> Fit:
    # At the end 1 - erfc rounds to 1.
    end = {"float": mpf(4), "double": mpf(6)}[scalar]
    terms = {"float": 7, "double": 18}
    return Fit(lambda t: mp.log(mp.erfc(t)), mp.erfc, mpf(1), end, terms)


FITS: dict[str, Callable[[str], Fit]] = {
    # exp, expm1: e^r = 1 + r + r^2 p(r)
    "exp": lambda _: Fit(exp_tail, exp_weight, -HALF, 2 * HALF, {"float": 6, "double": 11}),
    # log: log((1 + s) / (1 - s)) = 2 s + s z p(z), z = s^2
    "log": lambda _: Fit(atanh_tail, atanh_weight, mpf(0), Z_MAX, {"float": 3, "double": 7}),
    # erf, |x| <= 1: erf(x) = x + x p(z), z = x^2
    "erf": lambda _: Fit(
        lambda z: erf_over_x(z) - 1,
        lambda z: 1 / erf_over_x(z),
        mpf(0),
        mpf("1.001"),
        {"float": 7, "double": 13},
    ),
    # tanhshrink, |x| <= 1: x - tanh(x) = x z p(z), z = x^2
    "tanhshrink": lambda _: Fit(
        shrink, lambda z: 1 / shrink(z), mpf(0), mpf("1.001"), {"float": 8, "double": 16}
    ),
    # sin and cos of a turn's eighth, |r| <= 1/8: sin(2 pi r) = r p(z), cos(2 pi r) = 1 + z p(z)
    "sin": lambda _: Fit(
        sin_over_turn,
        lambda z: 1 / sin_over_turn(z),
        mpf(0),
        mpf("1.001") / 64,
        {"float": 4, "double": 7},
    ),
    "cos": lambda _: Fit(
        cos_tail, lambda z: z, mpf(0), mpf("1.001") / 64, {"float": 4, "double": 7}
    ),
    # erf, |x| > 1: erf(|x|) = 1 - exp(p(|x|))
    "erf_tail": erf_tail_fit,
}


def main(arguments: list[str]) -> None:
    names = [a for a in arguments if a != "--check"] or list(FITS)
    printed: list[str] = []
    for scalar, bits in BITS.items():
        high = round_to(LN2, bits)
        constants = [round_to(1 / LN2, bits), high, round_to(LN2 - high, bits)]
        texts = [literal(c, scalar) for c in constants]
        print(f"{scalar}: log2(e) {texts[0]}, ln 2 {texts[1]} + {texts[2]}")
        printed += texts
    for name in names:
        for scalar, bits in BITS.items():
            coefficients, error = fit(FITS[name](scalar), scalar)
            texts = [literal(c, scalar) for c in coefficients]
            print(f"\n{name} {scalar}: error {mp.nstr(error * mpf(2) ** bits, 2)} * 2^-{bits}")
            print("\n".join(texts), flush=True)
            printed += texts
    if "--check" in arguments:
        kernels = Path(__file__).parents[2] / "cpp" / "kernels"
        files = [
            kernels / "math-inl.hpp",
            kernels / "periodic-inl.hpp",
            kernels / "formulas" / "activations" / "tanhshrink.hpp",
        ]
        text = "".join(file.read_text() for file in files)
        found = set(re.findall(r"-?[0-9][0-9.]*(?:e[-+]?[0-9]+)?f?", text))
        if missing := [each for each in printed if each not in found]:
            sys.exit(f"not in {', '.join(map(str, files))}: {missing}")


if __name__ == "__main__":
    main(sys.argv[1:])

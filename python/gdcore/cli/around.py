"""What goes around an update rule on the command line: penalties, wrappers, clipping, averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdcore import EMA, SAM, SWA, ClipNorm, ClipValue, Lookahead, Penalized
from gdcore._check import integer, real
from gdcore.averaging import Average
from gdcore.clipping import Clip
from gdcore.optimizers import Optimizer
from gdcore.solvers import Solver

if TYPE_CHECKING:
    from gdcore.cli.training import Options

__all__ = ["averaged", "clipped", "wrapped"]

_ALL = ("l1", "l2", "lookahead", "sam", "clip_grad_norm", "clip_value", "ema", "swa")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _given(options: Options, *names: str) -> list[str]:
    return [name for name in names if getattr(options, name) is not None]


def _not_both(options: Options, one: str, other: str) -> None:
    if len(_given(options, one, other)) == 2:
        raise ValueError(f"{_option(one)} and {_option(other)} must not be given together")


def wrapped(rule: Optimizer, options: Options) -> Optimizer:
    """The rule with what was said to go around it.

    Raises:
        TypeError: An option is of the wrong type.
        ValueError: One is out of its domain, or cannot go with the optimizer.
    """
    if isinstance(rule, Solver):
        for name in _given(options, *_ALL):
            raise ValueError(
                f"{_option(name)} is for optimizers that follow the gradient step by step, and "
                f"--optimizer {rule.name} does not"
            )
    l1, l2 = (
        0.0 if value is None else real(option, value, at_least=0)
        for option, value in (("--l1", options.l1), ("--l2", options.l2))
    )
    if l1 or l2:
        rule = Penalized(rule, l1=l1, l2=l2)
    if options.lookahead is not None:
        rule = Lookahead(rule, k=integer("--lookahead", options.lookahead))
    if options.sam is not None:
        rule = SAM(rule, rho=real("--sam", options.sam, at_least=0))
    return rule


def clipped(options: Options) -> Clip | None:
    """What limits gradients.

    Raises:
        TypeError: An option is of the wrong type.
        ValueError: One is out of its domain, or both are given.
    """
    _not_both(options, "clip_grad_norm", "clip_value")
    if options.clip_grad_norm is not None:
        return ClipNorm(real("--clip-grad-norm", options.clip_grad_norm, above=0))
    if options.clip_value is not None:
        return ClipValue(real("--clip-value", options.clip_value, above=0))
    return None


def averaged(options: Options) -> Average | None:
    """The average of the weights to keep.

    Raises:
        TypeError: An option is of the wrong type.
        ValueError: One is out of its domain, both are given, or no epoch would be taken in.
    """
    _not_both(options, "ema", "swa")
    if options.ema is not None:
        return EMA(real("--ema", options.ema, at_least=0, below=1))
    if options.swa is None:
        return None
    start = integer("--swa", options.swa)
    if start > options.epochs:
        raise ValueError(f"--swa must be at most --epochs, {options.epochs}, got {start}")
    return SWA(start)

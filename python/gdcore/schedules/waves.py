"""Schedules that go along a curve, down and up again or for one run."""

from __future__ import annotations

import math
from dataclasses import field
from typing import ClassVar, Literal

from gdcore._check import flag, flag_field, integer, real, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.schedules.base import Absolute, Schedule, later_field, per_field, whole
from gdcore.typing import Unit

__all__ = [
    "CosLog",
    "Cosine",
    "CosineWarmRestarts",
    "Cyclic",
    "FlatCos",
    "OneCycle",
]

Anneal = Literal["cos", "linear"]
CycleMode = Literal["triangular", "triangular2", "exp_range"]
_ANNEALS: tuple[Anneal, ...] = ("cos", "linear")
_MODES: tuple[CycleMode, ...] = ("triangular", "triangular2", "exp_range")
_MOST_CYCLES = 50  # of coslog: 2^cycles is exact, and far less than the steps of a run


def _around(time: float) -> list[int]:
    return [max(math.floor(time), 0), max(math.ceil(time), 0)]


@formula
class Cosine(Schedule):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / t_max)) / 2, then eta_min.

    PyTorch's ``CosineAnnealingLR``, but for what comes after t_max: there it rises again, as here
    where periodic.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
    2017, arXiv:1608.03983.

    Args:
        t_max: After how many epochs, or steps, eta_min is reached; 1 to 2^53.
        eta_min: The last rate, at least 0.
        per: ``"epoch"`` or ``"step"``.
        periodic: Rises again after t_max, back to lr_0 at 2 t_max, and so on.

    Raises:
        TypeError: t_max is no integer, eta_min no number or periodic no bool.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "cosine"
    t_max: int = field(metadata={"check": whole})
    eta_min: float = real_field(0.0, at_least=0)
    per: Unit = per_field()
    periodic: bool = later_field(False, flag)

    def turns(self) -> list[int]:
        """At eta_min, where it rises again."""
        return [self.t_max] if self.periodic else []

    def _repeats(self) -> bool:
        return self.periodic


@formula
class CosineWarmRestarts(Schedule):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t_cur / t_i)) / 2, again and again.

    t_cur is the time since the last restart, t_i that from it to the next: t_0 at first, then each
    t_mult times the one before. PyTorch's ``CosineAnnealingWarmRestarts``.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
    2017, arXiv:1608.03983.

    Args:
        t_0: How many epochs, or steps, the first takes; 1 to 2^53.
        t_mult: By what the time grows, at least 1.
        eta_min: The least rate, at least 0; each restart is one step before it.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: t_0 or t_mult is no integer, or eta_min no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "cosine_warm_restarts"
    t_0: int = field(metadata={"check": whole})
    t_mult: int = field(default=1, metadata={"check": whole})
    eta_min: float = real_field(0.0, at_least=0)
    per: Unit = per_field()

    def turns(self) -> list[int]:
        """The first restart."""
        return [self.t_0]

    def _repeats(self) -> bool:
        return True

    def _extremes(self, base: float) -> tuple[float, float]:
        return min(base, self.eta_min), max(base, self.eta_min)


def _optional(argument: str, value: object) -> int | None:
    return None if value is None else whole(argument, value)


def _cycle_mode(argument: str, value: object) -> CycleMode:
    return choice(argument, value, _MODES)


@formula
class Cyclic(Schedule):
    """lr_t = lr_0 + (max_lr - lr_0) h(t) s(t), where h rises from 0 to 1 and falls back in cycles.

    s is 1 for ``"triangular"``, 2^-c in cycle c, from 0 on, for ``"triangular2"``, and gamma^t for
    ``"exp_range"``. PyTorch's ``CyclicLR``, whose base_lr is the optimizer's rate here.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    arXiv:1506.01186.

    Args:
        max_lr: The largest rate, at least 0; of another hyperparameter its largest value, or where
            it is below what that starts from, its least.
        step_size_up: In how many epochs, or steps, it rises; 1 to 2^53. PyTorch's default is 2000.
        step_size_down: In how many it falls; None: in as many.
        mode: ``"triangular"``, ``"triangular2"`` or ``"exp_range"``.
        gamma: For ``"exp_range"``, within 0 and 1.
        cycle_momentum: Momentum, or ``betas[0]`` of rules that have it, goes the other way: from
            max_momentum to base_momentum and back. True by default in PyTorch.
        base_momentum: Its least, within [0, 1).
        max_momentum: Its largest, within [0, 1).
        per: ``"epoch"`` or ``"step"``, which is what PyTorch's examples count.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in a trainer, cycle_momentum is True and the
            optimizer has neither momentum nor betas.
    """

    name: ClassVar[str] = "cyclic"
    max_lr: float = field(metadata={"check": lambda name, value: real(name, value, at_least=0)})
    step_size_up: int = field(metadata={"check": whole})
    step_size_down: int | None = field(default=None, metadata={"check": _optional})
    mode: CycleMode = field(default="triangular", metadata={"check": _cycle_mode})
    gamma: float = real_field(1.0, at_least=0, at_most=1)
    cycle_momentum: bool = flag_field(False)
    base_momentum: float = real_field(0.8, at_least=0, below=1)
    max_momentum: float = real_field(0.9, at_least=0, below=1)
    per: Unit = per_field()

    def parameters(self) -> list[float]:
        """The largest value, times, mode and gamma, and NaN for what it starts from."""
        return self._numbers(self.max_lr, math.nan)

    def turns(self) -> list[int]:
        """In the first cycle."""
        down = self.step_size_down or self.step_size_up
        return [self.step_size_up, self.step_size_up + down]

    def _numbers(self, most: float, start: float) -> list[float]:
        down = self.step_size_down or self.step_size_up
        mode = float(_MODES.index(self.mode))
        return [most, float(self.step_size_up), float(down), mode, self.gamma, start]

    def _repeats(self) -> bool:
        return True

    def _extremes(self, base: float) -> tuple[float, float]:
        return min(base, self.max_lr), max(base, self.max_lr)

    def _momentum(self) -> Schedule | None:
        if not self.cycle_momentum:
            return None
        both = (self.base_momentum, self.max_momentum)
        return Absolute(self.per, (self.name, self._numbers(*both), []), both)


def _anneal(argument: str, value: object) -> Anneal:
    return choice(argument, value, _ANNEALS)


@formula
class OneCycle(Schedule):
    """lr_t = lr_0 / div_factor, rising to lr_0, then falling to a last rate far below.

    lr_0 is the largest rate, PyTorch's max_lr; at t = 0 it is lr_0 / div_factor, lr_0 at
    pct_start total_steps - 1, and lr_0 / (div_factor final_div_factor) at total_steps - 1. With
    three_phase it falls to lr_0 / div_factor in as much time as it rose, and to the last rate in
    what is left. Between them along cosines or lines, as PyTorch's ``OneCycleLR``; after
    total_steps the last rate stays, which `Trainer.fit` warns of, where PyTorch raises.

    Source: Smith and Topin, "Super-convergence: Very fast training of neural networks using large
    learning rates", 2017, arXiv:1708.07120.

    Args:
        total_steps: How many epochs, or steps, the cycle takes; 1 to 2^53.
        pct_start: Share of them in which it rises, above 0 and below 1.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: Momentum, or ``betas[0]`` of rules that have it, goes the other way: from
            max_momentum to base_momentum and back. True by default in PyTorch.
        base_momentum: Its least, within [0, 1).
        max_momentum: Its largest, within [0, 1).
        div_factor: What lr_0 is divided by at t = 0, above 0.
        final_div_factor: What that rate is divided by at the end, above 0.
        three_phase: Falls in two phases.
        per: ``"epoch"`` or ``"step"``, which is what PyTorch's examples count.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in a trainer, cycle_momentum is True and the
            optimizer has neither momentum nor betas.
    """

    name: ClassVar[str] = "one_cycle"
    total_steps: int = field(metadata={"check": whole})
    pct_start: float = real_field(0.3, above=0, below=1)
    anneal_strategy: Anneal = field(default="cos", metadata={"check": _anneal})
    cycle_momentum: bool = flag_field(False)
    base_momentum: float = real_field(0.85, at_least=0, below=1)
    max_momentum: float = real_field(0.95, at_least=0, below=1)
    div_factor: float = real_field(25.0, above=0)
    final_div_factor: float = real_field(1e4, above=0)
    three_phase: bool = flag_field(False)
    per: Unit = per_field()

    def parameters(self) -> list[float]:
        """Times and ways, then the three rates as shares of the largest."""
        first = 1 / self.div_factor
        return [*self._numbers(), first, 1.0, first / self.final_div_factor, 0.0]

    def turns(self) -> list[int]:
        """Around the peak and the end of the second phase, and at the end."""
        peak = self.pct_start * self.total_steps
        back = _around(2 * peak - 2) if self.three_phase else []
        return [*_around(peak - 1), *back, self.total_steps - 1]

    def ends(self) -> int | None:
        """After total_steps."""
        return self.total_steps

    def _numbers(self) -> list[float]:
        linear = float(self.anneal_strategy == "linear")
        return [float(self.total_steps), self.pct_start, linear, float(self.three_phase)]

    def _momentum(self) -> Schedule | None:
        if not self.cycle_momentum:
            return None
        low, high = both = (self.base_momentum, self.max_momentum)
        return Absolute(self.per, (self.name, [*self._numbers(), high, low, high, 1.0], []), both)


@formula
class FlatCos(Schedule):
    """lr_t = lr_0 until pct_start total_steps, then down along a cosine to lr_0 end_factor.

    fastai's ``fit_flat_cos``, where end_factor is 1 / div_final. After total_steps the last rate
    stays, which `Trainer.fit` warns of.

    Args:
        total_steps: How many epochs, or steps, both take; 1 to 2^53.
        pct_start: Share of them that is flat, at least 0 and below 1.
        end_factor: Share of lr_0 at the end, at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: total_steps is no integer or another argument no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "flat_cos"
    total_steps: int = field(metadata={"check": whole})
    pct_start: float = real_field(0.75, at_least=0, below=1)
    end_factor: float = real_field(1e-5, at_least=0)
    per: Unit = per_field()

    def turns(self) -> list[int]:
        """Where both end."""
        return [*_around(self.pct_start * self.total_steps), self.total_steps]

    def ends(self) -> int | None:
        """After total_steps."""
        return self.total_steps


def _cycles(argument: str, value: object) -> int:
    return integer(argument, value, at_most=_MOST_CYCLES)


@formula
class CosLog(Schedule):
    """lr_t = lr_0 (1 - cos(2 pi log2(1 + (2^cycles - 1) t / total_steps))) / 2, then 0.

    It begins at 0 and rises and falls in cycles, each twice as long as the one before.

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by default: Strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491, for 4 cycles and t in steps.

    Args:
        total_steps: How many epochs, or steps, all cycles take; 1 to 2^53.
        cycles: How many there are, 1 to 50.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: total_steps or cycles is no integer.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "coslog"
    total_steps: int = field(metadata={"check": whole})
    cycles: int = field(default=4, metadata={"check": _cycles})
    per: Unit = per_field()

    def turns(self) -> list[int]:
        """Around each top and each bottom."""
        halves = (2 ** (j / 2) - 1 for j in range(1, 2 * self.cycles + 1))
        share = self.total_steps / (2**self.cycles - 1)
        return [time for half in halves for time in _around(half * share)]

    def ends(self) -> int | None:
        """After total_steps."""
        return self.total_steps

    def _extremes(self, base: float) -> tuple[float, float]:
        return 0.0, base

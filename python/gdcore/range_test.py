"""Finding a learning rate: train with ever larger ones, and see where the loss falls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gdcore import _html
from gdcore._check import checked_path, integer, real
from gdcore.callbacks import Callback
from gdcore.profiling.palette import COLOURS, GREY, Picture, drawn
from gdcore.profiling.tables import Table
from gdcore.training import Trainer
from gdcore.typing import Inputs

__all__ = ["RangeTest", "lr_range_test"]


def __dir__() -> list[str]:
    return __all__


_KEPT = 0.98  # of the running mean of the losses, at each step
_EVEN = 12  # rows of a table


@dataclass(frozen=True, repr=False)
class RangeTest:
    """What `lr_range_test` saw; in notebooks it is a curve and a table.

    Attributes:
        lr: (K,), the learning rate of each step, ever larger.
        loss: (K,), the loss of the step's batch before it.
        smoothed: (K,), a running mean of it.
        suggestion: A learning rate to begin with; None where the loss never fell.
    """

    lr: NDArray[np.float64]
    loss: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float | None

    def table(self) -> Table:
        """A dozen of the steps, evenly apart: rate, loss and its running mean."""
        chosen = np.unique(np.linspace(0, len(self.lr) - 1, _EVEN).round().astype(int))
        return Table(
            {
                "lr": f"{self.lr[i]:.3g}",
                "loss": float(self.loss[i]),
                "smoothed": float(self.smoothed[i]),
            }
            for i in chosen
        )

    @overload
    def plot(self) -> Picture: ...

    @overload
    def plot(self, path: str | os.PathLike[str]) -> None: ...

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture | None:
        """Draws the loss over the learning rate, and where the suggestion is.

        Args:
            path: Where to: .png, .svg or .pdf by its ending. None returns the picture, which
                notebooks show.

        Raises:
            ImportError: matplotlib is not installed; the extra ``profile`` has it.
            ValueError: The ending is of no known format.
        """
        into = Picture() if path is None else Path(checked_path(path))
        with drawn(into, 7.5, 4.2) as figure:
            axes = figure.subplots()
            axes.semilogx(self.lr, self.loss, ".", color=GREY, markersize=4, label="of each batch")
            axes.semilogx(self.lr, self.smoothed, color=COLOURS["forward"], label="running mean")
            if self.suggestion is not None:
                at = int(np.abs(self.lr - self.suggestion).argmin())
                axes.semilogx(
                    self.suggestion,
                    self.smoothed[at],
                    "o",
                    color=COLOURS["backward"],
                    label=f"suggestion {self.suggestion:.2g}",
                )
            shown = self.smoothed[np.isfinite(self.smoothed)]
            low, high = float(shown.min()), float(np.median(shown))
            room = max(high - low, 1e-3 * abs(high), 1e-12)
            axes.set_ylim(low - 0.3 * room, high + 2 * room)
            axes.set_xlabel("learning rate")
            axes.set_ylabel("loss")
            axes.set_title("Loss of steps with ever larger learning rates")
            axes.grid(True)
            axes.legend(fontsize=9, loc="upper left")
        return into if isinstance(into, Picture) else None

    def __repr__(self) -> str:
        told = "none" if self.suggestion is None else f"{self.suggestion:.3g}"
        return (
            f"<range test of {len(self.lr)} steps, lr from {self.lr[0]:.3g} to {self.lr[-1]:.3g}, "
            f"suggestion {told}>"
        )

    def _repr_html_(self) -> str:
        told = "none: the loss never fell" if self.suggestion is None else f"{self.suggestion:.3g}"
        return _html.items([f"suggested learning rate: {told}"]) + self.table().to_html()


def lr_range_test(
    trainer: Trainer,
    x: Inputs,
    y: Inputs,
    *,
    batch_size: int = 32,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    stop_factor: float = 4.0,
    sample_weight: Inputs | None = None,
) -> RangeTest:
    """Trains a copy with ever larger learning rates and suggests one to begin with.

    lr_i = start_lr (end_lr / start_lr)^(i / (steps - 1)), i = 0 ... steps - 1

    It ends early where the running mean of the losses is stop_factor times the lowest so far, or a
    loss is not finite. Batches go over the samples as in `Trainer.fit`, as many epochs as it takes.
    The trainer and its network stay as they are; its optimizer's state, groups and clipping are
    those of the copy, its schedule and average are not.

    The suggestion is the "valley": of the longest row of steps of which each has a lower running
    mean than the one before, gaps allowed, the step in the middle of its second third. The first
    tenth of the steps and the last five do not count, as long as others are left.

    >>> found = gdcore.lr_range_test(trainer, x, y)
    >>> trainer.lr = found.suggestion

    Sources: Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    arXiv:1506.01186; the valley is that of fastai's ``lr_find``, as are the running mean (0.98,
    without bias at its beginning) and the numbers here.

    Args:
        trainer: Whose network, loss and optimizer; it must have a loss.
        x: As in `Trainer.step`.
        y: As in `Trainer.step`.
        batch_size: As in `Trainer.fit`, at least 1.
        start_lr: The first rate, above 0.
        end_lr: The last one, above start_lr.
        steps: How many there are at most, at least 10.
        stop_factor: Ends where the loss is so many times the lowest; above 1.
        sample_weight: As in `Trainer.step`.

    Raises:
        RuntimeError: The trainer has no loss, or it learned nothing: the first loss was not finite.
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or an array wrong as in `Trainer.fit`.
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a gdcore.Trainer, got {type(trainer).__name__}")
    if trainer.loss is None:
        raise RuntimeError("this trainer has no loss: use backward and apply_gradients")
    first = real("start_lr", start_lr, above=0)
    last = real("end_lr", end_lr, above=first)
    count = integer("steps", steps, at_least=10)
    most = real("stop_factor", stop_factor, above=1)
    # Exact to more digits than a float has: the same rates on every machine.
    ratio = Decimal(last) / Decimal(first)
    rates = [float(Decimal(first) * ratio ** (Decimal(i) / (count - 1))) for i in range(count)]
    seen = _Climb(rates, most)
    own = _copy(trainer)
    own.lr = rates[0]
    with contextlib.suppress(FloatingPointError):
        own.fit(
            x,
            y,
            epochs=count,
            batch_size=integer("batch_size", batch_size),
            sample_weight=sample_weight,
            callbacks=[seen],
            progress=False,
        )
    if not seen.losses:
        raise RuntimeError("the loss of the first batch is not finite: there is nothing to see")
    done = len(seen.losses)
    return RangeTest(
        np.array(rates[:done]),
        np.array(seen.losses),
        np.array(seen.smoothed),
        _suggestion(rates[:done], seen.smoothed),
    )


class _Climb(Callback):
    """Raises the rate after each batch, until the loss does."""

    def __init__(self, rates: list[float], stop_factor: float) -> None:
        self.rates = rates
        self.stop_factor = stop_factor
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._mean, self._weight = 0.0, 1.0

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        """Takes the loss in, and sets the rate of the next step."""
        self._mean = _KEPT * self._mean + (1 - _KEPT) * loss
        self._weight *= _KEPT
        self.losses.append(loss)
        self.smoothed.append(self._mean / (1 - self._weight))
        done = len(self.losses)
        if done == len(self.rates) or self.smoothed[-1] > self.stop_factor * min(self.smoothed):
            trainer.stop()
        else:
            trainer.lr = self.rates[done]


def _copy(trainer: Trainer) -> Trainer:
    """A trainer that goes on from the same parameters and the optimizer's state."""
    network = trainer.network._again()
    network.load_state_dict(trainer.network.state_dict())
    made = Trainer(  # of a subclass, which may take other arguments, too
        network,
        trainer.loss,
        trainer.optimizer,
        loss_weights=trainer.loss_weights,
        matmul_precision=trainer.matmul_precision,
        clip=trainer.clip,
        seed=trainer.seed,
        groups=trainer.groups,
        num_threads=trainer._num_threads,
    )
    (position_steps, epochs, *_), _, states = trainer._native.copy()
    native: Any = made._native
    for index, state in enumerate(states[: native.states]):  # an average, the last, is not needed
        for key, values in state.items():
            native.set_state(index, key, values)
    native.set_position(position_steps, epochs, trainer.lr, 1.0, 1.0)
    return made


def _suggestion(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    skipped = len(losses) // 10
    if len(losses) - skipped - 5 >= 5:
        rates, losses = rates[skipped:-5], losses[skipped:-5]
    place = valley(losses)
    return None if place is None else rates[place]


def valley(losses: Sequence[float]) -> int | None:
    """The place in the middle of the second third of the longest fall; None where there is none."""
    longest = [1] * len(losses)  # fall that ends there, of losses in order but not side by side
    for i, loss in enumerate(losses):
        longest[i] += max((longest[j] for j in range(i) if losses[j] > loss), default=0)
    most = max(longest, default=0)
    if most < 2:
        return None
    end = longest.index(most)
    begin = end - most
    third = (end - begin) / 3
    return max(0, begin + int(third) + int(third / 2))

"""How much faster steps become with more threads, and what keeps them from it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._check import integer, listed, real
from gdcore._frames import array, ordered
from gdcore.benchmark.turns import in_turns, repeated
from gdcore.files import checked_path
from gdcore.profiling.palette import Picture
from gdcore.profiling.records import Machine
from gdcore.profiling.tables import Table
from gdcore.typing import Inputs

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["AmdahlFit", "ScalingStudy", "fit_amdahl", "scaling_study"]

_BATCH_SIZES = (32, 128, 512, 2048)
_MOST_ERROR, _MOST_RESIDUAL = 0.2, 0.25  # of a fit that tells something
_MOST_BATCHES = 64  # that take turns; more would only take memory


@dataclass(frozen=True)
class AmdahlFit:
    """Amdahl's law, T(n) = T(1) (s + (1 - s) / n), through measured times.

    Source: Amdahl, "Validity of the single processor approach to achieving large scale computing
    capabilities", AFIPS 1967.

    Attributes:
        serial_share: s, of a step on one thread, through the medians of the rounds. Below 0 where
            threads help more than they should: each then has caches of its own.
        error: The standard error of the shares that each round has by itself; None for a single
            round.
        residual: Root mean square of (measured - fitted) / measured over numbers of threads, of
            medians. With two numbers it is 0: they determine the line, and the error tells only how
            much the rounds differ.
        seconds: T(1), of a step.
    """

    serial_share: float
    error: float | None
    residual: float
    seconds: float

    @property
    def conclusive(self) -> bool:
        """Whether the times tell a share.

        They do not where its standard error is above 20 points and above half of the share, where
        the law is off by more than a quarter, or where no time would be left on one thread.
        """
        share, error = self.serial_share, self.error
        if not (math.isfinite(share) and self.seconds > 0 and self.residual <= _MOST_RESIDUAL):
            return False
        return error is None or error <= max(_MOST_ERROR, abs(share) / 2)

    @property
    def largest_speed_up(self) -> float:
        """1 / s: what no number of threads exceeds; infinite where s is not above 0."""
        return 1 / self.serial_share if self.serial_share > 0 else math.inf

    def speed_up(self, threads: ArrayLike) -> NDArray[np.float64]:
        """T(1) / T(n)."""
        n = np.asarray(threads, float)
        found: NDArray[np.float64] = 1 / (self.serial_share + (1 - self.serial_share) / n)
        return found

    def __str__(self) -> str:
        """The share with its error, or why there is none to tell."""
        if not self.conclusive:
            off = self.residual > _MOST_RESIDUAL
            why = "the times do not follow Amdahl's law" if off else "the rounds differ too much"
            return f"no serial share can be told: {why}"
        if self.serial_share > 1:  # of what is there, it would be more than all
            return "more threads make it slower"
        error = "" if self.error is None else f" ± {100 * self.error:.1f}"
        return f"serial share {100 * self.serial_share:.1f}{error} %"


def fit_amdahl(threads: Sequence[int], seconds: NDArray[np.float64]) -> AmdahlFit | None:
    """Fits Amdahl's law by least squares, round by round.

    Args:
        threads: (K,), different numbers.
        seconds: (R, K), of a step in each round.

    Returns:
        None where there are fewer than two numbers.
    """
    if len(set(threads)) < 2:
        return None
    inverse = 1 / np.asarray(threads, float)
    design = np.stack([np.ones_like(inverse), inverse], axis=1)  # T(n) = a + b / n
    (a, b), *_ = np.linalg.lstsq(design, seconds.T, rcond=None)
    shares = a / (a + b)
    error = float(shares.std(ddof=1) / math.sqrt(len(shares))) if len(shares) > 1 else None
    middle = np.median(seconds, axis=0)
    (a0, b0), *_ = np.linalg.lstsq(design, middle, rcond=None)
    residual = (middle - (a0 + b0 * inverse)) / middle
    return AmdahlFit(
        float(a0 / (a0 + b0)), error, float(np.sqrt((residual**2).mean())), float(a0 + b0)
    )


@dataclass(frozen=True)
class ScalingStudy:
    """What `scaling_study` measured; printed, it is a table.

    Attributes:
        threads: Numbers of threads, 1 among them.
        batch_sizes: Samples of a step.
        seconds: (batches, rounds, threads), of a step.
        workers: (batches, threads), how many the step really used.
        fits: For each batch size; None where fewer than two numbers of threads are within the CPUs.
        cpus: As many as may be used at once; larger numbers of threads take no part in fits.
    """

    threads: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    seconds: NDArray[np.float64]
    workers: NDArray[np.int64]
    fits: tuple[AmdahlFit | None, ...]
    cpus: int

    def table(self) -> Table:
        """A row for each batch size and number of threads.

        Microseconds a step (medians), speed-up over one thread, efficiency (speed-up over threads),
        samples a second, how far the rounds lie apart (half of the middle 50 %), and how many
        workers the step really used: small steps use fewer than they may.
        """
        rows = Table()
        for i, batch in enumerate(self.batch_sizes):
            middle = np.median(self.seconds[i], axis=0)
            low, high = np.quantile(self.seconds[i], [0.25, 0.75], axis=0)
            one = middle[self.threads.index(1)]
            for k, threads in enumerate(self.threads):
                rows.append(
                    {
                        "batch": batch,
                        "threads": threads,
                        "us/step": float(middle[k]) * 1e6,
                        "speed-up": float(one / middle[k]),
                        "efficiency %": 100 * float(one / middle[k]) / threads,
                        "samples/s": round(batch / float(middle[k])),
                        "+- %": 50 * float((high[k] - low[k]) / middle[k]),
                        "workers": int(self.workers[i, k]),
                        "note": "" if threads <= self.cpus else f"only {self.cpus} CPUs",
                    }
                )
        return rows

    def __str__(self) -> str:
        """The table, and under it the fits."""
        lines = [str(self.table()), ""]
        for batch, fit in zip(self.batch_sizes, self.fits, strict=True):
            if fit is None:
                lines.append(f"batch {batch}: no fit, which needs two numbers of threads on CPUs")
                continue
            if not fit.conclusive:
                lines.append(f"batch {batch}: {fit}")
                continue
            most = fit.largest_speed_up
            limit = (
                ", no limit in sight" if math.isinf(most) else f", at most {most:.1f} times faster"
            )
            if most < 1:
                limit = ""  # the fit says it
            within = sum(count <= self.cpus for count in self.threads)
            off = (
                f"the fit is off by {100 * fit.residual:.1f} %"
                if within > 2
                else "two numbers of threads fit any line"
            )
            lines.append(f"batch {batch}: {fit}{limit}; {off}")
        return "\n".join(lines)

    @overload
    def plot(self) -> Picture: ...

    @overload
    def plot(self, path: str | os.PathLike[str]) -> None: ...

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture | None:
        """Draws the speed-up over threads with the fits.

        Args:
            path: Where to: .png, .svg or .pdf by its ending. None returns the picture, which
                notebooks show.

        Raises:
            ImportError: matplotlib is not installed; the extra ``profile`` has it.
            ValueError: The ending is of no known format.
        """
        from gdcore.profiling.scaling_plot import plot_scaling

        into = Picture() if path is None else Path(checked_path(path))
        plot_scaling(self, into)
        return into if isinstance(into, Picture) else None


def scaling_study(
    trainer: Trainer,
    x: Inputs,
    y: Inputs,
    *,
    threads: Iterable[int] = (1, 2, 4),
    batch_sizes: Iterable[int] | None = None,
    rounds: int = 5,
    seconds: float = 0.1,
) -> ScalingStudy:
    """Measures training steps on several numbers of threads and fits Amdahl's law.

    Steps are those of copies of the trainer with the same layers, loss, optimizer, groups and
    precision; the trainer itself stays as it is. Numbers of threads take turns, and batches go over
    the samples.

    >>> study = gdcore.scaling_study(trainer, x, y, threads=(1, 2, 4))
    >>> print(study)
    >>> study.plot("scaling.png")

    Args:
        trainer: Whose steps; it must have a loss.
        x: As in `Trainer.step`.
        y: As in `Trainer.step`.
        threads: Numbers of threads, at least 1 each; 1 is measured in any case.
        batch_sizes: Samples of a step, 1 to N each; None: those of 32, 128, 512, 2048 that there
            are samples for, or N.
        rounds: How often everything is measured, at least 1.
        seconds: About how long each measurement takes, above 0.

    Raises:
        RuntimeError: The trainer has no loss.
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or x or y is not right.
    """
    from gdcore.training import Trainer as Kind

    if not isinstance(trainer, Kind):
        raise TypeError(f"trainer must be a gdcore.Trainer, got {type(trainer).__name__}")
    numbers = _integers("threads", threads, "numbers of threads", 1024)
    rounds = integer("rounds", rounds)
    seconds = real("seconds", seconds, above=0)
    x = ordered(x, "x", trainer.network.feature_names, trainer.network.dtype)
    samples = trainer._native.prepare(x, y, None, ("x", "y", "sample_weight")).samples
    if batch_sizes is None:
        sizes = tuple(size for size in _BATCH_SIZES if size <= samples) or (samples,)
    else:
        sizes = _integers("batch_sizes", batch_sizes, "batch sizes", samples)
    numbers = tuple(sorted({1, *numbers}))
    x = _ready(x, "x", trainer.network.dtype)  # else every step would copy its rows
    y = _ready(y, "y", None)
    measured, workers = [], []
    for size in sizes:
        copies = {count: same_steps(trainer, count) for count in numbers}
        measures = {
            count: repeated(_step(copy, x, y, size, samples), seconds)
            for count, copy in copies.items()
        }
        found = in_turns(measures, rounds)
        measured.append([[found[count][i] for count in numbers] for i in range(rounds)])
        workers.append([copies[count]._native.num_workers(size) for count in numbers])
    cpus = Machine.this().cpus
    times = np.array(measured)
    within = [k for k, count in enumerate(numbers) if count <= cpus]
    fits = tuple(fit_amdahl([numbers[k] for k in within], each[:, within]) for each in times)
    return ScalingStudy(numbers, sizes, times, np.array(workers), fits, cpus)


def _integers(argument: str, values: Any, what: str, at_most: int) -> tuple[int, ...]:
    row = listed(argument, values, what)
    if not row:
        raise ValueError(f"{argument} must hold {what}, got none")
    found = [integer(f"{argument}[{i}]", each, at_most=at_most) for i, each in enumerate(row)]
    return tuple(dict.fromkeys(found))


def same_steps(trainer: Trainer, threads: int, **shared: Any) -> Trainer:
    """A trainer that does the same steps, from the same parameters, however ranks share it."""
    from gdcore.training import Trainer as Kind  # a subclass may take other arguments

    own = trainer.network
    network = own._again()
    network.load_state_dict(own.state_dict())
    return Kind(
        network,
        trainer.loss,
        trainer.optimizer,
        loss_weights=trainer.loss_weights,
        matmul_precision=trainer.matmul_precision,
        clip=trainer.clip,
        average=trainer.average,
        groups=trainer.groups,
        num_threads=threads,
        **shared,
    )


def _ready(given: Any, name: str, dtype: Any) -> Any:
    """An array as it is taken without a copy; of a dict each one as an array."""
    if isinstance(given, Mapping):
        return {key: array(each, name) for key, each in given.items()}
    return np.ascontiguousarray(array(given, name), dtype)


def _rows(given: Any, begin: int, end: int) -> Any:
    if isinstance(given, Mapping):
        return {key: each[begin:end] for key, each in given.items()}
    return given[begin:end]


def _step(trainer: Trainer, x: Any, y: Any, size: int, samples: int) -> Any:
    # Of a batch of more than half the samples there are several, which overlap.
    last = samples - size
    starts = np.linspace(0, last, max(2, min(samples // size, _MOST_BATCHES)), dtype=int)
    batches = [(_rows(x, i, i + size), _rows(y, i, i + size)) for i in starts]

    def step(number: int) -> None:
        trainer.step(*batches[number % len(batches)])

    return step

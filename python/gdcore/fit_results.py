"""What `gdcore.fit_many` returns: an entry a network, and all of them as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from gdcore import _html
from gdcore._check import integer
from gdcore._names import choice
from gdcore.history import History
from gdcore.typing import EnsembleAverage, FiguresOf, Mode

if TYPE_CHECKING:
    from gdcore.callbacks import Callback
    from gdcore.ensembles import Ensemble
    from gdcore.training import Trainer

__all__ = ["FitResult", "FitResults", "Spread"]


def __dir__() -> list[str]:
    return __all__


OF: tuple[FiguresOf, ...] = ("best", "last")


class Spread(NamedTuple):
    """How a figure is spread over networks.

    Attributes:
        mean: Of them all.
        deviation: The standard deviation, with n - 1; NaN of one network.
        least: The smallest.
        most: The largest.
        networks: How many they are.
    """

    mean: float
    deviation: float
    least: float
    most: float
    networks: int


@dataclass(frozen=True, eq=False)
class FitResult:
    """One of many networks, after `gdcore.fit_many`.

    Attributes:
        index: Its place in what was given.
        trainer: None where it was to be made by a function and that failed.
        history: Of the epochs that were finished, as `Trainer.fit` returns it.
        error: What ended it, else None.
        seconds: How long its epochs took, while others were trained beside it.
        callbacks: Its own.
    """

    index: int
    trainer: Trainer | None
    history: History
    error: Exception | None
    seconds: float
    callbacks: tuple[Callback, ...] = ()
    _higher: dict[str, bool | None] = field(default_factory=dict, repr=False)

    @property
    def epochs(self) -> int:
        """How many were finished."""
        return max(map(len, self.history.values()), default=0)

    @property
    def last(self) -> dict[str, float]:
        """The figures of the last epoch; empty where none was finished."""
        return {key: row[-1] for key, row in self.history.items()}

    @property
    def best(self) -> dict[str, float]:
        """Each figure of the epoch where it was best.

        A figure of which nobody knows whether higher is better, as of a metric of one's own, is
        missing.
        """
        told = {key: row for key, row in self.history.items() if self._higher.get(key) is not None}
        return {key: _best(row, higher=bool(self._higher[key])) for key, row in told.items()}

    def __repr__(self) -> str:
        told = ", ".join(f"{key}={value:.5g}" for key, value in self.last.items())
        ended = "" if self.error is None else f", error={self.error!r}"
        return f"FitResult({self.index}, epochs={self.epochs}{told and ', '}{told}{ended})"


class FitResults(Sequence[FitResult]):
    """What `gdcore.fit_many` returns: a sequence with an entry for each network, in order.

    Printed, and in notebooks, it is the table of `table`.
    """

    def __init__(self, results: Sequence[FitResult]) -> None:
        self._results = tuple(results)

    @overload
    def __getitem__(self, index: int) -> FitResult: ...
    @overload
    def __getitem__(self, index: slice) -> FitResults: ...
    def __getitem__(self, index: int | slice) -> FitResult | FitResults:
        """One of them, or some as an object of this kind."""
        found = self._results[index]
        return FitResults(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[FitResult]:
        return iter(self._results)

    @property
    def failed(self) -> list[FitResult]:
        """Those that an exception ended."""
        return [each for each in self if each.error is not None]

    def best(
        self, monitor: str = "val_loss", *, of: FiguresOf = "last", mode: Mode = "auto"
    ) -> FitResult:
        """The network whose figure is best, of those that no exception ended.

        Args:
            monitor: A key of the histories.
            of: ``"last"``: its value after the last epoch; ``"best"``: the best of each network, as
                `gdcore.callbacks.EarlyStopping` restores it.
            mode: ``"min"``: lower is better; ``"max"``: higher; ``"auto"``: as the figure says.

        Raises:
            TypeError: monitor is no string.
            ValueError: No network has such a figure as a number, or nobody knows its direction.
        """
        choice("mode", mode, ("auto", "min", "max"))
        choice("of", of, OF)
        having = self._having(monitor)
        higher = having[0]._higher.get(monitor) if mode == "auto" else mode == "max"
        if higher is None:
            raise ValueError(
                f"mode must be 'min' or 'max' for {monitor!r}, got 'auto': nothing says whether it "
                "is better higher or lower"
            )

        def figure(result: FitResult) -> float:
            row = result.history[monitor]
            return _best(row, higher=higher) if of == "best" else row[-1]

        able = [each for each in having if not math.isnan(figure(each))]
        if not able:
            raise ValueError(f"no network has {monitor!r} as a number")
        return (max if higher else min)(able, key=figure)

    def spread(self, monitor: str = "val_loss", *, of: FiguresOf = "last") -> Spread:
        """Mean and spread of a figure over the networks that no exception ended.

        Args:
            monitor: A key of the histories.
            of: ``"last"``: its value after the last epoch; ``"best"``: the best of each network.

        Raises:
            TypeError: monitor is no string.
            ValueError: No network has such a figure, or of="best" of one without a direction.
        """
        choice("of", of, OF)
        having = self._having(monitor)
        if of == "best" and having[0]._higher.get(monitor) is None:
            raise ValueError(
                f"of must be 'last' for {monitor!r}, got 'best': nothing says whether it is better "
                "higher or lower"
            )
        return spread_of([getattr(each, of)[monitor] for each in having])

    def ensemble(self, *, average: EnsembleAverage = "auto") -> Ensemble:
        """The networks that no exception ended as one model, see `gdcore.Ensemble`.

        Of trainers that keep an average of the weights these are copies with the averaged ones, by
        which they were judged.

        Raises:
            ValueError: There is none, or they are not of the same inputs and outputs.
        """
        from gdcore.ensembles import Ensemble

        trainers = [each.trainer for each in self if each.error is None and each.trainer]
        networks = [each.averaged if each.has_average else each.network for each in trainers]
        if not networks:
            raise ValueError("there is no network that was trained to the end")
        return Ensemble(networks, average=average)

    def table(self, *, most: int = 40) -> str:
        """A line a network, with its epochs, seconds and last figures, then mean and deviation.

        Args:
            most: Networks that are shown; of more, the first ones. Mean and deviation are of all.

        Raises:
            TypeError: most is no integer.
            ValueError: most is below 1.
        """
        head, rows, foot, notes = self._cells(integer("most", most))
        widths = [max(map(len, column)) for column in zip(head, *rows, *foot, strict=True)]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

        def line(cells: Sequence[str]) -> str:
            return "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)).rstrip()

        parts = [line(head), rule, *map(line, rows)]
        if foot:
            parts += [rule, *map(line, foot)]
        return "\n".join([*parts, *notes])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        failed = len(self.failed)
        ended = f", {failed} of them ended by an exception" if failed else ""
        return f"FitResults({len(self)} networks{ended})"

    def _repr_html_(self) -> str:
        head, rows, foot, notes = self._cells(40)
        page = _html.table(head, [*rows, *foot], left=0)
        return page + (_html.items(notes) if notes else "")

    def _having(self, monitor: str) -> list[FitResult]:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a key of the history, got {type(monitor).__name__}")
        having = [each for each in self if each.error is None and monitor in each.history]
        if not having:
            keys = ", ".join(map(repr, self._keys())) or "none"
            raise ValueError(f"monitor must be a figure of the networks ({keys}), got {monitor!r}")
        return having

    def _keys(self) -> list[str]:
        return list({key: None for each in self for key in each.history})

    def _cells(self, most: int) -> tuple[list[str], list[list[str]], list[list[str]], list[str]]:
        """Head, rows, mean and deviation, and what there is to say below."""
        keys = self._keys()
        rows = [
            [
                str(each.index),
                f"{each.epochs:,}",
                f"{each.seconds:.2f}",
                *(_shown(each.last.get(key)) for key in keys),
            ]
            for each in self[:most]
        ]
        well = [each for each in self if each.error is None and each.history]
        foot = []
        if len(well) > 1:
            spreads = {key: self.spread(key) if _in_some(well, key) else None for key in keys}
            epochs = spread_of([float(each.epochs) for each in well])
            seconds = spread_of([each.seconds for each in well])
            foot = [
                [name, f"{getattr(epochs, name):,.1f}", f"{getattr(seconds, name):.2f}"]
                + [_shown(s and getattr(s, name)) for s in spreads.values()]
                for name in ("mean", "deviation")
            ]
        notes = [f"and {len(self) - most:,} more networks"] if len(self) > most else []
        notes += [f"network {each.index} failed: {_told(each.error)}" for each in self.failed]
        return ["network", "epochs", "seconds", *keys], rows, foot, notes


def _in_some(results: Sequence[FitResult], key: str) -> bool:
    return any(key in each.history for each in results)


def _best(row: Sequence[float], *, higher: bool) -> float:
    there = [value for value in row if not math.isnan(value)]
    return (max if higher else min)(there) if there else math.nan


def spread_of(values: Sequence[float]) -> Spread:
    """Mean and spread of at least one value."""
    count = len(values)
    mean = math.fsum(values) / count if all(map(math.isfinite, values)) else sum(values) / count
    squares = math.fsum((value - mean) ** 2 for value in values)
    deviation = math.sqrt(squares / (count - 1)) if count > 1 else math.nan
    return Spread(mean, deviation, min(values), max(values), count)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _told(error: Any) -> str:
    return f"{type(error).__name__}: {error}"

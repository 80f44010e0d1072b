"""What `Trainer.fit` checks before it begins, and what it changes when it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from gdcore import _core
from gdcore._check import flag, integer, optional_integer
from gdcore._derivatives import FIGURES, Derivatives
from gdcore._fitting import Fitting, figures_of
from gdcore._frames import feature_names, ordered
from gdcore._judging import NAMES, Judging
from gdcore._preparing import Preparing
from gdcore._scheduling import Scheduling
from gdcore._warn import warn
from gdcore.callbacks import Callback, resolve_callbacks
from gdcore.history import History
from gdcore.solvers import check_batch

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Beginning"]


_MOST = 2**31  # rows


class NoRows:
    """Stands for the data of a rank that holds none."""

    samples = 0


class Beginning(Preparing, Scheduling):
    """The part of a `gdcore.Trainer` before its first step."""

    _history: History
    _past: tuple[History, int]
    _figures: dict[str, bool | None]
    _stopped: bool
    _within: _core.EpochPart | None
    _whole_history: Callable[[], History]
    _is_first: bool
    _are_apart: Callable[[object], bool]

    @property
    def epochs(self) -> int:
        """See `gdcore.Trainer.epochs`."""
        raise NotImplementedError

    def _checked(
        self,
        x: Any,
        y: Any,
        batch_size: Any,
        shuffle: Any,
        sample_weight: Any,
        validation_data: Any,
        validation_split: Any,
        metrics: Any,
        callbacks: Any,
        progress: Any,
        accumulate: Any = 1,
        dy: Any = None,
        derivative_weight: Any = 1.0,
    ) -> Fitting:
        """What `fit` was given, checked and converted; nothing has changed yet."""
        options = (
            optional_integer("batch_size", batch_size),
            flag("shuffle", shuffle),
            flag("progress", progress),
        )
        trainer = cast("Trainer", self)
        names = self._network.feature_names or feature_names(x)
        derivatives = Derivatives.given(dy, derivative_weight, trainer, x)
        x = ordered(x, "x", names, self._network.dtype)
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("validation_split and validation_data must not be given together")
            (x, y, sample_weight), validation_data = self._split(
                x, y, sample_weight, validation_split
            )
        validation = Judging.validation(trainer, self._ordered(validation_data, names), metrics)
        data = self._prepare(x, y, sample_weight, NAMES)
        if derivatives is not None:
            data = derivatives.beside(trainer, data, validation_data if validation_split else None)
        fitting = Fitting(
            data,
            *options[:2],
            validation,
            self._callbacks_here(callbacks),
            options[2],
            accumulate=integer("accumulate", accumulate, at_most=2**31),
            figures=figures_of(trainer, validation) | (FIGURES if derivatives else {}),
            names=names,
            derivative_weights=derivatives.weights if derivatives else (),
        )
        fitting.check()
        check_batch(self._optimizer, fitting.batch_size, fitting.data.samples)
        self._check_plateau(fitting.figures)
        return fitting

    def _checked_source(
        self,
        x: Any,
        y: Any,
        batch_size: Any,
        shuffle: Any,
        sample_weight: Any,
        validation_data: Any,
        validation_split: Any,
        metrics: Any,
        callbacks: Any,
        progress: Any,
        accumulate: Any,
        dy: Any,
        derivative_weight: Any,
    ) -> Fitting:
        """The same where x is a source."""
        from gdcore._gathering import checked_names  # only here: import gdcore stays light
        from gdcore._streaming import Streaming, checked_source

        trainer = cast("Trainer", self)
        source = checked_source(x, trainer)
        for name, given, instead in (
            ("sample_weight", sample_weight, "the source has weights of its own"),
            ("validation_split", validation_split, "give validation_data"),
            ("dy", dy, "derivatives are for arrays"),
        ):
            if given is not None:
                raise ValueError(f"{name} must be None where x is a source: {instead}")
        if batch_size is None:
            raise ValueError("batch_size must be a number where x is a source, got None")
        batch_size = integer("batch_size", batch_size, at_most=_MOST)
        accumulate = integer("accumulate", accumulate, at_most=_MOST)
        shuffle, progress = flag("shuffle", shuffle), flag("progress", progress)
        names = self._network.feature_names or source.names
        checked_names(source, names, "x")
        validation = Judging.validation(trainer, self._ordered(validation_data, names), metrics)
        fitting = Streaming(
            source,
            batch_size,
            shuffle,
            validation,
            self._callbacks_here(callbacks),
            progress,
            accumulate=accumulate,
            figures=figures_of(trainer, validation),
            names=source.names,
        )
        fitting.check()
        fitting.check_begun(trainer)
        self._check_plateau(fitting.figures)
        return fitting

    def _fitting_of(self, data: Any, x: Any, y: Any, rest: tuple[Any, ...]) -> Fitting:
        """What `fit` was given, however its data come."""
        apart = self._are_apart(data)
        if y is None and not apart:
            return self._checked_source(x, y, *rest)
        if not apart:
            return self._checked(x, y, *rest)
        if y is None:
            from gdcore._sharded import units_of_rank  # only here, as below

            x, y, weight = units_of_rank(x, rest[2], cast("Trainer", self))
            rest = (*rest[:2], weight, *rest[3:])
        fitting = self._checked_rows(x, y, rest)
        from gdcore._sharded import sharded  # only here: most trainers are alone

        names = self._network.feature_names or feature_names(x)
        x = ordered(x, "x", names, self._network.dtype)
        return sharded(fitting, cast("Trainer", self), (x, y, rest[2]))

    def _begin(self, fitting: Fitting, last: int, *, warns: bool = True) -> History:
        """Where `fit` begins to change the trainer; returns the history to fill."""
        samples = fitting.samples
        if samples is None:
            self._refuse_names("of a source that does not tell its rows")
        else:
            together = (fitting.batch_size or samples) * fitting.accumulate
            self._spread(last, -(-samples // together))
        if not fitting.streams:
            self._within = None  # the epoch begins anew
        for words in self._outlived() if warns and self.epochs < last else ():
            warn(words)
        if self._network.feature_names is None and fitting.names is not None:
            self._network._native.input_names = list(fitting.names)
        self._figures = fitting.figures
        self._past = (self._whole_history(), self.epochs)
        self._history = History()
        self._stopped = False
        return self._history

    def _checked_rows(self, x: Any, y: Any, rest: tuple[Any, ...]) -> Fitting:
        """The rows of one rank, which may have none."""
        if rest[4] is not None:
            raise ValueError("validation_split must be None where rows are sharded")
        if len(next(iter(y.values())) if isinstance(y, Mapping) else y) > 0:
            return self._checked(x, y, *rest)

        def prepared(_: Any, x: Any, y: Any, weight: Any, names: tuple[str, str, str]) -> Any:
            return NoRows() if names is NAMES else self._native.prepare(x, y, weight, names)

        self._shared, before = prepared, self._shared
        try:
            return self._checked(x, y, *rest)
        finally:
            self._shared = before

    def _callbacks_here(self, given: Any) -> list[Callback]:
        found = resolve_callbacks(given)
        return [each for each in found if self._is_first or not each._on_first_rank]

    def _refuse_names(self, why: str) -> None:
        """ValueError where a schedule is a name, which nobody can spread."""
        given = self._schedule
        every = list(given.values()) if isinstance(given, Mapping) else [given]
        every += [each.settings.get("schedule") for each in self._groups]
        for each in every:
            if isinstance(each, str):
                raise ValueError(
                    f"schedule must be an object and no name for a fit {why}, got {each!r}"
                )

    def _last_epoch(self, epochs: int | None, until_epoch: int | None) -> int:
        if until_epoch is None:
            return self.epochs + (1 if epochs is None else integer("epochs", epochs))
        if epochs is not None:
            raise ValueError("epochs and until_epoch must not be given together")
        return integer("until_epoch", until_epoch)

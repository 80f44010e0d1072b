"""The bar that `Trainer.fit` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from tqdm.auto import tqdm  # in a notebook with ipywidgets its own bar, elsewhere text

__all__ = ["ProgressBar"]


class _Bar(tqdm):  # type: ignore[type-arg]
    monitor_interval = 0  # no thread beside ours, so that a process that forks stays free to


class ProgressBar:
    """Samples done of all epochs together, on standard error, with the last epoch's figures."""

    def __init__(self, first_epoch: int, last_epoch: int, samples: int) -> None:
        """A bar for the epochs first_epoch to last_epoch, counted from 1, of ``samples`` each."""
        epochs = last_epoch - first_epoch + 1
        self._first, self._last, self._samples = first_epoch, last_epoch, samples
        self._bar = _Bar(total=epochs * samples, unit=" samples", unit_scale=True, leave=True)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def epoch(self, number: int) -> Callable[[int], None]:
        """Opens an epoch; returns what takes the number of its samples done so far."""
        self._bar.set_description(f"epoch {number}/{self._last}", refresh=False)
        before = (number - self._first) * self._samples

        def advance(done: int) -> None:
            self._bar.update(before + done - self._bar.n)

        return advance

    def show(self, values: Mapping[str, float]) -> None:
        """Shows an epoch's figures behind the bar."""
        figures = {key: f"{value:.4g}" for key, value in values.items()}
        self._bar.set_postfix(figures, refresh=False)  # the next update draws it

"""The bar that `Trainer.fit` shows."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from html import escape
from types import TracebackType
from typing import Any

from tqdm import tqdm

__all__ = ["NetworksBar", "ProgressBar"]


class _Bar(tqdm):  # type: ignore[type-arg]
    monitor_interval = 0  # no thread beside ours, so that a process that forks stays free to


class _NotebookBar(_Bar):
    """One output of a notebook's cell, which is replaced: a saved notebook has its last state.

    tqdm's own bar for notebooks is a widget, whose state is not in the notebook's file: opened
    again it stays at 0 %.
    """

    def __init__(self, show: Callable[..., Any], total: int | None, unit: str) -> None:
        self._show = show
        self._handle: Any = None
        super().__init__(
            total=total,
            unit=unit,
            unit_scale=True,
            file=io.StringIO(),
            ascii=False,
            mininterval=0.2,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Shows how far it is, as text and as a bar."""
        line = str(self) if msg is None else msg
        done = min(self.n / self.total, 1.0) if self.total else 0.0
        # The bar of text gives way to one of the page's.
        words = line.partition("|")[0] + line.rpartition("|")[2] if line.count("|") > 1 else line
        page = (
            f"<progress value='{done:.4f}' max='1' style='width:12em;vertical-align:middle'>"
            f"</progress> <span style='font-family:monospace'>{escape(words)}</span>"
        )
        shown = {"text/plain": line, "text/html": page}
        if self._handle is None:
            self._handle = self._show(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


class ProgressBar:
    """Samples done of all epochs together, with the last epoch's figures.

    On standard error, or in a notebook below the cell.
    """

    def __init__(self, first_epoch: int, last_epoch: int, samples: int | None) -> None:
        """A bar for the epochs first_epoch to last_epoch, counted from 1, of ``samples`` each.

        None: nobody knows how many, and the bar counts without an end.
        """
        epochs = last_epoch - first_epoch + 1
        self._first, self._last, self._samples = first_epoch, last_epoch, samples
        self._bar = _bar(None if samples is None else epochs * samples, " samples")

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
        samples = self._samples
        before = int(self._bar.n) if samples is None else (number - self._first) * samples

        def advance(done: int) -> None:
            self._bar.update(before + done - self._bar.n)

        return advance

    def show(self, values: Mapping[str, float]) -> None:
        """Shows an epoch's figures behind the bar."""
        figures = {key: f"{value:.4g}" for key, value in values.items()}
        self._bar.set_postfix(figures, refresh=False)  # the next update draws it


class NetworksBar:
    """Epochs done of many networks together, and how many networks are done."""

    def __init__(self, networks: int, epochs: int) -> None:
        """A bar for so many networks with so many epochs each."""
        self._networks, self._epochs = networks, epochs
        self._bar = _bar(networks * epochs, " epochs")
        self.show(0, 0)

    def show(self, networks: int, epochs: int) -> None:
        """Shows that so many networks are done, and so many epochs of those at work.

        A network that ended early counts as if it had done all of its epochs.
        """
        self._bar.set_description(f"{networks}/{self._networks} networks", refresh=False)
        self._bar.update(networks * self._epochs + epochs - self._bar.n)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


def _bar(total: int | None, unit: str) -> _Bar:
    show = _notebook()
    if show is None:
        return _Bar(total=total, unit=unit, unit_scale=True)
    return _NotebookBar(show, total, unit)


def _notebook() -> Callable[..., Any] | None:
    """What shows an output in the notebook that runs this, or None: it is a terminal."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has loaded it
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display

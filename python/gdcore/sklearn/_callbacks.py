"""scikit-learn's callbacks, which are new in 1.9 and experimental there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for what is not there yet."""


__all__ = ["CallbackSupportMixin", "Telling"]


class Telling:
    """Tells an estimator's callbacks of its epochs; where there are none, nothing.

    Each epoch is a task below that of the whole fit.
    """

    def __init__(
        self,
        estimator: Any,
        x: Any,
        y: Callable[[], Any],
        weights: Any,
        epochs: int,
        fitted: Callable[[], dict[str, Any]],
    ) -> None:
        """Tells of the beginning.

        Args:
            estimator: Whose callbacks they are.
            x: What trains.
            y: Gives the targets of x, as they were given to the estimator.
            weights: Of the samples, or None.
            epochs: How many there may be.
            fitted: Gives the attributes that an estimator predicts with.
        """
        self._root: Any = None
        self._task: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            metadata = {} if weights is None else {"sample_weight": weights}
            self._given = {"estimator": estimator, "X": x, "y": y, "metadata": metadata}
            self._fitted = fitted
            self._root = estimator._init_callback_context(max_subtasks=epochs)
            self._root.call_on_fit_task_begin(**self._given)

    def begin(self) -> None:
        """Tells that an epoch begins."""
        if self._root is not None:
            self._task = self._root.subcontext(task_name="epoch")
            self._task.call_on_fit_task_begin(**self._given)

    def end(self) -> bool:
        """Tells that it is over; whether a callback wants to stop."""
        return self._task is not None and self._ended(self._task)

    def finish(self) -> None:
        """Tells that the fit is over."""
        if self._root is not None:
            self._ended(self._root)

    def _ended(self, task: Any) -> bool:
        given = {**self._given, "reconstruction_attributes": self._fitted}
        return bool(task.call_on_fit_task_end(**given))

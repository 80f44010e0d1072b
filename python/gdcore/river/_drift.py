"""What a drift detector is told, and what follows where it has found one."""

from __future__ import annotations

from typing import Any

from river import base

from gdcore.training import Trainer

__all__ = ["Watch", "checked_detector"]

_SOON, _LATE = 1 / 32, 1 / 512  # how much a sample counts in the means of errors


def checked_detector(detector: Any, classifies: bool) -> Any:
    """The parameter drift_detector.

    Raises:
        TypeError: It is no detector of river, or a regressor has one for right and wrong.
    """
    if detector is None or isinstance(detector, base.DriftDetector):
        return detector
    if isinstance(detector, base.BinaryDriftDetector):
        if classifies:
            return detector
        raise TypeError(
            "drift_detector of a regressor must be one for numbers, such as river.drift.ADWIN(), "
            f"got {type(detector).__name__}, which is for right and wrong"
        )
    raise TypeError(
        f"drift_detector must be one of river.drift, or None, got {type(detector).__name__}"
    )


class Watch:
    """A detector at work.

    Detectors tell of any change, and errors change where learning goes well: it counts only where
    the mean error of about the last 32 samples is above that of the last 512.

    Attributes:
        binary: Whether it is told right and wrong, and not numbers.
        drifts: How many it has found.
    """

    def __init__(self, detector: Any, factor: float, steps: int) -> None:
        self.detector = detector.clone()
        self.binary = isinstance(detector, base.BinaryDriftDetector)
        self.drifts = 0
        self._factor, self._steps = factor, steps
        self._soon = self._late = 0.0
        self._told = 0
        self._left = 0  # samples with a raised learning rate
        self._lr = 0.0  # without

    def told(self, error: float, trainer: Trainer) -> bool:
        """Tells of one sample's error; whether there is drift. Sets the learning rate."""
        if self._left:
            self._left -= 1
            if not self._left:
                trainer.lr = self._lr
        self._told += 1
        even = 1 / self._told
        self._soon += (error - self._soon) * max(_SOON, even)
        self._late += (error - self._late) * max(_LATE, even)
        self.detector.update(error)
        if not self.detector.drift_detected or self._soon <= self._late:
            return False
        self.drifts += 1
        if self._steps and self._factor != 1:
            if not self._left:
                self._lr = trainer.lr
                trainer.lr = self._lr * self._factor
            self._left = self._steps
        return True

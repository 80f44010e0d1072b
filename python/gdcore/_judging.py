"""Data to judge a network by: its loss, its accuracy and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _classes
from gdcore._frames import array
from gdcore._ranges import Range
from gdcore._warn import warn
from gdcore.losses import Hinge, SquaredHinge
from gdcore.metrics import Accuracy, Computed, OfClasses, resolve_metrics, takes_no_weights

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["NAMES", "VALIDATION_NAMES", "Judging"]

# What messages call the arrays.
NAMES = ("x", "y", "sample_weight")
VALIDATION_NAMES = ("validation_data[0]", "validation_data[1]", "validation_data[2]")


@dataclass(frozen=True)
class Judging:
    """Data as C++ holds them, and as metrics take them, beside the metrics.

    Attributes:
        data: Checked and converted once.
        x: As given.
        y: An array, in the shape of the output, or labels (N,), of what counts.
        weight: (N,) or None.
        metrics: Their keys and what computes them.
        counted: (N,) whether metrics see the sample, or None: they see all.
    """

    data: Any
    x: Any
    y: Any
    weight: Any
    metrics: list[tuple[str, Computed]]
    counted: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        arrays: tuple[Any, Any, Any],
        metrics: object,
        names: tuple[str, str, str] = NAMES,
    ) -> Judging:
        """Checks what was given; warns of metrics that leave the weights out."""
        resolved = resolve_metrics(metrics)
        x, y, weight = arrays
        data = trainer._prepare(x, y, weight, names)
        if not resolved:
            return cls(data, x, y, weight, resolved)
        targets = array(y, names[1])
        if trainer.network.output_size == 1:
            targets = targets.reshape(-1, 1)
        if weight is not None:
            weight = np.asarray(array(weight, names[2]), np.float64)
            for key, metric in resolved:
                if takes_no_weights(metric):
                    warn(
                        f"the metric {key!r} is computed without the sample weights: its function "
                        "takes no argument sample_weight"
                    )
        counted = None
        ignored = getattr(trainer.loss, "ignore_index", None)
        if ignored is not None and targets.ndim == 1 and (targets == ignored).any():
            counted = targets != ignored
            targets = targets[counted]
            weight = None if weight is None else weight[counted]
        return cls(data, x, targets, weight, resolved, counted)

    @classmethod
    def validation(cls, trainer: Trainer, given: Any, metrics: object) -> Judging | None:
        """The argument validation_data of `Trainer.fit`, or None where there is none."""
        if given is None:
            if resolve_metrics(metrics):
                raise ValueError(
                    "metrics are computed on validation_data, got None; pass "
                    "validation_data=(x, y) to see them on the training data"
                )
            return None
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
        x, y, *weights = given
        return cls.of(trainer, (x, y, weights[0] if weights else None), metrics, VALIDATION_NAMES)

    def scores(self, trainer: Trainer, batch_size: int | None = None) -> dict[str, float]:
        """Loss, accuracy and metrics."""
        values: dict[str, float] = trainer._native.evaluate(self.data, batch_size)
        # The accuracy comes with the loss.
        known = [key for key, metric in self.metrics if type(metric) is Accuracy and key in values]
        return values | self.judged(trainer, batch_size, known)

    def judged(
        self, trainer: Trainer, batch_size: int | None = None, known: list[str] | None = None
    ) -> dict[str, float]:
        """The metrics alone, without those that are known."""
        wanted = [each for each in self.metrics if each[0] not in (known or ())]
        if not wanted:
            return {}
        task = None if trainer.loss is None else trainer.loss.task
        network = trainer.network
        of_signs = isinstance(trainer.loss, (Hinge, SquaredHinge))
        # Of classes the mean of probabilities counts, of numbers that of outputs.
        by_members = network.members > 1 and task in ("binary", "multiclass") and not of_signs
        output = network._native.predict(
            self.x, batch_size, trainer._num_threads, validates=True, apart=by_members
        )
        if by_members and task is not None:
            output = _classes.judged(network, network._apart(output), task)
        if self.counted is not None:
            output = output[self.counted]
        values = {}
        for key, metric in wanted:
            with Range(f"metric {key}"):
                y = self.y > 0 if of_signs and isinstance(metric, OfClasses) else self.y
                values[key] = metric(y, output, self.weight, task=task)
        return values

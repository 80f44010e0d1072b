"""Data to judge a network by: its loss, its accuracy and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._classes import Outputs
from gdcore._frames import array
from gdcore._heads import by_head, split
from gdcore._ranges import Range
from gdcore._warn import warn
from gdcore.losses import Hinge, Loss, SquaredHinge
from gdcore.metrics import Accuracy, Computed, OfClasses, resolve_metrics, takes_no_weights

if TYPE_CHECKING:
    from gdcore.network import Network
    from gdcore.training import Trainer

__all__ = ["NAMES", "VALIDATION_NAMES", "Judge", "Judging"]

# What messages call the arrays.
NAMES = ("x", "y", "sample_weight")
VALIDATION_NAMES = ("validation_data[0]", "validation_data[1]", "validation_data[2]")


@dataclass(frozen=True)
class Judge:
    """Who judges data.

    Attributes:
        network: What is judged.
        native: A trainer of it in C++.
        loss: As `gdcore.Trainer.loss`.
        num_threads: As given.
    """

    network: Network
    native: Any
    loss: Any
    num_threads: int | None


@dataclass(frozen=True)
class Judged:
    """Targets of one output, and the metrics that judge it.

    Attributes:
        loss: That of the output, or None.
        prefix: What stands before its figures: its name where it has one.
        y: An array, in the shape of the output, or labels (N,), of what counts.
        weight: (N,) or None.
        metrics: Their keys and what computes them.
        counted: (N,) whether metrics see the sample, or None: they see all.
    """

    loss: Loss | None
    prefix: str
    y: Any
    weight: Any
    metrics: list[tuple[str, Computed]]
    counted: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        loss: Loss | None,
        prefix: str,
        size: int,
        targets: tuple[Any, Any],
        metrics: list[tuple[str, Computed]],
        names: tuple[str, str],
    ) -> Judged:
        """Checks what was given; warns of metrics that leave the weights out."""
        y, weight = targets
        if not metrics:
            return cls(loss, prefix, y, weight, metrics)
        y = array(y, names[0])
        if size == 1:
            y = y.reshape(-1, 1)
        if weight is not None:
            weight = np.asarray(array(weight, names[1]), np.float64)
            for key, metric in metrics:
                if takes_no_weights(metric):
                    warn(
                        f"the metric {prefix + key!r} is computed without the sample weights: its "
                        "function takes no argument sample_weight"
                    )
        counted = None
        ignored = getattr(loss, "ignore_index", None)
        if ignored is not None and y.ndim == 1 and (y == ignored).any():
            counted = y != ignored
            y = y[counted]
            weight = None if weight is None else weight[counted]
        return cls(loss, prefix, y, weight, metrics, counted)

    def figures(self, output: NDArray[Any], known: list[str]) -> dict[str, float]:
        """The metrics of outputs (N, size), without those that are known."""
        if self.counted is not None:
            output = output[self.counted]
        task = None if self.loss is None else self.loss.task
        of_signs = isinstance(self.loss, (Hinge, SquaredHinge))
        values = {}
        for key, metric in self.metrics:
            if self.prefix + key in known:
                continue
            with Range(f"metric {self.prefix}{key}"):
                y = self.y > 0 if of_signs and isinstance(metric, OfClasses) else self.y
                values[self.prefix + key] = metric(y, output, self.weight, task=task)
        return values


@dataclass(frozen=True)
class Judging:
    """Data as C++ holds them, and as metrics take them, beside the metrics.

    Attributes:
        data: Checked and converted once.
        x: As given.
        outputs: What is judged, in order; one where outputs have no names.
    """

    data: Any
    x: Any
    outputs: list[Judged]

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        arrays: tuple[Any, Any, Any],
        metrics: object,
        names: tuple[str, str, str] = NAMES,
    ) -> Judging:
        """Checks what was given; warns of metrics that leave the weights out."""
        network = trainer.network
        by_name = _metrics_of(network, metrics)
        x, y, weight = arrays
        data = trainer._prepare(x, y, weight, names)
        judged = []
        for prefix, (loss, size) in trainer._objective.by_prefix(network).items():
            head = prefix[:-1] if network.heads else None
            targets = y if head is None else y[head]
            weights = weight.get(head) if isinstance(weight, Mapping) else weight
            called = (names[1], names[2]) if head is None else (f"{names[1]}[{head!r}]", names[2])
            judged.append(Judged.of(loss, prefix, size, (targets, weights), by_name[head], called))
        return cls(data, x, judged)

    @classmethod
    def validation(cls, trainer: Trainer, given: Any, metrics: object) -> Judging | None:
        """The argument validation_data of `Trainer.fit`, or None where there is none."""
        if given is None:
            if any(_metrics_of(trainer.network, metrics).values()):
                raise ValueError(
                    "metrics are computed on validation_data, got None; pass "
                    "validation_data=(x, y) to see them on the training data"
                )
            return None
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError(
                "validation_data must be a tuple (x, y) or (x, y, sample_weight), or a source of "
                f"gdcore.data, got {type(given).__name__}"
            )
        x, y, *weights = given
        return cls.of(trainer, (x, y, weights[0] if weights else None), metrics, VALIDATION_NAMES)

    @property
    def metrics(self) -> list[tuple[str, Computed]]:
        """Their keys, with the name of the output before them where it has one."""
        return [(out.prefix + key, metric) for out in self.outputs for key, metric in out.metrics]

    def scores(self, judge: Judge, batch_size: int | None = None) -> dict[str, float]:
        """Loss, accuracy and metrics."""
        values: dict[str, float] = judge.native.evaluate(self.data, batch_size)
        # The accuracy comes with the loss.
        known = [key for key, metric in self.metrics if type(metric) is Accuracy and key in values]
        return values | self.judged(judge, batch_size, known)

    def judged(
        self, judge: Judge, batch_size: int | None = None, known: list[str] | None = None
    ) -> dict[str, float]:
        """The metrics alone, without those that are known."""
        known = known or []
        if all(key in known for key, _ in self.metrics):
            return {}
        task = getattr(judge.loss, "task", None)  # of several outputs each has its own
        network = judge.network
        of_signs = isinstance(judge.loss, (Hinge, SquaredHinge))
        # Of classes the mean of probabilities counts, of numbers that of outputs.
        by_members = network.members > 1 and task in ("binary", "multiclass") and not of_signs
        output = network._native.predict(
            self.x, batch_size, judge.num_threads, validates=True, apart=by_members
        )
        if by_members:
            outputs = Outputs.of(network, None, task)
            output = outputs.judged(network._apart(output))
        if not (heads := network.heads):
            return self.outputs[0].figures(output, known)
        values: dict[str, float] = {}
        for each, part in zip(self.outputs, split(output, heads).values(), strict=True):
            values |= each.figures(part, known)
        return values


def _metrics_of(network: Network, given: object) -> dict[str | None, list[tuple[str, Computed]]]:
    """The argument metrics: of each output, where they have names, what judges it."""
    if not network.heads:
        if isinstance(given, Mapping):
            raise TypeError("metrics must be a sequence: the network's outputs have no names")
        return {None: resolve_metrics(given)}
    if not isinstance(given, Mapping) and not resolve_metrics(given):
        given = {}
    found = by_head("metrics", given, network.heads, default=())
    return {head: resolve_metrics(metrics) for head, metrics in found.items()}

"""What a trainer was given when it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdcore._objective import Objective
from gdcore.averaging import Average
from gdcore.clipping import Clip, ClipNorm
from gdcore.groups import Group
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.schedules import Schedule
from gdcore.typing import Precision, ScheduleName

__all__ = ["Given"]


class Given:
    """The part of `gdcore.Trainer` that tells it."""

    _network: Network
    _objective: Objective
    _optimizer: Optimizer
    _groups: tuple[Group, ...]
    _matmul_precision: Precision
    _clip: Clip | None
    _average: Average | None
    _schedule: Schedule | ScheduleName | Mapping[str, Schedule | ScheduleName] | None
    _seed: int

    @property
    def network(self) -> Network:
        """What is trained."""
        return self._network

    @property
    def loss(self) -> Any:
        """The loss as an object, a dict of them where outputs have names, or None."""
        return self._objective.given

    @property
    def loss_weights(self) -> dict[str, float] | None:
        """What each loss counts where outputs have names; else None."""
        return dict(self._objective.weights) or None

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer as an object; `lr` tells the learning rate in use."""
        return self._optimizer

    @property
    def groups(self) -> tuple[Group, ...]:
        """Parameters with hyperparameters of their own, as given."""
        return self._groups

    @property
    def matmul_precision(self) -> Precision:
        """As given."""
        return self._matmul_precision

    @property
    def clip(self) -> Clip | None:
        """What limits gradients, as an object, or None."""
        return self._clip

    @property
    def clip_grad_norm(self) -> float | None:
        """The largest norm of the gradient of all parameters, or None."""
        whole = isinstance(self._clip, ClipNorm) and self._clip.per == "all"
        return self._clip.max_norm if whole else None  # type: ignore[union-attr]

    @property
    def average(self) -> Average | None:
        """What average of the weights is kept, or None."""
        return self._average

    @property
    def schedule(self) -> Schedule | ScheduleName | dict[str, Schedule | ScheduleName] | None:
        """How the learning rate, or by a dict each hyperparameter, changes, or None.

        Of a name, from the first `fit` on the object.
        """
        given = self._schedule
        return dict(given) if isinstance(given, Mapping) else given

    @property
    def seed(self) -> int:
        """What decides the order of shuffled samples."""
        return self._seed

"""The regressor of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from river import base
from river.utils.dataframe import into_frame, into_series, to_native_series

from gdcore._check import real
from gdcore.river._base import MLP

__all__ = ["MLPRegressor"]


def __dir__() -> list[str]:
    return __all__


class MLPRegressor(MLP, base.MiniBatchRegressor):  # type: ignore[misc]  # river is not followed
    """A neural network that learns numbers from a stream, one update a sample.

    Features may come and go, as for `MLPClassifier`. Targets far from 0, or with a deviation far
    from 1, are learnt slowly: ``river.preprocessing.TargetStandardScaler`` goes around it.

    >>> model = river.preprocessing.TargetStandardScaler(MLPRegressor((64,), scale=True))
    >>> for x, y in river.datasets.TrumpApproval():
    ...     model.predict_one(x)
    ...     model.learn_one(x, y)

    Args:
        hidden: As in `MLPClassifier`; ``()`` is linear regression.
        activation: As in `MLPClassifier`.
        loss: One of `gdcore.losses` for numbers, such as ``"mse"`` or ``"huber"``, with one output.
        optimizer: As in `MLPClassifier`.
        scale: As in `MLPClassifier`.
        drift_detector: As in `MLPClassifier`, but that it is told the loss before the update; one
            for right and wrong is an error.
        drift_lr_factor: As in `MLPClassifier`.
        drift_steps: As in `MLPClassifier`.
        drift_reset: As in `MLPClassifier`.
        replay_size: As in `MLPClassifier`.
        replays: As in `MLPClassifier`.
        dtype: As in `MLPClassifier`.
        seed: As in `MLPClassifier`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    _classifies: ClassVar[bool] = False
    _tasks: ClassVar[tuple[str, ...]] = ("regression",)
    _first_outputs: ClassVar[int] = 1

    def __init__(
        self,
        hidden: tuple[Any, ...] = (64,),
        activation: Any = "relu",
        *,
        loss: Any = "mse",
        optimizer: Any = None,
        scale: bool = False,
        drift_detector: Any = None,
        drift_lr_factor: float = 3.0,
        drift_steps: int = 200,
        drift_reset: bool = False,
        replay_size: int = 0,
        replays: int = 1,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__(
            hidden,
            activation,
            loss,
            optimizer,
            scale,
            drift_detector,
            drift_lr_factor,
            drift_steps,
            drift_reset,
            replay_size,
            replays,
            dtype,
            seed,
        )

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Makes one update, and one for each sample that is learnt again.

        Args:
            x: A number for each feature.
            y: The target.

        Raises:
            TypeError: A feature or y is no number.
            ValueError: A feature or y is not finite. The model stays as it was.
        """
        self._learn(x, y if type(y) is float else real("y", y))

    def _error(self, loss: float) -> float:
        return loss

    def predict_one(self, x: dict[Any, Any]) -> float:
        """The number that the network makes of a sample; 0 before the first one.

        Args:
            x: A number for each feature; features that no sample had are left out.

        Raises:
            TypeError: A feature is no number.
            ValueError: A feature is not finite.
        """
        row = self._known(x)
        if not self._learner.columns and not self.samples:
            return 0.0
        found: float = self._learner.forward(row).item()
        return found

    def learn_many(self, X: Any, y: Any) -> None:  # noqa: N803
        """Learns the rows of a table one after the other, as `learn_one` does.

        Args:
            X: A data frame of pandas or of whatever narwhals knows, a column for each feature.
            y: A series of numbers.

        Raises:
            TypeError: A column or y holds no numbers.
            ValueError: A number is not finite. The model stays as it was.
        """
        numbers = _numbers(into_series(y).to_list())
        self._learn_table(X, numbers, numbers.__getitem__)

    def predict_many(self, X: Any) -> Any:  # noqa: N803
        """What the network makes of each row of a table, a series; 0 before the first sample.

        Args:
            X: As in `learn_many`; columns that no sample had are left out.

        Raises:
            TypeError: A column holds no numbers.
            ValueError: A number is not finite.
        """
        outputs: NDArray[Any] = self._outputs(X)[:, 0].astype(np.float64)
        if not self._learner.columns and not self.samples:
            outputs[:] = 0.0
        return to_native_series(outputs, name=None, like=into_frame(X))


def _numbers(values: Sequence[Any]) -> list[float]:
    return [real(f"y[{i}]", value) for i, value in enumerate(values)]

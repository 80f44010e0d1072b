"""The classifier of streams."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
from river import base
from river.utils.dataframe import into_frame, into_series, to_native_frame, to_native_series

from gdcore.network import Network
from gdcore.river._base import MLP, Row

__all__ = ["MLPClassifier"]


def __dir__() -> list[str]:
    return __all__


class MLPClassifier(MLP, base.MiniBatchClassifier):  # type: ignore[misc]  # river is not followed
    """A neural network that learns classes from a stream, one update a sample.

    Features may come and go, and so may classes. A feature that a sample lacks counts as 0, with
    ``scale`` as its mean, and its weights and their states of the optimizer stay as they are, bit
    for bit. A new feature or class leaves all others' as they are. Its own first weights depend on
    the seed and on how many features or classes came before it, and on nothing else.

    >>> model = MLPClassifier((64,), scale=True)
    >>> for x, y in river.datasets.Phishing():
    ...     model.predict_one(x)
    ...     model.learn_one(x, y)

    Labels are whatever Python can hash. Not for several threads at once.

    Args:
        hidden: Number of units of each hidden layer; behind the first there may be layers of gdcore
            in between, such as ``gdcore.Dropout(0.1)``. ``()`` is logistic regression.
        activation: Of the hidden layers, see `gdcore.activations`.
        loss: One of `gdcore.losses` for classes: ``"cross_entropy"`` or ``"focal"``.
        optimizer: One of `gdcore.optimizers`; None is ``gdcore.Adam(lr=0.01)``.
        scale: Whether each feature is brought to mean 0 and deviation 1, by running ones of the
            samples that had it so far, the one that is learnt among them.
        drift_detector: One of ``river.drift``, which is cloned. After each sample it is told 1 - p,
            p the probability that its class had; one for right and wrong, such as
            ``river.drift.binary.DDM()``, whether the prediction was wrong.
        drift_lr_factor: What the learning rate is multiplied by where there is drift, above 0.
        drift_steps: For how many samples.
        drift_reset: Whether the optimizer begins anew where there is drift; weights stay.
        replay_size: How many samples are kept to be learnt again; each of those so far is among
            them with the same probability. 0: none.
        replays: How many of them are learnt again after each sample.
        dtype: ``"float32"`` or ``"float64"``.
        seed: Of first weights, of Dropout, and of what is kept and learnt again; at least 0.

    Attributes:
        classes: The classes so far, in the order in which they came.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    _classifies: ClassVar[bool] = True
    _tasks: ClassVar[tuple[str, ...]] = ("multiclass",)
    _first_outputs: ClassVar[int] = 2

    def __init__(
        self,
        hidden: tuple[Any, ...] = (64,),
        activation: Any = "relu",
        *,
        loss: Any = "cross_entropy",
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
        self._index: dict[Hashable, int] = {}
        self._is_new = False  # the class of the sample that is learnt

    @property
    def classes(self) -> list[Any]:
        """The classes so far, in the order in which they came."""
        return list(self._index)

    @property
    def network(self) -> Network:
        """A copy of the network as a dense one, ready for all of gdcore.

        It reads the features in the order of `features`, scaled where there is a scaler; its
        outputs are logits in the order of `classes`. There are two at least.
        """
        return self._learner.dense(max(2, len(self._index)))

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Makes one update, and one for each sample that is learnt again.

        Args:
            x: A number for each feature.
            y: The class.

        Raises:
            TypeError: A feature is no number, or y is None or cannot be hashed.
            ValueError: A feature is not finite, or y is NaN. The model stays as it was.
        """
        target = self._index.get(y) if y.__hash__ else None
        if target is not None:
            self._learn(x, target)
        else:
            self._learn_new(x, y)

    def _learn_new(self, x: dict[Any, Any], y: Any) -> None:
        """The first sample of a class."""
        _check_label(y)
        self._known(x)  # whatever is wrong with x is told before anything changes
        self._learn(x, self._add(y))

    def _add(self, label: Hashable) -> int:
        """Gives a class its output. Of the two there are at first, one may have stood for it."""
        number = len(self._index)
        if number:
            self._learner.add_output(number)
        self._index[label] = number
        self._is_new = True
        return number

    def _error(self, loss: float) -> float:
        return -math.expm1(-loss)

    def _is_wrong(self, row: Row, target: int) -> bool:
        new, self._is_new = self._is_new, False
        if new or len(self._index) < 2:
            return new and len(self._index) > 1
        if self._scaler is not None:
            row = (row[0], self._scaler.scaled(*row, False))
        return int(self._learner.forward(row).argmax()) != target

    def predict_proba_one(self, x: dict[Any, Any], **kwargs: Any) -> dict[Any, float]:
        """The probability of each class there has been; none before the first sample.

        Args:
            x: A number for each feature; features that no sample had are left out.
            **kwargs: Not used.

        Raises:
            TypeError: A feature is no number.
            ValueError: A feature is not finite.
        """
        index = self._index
        row = self._known(x)
        if len(index) < 2:
            return dict.fromkeys(index, 1.0)
        logits = self._learner.forward(row).tolist()
        top = max(logits)
        powers = [math.exp(each - top) for each in logits]
        total = sum(powers)
        return {label: power / total for label, power in zip(index, powers, strict=True)}

    def predict_one(self, x: dict[Any, Any], **kwargs: Any) -> Any:
        """The class with the largest probability; None before the first sample.

        Args:
            x: As in `predict_proba_one`.
            **kwargs: Not used.

        Raises:
            TypeError: A feature is no number.
            ValueError: A feature is not finite.
        """
        index = self._index
        row = self._known(x)
        if len(index) < 2:
            return next(iter(index), None)
        logits = self._learner.forward(row).tolist()
        return list(index)[logits.index(max(logits))]

    def learn_many(self, X: Any, y: Any) -> None:  # noqa: N803
        """Learns the rows of a table one after the other, as `learn_one` does.

        Args:
            X: A data frame of pandas or of whatever narwhals knows, a column for each feature.
            y: A series of classes.

        Raises:
            TypeError: A column holds no numbers, or a class is None or cannot be hashed.
            ValueError: A number is not finite, or a class is NaN. The model stays as it was.
        """
        labels = into_series(y).to_list()
        for label in labels:
            _check_label(label)

        def place(i: int) -> int:
            found = self._index.get(labels[i])
            return self._add(labels[i]) if found is None else found

        self._learn_table(X, labels, place)

    def predict_proba_many(self, X: Any) -> Any:  # noqa: N803
        """The probabilities of each row of a table, a column for each class.

        Args:
            X: As in `learn_many`; columns that no sample had are left out.

        Raises:
            TypeError: A column holds no numbers.
            ValueError: A number is not finite.
        """
        logits = self._outputs(X).astype(np.float64)[:, : len(self._index)]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        shares = powers / powers.sum(axis=1, keepdims=True)
        columns = {label: shares[:, i] for i, label in enumerate(self._index)}
        return to_native_frame(columns, like=into_frame(X))

    def predict_many(self, X: Any) -> Any:  # noqa: N803
        """The class of each row of a table, a series.

        Args:
            X: As in `predict_proba_many`.

        Raises:
            TypeError: A column holds no numbers.
            ValueError: A number is not finite.
        """
        outputs = self._outputs(X)[:, : len(self._index)]
        classes = self.classes or [None]
        places = outputs.argmax(axis=1) if self._index else np.zeros(len(outputs), int)
        labels = [classes[i] for i in places]
        return to_native_series(labels, name=None, like=into_frame(X))


def _check_label(y: Any) -> None:
    if y is None:
        raise TypeError("y must be a class, got None")
    try:
        hash(y)
    except TypeError:
        raise TypeError(f"y must be a class that can be hashed, got {y!r}") from None
    if y != y:
        raise ValueError("y must be a class, got NaN")

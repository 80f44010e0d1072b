"""TabM: an ensemble in one network."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from gdcore.layers import Dropout, EnsembleDense, Layer
from gdcore.network import Network
from gdcore.optimizers import AdamW
from gdcore.sklearn._recipe import (
    Inputs,
    Recipe,
    RecipeClassifier,
    RecipeRegressor,
    Rows,
    positive,
)
from gdcore.training import Trainer
from gdcore.typing import LossName

__all__ = ["TabMClassifier", "TabMRegressor"]


def __dir__() -> list[str]:
    return __all__


class _TabM(Recipe):
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Recipe._parameter_constraints,
        "members": [positive(Integral)],
        "patience": [positive(Integral)],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
    }
    _numbers = "quantile"

    def __init__(
        self,
        hidden_layer_sizes: Any = (512, 512, 512),
        *,
        members: int = 32,
        epochs: int = 1000,
        patience: int = 16,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        dropout: float = 0.1,
        weight_decay: float = 0.0,
        n_cv: int = 1,
        validation_fraction: float = 0.2,
        categorical_features: Any = None,
        missing: str = "error",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.members = members
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.n_cv = n_cv
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _patience(self) -> int:
        return int(self.patience)

    def _inputs(self, numbers: NDArray[Any], codes: NDArray[Any], first: bool) -> Inputs:
        sizes = enumerate(self._sizes)
        parts = [np.eye(size, dtype=np.float32)[codes[:, i]] for i, size in sizes]
        return {"x": np.hstack([numbers, *parts])}

    def _network(self, x: Inputs, outputs: int, seed: int) -> Network:
        layers: list[Layer] = []
        for width in self.hidden_layer_sizes:
            layers += [EnsembleDense(width, self.members, "relu"), Dropout(self.dropout)]
        layers.append(EnsembleDense(outputs, self.members, shared=False))
        return Network(layers, input_size=x["x"].shape[1], seed=seed)

    def _trainer(self, network: Network, x: Inputs, rows: Rows, seed: int) -> Trainer:
        optimizer = AdamW(lr=self.learning_rate, weight_decay=self.weight_decay)
        loss: LossName = "cross_entropy" if self._is_classifier else "mse"
        return Trainer(network, loss, optimizer, seed=seed)


class TabMClassifier(RecipeClassifier, _TabM):
    """TabM for classes: members that share their weights and have factors and biases of their own.

    Each member learns the target by itself, all at the same time; predictions are their means.
    Numbers go through a quantile transform to a normal distribution, categories become an input
    each. Training ends once held-out rows have not been told better for ``patience`` epochs.

    >>> TabMClassifier(random_state=0).fit(frame, frame.pop("class")).predict_proba(new)

    Source: Gorishniy, Kotelnikov and Babenko, "TabM: advancing tabular deep learning with
    parameter-efficient ensembling", ICLR 2025, arXiv:2410.24210, with the defaults of pytabkit's
    TabM-D, but that all members see the same batches, as in the paper.

    Args:
        hidden_layer_sizes: Units of each hidden layer.
        members: How many there are.
        epochs: At most.
        patience: Epochs without a better figure that end the training.
        batch_size: Rows of a step, all where there are fewer.
        learning_rate: Of AdamW.
        dropout: As in `RealMLPClassifier`.
        weight_decay: Of AdamW.
        n_cv: As in `RealMLPClassifier`.
        validation_fraction: As in `RealMLPClassifier`.
        categorical_features: As in `RealMLPClassifier`.
        missing: As in `RealMLPClassifier`.
        random_state: As in `RealMLPClassifier`.
        n_jobs: As in `RealMLPClassifier`.
        verbose: As in `RealMLPClassifier`.

    Attributes:
        classes_: The classes, ascending.
        preparation_: What tables go through, a `gdcore.tabular.Preparation`.
        networks_: The networks. ``network_`` is the one, or an ensemble of all.
        histories_: Of each network its `gdcore.History`.
        n_iter_: Of each the epoch that counts.
    """


class TabMRegressor(RecipeRegressor, _TabM):
    """TabM for numbers; see `TabMClassifier` for what it does and takes.

    Targets are standardized, and no prediction is beyond what training rows had.
    """

"""RealMLP: a plain network with defaults that were tuned on many tables."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from gdcore._node import Input
from gdcore.groups import Group
from gdcore.initializers import from_data
from gdcore.layers import (
    Concat,
    Dense,
    Dropout,
    Embedding,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
)
from gdcore.losses import CrossEntropy
from gdcore.network import Network
from gdcore.optimizers import AdamW
from gdcore.schedules import CosLog, FlatCos
from gdcore.sklearn._recipe import (
    Inputs,
    Recipe,
    RecipeClassifier,
    RecipeRegressor,
    Rows,
)
from gdcore.training import Trainer
from gdcore.typing import ActivationName

__all__ = ["RealMLPClassifier", "RealMLPRegressor"]


def __dir__() -> list[str]:
    return __all__


MOST_ONE_HOT = 9  # categories, with that of all others; more become vectors
_ROWS = 5_000  # that set the first scale of each layer


class _RealMLP(Recipe):
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Recipe._parameter_constraints,
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
    }
    _numbers = "robust"

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        *,
        epochs: int = 256,
        batch_size: int = 256,
        learning_rate: float | None = None,
        dropout: float = 0.15,
        weight_decay: float = 0.02,
        n_cv: int = 1,
        validation_fraction: float = 0.2,
        categorical_features: Any = None,
        missing: str = "error",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.epochs = epochs
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

    def _inputs(self, numbers: NDArray[Any], codes: NDArray[Any], first: bool) -> Inputs:
        small = [i for i, size in enumerate(self._sizes) if size <= MOST_ONE_HOT]
        large = [i for i, size in enumerate(self._sizes) if size > MOST_ONE_HOT]
        found: Inputs = {"numbers": numbers} if numbers.shape[1] else {}
        if small:
            parts = [np.eye(self._sizes[i], dtype=np.float32)[codes[:, i]] for i in small]
            one_hot = np.hstack(parts)
            if first:
                self._spread = _spread(one_hot)
            found["one_hot"] = _bent(one_hot, *self._spread)
        if large:
            found["codes"] = np.ascontiguousarray(codes[:, large])
        return found

    def _network(self, x: Inputs, outputs: int, seed: int) -> Network:
        activation: ActivationName = "selu" if self._is_classifier else "mish"
        inputs: list[Any] = []
        embedded: list[Any] = []
        for name, array in x.items():
            if name == "codes":
                sizes = [size for size in self._sizes if size > MOST_ONE_HOT]
                inputs.append(Input(categories=tuple(sizes), name=name))
                embedded.append(Embedding(8, name="embedded")(inputs[-1]))
                continue
            inputs.append(Input(array.shape[1], name=name))
            waves = PeriodicEmbedding.pbld(name="waves")
            embedded.append(waves(inputs[-1]) if name == "numbers" else inputs[-1])
        h = Concat(name="all")(*embedded) if len(embedded) > 1 else embedded[0]
        h = Scale(name="scale")(h)
        for i, width in enumerate(self.hidden_layer_sizes):
            h = Dense(width, parametrization="ntk", name=f"dense{i}")(h)
            h = ParametricActivation(activation, name=f"act{i}")(h)
            h = Dropout(self.dropout, name=f"drop{i}")(h)
        last = Dense(outputs, parametrization="ntk", name="dense_out")(h)
        return Network(inputs=inputs, outputs=last, seed=seed)

    def _trainer(self, network: Network, x: Inputs, rows: Rows, seed: int) -> Trainer:
        some = {name: array[rows[:_ROWS]] for name, array in x.items()}
        if len(rows) > 1:
            given: Any = some if len(some) > 1 else next(iter(some.values()))
            from_data(network, given)
        rate = self.learning_rate or (0.04 if self._is_classifier else 0.2)
        steps = self.epochs * -(-len(rows) // min(self.batch_size, len(rows)))
        groups = [
            Group("scale.*", lr_factor=6.0),
            Group("dense*.bias", lr_factor=0.1, weight_decay=0.0),
            Group("act*", lr_factor=0.1),
        ]
        if "numbers" in x:
            groups.append(Group("waves.*", lr_factor=0.1))
        decay = FlatCos(steps, 0.5, 0.0, per="step")
        return Trainer(
            network,
            CrossEntropy(label_smoothing=0.1) if self._is_classifier else "mse",
            AdamW(lr=rate, betas=(0.9, 0.95), weight_decay=self.weight_decay),
            groups=groups,
            schedule={"lr": CosLog(steps, per="step"), "weight_decay": decay},
            seed=seed,
        )


class RealMLPClassifier(RecipeClassifier, _RealMLP):
    """RealMLP for classes: a plain network, with defaults tuned on many tables.

    Numbers are centred, scaled by their quartiles, pressed together to within 3 and embedded by
    waves; categories of up to 8 values become an input each, others vectors. Each input has a
    factor that is learnt. Hidden layers in the "ntk" form go through SELU (Mish for numbers), out
    of which a unit may fade, and dropout. Adam with decoupled decay learns at rates that rise and
    fall in four cycles; of all epochs the one counts that is best on held-out rows. Labels are
    smoothed by 0.1.

    >>> RealMLPClassifier(n_cv=5, random_state=0).fit(frame, frame.pop("class")).predict(new)

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491, RealMLP-TD; its dropout fades
    over the second half of the training, as the decay does, where it stays here.

    Args:
        hidden_layer_sizes: Units of each hidden layer.
        epochs: How often each network sees its rows.
        batch_size: Rows of a step, all where there are fewer.
        learning_rate: The highest; None: 0.04, for numbers 0.2.
        dropout: Share of the hidden units that are left out in training, within [0, 1).
        weight_decay: Of AdamW, at first; fades over the second half.
        n_cv: 1: one network, whose epoch validation_fraction of the rows chooses. More: so many
            networks, trained at the same time, each on all folds but one, that chooses its epoch;
            predictions are their means.
        validation_fraction: Share of the rows that choose the epoch where n_cv is 1.
        categorical_features: Columns that are categories, though they hold numbers, by names or
            indices. Text and the categories of frames always are.
        missing: What becomes of missing numbers: ``"error"``, or the ``"mean"`` or ``"median"`` of
            the column. A missing category is one of its own.
        random_state: Of what is drawn: splits, first weights, orders, dropout.
        n_jobs: Threads; None or -1: as many as gdcore may use, but that None is one where joblib
            trains several estimators at once.
        verbose: Shows a bar.

    Attributes:
        classes_: The classes, ascending.
        preparation_: What tables go through, a `gdcore.tabular.Preparation`.
        networks_: The networks. ``network_`` is the one, or an ensemble of all.
        histories_: Of each network its `gdcore.History`.
        n_iter_: Of each the epoch that counts.
    """


class RealMLPRegressor(RecipeRegressor, _RealMLP):
    """RealMLP for numbers; see `RealMLPClassifier` for what it does and takes.

    Targets are standardized, and no prediction is beyond what training rows had.
    """


def _spread(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Medians of columns, and what brings their quartiles to a distance of 1."""
    low, middle, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
    spread = high - low
    spread = np.where(spread == 0, 0.5 * (x.max(axis=0) - x.min(axis=0)), spread)
    return middle, np.divide(1, spread, out=np.zeros_like(spread), where=spread != 0)


def _bent(x: NDArray[Any], middle: NDArray[Any], factor: NDArray[Any]) -> NDArray[np.float32]:
    z = (x - middle) * factor
    bent: NDArray[np.float32] = (z / np.sqrt(1 + (z / 3) ** 2)).astype(np.float32)
    return bent

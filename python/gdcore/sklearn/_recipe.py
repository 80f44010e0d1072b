"""What the estimators with a published recipe share: tables in, predictions of networks out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from gdcore._check import integer
from gdcore.callbacks import EarlyStopping
from gdcore.ensembles import Ensemble
from gdcore.many import fit_many
from gdcore.network import Network
from gdcore.sklearn._jobs import threads_of
from gdcore.tabular import Preparation
from gdcore.training import Trainer
from gdcore.typing import Mode

__all__ = ["Recipe", "RecipeClassifier", "RecipeRegressor"]

_SEEDS = 2**31 - 1
Rows = NDArray[np.int64]
Inputs = dict[str, NDArray[Any]]


def positive(kind: type[Integral] | type[Real]) -> Interval:
    """A parameter's domain: 1 and more, or more than 0."""
    whole = kind is Integral
    return Interval(kind, 1 if whole else 0, None, closed="left" if whole else "neither")


SHARE = Interval(Real, 0, 1, closed="left")


class Recipe(ABC, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base of the estimators; see `gdcore.sklearn.RealMLPClassifier` for what they take."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": [tuple, list],
        "epochs": [positive(Integral)],
        "batch_size": [positive(Integral)],
        "dropout": [SHARE],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "n_cv": [positive(Integral)],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "categorical_features": [list, tuple, np.ndarray, None],
        "missing": [StrOptions({"error", "mean", "median"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    _numbers: ClassVar[str]  # what becomes of columns of numbers, see `gdcore.tabular.Preparation`
    _is_classifier: ClassVar[bool]

    # What a recipe is.

    @abstractmethod
    def _inputs(self, numbers: NDArray[Any], codes: NDArray[Any], first: bool) -> Inputs:
        """The inputs of the network by name, of scaled numbers and codes of categories.

        The first ones are those that train.
        """

    @abstractmethod
    def _network(self, x: Inputs, outputs: int, seed: int) -> Network:
        """A network over such inputs."""

    @abstractmethod
    def _trainer(self, network: Network, x: Inputs, rows: Rows, seed: int) -> Trainer:
        """Its trainer, which learns from some of the rows of x."""

    def _patience(self) -> int:
        """Epochs without a better figure after which training ends; epochs: never."""
        return int(self.epochs)

    # Both kinds.

    def _begun(self, X: Any, y: Any) -> tuple[dict[str, Any], NDArray[Any]]:  # noqa: N803
        """The checked columns, and y as a row."""
        self._validate_params()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        for units in self.hidden_layer_sizes:
            integer("hidden_layer_sizes", units)
        frame = self._table(X, reset=True)
        targets: NDArray[Any] = _check_y(y, y_numeric=not self._is_classifier, estimator=self)
        check_consistent_length(targets, next(iter(frame.values())))
        if len(targets) == 1:
            raise ValueError(f"{type(self).__name__} needs 2 samples at least, got 1 sample")
        return frame, targets

    def _fit(self, frame: dict[str, Any], targets: NDArray[Any], outputs: int) -> Any:
        random = check_random_state(self.random_state)
        self.preparation_ = Preparation(
            numbers=self._numbers,
            missing=self.missing,
            categories=self._categories(list(frame)),
            embed_above=0,  # codes of each, of which a recipe makes what it needs
            unseen="other",
            task="regression",
            target_scaling="none",
        ).fit(frame, np.arange(len(targets)))  # of the target it is to learn nothing
        self._sizes = [each.size for each in self.preparation_.fitted.embedded]
        self._learn(targets)
        x = self._prepared(frame, first=True)
        rows = self._folds(targets, random)
        seeds = [int(random.randint(_SEEDS)) for _ in rows]
        trainers = []
        for (train, _), seed in zip(rows, seeds, strict=True):
            network = self._network(x, outputs, seed)
            trainers.append(self._trainer(network, x, train, seed))
        figure = "val_accuracy" if self._is_classifier else "val_rmse"
        mode: Mode = "max" if self._is_classifier else "min"
        results = fit_many(
            trainers,
            x if len(x) > 1 else next(iter(x.values())),
            targets,
            epochs=self.epochs,
            batch_size=min(self.batch_size, *(len(train) for train, _ in rows)),
            rows=rows,
            metrics=() if self._is_classifier else ("rmse",),
            callbacks=[EarlyStopping(figure, patience=self._patience(), mode=mode)],
            progress=bool(self.verbose),
            num_threads=threads_of(self.n_jobs),
        )
        if (error := next((each.error for each in results.failed), None)) is not None:
            raise error
        self.networks_ = [each.network for each in trainers]
        self.histories_ = [each.history for each in results]
        best = np.argmax if self._is_classifier else np.argmin
        self.n_iter_ = [1 + int(best(history[figure])) for history in self.histories_]
        return self

    def _learn(self, targets: NDArray[Any]) -> None:
        """Whatever else a recipe has to know of the training rows."""

    def _categories(self, names: list[str]) -> list[str]:
        """The columns that categorical_features tells of, by names."""
        given = self.categorical_features
        if given is None:
            return []
        found = []
        for each in given:
            if isinstance(each, str):
                if each not in names:
                    raise ValueError(f"categorical_features must be columns of X, got {each!r}")
                found.append(each)
            elif not isinstance(each, (bool, np.bool_)) and isinstance(each, (int, np.integer)):
                if not 0 <= each < len(names):
                    raise ValueError(
                        f"categorical_features must be from 0 to {len(names) - 1}, got {each}"
                    )
                found.append(names[each])
            else:
                raise TypeError(
                    f"categorical_features must be names or indices of columns, got {each!r}"
                )
        return found

    def _table(self, X: Any, *, reset: bool) -> dict[str, Any]:  # noqa: N803
        """The columns by their names; of an array, or a frame of numbers alone, checked by values.

        Raises:
            TypeError: X is sparse.
            ValueError: X is not as scikit-learn has tables, or other than in ``fit``.
        """
        names = getattr(X, "columns", None)
        if names is not None and not callable(names) and _has_text(X):
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
            return {str(name): X[name] for name in names}
        rows = validate_data(
            self,
            X,
            dtype=np.float64,
            reset=reset,
            ensure_all_finite=True if self.missing == "error" else "allow-nan",
        )
        told = [str(name) for name in getattr(self, "feature_names_in_", ())]
        told = told or [f"x{i}" for i in range(rows.shape[1])]
        return {name: rows[:, i] for i, name in enumerate(told)}

    def _prepared(self, frame: dict[str, Any], *, first: bool = False) -> Inputs:
        found = self.preparation_.transform(frame)
        rows = len(next(iter(frame.values())))
        numbers = np.zeros((rows, 0), np.float32)
        codes = np.zeros((rows, 0), np.int32)
        if isinstance(found, dict):
            numbers, codes = found["numbers"], found["categories"]
        elif self._sizes:
            codes = found
        else:
            numbers = found
        return self._inputs(numbers, codes, first)

    def _folds(self, targets: NDArray[Any], random: Any) -> list[tuple[Rows, Rows]]:
        """Of each network the rows that it learns from and those that choose its epoch."""
        count = len(targets)
        seed = int(random.randint(_SEEDS))
        classes = self._is_classifier
        least = int(np.bincount(targets).min()) if classes else 0
        if self.n_cv == 1:
            held = max(1, round(self.validation_fraction * count))
            kinds = len(np.unique(targets)) if classes else 0
            apart = classes and least > 1 and held >= kinds and count - held >= kinds
            train, valid = train_test_split(
                np.arange(count),
                test_size=held,
                random_state=seed,
                stratify=targets if apart else None,
            )
            return [(np.sort(train), np.sort(valid))]
        if self.n_cv > count:
            raise ValueError(f"n_cv must be at most the {count} samples, got {self.n_cv}")
        kind = StratifiedKFold if least >= self.n_cv else KFold
        folds = kind(self.n_cv, shuffle=True, random_state=seed)
        return list(folds.split(np.zeros(count), targets))

    def _outputs(self, X: Any) -> list[NDArray[Any]]:  # noqa: N803
        """What each network predicts, (N, outputs): of classes probabilities."""
        check_is_fitted(self, "networks_")
        x = self._prepared(self._table(X, reset=False))
        given: Any = x if len(x) > 1 else next(iter(x.values()))
        if self._is_classifier:
            return [network.predict_proba(given) for network in self.networks_]
        return [network.predict(given) for network in self.networks_]

    @property
    def network_(self) -> Network | Ensemble:
        """The network, or of several an ensemble that averages; its inputs are prepared ones."""
        check_is_fitted(self, "networks_")
        return self.networks_[0] if len(self.networks_) == 1 else Ensemble(self.networks_)


class RecipeClassifier(ClassifierMixin, Recipe):  # type: ignore[misc]
    """Base of those that tell classes."""

    _is_classifier = True

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Trains the networks.

        Args:
            X: (N, features), an array of numbers or a frame with columns of numbers, categories,
                text and dates.
            y: (N,) classes, 2 at least.

        Returns:
            The estimator.

        Raises:
            TypeError: A parameter or X is of the wrong type.
            ValueError: A parameter is out of its domain, or a cell is not what it must be.
        """
        with _kept(self):
            frame, y = self._begun(X, y)
            check_classification_targets(y)
            coder = LabelEncoder()
            targets: Any = coder.fit_transform(y)
            if len(coder.classes_) < 2:
                raise ValueError(
                    f"{type(self).__name__} needs samples of at least 2 classes in y, but they are "
                    f"of one class only: {coder.classes_[0]!r}"
                )
            self.classes_ = coder.classes_
            return self._fit(frame, targets.astype(np.int64), len(coder.classes_))

    def predict_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Tells how likely each class is: the mean of all networks.

        Args:
            X: (N, features), as in ``fit``.

        Returns:
            (N, classes), in the order of ``classes_``.
        """
        found: Any = np.mean(self._outputs(X), axis=0, dtype=np.float64)
        return found  # type: ignore[no-any-return]

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Predicts the likeliest class.

        Args:
            X: (N, features), as in ``fit``.

        Returns:
            (N,) classes.
        """
        found: NDArray[Any] = self.predict_proba(X).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[found]
        return classes


class RecipeRegressor(RegressorMixin, Recipe):  # type: ignore[misc]
    """Base of those that tell numbers."""

    _is_classifier = False

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Trains the networks.

        Args:
            X: (N, features), an array of numbers or a frame with columns of numbers, categories,
                text and dates.
            y: (N,) finite numbers.

        Returns:
            The estimator.

        Raises:
            TypeError: A parameter or X is of the wrong type.
            ValueError: A parameter is out of its domain, or a cell is not what it must be.
        """
        with _kept(self):
            frame, y = self._begun(X, y)
            y = y.astype(np.float64)
            mean, spread = float(y.mean()), float(y.std())
            self._scale = (mean, spread if spread > 0 else 1.0)
            return self._fit(frame, (y - self._scale[0]) / self._scale[1], 1)

    def _learn(self, targets: NDArray[Any]) -> None:
        # No prediction is beyond what was seen.
        self._range = (float(targets.min()), float(targets.max()))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Predicts the mean of all networks, each within what ``fit`` has seen.

        Args:
            X: (N, features), as in ``fit``.

        Returns:
            (N,) numbers.
        """
        clipped = [each[:, 0].clip(*self._range) for each in self._outputs(X)]
        found: Any = np.mean(clipped, axis=0, dtype=np.float64) * self._scale[1] + self._scale[0]
        return found  # type: ignore[no-any-return]


@contextmanager
def _kept(estimator: Any) -> Iterator[None]:
    """Has the estimator as it was where what is within raises."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _has_text(frame: Any) -> bool:
    """Whether a frame has columns that are no numbers."""
    try:
        return np.asarray(frame).dtype.kind not in "biuf"
    except (TypeError, ValueError):
        return True

"""What judges an estimator while it trains: data held out, or the loss, and for how long."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils.validation import validate_data

from gdcore.sklearn._engine import Engine

__all__ = ["Judging"]


class Judging(BaseMultilayerPerceptron):  # type: ignore[misc]  # scikit-learn has no types
    """The part of an estimator that knows when it is good enough."""

    early_stopping_metric: Any
    _given_validation: Any = None
    # scikit-learn's, without types.
    _best_coefs: Any
    _best_intercepts: Any
    _no_improvement_count: int
    best_loss_: Any
    best_validation_score_: Any
    validation_scores_: Any
    _best_rest: Any

    def _parted(self, X: Any, y: Any, weights: Any) -> Any:  # noqa: N803
        """What trains, and what judges or None."""
        given = self._given_validation
        if given is not None:
            return X, y, weights, self._checked_validation(given)
        if not self.early_stopping:
            return X, y, weights, None
        # Labels of their own are not stratified.
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        arrays = (X, y) if weights is None else (X, y, weights)
        parts = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=stratify,
        )
        x_val, y_val = parts[1], parts[3]
        if x_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        if is_classifier(self):
            y_val = self._label_binarizer.inverse_transform(y_val)
        held_out = (x_val, y_val, None if weights is None else parts[5])
        return parts[0], parts[2], None if weights is None else parts[4], held_out

    def _checked_validation(self, given: Any) -> Any:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(
                f"validation_data must be (X, y) or (X, y, sample_weight), got {given!r}"
            )
        x = validate_data(
            self, given[0], accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32),
            reset=False,
        )  # fmt: skip
        y = np.asarray(given[1])
        if len(y) != x.shape[0]:
            raise ValueError(
                f"validation_data must have as many targets as rows, got {len(y)} and {x.shape[0]}"
            )
        return x, y, given[2] if len(given) == 3 else None

    def _judge(self, engine: Engine, held_out: Any) -> None:
        """Takes the score of the validation data."""
        x, y, weights = held_out
        score = self._validation_score(x, y, weights)
        if self.validation_scores_ is None:
            self.validation_scores_ = []
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        if not self.early_stopping:
            return
        best = self.best_validation_score_
        self._no_improvement_count = (
            self._no_improvement_count + 1 if score < best + self.tol else 0
        )
        if score > best:
            self.best_validation_score_ = score
            self._best_coefs, self._best_intercepts, self._best_rest = engine.read()

    def _validation_score(self, x: Any, y: Any, weights: Any) -> float:
        metric = self.early_stopping_metric
        if metric is None:
            return self._score(x, y, sample_weight=weights)  # type: ignore[no-any-return]
        scorer = get_scorer(metric) if isinstance(metric, str) else metric
        told = {} if weights is None else {"sample_weight": weights}
        with warnings.catch_warnings():  # the rows were checked, and are plain arrays now
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return float(scorer(self, x, y, **told))

    def _judge_loss(self) -> None:
        loss = self.loss_curve_[-1]
        worse = loss > self.best_loss_ - self.tol
        self._no_improvement_count = self._no_improvement_count + 1 if worse else 0
        self.best_loss_ = min(loss, self.best_loss_)

    def _is_done(self) -> bool:
        """Whether nothing has become better for long; the rate may fall instead."""
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )
        if self._optimizer.trigger_stopping(message, self.verbose):
            return True
        self._no_improvement_count = 0
        return False

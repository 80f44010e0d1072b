"""From scikit-learn's estimators and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier as ScikitClassifier
from sklearn.neural_network import MLPRegressor as ScikitRegressor

from gdcore.sklearn._base import MLP
from gdcore.sklearn.classifier import MLPClassifier
from gdcore.sklearn.regressor import MLPRegressor

__all__ = ["from_sklearn", "to_sklearn"]

_PAIRS: tuple[tuple[Any, Any], ...] = (
    (ScikitClassifier, MLPClassifier),
    (ScikitRegressor, MLPRegressor),
)
_OURS = ("_engines", "_rest", "_best_rest", "_drawn", "_given_validation")


def from_sklearn(estimator: Any) -> Any:
    """Makes an estimator of gdcore of one of scikit-learn.

    Parameters, and where it was fitted all attributes, are copied: it predicts the same up to
    rounding. ``partial_fit`` goes on from the same weights, with an optimizer at its beginning.

    Args:
        estimator: A ``MLPClassifier`` or ``MLPRegressor`` of ``sklearn.neural_network``.

    Returns:
        A `MLPClassifier` or `MLPRegressor`.

    Raises:
        TypeError: It is another one.
    """
    for theirs, ours in _PAIRS:
        if type(estimator) is theirs:
            return _with_attributes(ours(**estimator.get_params(deep=False)), estimator)
    raise TypeError(
        "estimator must be a MLPClassifier or MLPRegressor of scikit-learn, got "
        f"{type(estimator).__name__}"
    )


def to_sklearn(estimator: Any) -> Any:
    """Makes an estimator of scikit-learn of one of gdcore; see `from_sklearn`.

    Args:
        estimator: A `MLPClassifier` or `MLPRegressor`.

    Returns:
        A ``MLPClassifier`` or ``MLPRegressor`` of ``sklearn.neural_network``.

    Raises:
        TypeError: It is another one.
        ValueError: It has an activation or a loss that scikit-learn does not know.
    """
    if not isinstance(estimator, MLP):
        raise TypeError(
            "estimator must be a MLPClassifier or MLPRegressor of gdcore.sklearn, got "
            f"{type(estimator).__name__}"
        )
    theirs = next(theirs for theirs, ours in _PAIRS if isinstance(estimator, ours))
    if not estimator._is_known_activation():
        raise ValueError(
            f"activation must be one that scikit-learn knows, got {estimator.activation!r}"
        )
    if not estimator._is_plain_loss():
        raise ValueError(f"loss must be one that scikit-learn knows, got {estimator.loss!r}")
    known = theirs._get_param_names()
    given = estimator.get_params(deep=False)
    return _with_attributes(theirs(**{name: given[name] for name in known}), estimator)


def _with_attributes(made: Any, estimator: Any) -> Any:
    """The estimator with what another one has learnt."""
    names = set(estimator._get_param_names()) | set(_OURS) | {"loss", "_optimizer"}
    for name, value in vars(estimator).items():
        if name not in names:
            setattr(made, name, deepcopy(value))
    if hasattr(made, "coefs_"):
        made.coefs_ = [np.ascontiguousarray(each) for each in made.coefs_]
    return made

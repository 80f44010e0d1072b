"""More classes than there were: a network with more outputs, whose others stay as they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer

__all__ = ["grow"]


class _Column(NamedTuple):
    """Where an output comes from: an old one, with a factor; of gradients only the sign counts."""

    old: int
    factor: float


def grow(estimator: Any, classes: NDArray[Any]) -> None:
    """Gives a fitted classifier more classes.

    An output there was for a class stays one for it. The one output of two classes, the logit z of
    the second, becomes -z/2 and z/2, which say the same. New outputs start as those of a new
    network do, and with states of 0.

    Args:
        estimator: A `MLPClassifier` of one label.
        classes: All there are now, sorted, the old ones among them.
    """
    held = estimator._held()
    kept, last = held.state(), estimator._engine(False).form.dense()[-1]
    columns = _columns(list(estimator.classes_), list(classes))
    coef, intercept = estimator.coefs_[-1], estimator.intercepts_[-1]
    new_coef, new_intercept = estimator._init_coef(len(coef), len(columns), coef.dtype)
    for at, column in enumerate(columns):
        if column is not None:
            new_coef[:, at] = coef[:, column.old] * column.factor
            new_intercept[at] = intercept[column.old] * column.factor
    estimator.coefs_ = [*estimator.coefs_[:-1], new_coef]
    estimator.intercepts_ = [*estimator.intercepts_[:-1], new_intercept]
    estimator._label_binarizer = LabelBinarizer().fit(classes)
    estimator.classes_ = estimator._label_binarizer.classes_
    estimator.n_outputs_ = len(columns)
    estimator.out_activation_ = "softmax" if len(columns) > 1 else "logistic"
    held.made.clear()
    held.kept = None if kept is None else _state(estimator, kept, columns, last)


def _columns(old: list[Any], new: list[Any]) -> list[_Column | None]:
    """Of each output of the new classes where it comes from; None: it is new."""
    if len(new) == 2:  # of one class, whose opposite the output spoke for
        return [_Column(0, 1.0 if old[0] == new[0] else -1.0)]
    if len(old) > 2:
        return [_Column(old.index(each), 1.0) if each in old else None for each in new]
    return [_Column(0, 0.5 if old.index(e) else -0.5) if e in old else None for e in new]


def _state(estimator: Any, kept: Any, columns: list[_Column | None], last: str) -> Any:
    """The optimizer's state with that of the last layer in its new shape.

    Of scikit-learn's solvers; another optimizer begins with the last layer anew.
    """
    position, states = kept
    plain = estimator.optimizer is None
    changed = []
    for index, state in enumerate(states):
        squares = estimator.solver == "adam" and index == 1
        found = {key: each for key, each in state.items() if key.rpartition(".")[0] != last}
        for key in (f"{last}.weight", f"{last}.bias") if plain else ():
            old = state[key]
            new = np.zeros((len(columns), *old.shape[1:]), old.dtype)
            for at, column in enumerate(columns):
                if column is not None:
                    new[at] = old[column.old] * (1.0 if squares else np.sign(column.factor))
            found[key] = new
        changed.append(found)
    return position, changed

"""The estimator of numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.neural_network import MLPRegressor as ScikitRegressor
from sklearn.utils._param_validation import StrOptions

from gdcore.losses import Loss
from gdcore.sklearn._base import MLP

__all__ = ["MLPRegressor"]


def __dir__() -> list[str]:
    return __all__


class MLPRegressor(MLP, ScikitRegressor):  # type: ignore[misc]  # scikit-learn has no types
    """scikit-learn's ``MLPRegressor``, trained by gdcore.

    What scikit-learn's has, it has, and the same numbers up to rounding: first weights, order of
    samples, penalty, rates and endings are those of scikit-learn 1.9 for the same random_state.
    See there for the parameters that are not told here. Sparse rows are taken as they are.

    Args:
        activation: As scikit-learn's, or any of `gdcore.activations` by name or as an object, or a
            layer that stands behind each hidden layer, such as ``gdcore.PReLU()``; a list has one
            for each hidden layer.
        loss: As scikit-learn's, or any of `gdcore.losses` by name or as an object; the outputs are
            then what that loss takes.
        dropout: Share of the units of hidden layers that are left out in training, within [0, 1); a
            list has one for each hidden layer. Not with solver ``"lbfgs"``.
        optimizer: Any of `gdcore.optimizers` by name or as an object, in the place of solver and of
            all that belongs to it, learning_rate_init too. alpha then goes by batch_size, also in
            the last batch of an epoch; where the optimizer is a `gdcore.Penalized`, it does not
            count.
        schedule: Of the learning rate, any of `gdcore.schedules` that waits for no figure, or a
            name, over max_iter epochs; in the place of learning_rate.
        early_stopping_metric: What judges in place of R^2: a name of scikit-learn's scorers, or
            a function (estimator, X, y) -> float; more is better.
        n_jobs: Threads; None or -1: as many as gdcore may use, but that None is one where joblib
            trains several estimators at once, as a search with n_jobs does. Results do not depend
            on it.
        callbacks: Functions (estimator) that are called after each epoch, when the estimator
            is up to date; what is true ends the training.

    Raises:
        ValueError: ``fit`` raises it for a parameter out of its domain.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ScikitRegressor._parameter_constraints,
        **MLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", *Loss.members}), Loss, callable],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        optimizer: Any = None,
        schedule: Any = None,
        early_stopping_metric: Any = None,
        n_jobs: int | None = None,
        callbacks: Any = (),
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            loss=loss,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self._own_parameters(dropout, optimizer, schedule, early_stopping_metric, n_jobs, callbacks)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Any:  # noqa: N803
        """Trains anew, or with warm_start from where the estimator is.

        Args:
            X: (N, features), dense or sparse.
            y: (N,) or (N, outputs), numbers.
            sample_weight: (N,), at least 0.
            validation_data: (X, y) or (X, y, sample_weight) that judges after each epoch, for
                ``validation_scores_``; with early_stopping in place of a part of the samples.

        Returns:
            The estimator.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: An argument is of another shape or out of its domain, or the parameters
                became NaN or infinite.
        """
        return self._validated(super().fit, validation_data, X, y, sample_weight)

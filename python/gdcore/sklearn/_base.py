"""What both estimators share: scikit-learn's, with a gdcore network at work in them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._base import ACTIVATIONS, LOSS_FUNCTIONS
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.network import Network
from gdcore.optimizers import SGD, Adam, Optimizer
from gdcore.schedules import Schedule, Waiting, resolve_schedule, spread
from gdcore.sklearn._aim import PLAIN_LOSSES
from gdcore.sklearn._callbacks import CallbackSupportMixin, Telling
from gdcore.sklearn._engine import Engine, Engines, Parameters, Rule
from gdcore.sklearn._form import Form, rates_of
from gdcore.sklearn._jobs import threads_of
from gdcore.sklearn._judging import Judging
from gdcore.sklearn._work import Work, rows_as_taken
from gdcore.solvers import Solver

__all__ = ["MLP"]


def __dir__() -> list[str]:
    return __all__


_SEEDS = 2**31 - 1
_OWN: dict[str, Any] = {
    "activation": [
        StrOptions({"logistic", *Activation.members}),
        Activation,
        Layer,
        list,
        tuple,
    ],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple, np.ndarray],
    "optimizer": [StrOptions(set(Optimizer.members)), Optimizer, None],
    "schedule": [str, Schedule, callable, None],
    "early_stopping_metric": [str, callable, None],
    "n_jobs": [Integral, None],
    "callbacks": [list, tuple, callable],
}


class MLP(CallbackSupportMixin, Judging):  # type: ignore[misc]  # scikit-learn has no types
    """Base of `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultilayerPerceptron._parameter_constraints,
        **_OWN,
    }
    dropout: Any
    optimizer: Any
    schedule: Any
    n_jobs: int | None
    callbacks: Any

    def _own_parameters(
        self,
        dropout: Any,
        optimizer: Any,
        schedule: Any,
        early_stopping_metric: Any,
        n_jobs: Any,
        callbacks: Any,
    ) -> None:
        """Keeps what scikit-learn's estimators do not have."""
        self.dropout = dropout
        self.optimizer = optimizer
        self.schedule = schedule
        self.early_stopping_metric = early_stopping_metric
        self.n_jobs = n_jobs
        self.callbacks = callbacks

    # The network and scikit-learn's attributes.

    @property
    def network_(self) -> Network:
        """A copy of the network, ready for all of gdcore; its outputs are logits, or numbers.

        Where scikit-learn would take ``"exp"`` at the end, logarithms.
        """
        check_is_fitted(self)
        network = self._synced(False).form._replace(sparse=False).network()
        network.load_state_dict(self._synced(False).network.state_dict())
        if hasattr(self, "feature_names_in_"):
            network._native.input_names = list(self.feature_names_in_)
        return network

    def _held(self) -> Engines:
        held: Engines | None = vars(self).get("_engines")
        if held is None:
            held = self._engines = Engines()
        return held

    def _engine(self, sparse: bool) -> Engine:
        form = Form.of(list(map(np.asarray, self.coefs_)), self.activation, self.dropout, sparse)
        return self._held().of(form)

    def _synced(self, sparse: bool) -> Engine:
        """The network that reads such rows, with the parameters that the estimator shows.

        Raises:
            ValueError: They do not go together, or one is not finite.
        """
        for engine in self._held().made.values():
            if engine.ahead:
                return engine
        engine = self._engine(sparse)
        engine.take(Parameters(self.coefs_, self.intercepts_, vars(self).get("_rest", {})))
        return engine

    def _show(self, found: Parameters) -> None:
        """Has the estimator show parameters, as scikit-learn does."""
        self.coefs_, self.intercepts_, self._rest = found

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        rates = rates_of(self.dropout, len(layer_units) - 2)
        # Drawn only where it is needed: what scikit-learn draws after it stays the same.
        draws = any(rate > 0 for rate in rates)
        self._drawn = int(self._random_state.randint(_SEEDS)) if draws else 0
        self._engines = Engines()
        self._rest = self._engine(False).read().rest
        self._best_rest = self._rest

    def _is_plain_loss(self) -> bool:
        return isinstance(self.loss, str) and self.loss in PLAIN_LOSSES

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        engines = state.pop("_engines", None)
        if engines is not None:
            state["_kept_state"] = engines.state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("_kept_state", None)
        super().__setstate__(state)
        if kept is not None:
            self._held().kept = kept

    def initialize(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Makes the network that ``fit`` would train, with its first weights, and trains nothing.

        From there ``partial_fit`` goes on, and with warm_start ``fit``. Weights may be set before.

        Args:
            X: (N, features), as ``fit`` takes it; its values are only checked.
            y: Targets in which each class is, as ``fit`` takes them.

        Returns:
            The estimator.

        Raises:
            TypeError: As ``fit``.
            ValueError: As ``fit``.
        """
        self._validate_params()
        x, y = self._validate_input(X, y, False, reset=True)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        self._random_state = check_random_state(self.random_state)
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        self._initialize(y, [x.shape[1], *hidden, y.shape[1]], x.dtype)
        return self

    def _validated(self, fit: Any, validation_data: Any, *arrays: Any) -> Any:
        """Fits, with data that judges."""
        self._given_validation = validation_data
        try:
            return fit(*arrays)
        finally:
            del self._given_validation

    # Where arithmetic is.

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:  # noqa: N803
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)  # noqa: N806
        try:
            engine = self._synced(issparse(X))
        except ValueError:  # such as parameters that are not finite
            if not self._is_known_activation():
                raise
            return super()._forward_pass_fast(X, check_input=False)
        if issparse(X) and not engine.form.sparse:  # validation data of a fit of dense rows
            X = X.toarray()  # noqa: N806
        output = engine.network._native.predict(rows_as_taken(X), None, self._threads())
        ACTIVATIONS[self.out_activation_](output)
        return output

    def _is_known_activation(self) -> bool:
        return isinstance(self.activation, str) and self.activation in ACTIVATIONS

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *args: Any) -> None:  # noqa: N803
        for name, given, plain in (
            ("loss", self.loss, self._is_plain_loss()),
            ("optimizer", self.optimizer, self.optimizer is None),
            ("schedule", self.schedule, self.schedule is None),
            ("dropout", self.dropout, not np.any(np.asarray(self.dropout) > 0)),
        ):
            if not plain:
                raise ValueError(f"{name} must be the default with solver 'lbfgs', got {given!r}")
        telling = self._telling(X, y, sample_weight, 0, self._shown)
        super()._fit_lbfgs(X, y, sample_weight, *args)
        telling.finish()

    def _shown(self) -> Parameters:
        return Parameters(self.coefs_, self.intercepts_, self._rest)

    def _backprop(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
    ) -> Any:
        """Loss and gradients of all samples, which L-BFGS-B asks for."""
        try:
            engine = self._synced(issparse(X))
            output = engine.network.forward(rows_as_taken(X), training=True)
        except ValueError:
            if not self._is_known_activation():
                raise
            activations[0] = X
            return super()._backprop(
                X, y, sample_weight, activations, deltas, coef_grads, intercept_grads
            )
        ACTIVATIONS[self.out_activation_](output)
        binary = self.loss == "log_loss" and self.out_activation_ == "logistic"
        function = LOSS_FUNCTIONS["binary_log_loss" if binary else self.loss]
        total = len(y) if sample_weight is None else sample_weight.sum()
        loss = function(y, output, sample_weight) + 0.5 * self.alpha * engine.squares() / total
        delta = output - y
        if sample_weight is not None:
            delta *= sample_weight.reshape(-1, 1)
        delta /= total
        if not np.isfinite(delta).all():
            return loss, [c * np.nan for c in self.coefs_], [i * np.nan for i in self.intercepts_]
        engine.network.backward(delta)
        found = engine.gradients()
        coef_grads = [
            gradient + (self.alpha / total) * coef
            for gradient, coef in zip(found.coefs, self.coefs_, strict=True)
        ]
        return loss, coef_grads, found.intercepts

    def _fit_stochastic(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
        layer_units: Any,
        incremental: bool,
    ) -> None:
        del activations, deltas, coef_grads, intercept_grads, layer_units
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        anew = not incremental or not hasattr(self, "_optimizer")
        if anew:
            self._optimizer = self._rates()
        x, y, weights, held_out = self._parted(X, y, sample_weight)
        engine = self._synced(issparse(x))
        work = Work(self, engine, x, y, weights)
        self._ready(engine, work, anew)
        self.n_iter_ = 0
        epochs = 1 if incremental else self.max_iter
        telling = self._telling(x, y, weights, epochs, engine.read)
        engine.ahead = True
        try:
            self._epochs(engine, work, held_out, incremental, telling)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            engine.ahead = False
            self._show(engine.read())
        telling.finish()
        if self.early_stopping:
            self._show(Parameters(self._best_coefs, self._best_intercepts, self._best_rest))

    def _epochs(
        self, engine: Engine, work: Work, held_out: Any, incremental: bool, telling: Telling
    ) -> None:
        """All epochs, until the estimator is content."""
        for _ in range(self.max_iter):
            telling.begin()
            if not self._schedules():
                engine.set_rate(self._optimizer.learning_rate * work.rate_factor)
            self.loss_ = work.epoch()
            self.n_iter_ += 1
            self.t_ += work.samples
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            if held_out is not None:
                self._judge(engine, held_out)
            if not self.early_stopping:
                self._judge_loss()
            self._optimizer.iteration_ends(self.t_)
            ends = telling.end()
            if self._told(engine) or ends or self._is_done() or incremental:
                break
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def _telling(
        self, x: Any, y: Any, weights: Any, epochs: int, read: Callable[[], Parameters]
    ) -> Telling:
        """What tells scikit-learn's callbacks of a fit that begins."""

        def targets() -> Any:
            if is_classifier(self):
                return self._label_binarizer.inverse_transform(y)
            return y.ravel() if y.shape[1] == 1 else y

        def fitted() -> dict[str, Any]:
            coefs, intercepts, rest = read()
            anew = {"_engines": Engines(), "_rest": rest}
            return {"coefs_": coefs, "intercepts_": intercepts, **anew}

        return Telling(self, x, targets, weights, epochs, fitted)

    def _rates(self) -> Any:
        """scikit-learn's own keeper of the learning rate; the states are ours."""
        if self.solver == "sgd":
            return SGDOptimizer(
                [],
                self.learning_rate_init,
                self.learning_rate,
                self.momentum,
                self.nesterovs_momentum,
                self.power_t,
            )
        return AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _schedules(self) -> bool:
        """Whether the learning rate is ours to change, and not scikit-learn's."""
        return self.schedule is not None or self.optimizer is not None

    def _ready(self, engine: Engine, work: Work, anew: bool) -> None:
        """Has the engine a trainer: a new one, or one that goes on."""
        held = self._held()
        if anew or engine.trainer is None:
            state = None if anew else held.state()
            engine.start(work.aim.loss, self._rule(work))
            if state is not None:
                engine.restore(state)
        else:
            engine.trainer.num_threads = self._threads()
        held.kept = None
        for each in held.made.values():
            if each is not engine:
                each.trainer = None

    def _rule(self, work: Work) -> Rule:
        """Of the parameters.

        Raises:
            ValueError: The optimizer or the schedule is none for batches.
        """
        gradient = work.aim.gradient
        plain = self.optimizer is None
        if plain and self.solver == "sgd":
            optimizer: Optimizer = SGD(
                lr=self._optimizer.learning_rate * gradient,
                momentum=self.momentum,
                nesterov=bool(self.nesterovs_momentum and self.momentum > 0),
            )
        elif plain:
            optimizer = Adam(
                lr=self.learning_rate_init,
                betas=(self.beta_1, self.beta_2),
                eps=self.epsilon / gradient,
            )
        else:
            optimizer = Optimizer.resolve("optimizer", self.optimizer)
            if isinstance(optimizer, Solver):
                raise ValueError(
                    "optimizer must be one for batches, with solver='lbfgs' beside it as the way "
                    f"to take all samples at once, got {optimizer!r}"
                )
        schedule = resolve_schedule("schedule", self.schedule)
        if isinstance(schedule, str):
            schedule = spread(schedule, self.max_iter, work.batches)
        if schedule is not None and any(isinstance(each, Waiting) for each in schedule._all()):
            raise ValueError(
                "schedule must not wait for a figure, where learning_rate='adaptive' does, got "
                f"{self.schedule!r}"
            )
        penalty = self.alpha / work.batch_size
        seed = vars(self).get("_drawn", 0)
        return Rule(optimizer, plain, gradient, penalty, schedule, self._threads(), seed)

    def _threads(self) -> int | None:
        """n_jobs as a number of threads; None is as many as gdcore may use."""
        return threads_of(self.n_jobs)

    def _told(self, engine: Engine) -> bool:
        """Tells the callbacks of an epoch; whether one wants to end it."""
        callbacks = self.callbacks
        row: Any = (callbacks,) if callable(callbacks) else callbacks
        if not row:
            return False
        self._show(engine.read())
        answers = [each(self) for each in row]  # each hears of it
        return any(answers)

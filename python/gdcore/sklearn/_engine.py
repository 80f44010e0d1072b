"""A network and a trainer that work for an estimator."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore.groups import Group
from gdcore.network import Network
from gdcore.optimizers import SGD, Adam, Optimizer
from gdcore.schedules import Function, Schedule
from gdcore.sklearn._form import Form
from gdcore.training import Trainer
from gdcore.wrappers import Penalized

__all__ = ["Engine", "Engines", "Parameters", "Rule"]


class Parameters(NamedTuple):
    """All parameters of an estimator's network.

    Attributes:
        coefs: scikit-learn's matrices, (inputs, units) each.
        intercepts: Its biases, (units,) each.
        rest: What layers have that scikit-learn does not know, by the keys of ``state_dict``.
    """

    coefs: list[NDArray[Any]]
    intercepts: list[NDArray[Any]]
    rest: dict[str, NDArray[Any]]


class Rule(NamedTuple):
    """How an estimator's network is trained.

    Attributes:
        optimizer: scikit-learn's solver as an optimizer of ours, or one that was given.
        plain: Whether it is the former, whose penalty follows each batch.
        gradient: See `gdcore.sklearn._aim.Aim`.
        penalty: Weight of the squares of weights beside the mean loss of a whole batch.
        schedule: Of the learning rate, or None.
        num_threads: As a trainer takes it.
        seed: Of what is drawn.
    """

    optimizer: Optimizer
    plain: bool
    gradient: float
    penalty: float
    schedule: Schedule | dict[str, Any] | None
    num_threads: int | None
    seed: int


class Engine:
    """A network of a form, and, once `start` was called, what trains it."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.network: Network = form.network()
        self.trainer: Trainer | None = None
        self.ahead = False  # of what the estimator shows, while it trains
        self._dense = form.dense()
        self._own = {f"{name}.{part}" for name in self._dense for part in ("weight", "bias")}
        names = self.network._native.parameter_names
        self._places = [names.index(f"{name}.weight") for name in self._dense]
        self._decays = [0.0]  # of the next steps, and the number of the first of them
        self._first = 0
        self._eps = (0.0, 0.0)  # Adam's, and beta2
        self._momentum = False

    def read(self) -> Parameters:
        """Copies of the parameters."""
        return self._sorted(self.network.state_dict())

    def gradients(self) -> Parameters:
        """Those of the network's last backward."""
        return self._sorted(self.network.gradients())

    def _sorted(self, state: dict[str, NDArray[Any]]) -> Parameters:
        coefs = [np.ascontiguousarray(state[f"{name}.weight"].T) for name in self._dense]
        intercepts = [state[f"{name}.bias"] for name in self._dense]
        return Parameters(coefs, intercepts, {k: v for k, v in state.items() if k not in self._own})

    def take(self, given: Parameters) -> None:
        """Sets the parameters where they are others; those that given.rest lacks stay.

        Raises:
            ValueError: A shape differs, or a number is not finite.
        """
        state = self.network.state_dict()
        new = dict(given.rest)
        for name, coef, intercept in zip(self._dense, given.coefs, given.intercepts, strict=True):
            new[f"{name}.weight"], new[f"{name}.bias"] = np.asarray(coef).T, intercept
        if not all(np.array_equal(state[key], each) for key, each in new.items()):
            self.network.load_state_dict(state | new)

    def squares(self) -> float:
        """The sum of the squares of all weights."""
        sums = self.network._native.sums_of_squares()
        return sum(sums[place] for place in self._places)

    def start(self, loss: Any, rule: Rule) -> Trainer:
        """Makes a trainer, whose optimizer is at its beginning.

        Raises:
            TypeError: See `gdcore.Trainer`.
            ValueError: See `gdcore.Trainer`.
        """
        optimizer = rule.optimizer
        groups = []
        schedule = rule.schedule
        self._momentum = False
        if rule.plain:
            own: dict[str, Any] = {"weight_decay": Function(self._decay_at, per="step")}
            if isinstance(optimizer, Adam):
                self._eps = (optimizer.eps, optimizer.betas[1])
                own["eps"] = Function(self._eps_at, per="step")
            elif isinstance(optimizer, SGD):
                self._momentum = optimizer.momentum > 0
            groups = [Group(f"{name}.bias", weight_decay=0.0) for name in self._dense]
            others = set(self.network._native.parameter_names) - self._own
            layers = sorted({key.rpartition(".")[0] for key in others})
            groups += [Group(f"{name}.*", weight_decay=0.0) for name in layers]
            schedule = _with_rate(schedule, own)
        elif rule.penalty > 0 and optimizer.penalty() is None:
            optimizer = Penalized(optimizer, l2=rule.penalty / rule.gradient)
        self.trainer = Trainer(
            self.network,
            loss,
            optimizer,
            num_threads=rule.num_threads,
            seed=rule.seed,
            groups=groups,
            schedule=schedule,
        )
        if rule.plain:
            self._follow(self.trainer)
        return self.trainer

    def _follow(self, trainer: Trainer) -> None:
        """Has C++ ask for decay and eps itself.

        What a function gives is otherwise tried in an optimizer at each step, which takes as long
        as a small step; these two are known to be in their domain.
        """
        own = {
            "weight_decay": lambda _, t: self._decay_at(t),
            "eps": lambda _, t: self._eps_at(t),
        }
        natives = []
        for each in trainer._followed():
            told, place, start, _, *rest = each.native() or ()
            natives.append((told, place, start, own[each.key], *rest))
        trainer._native.set_hyper_schedules(natives)

    def decay(self, values: list[float]) -> None:
        """Sets the weight decay of each of the next steps."""
        self._decays = values
        self._first = self.trainer.steps if self.trainer else 0

    def set_rate(self, lr: float) -> None:
        """Sets the learning rate of the next steps, as scikit-learn does.

        Its velocity is one of weights, with the rates of its time in it: where the rate falls, the
        velocity does not.
        """
        trainer = self.trainer
        if trainer is None or trainer.lr == lr:
            return
        if self._momentum and trainer.steps:
            factor = trainer.lr / lr
            _, _, states = trainer._native.copy()
            for index, state in enumerate(states):
                for key, array in state.items():
                    trainer._native.set_state(index, key, array * factor)
        trainer.lr = lr

    def _decay_at(self, t: int) -> float:
        return self._decays[min(max(t - self._first, 0), len(self._decays) - 1)]

    def _eps_at(self, t: int) -> float:
        """scikit-learn adds eps before the root of v is corrected, and PyTorch's form after it."""
        eps, beta2 = self._eps
        return eps / math.sqrt(1.0 - _power(beta2, t + 1))

    def kept(self) -> Any:
        """What the optimizer knows: its position and states; None without a trainer."""
        if self.trainer is None:
            return None
        position, _, states = self.trainer._native.copy()
        return position, states

    def restore(self, kept: Any) -> None:
        """Has the trainer, which was just started, go on with what another one kept."""
        position, states = kept
        native = self.trainer._native if self.trainer else None
        if native is None or native.states != len(states):
            return
        for index, state in enumerate(states):
            for key, array in state.items():
                native.set_state(index, key, array)
        native.set_position(*position)


class Engines:
    """Those of an estimator: of dense rows, and of sparse ones."""

    def __init__(self) -> None:
        self.made: dict[bool, Engine] = {}
        self.kept: Any = None  # of an optimizer that was pickled

    def of(self, form: Form) -> Engine:
        """The one of that form."""
        found = self.made.get(form.sparse)
        if found is None or found.form != form:
            found = self.made[form.sparse] = Engine(form)
        return found

    def state(self) -> Any:
        """What the optimizer at work knows, or the one that was pickled knew."""
        found = [each.kept() for each in self.made.values() if each.trainer is not None]
        return found[0] if found else self.kept


def _with_rate(schedule: Any, own: dict[str, Any]) -> dict[str, Any]:
    if schedule is None:
        return own
    return {**own, **(schedule if isinstance(schedule, dict) else {"lr": schedule})}


def _power(base: float, exponent: int) -> float:
    """base^exponent by products alone: the same on every machine, which libm's is not."""
    found = 1.0
    while exponent:
        if exponent & 1:
            found *= base
        base *= base
        exponent >>= 1
    return found

"""A network, and what trains it, that gets more inputs and outputs as a stream goes on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore._layer import Layer
from gdcore._node import Input
from gdcore.layers import Dense
from gdcore.losses import Loss
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.training import Trainer
from gdcore.typing import DTypeName

__all__ = ["Form", "Learner", "State", "checked_hidden"]

_LEAST = 16  # columns there is room for at first
State = dict[str, NDArray[Any]]


def checked_hidden(hidden: object) -> tuple[Any, ...]:
    """The parameter hidden: numbers of units, and layers, of which none is the first.

    Raises:
        TypeError: It is no tuple or list, or an entry is neither.
        ValueError: A number of units is below 1, or a layer is the first.
    """
    if not isinstance(hidden, (tuple, list)):
        raise TypeError(f"hidden must be a tuple of numbers of units, got {hidden!r}")
    found = []
    for i, each in enumerate(hidden):
        if not isinstance(each, Layer):
            each = integer(f"hidden[{i}]", each)
        elif i == 0:
            raise ValueError(f"hidden[0] must be a number of units, got {each!r}")
        found.append(each)
    return tuple(found)


class Form(NamedTuple):
    """What makes the network and its trainer, but for sizes and parameters."""

    hidden: tuple[Any, ...]
    activation: Any
    loss: Loss
    optimizer: Optimizer
    dtype: DTypeName
    seed: int

    def layers(self, outputs: int, sparse: bool) -> list[Layer]:
        """Those of the network."""
        made: list[Layer] = []
        for each in self.hidden:
            is_units = isinstance(each, int)
            reads = sparse and not made
            made.append(Dense(each, self.activation, sparse=reads) if is_units else each)
        if not made:
            return [Dense(outputs, sparse=sparse, weight_init="zeros")]
        return [*made, Dense(outputs)]

    def network(self, columns: int, outputs: int) -> Network:
        """One that reads sparse rows, with its first values.

        Those of a column depend on seed and column, those of an output on seed and output: never on
        how many there are. As the number of inputs is not known, that of the first layer's units
        stands for it: weights start within sqrt(3 / units), so that their variance is 1 / units.
        """
        given = Input(columns, sparse=True)
        layers = self.layers(outputs, True)
        network = Network(layers, inputs=given, dtype=self.dtype, seed=self.seed)
        if self.hidden:
            # Rows of W are drawn in order, whatever their number: here a row is a column.
            units = self.hidden[0]
            drawn = [Dense(units), Dense(columns, weight_init="lecun_uniform")]
            values = Network(drawn, input_size=units, dtype=self.dtype, seed=self.seed).state_dict()
            state = network.state_dict()
            state["0.weight"] = np.ascontiguousarray(values["1.weight"].T)
            state["0.bias"] = values["0.bias"]
            network.load_state_dict(state)
        return network


class Learner:
    """A network of a form, with as many inputs and outputs as the stream has had so far.

    Attributes:
        form: What it is made of.
        columns: The input of each feature.
        outputs: How many there are.
    """

    columns: dict[Hashable, int]
    network: Network
    trainer: Trainer

    def __init__(self, form: Form, outputs: int) -> None:
        self.form = form
        self.columns = {}
        self.outputs = outputs
        self._room = _LEAST
        self._take(form.network(_LEAST, outputs))
        if self.trainer._native.statistics:
            raise ValueError(
                "optimizer must be one that keeps nothing but numbers beside each weight, got "
                f"{form.optimizer!r}"
            )

    def _take(self, network: Network) -> None:
        self.network = network
        form = self.form
        self.trainer = Trainer(network, form.loss, form.optimizer, num_threads=1, seed=form.seed)
        # Looked up once.
        self.learn = self.trainer._native.learn_one
        self.forward = network._native.forward_one

    def add_features(self, names: Iterable[Hashable]) -> list[Hashable]:
        """Gives inputs to features that have none; in an order that no dict has a say in.

        Returns:
            Those that are new.
        """
        new = [name for name in names if name not in self.columns]
        try:
            new.sort()  # type: ignore[call-arg]  # where names have an order
        except TypeError:
            new.sort(key=lambda name: (type(name).__name__, repr(name)))
        room = self._room
        while room < len(self.columns) + len(new):
            room *= 2
        if room > self._room:
            self._grow(room, self.outputs, self.outputs)
        for name in new:
            self.columns[name] = len(self.columns)
        return new

    def drop_features(self, names: Sequence[Hashable]) -> None:
        """Takes back `add_features`, if nothing has been learnt since."""
        for name in names:
            del self.columns[name]

    def add_output(self, kept: int) -> None:
        """Gives the network one output more than the ``kept`` first, which stay."""
        self._grow(self._room, kept + 1, kept)

    def reset(self) -> None:
        """Has the optimizer begin anew; parameters and learning rate stay."""
        lr = self.trainer.lr
        self._take(self.network)
        self.trainer.lr = lr

    def _grow(self, room: int, outputs: int, kept: int) -> None:
        """Makes the network anew, with what there is in it."""
        position, parameters, states = self.trainer._native.copy()
        last = str(len(self.form.hidden))
        network = self.form.network(room, outputs)
        begun = network.state_dict()
        network.load_state_dict(_put(parameters, begun, last, kept))
        self.outputs, self._room = outputs, room
        self._take(network)
        grown = []
        for state in states:
            zeros = {key: np.zeros_like(begun[key]) for key in state}
            grown.append(_put(state, zeros, last, kept))
        self._go_on(position, grown)

    def _go_on(self, position: Any, states: Sequence[State]) -> None:
        native = self.trainer._native
        for index, state in enumerate(states):
            for key, array in state.items():
                native.set_state(index, key, array)
        native.set_position(*position)

    def dense(self, outputs: int) -> Network:
        """A copy that reads rows of the features there are, with the first outputs."""
        inputs = max(1, len(self.columns))
        layers = self.form.layers(outputs, False)
        network = Network(layers, input_size=inputs, dtype=self.form.dtype, seed=self.form.seed)
        state, cut = self.network.state_dict(), {}
        for key, array in network.state_dict().items():
            cut[key] = state[key][tuple(map(slice, array.shape))]
        network.load_state_dict(cut)
        if self.columns and all(isinstance(name, str) for name in self.columns):
            network._native.input_names = list(map(str, self.columns))
        return network

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and states as arrays: a trainer cannot be pickled."""
        position, parameters, states = self.trainer._native.copy()
        return {
            "form": self.form,
            "columns": self.columns,
            "outputs": self.outputs,
            "room": self._room,
            "position": position,
            "parameters": parameters,
            "states": states,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.form = state["form"]
        self.columns = state["columns"]
        self.outputs = state["outputs"]
        self._room = state["room"]
        network = self.form.network(self._room, self.outputs)
        network.load_state_dict(state["parameters"])
        self._take(network)
        self._go_on(state["position"], state["states"])


def _put(old: State, new: State, last: str, kept: int) -> State:
    """New arrays with the old ones in them, of the last layer the first ``kept`` rows."""
    for key, array in old.items():
        part = array[:kept] if key.rpartition(".")[0] == last else array
        new[key][tuple(map(slice, part.shape))] = part
    return new

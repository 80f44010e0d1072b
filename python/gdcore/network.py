"""The network: layers with their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._check import flag, integer, optional_integer, real
from gdcore._heads import joined, split, split_derivatives
from gdcore._layer import Layer, LayerLike
from gdcore._names import choice, unknown
from gdcore._native import NETWORKS, NativeNetwork, specs_of
from gdcore._node import Input, Node
from gdcore._wiring import Wiring
from gdcore.activations import Activation
from gdcore.parameters import Parameter, checked_parameters, native_parameters
from gdcore.typing import DType, Inputs, Task

if TYPE_CHECKING:
    from gdcore._summary import Summary
    from gdcore.persistence import NetworkParts

__all__ = ["Network"]


def __dir__() -> list[str]:
    return __all__


class Network:
    """Layers, and the parameters they start from.

    Layers stand in a row:

    >>> net = gdcore.Network([gdcore.Dense(64, "relu"), gdcore.Dense(10)], input_size=784)
    >>> net.predict(x)  # (N, 784) -> (N, 10)

    or are joined in any way without a cycle, by calling them on nodes:

    >>> a, b = gdcore.Input(12, name="a"), gdcore.Input(3, name="b")
    >>> h = gdcore.Concat()(gdcore.Dense(32, "relu")(a), b)
    >>> outputs = {"price": gdcore.Dense(1)(h), "kind": gdcore.Dense(4)(h)}
    >>> net = gdcore.Network(inputs=[a, b], outputs=outputs)
    >>> net.predict({"a": xa, "b": xb})["kind"]  # (N, 4)

    With several inputs, x is everywhere a dict of an array for each, by name; with outputs in a
    dict, so is what comes out, and what belongs to it: targets, losses, gradients. One input is an
    array, and so is one output that was not given in a dict.

    Wherever an array goes in, real numbers of any dtype are taken: what is not C-contiguous and of
    the network's dtype is copied into that form first; several inputs, and codes, are always
    copied. So are tables, see `feature_names`, each
    column of its own type, as long as it has numbers or booleans and none is missing. An
    ``Input(columns, sparse=True)`` takes CSR arrays as well. Results are
    new arrays of the network's dtype. Rows do not see each other: ``forward(x)[i]`` has the bits of
    ``forward(x[i:i+1])[0]``.

    A network can be pickled, and copied with ``copy.copy`` or ``copy.deepcopy``: each copy is on
    its own, with the same description and parameters, and without gradients. Its parameters must be
    finite.

    Args:
        layers: At least one, each reading what the one before it makes; see `gdcore.layers`. An
            activation, or its name, may stand among them. Or else outputs are given.
        input_size: Number of columns of real numbers that the first layer reads, at least 1.
        inputs: In place of input_size, an `Input`, or with outputs a sequence of them; each has a
            name where there are several.
        outputs: In place of layers, a node, or a dict of nodes by name. What leads from inputs to
            them is the network. Names do not begin with ``"val"``.
        dtype: ``"float32"`` or ``"float64"``, of parameters and arithmetic.
        seed: Decides the first values, at least 0. The same description and seed make the same
            network, on every machine.
        parameters: More to train beside those of the layers, see `gdcore.Parameter`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, two layers, inputs, outputs or parameters have
            one name, widths do not go together, an input leads nowhere or is another network's, a
            layer cannot read codes, or the sizes are more than can be addressed.
    """

    def __init__(
        self,
        layers: Sequence[LayerLike] | None = None,
        *,
        input_size: int | None = None,
        inputs: Input | Sequence[Input] | None = None,
        outputs: Node | Mapping[str, Node] | None = None,
        dtype: DType = "float32",
        seed: int = 0,
        parameters: Sequence[Parameter] = (),
    ) -> None:
        self._parameters = checked_parameters(parameters)
        self._wiring = Wiring.of(layers, input_size, inputs, outputs)
        self._dtype = _checked_dtype(dtype)
        self._seed = integer("seed", seed, at_least=0)
        self._make()

    @property
    def layers(self) -> tuple[Layer | Activation, ...]:
        """The layers, and the activations that stand among them; in the order they were made in."""
        return self._wiring.layers

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What stands before the dot in the keys of `state_dict`.

        A layer's name where it has one, else its index: its place in `layers`.
        """
        return self._wiring.names

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it is given."""
        return self._wiring.inputs

    @property
    def heads(self) -> dict[str, int]:
        """Of outputs given in a dict, name and size of each; else empty."""
        return dict(self._heads)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of parameters and arithmetic."""
        return self._dtype

    @property
    def seed(self) -> int:
        """What decided the first values."""
        return self._seed

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those beside the layers, as given."""
        return self._parameters

    @property
    def input_size(self) -> int:
        """Number of columns of all inputs together."""
        return self._native.input_size

    @property
    def output_size(self) -> int:
        """Number of columns of all outputs together; of an ensemble those of each member."""
        return self._native.output_size // self.members

    @property
    def members(self) -> int:
        """How many members an ensemble has, see `gdcore.EnsembleDense`; 1 of any other network."""
        return self._native.members

    @property
    def num_parameters(self) -> int:
        """How many numbers there are to train."""
        return self._native.num_parameters

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """What the inputs are called; None where nobody has named them.

        They are the names of the columns of the first table (a DataFrame of pandas or polars, a
        Table of pyarrow) that a trainer of this network learned from. From then on, tables find
        their columns by name, wherever one goes in: in any order, while missing columns, and
        columns that are too many, are a ValueError. Arrays have no names and are taken as they are,
        and so are tables whose columns are not named by strings. Names are saved with the network.
        With several inputs there are none: tables in a dict are taken as they are.
        """
        return tuple(self._native.input_names) or None

    def __repr__(self) -> str:
        """Sizes, activations and other layers in a row, e.g. ``784 -> 64 relu -> 10``.

        Of layers that are joined otherwise their number, between inputs and outputs.
        """
        if not self._wiring.is_row:
            return self._joined_repr()
        row = [_shown_input(self._wiring.inputs[0])]
        for layer in self.layers:
            told = layer.name if isinstance(layer, Activation) else layer.shown()
            if isinstance(layer, Activation):
                row[-1] += f" {told}"
            else:
                row.append(told)
        return f"Network({' -> '.join(row)}, {self.dtype}, {self.num_parameters:,} parameters)"

    def _joined_repr(self) -> str:
        inputs = " + ".join(map(_shown_input, self._wiring.inputs))
        outputs = ", ".join(f"{name} {size}" for name, size in self._heads.items())
        return (
            f"Network({inputs} -> {len(self.layers)} layers -> {outputs or self.output_size}, "
            f"{self.dtype}, {self.num_parameters:,} parameters)"
        )

    def forward(self, x: Inputs, training: bool = False) -> Any:
        """Computes the outputs of one batch.

        Args:
            x: (N, input_size), finite; of several inputs a dict of (N, size) each.
            training: Keeps what `backward` needs.

        Returns:
            (N, output_size); of outputs by name a dict of (N, size) each, of an ensemble the
            outputs of its members, (N, members, output_size).

        Raises:
            TypeError: x is complex, of objects or of strings, or no dict where there are several
                inputs.
            ValueError: x is of another shape, empty, or not finite, holds codes that are no whole
                numbers or out of range, or lacks an input or has too many.
        """
        found = self._native.forward(x, flag("training", training), None)
        return split(found, self._heads) if self._heads else self._apart(found)

    def _apart(self, output: NDArray[Any]) -> NDArray[Any]:
        """With a dimension for the members, where the network is an ensemble."""
        if self.members == 1:
            return output
        return output.reshape(len(output), self.members, self.output_size)

    def predict(self, x: Inputs, batch_size: int | None = None) -> Any:
        """Computes the outputs of any number of rows, in batches, so that memory is bounded.

        Args:
            x: As in `forward`.
            batch_size: Rows at a time, at least 1; None chooses. The result does not depend on it.

        Returns:
            (N, output_size), or a dict of (N, size) each; with ``"softmax"`` as last activation,
            probabilities. Of an ensemble the mean over its members, in order: of probabilities,
            where the last activation gives such. Of logits take `predict_proba`. Ctrl-C ends it
            with a KeyboardInterrupt.

        Raises:
            TypeError: As in `forward`, or batch_size is no integer.
            ValueError: As in `forward`, or batch_size is below 1.
        """
        found = self._native.predict(x, optional_integer("batch_size", batch_size), None)
        return split(found, self._heads) if self._heads else found

    def predict_proba(
        self,
        x: Inputs,
        batch_size: int | None = None,
        *,
        task: Task | None = None,
        head: str | None = None,
    ) -> NDArray[Any]:
        """Computes what the outputs say of classes, as probabilities.

        A network does not know its loss, so that the outputs are taken for what its form says: with
        one output it is the logit of class 1 (``"bce_with_logits"``), with several they are the
        logits of a class each (``"cross_entropy"``). After sigmoid or softmax they are
        probabilities already, and stay as they are. For a network of numbers, as ``"mse"`` trains
        it, the result means nothing.

        Args:
            x: As in `predict`.
            batch_size: As in `predict`.
            task: ``"binary"``: each output is the logit of a label of its own, as
                ``"bce_with_logits"`` trains several; ``"multiclass"``: of one class of K. None goes
                by the form.
            head: Which output, where they have names; may be left out where there is one.

        Returns:
            (N, output_size), or of a head (N, size). Of one output the probability of class 1,
            1 / (1 + exp(-p)); of several softmax(p), which adds up to 1 in each row, or with
            ``task="binary"`` 1 / (1 + exp(-p)) each; of an ensemble the mean of its members'
            probabilities. Computed in float64 and rounded to the network's dtype; apart from
            sigmoid and softmax layers the last bit may depend on NumPy.

        Raises:
            TypeError: As in `predict`, or task or head is no string.
            ValueError: As in `predict`; or the last layer has an activation that bounds its outputs
                and gives no probabilities, such as relu; or it cannot be of that task; or there is
                no such head.
        """
        from gdcore import _classes  # only here: import gdcore stays light

        outputs = _classes.Outputs.of(self, self._head(head), task)
        if self.members > 1:
            return outputs.of_members(self._members_of(x, batch_size))
        return outputs.probabilities(self._of_head(x, batch_size, head))

    def _members_of(self, x: Inputs, batch_size: int | None) -> NDArray[Any]:
        """The outputs of all members, (N, members, output_size)."""
        at_once = optional_integer("batch_size", batch_size)
        return self._apart(self._native.predict(x, at_once, None, apart=True))

    def predict_classes(
        self,
        x: Inputs,
        batch_size: int | None = None,
        *,
        task: Task | None = None,
        head: str | None = None,
    ) -> NDArray[np.int64]:
        """Computes the most likely class of each row; outputs are taken as in `predict_proba`.

        Args:
            x: As in `predict`.
            batch_size: As in `predict`.
            task: As in `predict_proba`.
            head: As in `predict_proba`.

        Returns:
            (N,) of int64: of several outputs the place of the largest, of equal ones the first; of
            one output 1 where the probability of class 1 is above 1/2, else 0. With
            ``task="binary"`` and several outputs (N, output_size) of 0 and 1. That is what the
            accuracy of `Trainer.evaluate` counts.

        Raises:
            TypeError: As in `predict_proba`.
            ValueError: As in `predict_proba`, or an output is NaN.
        """
        from gdcore import _classes

        outputs = _classes.Outputs.of(self, self._head(head), task)
        if self.members > 1:
            return outputs.classes_of_members(self._members_of(x, batch_size))
        return outputs.classes(self._of_head(x, batch_size, head))

    def _head(self, given: object) -> str | None:
        """The argument head: the name of an output, None where they have none."""
        names = list(self._heads)
        if given is None and len(names) < 2:
            return names[0] if names else None
        if not names:
            raise ValueError(f"head must be None: the outputs have no names, got {given!r}")
        if given is None:
            raise ValueError(f"head must be given where there are several: {', '.join(names)}")
        return choice("head", given, names)

    def _of_head(self, x: Any, batch_size: int | None, head: str | None) -> NDArray[Any]:
        found = self.predict(x, batch_size)
        chosen: NDArray[Any] = found[self._head(head)] if self._heads else found
        return chosen

    def summary(self) -> Summary:
        """Tells the layers, one a line.

        >>> print(net.summary())

        Returns:
            A str that shows itself as a table: of each layer its name, the shape of its output for
            N rows, its activation, how many parameters it has, the bytes they take, and the FLOPs
            of its sums for one sample, 2 inputs x units and one for each bias, as
            `Trainer.operations` counts them; then the totals.
        """
        from gdcore import _summary

        return _summary.summary_of(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def backward(
        self,
        grad_output: Inputs,
        accumulate: bool = False,
        *,
        parameters: Mapping[str, ArrayLike] | None = None,
    ) -> Any:
        """Carries a gradient from the outputs back to the parameters and the inputs.

        Any loss works with it: after ``forward(x, training=True)`` give its derivative by the
        outputs, then read `gradients` or call `Trainer.apply_gradients`.

        Args:
            grad_output: dL/d(output), for the N rows of the last forward and in its shape; of
                outputs by name a dict of (N, size) each.
            accumulate: Adds to the gradients there are instead of replacing them.
            parameters: dL/dv of each `gdcore.Parameter` v by its name, in its shape; 0 where it is
                left out.

        Returns:
            dL/dx, (N, input_size); of several inputs a dict of (N, size) each. Codes have no
            gradient, and sparse rows get none: they are not in the dict, and of such an input alone
            it is None.

        Raises:
            RuntimeError: No ``forward(x, training=True)`` came before, or the parameters have
                changed since.
            TypeError: grad_output is complex, of objects or of strings, or no dict where outputs
                have names.
            ValueError: grad_output or a gradient in parameters is of another shape, or not finite,
                grad_output lacks an output or has too many, or parameters has a name that no
                parameter beside the layers has.
        """
        if parameters is not None and type(parameters) is not dict:
            if not isinstance(parameters, Mapping):
                raise TypeError(f"parameters must be a mapping, got {type(parameters).__name__}")
            parameters = dict(parameters)
        if self._heads:
            grad_output = joined("grad_output", grad_output, self._heads)
        elif self.members > 1:
            shape = (self.members, self.output_size)
            gradient = np.asarray(grad_output)
            if gradient.ndim != 3 or gradient.shape[1:] != shape:
                raise ValueError(
                    f"grad_output must have shape (N, {shape[0]}, {shape[1]}), got {gradient.shape}"
                )
            grad_output = gradient.reshape(len(gradient), -1)
        return self._native.backward(grad_output, flag("accumulate", accumulate), parameters)

    def jacobian(self, x: Inputs, *, return_outputs: bool = False) -> Any:
        """Computes the derivatives of all outputs by all inputs, for each row.

        They are those of `predict`, by a backward pass for each output; `gradients` stay.

        Args:
            x: As in `predict`.
            return_outputs: Whether to return ``predict(x)``, too.

        Returns:
            (N, output_size, input_size): at [n, k, i] the derivative of ``predict(x)[n, k]`` by
            ``x[n, i]``. Of outputs by name a dict of those; of several inputs, codes or sparse rows
            each is a dict by input, without these two. With return_outputs a tuple: ``predict(x)``,
            and that. Ctrl-C ends it with a KeyboardInterrupt.

        Raises:
            TypeError: x is not of real numbers, or return_outputs no bool.
            ValueError: x is of another shape, empty, or not finite, or the network is an ensemble.
        """
        if self.members > 1:
            raise ValueError(f"jacobian is of one network, got an ensemble of {self.members}")
        both = flag("return_outputs", return_outputs)
        outputs, found = self._native.jacobian(x)
        derivatives = split_derivatives(found, self._wiring.inputs, self._heads)
        told = split(outputs, self._heads) if self._heads else outputs
        return (told, derivatives) if both else derivatives

    def soft_update(self, other: Network, tau: float) -> None:
        """Moves all that is in `state_dict` a step towards another network's.

        own <- (1 - tau) own + tau other, running averages too, as target networks follow the ones
        that are trained (Lillicrap et al., arXiv:1509.02971; tau 0.005 or so). tau=1 copies.
        Gradients are then used up. Another thread may train either network meanwhile: what is read
        are the parameters between two of its steps. With itself nothing changes.

        Args:
            other: A network of the same layers and dtype.
            tau: The share of the other, from 0 to 1.

        Raises:
            TypeError: other is no network, or tau no number.
            ValueError: Layers or dtype differ, or tau is out of its domain.
        """
        if not isinstance(other, Network):
            raise TypeError(f"other must be a gdcore.Network, got {type(other).__name__}")
        if other.dtype != self.dtype:
            raise ValueError(f"other must be of {self.dtype} as this network, got {other.dtype}")
        native: Any = self._native
        native.soft_update(other._native, real("tau", tau, at_least=0, at_most=1))

    def gradients(self) -> dict[str, NDArray[Any]]:
        """Returns copies of the gradients, with the keys and shapes of `state_dict`.

        Raises:
            RuntimeError: No `backward` came before.
        """
        return self._native.gradients()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns copies of the parameters.

        ``"0.weight"`` (units, inputs) and ``"0.bias"`` (units,) for a layer without name.
        """
        return self._native.state_dict()

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Sets all parameters, or none if anything does not fit.

        Args:
            state: An array for each key of `state_dict`, of the same shape, finite. What PyTorch
                keeps beside a BatchNorm's averages, ``num_batches_tracked``, is passed over.

        Warns:
            UserWarning: A number is so small that float32 takes it for 0.

        Raises:
            TypeError: state is no mapping, or an array is complex, of objects or of strings.
            ValueError: Keys are missing or left over, a shape differs, or a number is not finite.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping, got {type(state).__name__}")
        mean = ".running_mean"
        kept = (name for name in self._native.kept_names if name.endswith(mean))
        counts = {name.removesuffix(mean) + ".num_batches_tracked" for name in kept}
        taken = {key: value for key, value in state.items() if key not in counts}
        self._native.load_state_dict(taken)

    def save(
        self, path: str | PathLike[str], *, extra: Mapping[str, Any] | list[Any] | None = None
    ) -> None:
        """Writes the network to a safetensors file: its parameters and its description.

        The file is written beside and renamed, so that at any moment the old or the new one is
        there, whole. Equal networks are equal files.

        Args:
            path: Where; a file that is there is replaced.
            extra: What to keep with it, such as the scaling of the inputs: a mapping or a list of
                anything that JSON can hold. `gdcore.files.read_description` gives back just that.

        Raises:
            OSError: The file cannot be written; one that was there still is.
            TypeError: path is no path, or extra neither mapping nor list.
            ValueError: A parameter is not finite, JSON cannot hold extra or would give a list for a
                tuple, or extra has so many numbers and texts (from some 300,000 on) that they
                belong into a file of their own.
        """
        from gdcore import persistence  # only here: import gdcore stays light

        persistence.save_network(self, path, extra)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Reads the network of a file that `save` or `Trainer.save` wrote.

        A UserWarning tells where the file holds more than a network needs to predict: ``gdcore
        train`` also keeps how columns become inputs. It takes no more than twice the memory of the
        parameters.

        Raises:
            OSError: The file cannot be read, or is no regular file; FileNotFoundError where there
                is none.
            TypeError: path is no path.
            ValueError: The file is no gdcore model, is damaged, or of a newer format.
        """
        return Network._loaded(path, warns=True)

    @staticmethod
    def _loaded(path: str | PathLike[str], *, warns: bool) -> Network:
        """See `load`; whoever reads the preparation too need not be warned."""
        from gdcore import persistence

        with persistence.opened(path) as checkpoint, checkpoint.blamed():
            network = Network._of(checkpoint.network())
        if warns:
            checkpoint.warn_of_preparation()
        return network

    @staticmethod
    def _of(parts: NetworkParts) -> Network:
        """The network of a file; ValueError where it cannot be."""
        network = parts.made(Network)
        for key, array in parts.parameters.items():  # one at a time, for the sake of memory
            network._native.set_parameter(key, array.read())
        network._native.input_names = parts.feature_names
        return network

    def __getstate__(self) -> dict[str, Any]:
        """The description, and copies of the parameters in place of what C++ holds."""
        held = {"_native": (self.input_size, self.state_dict(), self.feature_names)}
        return vars(self) | held

    def __setstate__(self, state: dict[str, Any]) -> None:
        input_size, parameters, *names = state["_native"]  # older ones have no names
        if "_layers" in state:  # older ones are a row
            state = {**state, "_wiring": Wiring.of_row(state["_layers"], Input(input_size))}
        made_anew = ("_native", "_heads", "_layers", "_layer_names")
        kept = {key: value for key, value in state.items() if key not in made_anew}
        vars(self).update({"_parameters": ()} | kept)  # older ones have none
        self._make()
        self.load_state_dict(parameters)
        self._native.input_names = list((names and names[0]) or ())

    def _make(self) -> None:
        """What C++ holds."""
        graph = self._wiring.graph()
        inputs = [each.described() for each in self._wiring.inputs]
        free = native_parameters(self._parameters)
        arguments = (specs_of(graph.specs), inputs, graph.heads, self._seed, free)
        self._native: NativeNetwork = NETWORKS[self._dtype.name](*arguments)
        self._heads: dict[str, int] = dict(self._native.heads)

    def _again(self, **changed: Any) -> Network:
        """One of the same description, but for dtype or seed, with first values of its own."""
        options: dict[str, Any] = {"dtype": self._dtype.name, "seed": self._seed, **changed}
        options["parameters"] = self._parameters
        return Network(**self._wiring.arguments(), **options)


def _shown_input(given: Input) -> str:
    size = f"{given.size}" + (" sparse" if given.sparse else " codes" if given.categories else "")
    return size if given.name is None else f"{given.name} {size}"


def _checked_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        checked: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # NumPy reads some strings as lists of fields
        raise unknown("dtype", dtype, NETWORKS) from None
    if dtype is None or checked.name not in NETWORKS:
        raise unknown("dtype", dtype, NETWORKS)
    return np.dtype(checked.name)  # in native byte order

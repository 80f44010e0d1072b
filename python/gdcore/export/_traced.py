"""Networks of modules of PyTorch with a forward of their own, by tracing it; needs PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

import gdcore.layers as kinds
from gdcore.activations import Activation
from gdcore.export import _torch_layers as own
from gdcore.export._torch_activations import activation_from

__all__ = ["Traced"]

# Functions of PyTorch, and methods of tensors, by the module that does the same.
_MODULES = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardshrink": nn.Hardshrink,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "leaky_relu": nn.LeakyReLU,
    "log_softmax": nn.LogSoftmax,
    "logsigmoid": nn.LogSigmoid,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softmax": nn.Softmax,
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "tanhshrink": nn.Tanhshrink,
    "threshold": nn.Threshold,
}
_PASSED_OVER = ("inplace", "_stacklevel", "dtype", "training")
# Where a function of torch.nn.functional calls itself otherwise.
_ALIASES = {"_threshold": "threshold", "log_sigmoid": "logsigmoid"}
_SAME_ROWS = ("flatten", "reshape", "view")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        """Those of this package as PyTorch's own."""
        ours = type(m).__module__ == own.__name__
        return ours or super().is_leaf_module(m, module_qualified_name)


class Traced:
    """What a module's forward does, as nodes of a network.

    Attributes:
        inputs: Those of the network.
        outputs: A node, or a dict of nodes by name.
        keys: Of what layers keep, the key in the module and in the network.
    """

    def __init__(
        self,
        module: Any,
        input_size: int | Mapping[str, int] | None,
        leaf: Callable[[str, Any], Any],
        refused: Callable[[str, Any, str], ValueError],
    ) -> None:
        self._module, self._leaf, self._refused = module, leaf, refused
        modes = [(each, each.training) for each in module.modules()]
        try:
            graph = _Tracer().trace(module.eval())  # as at inference
        except Exception as error:  # whatever code of others raises on tensors without numbers
            told = str(error).splitlines() or [type(error).__name__]
            raise refused("", module, f"its forward cannot be traced: {told[0]}") from None
        finally:
            for each, mode in modes:
                each.training = mode
        self.inputs: list[kinds.Input] = []
        self.outputs: Any = None
        self.keys: list[tuple[str, str]] = []
        self._made: dict[Any, Any] = {}
        self._called: set[str] = set()
        end = next(node for node in graph.nodes if node.op == "output").args[0]
        if not isinstance(end, (fx.Node, dict, tuple, list)):
            raise refused("", module, "its forward returns no tensor")
        given = [node for node in graph.nodes if node.op == "placeholder"]
        for node in given:
            size = self._size(node, input_size, several=len(given) > 1)
            name = node.target if len(given) > 1 else None
            self._made[node] = kinds.Input(size, name=name)
            self.inputs.append(self._made[node])
        needed = _leading_to(end)
        for node in graph.nodes:
            if node in needed and node.op not in ("placeholder", "output"):
                self._made[node] = self._of(node)
        if isinstance(end, fx.Node):
            self.outputs = self._made[end]
        elif isinstance(end, dict):
            self.outputs = {str(name): self._made[each] for name, each in end.items()}
        else:
            self.outputs = {f"output_{k}": self._made[each] for k, each in enumerate(end)}

    def _size(self, node: Any, given: Any, *, several: bool) -> int:
        """Columns of an input: as given, or as the first layer says that reads it."""
        if isinstance(given, Mapping) and node.target in given:
            return int(given[node.target])
        known = self._read_by(node)
        if isinstance(given, int) and not several:
            if known is not None and known != given:
                raise ValueError(f"input_size must be {known}, which the modules read, got {given}")
            return given
        if known is None:
            hint = f", as a dict with {node.target!r}" if several else ""
            raise ValueError(
                f"input_size must be given{hint}: no module tells how many columns come first"
            )
        return known

    def _read_by(self, node: Any) -> int | None:
        for user in node.users:
            if user.op == "call_module":
                module = self._module.get_submodule(user.target)
                if activation_from(module) is None and not isinstance(module, nn.Flatten):
                    size: int | None = self._leaf(user.target, module).size
                    if size is not None:
                        return size
                    if not isinstance(module, nn.Dropout):
                        continue
            elif _name_of(user) not in (*_MODULES, *_SAME_ROWS, "dropout"):
                continue
            elif len(user.args) == 3 and user.args[1] == -1 and isinstance(user.args[2], int):
                return user.args[2]  # x.view(-1, columns)
            found = self._read_by(user)
            if found is not None:
                return found
        return None

    def _of(self, node: Any) -> Any:
        """The node of ours for one of the trace."""
        if node.op == "call_module":
            return self._called_module(node)
        if node.op not in ("call_function", "call_method"):
            reason = f"its forward reads {node.target!r} by itself"
            raise self._refused("", self._module, reason)
        name = _name_of(node)
        if name in _SAME_ROWS:
            return self._same_rows(node, name)
        first, rest, options = _arguments(node)
        if name == "dropout":
            rate = options.get("p", rest[0] if rest else 0.5)
            return self._add(kinds.Dropout(rate), [first])
        if name == "add" and not options and len(rest) == 1 and isinstance(rest[0], fx.Node):
            return self._add(kinds.Add(), [first, rest[0]])
        if name in ("cat", "concat", "concatenate"):
            dim = options.get("dim", rest[0] if rest else 0)
            if dim in (1, -1):
                return self._add(kinds.Concat(), list(first))
        if name in _MODULES:
            return self._add(self._activation(node, name), [first])
        raise self._refused("", self._module, f"its forward calls {name}, as in {_told(node)}")

    def _activation(self, node: Any, name: str) -> Activation:
        _, rest, options = _arguments(node)
        options = {key: v for key, v in options.items() if key not in _PASSED_OVER}
        try:
            found = activation_from(_MODULES[name](*rest, **options))
        except (TypeError, ValueError) as error:
            raise self._refused("", self._module, f"of {_told(node)} {error}") from None
        assert found is not None
        return found

    def _same_rows(self, node: Any, name: str) -> Any:
        first, rest, options = _arguments(node)
        made = self._made[first]
        if name == "flatten":
            flat = (rest or (options.get("start_dim"),)) == (1,)
        elif len(rest) == 2 and rest[0] == -1:  # rows of so many columns
            flat = isinstance(made, kinds.Input) and made.size == rest[1]
        else:
            flat = len(rest) == 2 and rest[1] == -1
        if not flat:
            raise self._refused("", self._module, f"its forward reshapes, as in {_told(node)}")
        return made

    def _called_module(self, node: Any) -> Any:
        path, module = node.target, self._module.get_submodule(node.target)
        reads = [*node.args, *node.kwargs.values()]
        if type(module) is nn.Flatten and module.start_dim == 1:
            return self._made[reads[0]]
        try:
            activation = activation_from(module)
        except ValueError as error:
            raise self._refused(path, module, str(error)) from None
        if activation is not None:
            return self._add(activation, reads)
        found = self._leaf(path, module)
        if found.keys and path in self._called:
            raise self._refused(
                path, module, "it is called twice: its numbers would be two layers'"
            )
        self._called.add(path)
        name = path.replace(".", "_")
        name += "_" * name.isdigit()  # digits call layers without a name
        self.keys += [(theirs, f"{name}.{ours}") for theirs, ours in found.keys]
        layer = replace(found.layer, name=name if found.keys else None)
        return self._add(layer, reads)

    def _add(self, layer: Any, reads: list[Any]) -> Any:
        return layer(*(self._made[each] for each in reads))


def _name_of(node: Any) -> str:
    """What a call is named."""
    if node.op == "call_method":
        return str(node.target)
    if node.target in (operator.add, operator.iadd):
        return "add"
    name = getattr(node.target, "__name__", str(node.target))
    module = getattr(node.target, "__module__", None) or ""
    name = _ALIASES.get(name, name)
    known = module.startswith(("torch", "_operator")) or getattr(torch, name, nn) is node.target
    return str(name) if known else f"{module}.{name}"


def _arguments(node: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The first of a call, which is the tensor or the tensors, the rest, and those by name."""
    options = dict(node.kwargs)
    if node.args:
        return node.args[0], tuple(node.args[1:]), options
    first = options.pop("input", options.pop("tensors", None))
    return first, (), options


def _told(node: Any) -> str:
    rest = [str(each) for each in (*node.args, *node.kwargs.values())]
    return f"{_name_of(node)}({', '.join(rest)})"


def _leading_to(end: Any) -> set[Any]:
    """All nodes of a trace whose tensors make its end; sizes that a reshape reads are not."""
    waiting: list[Any] = []
    fx.node.map_arg(end, waiting.append)
    found: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        if node.op in ("call_function", "call_method") and _name_of(node) in _SAME_ROWS:
            waiting.append(_arguments(node)[0])
        else:
            waiting += node.all_input_nodes
    return found

"""ONNX files: standard operators alone, for any number of rows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from gdcore._check import checked_path, integer
from gdcore.config import show_config
from gdcore.ensembles import Ensemble
from gdcore.export._needed import needed
from gdcore.export._onnx_activations import ACTIVATIONS
from gdcore.export._onnx_writer import Writer
from gdcore.export._program import Operation, Program, program_of
from gdcore.export._shapes import cannot, checked_labels, checked_model
from gdcore.files import written_beside
from gdcore.network import Network
from gdcore.typing import Task

__all__ = ["to_onnx"]

_TARGET = "ONNX"
_LEAST_OPSET = 17
_LARGEST = 2**31 - 2**20  # protobuf ends at 2 GB
_ROW_WISE = ("softmax", "log_softmax")


def to_onnx(
    net: Network | Ensemble,
    path: str | os.PathLike[str],
    *,
    probabilities: bool | str | Collection[str] = False,
    task: Task | None = None,
    labels: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    opset: int = 17,
) -> None:
    """Writes a network as an ONNX model, which computes what `Network.predict` does.

    Inputs are called as in the network, one without a name ``"input"``: (N, size) of the network's
    dtype, codes (N, columns) of int64, for any N. Outputs are called as in the network, one without
    a name ``"output"``. There are operators of ONNX's own alone, in float32 or float64 as the
    network has it, and results are within rounding of `Network.predict`: other sums, other exp.

    >>> gdcore.export.to_onnx(net, "model.onnx", probabilities=True, labels=["no", "yes"])
    >>> session = onnxruntime.InferenceSession("model.onnx")
    >>> session.run(None, {"input": x})

    Args:
        net: The network, or an ensemble, whose networks are averaged as `Ensemble` says.
        path: Where; a file that is there is replaced.
        probabilities: Whether the outputs are those of `Network.predict_proba`: a softmax or
            sigmoid stands at the end. Of several outputs the names of those that are.
        task: As in `Network.predict_proba`, for those.
        labels: What the outputs are called, one each, or for one output those of class 0 and 1; of
            several outputs a dict of them. They go to the model's metadata, as JSON under
            ``"labels"``, as the columns' names go under ``"feature_names"``.
        opset: Of the operators, at least 17.

    Raises:
        ImportError: onnx is not installed; the extra is ``gdcore[onnx]``.
        OSError: The file cannot be written.
        TypeError: An argument is of the wrong type.
        ValueError: A layer or activation has no equal in ONNX, a parameter is not finite, there are
            more than 2 GB, or an argument is out of its domain.
    """
    network = checked_model(net)
    place = checked_path(path)
    onnx = needed("to_onnx", "onnx", "onnx")
    version = integer("opset", opset, _LEAST_OPSET, onnx.defs.onnx_opset_version())
    told = checked_labels(network, labels)
    first = network if isinstance(network, Network) else network.networks[0]
    program = program_of(network, _TARGET, probabilities, task)
    metadata = {"labels": told, "feature_names": first.feature_names}
    model = _model(onnx, program, version)
    kept = {key: json.dumps(value) for key, value in metadata.items() if value is not None}
    onnx.helper.set_model_props(model, kept)
    onnx.checker.check_model(model, full_check=True)
    with written_beside(place) as file:
        file.write(model.SerializeToString(deterministic=True))


def _model(onnx: Any, program: Program, opset: int) -> Any:
    helper, types = onnx.helper, onnx.TensorProto
    numbers = types.DOUBLE if program.dtype == "float64" else types.FLOAT
    size = sum(array.nbytes for each in program.operations for array in each.arrays.values())
    if size > _LARGEST:
        raise ValueError(f"net must take less than 2 GB to be one ONNX file, got {size:,} bytes")
    several = len(program.inputs) > 1
    names = [str(each.name) if several or each.name else "input" for each in program.inputs]
    ends = [name or "output" for name, _ in program.outputs]
    if both := set(names) & set(ends):
        raise ValueError(f"outputs must not have an input's name in ONNX, got {both.pop()!r} twice")
    w = Writer(onnx, program.dtype, {*names, *ends})
    values = list(names)
    for operation in program.operations:
        w.layer = operation.layer
        reads = [values[index] for index in operation.reads]
        columns = [program.columns(index) for index in operation.reads]
        values.append(_OPERATIONS[operation.kind](w, operation, reads, columns))
    for (_, value), end in zip(program.outputs, ends, strict=True):
        w.nodes.append(helper.make_node("Identity", [values[value]], [end], f"{end}/Identity"))
    inputs = [
        helper.make_tensor_value_info(
            name, numbers if each.categories is None else types.INT64, ["N", each.size]
        )
        for name, each in zip(names, program.inputs, strict=True)
    ]
    outputs = [
        helper.make_tensor_value_info(end, numbers, ["N", program.columns(value)])
        for (_, value), end in zip(program.outputs, ends, strict=True)
    ]
    graph = helper.make_graph(w.nodes, "gdcore", inputs, outputs, w.constants)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="gdcore",
        producer_version=str(show_config()["version"]),
    )


_Emit = Callable[[Writer, Operation, list[str], list[int]], str]


def _product(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    weight = o.arrays["weight"]
    x = reads[0] if o.groups == 1 else w.flat(reads[0], weight.shape[1])
    parts = [w.array(name, each) for name, each in o.arrays.items()]
    z = w.node("Gemm", x, *parts, transB=1)
    return z if o.groups == 1 else w.flat(z, o.columns)


def _products(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    weight, x = o.arrays["weight"], w.parted(reads[0], o.groups)
    if weight.shape[1] == 1:
        z = w.node("Mul", x, w.array("weight", weight[:, 0]))
    else:
        by_group = w.node("Transpose", x, perm=[1, 0, 2])
        apart = w.node("MatMul", by_group, w.array("weight", weight))
        z = w.node("Transpose", apart, perm=[1, 0, 2])
    if "bias" in o.arrays:
        z = w.node("Add", z, w.array("bias", o.arrays["bias"]))
    return w.flat(z, o.columns)


def _scaled(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    x = reads[0]
    for name, kind in (("minus", "Sub"), ("over", "Div"), ("times", "Mul"), ("plus", "Add")):
        if name in o.arrays:
            x = w.node(kind, x, w.array(name, o.arrays[name]))
    return x


def _repeated(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    return w.node("Tile", reads[0], w.integers(1, o.groups))


def _activated(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    activation = o.options["activation"]
    make = ACTIVATIONS.get(activation.name)
    if make is None:
        raise cannot(_TARGET, o.layer, activation.name, "this activation has no equal there")
    if activation.name in _ROW_WISE and o.groups > 1:
        return w.flat(make(w, w.parted(reads[0], o.groups), activation), o.columns)
    return make(w, reads[0], activation)


def _normed(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    x, count = reads[0], w.number(o.columns)

    def mean(value: str) -> str:
        return w.node("Div", w.node("ReduceSum", value, w.integers(1), keepdims=1), count)

    if o.options["centered"]:
        x = w.node("Sub", x, mean(x))
    square = w.node("Add", mean(w.node("Mul", x, x)), w.number(o.options["eps"]))
    x = w.node("Div", x, w.node("Sqrt", square))
    if "weight" in o.arrays:
        x = w.node("Mul", x, w.array("weight", o.arrays["weight"]))
    return w.node("Add", x, w.array("bias", o.arrays["bias"])) if "bias" in o.arrays else x


def _rectified(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    weight = w.array("weight", o.arrays["weight"])
    above = w.node("Greater", reads[0], w.number(0))
    return w.node("Where", above, reads[0], w.node("Mul", reads[0], weight))


def _sum(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    total = reads[0]
    for each in reads[1:]:
        total = w.node("Add", total, each)
    return total


def _joined(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    return w.node("Concat", *reads, axis=1)


def _times(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    return w.node("Mul", *reads)


def _part(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    begin = o.options["begin"]
    ends = (w.integers(begin), w.integers(begin + o.columns))
    return w.node("Slice", reads[0], *ends, w.integers(1))


def _looked_up(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    rows = []
    for k, table in enumerate(o.arrays.values()):
        # A single index without a dimension takes the dimension away.
        codes = w.node("Gather", reads[0], w.array(f"column{k}", np.int64(k)), axis=1)
        rows.append(w.node("Gather", w.array(f"{k}.weight", table), codes, axis=0))
    return rows[0] if len(rows) == 1 else w.node("Concat", *rows, axis=1)


def _waves(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    """Whole turns are left out before they are angles, where digits are lost."""
    x = w.node("Unsqueeze", reads[0], w.integers(2))
    turns = w.node("Mul", x, w.array("weight", o.arrays["weight"]))
    rest = w.node("Sub", turns, w.node("Round", turns))
    angle = w.node("Mul", rest, w.number(2 * math.pi))
    if "bias" in o.arrays:
        made = w.node("Cos", w.node("Add", angle, w.array("bias", o.arrays["bias"])))
    else:
        made = w.node("Concat", w.node("Cos", angle), w.node("Sin", angle), axis=2)
    return w.flat(made, o.columns)


def _places(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    counts, most = [int(count) - 1 for count in o.options["counts"]], o.options["most"]
    shape = (len(counts), most)
    low, wide = np.zeros(shape, w.dtype), np.ones(shape, w.dtype)
    least, largest = np.zeros(shape, w.dtype), np.zeros(shape, w.dtype)
    edges, at = o.arrays["edges"], 0
    for k, count in enumerate(counts):
        own = edges[at : at + count + 1]
        places = [*range(count - 1), most - 1]  # the last bin stands at the end
        low[k, places], wide[k, places] = own[:-1], own[1:] - own[:-1]
        largest[k, places] = 1
        least[k, places[0]], largest[k, places[-1]] = -np.inf, np.inf
        at += count + 1
    x = w.node("Unsqueeze", reads[0], w.integers(2))
    e = w.node("Div", w.node("Sub", x, w.array("low", low)), w.array("wide", wide))
    e = w.node("Min", w.node("Max", e, w.array("least", least)), w.array("largest", largest))
    return w.flat(e, o.columns)


def _mean(w: Writer, o: Operation, reads: list[str], columns: list[int]) -> str:
    members = o.options["members"]
    total = w.node("ReduceSum", w.parted(reads[0], members), w.integers(1), keepdims=0)
    return w.node("Div", total, w.number(members))


_OPERATIONS: dict[str, _Emit] = {
    "activated": _activated,
    "joined": _joined,
    "looked_up": _looked_up,
    "mean": _mean,
    "normed": _normed,
    "part": _part,
    "places": _places,
    "product": _product,
    "products": _products,
    "rectified": _rectified,
    "repeated": _repeated,
    "scaled": _scaled,
    "sum": _sum,
    "times": _times,
    "waves": _waves,
}

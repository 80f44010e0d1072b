"""Kinds of layers as plain operations; a kind that is not here cannot go to ONNX or C."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdcore._layer import Spec
from gdcore.activations import ReLU
from gdcore.export._program import Array, Lowering
from gdcore.export._shapes import Shape

__all__ = ["KINDS"]


def _dense(low: Lowering, spec: Spec, reads: list[int]) -> int:
    return _product(low, spec, reads[0], low.array("weight"))


def _ntk(low: Lowering, spec: Spec, reads: list[int]) -> int:
    weight = low.array("weight").astype(np.float64)
    return _product(low, spec, reads[0], weight / np.sqrt(weight.shape[1]))


def _weight_norm(low: Lowering, spec: Spec, reads: list[int]) -> int:
    v = low.array("weight_v").astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a length of 0: it is told
        weight = v * (low.array("weight_g") / np.linalg.norm(v, axis=1, keepdims=True))
    return _product(low, spec, reads[0], weight)


def _product(low: Lowering, spec: Spec, x: int, weight: Array) -> int:
    made = Shape(len(weight), low.shapes[x].members)
    z = low.add("product", [x], made, {"weight": weight, "bias": low.optional("bias")})
    return low.activation(z, spec.options)


def _activation(low: Lowering, spec: Spec, reads: list[int]) -> int:
    return low.activation(reads[0], spec.options)


def _dropout(low: Lowering, spec: Spec, reads: list[int]) -> int:
    """Nothing is left out at inference."""
    return reads[0]


def _batch_norm(low: Lowering, spec: Spec, reads: list[int]) -> int:
    spread = np.sqrt(low.array("running_var").astype(np.float64) + spec.options["eps"])
    weight = low.optional("weight")
    with np.errstate(divide="ignore"):
        times = (1.0 if weight is None else weight) / spread
    arrays = {"minus": low.array("running_mean"), "times": times, "plus": low.optional("bias")}
    return low.add("scaled", reads, low.shapes[reads[0]], arrays)


def _row_norm(low: Lowering, spec: Spec, reads: list[int]) -> int:
    eps = spec.options.get("eps", float(np.finfo(low.dtype).eps))
    arrays = {"weight": low.optional("weight"), "bias": low.optional("bias")}
    centered = spec.kind == "layer_norm"
    return low.add("normed", reads, low.shapes[reads[0]], arrays, eps=eps, centered=centered)


def _glu(low: Lowering, spec: Spec, reads: list[int]) -> int:
    half = Shape(low.shapes[reads[0]].width // 2)
    a = low.add("part", reads, half, begin=0)
    b = low.add("part", reads, half, begin=half.width)
    return low.add("times", [a, low.activation(b, spec.options)], half)


def _parametric(low: Lowering, spec: Spec, reads: list[int]) -> int:
    """X (1 - w) + f(x) w."""
    made, weight = low.shapes[reads[0]], low.array("weight")
    rest = low.add("scaled", reads, made, {"times": 1 - weight.astype(np.float64)})
    f = low.activation(reads[0], spec.options)
    return low.add("sum", [rest, low.add("scaled", [f], made, {"times": weight})], made)


def _prelu(low: Lowering, spec: Spec, reads: list[int]) -> int:
    made = low.shapes[reads[0]]
    weight = np.broadcast_to(low.array("weight"), (made.columns,))
    return low.add("rectified", reads, made, {"weight": weight})


def _scale(low: Lowering, spec: Spec, reads: list[int]) -> int:
    return low.add("scaled", reads, low.shapes[reads[0]], {"times": low.array("weight")})


def _standardize(low: Lowering, spec: Spec, reads: list[int]) -> int:
    arrays = {"minus": low.array("mean"), "over": low.array("scale")}
    return low.add("scaled", reads, low.shapes[reads[0]], arrays)


def _add(low: Lowering, spec: Spec, reads: list[int]) -> int:
    return low.add("sum", reads, low.shapes[reads[0]])


def _concat(low: Lowering, spec: Spec, reads: list[int]) -> int:
    widths = [low.shapes[x].columns for x in reads]
    return low.add("joined", reads, Shape(sum(widths)), widths=widths)


def _embedding(low: Lowering, spec: Spec, reads: list[int]) -> int:
    count = low.shapes[reads[0]].width
    tables = {f"table{k}": low.array(f"{k}.weight") for k in range(count)}
    return low.add("looked_up", reads, Shape(sum(t.shape[1] for t in tables.values())), tables)


def _by_columns(low: Lowering, x: int, weight: Array, bias: Array | None) -> int:
    """A linear layer of each column's own numbers."""
    columns, _, units = weight.shape
    return low.add("products", [x], Shape(units, columns), {"weight": weight, "bias": bias})


def _linear_relu(low: Lowering, spec: Spec, reads: list[int]) -> int:
    weight = low.array("linear.weight")[:, None, :]
    z = _by_columns(low, reads[0], weight, low.array("linear.bias"))
    return low.activated(low.flat(z), ReLU())


def _periodic(low: Lowering, spec: Spec, reads: list[int]) -> int:
    weight = low.array("periodic.weight")
    waves = {"weight": weight, "bias": low.optional("periodic.bias")}
    columns, frequencies = weight.shape
    inner = frequencies * (1 if spec.options["phase"] else 2)
    h = low.add("waves", reads, Shape(inner, columns), waves)
    weight, bias = low.array("linear.weight"), low.array("linear.bias")
    if spec.options["lite"]:
        made = Shape(len(weight), columns)
        z = low.add("product", [h], made, {"weight": weight, "bias": bias})
    else:
        z = _by_columns(low, h, weight, bias)
    y = low.activation(low.flat(z), spec.options)
    if not spec.options["keep_input"]:
        return y
    widths = [low.shapes[y].width, columns]
    return low.add("joined", [y, reads[0]], Shape(sum(widths)), widths=widths)


def _piecewise(low: Lowering, spec: Spec, reads: list[int]) -> int:
    weight = low.array("linear.weight")
    columns, most, size = weight.shape
    counts, made = spec.options["edge_counts"], Shape(columns * size)
    places = {"edges": low.array("bins")}
    e = low.add("places", reads, Shape(most, columns), places, counts=counts, most=most)
    z = low.flat(_by_columns(low, e, weight, low.optional("linear.bias")))
    y = low.activation(z, spec.options)
    if spec.options["version"] == "A":
        return y
    straight = low.array("linear0.weight")[:, None, :]
    x = low.flat(_by_columns(low, reads[0], straight, low.array("linear0.bias")))
    return low.add("sum", [x, y], made)


def _repeated(low: Lowering, x: int, members: int) -> int:
    """The value with members, each the same where it has none."""
    if low.shapes[x].members == members:
        return x
    return low.add("repeated", [x], Shape(low.shapes[x].width, members))


def _ensemble_dense(low: Lowering, spec: Spec, reads: list[int]) -> int:
    members, units = spec.options["members"], spec.options["units"]
    x = _repeated(low, reads[0], members)
    made = Shape(units, members)
    if not spec.options["shared"]:
        arrays = {"weight": low.array("weight"), "bias": low.optional("bias")}
        return low.activation(low.add("products", [x], made, arrays), spec.options)
    x = low.add("scaled", [x], low.shapes[x], {"times": low.array("r").ravel()})
    z = low.add("product", [x], made, {"weight": low.array("weight")})
    bias = low.optional("bias")
    arrays = {"times": low.array("s").ravel(), "plus": None if bias is None else bias.ravel()}
    return low.activation(low.add("scaled", [z], made, arrays), spec.options)


def _ensemble_scale(low: Lowering, spec: Spec, reads: list[int]) -> int:
    x = _repeated(low, reads[0], spec.options["members"])
    return low.add("scaled", [x], low.shapes[x], {"times": low.array("weight").ravel()})


KINDS: dict[str, Callable[[Lowering, Spec, list[int]], int]] = {
    "activation": _activation,
    "add": _add,
    "batch_norm": _batch_norm,
    "concat": _concat,
    "dense": _dense,
    "dropout": _dropout,
    "embedding": _embedding,
    "ensemble_dense": _ensemble_dense,
    "ensemble_scale": _ensemble_scale,
    "glu": _glu,
    "layer_norm": _row_norm,
    "linear_relu_embedding": _linear_relu,
    "ntk_dense": _ntk,
    "parametric_activation": _parametric,
    "periodic_embedding": _periodic,
    "piecewise_linear_embedding": _piecewise,
    "prelu": _prelu,
    "rms_norm": _row_norm,
    "scale": _scale,
    "standardize": _standardize,
    "weight_norm_dense": _weight_norm,
}

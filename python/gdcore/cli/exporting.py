"""The command ``gdcore export``: a model for other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gdcore import Ensemble, Network, export
from gdcore._layer import Layer
from gdcore._names import choice
from gdcore._node import Input, Node
from gdcore.cli.report import tell_rows
from gdcore.files import read_description, written_beside
from gdcore.layers import Dense, Standardize
from gdcore.tabular import models
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import CategoricalColumn, EmbeddedColumn, NumericColumn
from gdcore.tabular.meanings import ClassTarget, NumberTarget

__all__ = ["TARGETS", "write"]

TARGETS = ("onnx", "c", "torch")
_ENDINGS = {".onnx": "onnx", ".c": "c", ".pt": "torch", ".pth": "torch"}
_SHOWN = 10  # names in a line


def write(
    model: str, file: Path, to: str | None, probabilities: bool, name: str | None, fortran: bool
) -> None:
    """Writes a model's network to a file, and tells what goes in and comes out.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The model cannot go there, or an option does not belong to the target.
    """
    target = _target(file, to)
    if target != "c" and (name is not None or fortran):
        option = "--fortran" if fortran else "--name"
        raise ValueError(f"{option} is for --to c, got it for --to {target}")
    if target == "torch" and probabilities:
        raise ValueError(
            "--probabilities is for --to onnx and --to c: PyTorch's losses take logits"
        )
    found = models.loaded(model)
    first = found.networks[0] if isinstance(found, Ensemble) else found
    if target == "torch" and found is not first:
        raise ValueError(
            f"{model} holds several networks, which go to onnx and c as one; to PyTorch each of "
            "gdcore.Ensemble.load(...).networks in Python"
        )
    preparation = Fitted.of_model(read_description(model), first)
    if probabilities and preparation is not None and isinstance(preparation.target, NumberTarget):
        raise ValueError(f"--probabilities is for classes, and {model} predicts numbers")
    net: Any = found if preparation is None else _in_units(found, preparation)
    if target == "onnx":
        labels = _labels(preparation)
        export.to_onnx(net, file, probabilities=probabilities, labels=labels)
    elif target == "c":
        export.to_c(net, file, name=name, probabilities=probabilities, fortran=fortran)
    else:
        _write_torch(net, file)
    tell_rows(_told(net, preparation, file, probabilities))


def _target(file: Path, to: str | None) -> str:
    if to is not None:
        return choice("--to", to, TARGETS)
    target = _ENDINGS.get(file.suffix.lower())
    if target is None:
        endings = ", ".join(_ENDINGS)
        raise ValueError(f"--to must be given where FILE ends with none of {endings}, got {file}")
    return target


def _write_torch(net: Network, file: Path) -> None:
    module = export.to_torch(net)
    import torch

    with written_beside(file) as stream:
        torch.save(module, stream)


def _in_units(model: Network | Ensemble, preparation: Fitted) -> Network | Ensemble:
    if isinstance(model, Network):
        return in_units(model, preparation)
    networks = [in_units(each, preparation) for each in model.networks]
    return Ensemble(networks, weights=model.weights, average=model.average)


def in_units(net: Network, preparation: Fitted) -> Network:
    """The network over columns as they are, with predictions in the target's own units.

    Numbers are scaled within it; a column of categories is still an input for each of them.
    """
    means, deviations, names = _scales(preparation)
    wiring, state = net._wiring, net.state_dict()
    inputs = [
        Input(None if each.categories else each.size, categories=each.categories, name=each.name)
        for each in net.inputs
    ]
    nodes: list[Node] = [*inputs]
    for index, each in enumerate(inputs):
        if each.categories is None and (np.any(means) or np.any(deviations != 1)):
            first = Standardize(means.tolist(), deviations.tolist(), name=_new("columns", wiring))
            nodes[index] = first(each)
            state |= {f"{first.name}.mean": means, f"{first.name}.scale": deviations}
    for layer, name, reads in zip(wiring.layers, wiring.names, wiring.reads, strict=True):
        called = replace(layer, name=name) if isinstance(layer, Layer) else layer
        nodes.append(called(*(nodes[i] for i in reads)))
    outputs = nodes[wiring.heads[0][1]]
    if isinstance(preparation.target, NumberTarget):
        last = Dense(net.output_size, name=_new("units", wiring))
        outputs = last(outputs)
        state[f"{last.name}.weight"] = np.diag(preparation.target.deviation)
        state[f"{last.name}.bias"] = np.array(preparation.target.mean)
    dtype: Any = net.dtype.name
    made = Network(inputs=inputs, outputs=outputs, dtype=dtype)
    made.load_state_dict(state)
    if len(inputs) == 1:
        made._native.input_names = names
    return made


def _new(name: str, wiring: Any) -> str:
    while name in wiring.names:
        name += "_"
    return name


def _scales(preparation: Fitted) -> tuple[Any, Any, list[str]]:
    """Mean, deviation and name of each input that is a number, or of those that are codes."""
    means, deviations, names = [], [], []
    for each in preparation.columns:
        plain = not (getattr(each, "smooth", False) or getattr(each, "indicator", False))
        if isinstance(each, NumericColumn) and plain:
            means.append(each.mean)
            deviations.append(each.deviation)
            names.append(each.name)
        elif isinstance(each, CategoricalColumn):
            means += [0.0] * each.width
            deviations += [1.0] * each.width
            names += [f"{each.name}={'' if one is None else one}" for one in each.categories]
        elif not isinstance(each, EmbeddedColumn):
            raise ValueError(
                f"column {each.name!r} is prepared in a way that no layer has: export the network "
                "alone, gdcore.load_model(...).network, and prepare rows in Python"
            )
    if not names:
        names = [each.name for each in preparation.embedded]
    return np.array(means), np.array(deviations), names


def _labels(preparation: Fitted | None) -> list[Any] | None:
    if preparation is None or not isinstance(preparation.target, ClassTarget):
        return None
    return list(preparation.target.classes)


def _told(
    net: Network | Ensemble, preparation: Fitted | None, file: Path, probabilities: bool
) -> dict[str, str]:
    rows = {"written": str(file)}
    if preparation is None:
        for each in (net if isinstance(net, Network) else net.networks[0]).inputs:
            kind = "codes" if each.categories else "numbers"
            rows[f"input {each.name or 'x'}"] = f"{each.size} {kind}"
        return rows | {"outputs": ", ".join(net.heads) or str(net.output_size)}
    numbers = [each for each in preparation.columns if not isinstance(each, EmbeddedColumn)]
    if numbers:
        told = [
            each.name if isinstance(each, NumericColumn) else f"{each.name} ({each.width}: 1 or 0)"
            for each in numbers
        ]
        rows[f"{preparation.input_size} numbers"] = _few(told)
    if preparation.embedded:
        rows["codes"] = _few([each.name for each in preparation.embedded])
    target = preparation.target
    if isinstance(target, ClassTarget):
        classes = target.classes[-net.output_size :]
        what = "probabilities of" if probabilities else "logits of"
        return rows | {"outputs": f"{what} {_few([str(each) for each in classes])}"}
    return rows | {"outputs": f"{target.name}, in its own units"}


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""The command ``gdcore info MODEL``: what a model file holds."""

from __future__ import annotations

from typing import Any

from gdcore import Ensemble, Network, Trainer, _resuming
from gdcore.cli.networks import vector_size
from gdcore.cli.report import tell_rows
from gdcore.files import read_description
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import (
    DateColumn,
    EmbeddedColumn,
    Input,
    NumericColumn,
    QuantileColumn,
)
from gdcore.tabular.meanings import ClassTarget, LabelsTarget

__all__ = ["describe"]

SHOWN = 100  # columns of a table of inputs; an image has thousands


def describe(model: str) -> None:
    """Prints the network, how it was trained, its columns and its target.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no model, or damaged.
    """
    description = read_description(model)
    if description.get("kind") == "ensemble":
        _describe_ensemble(model, description)
        return
    if description.get("kind") == "trainer":
        net, rows = _trainer(model, function=description.get("schedule") == {"name": "function"})
    else:
        net, rows = Network._loaded(model, warns=False), {}
    preparation = Fitted.of_model(description, net)
    print(net)
    if len(net.inputs) > 1:  # which tells no layers
        print(net.summary())
    tell_rows({"parameters": f"{net.num_parameters:,}", "seed": str(net.seed), **rows})
    if preparation is not None:
        tell_rows(_columns(preparation, vector_size(net)))
        tell_rows(_target(preparation))


def _describe_ensemble(model: str, description: dict[str, Any]) -> None:
    ensemble = Ensemble._loaded(model, warns=False)
    net = ensemble.networks[0]
    preparation = Fitted.of_model(description, net)
    print(ensemble)
    weights = dict.fromkeys(f"{each:g}" for each in ensemble.weights)
    tell_rows(
        {
            "networks": str(len(ensemble)),
            "parameters": f"{ensemble.num_parameters:,}",
            "seeds": ", ".join(dict.fromkeys(str(each.seed) for each in ensemble.networks)),
            "weights": ", ".join(weights) + (" each" if len(weights) == 1 else ""),
            "mean of": {"auto": "outputs, of classes probabilities"}.get(
                ensemble.average, ensemble.average
            ),
        }
    )
    if preparation is not None:
        tell_rows(_columns(preparation, vector_size(net)))
        tell_rows(_target(preparation))


def _trainer(model: str, *, function: bool) -> tuple[Network, dict[str, str]]:
    # A function of one's own is not in the file; any other gets the rest of the trainer read.
    schedule = _nothing if function else None
    trainer = _resuming.resumed(Trainer, model, None, schedule, 1, warns=False)
    rows = {
        "loss": str(trainer.loss),
        "optimizer": str(trainer.optimizer),
        "schedule": "a function of one's own" if function else str(trainer.schedule or "constant"),
        "learning rate": "by that function" if function else f"{trainer.lr:g}",
        "epochs done": str(trainer.epochs),
        "steps done": f"{trainer.steps:,}",
    }
    return trainer.network, rows


def _nothing(epoch: int) -> float:
    return 0.0


def _columns(preparation: Fitted, size: int | tuple[int, ...]) -> dict[str, str]:
    rows = {}
    for column in preparation.columns[:SHOWN]:
        rows[f"input {column.name!r}"] = _column(column, size)
    if (more := len(preparation.columns) - SHOWN) > 0:
        rows["..."] = f"{more} more"
    if any(isinstance(column, NumericColumn) for column in preparation.columns):
        numbers = [each for each in preparation.columns if isinstance(each, NumericColumn)]
        middle = "median" if any(each.fill not in (None, each.mean) for each in numbers) else "mean"
        rows["missing numbers"] = f"become the {middle}" if preparation.fill else "are an error"
    if na := preparation.notation.na:
        rows["missing cells"] = f"empty, or {', '.join(na)}"
    if options := preparation.notation.options() + preparation.dialect.options():
        rows["text is read with"] = options.strip()
    return rows


def _column(column: Input, size: int | tuple[int, ...]) -> str:
    if isinstance(column, NumericColumn):
        fill = "" if column.fill is None else f", {column.fill:g} where missing"
        told = fill + (", and an input for that" if column.indicator else "")
        return f"number, mean {column.mean:g}, deviation {column.deviation:g}{told}"
    if isinstance(column, QuantileColumn):
        return f"number, by its quantiles from {column.quantiles[0]:g} to {column.quantiles[-1]:g}"
    if isinstance(column, DateColumn):
        return f"date, with its place in the {', '.join(column.cycles)}"
    what = f", {size} numbers each" if isinstance(column, EmbeddedColumn) else ""
    other = ", and others" if column.other else ""
    return f"{len(column.categories)} categories{what}: {column.told()}{other}"


def _target(preparation: Fitted) -> dict[str, str]:
    target = preparation.target
    if isinstance(target, LabelsTarget):
        return {f"target {each!r}": "label: 0 or 1" for each in target.columns}
    if isinstance(target, ClassTarget):
        return {f"target {target.name!r}": f"classes: {', '.join(map(str, target.classes))}"}
    rows = {}
    for k, (mean, deviation) in enumerate(zip(target.mean, target.deviation, strict=True)):
        name = target.name if len(target.mean) == 1 else f"{target.name}[{k}]"
        name = target.columns[k] if target.columns else name
        rows[f"target {name!r}"] = f"number, mean {mean:g}, deviation {deviation:g}"
    return rows

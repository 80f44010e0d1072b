"""What ``gdcore train`` tells: what was chosen on standard error, on standard output the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from gdcore import Trainer, metrics
from gdcore._live import peak_bytes
from gdcore.cli import judges
from gdcore.cli.parts import Part
from gdcore.cli.targets import Chosen
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import CategoricalColumn, DateColumn, NumericColumn
from gdcore.tabular.meanings import ClassTarget, LabelsTarget, NumberTarget, Target

__all__ = [
    "METRICS",
    "figures",
    "shown",
    "tell_choice",
    "tell_notes",
    "tell_result",
    "tell_rows",
    "tell_written",
]

METRICS = (metrics.RMSE(), metrics.MAE(), metrics.R2())
NOTED = 10  # notes that are shown
NAMED = 10  # columns that are named


def tell_choice(
    preparation: Fitted,
    chosen: Chosen,
    kept: int,
    held_out: int,
    notes: Sequence[str],
    size: int | tuple[int, ...],
) -> None:
    """Tells what was made of the data, before the training; size is that of a category's vector."""
    target = preparation.target
    if isinstance(target, LabelsTarget):
        task = f"several labels: {', '.join(map(repr, target.columns))}"
    elif isinstance(target, ClassTarget):
        task = f"classification of {target.name!r} into {len(target.classes)} classes"
    else:
        task = f"regression of {target.name!r}"
    numeric = sum(isinstance(each, NumericColumn) for each in preparation.columns)
    categorical = sum(isinstance(each, CategoricalColumn) for each in preparation.columns)
    lines = [
        f"task: {task}: {chosen.reason}",
        f"rows: {kept} for training, {held_out} held out",
    ]
    if preparation.input_size:
        dates = sum(isinstance(each, DateColumn) for each in preparation.columns)
        lines.append(
            f"inputs: {preparation.input_size}, from {numeric} columns of numbers and "
            f"{categorical} of categories{f', {dates} of dates' if dates else ''}"
        )
    if embedded := preparation.embedded:
        named = [f"{each.name!r} ({len(each.categories)})" for each in embedded[:NAMED]]
        more = f" and {len(embedded) - NAMED} more" if len(embedded) > NAMED else ""
        lines.append(
            f"embedded: the categories of {', '.join(named)}{more}, as {size} numbers each"
        )
    for line in lines:
        typer.echo(line, err=True)
    tell_notes(notes)


def tell_notes(notes: Sequence[str]) -> None:
    """Tells what the user should know of the data, or as much of it as anybody reads."""
    for each in notes[:NOTED]:
        typer.echo(f"note: {each}", err=True)
    if len(notes) > NOTED:
        typer.echo(f"note: and {len(notes) - NOTED} more like this", err=True)


def tell_written(path: Path) -> None:
    """Tells that a file is there."""
    typer.echo(f"written: {path}", err=True)


def figures(
    trainer: Trainer, part: Part, target: Target, wanted: Sequence[str] = ()
) -> dict[str, float]:
    """Computes loss and metrics on some rows; those of numbers in the target's own units."""
    own = [judges.resolved(name, target) for name in wanted]
    found = trainer.evaluate(part.x, part.y, metrics=own, sample_weight=part.weights)
    if isinstance(target, NumberTarget) and part.values is not None:
        judged = trainer.averaged if trainer.has_average else trainer.network
        outputs = target.restored(judged.predict(part.x))
        found |= {each.key: each(part.values, outputs, part.weights) for each in METRICS}
    return found


def tell_result(
    trainer: Trainer,
    figures: Mapping[str, Mapping[str, float]],
    samples: int,
    batch_size: int,
    epochs: int,
    seconds: float,
) -> None:
    """Tells the network, its figures on each part of the data, and what the training took."""
    rows = {
        f"{key}, {part}": shown(key, values[key])
        for key in figures["training"]
        for part, values in figures.items()
    }
    rows |= {
        "time": f"{seconds:.3f} s",
        "samples/s": f"{epochs * samples / seconds:,.0f}",
    }
    asked = {key: count for key, count in trainer.evaluations.items() if count}
    if asked:
        rows["evaluations"] = ", ".join(f"{count:,} {key}" for key, count in asked.items())
    if "jacobians" not in asked:  # what is made of one is not counted
        flops = _flops(trainer, samples, min(batch_size, samples), epochs, asked)
        rows["GFLOP/s"] = f"{flops / seconds / 1e9:.2f}"
    if (peak := peak_bytes()) is not None:
        rows["peak memory"] = f"{peak / 1e6:,.0f} MB"
    print(trainer.network)
    tell_rows(rows)


def _flops(
    trainer: Trainer, samples: int, batch_size: int, epochs: int, asked: Mapping[str, int]
) -> int:
    """Of all epochs; of a solver those of the losses and gradients that it asked for."""
    if asked:
        forward = sum(
            each["flops"]
            for each in trainer.operations(samples)
            if each["phase"] in ("forward", "loss")
        )
        gradients = asked.get("gradients", 0) * trainer.flops_per_step(samples)
        return gradients + asked.get("losses", 0) * forward
    full, rest = divmod(samples, batch_size)
    flops = full * trainer.flops_per_step(batch_size)
    return epochs * (flops + (trainer.flops_per_step(rest) if rest else 0))


def tell_rows(rows: Mapping[str, str]) -> None:
    """Prints names and values as a table."""
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    Console(markup=False, emoji=False).print(table)


def shown(key: str, value: float) -> str:
    """A figure of that name as text."""
    if key in ("accuracy", "f1", "balanced accuracy"):
        return f"{value:.2%}"
    # A target in dollars and one in shares of a millimetre both show their digits.
    return f"{value:.4f}" if key in ("loss", "r2") else f"{value:,.5g}"

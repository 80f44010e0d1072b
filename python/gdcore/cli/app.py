"""The commands of ``gdcore``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gdcore import Dense, Network, Trainer, show_config
from gdcore._formula import Formula
from gdcore.activations import Activation
from gdcore.cli import datasets
from gdcore.optimizers import Optimizer

__all__ = ["app"]

app = typer.Typer(
    name="gdcore",
    help="Train dense neural networks by gradient descent on CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Makes what the library says of a bad value a message without traceback, exit code 2."""
    try:
        yield
    except (ValueError, FloatingPointError) as error:
        raise typer.BadParameter(str(error)) from None
    except MemoryError:
        raise typer.BadParameter("there is not enough memory for a network of this size") from None


def _one_of(family: type[Formula]) -> str:
    return f"One of {', '.join(family.members)}."


def _hidden_layers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if text]
    except ValueError:
        raise ValueError(f"--hidden must be sizes such as 256,128, got {text!r}") from None


@app.command()
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The dataset: digits.")],
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers, e.g. 256,128.")] = "128",
    activation: Annotated[str, typer.Option(help=_one_of(Activation))] = "relu",
    optimizer: Annotated[str, typer.Option(help=_one_of(Optimizer))] = "adam",
    lr: Annotated[float | None, typer.Option(help="Learning rate; else the optimizer's.")] = None,
    epochs: Annotated[int, typer.Option(help="How often to go over the samples.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Samples an update.")] = 32,
    seed: Annotated[int, typer.Option(help="Decides first values, shuffle and held-out part.")] = 0,
    threads: Annotated[int | None, typer.Option(help="How many; else all that are free.")] = None,
) -> None:
    """Train a network on four fifths of DATA, and tell how it does on the rest."""
    with _user_errors():
        dataset = datasets.load(data, seed)
        layers = [Dense(units, activation) for units in _hidden_layers(hidden)]
        rule = Optimizer.resolve("optimizer", optimizer)
        if lr is not None:
            rule = replace(rule, lr=lr)
        net = Network([*layers, Dense(dataset.classes)], input_size=dataset.x.shape[1], seed=seed)
        trainer = Trainer(net, "cross_entropy", rule, num_threads=threads)
        start = time.perf_counter()
        trainer.fit(dataset.x, dataset.y, epochs=epochs, batch_size=batch_size)
        seconds = time.perf_counter() - start
        _report(trainer, dataset, batch_size, seconds)


def _report(trainer: Trainer, dataset: datasets.Dataset, batch_size: int, seconds: float) -> None:
    seen = trainer.evaluate(dataset.x, dataset.y)
    held_out = trainer.evaluate(dataset.x_held_out, dataset.y_held_out)
    if not all(map(math.isfinite, (seen["loss"], held_out["loss"]))):
        # No later step was there to tell.
        typer.echo(
            "gdcore: the loss after the last update is not finite: take a smaller --lr", err=True
        )
        raise typer.Exit(1)
    samples = len(dataset.x)
    batch_size = min(batch_size, samples)
    full, rest = divmod(samples, batch_size)
    flops = full * trainer.flops_per_step(batch_size)
    flops += trainer.flops_per_step(rest) if rest else 0
    table = Table(show_header=False)
    rows = {
        "loss, training": f"{seen['loss']:.4f}",
        "loss, held out": f"{held_out['loss']:.4f}",
        "accuracy, training": f"{seen['accuracy']:.2%}",
        "accuracy, held out": f"{held_out['accuracy']:.2%}",
        "time": f"{seconds:.3f} s",
        "samples/s": f"{trainer.epochs * samples / seconds:,.0f}",
        "GFLOP/s": f"{trainer.epochs * flops / seconds / 1e9:.2f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    print(trainer.network)
    Console().print(table)


@app.command()
def info() -> None:
    """Tell what runs on this machine and why."""
    print(show_config())

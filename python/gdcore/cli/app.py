"""The commands of ``gdcore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdcore import show_config
from gdcore._formula import Formula
from gdcore.activations import Activation
from gdcore.cli.errors import user_errors
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer

__all__ = ["app"]

# The commands' own modules are loaded when they run: `gdcore info` needs no polars.

app = typer.Typer(
    name="gdcore",
    help="Train dense neural networks by gradient descent on CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _one_of(family: type[Formula]) -> str:
    return f"One of {', '.join(family.members)}."


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if text)
    except ValueError:
        raise ValueError(f"--hidden must be sizes such as 256,128, got {text!r}") from None


@app.command()
def train(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="digits, or a .csv, .csv.gz, .parquet or .npz file."),
    ],
    target: Annotated[
        str | None, typer.Option(help="The column to predict; of an NPZ file the array, else y.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="classification, regression, or auto: by the target's values.")
    ] = "auto",
    categories: Annotated[
        str, typer.Option(metavar="A,B", help="Columns whose numbers are categories.")
    ] = "",
    drop: Annotated[str, typer.Option(metavar="A,B", help="Columns to leave out.")] = "",
    missing: Annotated[
        str, typer.Option(help="A missing number is an error, or becomes its column's mean.")
    ] = "error",
    na: Annotated[
        str, typer.Option(metavar="A,B", help="Texts that mean a missing cell, as an empty one.")
    ] = "",
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers, e.g. 256,128.")] = "128",
    activation: Annotated[str, typer.Option(help=_one_of(Activation))] = "relu",
    loss: Annotated[
        str, typer.Option(help=f"auto: cross_entropy for classes, else mse. {_one_of(Loss)}")
    ] = "auto",
    optimizer: Annotated[str, typer.Option(help=_one_of(Optimizer))] = "adam",
    lr: Annotated[float | None, typer.Option(help="Learning rate; else the optimizer's.")] = None,
    schedule: Annotated[
        str,
        typer.Option(
            help="Of the learning rate: constant; step, a tenth after each third of the epochs; "
            "exponential, down to a hundredth; cosine, down to 0."
        ),
    ] = "constant",
    warmup: Annotated[
        int, typer.Option(metavar="EPOCHS", help="First epochs, of a rising learning rate.")
    ] = 0,
    epochs: Annotated[int, typer.Option(help="How often to go over the samples.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Samples an update.")] = 32,
    seed: Annotated[int, typer.Option(help="Decides first values, shuffle and held-out part.")] = 0,
    threads: Annotated[int | None, typer.Option(help="How many; else all that are free.")] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the rows to hold out; 0 for none.")
    ] = 0.2,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the model (safetensors).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw the losses: .png, .svg, ...")
    ] = None,
) -> None:
    """Train a network on DATA, and tell how it does on the part that was held out."""
    with user_errors():
        from gdcore.cli import training

        training.train(
            training.Options(
                data=data,
                target=target,
                task=task,
                categories=_names(categories),
                drop=_names(drop),
                missing=missing,
                na=_names(na),
                hidden=_sizes(hidden),
                activation=activation,
                loss=loss,
                optimizer=optimizer,
                lr=lr,
                schedule=schedule,
                warmup=warmup,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                threads=threads,
                validation=validation,
                save=save,
                plot=plot,
            )
        )


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="What gdcore train --save wrote.")],
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="Like the data of the training; the target may lack."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .csv, .parquet or .npz file; else CSV is printed."),
    ] = None,
) -> None:
    """Predict the rows of DATA: for classes with probabilities, for numbers in their own units."""
    with user_errors():
        from gdcore.cli import prediction

        prediction.predict(model, data, out)


@app.command()
def info(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model file.", show_default=False)
    ] = None,
) -> None:
    """Tell what runs on this machine and why, or what a MODEL file holds."""
    with user_errors():
        if model is None:
            print(show_config())
            return
        from gdcore.cli import description

        description.describe(model)


@app.command()
def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART]...",
            help="limits, matmul, updates, steps, scaling; else all of them.",
            show_default=False,
        ),
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Training steps, or all; else all but the largest."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of each thing; medians count.")] = 9,
    seconds: Annotated[float, typer.Option(help="About how long a measurement takes.")] = 0.2,
    threads: Annotated[
        int | None, typer.Option(help="The most threads; else all that are free.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also writes everything measured here.")
    ] = None,
) -> None:
    """Measure gdcore on this machine, beside the machine's own limits."""
    with user_errors():
        from gdcore.cli import bench

        bench.bench(parts or [], cases, rounds, seconds, threads, json)

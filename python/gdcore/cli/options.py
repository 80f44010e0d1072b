"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from gdcore._formula import Formula
from gdcore.activations import Activation
from gdcore.cli.hidden import NORMS
from gdcore.cli.losses import CLASS_LOSSES, NUMBER_LOSSES
from gdcore.optimizers import Optimizer
from gdcore.solvers import Solver

__all__ = [
    "ActivationName",
    "BatchSize",
    "Categories",
    "Comment",
    "Data",
    "Dates",
    "Decimal",
    "Delimiter",
    "Drop",
    "DropoutRate",
    "Embed",
    "EmbedSize",
    "Encoding",
    "Hidden",
    "Indicator",
    "Keep",
    "LearningRate",
    "LossName",
    "MinCount",
    "Missing",
    "MissingTarget",
    "Na",
    "NoQuotes",
    "NormName",
    "Numbers",
    "OptimizerName",
    "ResidualFlag",
    "Seed",
    "SkipLines",
    "Target",
    "Task",
    "Thousands",
    "Unseen",
    "WeightColumn",
    "completing",
    "sizes",
]


def completing(names: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers for an option that takes one of some names, or several with commas."""
    known = list(names)

    def offered(incomplete: str) -> list[str]:
        done, comma, last = incomplete.rpartition(",")
        return [f"{done}{comma}{name}" for name in known if name.startswith(last)]

    return offered


def _one_of(family: type[Formula]) -> str:
    return f"One of {', '.join(family.named())}."


def sizes(option: str, text: str) -> tuple[int, ...]:
    """Integers with commas.

    Raises:
        ValueError: It is something else.
    """
    try:
        return tuple(int(part) for part in text.split(",") if text)
    except ValueError:
        raise ValueError(
            f"{option} must be integers with commas between them, got {text!r}"
        ) from None


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A .csv, .tsv (both also .gz), .parquet or .npz file; several of the same columns, as "
        "'part*.csv'; - for standard input; or digits.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="The column to predict, or several; of an NPZ file the array, else y.",
    ),
]
Task = Annotated[
    str,
    typer.Option(
        help="classification; regression; multilabel, columns of 0 and 1, of which several may "
        "hold; or auto: by the target's values."
    ),
]
Categories = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns whose numbers are categories. May be repeated."),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns whose codes, as 007, are numbers. May be repeated."),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns to leave out. May be repeated."),
]
Missing = Annotated[
    str, typer.Option(help="A missing number is an error, or becomes its column's mean or median.")
]
Indicator = Annotated[
    bool,
    typer.Option("--indicator", help="Adds an input that is 1 where a column's number is missing."),
]
Dates = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B",
        help="Columns that must hold dates, as 2024-12-31; those that do are found without it.",
    ),
]
Unseen = Annotated[
    str,
    typer.Option(help="A category that training did not see is an error, or other: one for all."),
]
MinCount = Annotated[
    int,
    typer.Option(metavar="N", help="Categories in fewer rows are others; for --unseen other."),
]
MissingTarget = Annotated[
    str, typer.Option(help="A row without target is an error, or drop: it is left out.")
]
WeightColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A column that says how much each row counts; no input."),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        "--id-column",
        metavar="A,B",
        help="Columns of DATA to write beside the predictions. May be repeated.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a CSV file: latin1, cp1252, ...; else UTF-8 or UTF-16."),
]
Comment = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Lines of a CSV file that begin so are left out, as #."),
]
Na = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B", help="Texts that mean a missing cell, as an empty one. May be repeated."
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        "--sep",
        metavar="LETTER",
        help="Between the cells of a CSV file: , or ; or tab, ...",
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(metavar="LETTER", help="Before the fraction of a number in text: . or a comma."),
]
Thousands = Annotated[
    str | None,
    typer.Option(metavar="LETTER", help="Between groups of three digits in text."),
]
SkipLines = Annotated[
    int | None, typer.Option(metavar="N", help="Lines of a CSV file before its header.")
]
NoQuotes = Annotated[
    bool | None,
    typer.Option("--no-quotes/--quotes", help="Whether quotes in a CSV file are letters."),
]
Hidden = Annotated[str, typer.Option(help="Units of the hidden layers, e.g. 256,128.")]
ActivationName = Annotated[
    str, typer.Option(autocompletion=completing(Activation.members), help=_one_of(Activation))
]
NormName = Annotated[
    str | None,
    typer.Option(
        autocompletion=completing(NORMS),
        help="Brings each row of a hidden layer to a common scale before the activation: layer, by "
        "mean and variance; rms, by the mean square.",
    ),
]
DropoutRate = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Share of the elements left out at random behind each hidden layer, in training.",
    ),
]
ResidualFlag = Annotated[
    bool,
    typer.Option(
        "--residual", help="Adds to a hidden layer as wide as the one before it what it reads."
    ),
]
Embed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Learns a vector for each category of a column that has more than N, in place of an "
        "input for each.",
    ),
]
EmbedSize = Annotated[
    int | None, typer.Option(metavar="SIZE", help="Numbers in such a vector; else 8.")
]
LossName = Annotated[
    str,
    typer.Option(
        autocompletion=completing(["auto", *CLASS_LOSSES, *NUMBER_LOSSES]),
        help="auto: cross_entropy for classes, else mse. One of "
        f"{', '.join((*CLASS_LOSSES, *NUMBER_LOSSES))}.",
    ),
]
OptimizerName = Annotated[
    str, typer.Option(autocompletion=completing(Optimizer.named()), help=_one_of(Optimizer))
]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate; else the optimizer's.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help=f"Samples an update; else 32, or all of them for {' and '.join(Solver.members)}."
    ),
]
Seed = Annotated[
    int, typer.Option(help="Decides first values, shuffle, dropout and held-out part.")
]

"""The commands of ``gdcore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import gdcore
from gdcore.cli import measuring, options, training_options
from gdcore.cli.errors import user_errors
from gdcore.cli.told import given, options_of, reading_of

__all__ = ["app"]

_EXAMPLES = """
Examples:

gdcore train adult.csv --target income --save model.safetensors

gdcore train digits --hidden 256,128 --schedule cosine --patience 5

gdcore train adult.csv --target income --folds 5

gdcore train adult.csv --resume model.safetensors --epochs 10

gdcore predict model.safetensors new.csv --out predictions.csv --keep id

gdcore evaluate model.safetensors test.csv --report report.html

gdcore export model.safetensors model.onnx

gdcore profile digits --hidden 512,512 --out report.html

gdcore info
"""

# The commands' own modules are loaded when they run: `gdcore info` needs no polars.

app = typer.Typer(
    name="gdcore",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gdcore {gdcore.__version__}")
        raise typer.Exit


@app.callback(help="Train dense neural networks by gradient descent on CPUs.", epilog=_EXAMPLES)
def _gdcore(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Tells the version."),
    ] = False,
) -> None: ...


@app.command()
def train(
    context: typer.Context,
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    dates: options.Dates = None,
    drop: options.Drop = None,
    id_column: training_options.IdColumn = None,
    missing: options.Missing = "error",
    indicator: options.Indicator = False,
    unseen: options.Unseen = "error",
    min_count: options.MinCount = 1,
    missing_target: options.MissingTarget = "error",
    class_weight: training_options.ClassWeight = None,
    weight_column: options.WeightColumn = None,
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
    encoding: options.Encoding = None,
    comment: options.Comment = None,
    hidden: options.Hidden = "128",
    activation: options.ActivationName = "relu",
    norm: options.NormName = None,
    dropout: options.DropoutRate = None,
    residual: options.ResidualFlag = False,
    embed: options.Embed = None,
    embed_size: options.EmbedSize = None,
    loss: options.LossName = "auto",
    optimizer: options.OptimizerName = "adam",
    lr: options.LearningRate = None,
    momentum: training_options.Momentum = None,
    weight_decay: training_options.WeightDecay = None,
    clip_grad_norm: training_options.ClipGradNorm = None,
    clip_value: training_options.ClipValue = None,
    l1: training_options.L1 = None,
    l2: training_options.L2 = None,
    lookahead: training_options.Lookahead = None,
    sam: training_options.Sam = None,
    ema: training_options.Ema = None,
    swa: training_options.Swa = None,
    schedule: training_options.Schedule = "constant",
    warmup: training_options.Warmup = 0,
    epochs: training_options.Epochs = 20,
    batch_size: options.BatchSize = None,
    accumulate: training_options.Accumulate = 1,
    slices: training_options.Slices = None,
    patience: training_options.Patience = None,
    metric: training_options.BestBy = None,
    metrics: training_options.Metrics = None,
    dtype: training_options.Dtype = "float32",
    seed: options.Seed = 0,
    seeds: training_options.Seeds = None,
    folds: training_options.Folds = None,
    threads: training_options.Threads = None,
    validation: training_options.Validation = 0.2,
    validation_file: training_options.ValidationFile = None,
    resume: training_options.Resume = None,
    save: training_options.Save = None,
    report: training_options.Report = None,
    plot: training_options.Plot = None,
    profile: training_options.Profile = None,
) -> None:
    """Train a network on DATA, and tell how it does on the part that was held out.

    gdcore train adult.csv --target income --class-weight balanced --report report.html

    gdcore train day.csv --target sold --validation-file later.csv --patience 5

    gdcore train 'part*.csv.gz' --target a,b,c --task multilabel --unseen other
    """
    told = locals()
    with user_errors():
        from gdcore.cli import training

        told_of = [each for each in given(context) if each.startswith("--validation")]
        if folds is not None and told_of:
            option = "--validation-file" if validation_file is not None else "--validation"
            raise ValueError(f"{option} must not be given with --folds, which hold out rows")
        if len(told_of) > 1:
            raise ValueError("--validation must not be given with --validation-file")
        if resume is not None:
            _check_resumed(given(context, *_WITH_RESUME))
        training.train(options_of(told))


# The options that say nothing of what a model holds already.
_WITH_RESUME = (
    *(
        "data",
        "resume",
        "seeds",
        "folds",
        "epochs",
        "batch_size",
        "accumulate",
        "lr",
        "patience",
        "metric",
        "metrics",
        "class_weight",
        "weight_column",
        "missing_target",
        "threads",
    ),
    *("validation", "validation_file", "save", "report", "plot", "profile"),
    *("delimiter", "decimal", "thousands", "skip_lines", "no_quotes", "encoding", "comment"),
)


def _check_resumed(given: list[str]) -> None:
    if given:
        raise ValueError(f"{given[0]} must not be given with --resume: the model says it")


app.command()(measuring.profile)
app.command()(measuring.scaling)
app.command()(measuring.watch)


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
    keep: options.Keep = None,
    proba: Annotated[
        bool,
        typer.Option("--proba/--no-proba", help="Whether to write probabilities of classes."),
    ] = True,
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
    encoding: options.Encoding = None,
    comment: options.Comment = None,
) -> None:
    """Predict the rows of DATA: for classes with probabilities, for numbers in their own units.

    DATA are read as those of the training were, unless an option says otherwise.
    """
    told = locals()
    with user_errors():
        from gdcore.cli import prediction

        prediction.predict(model, data, out, reading_of(told), keep, na or (), proba=proba)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="What gdcore train --save wrote.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Like the data of the training, with the target.")
    ],
    report: training_options.Report = None,
    weight_column: options.WeightColumn = None,
    missing_target: options.MissingTarget = "error",
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
    encoding: options.Encoding = None,
    comment: options.Comment = None,
) -> None:
    """Judge a MODEL by DATA: each class, what was taken for what, probabilities, errors.

    gdcore evaluate model.safetensors new.csv --report report.html
    """
    told = locals()
    with user_errors():
        from gdcore.cli import evaluating

        how = reading_of(told)
        evaluating.evaluate(model, data, how, report, weight_column, missing_target, na or ())


@app.command(name="export")
def export_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="What gdcore train --save, or Python, wrote.")
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where: .onnx, .c, or .pt of PyTorch.")
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="onnx, c or torch; else by the ending of FILE."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Of classes, in place of logits: onnx and c.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of c: functions are NAME_predict; else that of FILE."),
    ] = None,
    fortran: Annotated[
        bool, typer.Option("--fortran", help="Of c: also writes a module for Fortran.")
    ] = False,
) -> None:
    """Write a model for other programs: ONNX, C99, PyTorch.

    Columns go in as they are: of a MODEL of gdcore train numbers are scaled within, and numbers are
    predicted in their own units.
    """
    with user_errors():
        from gdcore.cli import exporting

        exporting.write(model, file, to, probabilities, name, fortran)


@app.command()
def info(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model file.", show_default=False)
    ] = None,
) -> None:
    """Tell what runs on this machine and why, or what a MODEL file holds."""
    with user_errors():
        if model is None:
            from gdcore.cli import machine

            print(machine.machine())
            return
        from gdcore.cli import description

        description.describe(model)


app.command()(measuring.bench)

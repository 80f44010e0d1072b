"""The commands of ``gdcore``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import gdcore
from gdcore._native import DTYPES
from gdcore.cli import options
from gdcore.cli.errors import user_errors
from gdcore.metrics import Metric
from gdcore.schedules import NAMES as SCHEDULES

if TYPE_CHECKING:
    from gdcore.cli.reading import Reading
    from gdcore.cli.training import Options

__all__ = ["app"]

_EXAMPLES = """
Examples:

gdcore train adult.csv --target income --save model.safetensors

gdcore train digits --hidden 256,128 --schedule cosine --patience 5

gdcore train adult.csv --target income --folds 5

gdcore train adult.csv --resume model.safetensors --epochs 10

gdcore predict model.safetensors new.csv --out predictions.csv

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


def _options(told: dict[str, Any]) -> Options:
    """Those of a command's arguments that describe data, network and training."""
    from gdcore.cli.training import Options

    parsed: dict[str, Any] = {
        name: tuple(told[name] or ()) for name in ("categories", "numbers", "drop", "na")
    }
    metrics = (told.get("metrics") or "").split(",")
    parsed["metrics"] = tuple(each.strip() for each in metrics if each.strip())
    parsed["reading"] = _reading(told)
    hidden = options.sizes("--hidden", told["hidden"])
    known = {field.name: told[field.name] for field in fields(Options) if field.name in told}
    return Options(**known | parsed | {"hidden": hidden})


def _reading(told: dict[str, Any]) -> Reading:
    """How text is to be read, as far as the arguments say it."""
    from gdcore.cli.reading import Reading

    return Reading(**{field.name: told[field.name] for field in fields(Reading)})


def _given(context: typer.Context, *others: str) -> list[str]:
    """The options that stand on the command line, but for some."""
    return [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in others
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]


@app.command()
def train(
    context: typer.Context,
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    drop: options.Drop = None,
    missing: options.Missing = "error",
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
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
    momentum: Annotated[
        float | None, typer.Option(help="Of sgd and rmsprop; else the optimizer's.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Else the optimizer's.")] = None,
    clip_grad_norm: Annotated[
        float | None,
        typer.Option(
            "--clip-grad-norm",
            "--clip-norm",
            metavar="NORM",
            help="The largest norm of a gradient.",
        ),
    ] = None,
    clip_value: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="The largest absolute value in a gradient."),
    ] = None,
    l1: Annotated[
        float | None, typer.Option(metavar="WEIGHT", help="Of a penalty on |w|, without biases.")
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option(metavar="WEIGHT", help="Of a penalty on w^2 / 2, without biases."),
    ] = None,
    lookahead: Annotated[
        int | None,
        typer.Option(metavar="K", help="Every K steps goes back half of the way that they went."),
    ] = None,
    sam: Annotated[
        float | None,
        typer.Option(
            metavar="RHO",
            help="Takes each gradient so far uphill, for wide minima: twice the time.",
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="DECAY",
            help="Keeps the exponential average of the weights, e.g. 0.999, and judges and "
            "predicts by it.",
        ),
    ] = None,
    swa: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCH", help="The same with the mean of the weights from that epoch on."
        ),
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            autocompletion=options.completing(SCHEDULES),
            help="Of the learning rate: constant; step, a tenth after each third of the epochs; "
            "exponential, down to a hundredth; cosine and linear, down to 0; one_cycle, up and far "
            "down; flat_cos, down in the last quarter; coslog, up and down in four cycles.",
        ),
    ] = "constant",
    warmup: Annotated[
        int, typer.Option(metavar="EPOCHS", help="First epochs, of a rising learning rate.")
    ] = 0,
    epochs: Annotated[int, typer.Option(help="How often to go over the samples.")] = 20,
    batch_size: options.BatchSize = None,
    accumulate: Annotated[
        int, typer.Option(metavar="N", help="Batches an update: the gradient is that of them all.")
    ] = 1,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            help="Stops where the loss of the held-out rows has not fallen for so many, and takes "
            "the weights of the best.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            autocompletion=options.completing(Metric.members),
            help=f"What else to tell: {', '.join(Metric.members)}.",
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(autocompletion=options.completing(DTYPES), help="float32 or float64."),
    ] = "float32",
    seed: options.Seed = 0,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Trains so many networks at once, with the seeds from --seed on, and tells mean "
            "and spread of their figures; --save writes them as one model.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Cuts the rows into so many parts, in place of --validation, and trains a network "
            "(with --seeds several) for each part that is held out.",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="How many; else all that are free.")] = None,
    validation: Annotated[
        float,
        typer.Option(
            "--validation", "--validation-split", help="Share of the rows to hold out; 0 for none."
        ),
    ] = 0.2,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Goes on with a model that --save wrote, for --epochs more: what it says of "
            "columns, network and optimizer holds.",
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the model (safetensors).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw the losses: .png, .svg, ...")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Records the training: .html, a report; .json, .json.gz or .pftrace, a trace for "
            "Perfetto; .speedscope.json, a flame graph; .png, .svg or .pdf, a timeline; .npz, the "
            "events.",
        ),
    ] = None,
) -> None:
    """Train a network on DATA, and tell how it does on the part that was held out."""
    told = locals()
    with user_errors():
        from gdcore.cli import training

        if folds is not None and any("--validation" in each for each in _given(context)):
            raise ValueError("--validation must not be given with --folds, which hold out rows")
        if resume is not None:
            _check_resumed(_given(context, *_WITH_RESUME))
        training.train(_options(told))


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
        "metrics",
        "threads",
    ),
    *("validation", "save", "plot", "profile"),
    *("delimiter", "decimal", "thousands", "skip_lines", "no_quotes"),
)


def _check_resumed(given: list[str]) -> None:
    if given:
        raise ValueError(f"{given[0]} must not be given with --resume: the model says it")


@app.command()
def profile(
    context: typer.Context,
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    drop: options.Drop = None,
    missing: options.Missing = "error",
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
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
    batch_size: options.BatchSize = None,
    seed: options.Seed = 0,
    threads: Annotated[int | None, typer.Option(help="How many; else all that are free.")] = None,
    steps: Annotated[int, typer.Option(help="How many training steps to record.")] = 500,
    every: Annotated[int, typer.Option(help="Record one step of so many.")] = 1,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="May be given several times: .html, a report; .json, .json.gz or .pftrace, a "
            "trace for Perfetto; .speedscope.json, a flame graph; .png, .svg or .pdf, a timeline; "
            ".npz, the events.",
        ),
    ] = None,
) -> None:
    """Show where every microsecond of a training goes: table, advice and files.

    DATA may also be a profile that was saved as .npz: then it is shown, and nothing is trained.
    """
    told = locals()
    with user_errors():
        from gdcore.cli import profile_files, profiling

        if profile_files.holds_profile(data):
            profiling.show(data, _given(context, "data", "out"), out or [])
        else:
            profiling.profile(_options(told), steps, every, out or [])


@app.command()
def scaling(
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    drop: options.Drop = None,
    missing: options.Missing = "error",
    na: options.Na = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
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
    seed: options.Seed = 0,
    threads: Annotated[
        str, typer.Option(metavar="A,B", help="Numbers of threads; else 1, 2, ... to all.")
    ] = "",
    batch_sizes: Annotated[
        str, typer.Option(metavar="A,B", help="Samples a step; else some up to all there are.")
    ] = "",
    rounds: Annotated[int, typer.Option(help="Measurements of each; medians count.")] = 5,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw the speed-up: .png, .svg.")
    ] = None,
) -> None:
    """Measure how much faster training steps become with more threads."""
    told = locals()
    with user_errors():
        from gdcore.cli import profiling

        profiling.scaling(
            _options(told | {"threads": None, "plot": None}),
            options.sizes("--threads", threads),
            options.sizes("--batch-sizes", batch_sizes),
            rounds,
            plot,
        )


@app.command()
def watch(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="What gdcore.callbacks.Live(FILE) writes.")
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Prints the state of now, and ends.")
    ] = False,
) -> None:
    """Show how a training goes while it runs: rates, losses, learning rate, memory."""
    with user_errors():
        from gdcore.cli import watch

        watch.watch(path, once)


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
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    skip_lines: options.SkipLines = None,
    no_quotes: options.NoQuotes = None,
) -> None:
    """Predict the rows of DATA: for classes with probabilities, for numbers in their own units.

    DATA are read as those of the training were, unless an option says otherwise.
    """
    told = locals()
    with user_errors():
        from gdcore.cli import prediction

        prediction.predict(model, data, out, _reading(told))


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

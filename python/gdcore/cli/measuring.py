"""The commands that measure: profile, scaling, watch and bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdcore.cli import options
from gdcore.cli.errors import user_errors
from gdcore.cli.ranks import alone
from gdcore.cli.told import given, options_of

__all__ = ["bench", "profile", "scaling", "watch"]


def profile(
    context: typer.Context,
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    dates: options.Dates = None,
    drop: options.Drop = None,
    missing: options.Missing = "error",
    indicator: options.Indicator = False,
    unseen: options.Unseen = "error",
    min_count: options.MinCount = 1,
    missing_target: options.MissingTarget = "error",
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
            profiling.show(data, given(context, "data", "out"), out or [])
        else:
            profiling.profile(options_of(told), steps, every, out or [])


def scaling(
    context: typer.Context,
    data: options.Data,
    target: options.Target = None,
    task: options.Task = "auto",
    categories: options.Categories = None,
    numbers: options.Numbers = None,
    dates: options.Dates = None,
    drop: options.Drop = None,
    missing: options.Missing = "error",
    indicator: options.Indicator = False,
    unseen: options.Unseen = "error",
    min_count: options.MinCount = 1,
    missing_target: options.MissingTarget = "error",
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
    ranks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Estimates steps on so many machines in place of measuring threads; all: 1, 2, 4 "
            "to 1024. Needs --link, or mpirun, which measures it.",
        ),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(help="With --ranks, what joins them: 10GbE, 100GbE or InfiniBand HDR."),
    ] = None,
) -> None:
    """Measure how much faster steps become with more threads, or estimate it for more machines."""
    told = locals()
    with user_errors():
        from gdcore.cli import estimating, profiling

        chosen = options_of(told | {"threads": None, "plot": None})
        counts = options.sizes("--threads", threads)
        sizes = options.sizes("--batch-sizes", batch_sizes)
        if ranks is None:
            if link is not None:
                raise ValueError("--link is for --ranks, which is not given")
            alone("scaling over threads")
            profiling.scaling(chosen, counts, sizes, rounds, plot)
        else:
            if "--rounds" in given(context):
                raise ValueError("--rounds is for threads, and --ranks estimates")
            machines = None if ranks == "all" else options.sizes("--ranks", ranks)
            estimating.estimated(chosen, counts, sizes, machines, link, plot)


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

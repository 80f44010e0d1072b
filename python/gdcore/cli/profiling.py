"""The commands ``gdcore profile`` and ``gdcore scaling``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from gdcore import get_num_threads, profiling, scaling_study
from gdcore import profile as recorded
from gdcore._check import integer
from gdcore.benchmark.steps import counts_up_to
from gdcore.cli import profile_files
from gdcore.cli.errors import diverging
from gdcore.cli.outputs import check_output
from gdcore.cli.plot import needed_to_plot
from gdcore.cli.setting_up import SetUp
from gdcore.cli.training import Options, set_up
from gdcore.solvers import Solver
from gdcore.tabular.fitted import taken

__all__ = ["profile", "scaling", "set_up_to_measure", "show"]

_WARM_UP = 20  # steps that compile the plan, touch its memory and wake the threads


def profile(options: Options, steps: int, every: int, out: Sequence[Path]) -> None:
    """Records a training, prints table and advice, and writes what was asked for.

    Raises:
        FloatingPointError: The loss became NaN or infinite.
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    integer("--steps", steps)
    integer("--every", every)
    _check_outputs(options.data, out)
    made = set_up(options)
    x, y = made.training.x, made.training.y
    size = min(made.batch_size(options), len(y))

    def fit(count: int) -> None:
        epochs, rest = divmod(count, -(-len(y) // size))
        for rows, times in ((len(y), epochs), (rest * size, 1)):
            if rows and times:
                with diverging(made.trainer):
                    part = taken(x, slice(rows)), y[:rows]
                    made.trainer.fit(*part, epochs=times, batch_size=size, progress=False)

    fit(_WARM_UP)
    with recorded(every=every) as prof:
        fit(steps * every)
    _tell(prof, out)


def show(data: str, given: Sequence[str], out: Sequence[Path]) -> None:
    """Prints table and advice of a saved profile, and writes what was asked for.

    Args:
        data: Its file.
        given: The options that the command was given beside ``--out``, none of which fits.
        out: The files to write.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: It is damaged, or an option is not right.
    """
    if given:
        raise ValueError(f"{given[0]} is for a training to record, and {data} is a saved profile")
    _check_outputs(data, out)
    _tell(profiling.load(data), out)


def _check_outputs(data: str, out: Sequence[Path]) -> None:
    for i, path in enumerate(out):
        profile_files.check("--out", path)
        check_output("--out", path, data, *out[:i])


def _tell(prof: profiling.Profile, out: Sequence[Path]) -> None:
    for by in ("rank", "op", "thread") if prof.ranks else ("op", "thread"):
        typer.echo(f"{prof.table(by)}\n")
    for sentence in prof.advice():
        typer.echo(f"- {sentence}")
    if prof.counters_error:
        typer.echo(f"- Cycles and cache misses were not counted: {prof.counters_error}.")
    typer.echo(f"- {prof!r}")
    for path in out:
        part = profile_files.write(prof, path)
        typer.echo(f"written: {path}" + (f", {part}" if part else ""), err=True)


def set_up_to_measure(options: Options, plot: Path | None) -> SetUp:
    """What steps are measured with, after a look at where the picture goes.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    if plot is not None:
        if plot.suffix.lower() not in (".pdf", ".png", ".svg"):
            raise ValueError(f"--plot must end in one of .pdf, .png, .svg, got {str(plot)!r}")
        check_output("--plot", plot, options.data)
        needed_to_plot()
    made = set_up(options)
    if isinstance(made.trainer.optimizer, Solver):
        raise ValueError(
            f"--optimizer must be one that trains by steps, got {made.trainer.optimizer.name!r}"
        )
    return made


def scaling(
    options: Options,
    threads: Sequence[int],
    batch_sizes: Sequence[int],
    rounds: int,
    plot: Path | None,
) -> None:
    """Measures steps on several numbers of threads, prints the study, and draws it.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    integer("--rounds", rounds)
    for option, numbers in (("--threads", threads), ("--batch-sizes", batch_sizes)):
        for number in numbers:
            integer(option, number)
    made = set_up_to_measure(options, plot)
    numbers = threads or [n for n in counts_up_to(get_num_threads()) if n is not None]
    x, y = made.training.x, made.training.y
    for size in batch_sizes:
        integer("--batch-sizes", size, at_most=len(y))
    with diverging(made.trainer):
        study = scaling_study(
            made.trainer, x, y, threads=numbers, batch_sizes=batch_sizes or None, rounds=rounds
        )
    typer.echo(str(study))
    if plot is not None:
        study.plot(plot)
        typer.echo(f"written: {plot}", err=True)

"""``gdcore scaling --ranks``: whether more machines will pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from gdcore._check import integer
from gdcore.cli.errors import diverging
from gdcore.cli.profiling import set_up_to_measure
from gdcore.cli.ranks import communicator as of_ranks
from gdcore.cli.training import Options
from gdcore.distributed import LINKS, estimate
from gdcore.distributed.links import named_link

__all__ = ["estimated"]


def estimated(
    options: Options,
    threads: Sequence[int],
    batch_sizes: Sequence[int],
    ranks: Sequence[int] | None,
    link: str | None,
    plot: Path | None,
) -> None:
    """Prints what steps on so many ranks will take, and draws it.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    if len(threads) > 1:
        raise ValueError(f"--threads must be one number with --ranks, got {len(threads)}")
    for each in threads:
        integer("--threads", each)
    for each in batch_sizes:
        integer("--batch-sizes", each, at_most=2**31)
    if ranks is not None and not ranks:
        raise ValueError("--ranks must hold numbers of ranks, got none")
    for each in ranks or ():
        integer("--ranks", each)
    if plot is not None and len(batch_sizes) > 1:
        raise ValueError("--plot draws one of --batch-sizes with --ranks, got several")
    if link is not None:
        named_link("--link", link)
    here = of_ranks()
    communicator = None if link is not None else here
    if link is None and communicator is None:
        raise ValueError(
            f"--ranks needs --link, one of {', '.join(LINKS)}; or mpirun -n 2 around the command, "
            "which measures what joins its ranks"
        )
    made = set_up_to_measure(replace(options, threads=next(iter(threads), None)), plot)
    x, y = made.training.x, made.training.y
    first = here is None or here.rank == 0
    for size in batch_sizes or (len(y),):
        for count in ranks or ():
            if count > size:
                raise ValueError(
                    f"--ranks must be at most {size:,}, the rows of a step, got {count:,}"
                )
        with diverging(made.trainer):
            told = estimate(
                made.trainer, size, ranks, link=link, communicator=communicator, x=x, y=y
            )
        if first:
            typer.echo(f"{told}\n")
            if plot is not None:
                told.plot(plot)
                typer.echo(f"written: {plot}", err=True)

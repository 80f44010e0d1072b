"""The command ``gdcore train``: from the data to a trained network."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from gdcore import Trainer, profile, schedules
from gdcore._check import integer, optional_integer
from gdcore._names import choice
from gdcore._native import DTYPES
from gdcore.callbacks import EarlyStopping
from gdcore.cli import (
    INTERRUPTED,
    around,
    folded,
    plot,
    profile_files,
    report,
    several,
)
from gdcore.cli.errors import diverged, diverging, fail
from gdcore.cli.hidden import hidden_layers
from gdcore.cli.learning import Choices, learn, wanted
from gdcore.cli.losses import CLASS_LOSSES, NUMBER_LOSSES
from gdcore.cli.networks import Embedded
from gdcore.cli.outputs import check_output
from gdcore.cli.reading import Reading
from gdcore.cli.resuming import resumed
from gdcore.cli.setting_up import SetUp
from gdcore.cli.split import split
from gdcore.cli.targets import Chosen
from gdcore.losses import Loss
from gdcore.metrics import Metric
from gdcore.optimizers import Optimizer
from gdcore.solvers import Solver
from gdcore.tabular.cells import Notation
from gdcore.tabular.columns import listed
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.fitted import taken
from gdcore.tabular.meanings import ClassTarget
from gdcore.tabular.networks import network_over
from gdcore.tabular.tables import NAMES, Table, read
from gdcore.typing import ScheduleName

__all__ = ["Options", "SetUp", "set_up", "train"]

EVENTS = 1 << 17  # of a thread in a profile, the last ones: viewers cannot open much more


@dataclass(frozen=True)
class Options:
    """What the command was told, as it was told; `app` has the meanings."""

    data: str
    target: str | None
    task: str
    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    drop: tuple[str, ...]
    missing: str
    na: tuple[str, ...]
    reading: Reading
    hidden: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    lr: float | None
    seed: int
    norm: str | None = None
    dropout: float | None = None
    residual: bool = False
    embed: int | None = None
    embed_size: int | None = None
    threads: int | None = None
    batch_size: int | None = None
    schedule: str = "constant"
    warmup: int = 0
    epochs: int = 1
    validation: float = 0.0
    momentum: float | None = None
    weight_decay: float | None = None
    clip_grad_norm: float | None = None
    clip_value: float | None = None
    l1: float | None = None
    l2: float | None = None
    lookahead: int | None = None
    sam: float | None = None
    ema: float | None = None
    swa: int | None = None
    accumulate: int = 1
    dtype: str = "float32"
    metrics: tuple[str, ...] = ()
    patience: int | None = None
    seeds: int | None = None
    folds: int | None = None
    resume: Path | None = None
    save: Path | None = None
    plot: Path | None = None
    profile: Path | None = None


def train(options: Options) -> None:
    """Trains, tells how it went, and writes what was asked for.

    Raises:
        FloatingPointError: The loss became NaN or infinite.
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    if options.seeds is not None or options.folds is not None:
        several.train(options)
        return
    made = set_up(options)
    trainer, chosen, preparation = made.trainer, made.chosen, made.preparation
    kept, held_out = made.kept, made.held_out
    training, validation = made.training, made.validation
    before = trainer.epochs
    recorded = nullcontext() if options.profile is None else profile(events_per_thread=EVENTS)
    try:
        with recorded as prof:
            seconds = _fit(made, options)
    finally:  # what led to an error or to Ctrl-C may be just what is asked for
        if options.profile is not None and prof is not None:
            part = profile_files.write(prof, options.profile)
            lost = f", without {prof.dropped:,} older events" if prof.dropped else ""
            held = f", {part}" if part else ""
            typer.echo(f"written: {options.profile}{held}{lost}", err=True)

    parts = {"training": (*training, kept)}
    if len(held_out):
        parts["held out"] = (*validation, held_out)
    figures = {
        part: report.figures(trainer, part_x, part_y, chosen, rows, options.metrics)
        for part, (part_x, part_y, rows) in parts.items()
    }
    if not all(math.isfinite(each["loss"]) for each in figures.values()):
        # No later step was there to tell.
        fail(diverged(trainer.epochs, trainer.lr))
    if options.save is not None:
        trainer.save(options.save, extra={"preparation": preparation.to_json()})
    if options.plot is not None:
        plot.save_curves(options.plot, trainer.history)
    together = made.batch_size(options) * options.accumulate
    epochs = trainer.epochs - before
    report.tell_result(trainer, figures, len(kept), together, epochs, seconds)
    for path in (options.save, options.plot):
        if path is not None:
            typer.echo(f"written: {path}", err=True)


def set_up(options: Options) -> SetUp:
    """Reads the data, makes network and trainer, and tells what was chosen.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    # All that can be wrong without the data comes first: reading may take long.
    hidden = hidden_layers(
        options.hidden, options.activation, options.norm, options.dropout, options.residual
    )
    embedded = Embedded.of(options.embed, options.embed_size)
    rule = around.wrapped(_rule(options), options)
    clip, average = around.clipped(options), around.averaged(options)
    dtype = choice("--dtype", options.dtype, DTYPES)
    choice("--loss", options.loss, ["auto", *CLASS_LOSSES, *NUMBER_LOSSES])
    integer("--epochs", options.epochs)
    optional_integer("--batch-size", options.batch_size)
    schedule = _schedule(options.schedule, options.warmup, options.epochs)
    integer("--accumulate", options.accumulate)
    _check_judging(options)
    _check_outputs(options)

    options.reading.check(options.data)
    if options.resume is not None:
        return resumed(options, options.resume)
    dialect = options.reading.dialect(Dialect())
    options.reading.notation(Notation())

    table = _read(options, dialect)
    notation = options.reading.notation(Notation(), table.texts(options.na))
    choices = Choices(
        options.target or "y",
        options.task,
        options.categories,
        options.numbers,
        options.drop,
        options.missing,
        notation,
        embedded.above,
    ).of(table)
    target = wanted(table, choices)
    kept, held_out = split(len(table), options.validation, options.seed, target.labels)
    _check_batch(rule, options.batch_size, len(kept))
    preparation, chosen, notes = learn(table, choices, target, kept)
    preparation = replace(preparation, dialect=dialect)
    notes = [*target.too_small(held_out), *notes]  # ahead of what may be many
    loss, outputs, y = _loss(options.loss, chosen)
    x = preparation.inputs(table, np.dtype(dtype))
    parts = []
    if options.folds is not None:
        cut = (options.folds, options.seed, np.dtype(dtype))
        parts = folded.cut(table, preparation, target, y, *cut)
    report.tell_choice(preparation, chosen, len(kept), len(held_out), notes, embedded.size)
    del table  # the text of large files takes more room than all that follows

    net = network_over(preparation, hidden, outputs, embedded.size, dtype=dtype, seed=options.seed)
    trainer = Trainer(
        net,
        loss,
        rule,
        clip=clip,
        average=average,
        schedule=schedule,
        num_threads=options.threads,
    )
    return SetUp(
        trainer,
        preparation,
        chosen,
        (taken(x, kept), y[kept]),
        (taken(x, held_out), y[held_out]),
        kept,
        held_out,
        parts,
        hidden,
    )


def _rule(options: Options) -> Optimizer:
    """The optimizer with what was said of it."""
    rule = Optimizer.resolve("--optimizer", options.optimizer)
    given = {name: getattr(options, name) for name in ("lr", "momentum", "weight_decay")}
    for name, value in given.items():
        if value is None:
            continue
        if name not in {field.name for field in fields(rule)}:
            having = [
                key
                for key, each in Optimizer.named().items()
                if name in {field.name for field in fields(each)}
            ]
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is for {', '.join(having)}, got {rule.name!r}")
        rule = replace(rule, **{name: value})
    return rule


def _check_batch(rule: Optimizer, batch_size: int | None, rows: int) -> None:
    if isinstance(rule, Solver) and batch_size is not None and batch_size < rows:
        raise ValueError(
            f"--batch-size must be left out with --optimizer {rule.name}, which takes all {rows} "
            f"rows at once, got {batch_size}"
        )


def _check_judging(options: Options) -> None:
    """What is computed of the rows that are held out, and what is made of it."""
    for name in options.metrics:
        Metric.resolve("--metrics", name)
    if len(set(options.metrics)) < len(options.metrics):
        raise ValueError(f"--metrics must be different ones, got {','.join(options.metrics)}")
    if options.patience is None:
        return
    integer("--patience", options.patience)
    if options.validation == 0:
        raise ValueError("--patience needs rows that are held out, got --validation 0")


def _check_outputs(options: Options) -> None:
    if options.save is not None:
        check_output("--save", options.save, options.data)
    if options.plot is not None:
        plot.check(options.plot)
        others = () if options.save is None else (options.save,)
        check_output("--plot", options.plot, options.data, *others)
    if options.profile is not None:
        profile_files.check("--profile", options.profile)
        written = [each for each in (options.save, options.plot) if each is not None]
        check_output("--profile", options.profile, options.data, *written)


def _read(options: Options, dialect: Dialect) -> Table:
    arrays = options.data in NAMES or options.data.lower().endswith(".npz")
    table = read(options.data, options.target or ("y" if arrays else None), dialect)
    if options.target is None and not arrays:
        names = listed(table.inputs)
        raise ValueError(f"--target must name the column to predict, one of: {names}")
    return table


def _schedule(name: str, warmup: int, epochs: int) -> schedules.Schedule | ScheduleName | None:
    """The schedule of a name over the epochs that the warm-up leaves."""
    name = choice("--schedule", name, schedules.NAMES)
    if name in ("one_cycle", "coslog") and warmup:
        raise ValueError(f"--warmup must be 0 for --schedule {name}, which rises first by itself")
    integer("--warmup", warmup, at_least=0)
    if warmup >= epochs:
        raise ValueError(f"--warmup must be less than --epochs, {epochs}, got {warmup}")
    left = epochs - warmup
    if not warmup and name != "constant":
        return name  # so that what counts steps knows how many there are
    after = None if name == "constant" else schedules.spread(name, left)
    return schedules.Warmup(warmup, after=after) if warmup else after


def _loss(name: str, chosen: Chosen) -> tuple[Loss, int, NDArray[Any]]:
    """The loss, the number of outputs it needs, and its targets."""
    target = chosen.target
    if not isinstance(target, ClassTarget):
        if name not in ("auto", *NUMBER_LOSSES):
            raise ValueError(
                f"--loss must be auto or one of {', '.join(NUMBER_LOSSES)} for numbers, got "
                f"{name!r}"
            )
        return Loss.resolve("--loss", "mse" if name == "auto" else name), len(target.mean), chosen.y
    if name not in ("auto", *CLASS_LOSSES):
        raise ValueError(
            f"--loss must be auto, {' or '.join(CLASS_LOSSES)} for classes, got {name!r}"
        )
    if name != "bce_with_logits":
        return Loss.resolve("--loss", "cross_entropy"), len(target.classes), chosen.y
    if len(target.classes) > 2:
        raise ValueError(
            f"--loss bce_with_logits is for two classes, {target.name!r} has {len(target.classes)}"
        )
    return Loss.resolve("--loss", name), 1, chosen.y.astype(np.float32)


def _fit(made: SetUp, options: Options) -> float:
    """Trains; returns the seconds it took. After Ctrl-C saves what there is, and ends."""
    trainer, judged = made.trainer, len(made.held_out) > 0
    start, before = time.perf_counter(), trainer.epochs
    stopping = [] if options.patience is None else [EarlyStopping(patience=options.patience)]
    try:
        with diverging(trainer):
            trainer.fit(
                *made.training,
                epochs=options.epochs,
                batch_size=made.batch_size(options),
                validation_data=made.validation if judged else None,
                metrics=[Metric.resolve("--metrics", name) for name in options.metrics]
                if judged
                else (),
                callbacks=stopping,
                accumulate=options.accumulate,
            )
    except KeyboardInterrupt:
        done = f"stopped after {trainer.epochs - before} of {options.epochs} epochs"
        if options.save is None or trainer.epochs == before:
            what = "nothing" if options.profile is None else "no model"
            fail(f"{done}; {what} is saved", INTERRUPTED)
        trainer.save(options.save, extra={"preparation": made.preparation.to_json()})
        fail(
            f"{done}; saved to {options.save}, with the updates of the epoch that was begun",
            INTERRUPTED,
        )
    if trainer.converged is not None:
        typer.echo(
            f"converged after {trainer.epochs - before} of {options.epochs} epochs, by "
            f"{trainer.converged}",
            err=True,
        )
    for each in stopping:
        how = "stopped after" if trainer.stopped else "no early stop within"
        typer.echo(
            f"{how} {trainer.epochs - before} of {options.epochs} epochs: the weights are those "
            f"of epoch {each.best_epoch}, with val_loss {each.best:.5g}",
            err=True,
        )
    return time.perf_counter() - start

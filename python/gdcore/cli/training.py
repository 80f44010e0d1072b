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
from gdcore.cli import (
    INTERRUPTED,
    around,
    folded,
    hints,
    judged_page,
    judged_text,
    judges,
    judging,
    parts,
    plot,
    profile_files,
    ranks,
    report,
    several,
    weighing,
)
from gdcore.cli.errors import diverged, diverging, fail
from gdcore.cli.hidden import hidden_layers
from gdcore.cli.learning import Choices, learn, wanted
from gdcore.cli.losses import CLASS_LOSSES, NUMBER_LOSSES
from gdcore.cli.networks import Embedded
from gdcore.cli.outputs import check_output, check_page
from gdcore.cli.parts import Part, with_target
from gdcore.cli.reading import Reading
from gdcore.cli.resuming import resumed
from gdcore.cli.setting_up import SetUp
from gdcore.cli.split import split
from gdcore.cli.targets import Chosen
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer
from gdcore.profiling import Profile
from gdcore.solvers import Solver
from gdcore.tabular.cells import Notation
from gdcore.tabular.columns import listed, named
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.meanings import ClassTarget, LabelsTarget
from gdcore.tabular.networks import network_over
from gdcore.tabular.sources import INPUT
from gdcore.tabular.tables import NAMES, Table, read
from gdcore.typing import ScheduleName

__all__ = ["Options", "SetUp", "set_up", "train"]

PLATEAU = "plateau"  # a schedule that goes by losses, not by time
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
    dates: tuple[str, ...] = ()
    indicator: bool = False
    unseen: str = "error"
    min_count: int = 1
    missing_target: str = "error"
    id_column: tuple[str, ...] = ()
    weight_column: str | None = None
    class_weight: str | None = None
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
    validation_file: str | None = None
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
    slices: int | None = None
    dtype: str = "float32"
    metrics: tuple[str, ...] = ()
    metric: str | None = None
    patience: int | None = None
    seeds: int | None = None
    folds: int | None = None
    resume: Path | None = None
    save: Path | None = None
    report: Path | None = None
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
        ranks.alone("--seeds" if options.folds is None else "--folds")
        several.train(options)
        return
    made = set_up(options)
    trainer, chosen, preparation = made.trainer, made.chosen, made.preparation
    before = trainer.epochs
    recorded = (
        nullcontext()
        if options.profile is None
        else profile(events_per_thread=EVENTS, communicator=ranks.communicator())
    )
    try:
        with recorded as prof:
            seconds = _fit(made, options)
    finally:  # what led to an error or to Ctrl-C may be just what is asked for
        if prof is not None:
            recording = prof
            ranks.on_first(lambda: _write_profile(recording, options))

    known = {"training": made.training}
    if len(made.validation):
        known["held out"] = made.validation
    figures = {
        name: report.figures(trainer, part, chosen.target, judges.names(options))
        for name, part in known.items()
    }
    if not all(math.isfinite(each["loss"]) for each in figures.values()):
        # No later step was there to tell.
        fail(diverged(trainer.epochs, trainer.lr))
    if options.save is not None:
        trainer.save(options.save, extra=made.extra())
    if (curves := options.plot) is not None:
        ranks.on_first(lambda: plot.save_curves(curves, trainer.history))
    together = made.batch_size(options) * options.accumulate
    epochs = trainer.epochs - before
    report.tell_result(trainer, figures, len(made.kept), together, epochs, seconds)
    name, judged = list(known.items())[-1]
    judgement = judging.judged(preparation.target, judging.network(trainer), judged)
    judged_text.tell(judgement, name)
    for hint in hints.of(judging.network(trainer), preparation, made.training.x):
        typer.echo(f"hint: {hint}", err=True)
    if (page := options.report) is not None:
        about = {"data": options.data, "rows": f"{len(judged):,}, {name}"}
        ranks.on_first(lambda: judged_page.write(page, judgement, about, figures, trainer))
    for path in (options.save, options.report, options.plot):
        if path is not None:
            report.tell_written(path)


def _write_profile(prof: Profile, options: Options) -> None:
    if options.profile is None:
        return
    part = profile_files.write(prof, options.profile)
    lost = f", without {prof.dropped:,} older events" if prof.dropped else ""
    held = f", {part}" if part else ""
    typer.echo(f"written: {options.profile}{held}{lost}", err=True)


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
    schedule = _schedule(options)
    integer("--accumulate", options.accumulate)
    optional_integer("--slices", options.slices)
    judges.check(options)
    weighing.parsed(options.class_weight)
    ranks.on_first(lambda: _check_outputs(options))

    for data in (options.data, options.validation_file):
        if data == INPUT:
            ranks.alone("-, standard input,")
        if data is not None:
            options.reading.check(data)
    if options.validation_file is not None and options.validation_file == options.data == INPUT:
        raise ValueError("--validation-file must not be - where DATA is, which is read once")
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
        _aside(table, options),
        options.dates,
        options.missing,
        options.indicator,
        options.unseen,
        options.min_count,
        notation,
        embedded.above,
    )
    left_out: list[str] = []
    as_text = named("--categories", options.categories, table.frame.columns)
    table = with_target(
        table, (choices.target,), notation, options.missing_target, left_out, as_text
    )
    choices = choices.of(table)
    target = wanted(table, choices)
    weights = weighing.of_column(table, options.weight_column, notation)
    share = options.validation if options.validation_file is None else 0.0
    kept, held_out = split(len(table), share, options.seed, target.labels)
    _check_batch(rule, options.batch_size, len(kept))
    preparation, chosen, notes = learn(table, choices, target, kept)
    preparation = replace(preparation, dialect=dialect)
    notes = [*left_out, *target.too_small(held_out), *notes]  # ahead of what may be many
    loss, outputs, y = _loss(options.loss, chosen)
    x = preparation.inputs(table, np.dtype(dtype))
    folds = []
    if options.folds is not None:
        cut = (options.folds, options.seed, np.dtype(dtype))
        weighed = (weights, options.class_weight, options.weight_column)
        folds = folded.cut(table, preparation, target, y, *cut, *weighed)
    keep = named("--id-column", options.id_column, table.frame.columns)
    del table  # the text of large files takes more room than all that follows

    net = network_over(preparation, hidden, outputs, embedded.size, dtype=dtype, seed=options.seed)
    whole = Part(x, y, chosen.values, weights)
    validation = whole.rows(held_out)
    if options.validation_file is not None:
        more: list[str] = []
        validation, _, _ = parts.of_file(
            options, options.validation_file, preparation, net, "", more
        )
        notes += [f"{options.validation_file}: {each}" for each in more]
    learnt = whole.rows(kept)
    weighing.check(options.weight_column, for_training=learnt.weights, held_out=validation.weights)
    report.tell_choice(preparation, chosen, len(kept), len(validation), notes, embedded.size)
    trainer = Trainer(
        net,
        loss,
        rule,
        clip=clip,
        average=average,
        schedule=schedule,
        num_threads=options.threads,
        slices=options.slices,
        **ranks.trainer_options(),
    )
    return SetUp(
        trainer,
        preparation,
        chosen,
        learnt,
        validation,
        kept,
        held_out,
        weighing.of_training(options, chosen, whole, kept),
        keep,
        folds,
        hidden,
    )


def _aside(table: Table, options: Options) -> tuple[str, ...]:
    """The columns that are no inputs but stand in predictions, or weigh rows."""
    weight = () if options.weight_column is None else (options.weight_column,)
    found = named("--weight-column", weight, table.frame.columns)
    return (*named("--id-column", options.id_column, table.frame.columns), *found)


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


def _check_outputs(options: Options) -> None:
    if options.save is not None:
        check_output("--save", options.save, options.data)
    if options.report is not None:
        others = () if options.save is None else (options.save,)
        check_page(options.report, options.data, *others)
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


def _schedule(options: Options) -> schedules.Schedule | ScheduleName | None:
    """The schedule of a name over the epochs that the warm-up leaves."""
    warmup, epochs = options.warmup, options.epochs
    if options.schedule == PLATEAU:
        if warmup:
            raise ValueError("--warmup must be 0 for --schedule plateau, which goes by the losses")
        held_out = options.validation > 0 or options.validation_file or options.folds
        return schedules.ReduceOnPlateau(monitor="val_loss" if held_out else "loss")
    choice("--schedule", options.schedule, [*schedules.NAMES, PLATEAU])
    name = choice("--schedule", options.schedule, schedules.NAMES)
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
    if isinstance(target, LabelsTarget):
        choice("--loss", name, ("auto", "bce_with_logits"))
        return Loss.resolve("--loss", "bce_with_logits"), len(target.columns), chosen.y
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
    trainer, judged = made.trainer, len(made.validation) > 0
    start, before = time.perf_counter(), trainer.epochs
    target = made.chosen.target
    stopping = judges.stopping(options, target)
    try:
        with diverging(trainer):
            trainer.fit(
                made.training.x,
                made.training.y,
                sample_weight=made.weights,
                epochs=options.epochs,
                batch_size=made.batch_size(options),
                validation_data=made.validation.data if judged else None,
                metrics=judges.all_of(options, target) if judged else (),
                callbacks=stopping,
                accumulate=options.accumulate,
            )
    except KeyboardInterrupt:
        done = f"stopped after {trainer.epochs - before} of {options.epochs} epochs"
        if options.save is None or trainer.epochs == before:
            what = "nothing" if options.profile is None else "no model"
            fail(f"{done}; {what} is saved", INTERRUPTED)
        trainer.save(options.save, extra=made.extra())
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
        key = f"val_{judges.key(options.metric or 'loss')}"
        typer.echo(
            f"{how} {trainer.epochs - before} of {options.epochs} epochs: the weights are those "
            f"of epoch {each.best_epoch}, with {key} {each.best:.5g}",
            err=True,
        )
    return time.perf_counter() - start

"""``gdcore train --seeds`` and ``--folds``: many networks at once, and one table of how they do."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from gdcore import Ensemble, FitResult, FitResults, Trainer, fit_many
from gdcore._check import integer
from gdcore.cli import INTERRUPTED, folded, judges, report
from gdcore.cli.errors import diverged, fail
from gdcore.cli.setting_up import SetUp
from gdcore.fit_results import spread_of
from gdcore.tabular.meanings import LabelsTarget, NumberTarget

if TYPE_CHECKING:
    from gdcore.cli.training import Options

__all__ = ["train"]


def train(options: Options) -> None:
    """Trains, tells each network's figures with mean and spread, and saves them as one model.

    Raises:
        FloatingPointError: No network could be trained.
        OSError: A file cannot be read or written.
        ValueError: An option or the data are not right.
    """
    from gdcore.cli.training import set_up

    count, parts = _numbers(options)
    # Of folds every row is trained on: each network holds out others.
    made = set_up(options if parts == 0 else replace(options, validation=0.0))
    if parts:
        typer.echo(
            f"folds: {parts}, each held out by {count} of the networks; means and deviations of "
            "columns are of the other rows",
            err=True,
        )
    x, y, weights = made.training.x, made.training.y, made.weights
    rows = None
    if parts:
        x, y, weights, rows = folded.joined(made.folds)
    trainers = [_trainer(made.trainer, seed) for _ in range(parts or 1) for seed in range(count)]
    judged = bool(parts) or len(made.validation) > 0
    stopping = judges.stopping(options, made.preparation.target)
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* networks failed: .*", UserWarning)
            results = fit_many(
                trainers,
                x,
                y,
                epochs=options.epochs,
                batch_size=made.batch_size(options),
                sample_weight=weights,
                validation_data=made.validation.data if judged and not parts else None,
                rows=None if rows is None else [each for each in rows for _ in range(count)],
                metrics=judges.all_of(options, made.preparation.target) if judged else (),
                callbacks=stopping,
                num_threads=options.threads,
                accumulate=options.accumulate,
            )
    except KeyboardInterrupt:
        fail("stopped; nothing is saved", INTERRUPTED)
    seconds = time.perf_counter() - begun
    _tell_failed(results)
    well = [each for each in results if each.error is None]
    ensemble = _ensemble(results, made, count)
    if options.save is not None:
        ensemble.save(options.save, extra=made.extra())
    figures = [_figures(each, made, count, options.metrics) for each in well]
    whole = _of_ensemble(ensemble, made) if not parts and judged else {}
    _tell(well, figures, whole, count if parts else 0, "held out" if judged else "training")
    learnt = [len(made.folds[e.index // count].kept if parts else made.kept) for e in well]
    samples = sum(each.epochs * n for each, n in zip(well, learnt, strict=True))
    report.tell_rows(
        {
            "networks": str(len(well)),
            "parameters": f"{ensemble.num_parameters:,}",
            "time": f"{seconds:.3f} s",
            "samples/s": f"{samples / seconds:,.0f}",
        }
    )
    if options.save is not None:
        typer.echo(f"written: {options.save}, an ensemble of {len(ensemble)} networks", err=True)


def _numbers(options: Options) -> tuple[int, int]:
    """How many seeds, and how many folds, 0 where rows are held out once."""
    count = 1 if options.seeds is None else integer("--seeds", options.seeds)
    parts = 0 if options.folds is None else integer("--folds", options.folds, at_least=2)
    given = "--folds" if parts else "--seeds"
    for option in ("plot", "profile", "report", "resume"):
        if getattr(options, option) is not None:
            raise ValueError(f"--{option} is for one training, got it with {given}")
    if options.patience is not None:
        integer("--patience", options.patience)
    return count, parts


def _trainer(first: Trainer, after: int) -> Trainer:
    """One like the first, whose seed is so many after its own."""
    return Trainer(
        first.network._again(seed=first.network.seed + after),
        first.loss,
        first.optimizer,
        clip=first.clip,
        average=first.average,
        schedule=first.schedule,
    )


def _tell_failed(results: FitResults) -> None:
    if len(results.failed) == len(results):
        trainer = results[0].trainer
        if isinstance(results[0].error, FloatingPointError) and trainer is not None:
            raise FloatingPointError(diverged(trainer.epochs + 1, trainer.lr))
        raise ValueError(str(results[0].error))
    for each in results.failed:
        typer.echo(f"note: network {each.index} failed and is left out: {each.error}", err=True)


def _ensemble(results: FitResults, made: SetUp, count: int) -> Ensemble:
    """The networks as one model, of rows that are prepared in one way."""
    if not made.folds:
        return results.ensemble()
    networks = []
    for each in results:
        if each.error is None and each.trainer is not None:
            net = each.trainer.averaged if each.trainer.has_average else each.trainer.network
            own = made.folds[each.index // count].preparation
            networks.append(folded.like(net, own, made.preparation, made.hidden))
    return Ensemble(networks)


def _figures(result: FitResult, made: SetUp, count: int, wanted: Sequence[str]) -> dict[str, float]:
    """Of a network, on what it has not seen; where all rows are for training, on these."""
    assert result.trainer is not None  # no function was given
    if made.folds:
        fold = made.folds[result.index // count]
        part = fold.whole.rows(fold.held_out)
        return report.figures(result.trainer, part, fold.chosen.target, wanted)
    part = made.validation if len(made.validation) else made.training
    return report.figures(result.trainer, part, made.chosen.target, wanted)


def _of_ensemble(ensemble: Ensemble, made: SetUp) -> dict[str, float]:
    """The figures of all networks together, on the rows that were held out."""
    part, target = made.validation, made.preparation.target
    if isinstance(target, NumberTarget) and part.values is not None:
        outputs = target.restored(ensemble.predict(part.x))
        return {each.key: each(part.values, outputs, part.weights) for each in report.METRICS}
    if isinstance(target, LabelsTarget):
        right = (ensemble.predict_proba(part.x, task="binary") > 0.5) == part.y
        right = right.mean(axis=1)
    else:
        right = ensemble.predict_classes(part.x) == np.asarray(part.y).reshape(-1)
    return {"accuracy": float(np.average(right, weights=part.weights))}


def _tell(
    results: Sequence[FitResult],
    figures: Sequence[Mapping[str, float]],
    whole: Mapping[str, float],
    count: int,
    part: str,
) -> None:
    """A line a network, then mean and deviation, and the networks together."""
    keys = list(figures[0])
    table = Table(title=f"figures, {part}", title_justify="left")
    for name in ["fold"] * bool(count) + ["seed", "epochs", *keys]:
        table.add_column(name, justify="right")
    for each, row in zip(results, figures, strict=True):
        assert each.trainer is not None
        place = [str(each.index // count)] if count else []
        place += [str(each.trainer.network.seed), str(each.epochs)]
        table.add_row(*place, *(report.shown(key, row[key]) for key in keys))
    blank = [""] * (1 + bool(count))
    if len(results) > 1:
        table.add_section()
        spreads = {key: spread_of([row[key] for row in figures]) for key in keys}
        for name in ("mean", "deviation"):
            told = (report.shown(key, getattr(spreads[key], name)) for key in keys)
            table.add_row(name, *blank, *told)
    if whole:
        told = (report.shown(key, whole[key]) if key in whole else "" for key in keys)
        table.add_row("together", *blank, *told)
    Console(markup=False, emoji=False).print(table)

"""``gdcore train --resume``: a model goes on to learn, from the same table or from a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gdcore import Trainer, _resuming
from gdcore.cli import networks, parts, ranks, report, weighing
from gdcore.cli.setting_up import SetUp
from gdcore.cli.split import split
from gdcore.files import read_description
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.meanings import ClassTarget

if TYPE_CHECKING:
    from gdcore.cli.training import Options

__all__ = ["resumed"]


def resumed(options: Options, path: Path) -> SetUp:
    """The trainer of a model, with a table that is prepared as the first one was.

    Rows are held out by the model's seed, so that of the same table they are the same ones.

    Raises:
        OSError: A file cannot be read.
        ValueError: The file is no model of ``gdcore train``, or the table does not fit it.
    """
    given = ranks.trainer_options()
    trainer = _resuming.resumed(Trainer, path, None, None, options.threads, warns=False, **given)
    net = trainer.network
    preparation = Fitted.of_model(read_description(path), net)
    if preparation is None or trainer.loss is None:
        raise ValueError(
            f"--resume must be a model that gdcore train saved, got {path}, which knows no "
            "columns: go on with it in Python, by gdcore.Trainer.load"
        )
    if options.lr is not None:
        trainer.lr = options.lr
    reading = options.reading
    dialect = reading.dialect(preparation.dialect)
    preparation = replace(
        preparation, notation=reading.notation(preparation.notation), dialect=dialect
    )
    notes: list[str] = []
    whole, chosen, table = parts.of_file(
        options, options.data, preparation, net, f"as in {path}", notes
    )
    by_class = isinstance(preparation.target, ClassTarget)
    share = 0.0 if options.validation_file is not None else options.validation
    labels = chosen.y if by_class else None
    kept, held_out = split(len(table), share, trainer.seed, labels)
    validation = whole.rows(held_out)
    if options.validation_file is not None:
        more: list[str] = []
        validation, _, _ = parts.of_file(
            options, options.validation_file, preparation, net, "", more
        )
        notes += [f"{options.validation_file}: {each}" for each in more]
    extra = read_description(path)["extra"]
    keep = tuple(map(str, extra.get("keep") or ()))
    weights = weighing.of_training(options, chosen, whole, kept)
    size = networks.vector_size(net)
    learnt = whole.rows(kept)
    weighing.check(options.weight_column, for_training=learnt.weights, held_out=validation.weights)
    report.tell_choice(preparation, chosen, len(kept), len(validation), notes, size)
    return SetUp(trainer, preparation, chosen, learnt, validation, kept, held_out, weights, keep)

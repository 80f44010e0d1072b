"""The command ``gdcore evaluate``: how good a model is on rows whose targets are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gdcore import Network
from gdcore.cli import judged_page, judged_text, judging, parts, report
from gdcore.cli.outputs import check_page
from gdcore.cli.reading import Reading
from gdcore.files import read_description
from gdcore.tabular import models
from gdcore.tabular.fitted import Fitted

__all__ = ["evaluate"]


def evaluate(
    model: str,
    data: str,
    reading: Reading,
    page: Path | None,
    weight_column: str | None,
    missing_target: str,
    na: Iterable[str],
) -> None:
    """Prints how good the predictions are, and writes a page of it.

    Args:
        model: A model file.
        data: Rows with their targets.
        reading: How to read text; what it does not say is as in training.
        page: Where a page goes.
        weight_column: Says how much each row counts.
        missing_target: What becomes of rows without target.
        na: More texts that mean a missing cell.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The model is damaged, knows no columns, or the data do not fit it.
    """
    if page is not None:
        check_page(page, model, data)
    reading.check(data)
    predictor = models.loaded(model)
    net = predictor if isinstance(predictor, Network) else predictor.networks[0]
    preparation = Fitted.of_model(read_description(model), net)
    if preparation is None:
        raise ValueError(
            f"MODEL must be one that gdcore train saved, got {model}, which knows no columns: "
            "judge it in Python, with gdcore.metrics"
        )
    notation = reading.notation(preparation.notation, na)
    dialect = reading.dialect(preparation.dialect)
    preparation = replace(preparation, notation=notation, dialect=dialect)
    notes: list[str] = []
    how = parts.Judged(missing_target, weight_column)
    part, _, _ = parts.of_file(how, data, preparation, net, "", notes)
    report.tell_notes(notes)
    judgement = judging.judged(preparation.target, predictor, part)
    judged_text.tell(judgement, f"{len(part):,} rows", whole=True)
    if page is not None:
        about = {"model": model, "data": data, "rows": f"{len(part):,}"}
        judged_page.write(page, judgement, about, {})
        report.tell_written(page)

"""What notebooks show, and what a saved notebook has of it."""

from __future__ import annotations

import base64
import math
import re
import warnings
from typing import Any
from xml.etree import ElementTree

import nets
import numpy as np
import pytest

import gdcore as gd
from gdcore import _html
from gdcore.profiling import tables

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.random.default_rng(1).integers(0, 2, 40)


def parsed(page: str) -> ElementTree.Element:
    """HTML that is well-formed XML too, as what is made here is."""
    return ElementTree.fromstring(f"<div>{page}</div>")


def cells(page: str) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in parsed(page).iter("tr")]


def trained(epochs: int, **options: Any) -> gd.Trainer:
    net = gd.Network([gd.Dense(4, "relu", name="<b>&"), gd.Dense(2)], input_size=3)
    trainer = gd.Trainer(net, "cross_entropy", "adam")
    trainer.fit(X, Y, epochs=epochs, progress=False, **options)
    return trainer


# ---- pages ----


def test_a_network_shows_its_summary() -> None:
    net = trained(1).network
    rows = cells(net._repr_html_())
    assert rows == cells(net.summary()._repr_html_())
    lines = [line for line in str(net.summary()).splitlines() if set(line) != {"-"}]
    assert [" ".join(row).split() for row in rows] == [line.split() for line in lines]
    assert repr(net) in "".join(parsed(net._repr_html_()).itertext())


def test_a_history_shows_each_epoch_and_its_losses() -> None:
    history = trained(4, validation_split=0.25).history
    page = history._repr_html_()
    rows = cells(page)
    assert rows[0] == ["epoch", "loss", "val_loss", "val_accuracy"]
    for k, row in enumerate(rows[1:]):
        assert row == [f"{k + 1}", *(f"{column[k]:.6g}" for column in history.values())]
    drawn = parsed(page).find("{*}svg")
    assert drawn is not None
    lines = [
        each.get("d") for each in drawn.iterfind(".//{*}path") if each.get("stroke-width") == "2"
    ]
    points = [line for line in lines if line and line.count("L") == 3]
    assert len(points) == 2
    words = "".join(drawn.itertext())
    assert "val_loss" in words
    assert "epoch" in words
    assert "currentColor" in page  # readable on a dark page too
    assert "#000" not in page.replace("#009E73", "")


def test_a_long_history_shows_its_ends() -> None:
    page = trained(200).history._repr_html_()
    shown = [row[0] for row in cells(page)[1:]]
    assert shown == ["1", "2", "3", "\N{HORIZONTAL ELLIPSIS}", *map(str, range(184, 201))]
    assert len(page) < 20_000


def test_histories_with_gaps_and_none_at_all_are_shown() -> None:
    history = gd.History({"loss": [math.nan, 2.0, math.inf, 1.0, 0.5], "val_loss": [1.0]})
    page = history._repr_html_()
    drawn = parsed(page).find("{*}svg")
    assert drawn is not None
    assert len(list(drawn.iterfind(".//{*}circle"))) == 2  # 2.0 between gaps, and val_loss
    assert not re.search(r"(nan|inf)", ElementTree.tostring(drawn, encoding="unicode"))
    assert cells(gd.History()._repr_html_()) == [["epoch"]]
    assert "svg" not in gd.History({"loss": [math.nan]})._repr_html_()


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [-1e308, 1e308], [1e-320, 2e-320]])
def test_curves_of_any_numbers_stay_in_their_picture(values: list[float]) -> None:
    drawn = ElementTree.fromstring(_html.curves({"loss": values}, "loss"))
    for number in re.findall(
        r"[ML,H]\s*(-?[\d.]+)", ElementTree.tostring(drawn, encoding="unicode")
    ):
        assert 0 <= float(number) <= 460


def test_a_gradient_report_shows_each_parameter() -> None:
    net = nets.network([3, 4, 2], ["relu", "identity"], "float64")
    report = gd.check_gradients(net, "cross_entropy", X[:8], Y[:8])
    page = report._repr_html_()
    rows = cells(page)
    assert [row[0] for row in rows[1:]] == list(report.parameters)
    assert {row[2] for row in rows[1:]} <= {"agrees", "lost in rounding"}
    words = "".join(parsed(page).itertext())
    assert "agree at tolerance" in words
    assert "central differences" in words


def test_a_profile_shows_its_table_and_its_advice() -> None:
    trainer = trained(1)
    with gd.profile() as prof:
        assert prof._repr_html_() is None  # not yet
        trainer.fit(X, Y, epochs=3, progress=False)
    page = prof._repr_html_()
    assert page is not None
    table = prof.table()
    assert cells(page)[0] == list(table[0])
    assert cells(page)[1][0] == table[0]["op"]
    told = ["".join(each.itertext()) for each in parsed(page).iter("li")]
    assert told == [*prof.advice(), repr(prof)]
    assert cells(tables.Table(table * 9).to_html(20))[20][0]
    assert f"and {9 * len(table) - 20} more" in tables.Table(table * 9).to_html(20)
    assert cells(prof.table("layer")._repr_html_())[0] == list(prof.table("layer")[0])
    assert "nothing was recorded" in tables.Table()._repr_html_()


def test_pictures_need_no_path() -> None:
    pytest.importorskip("matplotlib")
    trainer = trained(1)
    with gd.profile() as prof:
        trainer.fit(X, Y, epochs=3, progress=False)
    study = gd.scaling_study(trainer, X, Y, threads=(1,), rounds=1, seconds=0.01)
    for picture in (prof.plot(), prof.plot(steps=(1, 2)), prof.roofline(), study.plot()):
        png, shape = picture._repr_png_()
        assert png == picture.png
        assert png.startswith(b"\x89PNG")
        assert shape["width"] > 500
        assert " at 0x" not in repr(picture)


# ---- a notebook that is run and saved ----

CODE = """
import numpy as np, gdcore as gd
x = np.random.default_rng(0).normal(size=(200, 3)); y = (x.sum(axis=1) > 0).astype(int)
net = gd.Network([gd.Dense(8, "relu"), gd.Dense(2)], input_size=3)
trainer = gd.Trainer(net, "cross_entropy", "adam")
---
history = trainer.fit(x, y, epochs=30, validation_split=0.2)
---
history
---
net
---
with gd.profile() as prof:
    trainer.fit(x, y, epochs=2, progress=False)
prof.plot()
---
prof
---
class Stop(gd.callbacks.Callback):
    def on_epoch_end(self, trainer, epoch, values):
        raise KeyError("mine")
try:
    trainer.fit(x, y, epochs=4, callbacks=[Stop()])
except KeyError:
    pass
"""


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    """Of each cell, as they are in the file."""
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    cells = [nbformat.v4.new_code_cell(part.strip()) for part in CODE.split("---\n")]
    with warnings.catch_warnings():  # of what runs notebooks
        warnings.simplefilter("ignore")
        done = nbclient.NotebookClient(
            nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3"
        ).execute()
    return [cell.outputs for cell in nbformat.reads(nbformat.writes(done), 4).cells]


def test_a_saved_notebook_has_the_bar_at_its_end(outputs: list[Any]) -> None:
    (shown,) = outputs[1]
    assert shown["output_type"] == "display_data"
    assert set(shown["data"]) == {"text/plain", "text/html"}
    text = shown["data"]["text/plain"]
    assert text.startswith("epoch 30/30: 100%")
    assert "val_accuracy=" in text
    bar = parsed(shown["data"]["text/html"]).find("progress")
    assert bar is not None
    assert bar.get("value") == "1.0000"
    assert "epoch 30/30: 100%" in shown["data"]["text/html"]


def test_a_fit_that_fails_leaves_the_bar_where_it_was(outputs: list[Any]) -> None:
    (shown,) = outputs[6]
    assert shown["data"]["text/plain"].startswith("epoch 33/36:  25%")


def test_a_notebook_shows_objects_as_pages(outputs: list[Any]) -> None:
    assert "<svg" in outputs[2][0]["data"]["text/html"]
    assert "<table" in outputs[3][0]["data"]["text/html"]
    assert outputs[3][0]["data"]["text/plain"].startswith("Network(3 -> 8 relu -> 2")
    assert base64.b64decode(outputs[4][0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert "<li>" in outputs[5][0]["data"]["text/html"]

"""The history: a dict of columns that goes to frames, JSON and files, over all fits."""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import models
import nets
import numpy as np
import pytest

import gdcore as gd

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)


def new() -> gd.Trainer:
    return gd.Trainer(nets.network([3, 4, 2], ["tanh", "identity"]), "mse", gd.Adam(lr=0.01))


def fit(trainer: gd.Trainer, **options: Any) -> gd.History:
    return trainer.fit(X, Y, **{"epochs": 2, "progress": False} | options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainer.safetensors"


# ---- as what it is taken ----


def test_a_history_is_a_frame() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    history = fit(new(), validation_data=(X, Y), epochs=3)
    frame = pandas.DataFrame(history)
    assert list(frame.columns) == ["loss", "val_loss"]
    assert frame["val_loss"].tolist() == history["val_loss"]
    assert frame.shape == (3, 2)


def test_a_history_is_a_polars_frame() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    history = fit(new(), validation_data=(X, Y))
    assert polars.DataFrame(history)["loss"].to_list() == history["loss"]


def test_a_history_is_json() -> None:
    history = fit(new(), validation_data=(X, Y))
    assert json.loads(json.dumps(history)) == history
    assert json.loads(json.dumps({"run": history}))["run"] == dict(history)


def test_a_history_is_a_dict_of_its_own_name() -> None:
    history = fit(new())
    assert repr(history) == f"History({dict(history)!r})"
    for twin in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert type(twin) is gd.History
        assert twin == history


# ---- in files ----


def test_the_history_of_a_saved_trainer_is_there(path: Path) -> None:
    trainer = new()
    history = fit(trainer, validation_data=(X, Y), metrics=["mae"])
    trainer.save(path)
    loaded = gd.Trainer.load(path)
    assert loaded.history == history
    assert type(loaded.history) is gd.History
    again = fit(loaded, epochs=1)
    assert loaded.history is again
    assert len(again["loss"]) == 1


def test_the_file_has_all_epochs_however_they_were_cut(path: Path) -> None:
    whole, parts = new(), new()
    fit(whole, epochs=5).copy()
    fit(parts, epochs=2)
    parts.save(path)
    parts = gd.Trainer.load(path)
    fit(parts, epochs=1)
    fit(parts, until_epoch=5, epochs=None)
    fit(parts, until_epoch=3, epochs=None)  # none
    assert models.saved(parts, path) == models.saved(whole, path.with_name("whole"))
    assert gd.Trainer.load(path).history == whole.history


def test_figures_that_some_epochs_have_not_are_nan(path: Path) -> None:
    trainer = new()
    first = fit(trainer, epochs=1)["loss"]
    second = fit(trainer, validation_data=(X, Y))
    third = fit(trainer, epochs=1)["loss"]
    trainer.save(path)
    history = gd.Trainer.load(path).history
    assert history["loss"] == [*first, *second["loss"], *third]
    assert np.array_equal(
        history["val_loss"], [math.nan, *second["val_loss"], math.nan], equal_nan=True
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 5e-324, 0.1 + 0.2, -0.0])
def test_any_float_comes_back(value: float, path: Path) -> None:
    trainer = new()
    fit(trainer)
    trainer.history["loss"][0] = value
    trainer.save(path)
    text = models.unpacked(path)[1]
    json.dumps(text, allow_nan=False)
    assert repr(gd.Trainer.load(path).history["loss"][0]) == repr(value)


def test_within_a_fit_its_finished_epochs_are_saved(path: Path) -> None:
    seen = []

    class Saves(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            trainer.save(path)
            seen.append(gd.Trainer.load(path).history["loss"])

    trainer = new()
    before = fit(trainer, epochs=1)["loss"]
    losses = fit(trainer, callbacks=[Saves()])["loss"]
    assert seen == [before + losses[:1], before + losses]


def test_files_of_before_have_none(path: Path) -> None:
    trainer = new()
    fit(trainer)
    trainer.save(path)
    arrays, description = models.unpacked(path)
    del description["history"]
    models.pack(path, arrays, description)
    loaded = gd.Trainer.load(path)
    assert loaded.history == {}
    late = fit(loaded, epochs=1)["loss"]
    loaded.save(path)
    assert np.array_equal(
        gd.Trainer.load(path).history["loss"], [math.nan, math.nan, *late], equal_nan=True
    )


@pytest.mark.parametrize(
    "history",
    [[], "x", {"loss": 3}, {"loss": ["1"]}, {"loss": [None]}, {"loss": [[1.0]]}, {"loss": [True]},
     {"loss": [1.0], "val_loss": []}, {"loss": ["Infinity"]}],
)  # fmt: skip
def test_a_forged_history_is_told(history: Any, path: Path) -> None:
    trainer = new()
    fit(trainer)
    trainer.save(path)
    arrays, description = models.unpacked(path)
    models.pack(path, arrays, description | {"history": history})
    with pytest.raises(ValueError, match=r"is damaged or was forged: the history"):
        gd.Trainer.load(path)


# ---- scikit-learn's pipelines ----


def pipeline() -> Any:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), new())


def test_a_pipeline_that_says_no_epochs_is_told(capsys: Any) -> None:
    made = pipeline()
    with pytest.warns(UserWarning, match=r"^fit\(x, y\) trains for one epoch: give epochs") as told:
        made.fit(X, Y)
    assert told[0].filename == __file__
    assert made[-1].epochs == 1


def test_a_pipeline_that_says_how_many_epochs_trains_them() -> None:
    made = pipeline()
    made.fit(X, Y, trainer__epochs=3, trainer__progress=False)
    assert made[-1].epochs == 3


def test_a_bare_fit_is_told_before_anything(capsys: Any) -> None:
    trainer = new()
    with pytest.raises(UserWarning, match="give epochs"):  # warnings are errors here
        trainer.fit(X, Y)
    assert (trainer.steps, trainer.epochs, trainer.history) == (0, 0, {})

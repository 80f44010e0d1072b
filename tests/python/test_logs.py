"""Callbacks that tell others of a training, and a history as a frame and as a picture."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nets
import numpy as np
import pytest

import gdcore as gd
from gdcore.callbacks import Callback, Log, MLflow

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)


def new() -> gd.Trainer:
    return gd.Trainer(nets.network([3, 4, 2], ["tanh", "identity"]), "mse", gd.Adam(lr=0.01))


def fit(trainer: gd.Trainer, *callbacks: Callback, **options: Any) -> gd.History:
    given = {"epochs": 3, "progress": False, "validation_data": (X, Y)} | options
    return trainer.fit(X, Y, callbacks=callbacks, **given)


class Breaks(Callback):
    """Ends a fit after its second epoch."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        if epoch == 2:
            raise self.error


# ---- logging ----


def test_each_epoch_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    history = fit(new(), Log())
    assert [record.name for record in caplog.records] == ["gdcore"] * 3
    assert [record.epoch for record in caplog.records] == [1, 2, 3]
    for i, record in enumerate(caplog.records):
        figures = record.figures
        assert {key: figures[key] for key in history} == {key: history[key][i] for key in history}
        assert record.getMessage() == (
            f"epoch {i + 1}: loss {history['loss'][i]:.4g}, val_loss {history['val_loss'][i]:.4g}, "
            f"lr 0.01, {figures['seconds']:.2f} s"
        )


def test_lines_of_every_so_many_epochs_and_the_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    own = logging.getLogger("own.trainings")
    fit(new(), Log(own, level=logging.DEBUG, every=3), epochs=7)
    assert [(record.name, record.epoch) for record in caplog.records] == [
        ("own.trainings", epoch) for epoch in (3, 6, 7)
    ]
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


def test_nothing_is_written_where_nobody_asks(capsys: pytest.CaptureFixture[str]) -> None:
    fit(new(), Log())
    assert capsys.readouterr() == ("", "")


def test_what_ends_a_fit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="enough"):
        fit(new(), Log(every=10), Breaks(ValueError("enough")))
    assert [record.getMessage()[:8] for record in caplog.records] == ["fit ende"]
    assert caplog.records[0].getMessage() == "fit ended with ValueError: enough"
    caplog.clear()
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError, match="enough"):
        fit(new(), Log(every=10), Breaks(ValueError("enough")))
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]


def test_bad_arguments_of_a_log_are_told() -> None:
    with pytest.raises(TypeError, match="logger must be a logger or its name, got int"):
        Log(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every must be at least 1"):
        Log(every=0)
    with pytest.raises(TypeError, match="level"):
        Log(level="INFO")  # type: ignore[arg-type]
    assert repr(Log("own", every=2)) == "Log('own', every=2)"


# ---- MLflow ----


class Tracked:
    """MLflow's functions that the callback calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.run: Any = None

    def active_run(self) -> Any:
        return self.run

    def start_run(self, run_name: str | None = None) -> None:
        assert self.run is None
        self.run = SimpleNamespace(name=run_name)
        self.calls.append(("start", run_name))

    def end_run(self, status: str) -> None:
        self.run = None
        self.calls.append(("end", status))

    def log_params(self, params: dict[str, Any]) -> None:
        self.calls.append(("params", params))

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.calls.append(("metrics", step, metrics))

    def log_artifact(self, path: str) -> None:
        self.calls.append(("artifact", Path(path).name, gd.Trainer.load(path).epochs))


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> Tracked:
    fake = Tracked()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def test_a_run_of_its_own_is_begun_and_ended(tracked: Tracked) -> None:
    history = fit(new(), MLflow("first", model=True))
    kinds = [call[0] for call in tracked.calls]
    assert kinds == ["start", "params", *["metrics"] * 3, "artifact", "end"]
    assert tracked.calls[0] == ("start", "first")
    params = tracked.calls[1][1]
    assert params["optimizer"] == "Adam"
    assert params["optimizer.lr"] == "0.01"
    assert params["num_parameters"] == 26
    assert params["network"].startswith("Network(3 -> 4 tanh -> 2")
    for i, (_, step, metrics) in enumerate(tracked.calls[2:5]):
        assert step == i + 1
        assert set(metrics) == {"loss", "val_loss", "lr", "seconds"}
        assert metrics["val_loss"] == history["val_loss"][i]
    assert tracked.calls[5:] == [("artifact", "trainer.safetensors", 3), ("end", "FINISHED")]


def test_a_run_that_is_active_stays_so(tracked: Tracked) -> None:
    tracked.start_run("outer")
    fit(new(), MLflow())
    assert tracked.run.name == "outer"
    assert "end" not in [call[0] for call in tracked.calls]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("enough"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_breaks_ends_as_such(tracked: Tracked, error: Any, status: str) -> None:
    with pytest.raises(type(error)):
        fit(new(), MLflow(), Breaks(error))
    assert tracked.calls[-1] == ("end", status)


def test_mlflow_itself_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the light package has no database
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    run = mlflow.start_run()
    history = fit(new(), MLflow())
    mlflow.end_run()
    found = mlflow.tracking.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(each.step, each.value) for each in found] == list(enumerate(history["loss"], 1))


def test_bad_arguments_of_mlflow_are_told(tracked: Tracked) -> None:
    with pytest.raises(TypeError, match="run_name must be a string or None, got int"):
        MLflow(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model"):
        MLflow(model=1)  # type: ignore[arg-type]
    assert repr(MLflow("a", model=True)) == "MLflow('a', model=True)"


# ---- the history ----


def test_a_history_is_a_frame_by_epochs() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    history = fit(new())
    frame = history.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["loss", "val_loss"]
    assert frame.index.name == "epoch"
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["val_loss"].tolist() == history["val_loss"]
    assert len(gd.History().to_pandas()) == 0


def test_a_history_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    history = fit(new(), metrics=["r2"])
    assert "val_r2" in history
    history.plot(tmp_path / "all.svg")
    drawn = (tmp_path / "all.svg").read_text()
    for words in ("val_loss", "val_r2", "epoch"):
        assert f">{words}<" in drawn
    history.plot(tmp_path / "some.svg", keys=["loss"])
    assert "val_loss" not in (tmp_path / "some.svg").read_text()
    picture = history.plot()
    assert picture.png.startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    history = fit(new())
    with pytest.raises(ValueError, match=r"keys\[0\] must be one of loss, val_loss, got 'val_los'"):
        history.plot(keys=["val_los"])
    with pytest.raises(TypeError, match="keys"):
        history.plot(keys="loss")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="keys must name at least one figure"):
        history.plot(keys=[])
    with pytest.raises(ValueError, match=r"path must end in one of \.pdf, \.png, \.svg"):
        history.plot(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="the history has no epoch to draw"):
        gd.History().plot()


def test_figures_that_are_missing_leave_gaps(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    history = gd.History({"loss": [1.0] * 40, "val_loss": [np.nan, 2.0]})
    assert history.plot().png

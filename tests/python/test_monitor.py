"""What callbacks watch: which figures there are, their direction, and what a file has of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest

import gdcore as gd
from gdcore.callbacks import Callback, Checkpoint, EarlyStopping
from gdcore.metrics import Metric

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
LABELS = nets.targets("cross_entropy", 20, 2)
VALIDATION = (nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1))


def own(name: str, direction: bool | None, monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric of a class of its own, which the family forgets after the test."""
    monkeypatch.setattr(Metric, "members", dict(Metric.members))
    told = {} if direction is None else {"higher_is_better": direction}
    value = {"name": name, "value": lambda self, y, output, weights: 1.0}
    metric: Metric = type("Own", (Metric,), value | told)()
    return metric


def named(name: str, values: Any = 1.0, higher_is_better: bool | None = None) -> Any:
    """A metric function with these values, one a call, and then the last."""
    row = iter([values] if isinstance(values, float) else values)
    last: list[float] = []

    def metric(y: Any, output: Any) -> float:
        last[:] = [next(row, *last)]
        return last[0]

    metric.__name__ = name
    if higher_is_better is not None:
        metric.higher_is_better = higher_is_better  # type: ignore[attr-defined]
    return metric


def new(loss: str = "mse", seed: int = 0) -> gd.Trainer:
    net = nets.network([3, 4, 2], ["tanh", "identity"], seed=seed)
    return gd.Trainer(net, loss, gd.Adam(lr=0.01))


def fit(trainer: gd.Trainer, *callbacks: Callback, **options: Any) -> gd.History:
    arguments = {"epochs": 2, "validation_data": VALIDATION, "progress": False} | options
    return trainer.fit(X, Y, callbacks=callbacks, **arguments)


class Opens(Callback):
    """Has done something once fit begins."""

    began = False

    def on_fit_begin(self, trainer: gd.Trainer) -> None:
        self.began = True


MAKERS: list[Callable[..., Callback]] = [
    EarlyStopping,
    lambda key, **o: Checkpoint("f", monitor=key, **o),
]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)


# ---- direction ----


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "metric",
    [named("f1"), named("accuracy_gap"), named("top_speed"), named("aucs"), named("r2_loss"),
     named("loss_of_mine"), named("rmsle"), None],
    ids=lambda metric: getattr(metric, "__name__", "own"),
)  # fmt: skip
def test_a_direction_that_nobody_knows_is_asked_for(
    make: Any, metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, opens = new(), Opens()
    metric = own("own", None, monkeypatch) if metric is None else metric
    key = f"val_{getattr(metric, '__name__', 'own')}"
    with pytest.raises(ValueError, match=rf"^mode must be 'min' or 'max' to monitor '{key}', got"):
        fit(trainer, opens, make(key), metrics=[metric])
    assert (trainer.steps, trainer.epochs, opens.began) == (0, 0, False)
    for mode in ("min", "max"):
        fit(trainer, make(key, mode=mode), metrics=[metric])


@pytest.mark.parametrize(
    ("metric", "key", "grows"),
    [
        (named("f1", higher_is_better=True), "val_f1", True),
        (named("gap", higher_is_better=False), "val_gap", False),
        (named("auc", higher_is_better=False), "val_auc", False),
        (named("rmse"), "val_rmse", False),
        (named("r2"), "val_r2", True),
        ("mae", "val_mae", False),
        ("r2", "val_r2", True),
    ],
)
def test_metrics_tell_their_direction(metric: Any, key: str, grows: bool) -> None:
    stopping = EarlyStopping(key)
    fit(new(), stopping, metrics=[metric])
    assert stopping._watch._sign == (-1.0 if grows else 1.0)


@pytest.mark.parametrize("grows", [True, False])
def test_own_metrics_tell_their_direction(grows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = EarlyStopping("val_own")
    fit(new(), stopping, metrics=[own("own", grows, monkeypatch)])
    assert stopping._watch._sign == (-1.0 if grows else 1.0)


@pytest.mark.parametrize("name", sorted(Metric.members))
def test_every_metric_there_is_tells_its_direction(name: str) -> None:
    assert Metric.members[name].higher_is_better in (True, False)


@pytest.mark.parametrize("key", ["val_accuracy", "val_loss", "loss"])
def test_the_figures_of_the_loss_have_a_direction(key: str) -> None:
    stopping = EarlyStopping(key)
    new("cross_entropy").fit(
        X, LABELS, validation_data=(X, LABELS), callbacks=[stopping], progress=False
    )
    assert stopping._watch._sign == (-1.0 if key == "val_accuracy" else 1.0)


# ---- a monitor that is wrong ----


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("key", "options", "known"),
    [
        ("val_acc", {}, "'loss', 'val_loss'"),
        ("val_accuracy", {}, "'loss', 'val_loss'"),
        ("val_loss", {"validation_data": None}, "'loss'"),
        ("val_rmse", {"metrics": ["mae"]}, "'loss', 'val_loss', 'val_mae'"),
        ("val_loss", {"validation_data": None, "epochs": None, "until_epoch": 1}, "'loss'"),
        ("lr", {}, "'loss', 'val_loss'"),
    ],
)
def test_a_wrong_monitor_is_refused_before_anything(
    make: Any, key: str, options: dict[str, Any], known: str, tmp_path: Path
) -> None:
    trainer, opens = new(), Opens()
    history = fit(trainer)
    before = trainer.steps
    with pytest.raises(ValueError, match=rf"^monitor must be one of {known}, got '{key}'$"):
        fit(trainer, opens, make(key), **options)
    assert (trainer.steps, trainer.epochs, opens.began) == (before, 2, False)
    assert trainer.history is history
    assert list(tmp_path.iterdir()) == []


# ---- a checkpoint of a run that goes on ----


def checkpointed(trainer: gd.Trainer, figures: list[float], mode: str = "min") -> None:
    """An epoch for each figure."""
    checkpoint = Checkpoint("best", monitor="val_score", mode=mode)
    metric = named("score", [figures[0], *figures])  # tried once before the first epoch
    fit(trainer, checkpoint, epochs=len(figures), metrics=[metric])


def in_file() -> tuple[int, float]:
    loaded = gd.Trainer.load("best")
    return loaded.epochs, loaded.history["val_score"][-1]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_better_file_of_the_same_run_stays(mode: str, loaded: bool) -> None:
    sign = 1.0 if mode == "min" else -1.0
    trainer = new()
    checkpointed(trainer, [sign * 2, sign * 0.66, sign * 3], mode)
    assert in_file() == (2, sign * 0.66)
    if loaded:
        trainer = gd.Trainer.load("best")
    checkpointed(trainer, [sign * 74.5, sign * 0.7], mode)
    assert in_file() == (2, sign * 0.66)
    checkpointed(trainer, [sign * 0.7, sign * 0.5], mode)
    assert in_file() == (trainer.epochs, sign * 0.5)


def test_a_file_of_another_training_does_not_count() -> None:
    checkpointed(new(), [0.1])
    checkpointed(new(), [0.5])  # from its first epoch on
    assert in_file() == (1, 0.5)
    other = new(seed=3)
    fit(other)
    checkpointed(other, [0.9])
    assert in_file() == (3, 0.9)


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_what_is_no_file_of_a_trainer_is_replaced(content: bytes | None) -> None:
    trainer = new()
    fit(trainer)
    if content is None:
        trainer.network.save("best")
    else:
        Path("best").write_bytes(content)
    checkpointed(trainer, [5.0])
    assert in_file() == (3, 5.0)


def test_a_file_without_that_figure_does_not_count() -> None:
    trainer = new()
    fit(trainer)
    trainer.save("best")
    checkpointed(trainer, [5.0])
    assert in_file() == (3, 5.0)
    checkpointed(trainer, [np.nan, 7.0])
    assert in_file() == (3, 5.0)

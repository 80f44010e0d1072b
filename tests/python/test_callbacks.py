"""Callbacks: when they are called and with what, how they stop, and those that there are."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from models import assert_same_trainer
from support import assert_same_state, run_json

import gdcore as gd
from gdcore.callbacks import Callback, Checkpoint, EarlyStopping

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
VALIDATION = (nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1))
HOOKS = ("on_fit_begin", "on_batch_end", "on_epoch_end", "on_fit_end")


def new(**options: Any) -> gd.Trainer:
    net = nets.network([3, 4, 2], ["tanh", "identity"])
    return gd.Trainer(net, "mse", gd.Adam(lr=0.01), **options)


def fit(trainer: gd.Trainer, *callbacks: Callback, **options: Any) -> gd.History:
    """Three batches an epoch."""
    arguments = {"epochs": 2, "batch_size": 7, "progress": False} | options
    return trainer.fit(X, Y, callbacks=callbacks, **arguments)


class Recorder(Callback):
    """Writes down each call, and then does what `act` tells for that hook."""

    def __init__(self, calls: list[Any] | None = None, name: str = "", **act: Callable[..., Any]):
        self.calls: list[Any] = [] if calls is None else calls
        self.name, self.act = name, act

    def note(self, hook: str, trainer: gd.Trainer, *arguments: Any) -> None:
        self.calls.append((self.name, hook, trainer.steps, *arguments))
        self.act.get(hook, lambda *_: None)(trainer)

    def on_fit_begin(self, trainer: gd.Trainer) -> None:
        self.note("on_fit_begin", trainer)

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        self.note("on_batch_end", trainer, loss)

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Mapping[str, float]) -> None:
        self.note("on_epoch_end", trainer, epoch, dict(values))

    def on_fit_end(self, trainer: gd.Trainer) -> None:
        self.note("on_fit_end", trainer)

    def hooks(self) -> list[str]:
        return [call[1] for call in self.calls]


class Snapshots(Callback):
    """Keeps the parameters after each epoch, by its number."""

    def __init__(self) -> None:
        self.states: dict[int, Any] = {}

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Mapping[str, float]) -> None:
        self.states[epoch] = trainer.network.state_dict()


# ---- when, and with what ----


@pytest.mark.parametrize("progress", [False, True])
def test_the_order_of_calls_and_their_arguments(progress: bool, capsys: Any) -> None:
    trainer, calls = new(), []
    one, two = Recorder(calls, "one"), Recorder(calls, "two")
    for start in (0, 2):
        calls.clear()
        history = fit(trainer, one, two, validation_data=VALIDATION, progress=progress)
        expected = []
        for hook, epoch in [("on_fit_begin", 0), ("epoch", 1), ("epoch", 2), ("on_fit_end", 2)]:
            steps = (start + epoch) * 3
            if hook != "epoch":
                expected += [(name, hook, steps) for name in ("one", "two")]
                continue
            for batch in (2, 1, 0):
                expected += [(name, "on_batch_end", steps - batch) for name in ("one", "two")]
            values = {key: history[key][epoch - 1] for key in ("loss", "val_loss")}
            expected += [
                (name, "on_epoch_end", steps, start + epoch, values) for name in ("one", "two")
            ]
        without_losses = [call[:3] if call[1] == "on_batch_end" else call for call in calls]
        assert without_losses == expected
        assert history is trainer.history


def test_each_batch_tells_the_loss_before_its_update() -> None:
    recorder, twin = Recorder(), new()
    fit(new(), recorder, shuffle=False, epochs=1)
    told = [call[3] for call in recorder.calls if call[1] == "on_batch_end"]
    assert told == [twin.step(X[at : at + 7], Y[at : at + 7]) for at in (0, 7, 14)]
    assert all(type(loss) is float for loss in told)


def test_a_batch_without_weight_is_not_told() -> None:
    recorder = Recorder()
    weight = np.repeat([1.0, 0.0, 1.0], [7, 7, 6])
    fit(new(), recorder, shuffle=False, sample_weight=weight)
    assert recorder.hooks().count("on_batch_end") == 4


def test_watching_changes_no_bit() -> None:
    trainer, twin = new(), new()
    watched = fit(trainer, Recorder(), validation_data=VALIDATION)
    assert dict(watched) == dict(fit(twin, validation_data=VALIDATION))
    assert_same_trainer(trainer, twin)


def test_only_who_overrides_on_batch_end_watches_batches() -> None:
    class Nothing(Callback):
        pass

    class Own(Callback):
        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            pass

    class Heir(Own):
        pass

    class Static(Callback):
        on_batch_end = staticmethod(lambda trainer, loss: None)

    assigned = Nothing()
    assigned.on_batch_end = lambda trainer, loss: None
    quiet: list[Callback] = [Callback(), Nothing(), EarlyStopping(), Checkpoint("x")]
    assert [each.watches_batches() for each in quiet] == [False] * 4
    assert [each.watches_batches() for each in (Own(), Heir(), Static(), assigned)] == [True] * 4
    fit(new(), assigned, Static(), Heir())

    class Deaf(Recorder):
        def watches_batches(self) -> bool:
            return False

    deaf = Deaf()
    fit(new(), deaf)
    assert deaf.hooks() == ["on_fit_begin", "on_epoch_end", "on_epoch_end", "on_fit_end"]


def test_where_there_is_nothing_left_to_do_fit_begins_and_ends() -> None:
    trainer = new()
    fit(trainer)
    recorder = Recorder()
    history = fit(trainer, recorder, epochs=None, until_epoch=2)
    assert recorder.hooks() == ["on_fit_begin", "on_fit_end"]
    assert len(history) == 0


# ---- stop ----


def test_stop_at_the_end_of_an_epoch() -> None:
    trainer = new()
    calls: list[Any] = []
    stopping = Recorder(calls, on_epoch_end=lambda t: t.stop() if t.epochs == 2 else None)
    history = fit(trainer, stopping, Recorder(calls, "next"), epochs=9)
    assert (trainer.epochs, trainer.steps, len(history["loss"])) == (2, 6, 2)
    assert trainer.stopped
    # Who comes after in the list still hears of this epoch, and all of the end.
    assert [call[:2] for call in calls[-3:]] == [
        ("next", "on_epoch_end"), ("", "on_fit_end"), ("next", "on_fit_end"),
    ]  # fmt: skip
    fit(trainer, epochs=2)
    assert not trainer.stopped
    twin = new()
    fit(twin, epochs=4)
    assert_same_trainer(trainer, twin)


@pytest.mark.parametrize("at", range(1, 7))
def test_stop_at_the_end_of_a_batch(at: int) -> None:
    trainer = new()
    stopping = Recorder(on_batch_end=lambda t: t.stop() if t.steps == at else None)
    following = Recorder()
    history = fit(trainer, stopping, following, epochs=5)
    done = at // 3  # an epoch that was stopped at its last batch is finished
    assert (trainer.steps, trainer.epochs) == (at, done)
    assert len(history.get("loss", [])) == done
    assert following.hooks().count("on_batch_end") == at
    assert following.hooks().count("on_epoch_end") == done
    assert following.hooks()[-1] == "on_fit_end"
    fit(trainer, epochs=1)  # begins the epoch anew
    assert (trainer.steps, trainer.epochs) == (at + 3, done + 1)


def test_stop_before_the_first_epoch() -> None:
    trainer, recorder = new(), Recorder(on_fit_begin=gd.Trainer.stop)
    history = fit(trainer, recorder)
    assert recorder.hooks() == ["on_fit_begin", "on_fit_end"]
    assert (trainer.steps, len(history)) == (0, 0)


def test_stop_outside_fit_is_forgotten() -> None:
    trainer = new()
    trainer.stop()
    fit(trainer)
    assert trainer.epochs == 2


# ---- exceptions ----


class OwnError(Exception):
    pass


def raising(error: BaseException, at_step: int) -> Callable[[gd.Trainer], None]:
    def where_it_came_from(trainer: gd.Trainer) -> None:
        if trainer.steps == at_step:
            raise error

    return where_it_came_from


@pytest.mark.parametrize("error", [OwnError("mine"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize(
    ("hook", "step", "epochs"),
    [("on_fit_begin", 0, 0), ("on_batch_end", 4, 1), ("on_epoch_end", 6, 2), ("on_fit_end", 9, 3)],
)
@pytest.mark.parametrize("progress", [False, True])
def test_an_exception_comes_out_and_leaves_a_trainer_to_go_on_with(
    hook: str, step: int, epochs: int, error: BaseException, progress: bool, capsys: Any
) -> None:
    trainer = new()
    recorder, following = Recorder(**{hook: raising(error, step)}), Recorder()
    with pytest.raises(type(error)) as caught:
        fit(trainer, recorder, following, epochs=3, progress=progress)
    assert caught.value is error
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames[-1] == "where_it_came_from"
    assert {hook, "run", "fit"} <= set(frames)
    error.__traceback__ = None
    assert "on_fit_end" not in following.hooks()
    assert (trainer.steps, trainer.epochs) == (step, epochs)
    assert len(trainer.history.get("loss", [])) == epochs
    twin = new()
    if hook == "on_batch_end":  # the epoch begins anew, after one more update
        fit(twin, Recorder(on_batch_end=lambda t: t.stop() if t.steps == step else None), epochs=3)
    elif epochs:
        fit(twin, epochs=epochs)
    for each in (trainer, twin):
        fit(each, epochs=None, until_epoch=4)
    assert_same_trainer(trainer, twin)


def test_where_fit_diverges_it_does_not_end() -> None:
    def far(trainer: gd.Trainer) -> None:
        if trainer.epochs == 2:
            trainer.lr = 1e200

    trainer, recorder = new(), Recorder(on_epoch_end=far)
    with pytest.raises(FloatingPointError):
        fit(trainer, recorder, epochs=9)
    assert "on_fit_end" not in recorder.hooks()
    assert len(trainer.history["loss"]) == trainer.epochs


# ---- what a callback may do ----


def test_a_callback_may_set_the_rate() -> None:
    """After each batch, by hand, as a schedule of the same numbers."""
    slower = Recorder(
        on_batch_end=lambda trainer: setattr(trainer, "lr", 0.01 * 0.5**trainer.steps)
    )
    trainer = new()
    fit(trainer, slower)
    twin = new(schedule=gd.schedules.Exponential(0.5, per="step"))
    fit(twin)
    assert trainer.lr == twin.lr == 0.01 * 0.5**6
    assert_same_state(trainer.network.state_dict(), twin.network.state_dict())


def test_a_callback_may_use_the_trainer_and_its_network() -> None:
    """In a process of its own: a deadlock would hang where no timeout of ours reaches."""
    code = """
import json, tempfile
import models, test_callbacks as tests
import gdcore as gd
from gdcore.callbacks import Callback

class Busy(Callback):
    def everything(self, trainer, *_):
        x, y = tests.VALIDATION
        trainer.evaluate(x, y, metrics=["mae"])
        trainer.network.predict(tests.X)
        trainer.network.forward(x, training=True)
        trainer.network.backward(y)
        trainer.network.gradients()
        trainer.network.state_dict()
        trainer.operations(5)
        with tempfile.NamedTemporaryFile() as file:
            trainer.save(file.name)
            loaded = gd.Trainer.load(file.name)
            models.assert_same_trainer(loaded, trainer)
    on_fit_begin = on_batch_end = on_epoch_end = on_fit_end = everything

for threads in (1, 2):
    trainer, twin = tests.new(num_threads=threads), tests.new()
    busy = tests.fit(trainer, Busy(), validation_data=tests.VALIDATION)
    assert dict(busy) == dict(tests.fit(twin, validation_data=tests.VALIDATION))
    models.assert_same_trainer(trainer, twin)
print(json.dumps("done"))
"""
    assert run_json(code) == "done"


# ---- EarlyStopping ----


def scripted(figures: list[float], trainer: gd.Trainer, name: str) -> Callable[..., float]:
    """A metric that has these figures, one an epoch from here on; before them, the first."""
    start = trainer.epochs + 1

    def metric(y: Any, output: Any) -> float:
        return figures[max(trainer.epochs - start, 0)]

    metric.__name__ = name
    return metric


def stopped_by(
    stopping: Callback, figures: list[float], trainer: gd.Trainer, name: str = "score"
) -> Snapshots:
    """Trains while there are figures, or until it is stopped."""
    snapshots = Snapshots()
    fit(
        trainer, snapshots, stopping,
        epochs=len(figures), batch_size=None, validation_data=VALIDATION,
        metrics=[scripted(figures, trainer, name)],
    )  # fmt: skip
    return snapshots


def by_the_book(
    figures: list[float], sign: int, patience: int, min_delta: float
) -> tuple[int, int]:
    """The last epoch and the best one, from 1."""
    best, best_epoch, waited = math.nan, 0, 0
    for epoch, figure in enumerate(figures, 1):
        better = sign * figure > sign * best + min_delta or math.isnan(best)
        if better and not math.isnan(figure):
            best, best_epoch, waited = figure, epoch, 0
            continue
        waited += 1
        if waited == patience:
            return epoch, best_epoch
    return len(figures), best_epoch


@given(
    figures=st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, math.nan]), min_size=1),
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0, 0.5, 1.0]),
    restore=st.booleans(),
)
@example([math.nan] * 5, "min", 2, 0, True)
@example([3.0, 2.0, 1.0], "min", 1, 1.0, True)
def test_early_stopping_by_the_book(
    figures: list[float], mode: str, patience: int, min_delta: float, restore: bool
) -> None:
    stopping = EarlyStopping(
        "val_score", patience=patience, min_delta=min_delta, mode=mode, restore_best=restore
    )
    trainer = new()
    states = stopped_by(stopping, figures, trainer).states
    last, best = by_the_book(figures, 1 if mode == "max" else -1, patience, min_delta)
    assert trainer.epochs == len(trainer.history["val_score"]) == last
    assert stopping.best_epoch == best
    assert math.isnan(stopping.best) if best == 0 else stopping.best == figures[best - 1]
    assert_same_state(trainer.network.state_dict(), states[best if restore and best else last])


@pytest.mark.parametrize(
    ("name", "grows"),
    [("accuracy", True), ("auc", True), ("r2", True), ("top3", True), ("mae", False),
     ("rmse", False)],
)  # fmt: skip
def test_mode_auto(name: str, grows: bool) -> None:
    stopping = EarlyStopping(f"val_{name}", patience=9)
    stopped_by(stopping, [1.0, 3.0, 2.0, 0.5], new(), name)
    assert (stopping.best, stopping.best_epoch) == ((3.0, 2) if grows else (0.5, 4))


def test_a_continued_fit_is_judged_by_itself() -> None:
    stopping, trainer = EarlyStopping("val_score", patience=2, mode="min"), new()
    assert math.isnan(stopping.best)
    assert stopping.best_epoch == 0
    stopped_by(stopping, [1.0, 2.0, 3.0, 4.0], trainer)
    assert (trainer.epochs, stopping.best, stopping.best_epoch) == (3, 1.0, 1)
    states = stopped_by(stopping, [9.0, 8.0, 8.5, 8.1, 0.0], trainer).states
    assert (trainer.epochs, stopping.best, stopping.best_epoch) == (7, 8.0, 5)
    assert_same_state(trainer.network.state_dict(), states[5])


def test_the_best_comes_back_where_another_stops_within_an_epoch() -> None:
    """In epoch 3, while epoch 2 was the best: it is the last counted, but there were updates."""
    stopping, snapshots, trainer = EarlyStopping("loss"), Snapshots(), new()
    other = Recorder(on_batch_end=lambda t: t.stop() if t.steps == 7 else None)
    fit(trainer, snapshots, stopping, other, epochs=9)
    assert (trainer.steps, trainer.epochs, stopping.best_epoch) == (7, 2, 2)
    assert_same_state(trainer.network.state_dict(), snapshots.states[2])


def test_two_stop_independently() -> None:
    first, second = EarlyStopping("loss", patience=3), EarlyStopping("val_loss", patience=1)
    trainer = new()
    history = fit(trainer, first, second, epochs=300, validation_data=VALIDATION)
    assert second.best == min(history["val_loss"])
    assert first.best == min(history["loss"])


@pytest.mark.parametrize("make", [EarlyStopping, lambda: Checkpoint("never", monitor="val_loss")])
def test_a_figure_that_the_history_has_not(make: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = new()
    with pytest.raises(ValueError, match=r"^monitor must be one of 'loss', got 'val_loss'$"):
        fit(trainer, make())
    assert (trainer.epochs, trainer.steps) == (0, 0)
    assert list(tmp_path.iterdir()) == []


# ---- Checkpoint ----


def kept(folder: Path) -> dict[str, gd.Trainer]:
    return {path.name: gd.Trainer.load(path) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", [str, Path])
def test_a_checkpoint_is_the_trainer_after_that_epoch(kind: Any, tmp_path: Path) -> None:
    fit(new(), Checkpoint(kind(tmp_path / "run-{epoch:03d}")), epochs=3)
    found = kept(tmp_path)
    assert list(found) == ["run-001", "run-002", "run-003"]
    for epoch, trainer in enumerate(found.values(), 1):
        twin = new()
        fit(twin, epochs=epoch)
        assert_same_trainer(trainer, twin)


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (9, [])])
def test_a_checkpoint_every_so_many_epochs(every: int, epochs: list[int], tmp_path: Path) -> None:
    fit(new(), Checkpoint(tmp_path / "{epoch}", every=every), epochs=5)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == epochs


def test_a_checkpoint_without_epoch_keeps_the_last(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run {{}}")
    trainer = new()
    for epochs in (2, 5):
        fit(trainer, checkpoint, epochs=None, until_epoch=epochs)
        (found,) = kept(tmp_path).items()
        assert found[0] == "run {}"
        assert_same_trainer(found[1], trainer)


@pytest.mark.parametrize(
    ("mode", "every", "epochs"),
    [("min", 1, [1, 3]), ("max", 1, [1, 2, 5]), ("auto", 1, [1, 3]), ("min", 2, [2, 4])],
)
def test_a_checkpoint_of_the_best(mode: str, every: int, epochs: list[int], tmp_path: Path) -> None:
    figures, checkpoint = (
        [2.0, 3.0, 1.0, 1.0, 4.0, math.nan, 2.0],
        Checkpoint(tmp_path / "{epoch}", monitor="val_rmse", mode=mode, every=every),
    )
    trainer = new()
    stopped_by(checkpoint, figures, trainer, "rmse")
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == epochs
    stopped_by(checkpoint, [99.0] * every, trainer, "rmse")  # the first of another fit is its best
    assert (tmp_path / str(trainer.epochs - trainer.epochs % every)).exists()


def test_a_checkpoint_that_cannot_be_written_ends_fit(tmp_path: Path) -> None:
    trainer = new()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fit(trainer, Checkpoint(tmp_path / "nowhere" / "run"), epochs=5)
    assert trainer.epochs == len(trainer.history["loss"]) == 1
    fit(trainer)


# ---- arguments ----


@pytest.mark.parametrize(
    "path", ["{", "{}", "{0}", "{x}", "{epoch.x}", "{epoch[0]}", "{epoch:z}", "{epoch!z}"]
)
def test_fields_that_a_checkpoint_has_not(path: str) -> None:
    with pytest.raises(ValueError, match=r"^path may hold \{epoch\} and no other field, got "):
        Checkpoint(path)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"monitor": 3}, TypeError, "monitor"),
        ({"monitor": None}, TypeError, "monitor"),
        ({"patience": 0}, ValueError, "patience"),
        ({"patience": 2.0}, TypeError, "patience"),
        ({"min_delta": -0.1}, ValueError, "min_delta"),
        ({"min_delta": math.nan}, ValueError, "min_delta"),
        ({"min_delta": "1"}, TypeError, "min_delta"),
        ({"mode": "maximum"}, ValueError, "mode"),
        ({"mode": None}, TypeError, "mode"),
        ({"restore_best": 1}, TypeError, "restore_best"),
    ],
)
def test_arguments_of_early_stopping(
    arguments: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=f"^{name} must be "):
        EarlyStopping(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"path": 3}, TypeError, "path"),
        ({"path": None}, TypeError, "path"),
        ({"path": b"run"}, TypeError, "path"),
        ({"every": 0}, ValueError, "every"),
        ({"every": True}, TypeError, "every"),
        ({"monitor": 1}, TypeError, "monitor"),
        ({"monitor": "loss", "mode": "least"}, ValueError, "mode"),
        ({"mode": "least"}, ValueError, "mode"),
    ],
)
def test_arguments_of_a_checkpoint(
    arguments: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=f"^{name} must be "):
        Checkpoint(**{"path": "run"} | arguments)


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (None, "callbacks must be a sequence of callbacks, got NoneType"),
        ("loss", "callbacks must be a sequence of callbacks, got str"),
        (3, "callbacks must be a sequence of callbacks, got int"),
        ({"a": Callback()}, "callbacks must be a sequence of callbacks, got dict"),
        (Callback(), r"callbacks must be a sequence of callbacks, got one: write \[callback\]"),
        ([Callback(), print], r"callbacks\[1\] must be a gdcore.callbacks.Callback, got <built-in"),
        ([EarlyStopping], r"callbacks\[0\] must be an object, got the class: write EarlyStopping"),
        ([[Callback()]], r"callbacks\[0\] must be a gdcore.callbacks.Callback, got \[.*\(list\)"),
    ],
)
def test_what_is_no_list_of_callbacks(callbacks: Any, words: str) -> None:
    trainer = new()
    fit(trainer, epochs=1)
    history = trainer.history
    with pytest.raises(TypeError, match=f"^{words}"):
        trainer.fit(X, Y, callbacks=callbacks, progress=False)
    assert trainer.epochs == 1
    assert trainer.history is history


def test_any_iterable_of_callbacks_does() -> None:
    for gather in (tuple, iter, lambda row: (each for each in row)):
        recorder = Recorder()
        new().fit(X, Y, callbacks=gather([recorder]), progress=False)
        assert recorder.hooks()[0] == "on_fit_begin"


def test_fit_within_fit_is_refused() -> None:
    class Nested(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            trainer.fit(X, Y, progress=False)

    trainer = new()
    with pytest.raises(RuntimeError, match="fit is at work on this trainer"):
        trainer.fit(X, Y, callbacks=[Nested()], progress=False)
    trainer.fit(X, Y, progress=False)
    assert trainer.epochs == 2

"""However fit ends: the best parameters are back, callbacks hear of it, all is finite."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd
from gdcore.callbacks import Callback, EarlyStopping, TensorBoard

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
VALIDATION = (nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1))
SCORES = (3.0, 1.0, 2.0, 4.0, 5.0)  # the second epoch is the best


class OwnError(Exception):
    pass


class When(Callback):
    """Does something at the end of an epoch, or after a batch of the one that follows it."""

    def __init__(self, epoch: int, act: Callable[[gd.Trainer], Any], in_batch: bool = False):
        self.epoch, self.act, self.in_batch = epoch, act, in_batch
        self.states: dict[int, Any] = {}

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        if self.in_batch and trainer.epochs == self.epoch:
            self.act(trainer)

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        self.states[epoch] = trainer.network.state_dict()
        if not self.in_batch and epoch == self.epoch:
            self.act(trainer)


class Hears(Callback):
    def __init__(self, calls: list[Any], name: str, **act: Callable[..., Any]):
        self.calls, self.name, self.act = calls, name, act

    def note(self, hook: str, *arguments: Any) -> None:
        self.calls.append((self.name, hook, *arguments))
        self.act.get(hook, lambda: None)()

    def on_fit_begin(self, trainer: gd.Trainer) -> None:
        self.note("begin")

    def on_fit_end(self, trainer: gd.Trainer) -> None:
        self.note("end")

    def on_exception(self, trainer: gd.Trainer, error: BaseException) -> None:
        self.note("exception", error)


def raises(error: BaseException) -> Callable[..., None]:
    def act(*_: Any) -> None:
        raise error

    return act


def score(trainer: gd.Trainer) -> Callable[..., float]:
    def score(y: Any, output: Any) -> float:
        return SCORES[max(trainer.epochs - 1, 0)]

    return score


def new(lr: float = 0.01, dtype: str = "float64", **options: Any) -> gd.Trainer:
    net = nets.network([3, 4, 2], ["tanh", "identity"], dtype)
    return gd.Trainer(net, "mse", gd.Adam(lr=lr), **options)


def interrupt(_: gd.Trainer) -> None:
    signal.raise_signal(signal.SIGINT)


def diverge(trainer: gd.Trainer) -> None:
    trainer.lr = 1e200


# ---- EarlyStopping ----


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (raises(OwnError("mine")), OwnError),
        (raises(SystemExit(3)), SystemExit),
        (interrupt, KeyboardInterrupt),
        (diverge, FloatingPointError),
        (gd.Trainer.stop, None),
    ],
    ids=["callback", "exit", "Ctrl-C", "divergence", "stop"],
)
@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_the_best_is_back_in_every_ending(
    act: Any, error: type[BaseException] | None, in_batch: bool, first: bool
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    trainer = new()
    stopping = EarlyStopping("val_score", patience=9, mode="min")
    when = When(3, act, in_batch)

    def fit() -> None:
        trainer.fit(
            X, Y, epochs=5, batch_size=7, validation_data=VALIDATION, metrics=[score(trainer)],
            callbacks=[when, stopping] if first else [stopping, when], progress=False,
        )  # fmt: skip

    try:
        if error is None:
            fit()
        else:
            with pytest.raises(error):
                fit()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    assert_same_state(trainer.network.state_dict(), when.states[2])
    trainer.lr = 0.01
    trainer.fit(X, Y, epochs=1, progress=False)


def test_an_epoch_that_was_not_heard_of_may_be_the_best() -> None:
    trainer = new()
    when = When(2, raises(OwnError()))
    stopping = EarlyStopping("val_score", patience=9, mode="min")
    with pytest.raises(OwnError):
        trainer.fit(
            X, Y, epochs=5, validation_data=VALIDATION, metrics=[score(trainer)],
            callbacks=[when, stopping], progress=False,
        )  # fmt: skip
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    assert_same_state(trainer.network.state_dict(), when.states[2])


def test_what_is_not_to_be_restored_stays() -> None:
    trainer = new()
    when = When(3, raises(OwnError()))
    stopping = EarlyStopping("val_score", patience=9, mode="min", restore_best=False)
    with pytest.raises(OwnError):
        trainer.fit(
            X, Y, epochs=5, validation_data=VALIDATION, metrics=[score(trainer)],
            callbacks=[stopping, when], progress=False,
        )  # fmt: skip
    assert_same_state(trainer.network.state_dict(), when.states[3])


# ---- on_exception ----


def test_each_hears_of_the_end_once_and_the_first_error_comes_out() -> None:
    first, second = OwnError("first"), OwnError("second")
    calls: list[Any] = []
    row = [Hears(calls, "a"), Hears(calls, "b", exception=raises(second)), Hears(calls, "c")]
    with (
        pytest.raises(OwnError) as caught,
        pytest.warns(UserWarning, match=r"^Hears\.on_exception raised OwnError\('second'\) where"),
    ):
        new().fit(X, Y, epochs=3, callbacks=[*row, When(1, raises(first))], progress=False)
    assert caught.value is first
    begun = [(name, "begin") for name in "abc"]
    assert calls == begun + [(name, "exception", first) for name in "abc"]


def test_where_warnings_are_errors_the_first_error_comes_out_all_the_same() -> None:
    first = OwnError("first")
    row = [Hears([], "a", exception=raises(OwnError("second")))]
    with pytest.raises(OwnError) as caught:
        new().fit(X, Y, epochs=3, callbacks=[*row, When(1, raises(first))], progress=False)
    assert caught.value is first


def test_who_has_ended_or_not_begun_hears_of_no_exception() -> None:
    error = OwnError()
    calls: list[Any] = []
    row = [Hears(calls, "a"), Hears(calls, "b", end=raises(error)), Hears(calls, "c")]
    with pytest.raises(OwnError):
        new().fit(X, Y, epochs=1, callbacks=row, progress=False)
    ends = [("a", "end"), ("b", "end"), ("b", "exception", error), ("c", "exception", error)]
    assert calls[3:] == ends
    calls.clear()
    row[1].act = {"begin": raises(error)}
    with pytest.raises(OwnError):
        new().fit(X, Y, epochs=1, callbacks=row, progress=False)
    assert calls == [("a", "begin"), ("b", "begin"), ("a", "exception", error)]


def test_tensorboard_closes_its_file(tmp_path: Any) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    board = TensorBoard(tmp_path)
    with pytest.raises(OwnError):
        new().fit(X, Y, epochs=3, callbacks=[board, When(1, raises(OwnError()))], progress=False)
    assert board._writer is None


# ---- divergence ----


def finite(trainer: gd.Trainer) -> bool:
    _, parameters, states = trainer._native.copy()
    return all(
        np.isfinite(array).all() for each in (parameters, *states) for array in each.values()
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 7, 10])
@pytest.mark.parametrize(
    ("optimizer", "power"),
    [(gd.SGD(), 10), (gd.SGD(), 19), (gd.SGD(momentum=0.9), 12), (gd.Adam(), 25)],
    ids=str,
)
def test_what_fit_goes_back_to_can_be_gone_on_from(
    optimizer: Any, power: int, batch_size: int | None, dtype: str
) -> None:
    """One update leads to parameters that are finite, and whose loss is not."""
    net = nets.network([3, 4, 4, 2], ["relu", "relu", "identity"], dtype)
    lr = 10.0 ** (power if dtype == "float32" else 8 * power)
    trainer = gd.Trainer(net, "mse", dataclasses.replace(optimizer, lr=lr))
    before = trainer.evaluate(X, Y)["loss"]
    for _ in range(3):
        with pytest.raises(FloatingPointError, match="back where the epoch began"):
            trainer.fit(X, Y, epochs=400, batch_size=batch_size, progress=False)
        assert finite(trainer)
        assert np.isfinite(trainer.evaluate(X, Y)["loss"])
        assert len(trainer.history.get("loss", [])) <= trainer.epochs
    if trainer.epochs == 0:
        assert trainer.evaluate(X, Y)["loss"] == before
    trainer.lr = 1e-30 if dtype == "float32" else 1e-290
    trainer.fit(X, Y, epochs=2, batch_size=batch_size, progress=False)


@pytest.mark.parametrize("loss", ["mae", "huber"])
@pytest.mark.parametrize(
    "rule", [gd.Adam(lr=1e-3), gd.RMSprop(), gd.Adagrad()], ids=lambda r: r.name
)
def test_a_state_that_overflows_is_divergence(rule: str, loss: str) -> None:
    """Gradients of 1e25 are finite in float32, their squares are not, and nothing would move."""
    x = X * np.array([1e25, 1, 1])
    trainer = gd.Trainer(nets.network([3, 2], ["identity"], "float32"), loss, rule)
    before = trainer.network.state_dict()
    with pytest.raises(FloatingPointError, match="the optimizer's state left the finite numbers"):
        trainer.fit(x, Y, epochs=2, batch_size=None, progress=False)
    assert finite(trainer)
    assert_same_state(trainer.network.state_dict(), before)
    trainer.fit(X, Y, epochs=1, progress=False)


def test_no_epoch_begins_with_a_state_that_is_not_finite() -> None:
    trainer = gd.Trainer(nets.network([3, 2], ["identity"], "float32"), "mae", gd.Adam())
    trainer.step(X * np.array([1e25, 1, 1]), Y)  # goes on, as it says
    before = trainer.network.state_dict()
    with pytest.raises(RuntimeError, match=r"^the optimizer's state is not finite"):
        trainer.fit(X, Y, epochs=1, progress=False)
    assert_same_state(trainer.network.state_dict(), before)
    assert (trainer.steps, trainer.epochs) == (1, 0)


@pytest.mark.parametrize("weight", [None, np.where(np.arange(20) < 10, 0.0, 1.0)])
def test_large_parameters_that_are_right_are_no_divergence(weight: Any) -> None:
    """Also where the rows that would be looked at have no weight."""
    x, y = X[:, :1] * 1e-12, X[:, :1] * 3.0
    net = nets.network([1, 1, 1], ["identity", "identity"], "float32")
    net.load_state_dict(
        {"0.weight": [[3e9]], "0.bias": [0], "1.weight": [[1e3]], "1.bias": [0]}
    )  # fmt: skip
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e-7))
    history = trainer.fit(
        x, y, epochs=3, batch_size=10, shuffle=False, sample_weight=weight, progress=False
    )
    assert np.isfinite(history["loss"]).all()

"""Ranges: stretches of a program by name in its profile, and what `Trainer.fit` names itself."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import nets
import numpy as np
import pytest
from models import assert_same_trainer

import gdcore as gd
from gdcore.callbacks import Callback, EarlyStopping

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
VALIDATION = (nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1))


def new() -> gd.Trainer:
    return gd.Trainer(nets.network([3, 4, 2], ["tanh", "identity"]), "mse", gd.Adam(lr=0.01))


def recorded(act: Callable[[], object], *, failing: type[BaseException] | None = None) -> Any:
    """The recording of a call; a step before and after makes sure that there are events."""
    trainer = new()
    trainer.step(X, Y)
    with gd.profile() as prof:
        trainer.step(X, Y)
        if failing is None:
            act()
        else:
            with pytest.raises(failing):
                act()
        trainer.step(X, Y)
    return prof.recording


def spans(recording: Any) -> list[tuple[str, int]]:
    """(name, depth) of each range, by begin."""
    return [(recording.range_names[row["name"]], int(row["depth"])) for row in recording.ranges]


def names(recording: Any) -> list[str]:
    return [name for name, _ in spans(recording)]


# ---- blocks and functions ----


def test_a_block_is_a_range_of_its_own_length() -> None:
    def act() -> None:
        with gd.range("augment") as found:
            assert found is None

    recording = recorded(act)
    assert spans(recording) == [("augment", 0)]
    assert 0 <= recording.ranges["begin"][0] < recording.ranges["end"][0] <= recording.nanoseconds


def test_blocks_lie_within_each_other() -> None:
    def act() -> None:
        with gd.range("a"):
            for name in ("b", "c"):
                with gd.range(name):
                    pass

    recording = recorded(act)
    assert spans(recording) == [("a", 0), ("b", 1), ("c", 1)]
    a, b, c = recording.ranges
    assert a["begin"] <= b["begin"] <= b["end"] <= c["begin"] <= c["end"] <= a["end"]


def test_one_object_within_itself() -> None:
    again = gd.range("again")

    def act() -> None:
        with again, again:
            pass
        with again:
            pass

    assert spans(recorded(act)) == [("again", 0), ("again", 1), ("again", 0)]


def test_functions_have_their_own_name_or_another() -> None:
    class Data:
        @gd.range
        def load(self, more: int) -> int:
            return 1 + more

        @staticmethod
        @gd.range("another")
        def read() -> int:
            return 2

    assert Data.load.__name__ == "load"
    assert Data.load.__doc__ is None
    recording = recorded(lambda: (Data().load(more=1), Data.read()))
    own = f"{test_functions_have_their_own_name_or_another.__name__}.<locals>.Data.load"
    assert names(recording) == [own, "another"]
    assert (Data().load(1), Data.read()) == (2, 2)


def test_a_callable_without_a_name_takes_one() -> None:
    recording = recorded(gd.range("sum")(functools.partial(sum, [1])))
    assert names(recording) == ["sum"]
    with pytest.raises(TypeError, match="needs a name"):
        gd.range(functools.partial(sum, [1]))


@pytest.mark.parametrize("form", ["block", "function"])
def test_exceptions_pass_through_and_end_the_range(form: str) -> None:
    def fails() -> None:
        raise KeyError("x")

    def act() -> None:
        if form == "function":
            gd.range("fails")(fails)()
        with gd.range("fails"):
            fails()

    recording = recorded(act, failing=KeyError)
    assert spans(recording) == [("fails", 0)]
    after = recorded(lambda: gd.range("next")(lambda: None)())
    assert spans(after) == [("next", 0)]


def test_each_thread_has_its_own() -> None:
    shared = gd.range("shared")
    both = threading.Barrier(2)
    trainers = [new(), new()]

    def work(trainer: gd.Trainer) -> None:
        both.wait()
        with shared:
            both.wait()
            trainer.step(X, Y)
            both.wait()

    def act() -> None:
        threads = [threading.Thread(target=work, args=(each,)) for each in trainers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    recording = recorded(act)
    assert spans(recording) == [("shared", 0), ("shared", 0)]
    assert len(set(recording.ranges["thread"].tolist())) == 2


# ---- when nothing is recorded, or only a part ----


def test_nothing_is_kept_when_nothing_is_recorded() -> None:
    with gd.range("before"):
        pass
    gd.range("before")(new)()
    assert names(recorded(lambda: None)) == []


def test_a_recording_within_a_range_has_what_begins_in_it() -> None:
    trainer = new()
    outer = gd.range("outer")
    with outer:
        with gd.profile() as prof:
            trainer.step(X, Y)
            with gd.range("inner"):
                pass
            with outer:
                pass
        with outer:
            pass
    assert spans(prof.recording) == [("inner", 0), ("outer", 0)]
    assert outer._open == {}


def test_a_range_ends_with_the_recording_at_the_latest() -> None:
    trainer = new()
    first, second = gd.profile(), gd.profile()
    with gd.range("long"):
        with gd.range("outer"), first:
            trainer.step(X, Y)
            held = gd.range("held")
            held.__enter__()
        with second:
            trainer.step(X, Y)
            held.__exit__(None, None, None)  # of the recording before
            with gd.range("new"):
                pass
    assert spans(first.recording) == [("held", 0)]
    assert first.recording.ranges["end"][0] <= first.recording.nanoseconds
    assert spans(second.recording) == [("new", 0)]


# ---- what is refused ----


async def coroutine() -> None: ...


async def asynchronous() -> Any:
    yield 1


def generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (1, TypeError, "takes a name or a function, got 1"),
        (None, TypeError, "got None"),
        (dict, TypeError, "got the class dict"),
        ("", ValueError, "name must be"),
        ("\ud800", ValueError, "surrogates"),
        (coroutine, TypeError, "got the coroutine coroutine"),
        (asynchronous, TypeError, "got the generator asynchronous"),
        (generator, TypeError, "got the generator generator"),
        (staticmethod(len), TypeError, "below @staticmethod"),
        (classmethod(len), TypeError, "below @classmethod"),
    ],
)
def test_what_is_no_name_and_no_function_is_told(
    given: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gd.range(given)
    if not isinstance(given, str):
        with pytest.raises(TypeError, match=words):
            gd.range("name")(given)


def test_a_star_import_leaves_pythons_range() -> None:
    found: dict[str, Any] = {}
    exec("from gdcore import *; from gdcore.profiling import *", found)
    assert "range" not in found


# ---- what fit names ----


class Noting(Callback):
    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        self.maybe("on_batch_end")

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Mapping[str, float]) -> None:
        self.maybe("on_epoch_end")

    def on_exception(self, trainer: gd.Trainer, error: BaseException) -> None:
        self.maybe("on_exception")

    def on_progress(self, trainer: gd.Trainer, samples: int) -> None:
        self.maybe("on_progress")

    def maybe(self, hook: str) -> None:
        if hook == self.failing:
            raise KeyError(hook)


def fit(*callbacks: Callback, progress: bool = False) -> gd.Trainer:
    trainer = new()
    trainer.fit(
        X, Y, epochs=2, batch_size=10, callbacks=callbacks, progress=progress,
        validation_data=VALIDATION, metrics=["mae", spread],
    )  # fmt: skip
    return trainer


def spread(y: Any, output: Any) -> float:
    return float(np.ptp(output))


def test_fit_names_callbacks_validation_and_metrics() -> None:
    found = spans(recorded(lambda: fit(Noting(), EarlyStopping())))
    epoch = [
        ("Noting.on_batch_end", 0), ("Noting.on_batch_end", 0), ("Noting.on_progress", 0),
        ("validation", 0), ("metric mae", 1), ("metric spread", 1),
        ("Noting.on_epoch_end", 0), ("EarlyStopping.on_epoch_end", 0),
    ]  # fmt: skip
    assert found == [
        ("metric mae", 0), ("metric spread", 0),  # each is tried first
        ("Noting.on_fit_begin", 0), ("EarlyStopping.on_fit_begin", 0),
        *epoch, *epoch,
        ("Noting.on_fit_end", 0), ("EarlyStopping.on_fit_end", 0),
    ]  # fmt: skip


def test_fit_names_the_progress_bar(capsys: Any) -> None:
    found = names(recorded(lambda: fit(progress=True)))
    assert found.count("progress") >= 4  # at the end of each epoch: of its samples, its figures
    assert "epoch 2/2" in capsys.readouterr().err


@pytest.mark.parametrize("hook", ["on_batch_end", "on_progress", "on_epoch_end"])
def test_a_callback_that_raises_leaves_no_range_open(hook: str) -> None:
    def act() -> None:
        try:
            fit(Noting(hook))
        finally:
            with gd.range("after"):
                pass

    found = spans(recorded(act, failing=KeyError))
    assert found[-3:] == [(f"Noting.{hook}", 0), ("Noting.on_exception", 0), ("after", 0)]


def test_a_metric_that_raises_leaves_no_range_open() -> None:
    calls = []

    def fails(y: Any, output: Any) -> float:
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("x")
        return 1.0

    def act() -> None:
        try:
            new().fit(X, Y, validation_data=VALIDATION, metrics=[fails], progress=False)
        finally:
            with gd.range("after"):
                pass

    found = spans(recorded(act, failing=KeyError))
    assert found[-3:] == [("validation", 0), ("metric fails", 1), ("after", 0)]


def test_a_fit_is_the_same_with_and_without() -> None:
    alone = fit(Noting())
    trainers: list[gd.Trainer] = []
    recorded(lambda: trainers.append(fit(Noting())))
    assert_same_trainer(trainers[0], alone)
    assert trainers[0].history == alone.history


def test_batches_cost_one_question_when_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitting = sys.modules["gdcore._fitting"]

    def refused(name: str) -> Any:
        assert not name.endswith("on_batch_end")
        return gd.range(name)

    monkeypatch.setattr(fitting, "Range", refused)
    fit(Noting())

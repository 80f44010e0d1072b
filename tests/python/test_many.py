"""Many networks at once: the bits of each alone, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_state, run_json

import gdcore as gd
from gdcore.callbacks import Callback, Checkpoint, EarlyStopping

N = 60
X, Y = nets.inputs(N, 5), nets.targets("mse", N, 1)
XV, YV = nets.inputs(20, 5, 3), nets.targets("mse", 20, 1, 3)
WEIGHT = np.linspace(0.2, 2, N)


def made(seed: int = 0, lr: float = 1e-2, **options: Any) -> gd.Trainer:
    dtype = options.pop("dtype", "float32")
    layers = options.pop("layers", [gd.Dense(8, "relu"), gd.Dense(1)])
    net = gd.Network(layers, input_size=5, seed=seed, dtype=dtype)
    loss = options.pop("loss", "mse")
    return gd.Trainer(net, loss, options.pop("optimizer", gd.Adam(lr=lr)), **options)


def own_loss(p: Any, y: Any) -> tuple[Any, Any]:
    return ((p - y) ** 2).mean(axis=1), 2 * (p - y) / p.size


# What can differ between networks that learn from the same data.
MIXTURE: dict[str, Callable[[], gd.Trainer]] = {
    "seed": lambda: made(3),
    "rate": lambda: made(lr=0.1),
    "dtype": lambda: made(dtype="float64"),
    "layers": lambda: made(layers=[gd.Dense(30, "tanh"), gd.BatchNorm(), gd.Dense(1)]),
    "wide": lambda: made(layers=[gd.Dense(300, "relu"), gd.Dense(300, "relu"), gd.Dense(1)]),
    "dropout": lambda: made(layers=[gd.Dense(16, "relu"), gd.Dropout(0.3), gd.Dense(1)]),
    "members": lambda: made(layers=[gd.EnsembleDense(4, 3, activation="relu"), gd.Dense(1)]),
    "loss": lambda: made(loss="huber"),
    "own loss": lambda: made(loss=own_loss),
    "schedule": lambda: made(schedule="cosine"),
    "function": lambda: made(schedule=lambda epoch: 0.01 / (1 + epoch)),
    "groups": lambda: made(groups=[gd.Group("0.*", lr_factor=0.1)], clip_grad_norm=0.5),
    "optimizer": lambda: made(optimizer=gd.SGD(0.01, momentum=0.9), seed=9),
}


def assert_same(result: gd.FitResult, alone: gd.Trainer) -> None:
    assert result.error is None
    assert result.trainer is not None
    assert result.history == alone.history
    assert result.trainer.history is result.history
    assert_same_state(result.trainer.network.state_dict(), alone.network.state_dict())
    for got, expected in zip(result.trainer._native.copy()[2], alone._native.copy()[2]):
        assert_same_state(got, expected)
    assert result.trainer.epochs == alone.epochs
    assert result.trainer.steps == alone.steps


@pytest.mark.parametrize("num_threads", [1, 2, 5, 30])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 7},
        {"batch_size": 7, "validation_data": (XV, YV), "sample_weight": WEIGHT},
        {"batch_size": None, "validation_data": (XV, YV, WEIGHT[:20]), "metrics": ["r2", "mae"]},
        {"batch_size": 16, "shuffle": False, "validation_data": (XV, YV),
         "callbacks": [EarlyStopping(patience=1)]},
    ],
    ids=["plain", "judged", "metrics", "stopping"],
)  # fmt: skip
def test_each_has_the_bits_of_fit_alone(options: dict[str, Any], num_threads: int) -> None:
    names = list(MIXTURE)
    results = gd.fit_many(
        [MIXTURE[name]() for name in names], X, Y, epochs=4, progress=False,
        num_threads=num_threads, **options,
    )  # fmt: skip
    assert len(results) == len(names)
    for name, result in zip(names, results):
        alone = MIXTURE[name]()
        alone.fit(X, Y, epochs=4, progress=False, **options)
        assert_same(result, alone)
        assert result.index == names.index(name)


def test_it_goes_on_where_a_trainer_is_and_ends_with_its_threads() -> None:
    pairs = [(made(seed, num_threads=2), made(seed, num_threads=2)) for seed in range(3)]
    for one, other in pairs:
        one.fit(X, Y, epochs=1 + one.network.seed, progress=False)
        other.fit(X, Y, epochs=1 + one.network.seed, progress=False)
    results = gd.fit_many([one for one, _ in pairs], X, Y, epochs=2, progress=False)
    for result, (one, other) in zip(results, pairs):
        other.fit(X, Y, epochs=2, progress=False)
        assert_same(result, other)
        assert one._num_threads == 2
        one.fit(X, Y, epochs=1, progress=False)  # nobody holds it
    assert made()._num_threads is None


def test_functions_make_trainers_when_their_turn_comes() -> None:
    order: list[int] = []
    seen: list[str] = []

    def maker(seed: int) -> Callable[[], gd.Trainer]:
        def make() -> gd.Trainer:
            order.append(seed)
            seen.append(threading.current_thread().name)
            if seed == 2:
                raise OSError("no such network")
            return made(seed)

        return make

    with pytest.warns(UserWarning, match=r"1 of 5 .*trainers\[2\]: OSError: no such network"):
        results = gd.fit_many(
            [maker(seed) for seed in range(5)], X, Y, epochs=2, progress=False, num_threads=2
        )
    assert order == [0, 1, 2, 3, 4]
    assert set(seen) == {threading.current_thread().name}
    assert results[2].trainer is None
    assert isinstance(results[2].error, OSError)
    for seed in (0, 1, 3, 4):
        alone = made(seed)
        alone.fit(X, Y, epochs=2, progress=False)
        assert_same(results[seed], alone)


def test_of_what_a_function_makes_only_its_own_network_fails() -> None:
    shared = made(7)
    wrong = [lambda: made(1), lambda: "none", lambda: shared, lambda: shared,
             lambda: made(2, layers=[gd.Dense(3)])]  # fmt: skip
    with pytest.warns(UserWarning, match="3 of 5 networks failed"):
        results = gd.fit_many(wrong, X, Y, epochs=1, progress=False)  # type: ignore[arg-type]
    assert [each.index for each in results.failed] == [1, 3, 4]
    assert "must make a gdcore.Trainer, got 'none'" in str(results[1].error)
    assert "must have a network of its own, got that of trainers[2]" in str(results[3].error)
    assert "y must have shape (60, 3), got (60, 1)" in str(results[4].error)
    assert results[4].epochs == 0


def test_one_that_diverges_stops_no_other() -> None:
    trainers = [made(0), made(1, lr=1e30), made(2)]
    with pytest.warns(
        UserWarning, match=r"1 of 3 networks failed: trainers\[1\]: Floating"
    ) as told:
        results = gd.fit_many(trainers, X, Y, epochs=3, progress=False)
    assert told[0].filename == __file__
    alone = made(1, lr=1e30)
    with pytest.raises(FloatingPointError) as expected:
        alone.fit(X, Y, epochs=3, progress=False)
    assert str(results[1].error) == str(expected.value)
    assert results[1].history == alone.history
    assert_same_state(trainers[1].network.state_dict(), alone.network.state_dict())
    for index in (0, 2):
        other = made(index)
        other.fit(X, Y, epochs=3, progress=False)
        assert_same(results[index], other)
    assert "network 1 failed: FloatingPointError: the loss became" in str(results)
    assert repr(results) == "FitResults(3 networks, 1 of them ended by an exception)"
    assert len(results.ensemble().networks) == 2


class Failing(Callback):
    """Raises after the second epoch of one network."""

    def __init__(self, seed: int, error: BaseException) -> None:
        self.seed, self.error = seed, error

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        if trainer.network.seed == self.seed and epoch == 2:
            raise self.error


def test_one_whose_callback_raises_stops_no_other() -> None:
    with pytest.warns(UserWarning, match=r"trainers\[1\]: OSError: full"):
        results = gd.fit_many(
            [made(seed) for seed in range(3)], X, Y, epochs=3, progress=False,
            callbacks=[Failing(1, OSError("full"))],
        )  # fmt: skip
    assert [each.epochs for each in results] == [3, 2, 3]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_ends_all(kind: type[BaseException]) -> None:
    trainers = [made(seed, num_threads=3) for seed in range(3)]
    with pytest.raises(kind):
        gd.fit_many(
            trainers, X, Y, epochs=10**9, progress=False, callbacks=[Failing(1, kind())],
            num_threads=3,
        )  # fmt: skip
    assert trainers[1].epochs == 2
    assert {each._num_threads for each in trainers} == {3}
    for each in trainers:
        before = each.epochs
        each.fit(X, Y, epochs=1, progress=False)
        assert each.epochs == before + 1
    assert not [each for each in threading.enumerate() if "fit_many" in each.name]


INTERRUPTED = """
import json, os, signal, sys, threading, time
import gdcore as gd, numpy as np

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
x = np.random.default_rng(0).normal(size=(50_000 if sys.argv[1] == "long" else 50, 4))
y = x[:, :1]

def made(seed):
    return gd.Trainer(gd.Network([gd.Dense(16, "relu"), gd.Dense(1)], input_size=4, seed=seed),
                      "mse", "adam", num_threads=1)

class Watching(gd.callbacks.Callback):
    pass

def send():
    begun = time.process_time()
    while time.process_time() < begun + 0.5:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

trainers = [made(seed) for seed in range(4)]
own = [Watching()] if sys.argv[2] == "callback" else []
threading.Thread(target=send, daemon=True).start()
seen = False
try:
    gd.fit_many(trainers, x, y, epochs=10**8, progress=False, num_threads=2, callbacks=own,
                validation_data=(x, y), batch_size=1)
except KeyboardInterrupt:
    seen = True
whole = all(len(t.history.get("loss", [])) == len(t.history.get("val_loss", []))
            for t in trainers)
finite = all(np.isfinite(a).all() for t in trainers for a in t.network.state_dict().values())
for trainer in trainers:
    trainer.step(x[:8], y[:8])
print(json.dumps([seen, whole, finite, trainers[0].steps > 1, trainers[3].steps,
                  [t.name for t in threading.enumerate() if "fit_many" in t.name]]))
"""


@pytest.mark.parametrize("how", ["plain", "callback"])
@pytest.mark.parametrize("epoch", ["long", "short"])
def test_ctrl_c_stops_all_between_two_steps(epoch: str, how: str) -> None:
    assert run_json(INTERRUPTED, epoch, how) == [True, True, True, True, 1, []]


# ---- callbacks ----


def test_each_network_has_a_copy_of_the_callbacks() -> None:
    given = EarlyStopping(patience=1)
    results = gd.fit_many(
        [made(seed, lr=0.1) for seed in range(4)], X, Y, epochs=30, progress=False,
        validation_data=(XV, YV), callbacks=[given],
    )  # fmt: skip
    assert given.best_epoch == 0
    for result in results:
        (own,) = result.callbacks
        assert isinstance(own, EarlyStopping)
        assert own.best == result.best["val_loss"] == min(result.history["val_loss"])
    assert len({each.callbacks[0] for each in results}) == 4
    assert len({each.epochs for each in results}) > 1


def test_a_function_gives_each_network_its_callbacks(tmp_path: Any) -> None:
    trainers = [made(seed) for seed in range(3)]
    gd.fit_many(
        trainers, X, Y, epochs=2, progress=False,
        callbacks=lambda i: [Checkpoint(tmp_path / f"{i}.safetensors")],
    )  # fmt: skip
    for i, trainer in enumerate(trainers):
        saved = gd.Trainer.load(tmp_path / f"{i}.safetensors")
        assert_same_state(saved.network.state_dict(), trainer.network.state_dict())
        assert saved.epochs == 2


class Holding(Callback):
    def __init__(self, thing: Any) -> None:
        self.thing = thing


class Calling(Callback):
    """Calls from within a fit what nobody may."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what = what
        self.told: list[str] = []

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        with pytest.raises(RuntimeError) as told:
            self.what()
        self.told.append(str(told.value))


def test_it_is_no_use_within_itself() -> None:
    busy, other = made(1), made(2)

    def nested() -> None:
        gd.fit_many([other], X, Y, epochs=1, progress=False)

    own = Calling(nested)
    gd.fit_many([busy], X, Y, epochs=1, progress=False, callbacks=lambda _: [own])
    assert own.told == ["fit_many must not be called from a callback within fit_many"]
    claimed = Calling(lambda: gd.fit_many([other, busy], X, Y, epochs=1, progress=False))
    busy.fit(X, Y, epochs=1, progress=False, callbacks=[claimed])
    assert claimed.told == ["trainers[1]: fit is at work on this trainer: one at a time"]
    assert other.epochs == 0
    other.fit(X, Y, epochs=1, progress=False)  # and nobody holds it


# ---- data ----


def test_data_are_prepared_once_for_all_that_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from gdcore import _many_data

    count = []
    plain = _many_data.Arrays.prepared

    def counted(self: Any, *arguments: Any) -> Any:
        found = plain(self, *arguments)
        count.append(id(found))
        return found

    monkeypatch.setattr(_many_data.Arrays, "prepared", counted)
    trainers = [made(seed, lr=0.001 * (seed + 1)) for seed in range(6)]
    trainers += [made(9, dtype="float64"), made(9, loss="huber")]
    gd.fit_many(trainers, X, Y, epochs=1, progress=False)
    assert len(count) == 8
    assert len(set(count)) == 3


def test_tables_keep_the_names_of_their_columns() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pd.DataFrame(X, columns=list("abcde"))
    other = pd.DataFrame(XV, columns=list("abcde"))[list("ecbda")]
    before = made(5)
    before.fit(table[list("edcba")], Y, epochs=1, progress=False)
    again = made(5)
    again.fit(table[list("edcba")], Y, epochs=1, progress=False)
    results = gd.fit_many(
        [made(0), before, made(1)], table, pd.Series(Y[:, 0]), epochs=2, progress=False,
        validation_data=(other, YV),
    )  # fmt: skip
    for result, alone in zip(results, [made(0), again, made(1)]):
        alone.fit(table, Y, epochs=2, progress=False, validation_data=(other, YV))
        assert_same(result, alone)
        assert result.trainer is not None
        assert result.trainer.network.feature_names == alone.network.feature_names
    assert before.network.feature_names == tuple("edcba")


def joined(seed: int) -> gd.Trainer:
    numbers, codes = gd.Input(3, name="numbers"), gd.Input(categories=(4,), name="codes")
    h = gd.Dense(8, "relu")(gd.Concat()(numbers, gd.Embedding(2)(codes)))
    outputs = {"price": gd.Dense(1)(h), "kind": gd.Dense(3)(h)}
    net = gd.Network(inputs=[numbers, codes], outputs=outputs, seed=seed)
    return gd.Trainer(net, {"price": "mse", "kind": "cross_entropy"}, "adam")


def test_several_inputs_and_outputs_with_rows() -> None:
    x = {"numbers": X[:, :3], "codes": np.arange(N)[:, None] % 4}
    y = {"price": Y, "kind": np.arange(N) % 3}
    rows = gd.folds(N, 3)
    results = gd.fit_many([joined(i) for i in range(3)], x, y, rows=rows, epochs=2, progress=False)
    for i, (training, held_out) in enumerate(rows):

        def part(rows: Any) -> Any:
            return tuple({k: v[rows] for k, v in each.items()} for each in (x, y))

        alone = joined(i)
        alone.fit(*part(training), epochs=2, progress=False, validation_data=part(held_out))
        assert_same(results[i], alone)
    assert "val_kind_accuracy" in results[0].last


def test_sparse_rows_by_rows() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    drawn = np.random.default_rng(0)
    x = sparse.csr_array(drawn.normal(size=(N, 30)) * (drawn.random((N, 30)) < 0.2))

    def trainer() -> gd.Trainer:
        net = gd.Network([gd.Dense(4, "relu"), gd.Dense(1)], inputs=gd.Input(30, sparse=True))
        return gd.Trainer(net, "mse", "adam")

    rows = [(np.arange(N) % 3 > 0, np.array([3, 0, 59])), np.array([5, 5, 1, 0])]
    results = gd.fit_many([trainer(), trainer()], x, Y, rows=rows, epochs=2, progress=False)
    one, other = trainer(), trainer()
    one.fit(x[rows[0][0]], Y[rows[0][0]], epochs=2, progress=False,
            validation_data=(x[rows[0][1]], Y[rows[0][1]]))  # fmt: skip
    other.fit(x[rows[1]], Y[rows[1]], epochs=2, progress=False)
    assert_same(results[0], one)
    assert_same(results[1], other)


def test_rows_are_copied_once_for_the_same_objects() -> None:
    rows = gd.folds(N, 3)
    trainers = [made(seed) for seed in range(6)]
    each = [rows[i // 2] for i in range(6)]
    results = gd.fit_many(
        trainers, X, Y, rows=each, epochs=2, progress=False, sample_weight=WEIGHT, num_threads=2
    )
    for i, (training, held_out) in enumerate(each):
        alone = made(i)
        alone.fit(
            X[training], Y[training], epochs=2, progress=False, sample_weight=WEIGHT[training],
            validation_data=(X[held_out], Y[held_out], WEIGHT[held_out]),
        )  # fmt: skip
        assert_same(results[i], alone)


# ---- bad input ----


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "one": (lambda: {"trainers": made()}, TypeError, r"got one: write \[trainer\]"),
    "none": (lambda: {"trainers": []}, ValueError, "trainers must hold at least one, got none"),
    "network": (lambda: {"trainers": [made().network]}, TypeError, r"trainers\[0\] must be a gd"),
    "class": (lambda: {"trainers": [gd.Trainer]}, TypeError, r"trainers\[0\] must be a gdcore.T"),
    "text": (lambda: {"trainers": "adam"}, TypeError, "trainers must be a sequence of trainers"),
    "no rows": (lambda: {"rows": [np.arange(3)]}, ValueError, "an entry for each of 2 networks"),
    "far": (lambda: {"rows": [[0], [60]]}, ValueError, r"rows\[1\] must be .* below 60"),
    "back": (lambda: {"rows": [[0], [-1]]}, ValueError, r"rows\[1\] must be .* got -1"),
    "nothing": (lambda: {"rows": [[0], []]}, ValueError, r"rows\[1\] must hold at least one row"),
    "real": (lambda: {"rows": [[0], [0.5]]}, TypeError, r"rows\[1\] must be integers"),
    "masks": (lambda: {"rows": [np.ones(9, bool)] * 2}, TypeError, r"or booleans \(60,\)"),
    "three": (lambda: {"rows": [([0], [1], [2])] * 2}, ValueError, "got a tuple of 3"),
    "both": (lambda: {"rows": gd.folds(N, 2), "validation_data": (XV, YV)}, ValueError,
             "validation_data must be None where rows say"),
    "epochs": (lambda: {"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    "batch": (lambda: {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    "shuffle": (lambda: {"shuffle": 1}, TypeError, "shuffle must be True or False, got 1"),
    "progress": (lambda: {"progress": 1}, TypeError, "progress must be True or False, got 1"),
    "threads": (lambda: {"num_threads": 0}, ValueError, "num_threads must be at least 1, got 0"),
    "too many": (lambda: {"num_threads": 4000}, ValueError, "num_threads must be at most 1024"),
    "y": (lambda: {"y": Y[:9]}, ValueError, r"trainers\[0\]: y must have shape \(60,\)"),
    "y by rows": (lambda: {"y": Y[:9], "rows": gd.folds(N, 2)}, ValueError, "must have shape"),
    "nan": (lambda: {"x": X * np.nan}, ValueError, r"trainers\[0\]: x must be finite"),
    "weight": (lambda: {"sample_weight": -WEIGHT}, ValueError, "sample_weight must"),
    "metric": (lambda: {"metrics": ["r2"]}, ValueError, "metrics are computed on validation_data"),
    "monitor": (lambda: {"callbacks": [EarlyStopping()]}, ValueError, "monitor must be one of"),
    "callback": (lambda: {"callbacks": EarlyStopping()}, TypeError, "write .callback."),
    "path": (lambda: {"callbacks": [Checkpoint("m.safetensors")]}, ValueError,
             r"callbacks\[0\] writes to one path for all networks"),
    "lock": (lambda: {"callbacks": [Holding(threading.Lock())]}, TypeError,
             r"callbacks\[0\] cannot be copied for each network"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(BAD))
def test_bad_input_is_told_before_anything_is_done(what: str) -> None:
    given, error, words = BAD[what]
    trainers = [made(0, num_threads=2), made(1)]
    before = [each.network.state_dict() for each in trainers]
    arguments = {"trainers": trainers, "x": X, "y": Y, "epochs": 1, "progress": False} | given()
    with pytest.raises(error, match=words):
        gd.fit_many(**arguments)
    for trainer, state in zip(trainers, before):
        assert_same_state(trainer.network.state_dict(), state)
        assert trainer.epochs == trainer.steps == 0
        assert trainer.history == {}
        assert trainer._shared is None
    assert trainers[0]._num_threads == 2
    gd.fit_many(trainers, X, Y, epochs=1, progress=False)  # and nobody holds them


def test_a_trainer_or_network_may_not_be_there_twice() -> None:
    trainer = made()
    other = gd.Trainer(trainer.network, "mse", "sgd")
    for second, what in ((trainer, "trainer"), (other, "network")):
        with pytest.raises(ValueError, match=rf"trainers\[2\] must have a {what} of its own, got "):
            gd.fit_many([trainer, made(1), second], X, Y, epochs=1, progress=False)
    assert trainer.epochs == 0


def test_what_is_wrong_with_the_data_shows_before_functions_train() -> None:
    with pytest.raises(ValueError, match=r"trainers\[0\]: y must have shape"):
        gd.fit_many([lambda: made(0), lambda: made(1)], X, Y[:7], epochs=1, progress=False)


def test_the_caller_s_thread_may_be_any() -> None:
    found: list[gd.FitResults] = []
    thread = threading.Thread(
        target=lambda: found.append(gd.fit_many([made(0)], X, Y, epochs=2, progress=False))
    )
    thread.start()
    thread.join()
    alone = made(0)
    alone.fit(X, Y, epochs=2, progress=False)
    assert_same(found[0][0], alone)

"""fit_many over executors: the bits of threads, whatever becomes of a process."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sent
from sent import WEIGHT, XV, YV, At, N, X, Y, made
from support import assert_same_state, guarded_run, run_json

import gdcore as gd
from gdcore import _many_remote, _many_sent
from gdcore.callbacks import Checkpoint, EarlyStopping

QUIET: dict[str, Any] = {"epochs": 3, "progress": False}

# What can differ between networks, and what no file can hold.
MIXTURE: dict[str, Callable[[], gd.Trainer]] = {
    "seed": lambda: made(3),
    "dtype": lambda: made(dtype="float64", num_threads=2),
    "kept": lambda: made(
        layers=[gd.Dense(9, "tanh"), gd.BatchNorm(), gd.Dropout(0.2), gd.Dense(1)]
    ),
    "own loss": sent.with_own_loss,
    "schedule": lambda: made(schedule="cosine"),
    "plateau": lambda: made(schedule=gd.schedules.ReduceOnPlateau(patience=0, monitor="loss")),
    "groups": lambda: made(groups=[gd.Group("0.*", schedule=sent.falling)], clip_grad_norm=0.5),
    "average": lambda: made(average="ema", optimizer=gd.Muon(0.01)),
    "wrapped": lambda: made(optimizer=gd.Lookahead(gd.NAdam(0.01)), seed=9),
}


@pytest.fixture
def pool() -> Iterator[Executor]:
    """One that does all that others do, but for processes."""
    with ThreadPoolExecutor(1) as made:
        yield made
    _many_remote._all.clear()


@pytest.fixture(scope="module")
def loky() -> Iterator[Executor]:
    process_executor = pytest.importorskip("joblib.externals.loky.process_executor")
    with process_executor.ProcessPoolExecutor(max_workers=2) as made:
        yield made


def assert_same(result: gd.FitResult, alone: gd.Trainer) -> None:
    assert result.error is None, result.error
    trainer = result.trainer
    assert trainer is not None
    assert result.history == alone.history
    assert trainer.history is result.history
    assert trainer._whole_history() == alone._whole_history()
    assert trainer.to_bytes() == alone.to_bytes()
    assert (trainer._num_threads, trainer.stopped) == (alone._num_threads, alone.stopped)
    assert (trainer._figures, trainer.schedule) == (alone._figures, alone.schedule)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 7},
        {"batch_size": 7, "validation_data": (XV, YV), "sample_weight": WEIGHT,
         "callbacks": [EarlyStopping(patience=1)]},
        {"batch_size": None, "validation_data": (XV, YV), "metrics": ["r2", sent.absolute]},
    ],
    ids=["plain", "stopping", "metrics"],
)  # fmt: skip
def test_each_has_the_bits_of_fit_alone(options: dict[str, Any], pool: Executor) -> None:
    given = [make() for make in MIXTURE.values()]
    for each in given[1::2]:  # some have begun
        each.fit(X, Y, epochs=1, batch_size=7, progress=False)
    results = gd.fit_many(given, X, Y, executor=pool, **QUIET, **options)
    for i, (make, result) in enumerate(zip(MIXTURE.values(), results)):
        alone = make()
        if i % 2:
            alone.fit(X, Y, epochs=1, batch_size=7, progress=False)
        alone.fit(X, Y, **QUIET, **options)
        assert_same(result, alone)
        assert result.trainer is given[i]
        assert given[i].step(X, Y) == alone.step(X, Y)  # and goes on as that
        assert given[i].to_bytes() == alone.to_bytes()


def test_processes_make_the_same_and_map_one_file(loky: Executor) -> None:
    trainers: list[Any] = [made(seed) for seed in range(4)]
    functions = [partial(made, 5), sent.with_own_loss, sent.diverging, sent.not_a_trainer]
    with pytest.warns(UserWarning, match=r"trainers\[6\]: FloatingPointError: the loss became"):
        results = gd.fit_many(
            trainers + functions, X, Y, executor=loky, validation_data=(XV, YV),
            callbacks=[At("")], **QUIET,
        )  # fmt: skip
    for i, make in enumerate([*(partial(made, seed) for seed in range(4)), *functions[:2]]):
        alone = make()
        alone.fit(X, Y, validation_data=(XV, YV), **QUIET)
        assert_same(results[i], alone)
    found = {each.callbacks[0].process for each in results[:6]}  # type: ignore[attr-defined]
    assert os.getpid() not in found
    assert results[6].trainer is not None
    assert results[6].trainer.steps == 0
    assert "line" in str(results[6].error.__cause__)  # type: ignore[union-attr]
    assert "_many_remote.py" in str(results[6].error.__cause__)  # type: ignore[union-attr]
    assert results[7].trainer is None
    assert "the function must make a gdcore.Trainer, got 'none'" in str(results[7].error)


def test_a_process_that_is_not_of_this_host_is_sent_the_data_once(
    pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = []
    plain = _many_sent.Parcel.whole

    def whole(parcel: Any) -> bytes:
        count.append(1)
        return plain(parcel)

    monkeypatch.setattr(_many_remote, "mapped", lambda folder: None)
    monkeypatch.setattr(_many_sent.Parcel, "whole", whole)
    rows = gd.folds(N, 3)
    x, y = {"a": X, "b": np.arange(N)[:, None] % 4}, {"p": Y}
    inputs = [gd.Input(5, name="a"), gd.Input(categories=(4,), name="b")]

    def joined(seed: int) -> gd.Trainer:
        h = gd.Concat()(inputs[0], gd.Embedding(2)(inputs[1]))
        net = gd.Network(inputs=inputs, outputs={"p": gd.Dense(1)(h)}, seed=seed)
        return gd.Trainer(net, {"p": "mse"}, "adam")

    results = gd.fit_many(
        [joined(i) for i in range(6)], x, y, rows=[rows[i // 2] for i in range(6)], executor=pool,
        sample_weight=WEIGHT, **QUIET,
    )  # fmt: skip
    there = gd.fit_many(
        [joined(i) for i in range(6)], x, y, rows=[rows[i // 2] for i in range(6)],
        sample_weight=WEIGHT, **QUIET,
    )  # fmt: skip
    assert 1 <= len(count) <= 2  # both threads of the pool may ask before it has come
    for one, other in zip(results, there):
        assert other.trainer is not None
        assert_same(one, other.trainer)


def test_data_that_were_sent_are_dropped_after_a_while(
    pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_many_remote, "_LOOK", 0.01)
    monkeypatch.setattr(_many_remote, "_IDLE", 0.0)
    for found in (_many_remote.mapped, lambda folder: None):  # mapped and sent
        monkeypatch.setattr(_many_remote, "mapped", found)
        gd.fit_many([made()], X, Y, executor=pool, **QUIET)
        for thread in threading.enumerate():
            if "_watch" in thread.name:
                thread.join(30)
        assert _many_remote._all == {}


def test_tables_keep_the_names_of_their_columns(pool: Executor) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pd.DataFrame(X, columns=list("abcde"))
    other = pd.DataFrame(XV, columns=list("abcde"))[list("ecbda")]
    results = gd.fit_many(
        [made(0), partial(made, 1)], table, pd.Series(Y[:, 0]), executor=pool,
        validation_data=(other, YV), **QUIET,
    )  # fmt: skip
    for seed, result in enumerate(results):
        alone = made(seed)
        alone.fit(table, Y, validation_data=(other, YV), **QUIET)
        assert_same(result, alone)
        assert result.trainer is not None
        assert result.trainer.network.feature_names == tuple("abcde")


def test_sparse_rows(pool: Executor) -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    x = sparse.csr_array(X * (X > 0.5))

    def trainer() -> gd.Trainer:
        net = gd.Network([gd.Dense(4, "relu"), gd.Dense(1)], inputs=gd.Input(5, sparse=True))
        return gd.Trainer(net, "mse", "adam")

    rows = [(np.arange(N) % 3 > 0, np.array([3, 0, 59])), np.array([5, 5, 1, 0])]
    results = gd.fit_many([trainer(), trainer()], x, Y, rows=rows, executor=pool, **QUIET)
    there = gd.fit_many([trainer(), trainer()], x, Y, rows=rows, **QUIET)
    for one, other in zip(results, there):
        assert other.trainer is not None
        assert_same(one, other.trainer)


def test_callbacks_of_each_come_back(pool: Executor, tmp_path: Path) -> None:
    given = EarlyStopping(patience=1)
    results = gd.fit_many(
        [made(seed, lr=0.1) for seed in range(3)], X, Y, epochs=20, progress=False, executor=pool,
        validation_data=(XV, YV),
        callbacks=lambda i: [given, Checkpoint(tmp_path / f"{i}")],
    )  # fmt: skip
    assert given.best_epoch == 0
    for i, result in enumerate(results):
        own = result.callbacks[0]
        assert isinstance(own, EarlyStopping)
        assert own.best == result.best["val_loss"]
        assert gd.Trainer.load(tmp_path / f"{i}").epochs == result.epochs


def test_what_a_callback_raises_ends_its_network_alone(pool: Executor) -> None:
    trainers = [made(seed) for seed in range(3)]
    with pytest.warns(UserWarning, match=r"trainers\[1\]: OSError: full"):
        results = gd.fit_many(trainers, X, Y, executor=pool, callbacks=[At("full")], **QUIET)
    assert [each.epochs for each in results] == [3, 2, 3]
    assert trainers[1].epochs == 2  # where Trainer.fit leaves it
    alone = made(1)
    with pytest.raises(OSError, match="full"):
        alone.fit(X, Y, callbacks=[At("full")], **QUIET)
    assert trainers[1].to_bytes() == alone.to_bytes()
    assert 'raise OSError("full")' in str(results[1].error.__cause__)  # type: ignore[union-attr]


def test_exceptions_and_callbacks_that_cannot_be_sent(pool: Executor) -> None:
    with pytest.warns(UserWarning, match=r"trainers\[1\]: RuntimeError: UnknownError: 1 and 2"):
        results = gd.fit_many(
            [made(0), made(1)], X, Y, executor=pool, callbacks=[At("unknown")], **QUIET
        )
    assert "sent.UnknownError: 1 and 2" in str(results[1].error.__cause__)  # type: ignore[union-attr]
    results = gd.fit_many([made(1)], X, Y, executor=pool, callbacks=[At("lock")], **QUIET)
    assert not hasattr(results[0].callbacks[0], "lock")  # as it went
    with pytest.warns(UserWarning, match=r"trainers\[1\]: .*within"):
        results = gd.fit_many([made(1), sent.hidden], X, Y, executor=pool, **QUIET)
    assert results[0].error is None


@pytest.mark.parametrize(("what", "kind"), [("interrupt", KeyboardInterrupt), ("exit", SystemExit)])
def test_what_ends_a_program_ends_all(what: str, kind: type[BaseException], pool: Executor) -> None:
    trainers = [made(seed, num_threads=3) for seed in range(4)]
    before = trainers[1].to_bytes()
    with pytest.raises(kind):
        gd.fit_many(trainers, X, Y, executor=pool, callbacks=[At(what)], **QUIET)
    # Those that were done by then stay trained.
    assert trainers[1].epochs == 0
    assert {each.epochs for each in trainers} <= {0, 3}
    assert trainers[1].to_bytes() == before
    assert trainers[0]._num_threads == 3
    gd.fit_many(trainers, X, Y, **QUIET)  # nobody holds them


def test_a_network_of_numbers_that_are_not_finite_fails(pool: Executor) -> None:
    broken = made(lr=1e30, optimizer=gd.SGD(lr=1e30))
    for _ in range(4):
        broken.step(X, Y)
    with pytest.warns(UserWarning, match="must be finite to be saved"):
        results = gd.fit_many([broken, made()], X, Y, executor=pool, **QUIET)
    assert [each.error is None for each in results] == [False, True]


def test_warnings_of_a_process_are_told_here(loky: Executor) -> None:
    over = [made(seed, schedule=gd.schedules.Cosine(t_max=2)) for seed in range(2)]
    for each in over:
        each.fit(X, Y, epochs=2, progress=False)
    with pytest.warns(UserWarning, match="is over") as told:
        gd.fit_many(over[:1], X, Y, executor=loky, **QUIET)
    with pytest.warns(UserWarning, match="is over") as there:
        gd.fit_many(over[1:], X, Y, **QUIET)
    assert [str(each.message) for each in told] == [str(each.message) for each in there]
    assert told[0].filename == __file__


# ---- processes that die ----


def test_of_a_process_that_dies_only_its_network_fails() -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    trainers = [made(seed) for seed in range(4)]
    with pytest.warns(UserWarning, match=r"1 of 4 networks failed: trainers\[1\]: Terminated"):
        results = gd.fit_many(
            trainers, X, Y, executor="loky", num_threads=2, callbacks=[At("kill")], **QUIET
        )
    assert isinstance(results[1].error, BrokenProcessPool)
    assert [each.epochs for each in trainers] == [3, 0, 3, 3]
    gd.fit_many(trainers, X, Y, **QUIET)


def test_a_pool_that_breaks_is_told_by_name() -> None:
    trainers = [made(seed) for seed in range(4)]
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.warns(UserWarning, match=r"trainers\[1\]: BrokenProcessPool: "),
    ):
        results = gd.fit_many(trainers, X, Y, executor=pool, callbacks=[At("kill")], **QUIET)
    assert [type(each.error) for each in results[1:]] == [BrokenProcessPool] * 3
    assert [each.epochs for each in trainers] == [3, 0, 0, 0]
    assert_same_state(trainers[0].network.state_dict(), results[0].trainer.network.state_dict())  # type: ignore[union-attr]


INTERRUPTED = """
import json, os, signal, sys, threading, time
import gdcore as gd, numpy as np
from sent import At, made
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).normal(size=(5000, 5))
y = x[:, :1]
trainers = [made(0), made(1), made(2)]
before = [t.to_bytes() for t in trainers]
from gdcore._many_sent import Board
plain = Board.epochs
def epochs(board, index):  # asked for the bar: once a network is at work, Ctrl-C
    done = plain(board, index)
    if done > 1 and trainers[0].epochs:
        os.kill(os.getpid(), signal.SIGINT)
    return done
Board.epochs = epochs
seen = False
begin = time.time()
try:
    gd.fit_many(trainers, x, y, epochs=10**7, batch_size=8, num_threads=2, executor="loky",
                callbacks=[At("stop", seed=0, epoch=1)])
except KeyboardInterrupt:
    seen = True
import glob
left = glob.glob(f"/dev/shm/gdcore-{os.getpid()}-*")
same = [t.to_bytes() == b for t, b in zip(trainers, before)]
print(json.dumps([seen, trainers[0].epochs, same, left]))
"""


def test_ctrl_c_ends_all_and_leaves_what_is_not_done_as_it_was() -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    here = str(Path(__file__).parent)
    seen, epochs, same, left = run_json(INTERRUPTED, env={"PYTHONPATH": here})
    assert (seen, epochs, left) == (True, 1, [])
    assert same == [False, True, True]


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no memory for files here")
def test_folders_of_the_killed_are_removed() -> None:
    number = 2**22 + 7  # of no process
    path = Path(f"/dev/shm/gdcore-{number}-test")
    path.mkdir(exist_ok=True)
    other = Path(f"/dev/shm/gdcore-{os.getpid()}-test")
    other.mkdir(exist_ok=True)
    try:
        with _many_sent.Parcel(0, 1, pickle.dumps) as parcel:
            assert Path(parcel.folder).exists()
            assert not path.exists()
            assert other.exists()
        assert not Path(parcel.folder).exists()
    finally:
        other.rmdir()


RANKS = """
import functools, json
from mpi4py.futures import MPIPoolExecutor
import gdcore as gd
from sent import At, X, Y, made
if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        found = gd.fit_many([made(0), functools.partial(made, 1)], X, Y, epochs=3, executor=pool,
                            progress=False, callbacks=[At("")])
    same = []
    for seed, each in enumerate(found):
        alone = made(seed)
        alone.fit(X, Y, epochs=3, progress=False)
        same.append(alone.to_bytes() == each.trainer.to_bytes())
    print(json.dumps([same, [str(each.error) for each in found]]))
"""


def test_the_ranks_of_an_mpi_run_are_an_executor(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    mpirun = shutil.which("mpirun", path=places)
    if mpirun is None:
        pytest.skip("there is no mpirun")
    program = tmp_path / "program.py"
    program.write_text(RANKS)
    told = guarded_run(
        [mpirun, "-n", "2", sys.executable, "-m", "mpi4py.futures", program],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert json.loads(told.stdout) == [[True, True], ["None", "None"]]


# ---- bad input ----


class Odd:
    """No executor that returns futures."""

    def submit(self, function: Any, *arguments: Any) -> int:
        return 3


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "name": (lambda: {"executor": "dask"}, ValueError, "executor must be 'loky' or an executor"),
    "number": (lambda: {"executor": 2}, TypeError, "executor must be 'loky', or a concurrent.fut"),
    "class": (lambda: {"executor": ThreadPoolExecutor}, TypeError, "executor must be 'loky', or"),
    "odd": (lambda: {"executor": Odd()}, TypeError, "submit must return a concurrent.futures.Fu"),
    "threads": (lambda: {"num_threads": 0}, ValueError, "num_threads must be at least 1, got 0"),
    "y": (lambda: {"y": Y[:9]}, ValueError, r"trainers\[0\]: y must have shape \(60,\)"),
    "source": (lambda: {"validation_data": gd.data.Chunks([(XV, YV)])}, TypeError,
               "validation_data must be a tuple of arrays where there is an executor, got Chunks"),
    "function": (lambda: {"trainers": [made(0), lambda: made(1)]}, TypeError,
                 r"trainers\[1\] must be .*a function that can be pickled.*sent by ThreadPool"),
    "loss": (lambda: {"trainers": [made(0, loss=lambda p, y: sent.own_loss(p, y))]}, TypeError,
             r"trainers\[0\] must have loss that can be pickled"),
    "schedule": (lambda: {"trainers": [made(0, schedule=lambda e: 0.1)]}, TypeError,
                 r"trainers\[0\] must have schedule that can be pickled"),
    "callback": (lambda: {"callbacks": lambda i: [EarlyStopping("loss"), Held()]}, TypeError,
                 r"callbacks\[1\] of trainers\[0\] must be such as can be pickled"),
    "metric": (lambda: {"metrics": [local()], "validation_data": (XV, YV)}, TypeError,
               "metrics must be such as can be pickled"),
}  # fmt: skip


def local() -> Any:
    def within(y: Any, output: Any) -> float:
        return 0.0

    return within


class Held(gd.callbacks.Callback):
    def __init__(self) -> None:
        self.lock = threading.Lock()


def test_without_joblib_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "joblib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "joblib", None)
    trainer = made()
    with pytest.raises(ImportError, match=r'pip install "gdcore\[sklearn\]"'):
        gd.fit_many([trainer], X, Y, executor="loky", **QUIET)
    with trainer._claim:
        pass


@pytest.mark.parametrize("what", list(BAD))
def test_bad_input_is_told_before_anything_is_done(what: str, pool: Executor) -> None:
    given, error, words = BAD[what]
    arguments = {"trainers": [made(0), made(1)], "x": X, "y": Y, "executor": pool} | given()
    before = [each.to_bytes() for each in arguments["trainers"] if isinstance(each, gd.Trainer)]
    with pytest.raises(error, match=words):
        gd.fit_many(**arguments, **QUIET)
    trainers = [each for each in arguments["trainers"] if isinstance(each, gd.Trainer)]
    assert [each.to_bytes() for each in trainers] == before
    assert not list(Path("/dev/shm").glob(f"gdcore-{os.getpid()}-*"))
    for each in trainers:  # and nobody holds them
        with each._claim:
            pass


def test_progress_is_shown(pool: Executor, capsys: pytest.CaptureFixture[str]) -> None:
    gd.fit_many([made(0), made(1)], X, Y, epochs=3, executor=pool)
    assert "2/2 networks: 100%" in capsys.readouterr().err

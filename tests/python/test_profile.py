"""What a profile holds: every worker's time without gaps, and all of the arithmetic."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import guarded_run

import gdcore as gd
from gdcore.profiling.recording import Recording

MNIST_M = (784, 512, 512, 10)
# Of a team of two the hired worker may give way, and be late for all of a step; three always meet.


def network(sizes: tuple[int, ...], dtype: str = "float32") -> gd.Network:
    layers = [gd.Dense(units, "relu") for units in sizes[1:-1]]
    return gd.Network([*layers, gd.Dense(sizes[-1])], input_size=sizes[0], dtype=dtype, seed=0)


def samples(sizes: tuple[int, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((count, sizes[0]), dtype=np.float32)
    return x, random.integers(0, sizes[-1], count)


def trainer_of(
    sizes: tuple[int, ...], threads: int = 1, dtype: str = "float32", **more: Any
) -> gd.Trainer:
    return gd.Trainer(
        network(sizes, dtype), "cross_entropy", gd.Adam(), num_threads=threads, **more
    )


def fitted(
    trainer: gd.Trainer, sizes: tuple[int, ...], batch: int, steps: int = 5, **profile: Any
) -> gd.profiling.Profile:
    """A profile of so many steps, after one that is not recorded."""
    x, y = samples(sizes, steps * batch)
    trainer.fit(x[:batch], y[:batch], batch_size=batch, progress=False)
    with gd.profile(**profile) as prof:
        trainer.fit(x, y, batch_size=batch, shuffle=False, progress=False)
    return prof


def ops(prof: gd.profiling.Profile) -> set[str]:
    return {prof.operations[i].op for i in np.unique(prof.events["operation"])}


def milliseconds(prof: gd.profiling.Profile, phase: str) -> float:
    return sum(row["ms"] for row in prof.table("phase") if row["phase"] == phase)


def flops_by_hand(sizes: tuple[int, ...], rows: int, *, clips: bool) -> int:
    """Of one step with Adam: products, sums of biases, ReLU where rows... and the update."""
    products = [2 * rows * a * b for a, b in pairwise(sizes)]
    forward = sum(products) + rows * sum(sizes[1:])  # with the bias
    loss = 3 * rows * sizes[-1]
    backward = 2 * sum(products) - products[0] + rows * sum(sizes[1:])
    parameters = sum(a * b + b for a, b in pairwise(sizes))
    return forward + loss + backward + (6 + 3 * clips) * parameters


# ---- all of the arithmetic, all of the time ----


@pytest.mark.parametrize(
    ("sizes", "batch", "threads", "clip"),
    [
        (MNIST_M, 128, 1, None),
        (MNIST_M, 128, 2, None),
        (MNIST_M, 128, 3, None),
        (MNIST_M, 128, 2, 0.5),
        ((10, 64, 64, 10), 512, 1, None),
        ((10, 64, 64, 10), 512, 4, None),  # by samples
        ((10, 64, 64, 10), 512, 4, 0.5),
        ((300, 256, 100), 4096, 2, None),  # in two pieces
    ],
)
def test_flops_of_a_step_are_exactly_those_counted_by_hand(
    sizes: tuple[int, ...], batch: int, threads: int, clip: float | None
) -> None:
    trainer = trainer_of(sizes, threads, clip_grad_norm=clip)
    prof = fitted(trainer, sizes, batch)
    expected = flops_by_hand(sizes, batch, clips=clip is not None)
    for step in range(1, 6):
        assert prof.events["flops"][prof.events["step"] == step].sum() == expected
    assert prof.events["flops"].sum() == 5 * expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_workers_are_covered_without_gaps(dtype: str) -> None:
    trainer = trainer_of(MNIST_M, 3, dtype)
    prof = fitted(trainer, MNIST_M, 128, steps=20)
    assert [thread.name for thread in prof.threads] == ["caller", "worker 1", "worker 2"]
    ends = prof.events["end"].max()
    for number in range(3):
        own = prof.events[prof.events["thread"] == number]
        assert (np.abs(own["begin"][1:] - own["end"][:-1]) <= 1).all()
        covered = (own["end"] - own["begin"]).sum()
        assert covered >= 0.98 * (ends - own["begin"][0])
        assert own["flops"].sum() > 0
        assert {prof.operations[i].arithmetic for i in np.unique(own["operation"])} <= {"", dtype}
    assert {"dense_forward", "weight_gradient", "input_gradient", "loss", "update"} <= ops(prof)


def test_waits_name_what_was_waited_for() -> None:
    prof = fitted(trainer_of(MNIST_M, 3), MNIST_M, 128)
    waits = prof.recording.phase("wait")
    assert waits.any()
    causes = prof.events["waits_for"]
    assert (causes[waits] > 0).all()
    assert (causes[~waits] == 0).all()
    named = {prof.operations[i].label for i in np.unique(causes[waits])}
    assert {"step", "dense_forward 0"} <= named


def test_recording_does_not_change_the_bits() -> None:
    states = []
    for recorded in (False, True):
        trainer = trainer_of((10, 64, 64, 10), 4)
        x, y = samples((10, 64, 64, 10), 2048)
        if recorded:
            with gd.profile():
                trainer.fit(x, y, batch_size=512, progress=False)
        else:
            trainer.fit(x, y, batch_size=512, progress=False)
        states.append(trainer.network.state_dict())
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])


# ---- what is around a step ----


class Sleeps(gd.callbacks.Callback):
    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        time.sleep(0.002)


class SleepsAfterwards(gd.callbacks.Callback):
    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        time.sleep(0.005)


@pytest.mark.parametrize(("callback", "least"), [(Sleeps(), 20.0), (SleepsAfterwards(), 5.0)])
def test_callbacks_have_their_own_time(callback: gd.callbacks.Callback, least: float) -> None:
    sizes = (8, 16, 4)
    x, y = samples(sizes, 320)
    trainer = trainer_of(sizes)
    with gd.profile() as prof:
        trainer.fit(x, y, batch_size=32, callbacks=[callback], progress=False)
    assert milliseconds(prof, "callback") >= least
    assert milliseconds(prof, "forward") > 0


def test_the_program_between_calls_has_its_own_time() -> None:
    sizes = (8, 16, 4)
    x, y = samples(sizes, 32)
    trainer = trainer_of(sizes)
    with gd.profile() as prof:
        for _ in range(4):
            trainer.step(x, y)
            time.sleep(0.002)
    assert milliseconds(prof, "caller") >= 8
    assert milliseconds(prof, "callback") == 0
    assert prof.steps == 4


def test_every_way_to_compute_is_recorded() -> None:
    sizes = (8, 16, 4)
    x, y = samples(sizes, 32)
    trainer = trainer_of(sizes)
    own = gd.Trainer(network(sizes), None, gd.SGD(lr=0.1))

    def custom() -> None:
        out = own.network.forward(x, training=True)
        own.network.backward(np.ones_like(out))
        own.apply_gradients()

    found = {}
    for name, call in {
        "predict": lambda: trainer.network.predict(x),
        "forward": lambda: trainer.network.forward(x),
        "evaluate": lambda: trainer.evaluate(x, y),
        "learn_one": lambda: trainer.learn_one(x[0], y[0]),
        "learn_many": lambda: trainer.learn_many(x, y),
        "custom": custom,
    }.items():
        with gd.profile() as prof:
            call()
        found[name] = ops(prof) - {"gil"}, prof.steps  # there on a machine that is busy
    assert found["predict"][0] == found["forward"][0] == {"caller", "step", "dense_forward"}
    assert found["evaluate"][0] == {"caller", "step", "dense_forward", "loss"}
    assert {"weight_gradient", "update"} <= found["learn_one"][0]
    assert {"weight_gradient", "input_gradient", "update"} <= found["custom"][0]
    assert [steps for _, steps in found.values()] == [0, 0, 0, 1, 32, 1]


# ---- long runs ----


def test_every_kth_step() -> None:
    prof = fitted(trainer_of((8, 16, 4)), (8, 16, 4), 32, steps=10, every=4)
    assert prof.steps == 10
    worked = np.unique(prof.events["step"][prof.recording.work])
    assert worked.tolist() == [1, 5, 9]
    assert prof.recording.recorded_steps == 3


def test_steps_of_microseconds_are_recorded_in_stretches(tmp_path: Path) -> None:
    sizes = (2, 2, 1)
    trainer = gd.Trainer(network(sizes), "mse", gd.SGD(lr=0.1))
    x, y = np.zeros((20_000, 2), np.float32), np.zeros((20_000, 1), np.float32)
    with gd.profile() as prof:
        for _ in range(3):
            trainer.learn_many(x, y)
    assert prof.every > 1
    assert prof.steps == 60_000
    assert prof.dropped == 0
    events = prof.events[prof.recording.work]
    late = events["step"] > 40_000  # disturbed or not, by then it has seen what they take
    worked = np.unique(events["step"][late]).astype(int)
    assert np.array_equal(
        worked, np.flatnonzero(np.arange(60_000) // 16 % prof.every == 0)[-len(worked) :] + 1
    )
    expected = trainer.flops_per_step(1) * prof.recording.recorded_steps
    assert int(prof.events["flops"][prof.recording.training].sum()) == expected
    summary = prof.advice()[0]
    assert f"{prof.recording.recorded_steps:,} of 60,000 steps of" in summary
    prof.save(tmp_path / "a.npz")
    assert gd.profiling.load(tmp_path / "a.npz").every == prof.every
    prof.plot(path := tmp_path / "a.svg")
    assert "nothing recorded between them" not in path.read_text()


def test_who_asks_for_each_step_has_each() -> None:
    trainer = gd.Trainer(network((2, 2, 1)), "mse", gd.SGD(lr=0.1))
    x, y = np.zeros((5_000, 2), np.float32), np.zeros((5_000, 1), np.float32)
    with gd.profile(every=1) as prof:
        trainer.learn_many(x, y)
    assert prof.every == 1
    assert prof.recording.recorded_steps == 5_000


def test_the_last_steps() -> None:
    prof = fitted(trainer_of((8, 16, 4)), (8, 16, 4), 32, steps=10, last_steps=3)
    assert np.unique(prof.events["step"]).tolist() == [8, 9, 10]
    assert prof.dropped > 0


def test_a_full_ring_drops_the_oldest_of_all_threads() -> None:
    prof = fitted(trainer_of(MNIST_M, 3), MNIST_M, 128, steps=60, events_per_thread=1024)
    assert prof.dropped > 0
    assert f"{prof.dropped:,} dropped" in repr(prof)
    assert prof.events["step"].max() == 60
    starts = [prof.events["begin"][prof.events["thread"] == i].min() for i in range(2)]
    first = [np.flatnonzero(prof.events["thread"] == i)[0] for i in range(2)]
    reach = max(prof.recording.durations[i] for i in first)
    assert abs(starts[0] - starts[1]) <= max(reach, prof.recording.durations.max())
    assert prof.memory_bytes == 3 * 1024 * 48


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_ten_million_events_do_not_grow_the_memory() -> None:
    sizes = (2, 2, 1)
    x = np.zeros((20_000, 2), np.float32)
    y = np.zeros((20_000, 1), np.float32)
    trainer = gd.Trainer(network(sizes), "mse", gd.SGD(lr=0.1))
    trainer.learn_many(x, y)
    with gd.profile(every=1, events_per_thread=1 << 14) as prof:
        trainer.learn_many(x, y)
        before = resident()
        for _ in range(45):
            trainer.learn_many(x, y)
        after = resident()
    events = prof.dropped + len(prof.events)
    assert events > 10_000_000
    assert prof.memory_bytes == (1 << 14) * 48
    assert after - before < 2 << 20  # the arrays of losses come and go


# ---- who may, and when ----


def test_a_profile_is_read_after_its_block() -> None:
    prof = gd.profile()
    assert repr(prof) == "Profile(empty)"
    with pytest.raises(RuntimeError, match="has recorded nothing"):
        prof.table()
    with prof:
        assert repr(prof) == "Profile(recording)"
        with pytest.raises(RuntimeError, match="is being recorded"):
            _ = prof.events
        with pytest.raises(RuntimeError, match="one at a time"):
            gd.profile().__enter__()
    assert prof.steps == 0
    with pytest.raises(RuntimeError, match="records once"):
        prof.__enter__()


def test_an_exception_passes_and_leaves_the_profile() -> None:
    x, y = samples((8, 16, 4), 32)
    prof = gd.profile()
    trainer = trainer_of((8, 16, 4))

    def fail() -> None:
        with prof:
            trainer.step(x, y)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert prof.steps == 1
    with gd.profile():
        pass


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"every": 1.0}, TypeError, "every must be an integer"),
        ({"last_steps": 0}, ValueError, "last_steps must be at least 1"),
        ({"events_per_thread": 10}, ValueError, "events_per_thread must be at least 1024, got 10"),
        ({"counters": 1}, TypeError, "counters must be True or False"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gd.profile(**arguments)


def test_a_callback_may_begin_and_end_a_profile() -> None:
    class Profiles(gd.callbacks.Callback):
        profile = None

        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            if trainer.steps == 3:
                self.profile = gd.profile()
                self.profile.__enter__()
            if trainer.steps == 6:
                self.profile.__exit__(None, None, None)

    callback = Profiles()
    x, y = samples((8, 16, 4), 320)
    trainer_of((8, 16, 4)).fit(x, y, batch_size=32, callbacks=[callback], progress=False)
    assert callback.profile.steps == 3


def test_profiles_come_and_go_while_others_train() -> None:
    sizes = (10, 64, 64, 10)
    x, y = samples(sizes, 512)
    go_on = True

    def train() -> None:
        trainer = trainer_of(sizes, 2)
        while go_on:
            trainer.step(x, y)

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with gd.profile() as prof:
                time.sleep(0.005)
            for number in range(len(prof.threads)):
                own = prof.events[prof.events["thread"] == number]
                assert (own["begin"][1:] >= own["end"][:-1] - 1).all()
    finally:
        go_on = False
        for thread in threads:
            thread.join()


FORK = """
import os, sys
import numpy as np
import gdcore as gd

net = gd.Network([gd.Dense(512, "relu"), gd.Dense(10)], input_size=256, seed=0)
trainer = gd.Trainer(net, "cross_entropy", "adam", num_threads=2)
x, y = np.ones((128, 256), np.float32), np.arange(128) % 10
with gd.profile() as prof:
    trainer.step(x, y)
    child = os.fork()
    if child == 0:
        trainer.step(x, y)
        with gd.profile() as own:
            trainer.step(x, y)
        os._exit(0 if own.steps == 1 and own.threads[0].name == "caller" else 1)
    trainer.step(x, y)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert prof.steps == 2, prof
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_records_for_itself() -> None:
    done = guarded_run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# ---- forms ----


@pytest.fixture(scope="module")
def prof() -> gd.profiling.Profile:
    return fitted(trainer_of(MNIST_M, 3), MNIST_M, 128)


@pytest.mark.parametrize("by", ["op", "layer", "phase", "thread"])
def test_tables_add_up(prof: gd.profiling.Profile, by: str) -> None:
    rows = prof.table(by)
    assert sum(row["ms"] for row in rows) == pytest.approx(prof.recording.durations.sum() / 1e6)
    if by == "thread":
        shares = [
            sum(v for k, v in row.items() if k.endswith("%") and k != "covered %") for row in rows
        ]
        assert shares == pytest.approx([100] * len(rows))
        assert all(row["covered %"] > 98 for row in rows)
    else:
        assert sum(row["%"] for row in rows) == pytest.approx(100)
    lines = str(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split()[0] == by
    assert repr(rows) == str(rows)


def test_a_table_of_something_else(prof: gd.profiling.Profile) -> None:
    ways = "op, layer, phase, thread, rank"
    with pytest.raises(ValueError, match=f"by must be one of {ways}, got 'ops'"):
        prof.table("ops")


def test_profiles_are_saved_and_loaded(prof: gd.profiling.Profile, tmp_path: Path) -> None:
    prof.save(tmp_path / "a.npz")
    other = gd.profiling.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(other.events, prof.events)
    assert other.threads == prof.threads
    assert other.operations == prof.operations
    assert other.machine == prof.machine
    assert other.machine.peaks
    assert str(other.table()) == str(prof.table())
    assert repr(other) == repr(prof)


def test_other_files_are_no_profiles(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gd.profiling.load(tmp_path / "none.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    (tmp_path / "c.npz").write_bytes(b"nonsense")
    for name in ("b.npz", "c.npz"):
        with pytest.raises(ValueError, match=f"that Profile.save wrote, got .*{name}"):
            gd.profiling.load(tmp_path / name)


def test_data_frames_have_the_events_by_name(prof: gd.profiling.Profile) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = prof.to_pandas()
    assert len(frame) == len(prof.events)
    by_op = frame.groupby("op", observed=True)["duration_us"].sum()
    rows = prof.table("op")
    for op in ("loss", "wait", "dense_forward"):
        assert by_op[op] / 1e3 == pytest.approx(sum(r["ms"] for r in rows if r["op"] == op))
    assert set(frame["thread"]) == {"caller", "worker 1", "worker 2"}
    assert (frame.loc[frame["phase"] == "wait", "waits_for"] != "").all()


def test_a_missing_package_names_the_extra(
    prof: gd.profiling.Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pandas.*gdcore\[profile\]"):
        prof.to_pandas()


def test_counters_are_there_or_it_is_told_why(prof: gd.profiling.Profile, tmp_path: Path) -> None:
    prof.save(tmp_path / "profile.npz")
    loaded = gd.profiling.load(tmp_path / "profile.npz")
    assert loaded.counters_error == prof.counters_error
    for thread in prof.threads:
        if thread.counters is None:
            assert len(prof.counters_error) > 10
        else:
            assert thread.counters["instructions"] > 0
    with gd.profile(counters=False) as without:
        trainer_of((8, 16, 4)).step(*samples((8, 16, 4), 32))
    assert without.counters_error == ""
    assert without.threads[0].counters is None


def test_cpu_times_are_told_on_linux(prof: gd.profiling.Profile) -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("the kernel keeps no schedstat")
    for thread in prof.threads:
        assert 0 <= thread.cpu_seconds <= 1.1 * prof.seconds + 0.01
        assert thread.ready_seconds >= 0


def test_zones_explain_every_op(prof: gd.profiling.Profile) -> None:
    told = gd.profiling.zones()
    assert ops(prof) <= set(told)
    assert {operation.phase for operation in prof.operations[1:]} <= set(told)


def test_an_empty_recording_has_no_rows() -> None:
    with gd.profile() as nothing:
        pass
    assert isinstance(nothing.recording, Recording)
    # On a busy machine the caller may have waited for the GIL.
    assert {row["phase"] for row in nothing.table("phase")} - {"gil", "step"} == {"caller"}
    assert not nothing.events["flops"].any()
    assert nothing.recording.recorded_steps == 0

"""One profile of all ranks: clocks, what is gathered, and who waited for whom."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ranked import EXCHANGE, PROGRAM, WORK, profile_of, ranks_of, recording, steps_of
from support import guarded_run

import gdcore as gd
from gdcore.distributed import Communicator, run_ranks
from gdcore.profiling import Profile, Recording
from gdcore.profiling._profile import _with_recording
from gdcore.profiling.ranks.clocks import Reading, clock_of, read_clocks
from gdcore.profiling.ranks.exchanges import exchanges_of
from gdcore.profiling.ranks.gathering import gathered
from gdcore.profiling.recording import Rank
from gdcore.profiling.records import RANGE, Clock

# ---- clocks ----


class Late:
    """A communicator whose messages take their time: another for each of both ways."""

    def __init__(self, own: Communicator, seed: int, least: float) -> None:
        self._own, self._random, self._least = own, random.Random(seed), least
        self.rank, self.size = own.rank, own.size
        self.bcast, self.gather, self.abort = own.bcast, own.gather, own.abort
        self.allgatherv = own.allgatherv

    def alltoallv(self, *given: Any) -> None:
        self._own.alltoallv(*given)
        time.sleep(self._least * (1 + self._random.expovariate(1.0)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_bounds_hold_the_true_offset_of_each_clock(size: int) -> None:
    offsets = [0, 7_000_000_000_123, -41_000_000][:size]

    def work(communicator: Communicator) -> list[Reading]:
        late = Late(communicator, communicator.rank, 20e-6)
        return read_clocks(late, lambda: time.monotonic_ns() + offsets[communicator.rank])

    found, *others = run_ranks(size, work)
    assert others == [[]] * (size - 1)
    assert len(found) == size
    assert (found[0].offset, found[0].error) == (0, 0)
    for reading, offset in zip(found[1:], offsets[1:], strict=True):
        assert reading.low <= offset <= reading.high
        assert abs(reading.offset - offset) <= reading.error
        assert 20_000 <= reading.error < 20_000_000  # a message takes 20 us and more
        assert reading.rounds % 10 == 0


def test_a_third_rank_that_comes_late_does_not_widen_the_bounds_of_the_other_two() -> None:
    """A message waits for nobody in between; where all tell each other their times, it does."""
    inbox: dict[tuple[int, int], Any] = {}
    came = threading.Condition()

    class Pairwise:
        """Carries from rank to rank alone: who has nothing to receive goes on at once."""

        size = 3
        bcast: Any
        allgatherv: Any
        gather: Any
        abort: Any

        def __init__(self, rank: int, own: Communicator) -> None:
            self.rank, self.bcast = rank, own.bcast

        def alltoallv(self, send: Any, counts: Any, receive: Any, receive_counts: Any) -> None:
            if self.rank == 2:
                time.sleep(0.001)
            with came:
                for to, count in enumerate(counts):
                    if count:
                        inbox[self.rank, to] = send.copy()
                        came.notify_all()
                for source, count in enumerate(receive_counts):
                    if count:
                        came.wait_for(lambda source=source: (source, self.rank) in inbox)  # type: ignore[misc]
                        receive[:] = inbox.pop((source, self.rank))

    def work(communicator: Communicator) -> list[Reading]:
        return read_clocks(Pairwise(communicator.rank, communicator))

    found = run_ranks(3, work)[0]
    assert found[1].error < 500_000 < found[2].error


def test_drift_is_seen_between_the_readings_and_taken_off() -> None:
    # 100 s apart; 50 us a second fast. Both readings are to 10 us.
    before = Reading(at=1_000, low=4_990_000, high=5_010_000, rounds=10)
    after = Reading(at=100_000_001_000, low=9_985_000, high=10_015_000, rounds=20)
    clock = clock_of(before, after)
    assert clock.error == 15_000
    assert clock.drift == pytest.approx(50e-6)
    assert clock.drift_is_sure
    assert clock.rounds == 30
    own_begin, own_end = 1_000 + 5_000_000, 100_000_001_000 + 10_000_000
    assert own_begin - clock.ahead(own_begin) == pytest.approx(1_000, abs=1)
    assert own_end - clock.ahead(own_end) == pytest.approx(100_000_001_000, abs=1_000)
    rows = [[0, 1_000, WORK, 1, 0], [99_999_000_000, 100_000_000_000, EXCHANGE, 1, 8]]
    told = recording(rows, began=own_begin, memory=np.array([[100_000_000_000, 5, 5]]))
    moved = told.on(clock)
    assert moved.began == pytest.approx(1_000, abs=1)
    ends = moved.began + moved.events["end"]
    assert ends[1] == pytest.approx(100_000_000_000 + 1_000 - 5_000_000, abs=2_000)
    assert moved.memory[0, 0] == moved.events["end"][1] == moved.nanoseconds
    assert told.events["end"][1] == 100_000_000_000  # stays as it was
    still = clock_of(before, replace(before, at=after.at, low=before.low + 5_000))
    assert not still.drift_is_sure


# ---- who waited for whom ----


def test_a_rank_that_is_late_makes_the_others_wait() -> None:
    found = exchanges_of(ranks_of([300, 200, 300], [700, 800, 300], [300, 300, 302]))
    assert found.step.tolist() == [1, 2, 3]
    assert found.last.tolist() == [1, 1, -1]  # in the third by less than what clocks tell
    assert found.waited.tolist() == [[400, 0, 400], [600, 0, 500], [0, 0, 0]]
    assert found.made_wait(1) == (400 + 400 + 600 + 500) / 2
    prof = profile_of([300, 200, 300], [700, 800, 300], [300, 300, 302])
    rows = prof.table("rank")
    assert [row["rank"] for row in rows] == [0, 1, 2]
    assert [row["host"] for row in rows] == ["a", "b", "a"]
    assert [row["steps"] for row in rows] == [3, 3, 3]
    assert [row["computing, ms"] for row in rows] == pytest.approx([800e-6, 1800e-6, 902e-6])
    assert [row["waiting, ms"] for row in rows] == pytest.approx([1000e-6, 0, 900e-6])
    assert [row["exchange, ms"] for row in rows] == pytest.approx([1200e-6, 1200e-6, 1198e-6])
    assert [row["other, ms"] for row in rows] == pytest.approx([0, 0, 0])
    assert [row["exchanged, MB"] for row in rows] == pytest.approx([1.5e-3] * 3)
    assert [row["last, times"] for row in rows] == [0, 2, 0]
    assert [row["last %"] for row in rows] == [0, 100, 0]
    assert [row["+- us"] for row in rows] == pytest.approx([0, 0.01, 0.01])
    told = [each for each in prof.advice() if each.kind == "ranks"]
    assert told[0].startswith("3 ranks were computing 39 % of the time, at exchanges 40 %")
    assert "Rank 1 on b came last to 2 of the 2 exchanges" in told[1]
    assert "0.317 us a step" in told[1]
    assert told[1].share == pytest.approx(0.317, abs=1e-3)


def test_waiting_that_is_no_longer_than_the_clocks_are_off_is_not_told() -> None:
    prof = profile_of([300, 300], [700, 340], error=150.0)
    assert [row["last, times"] for row in prof.table("rank")] == [0, 1]
    assert prof.table("rank")[0]["waiting, ms"] == pytest.approx(400e-6)
    prof = profile_of([300, 300], [700, 340], error=401.0)
    assert [row["last, times"] for row in prof.table("rank")] == [0, 0]
    assert [row["waiting, ms"] for row in prof.table("rank")] == [0, 0]
    assert prof.table("rank")[0]["last %"] is None
    assert any("Nobody came last to any of 2" in each for each in prof.advice())


def test_late_ranks_that_change_are_told_as_such() -> None:
    prof = profile_of([300, 700, 300, 700], [700, 300, 700, 300])
    told = [each for each in prof.advice() if each.kind == "ranks"]
    assert told[1].endswith("who is late changes.")


def test_steps_that_a_rank_has_not_whole_are_left_out() -> None:
    ranks = ranks_of([300, 300, 300], [700, 700, 700])
    short = ranks[1].recording
    ranks[1] = replace(ranks[1], recording=replace(short, events=short.events[2:]))
    found = exchanges_of(ranks)
    assert found.step.tolist() == [2, 3]
    nothing = replace(ranks[1], recording=replace(short, events=short.events[:1]))
    assert len(exchanges_of([ranks[0], nothing])) == 0
    prof = _with_recording(replace(ranks[0].recording, ranks=[ranks[0], nothing]))
    assert any("no exchange that all of them have" in each for each in prof.advice())


def test_ranges_of_that_name_count_where_gdcore_itself_exchanged_nothing() -> None:
    ranks = []
    for i, arrival in enumerate([300, 700]):
        rows = [[0, arrival, WORK, 1, 0], [arrival, 1000, PROGRAM, 2, 0]]
        own = np.zeros(2, RANGE)
        own["begin"], own["end"], own["step"], own["name"] = [0, arrival], [9, 1000], 1, [0, 1]
        told = recording(rows, ranges=own, range_names=("other", "exchange"))
        ranks.append(Rank(i, Clock(), told))
    assert exchanges_of(ranks).waited.tolist() == [[400, 0]]
    prof = _with_recording(replace(ranks[0].recording, ranks=ranks))
    first, second = prof.table("rank")
    assert (first["waiting, ms"], first["exchange, ms"]) == pytest.approx((400e-6, 300e-6))
    assert (second["waiting, ms"], second["other, ms"]) == pytest.approx((0, 0))


def test_a_profile_of_one_process_has_one_row_and_no_ranks() -> None:
    prof = _with_recording(recording(steps_of([300])))
    assert prof.ranks == ()
    (row,) = prof.table("rank")
    assert (row["rank"], row["waiting, ms"], row["clock ahead, us"]) == (0, 0, 0)
    assert not [each for each in prof.advice() if each.kind == "ranks"]
    with pytest.raises(ValueError, match=r"number must be a rank.*got 1: it is of one process"):
        prof.rank(1)


# ---- gathered ----


def test_recordings_are_gathered_in_the_time_of_rank_0() -> None:
    ahead = [0, 5_000_000, -3_000_000]

    def work(communicator: Communicator) -> Recording:
        number = communicator.rank
        own = recording(steps_of([300]), "abc"[number], began=10_000_000 + ahead[number])
        before = [Reading(10_000_000, each - 7, each + 7, 10) for each in ahead]
        after = [Reading(20_000_000, each - 9, each + 9, 10) for each in ahead]
        return gathered(communicator, own, before, after)

    first, second, third = run_ranks(3, work)
    assert second.ranks == third.ranks == ()
    assert [each.number for each in first.ranks] == [0, 1, 2]
    assert [each.name for each in first.ranks] == ["rank 0 on a", "rank 1 on b", "rank 2 on c"]
    assert [each.recording.began for each in first.ranks] == [10_000_000] * 3
    assert [each.clock.error for each in first.ranks] == [0, 9, 9]
    assert "rank 1 on b, clock within 0.009 us, 2 events" in repr(first.ranks[1])


def test_a_profile_of_ranks_is_saved_copied_and_taken_apart(tmp_path: Path) -> None:
    prof = profile_of([300, 200], [700, 800])
    prof.save(tmp_path / "ranks.npz")
    for again in (gd.profiling.load(tmp_path / "ranks.npz"), pickle.loads(pickle.dumps(prof))):
        assert again.table("rank") == prof.table("rank")
        assert again.ranks[1].clock == prof.ranks[1].clock
        assert repr(again) == repr(prof)
        assert again.ranks[0].recording.ranks == ()
    assert copy.copy(prof).ranks[1].host == "b"
    assert repr(prof).startswith("Profile(of 2 ranks, rank 0: ")
    other = prof.rank(1)
    assert other.machine.host == "b"
    assert other.table("phase")[0]["ms"] == pytest.approx(1500e-6)
    assert prof._repr_html_() is not None
    assert "last, times" in str(prof._repr_html_())
    for wrong in (2, -1):
        with pytest.raises(ValueError, match="number"):
            prof.rank(wrong)


def test_a_trace_has_a_process_for_each_rank(tmp_path: Path) -> None:
    prof = profile_of([300, 200], [700, 800])  # with the same numbers, as hosts may have
    note = prof.to_chrome_trace(tmp_path / "trace.json")
    assert note == "2 ranks; of rank 0 all 4 events"
    held = json.loads((tmp_path / "trace.json").read_text())
    entries = held["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in entries if e["name"] == "process_name"}
    assert list(names.values()) == ["rank 0 on a", "rank 1 on b"]
    assert 100 in names
    lanes = {(e["pid"], e["tid"]) for e in entries if e["name"] == "thread_name"}
    assert len({tid for _, tid in lanes}) == len(lanes)
    late = [e for e in entries if e["name"] == "exchange" and names[e["pid"]] == "rank 1 on b"]
    assert [e["ts"] for e in late] == pytest.approx([0.7, 1.8])
    assert "us ahead of rank 0's, +- 0.01 us" in held["otherData"]["rank 1 on b"]
    with pytest.raises(ValueError, match="steps must have a step that was recorded"):
        prof.to_chrome_trace(tmp_path / "none.json", steps=range(9, 10))


def test_perfetto_has_a_process_for_each_rank(tmp_path: Path) -> None:
    protos = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    profile_of([300, 200], [700, 800]).to_perfetto(tmp_path / "trace.pftrace")
    trace = protos.Trace()
    trace.ParseFromString((tmp_path / "trace.pftrace").read_bytes())
    tracks = [p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")]
    processes = [t.process.process_name for t in tracks if t.HasField("process")]
    assert processes == ["rank 0 on a", "rank 1 on b"]
    assert len({t.uuid for t in tracks}) == len(tracks)
    cleared = [p.trusted_packet_sequence_id for p in trace.packet if p.sequence_flags == 1]
    assert len(set(cleared)) == len(cleared)


def test_the_page_shows_the_ranks(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    prof = profile_of([300, 200, 300], [700, 800, 300])
    prof.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<h2>Ranks</h2>" in page
    assert 'id="ranks-timeline"' in page
    assert "rank 1 on b" in page
    _with_recording(recording(steps_of([300]))).to_html(tmp_path / "one.html")
    assert "<h2>Ranks</h2>" not in (tmp_path / "one.html").read_text()


# ---- recorded ----


def test_one_rank_records_as_always_and_has_itself() -> None:
    def work(communicator: Communicator) -> Profile:
        with gd.profile(communicator=communicator) as prof:
            gd.matmul(np.ones((64, 64)), np.ones((64, 64)))
        return prof

    (prof,) = run_ranks(1, work)
    assert len(prof.ranks) == 1
    assert prof.ranks[0].recording.events is prof.events
    assert "matmul" in {row["op"] for row in prof.table()}


def test_a_rank_that_leaves_by_an_exception_waits_for_nobody() -> None:
    def work(communicator: Communicator) -> Profile:
        if communicator.rank == 1:  # one recording at a time in a process: it only has a clock
            read_clocks(communicator)
            return Profile()
        prof = gd.profile(communicator=communicator)
        prof.__enter__()
        gd.matmul(np.ones((64, 64)), np.ones((64, 64)))
        error = ArithmeticError()
        prof.__exit__(type(error), error, None)
        return prof

    prof, _ = run_ranks(2, work, timeout=20.0)
    assert prof.ranks == ()
    assert len(prof.events)


def test_what_is_no_communicator_is_an_error() -> None:
    with pytest.raises(TypeError, match="communicator must be one of mpi4py"):
        gd.profile(communicator=3)


PROGRAM_OF_RANKS = """
import sys, time
import numpy as np
import gdcore as gd
from gdcore.profiling.ranks.exchanges import exchanges_of
from mpi4py import MPI

world = MPI.COMM_WORLD
x, y = np.random.default_rng(0).normal(size=(64, 8)), np.zeros((64, 1))
trainer = gd.Trainer(gd.Network([gd.Dense(1)], input_size=8, seed=0), "mse", "sgd", num_threads=1)
trainer.step(x, y)
came = []
with gd.profile(communicator=world) as prof:
    for _ in range(10):
        trainer.step(x, y)
        if world.rank == 1:
            time.sleep(0.004)
        came.append(time.monotonic_ns())  # both have one clock
        with gd.range("exchange"):
            world.Barrier()
came = world.gather(came)
if world.rank == 0:
    print(prof.to_chrome_trace(sys.argv[1]))
    truth = np.array(came).T
    found = exchanges_of(prof.ranks)
    told = found.last >= 0
    right = np.abs(found.begin - truth) < 50_000 + prof.ranks[1].clock.error
    print(len(found), told.sum() >= 5, right.mean() > 0.7)
    print((found.last == truth.argmax(axis=1))[told & right.all(axis=1)].all())
    print(sum(row["last, times"] for row in prof.table("rank")) == told.sum())
assert bool(prof.ranks) == (world.rank == 0)
"""


def mpirun() -> str:
    found = shutil.which("mpirun", path=str(Path(sys.executable).parent)) or shutil.which("mpirun")
    if found is None:
        pytest.skip("there is no mpirun")
    return found


def test_two_processes_of_mpi_make_one_profile(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    command = [mpirun(), "-n", "2", sys.executable, "-c", PROGRAM_OF_RANKS, tmp_path / "t.json"]
    # Open MPI wants to be asked twice by root, and for more ranks than cores.
    told = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    mapping = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    environment = os.environ | dict.fromkeys(told, "1") | mapping
    done = guarded_run(command, capture_output=True, text=True, env=environment)
    if "MPI" in done.stderr and "cannot load MPI library" in done.stderr:
        pytest.skip("mpi4py finds no MPI library")
    assert done.returncode == 0, done.stderr
    assert "2 ranks; of rank 0 all" in done.stdout
    assert done.stdout.splitlines()[1:] == ["10 True True", "True", "True"]
    entries = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert len([e for e in entries if e["name"] == "process_name"]) == 2

"""The watch of ranks: who is gone is named once, and the others end. Without MPI."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import ROOT

from gdcore.communication.judging import Fault, Peer, faults, named, notes, told
from gdcore.communication.lines import Line, connect, listen, proof
from gdcore.communication.meetings import Meeting
from gdcore.communication.spoke import turn
from gdcore.communication.watch import busy, current, meeting, timeout_of

HOST = socket.gethostname()
PROGRAM = ROOT / "tests" / "python" / "fake_ranks.py"

needs_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX's signals")


def ran(folder: Path, how: str, who: int, size: int = 3) -> tuple[list[int], list[str]]:
    """Statuses and standard errors of ranks."""
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, folder, str(rank), str(size), how, str(who)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        errors = [process.communicate(timeout=30)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], errors


@needs_posix
@pytest.mark.parametrize(
    ("how", "who", "words"),
    [
        ("exception", 1, "raised an exception; the run ends:\nTraceback"),
        ("exception", 0, "raised an exception; the run ends:\nTraceback"),
        ("exit", 2, "has ended without a word; the run ends"),
        ("kill", 1, "has ended without a word; the run ends"),
        ("kill", 0, "has ended without a word; the run ends"),
        ("stop", 1, "has been silent for 2 s: stopped, or cut off; the run ends"),
        ("stop", 0, "has been silent for 2 s: stopped, or cut off; the run ends"),
        ("never", 1, f"has not come to step 1 for 2 s, where ranks 0, 2 ({HOST}) wait; it is at"),
        ("end", 1, "ended with status 0, but rank"),
        ("code", 1, "ended with status 3, but rank"),
    ],
)
def test_a_rank_that_fails_is_named_once_and_the_others_end(
    how: str, who: int, words: str, tmp_path: Path
) -> None:
    codes, errors = ran(tmp_path, how, who)
    speaker = 0 if who != 0 or how == "exception" else 1  # the lowest that is left
    assert errors[speaker].startswith(f"gdcore: rank {who} ({HOST}) {words}")
    assert [error for rank, error in enumerate(errors) if rank != speaker] == ["", ""]
    code = 3 if how == "code" else 1
    assert (tmp_path / f"abort{speaker}").read_text() == str(code)
    assert codes[speaker] == code
    if how == "exception":
        assert errors[speaker].endswith("ValueError: no good\n")


@needs_posix
def test_an_exception_of_all_is_told_once(tmp_path: Path) -> None:
    _, errors = ran(tmp_path, "all raise", 0)
    assert errors[0].startswith("gdcore: every rank raised an exception; the run ends:\nTraceback")
    assert errors[0].count("ValueError: no good") == 1
    assert errors[1:] == ["", ""]


@needs_posix
def test_an_abort_that_hangs_ends_all_the_same(tmp_path: Path) -> None:
    codes, errors = ran(tmp_path, "hanging abort", 1, size=2)
    assert codes == [1, 1]
    assert "".join(errors).count("raised an exception") == 1


@needs_posix
@pytest.mark.parametrize(
    ("how", "text"), [("good", ""), ("busy", ""), ("texts", "nothing to do\n")]
)
def test_a_good_end_is_one(how: str, text: str, tmp_path: Path) -> None:
    codes, errors = ran(tmp_path, how, 1, size=2)
    assert codes == [0, 0]
    assert errors == [text, ""]
    assert not list(tmp_path.glob("abort*"))


# ---- what is judged ----


def peers(*hosts: str, **changes: Mapping[int, object]) -> list[Peer]:
    made = [Peer(rank, host) for rank, host in enumerate(hosts)]
    for name, values in changes.items():
        for rank, value in values.items():
            setattr(made[rank], name, value)
    return made


WORLD = {"world": range(3)}


def judged(found: list[Peer], timeout: float = 10.0) -> str:
    """The message, or nothing."""
    wrong = faults(found, WORLD, timeout)
    return told(wrong, found, len(found))[0] if wrong else ""


def test_ranks_are_named_with_their_hosts() -> None:
    found = peers("one", "one", "one", "two", "two", "one")
    assert named([0, 1, 2, 3, 5], found) == "ranks 0-2, 5 (one), 3 (two)"
    assert named([4, 3], found) == "ranks 3, 4 (two)"
    assert named([1], found) == "rank 1 (one)"


def test_nothing_is_wrong_as_long_as_all_come() -> None:
    at = {0: {"world": (5, "step 5", 8.0)}, 1: {"world": (5, "step 5", 8.0)}}
    assert judged(peers("a", "a", "a", at=at)) == ""
    inside = {rank: {"world": (5, "step 5", 50.0)} for rank in range(3)}
    assert judged(peers("a", "a", "a", at=inside)) == ""  # large, perhaps


def test_who_does_not_come_is_named_and_not_who_waits() -> None:
    at = {
        0: {"world": (5, "step 5", 9.0)},
        1: {"world": (5, "", 0.0)},
        2: {"world": (5, "step 5", 1)},
    }
    found = peers("a", "b", "b", at=at, place={1: "t.py:3 in f"})
    assert judged(found) == (
        "gdcore: rank 1 (b) has not come to step 5 for 10 s, where ranks 0 (a), 2 (b) wait; it is "
        "at t.py:3 in f; the run ends\n"
    )
    found[1].busy = "drawing"
    assert judged(found) == ""


def test_who_is_in_another_exchange_is_named() -> None:
    at = {
        0: {"world": (5, "bcast", 9.0)},
        1: {"world": (5, "gather", 9.0)},
        2: {"world": (5, "bcast", 9)},
    }
    assert "rank 1 (a) is in gather, but ranks 0, 2 (a) in bcast" in judged(peers(*"aaa", at=at))


def test_an_exchange_that_brings_nothing_ends_in_the_end() -> None:
    at = {rank: {"world": (5, "step 5", 101.0)} for rank in range(3)}
    assert "MPI brings nothing" in judged(peers(*"aaa", at=at))


def test_who_is_gone_comes_before_what_that_leads_to() -> None:
    found = peers(
        *"aaa", raised={0: "Traceback\nMPIError: gone\n"}, gone={2: "was ended by signal 9"}
    )
    assert judged(found).splitlines() == [
        "gdcore: rank 2 (a) was ended by signal 9; the run ends",
        "gdcore: rank 0 (a) raised an exception: MPIError: gone",
    ]


def test_exceptions_that_differ_are_each_told() -> None:
    found = peers(
        *"aaa", raised={0: "Traceback\nA: 1\n", 1: "Traceback\nA: 1\n", 2: "Traceback\nB: 2\n"}
    )
    assert judged(found) == (
        "gdcore: ranks 0, 1 (a) raised an exception; the run ends:\nTraceback\nA: 1\n"
        "gdcore: rank 2 (a) raised an exception: B: 2\n"
    )


def test_who_ends_early_is_an_error_once_it_is_waited_for() -> None:
    at = {0: {"world": (7, "", 0.0)}, 1: {"world": (7, "", 0.0)}, 2: {"world": (7, "", 0.0)}}
    found = peers(*"aaa", at=at, status={1: 0}, done_for={1: 50.0})
    assert judged(found) == ""  # the others may write files
    (note,) = notes(found, 10.0)
    assert note.ranks == (1,)
    assert note.says.startswith("has come to the end, and ranks 0, 2 (a) go on")
    found[2].at = {"world": (7, "step 7", 0.5)}
    assert "rank 1 (a) ended with status 0, but rank 2 (a) waits in step 7" in judged(found)
    found[2].at = {"world": (6, "step 6", 0.5)}  # rank 1 has been there
    assert judged(found) == ""
    found[1].status = 4
    assert "rank 1 (a) ended with status 4, 10 s ago, but ranks 0, 2 (a) go on" in judged(found)


def test_ranks_of_another_communicator_do_not_count() -> None:
    found = peers(*"aaa", at={0: {"0.1": (3, "step 3", 1.0)}}, status={2: 0})
    assert faults(found, {"0.1": [0, 1]}, 10.0) == []
    assert faults(found, {"0.1": [0, 2]}, 10.0)[0].ranks == (2,)


def test_of_many_machines_the_lowest_rank_of_each_speaks_next() -> None:
    hosts = ["a", "a", "a", "b", "b"]
    order = sorted(range(1, 5), key=lambda rank: turn(rank, hosts))
    assert order[0] == 1
    assert turn(3, hosts) == turn(2, hosts)
    assert turn(3, hosts, gone=[1, 2]) == 0


def test_a_message_names_a_status() -> None:
    assert told([Fault((0,), "stops", 3)], peers("a"), 1) == (
        "gdcore: rank 0 (a) stops; the run ends\n",
        3,
    )


# ---- parts ----


def test_exchanges_are_counted_once_each_and_those_that_fail_not_at_all() -> None:
    made = Meeting("world", [0, 1])
    with made.waiting("step 1"):
        assert made.what == "step 1"
        with made.waiting("allgatherv"):
            assert made.what == "step 1"
        assert made.what == "step 1"
    assert (made.count, made.what) == (1, None)
    with pytest.raises(KeyError), made.waiting("step 2"):
        raise KeyError
    assert (made.count, made.what) == (1, None)


def test_without_a_watch_nothing_is_watched() -> None:
    assert current() is None
    with busy("drawing"):
        pass
    communicator: object = None
    assert meeting(communicator).members == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [-1, 0.5, float("inf"), float("nan"), "soon"])
def test_a_timeout_that_is_none_is_an_error(given: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"timeout must be seconds, at least 1, or 0 for no watch"):
        timeout_of(given)  # type: ignore[arg-type]
    monkeypatch.setenv("GDCORE_TIMEOUT", str(given))
    with pytest.raises(ValueError, match="GDCORE_TIMEOUT must be seconds"):
        timeout_of(None)


def test_the_timeout_is_the_argument_or_of_the_environment_or_60(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GDCORE_TIMEOUT", raising=False)
    assert timeout_of(None) == 60
    monkeypatch.setenv("GDCORE_TIMEOUT", "7")
    assert timeout_of(None) == 7
    assert timeout_of(0) == 0


def test_only_who_has_the_secret_is_answered() -> None:
    servers, offers = listen(2)
    try:
        family, _, port = offers[0]
        here = [(family, "127.0.0.1", port)]
        with pytest.raises(OSError, match=r"127\.0\.0\.1: no answer"):
            connect(here, b"secret", "rank 1", 0.05)
        line = Line(socket.create_connection(("127.0.0.1", port)))
        servers[0].setblocking(True)
        servers[0].accept()[0].close()  # of the one before
        other, _ = servers[0].accept()
        other.sendall(
            b'{"proof": "' + proof(b"other", "rank 0").encode() + b'"}\nnot JSON\n[1]\n{"a"'
        )
        other.close()
        found = []
        while not line.closed:
            found += line.receive()
        assert found == [{"proof": proof(b"other", "rank 0")}]
        line.close()
    finally:
        for server in servers:
            server.close()
    with pytest.raises(OSError, match="Connection refused"):
        connect(here, b"secret", "rank 1", 5.0)


def test_the_first_address_that_answers_is_taken() -> None:
    servers, offers = listen(2)
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))  # not listening
    try:
        family, _, port = offers[0]
        import threading

        def answer() -> None:
            servers[0].setblocking(True)
            accepted = Line(servers[0].accept()[0])
            accepted.send(proof=proof(b"secret", "rank 0"))
            kept.append(accepted)

        kept: list[Line] = []
        thread = threading.Thread(target=answer)
        thread.start()
        refusing = (family, "127.0.0.1", nobody.getsockname()[1])
        line = connect([refusing, (family, "127.0.0.1", port)], b"secret", "rank 1", 5.0, how="x")
        thread.join()
        said: list[dict[str, object]] = []
        while not said:
            said = kept[0].receive()
        assert said == [{"proof": proof(b"secret", "rank 1"), "who": "rank 1", "how": "x"}]
        line.close()
        kept[0].close()
    finally:
        for server in (*servers, nobody):
            server.close()


@needs_posix
def test_a_run_that_is_stopped_as_a_whole_goes_on(tmp_path: Path) -> None:
    """As a batch system does that makes room for another; nobody has been silent then."""
    processes = [
        subprocess.Popen([sys.executable, PROGRAM, tmp_path, str(rank), "2", "busy", "1"])
        for rank in range(2)
    ]
    while not (tmp_path / "3").exists():  # all are there
        time.sleep(0.01)
    time.sleep(0.3)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in processes:
            process.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(2.0)
    assert [process.wait(30) for process in processes] == [0, 0]

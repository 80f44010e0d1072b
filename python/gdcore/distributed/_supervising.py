"""A parent of each rank's process, which sees how that ends.

Some launchers (MPICH's and Intel's) end all other ranks in the moment in which one is gone, before
anybody can say which, and take an ``os._exit(0)`` in the midst of a run for its good end. They do
not see it as long as the parent, which is what they have started, is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from typing import Any

from gdcore.communication.lines import Offer, connect

__all__ = ["Supervised", "supervise"]

_WAIT = 3.0  # seconds that the others have to say it and to end the run
_EARLY = 0.9  # of the timeout; by then rank 0 should have seen it too
_FOUND = 1.0  # seconds until it has said so at the latest
_HOLD = 0.3  # seconds
_LINGER = 0.7  # seconds that a launcher has to see that all has ended
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class Supervised:
    """What the program's process says to its parent.

    Args:
        pipe: Where it is written; None where there is no parent.
        ends: Whether the parent may end all ranks.
    """

    def __init__(self, pipe: int | None = None, ends: bool = False) -> None:
        self._pipe, self._ends = pipe, ends

    def reached(self, offers: list[Offer], token: bytes, rank: int, timeout: float) -> None:
        """Says where rank 0 can be told of an end, and that `beat` will be called from now on."""
        self._say(offers=offers, token=token.hex(), rank=rank, timeout=timeout)

    def beat(self) -> None:
        """Says that the process lives."""
        self._say()

    def leaving(self) -> None:
        """Says that the process ends on purpose: nobody need be told."""
        self._say(leaving=True)

    def ending(self, code: int) -> bool:
        """Says that all ranks are to end; returns whether the parent sees to that."""
        if self._ends:
            self._say(ending=code)
        else:
            self.leaving()
        return self._ends

    def _say(self, **what: Any) -> None:
        if self._pipe is not None:
            with contextlib.suppress(OSError):  # the parent is stopped, or gone
                os.write(self._pipe, json.dumps(what).encode() + b"\n")


def supervise(ends: bool) -> Supervised:
    """Forks: returns in the child, and ends the parent as the child ends.

    Where a system has no fork it returns in the process itself.

    Args:
        ends: Whether the launcher ends all ranks in the moment in which one is gone. Its status is
            then best made by the parents: that of MPI's abort is often that of a killed process.
    """
    if not hasattr(os, "fork"):
        return Supervised()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    read, write = os.pipe()
    with warnings.catch_warnings():
        # NumPy's threads, which have nothing to do yet, know how to fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(read)
        os.set_blocking(write, False)
        _end_with_parent()
        return Supervised(write, ends)
    os.close(write)
    _pass_signals(child)
    os._exit(_watched(child, read))


def _watched(child: int, pipe: int) -> int:
    """Waits for a child's end, or for its word that all are to end; returns the parent's status."""
    told: dict[str, Any] = {}
    bell, button = os.pipe()
    for end in (bell, button, pipe):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(button)
    silence, before, launcher = 0.0, time.monotonic(), _launcher()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if said := _read(pipe):
            silence = 0.0
            for line in said.splitlines():
                with contextlib.suppress(ValueError):  # too long for a pipe
                    told |= json.loads(line)
        if "ending" in told:
            _hold(launcher)
            return int(told["ending"])
        if pid:
            return _after(os.waitstatus_to_exitcode(status), told)
        if "timeout" in told and "leaving" not in told and silence > _EARLY * told["timeout"]:
            # Once the others have ended: some launchers wait for all.
            how = f"has been silent for {told['timeout']:g} s: stopped, or cut off"
            _tell(told, how, 1, aloud=False)
            os.kill(child, signal.SIGKILL)
            return 1
        select.select([bell, pipe], [], [], 0.5 if "timeout" in told else None)
        _read(bell)
        now = time.monotonic()
        silence += min(now - before, 1.0)  # more, and this process has been stopped too
        before = now


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""


def _pass_signals(child: int) -> None:
    """Launchers signal all processes of the group that they have made; else the child is told."""
    alone = os.getpid() != os.getpgrp()

    def passed(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _PASSED_ON:
        signal.signal(getattr(signal, name), passed if alone else signal.SIG_IGN)


def _hold(launcher: tuple[int, str] | None) -> None:
    """Keeps what the launcher looks at open until the parents of all ranks have ended.

    A launcher that is still there later waits for machines that it cannot reach, for ever.
    """
    if os.fork() != 0:
        return
    os.setsid()  # the launcher ends groups
    time.sleep(_HOLD)
    os.closerange(0, os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 256)
    if launcher is not None:
        time.sleep(_LINGER)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if _begun(launcher[0]) == launcher[1]:
                os.kill(launcher[0], number)
                time.sleep(_LINGER)
    os._exit(0)


def _launcher() -> tuple[int, str] | None:
    """The mpirun above this process, if it is of this machine: its number and when it began."""
    pid = os.getppid()
    for _ in range(4):
        try:
            with open(f"/proc/{pid}/stat") as file:
                name, fields = file.read().split("(", 1)[1].rsplit(")", 1)
        except (OSError, IndexError, ValueError):
            return None
        if name.startswith(("mpirun", "mpiexec")):
            return pid, fields.split()[19]
        pid = int(fields.split()[1])
    return None


def _begun(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _end_with_parent() -> None:
    """The launcher may kill the parent alone."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _after(status: int, told: dict[str, Any]) -> int:
    """What is to be done after the child's end; returns the parent's status."""
    code = 128 - status if status < 0 else status
    if "leaving" in told:
        return code
    if status < 0:
        names = {int(each): f" ({each.name})" for each in signal.Signals}
        how = f"was ended by signal {-status}{names.get(-status, '')}"
    else:
        how = f"has ended with status {status}, without a word"
    if "token" in told:
        _tell(told, how, code or 1)
    elif status < 0 and status != -signal.SIGTERM:  # by which launchers end the others
        _say(f"gdcore: a rank ({socket.gethostname()}) {how}\n")
    return code or 1


def _tell(told: dict[str, Any], how: str, code: int, aloud: bool = True) -> None:
    """Tells rank 0, or says it itself of that, and waits until the others have ended."""
    token, rank = bytes.fromhex(told["token"]), told["rank"]
    if rank == 0:
        if aloud:  # else the others find it
            _say(f"gdcore: rank 0 ({socket.gethostname()}) {how}; the run ends\n")
        time.sleep(_WAIT if aloud else _FOUND)
        return
    who = f"post {rank}"
    try:
        line = connect(told["offers"], token, who, _WAIT, how=how, code=code)
    except OSError:  # rank 0 is gone too
        time.sleep(_WAIT)
        return
    end = time.monotonic() + _WAIT
    while not line.closed and (left := end - time.monotonic()) > 0:
        select.select([line], [], [], left)
        line.receive()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode())

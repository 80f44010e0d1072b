"""A watch of a run's ranks beside MPI, which itself waits for ever for a rank that is gone.

Each rank has a thread that tells rank 0 about twice a second, over a TCP connection of its own,
that it lives, how far it is and what it waits in. Rank 0 tells the same to all. Who ends without a
word, is silent, raises an exception or does not come to where others wait is named on standard
error, and the run is ended with a status other than 0.

What is not seen: a rank that computes for ever between two exchanges is taken for one that does
not come only once others wait for it. And a rank whose Python threads cannot run, since C code
keeps the GIL for longer than the timeout, is taken for a silent one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import selectors
import socket
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from gdcore.communication.judging import Peer
from gdcore.communication.lines import Line
from gdcore.communication.meetings import Meeting
from gdcore.communication.protocol import Communicator

__all__ = ["Watch", "busy", "current", "meeting", "timeout_of"]

TIMEOUT = 60.0  # seconds
GRACE = 3.0  # seconds that MPI has to end a process
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))

_current: Watch | None = None


def timeout_of(given: float | str | None) -> float:
    """The timeout in seconds: what is given, else of the environment's GDCORE_TIMEOUT, else 60.

    Raises:
        ValueError: It is no number of seconds from 1 on, nor 0, which is no watch at all.
    """
    name = "timeout" if given is not None else "GDCORE_TIMEOUT"
    text = given if given is not None else os.environ.get("GDCORE_TIMEOUT") or TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if seconds != 0 and not 1 <= seconds < math.inf:
        raise ValueError(f"{name} must be seconds, at least 1, or 0 for no watch, got {text!r}")
    return seconds


def current() -> Watch | None:
    """The watch of this process, if there is one."""
    return _current


def meeting(communicator: Communicator) -> Meeting:
    """The exchanges of a communicator, for the watch of this process, if there is one.

    All ranks of the communicator call it at the same time.
    """
    return Meeting() if _current is None else _current.meeting(communicator)


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Tells the watch that this rank does something long, for which others may have to wait.

    Without it a rank that does not come to where the others wait for longer than the timeout ends
    the run.

    >>> if rank == 0:
    ...     with gdcore.distributed.busy("drawing"):
    ...         draw()

    Args:
        what: A few words.
    """
    watch = _current
    if watch is None:
        yield
        return
    before, watch.busy = watch.busy, str(what)
    try:
        yield
    finally:
        watch.busy = before


class Watch(ABC):
    """The watch as one rank has it; see `gdcore.communication.starting.start`.

    Attributes:
        busy: What this rank does alone, "" for nothing.
    """

    def __init__(
        self,
        communicator: Communicator,
        hosts: Sequence[str],
        timeout: float,
        leaving: Callable[[int], bool],
    ) -> None:
        self._communicator, self._leaving = communicator, leaving
        self.rank, self.size, self.timeout = communicator.rank, communicator.size, timeout
        # Rank 0 hears some hundreds a second.
        self._interval = min(max(0.5, self.size / 200), timeout / 6)
        self._peers = [Peer(rank, host) for rank, host in enumerate(hosts)]
        self.busy = ""
        self._main = threading.get_ident()
        self._world = Meeting("world", range(self.size))
        self._meetings = weakref.WeakSet([self._world])
        self._new: deque[Meeting] = deque()
        self._made = 0
        self._since: weakref.WeakKeyDictionary[Meeting, tuple[int, object, float]] = (
            weakref.WeakKeyDictionary()
        )
        self._orders: deque[dict[str, Any]] = deque()
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def begin(self, beat: Callable[[], None]) -> None:
        """Begins to watch, as the watch of this process, and calls `beat` on the way."""
        global _current
        self._told_also = beat
        _current = self
        here = weakref.ref(self)

        def in_child() -> None:
            if (watch := here()) is not None:
                watch._forget()

        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=in_child)
        threading.Thread(target=self._run, name="gdcore watch", daemon=True).start()

    # ---- what the program says ----

    def waiting(self, what: object) -> Any:
        """The context of an exchange of all ranks; see `Meeting.waiting`."""
        return self._world.waiting(what)

    def meeting(self, communicator: Communicator) -> Meeting:
        """The exchanges of a communicator of some or all of the ranks, which all call it."""
        members = communicator.gather(self.rank)
        self._made += members is not None
        name = f"{self.rank}.{self._made}" if members is not None else ""
        made = Meeting(*communicator.bcast((name, members)))
        self._new.append(made)
        return made

    def raised(self, text: str, code: int = 1) -> NoReturn:
        """Tells of an exception that nobody has caught, and ends the run."""
        _flush()
        self._order(say="raised", text=_cut(text), code=code)
        time.sleep(self.timeout + 2 * GRACE)  # meanwhile the thread ends the process
        os._exit(code or 1)

    def goodbye(self, status: int = 0, text: str = "") -> None:
        """Tells that the program is done, and returns once it is on all ranks.

        Args:
            status: What it ends with.
            text: What is to be told with that; of ranks that say the same it is told once.
        """
        _flush()
        self._order(say="done", status=status, text=_cut(text))
        while not self._over.wait(60):
            pass

    def _order(self, **what: Any) -> None:
        self._orders.append(what)
        with contextlib.suppress(OSError):  # full, so that it rings already, or over
            self._button.send(b".")

    # ---- the thread ----

    def _run(self) -> None:
        before = next_beat = time.monotonic()
        while not self._over.is_set():
            for key, _ in self._selector.select(max(0.0, next_beat - before)):
                if key.fileobj is self._bell:
                    self._bell.recv(4096)
                else:
                    self._ready(key.fileobj)
            now = time.monotonic()
            # A process that was stopped with all others must not hold it against them.
            passed = min(now - before, 2 * self._interval)
            before = now
            self._look(passed)
            while self._orders:
                self._obey(self._orders.popleft())
            self._tick(passed)
            if now >= next_beat:
                self._beat()
                self._told_also()
                next_beat = now + self._interval
        self._close()

    def _look(self, passed: float) -> None:
        """Reads where the program's own thread is."""
        while self._new:
            self._meetings.add(added := self._new.popleft())
            self._meets(added)
        at = {}
        for each in self._meetings:
            count, what = each.count, each.what
            last = self._since.get(each)
            same = last is not None and last[0] == count and last[1] is what
            seconds = last[2] + passed if same and last is not None else 0.0
            self._since[each] = (count, what, seconds)
            at[each.name] = (count, "" if what is None else str(what), seconds)
        own = self._peers[self.rank]
        own.at, own.busy, own.place = at, self.busy, self._place()

    def _place(self) -> str:
        """The innermost line of the program's own that its thread is in."""
        frame = sys._current_frames().get(self._main)
        while frame is not None:
            path = frame.f_code.co_filename
            inner = path.startswith((_HERE, _LIBRARY, "<frozen")) or "site-packages" in path
            if not inner:
                return f"{os.path.basename(path)}:{frame.f_lineno} in {frame.f_code.co_name}"
            frame = frame.f_back
        return ""

    @abstractmethod
    def _ready(self, source: Any) -> None:
        """Something can be read."""

    @abstractmethod
    def _obey(self, order: dict[str, Any]) -> None:
        """The program says something."""

    @abstractmethod
    def _meets(self, made: Meeting) -> None:
        """There is a new communicator."""

    @abstractmethod
    def _tick(self, passed: float) -> None:
        """Some time has passed, or something has come."""

    @abstractmethod
    def _beat(self) -> None:
        """Tells the others."""

    @abstractmethod
    def _lines(self) -> list[Line]:
        """All connections."""

    # ---- the end ----

    def _end(self, code: int) -> NoReturn:
        """Ends all ranks with MPI's abort, this one in any case."""
        code = code or 1
        late = threading.Timer(GRACE, os._exit, [code])
        late.daemon = True
        late.start()
        # Where not even that thread runs, since abort keeps the GIL.
        with contextlib.suppress(OSError, ValueError):
            nowhere = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
            faulthandler.dump_traceback_later(2 * GRACE, exit=True, file=nowhere)
        if self._leaving(code):
            time.sleep(0.5)
        with contextlib.suppress(Exception):
            self._communicator.abort(code)
        time.sleep(GRACE)
        os._exit(code)

    def _close(self) -> None:
        for line in self._lines():
            line.close()
        self._selector.close()
        self._bell.close()
        self._button.close()

    def _forget(self) -> None:
        """In a forked child, which must not hold the connections of its parent open."""
        global _current
        if _current is self:
            _current = None
        if not self._over.is_set():
            self._close()


def say(text: str) -> None:
    """Writes to standard error, as it is outside of Python, in one go."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="replace"))


def _cut(text: str, longest: int = 20_000) -> str:
    """The begin and the end of a long text."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n...\n{text[-half:]}"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()

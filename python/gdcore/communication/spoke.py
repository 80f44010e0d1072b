"""The watch of the ranks but 0: each hears rank 0 alone, and speaks only where that cannot."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from typing import Any

from gdcore.communication.judging import EARLY, Fault, told
from gdcore.communication.lines import Line
from gdcore.communication.meetings import Meeting
from gdcore.communication.protocol import Communicator
from gdcore.communication.watch import GRACE, Watch, say

__all__ = ["Spoke", "turn"]

_TURN = 0.3  # seconds


def turn(rank: int, hosts: Sequence[str], gone: Sequence[int] = ()) -> float:
    """How long a rank leaves it to others to say that rank 0 is gone: not at all, the lowest one.

    Where a whole machine is cut off, the lowest rank of the next one comes next.

    Args:
        rank: This one.
        hosts: Of all ranks.
        gone: Ranks that have ended.

    Returns:
        Seconds.
    """
    left = [each for each in range(1, len(hosts)) if each not in gone or each == rank]
    order = list(dict.fromkeys(hosts[each] for each in left))
    own = [each for each in left if hosts[each] == hosts[rank]]
    return _TURN * min(order.index(hosts[rank]) + own.index(rank), 10)


class Spoke(Watch):
    """The watch as a rank but 0 has it."""

    def __init__(
        self,
        communicator: Communicator,
        hosts: Sequence[str],
        timeout: float,
        leaving: Callable[[int], bool],
        line: Line,
    ) -> None:
        super().__init__(communicator, hosts, timeout, leaving)
        self._line = line
        self._selector.register(line, selectors.EVENT_READ)
        self._silence = 0.0
        self._gone: list[int] = []
        self._spoken: tuple[float, int] | None = None
        self._lost: tuple[float, Fault] | None = None
        self._raised: tuple[float, Fault] | None = None

    def _ready(self, source: Any) -> None:
        for message in self._line.receive():
            self._silence = 0.0
            if message.get("say") == "verdict":
                self._spoken = (time.monotonic(), int(message["code"]))
                self._leaving(self._spoken[1])
            elif message.get("say") == "farewell":
                self._over.set()
            elif message.get("say") == "beat":
                self._gone = message["gone"]
        if self._line.closed:
            self._selector.unregister(self._line)

    def _obey(self, order: dict[str, Any]) -> None:
        own = self._peers[self.rank]
        self._line.send(**order, at=own.at, place=own.place, busy=own.busy)
        if order["say"] == "raised":
            fault = Fault((self.rank,), "raised an exception", order["code"], order["text"])
            self._raised = (time.monotonic() + GRACE, fault)

    def _meets(self, made: Meeting) -> None:
        if made.name.startswith(f"{self.rank}."):
            self._line.send(say="meets", name=made.name, members=made.members)

    def _tick(self, passed: float) -> None:
        now = time.monotonic()
        if self._over.is_set():
            return
        if self._spoken is not None:  # MPI's abort of rank 0 ends this process, or nobody
            if now - self._spoken[0] > GRACE:
                self._end(self._spoken[1])
            return
        self._silence += passed
        if self._lost is None and (self._line.closed or self._silence > EARLY * self.timeout):
            closed = self._line.closed
            says = f"has been silent for {self.timeout:g} s: stopped, or cut off"
            fault = Fault((0,), "has ended without a word" if closed else says)
            self._lost = (now + turn(self.rank, [e.host for e in self._peers], self._gone), fault)
        for each in (self._lost, self._raised):
            if each is not None and now >= each[0]:
                found = [e[1] for e in (self._lost, self._raised) if e is not None]
                text, code = told(found, self._peers, self.size)
                say(text)
                self._end(code)

    def _beat(self) -> None:
        if self._line.closed:
            return
        if self._line.pending:
            self._line.flush()
            return
        own = self._peers[self.rank]
        self._line.send(say="beat", at=own.at, place=own.place, busy=own.busy)

    def _lines(self) -> list[Line]:
        return [self._line]

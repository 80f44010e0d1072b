"""The watch of rank 0, which hears all ranks and judges."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from gdcore.communication.judging import INTERRUPTED, Fault, faults, named, notes, told
from gdcore.communication.lines import Line, proof
from gdcore.communication.meetings import Meeting
from gdcore.communication.protocol import Communicator
from gdcore.communication.watch import Watch, say

__all__ = ["Hub"]

_GATHER = 0.4  # seconds in which others may have the same to tell, or more
_STRANGER = 10.0  # seconds that one has to say who it is


class Hub(Watch):
    """The watch as rank 0 has it."""

    def __init__(
        self,
        communicator: Communicator,
        hosts: Sequence[str],
        timeout: float,
        leaving: Callable[[int], bool],
        servers: Sequence[socket.socket],
        token: bytes,
    ) -> None:
        super().__init__(communicator, hosts, timeout, leaving)
        self._servers, self._token = list(servers), token
        for server in servers:
            self._selector.register(server, selectors.EVENT_READ)
        self._strangers: dict[Line, float] = {}
        self._connected: dict[Line, int] = {}
        self._members: dict[str, Sequence[int]] = {"world": range(self.size)}
        self._found_at: float | None = None
        self._noted = False
        self._parting = 0.0

    def await_all(self, limit: float) -> None:
        """Waits until all ranks have come, or the seconds are over; before `begin`."""
        end = time.monotonic() + limit
        while len(self._connected) < self.size - 1 and (left := end - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.fileobj is not self._bell:
                    self._ready(key.fileobj)

    def without(self, unreached: Sequence[int]) -> None:
        """Some ranks cannot be watched; before `begin`."""
        for rank in unreached:
            self._peers[rank].watched = False

    # ---- what comes ----

    def _ready(self, source: Any) -> None:
        if source in self._servers:
            try:
                connection, _ = source.accept()
            except OSError:
                return
            line = Line(connection)
            self._strangers[line] = time.monotonic()
            self._selector.register(line, selectors.EVENT_READ)
            line.send(proof=proof(self._token, "rank 0"))
            return
        for message in source.receive():
            if source in self._strangers:
                self._greet(source, message)
            elif source in self._connected:
                self._hear(self._connected[source], message)
        if source.closed:
            self._selector.unregister(source)
            source.close()
            self._strangers.pop(source, None)
            rank = self._connected.pop(source, None)
            if rank is not None and not self._parting and not self._peers[rank].gone:
                self._peers[rank].gone = "has ended without a word"

    def _greet(self, line: Line, message: dict[str, Any]) -> None:
        who = str(message.get("who"))
        if message.get("proof") != proof(self._token, who):
            return
        kind, _, number = who.partition(" ")
        rank = int(number)
        if kind == "rank":
            del self._strangers[line]
            self._connected[line] = rank
        else:  # who has seen it end
            self._peers[rank].gone = str(message["how"])
            self._peers[rank].gone_status = int(message["code"])

    def _hear(self, rank: int, message: dict[str, Any]) -> None:
        peer = self._peers[rank]
        peer.silence = 0.0
        if "at" in message:
            peer.at = {name: tuple(each) for name, each in message["at"].items()}
            peer.place, peer.busy = message["place"], message["busy"]
        said = message["say"]
        if said == "meets":
            self._members[message["name"]] = message["members"]
        elif said != "beat":
            self._note(rank, message)

    def _note(self, rank: int, message: dict[str, Any]) -> None:
        peer = self._peers[rank]
        if message["say"] == "raised":
            peer.raised, peer.raised_status = message["text"], message["code"]
        else:
            peer.status, peer.text = message["status"], message["text"]

    def _obey(self, order: dict[str, Any]) -> None:
        self._note(0, order)

    def _meets(self, made: Meeting) -> None:
        if made.name.startswith("0."):
            self._members[made.name] = made.members

    # ---- what is made of it ----

    def _tick(self, passed: float) -> None:
        now = time.monotonic()
        for line in [each for each, since in self._strangers.items() if now - since > _STRANGER]:
            self._selector.unregister(line)
            del self._strangers[line]
            line.close()
        if self._parting:
            if not self._connected or now > self._parting:
                self._over.set()
            return
        for peer in self._peers[1:]:
            peer.silence += passed
        for peer in self._peers:
            if peer.status is not None:
                peer.done_for += passed
        found = faults(self._peers, self._members, self.timeout)
        if found:
            self._found_at = now if self._found_at is None else self._found_at
            every = all(each.raised or not each.watched for each in self._peers)
            if every or now - self._found_at >= _GATHER:
                self._verdict(found)
            self._order_later()
        elif all(each.status is not None or not each.watched for each in self._peers):
            self._farewell()
        else:
            self._tell_notes()

    def _order_later(self) -> None:
        """Has the thread look again before its next beat is due."""
        time.sleep(0.02)
        self._button.send(b".")

    def _tell_notes(self) -> None:
        for each in () if self._noted else notes(self._peers, self.timeout):
            self._noted = True
            say(f"gdcore: note: {named(each.ranks, self._peers)} {each.says}\n")

    def _verdict(self, found: Sequence[Fault]) -> None:
        text, code = told(found, self._peers, self.size)
        say(text)
        for line in self._connected:
            line.send(say="verdict", code=code)
        end = time.monotonic() + 0.3  # so that nobody takes the end for another fault
        while any(each.pending for each in self._connected) and time.monotonic() < end:
            time.sleep(0.01)
            for line in self._connected:
                line.flush()
        time.sleep(0.05)
        self._end(code)

    def _farewell(self) -> None:
        texts: dict[str, list[int]] = {}
        if {each.status for each in self._peers if each.watched and not each.text} == {INTERRUPTED}:
            say("gdcore: stopped by Ctrl-C\n")
        for each in self._peers:
            if each.text:
                texts.setdefault(each.text, []).append(each.rank)
        for text, ranks in texts.items():
            whose = "" if len(ranks) == self.size else f"{named(ranks, self._peers)}: "
            say(f"{whose}{text.rstrip()}\n")
        for line in self._connected:
            line.send(say="farewell")
        # They close first: an end with unread beats would take the word back.
        self._parting = time.monotonic() + 2.0

    def _beat(self) -> None:
        ended = [each.rank for each in self._peers if each.gone]
        for line in self._connected:
            if line.pending:
                line.flush()
            else:
                line.send(say="beat", gone=ended)

    def _lines(self) -> list[Line]:
        return [*self._strangers, *self._connected]

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        super()._close()

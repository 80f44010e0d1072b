"""Plain TCP connections between ranks, beside MPI: who offers and who takes one, and messages.

A message is a line of JSON. Each end proves by a secret that MPI has carried that it is of this
run: others may find the port.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["Line", "Offer", "connect", "listen", "proof"]

Offer = tuple[int, str, int]  # the address family, the address, the port

_LONGEST = 1 << 20  # bytes of a message; tracebacks are cut before


def proof(token: bytes, who: str) -> str:
    """What only one that has the token can say of itself."""
    return hmac.new(token, who.encode(), hashlib.sha256).hexdigest()


class Line:
    """A connection, with whole messages on it, which never blocks.

    Attributes:
        closed: Whether the other end has closed it, or the system has.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket, self.closed = connection, False
        self._in, self._out = bytearray(), bytearray()
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """For selectors."""
        return self.socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent: the other end takes nothing now."""
        return bool(self._out)

    def send(self, **message: Any) -> None:
        """Sends a message, now as far as that goes, the rest with the next `flush`."""
        self._out += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Sends what waits, as far as that goes without waiting."""
        try:
            while self._out and not self.closed:
                del self._out[: self.socket.send(self._out)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # the other end is gone; what it said before can still be read
            self._out.clear()

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have come; at the end of the last ones `closed` is set."""
        try:
            while part := self.socket.recv(1 << 16):
                self._in += part
                if len(self._in) > _LONGEST:
                    break
            self.closed = True
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.closed = True
        *whole, rest = bytes(self._in).split(b"\n")
        self._in[:] = rest
        return [found for each in whole if (found := _parsed(each)) is not None]

    def close(self) -> None:
        """Closes it."""
        self.closed = True
        self.socket.close()


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None  # of who was ended in the midst of it, or a stranger's
    return found if isinstance(found, dict) else None


def listen(backlog: int) -> tuple[list[socket.socket], list[Offer]]:
    """Sockets that take connections, and under which addresses others may reach them."""
    sockets, offers = [], []
    for family, anywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            server = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # a system without IPv6
        try:
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((anywhere, 0))
            server.listen(backlog)
        except OSError:
            server.close()
            continue
        server.setblocking(False)
        sockets.append(server)
        port = server.getsockname()[1]
        offers += [(int(family), each, port) for each in _addresses(family)]
    if not sockets:
        raise OSError("no socket can be opened on any network interface")
    return sockets, offers


def _addresses(family: int) -> list[str]:
    """Those of this host, as far as they can be found, the own loopback last."""
    found: list[str] = []
    if family == socket.AF_INET:
        found += _of_interfaces()
        loopback, far = "127.0.0.1", "192.0.2.1"
    else:
        found += _of_interfaces_6()
        loopback, far = "::1", "2001:db8::1"
    # The address that packets to elsewhere are sent from; none is sent.
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((far, 9))
        found.append(str(probe.getsockname()[0]))
    if not found:  # asked last: a name server may take seconds
        with contextlib.suppress(OSError):
            for each in socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM):
                found.append(str(each[4][0]))
    # Addresses of a link alone would need the other end's name of the interface.
    known = [each for each in found if each != loopback and not each.lower().startswith("fe80")]
    return [*dict.fromkeys(known), loopback]


def _of_interfaces() -> list[str]:
    if sys.platform != "linux":
        return []
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # it is down, or has none
                answer = fcntl.ioctl(asked.fileno(), 0x8915, request)  # SIOCGIFADDR
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _of_interfaces_6() -> list[str]:
    try:
        with open("/proc/net/if_inet6") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])) for row in rows]


def connect(offers: Sequence[Offer], token: bytes, who: str, limit: float, **more: object) -> Line:
    """A line to who has made the offers: all are tried at once, the first that answers is taken.

    Args:
        offers: Where.
        token: The secret.
        who: Who this is.
        limit: Seconds.
        more: Is said with that.

    Raises:
        OSError: None has answered within `limit` seconds, or all have refused.
    """
    reasons: list[str] = []
    chosen: Line | None = None
    with selectors.DefaultSelector() as selector:
        for family, address, port in offers:
            try:
                tried = Line(socket.socket(family, socket.SOCK_STREAM))
                code = tried.socket.connect_ex((address, port))
            except OSError as error:
                reasons.append(f"{address}: {error.strerror}")
                continue
            if code not in (0, *_UNDER_WAY):
                reasons.append(f"{address}: {os.strerror(code)}")
                tried.close()
                continue
            selector.register(tried, selectors.EVENT_READ, address)
        end = time.monotonic() + limit
        while chosen is None and selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                tried = key.fileobj  # type: ignore[assignment]
                code = tried.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                said = tried.receive()
                if any(each.get("proof") == proof(token, "rank 0") for each in said):
                    chosen = chosen or tried
                elif said or tried.closed:
                    reasons.append(f"{key.data}: {os.strerror(code) if code else 'a stranger'}")
                    selector.unregister(tried)
                    tried.close()
        for key in list(selector.get_map().values()):
            if key.fileobj is not chosen:
                if chosen is None:
                    reasons.append(f"{key.data}: no answer")
                key.fileobj.close()  # type: ignore[union-attr]
    if chosen is None:
        raise OSError(", ".join(dict.fromkeys(reasons)) or "no address was offered")
    chosen.send(proof=proof(token, who), who=who, **more)
    return chosen


def _under_way() -> tuple[int, ...]:
    import errno

    names = ("EINPROGRESS", "EWOULDBLOCK", "WSAEWOULDBLOCK", "WSAEINPROGRESS")
    return tuple(getattr(errno, name) for name in names if hasattr(errno, name))


_UNDER_WAY = _under_way()

"""How a watch begins: rank 0 offers its addresses through MPI, the others come."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

from gdcore.communication.hub import Hub
from gdcore.communication.judging import Peer, named
from gdcore.communication.lines import Offer, connect, listen
from gdcore.communication.protocol import Communicator
from gdcore.communication.spoke import Spoke
from gdcore.communication.watch import Watch, say, timeout_of

__all__ = ["start"]

_LIMIT = 15.0  # seconds for the connections


def _nothing(*_: object) -> None: ...


def _never(_: int) -> bool:
    return False


def start(
    communicator: Communicator,
    timeout: float | None = None,
    *,
    leaving: Callable[[int], bool] = _never,
    reached: Callable[[list[Offer], bytes, int, float], None] = _nothing,
    beat: Callable[[], None] = _nothing,
) -> Watch | None:
    """Begins to watch the ranks of a communicator, which all call it at the same time.

    Where some cannot reach rank 0, it says so, and they are not watched.

    Args:
        communicator: All ranks of the run. Its `abort` must end them.
        timeout: Seconds; see `timeout_of`.
        leaving: Is called with the status before all ranks are ended on purpose; says whether
            somebody else may end them.
        reached: Is called with where rank 0 can be reached, with the secret, this rank and
            the timeout.
        beat: Is called about twice a second from then on, as long as Python's threads run.

    Returns:
        The watch; None where there is nothing to watch.

    Raises:
        ValueError: The timeout is none.
    """
    seconds = timeout_of(timeout)
    if communicator.size == 1 or not communicator.bcast(seconds):
        return None
    names = communicator.gather(socket.gethostname())
    rank = communicator.rank
    servers: list[socket.socket] = []
    offers: list[Offer] = []
    token = b""
    if rank == 0:
        servers, offers = listen(communicator.size)
        token = secrets.token_bytes(16)
    hosts, seconds, offers, token = communicator.bcast((names, seconds, offers, token))
    limit = min(_LIMIT, seconds)
    watch: Watch | None = None
    if rank == 0:
        hub = Hub(communicator, hosts, seconds, leaving, servers, token)
        hub.await_all(limit)
        watch = hub
        failed = communicator.gather("")
        unreached = [each for each, why in enumerate(failed or ()) if why]
        if unreached and failed is not None:
            who = named(unreached, [Peer(each, host) for each, host in enumerate(hosts)])
            why = failed[unreached[0]]
            say(f"gdcore: note: {who} cannot reach rank 0 ({why}), so that nobody watches them\n")
        hub.without(unreached)
    else:
        why = ""
        try:
            line = connect(offers, token, f"rank {rank}", limit)
            watch = Spoke(communicator, hosts, seconds, leaving, line)
        except OSError as error:
            why = str(error)
        communicator.gather(why)
    if watch is not None:
        reached(offers, token, rank, seconds)
        watch.begin(beat)
    return watch

"""What rank 0 makes of what it hears from the ranks: whose fault it is that a run cannot go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["EARLY", "INTERRUPTED", "PATIENCE", "Fault", "Peer", "faults", "named", "notes", "told"]

INTERRUPTED = 130  # the status of a program that Ctrl-C has ended
EARLY = 0.85  # of the timeout, so that all is over within it
PATIENCE = 10  # times the timeout, where it is not certain that anything is wrong


@dataclass
class Peer:
    """What is known of a rank.

    Attributes:
        rank: Its number.
        host: The name of its machine.
        watched: Whether it could be reached at all.
        silence: Seconds since it was heard, in which others could have been.
        at: Of each meeting how many exchanges are done, which one it is in, "" if in none, and for
            how many seconds.
        place: The line of the program that its main thread is in.
        busy: What it has said that it does alone, and that takes long.
        gone: How it has ended without a word, if it has.
        raised: The exception that it has told of, with what status it ends.
        status: What it is done with, if it is done.
        text: What it has said with that.
        done_for: Seconds since then.
    """

    rank: int
    host: str
    watched: bool = True
    silence: float = 0.0
    at: dict[str, tuple[int, str, float]] = field(default_factory=dict)
    place: str = ""
    busy: str = ""
    gone: str = ""
    gone_status: int = 1
    raised: str = ""
    raised_status: int = 1
    status: int | None = None
    text: str = ""
    done_for: float = 0.0


@dataclass(frozen=True)
class Fault:
    """Why a run ends.

    Attributes:
        ranks: Whose fault it is.
        says: What is said after their names.
        code: The status to end with.
        text: What is printed below that.
    """

    ranks: tuple[int, ...]
    says: str
    code: int = 1
    text: str = ""


def named(ranks: Iterable[int], peers: Sequence[Peer]) -> str:
    """Ranks with their hosts, such as ``ranks 0-2, 5 (one), 3 (two)``."""
    by_host: dict[str, list[int]] = {}
    for rank in sorted(ranks):
        by_host.setdefault(peers[rank].host, []).append(rank)
    count = sum(map(len, by_host.values()))
    listed = ", ".join(f"{_runs(each)} ({host})" for host, each in by_host.items())
    return f"rank{'s' * (count > 1)} {listed}"


def _runs(ranks: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    texts = (str(a) if a == b else f"{a}{', ' if b == a + 1 else '-'}{b}" for a, b in runs)
    return ", ".join(texts)


def faults(
    peers: Sequence[Peer], meetings: Mapping[str, Sequence[int]], timeout: float
) -> list[Fault]:
    """What is wrong, the likely reason first; empty as long as nothing is.

    Args:
        peers: All ranks, in order.
        meetings: The members of each communicator that the ranks meet in.
        timeout: Seconds.
    """
    found = [Fault((each.rank,), each.gone, each.gone_status) for each in peers if each.gone]
    silent = [e.rank for e in peers if e.watched and not e.gone and e.silence > EARLY * timeout]
    if silent:
        says = f"{_have(silent)} been silent for {timeout:g} s: stopped, or cut off"
        found.append(Fault(tuple(silent), says))
    found += [
        Fault((each.rank,), "raised an exception", each.raised_status, each.raised)
        for each in peers
        if each.raised
    ]
    later = () if found else (_done(peers, meetings, timeout), _stuck(peers, meetings, timeout))
    return _merged([*found, *(each for part in later for each in part)])


def _merged(found: Sequence[Fault]) -> list[Fault]:
    """Ranks of which the same is said become one fault."""
    ranks: dict[tuple[str, int, str], list[int]] = {}
    for each in found:
        ranks.setdefault((each.says, each.code, each.text), []).extend(each.ranks)
    return [Fault(tuple(of), *what) for what, of in ranks.items()]


def _done(
    peers: Sequence[Peer], meetings: Mapping[str, Sequence[int]], timeout: float
) -> Iterator[Fault]:
    """Ranks whose program has ended while others go on."""
    going = [each for each in peers if each.watched and each.status is None]
    for each in peers:
        if each.status is None or not going:
            continue
        by_ctrl_c = each.status == INTERRUPTED
        ended = "ended by Ctrl-C" if by_ctrl_c else f"ended with status {each.status}"
        code, text = each.status or 1, each.text
        for name, members in meetings.items():
            if each.rank not in members:
                continue
            count = each.at.get(name, (0, "", 0.0))[0]
            waiting = [
                g for g in going if name in g.at and g.at[name][1] and g.at[name][0] >= count
            ]
            if waiting:  # for what it never comes to
                ranks = [g.rank for g in waiting]
                wait = f"{named(ranks, peers)} wait{'s' * (len(ranks) == 1)}"
                says = f"{ended}, but {wait} in {waiting[0].at[name][1]}"
                yield Fault((each.rank,), says, code, text)
                break
        else:
            patience = timeout if each.status else PATIENCE * timeout
            if each.done_for > EARLY * patience and not any(g.busy for g in going):
                ranks = [g.rank for g in going]
                goes = f"{named(ranks, peers)} {'go' if len(ranks) > 1 else 'goes'} on"
                yield Fault(
                    (each.rank,), f"{ended}, {patience:g} s ago, but {goes}{_at(going)}", code, text
                )


def _stuck(
    peers: Sequence[Peer], meetings: Mapping[str, Sequence[int]], timeout: float
) -> Iterator[Fault]:
    """Ranks that do not come to where others wait for them."""
    for name, members in meetings.items():
        inside = [peers[m] for m in members if peers[m].at.get(name, (0, "", 0))[1]]
        longest = max((each.at[name][2] for each in inside), default=0.0)
        if longest <= EARLY * timeout:
            continue
        count = max(each.at[name][0] for each in inside)
        late = [m for m in members if peers[m].watched and not _has_come(peers[m], name, count)]
        if any(peers[m].busy for m in late):
            continue
        ahead = [each for each in inside if each.at[name][0] == count]
        what = ahead[0].at[name][1]
        where = [each.rank for each in ahead]
        if late:
            # Of those who wait elsewhere in turn, it is not theirs.
            free = [m for m in late if not any(what for _, what, _ in peers[m].at.values())] or late
            wait = f"{named(where, peers)} wait{'s' * (len(where) == 1)}"
            says = f"{_have(free)} not come to {what} for {timeout:g} s, where {wait}"
            yield Fault(tuple(free), says + _at([peers[m] for m in free]))
        elif len({each.at[name][1] for each in ahead}) > 1:
            others = [each for each in ahead if each.at[name][1] != what]
            ranks = [each.rank for each in others]
            same = [each.rank for each in ahead if each.at[name][1] == what]
            is_in = "is in" if len(ranks) == 1 else "are in"
            says = f"{is_in} {others[0].at[name][1]}, but {named(same, peers)} in {what}"
            yield Fault(tuple(ranks), f"{says}: all ranks must call the same in the same order")
        elif longest > PATIENCE * timeout:
            says = (
                f"{_have(where)} been in {what} for {PATIENCE * timeout:g} s: MPI brings nothing, "
                "or not in that time (GDCORE_TIMEOUT or --timeout gives more)"
            )
            yield Fault(tuple(where), says)


def _has_come(peer: Peer, name: str, count: int) -> bool:
    done, what, _ = peer.at.get(name, (0, "", 0.0))
    return done > count or (done == count and bool(what))


def notes(peers: Sequence[Peer], timeout: float) -> list[Fault]:
    """What may be wrong, and is worth a line."""
    going = [each for each in peers if each.watched and each.status is None]
    done = [each.rank for each in peers if each.status == 0]
    longest = max((peers[each].done_for for each in done), default=0.0)
    if not going or longest <= timeout or any(each.busy for each in going):
        return []
    ranks = [each.rank for each in going]
    goes = f"{named(ranks, peers)} {'go' if len(ranks) > 1 else 'goes'} on"
    return [Fault(tuple(done), f"{_have(done)} come to the end, and {goes}{_at(going)}", 0)]


def _have(ranks: Sequence[int]) -> str:
    return "has" if len(ranks) == 1 else "have"


def _at(peers: Sequence[Peer]) -> str:
    """Where they are, if that is known; of many the first."""
    for each in peers:
        if each.place:
            who = "it" if len(peers) == 1 else f"rank {each.rank}"
            return f"; {who} is at {each.place}"
    return ""


def told(found: Sequence[Fault], peers: Sequence[Peer], size: int) -> tuple[str, int]:
    """The message for what has happened, and the status that the run ends with."""
    lines = []
    for place, each in enumerate(found):
        who = "every rank" if len(each.ranks) == size > 1 else named(each.ranks, peers)
        says = each.says.replace("have ", "has ", 1) if who == "every rank" else each.says
        if place == 0:
            lines.append(f"gdcore: {who} {says}; the run ends{':' if each.text else ''}")
            lines += [each.text.rstrip("\n")] if each.text else []
        elif each.text:
            lines.append(f"gdcore: {who} {says}: {each.text.rstrip().splitlines()[-1]}")
        else:
            lines.append(f"gdcore: {who} {says}")
    return "\n".join(lines) + "\n", found[0].code

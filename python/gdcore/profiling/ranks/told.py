"""What ranks did with their time, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gdcore.profiling.ranks.exchanges import EXCHANGE, Exchanges, exchanges_of, own_exchanges
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.records import WAITS, Clock, Operation
from gdcore.profiling.tables import Table

__all__ = ["PARTS", "rank_table", "sentences"]

PARTS = ("computing", EXCHANGE, "waiting", "other")  # of a rank's time, in the table's order
_OFTEN = 0.5  # of the exchanges that somebody was late to: then it is that rank's doing
_WORTH = 0.02  # of the time: less is not worth a sentence of its own


def rank_table(recording: Recording) -> Table:
    """A row for each rank; a recording of one process is that of rank 0."""
    ranks = recording.ranks or [Rank(0, Clock(), recording)]
    found = exchanges_of(ranks)
    clear = int((found.last >= 0).sum())
    return Table([_row(each, i, found, clear) for i, each in enumerate(ranks)])


def _computes(operation: Operation) -> bool:
    """What a caller does within steps, waiting for workers of its own process included."""
    return operation.of_plan or operation.op in ("step", *WAITS)


def _row(rank: Rank, column: int, found: Exchanges, clear: int) -> dict[str, Any]:
    recording, own = rank.recording, own_exchanges(rank.recording)
    callers = np.array([each.worker == 0 for each in recording.threads], bool)
    called = callers[recording.events["thread"]]
    durations = recording.durations
    whole = float(durations[called].sum())
    computing = float(durations[called & recording.where(_computes)].sum())
    inside = float((own.end - own.begin).sum())
    waiting = float(found.waited[:, column].sum())
    times = (computing, inside - waiting, waiting, max(whole - computing - inside, 0.0))
    late = int((found.last == column).sum())
    row: dict[str, Any] = {
        "rank": rank.number,
        "host": rank.host,
        "steps": recording.recorded_steps,
    }
    row |= {f"{name}, ms": time / 1e6 for name, time in zip(PARTS, times, strict=True)}
    return row | {
        "waiting %": 100 * waiting / max(whole, 1.0),
        "exchanged, MB": float(own.bytes.sum()) / 1e6,
        "last, times": late,
        "last %": 100 * late / clear if clear else None,
        "clock ahead, us": rank.clock.offset / 1e3,
        "+- us": rank.clock.error / 1e3,
    }


def _time(milliseconds: float) -> str:
    if milliseconds >= 10:
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds:.2g} ms" if milliseconds >= 1 else f"{1e3 * milliseconds:.3g} us"


def sentences(recording: Recording) -> Iterator[tuple[str, float]]:
    """What there is to say of several ranks, each with the part of the time that it is about."""
    ranks = recording.ranks
    if len(ranks) < 2:
        return
    rows = rank_table(recording)
    whole = sum(row[f"{name}, ms"] for row in rows for name in PARTS)
    if not whole:
        return

    def share(*names: str) -> float:
        return float(sum(row[f"{name}, ms"] for row in rows for name in names) / whole)

    found = exchanges_of(ranks)
    error = max(each.clock.error for each in ranks) / 1e3
    if not len(found):
        yield (
            f"{len(ranks)} ranks recorded no exchange that all of them have: nobody can be said to "
            "wait for another.",
            0.0,
        )
        return
    yield (
        f"{len(ranks)} ranks were computing {100 * share('computing'):.0f} % of the time, at "
        f"exchanges {100 * share(EXCHANGE):.0f} %, and waiting there for the last one "
        f"{100 * share('waiting'):.0f} %; clocks are compared to {error:.2g} us.",
        share(EXCHANGE, "waiting"),
    )
    late = [row["last, times"] for row in rows]
    clear = sum(late)
    worst = int(np.argmax(late))
    if not clear:
        yield (
            f"Nobody came last to any of {len(found):,} exchanges by more than the clocks tell.",
            0.0,
        )
        return
    made = found.made_wait(worst) / 1e6
    part = made * len(ranks) / whole
    steps = max(ranks[worst].recording.recorded_steps, 1)
    told = (
        f"R{ranks[worst].name[1:]} came last to {late[worst]:,} of the {clear:,} exchanges in "
        "which somebody can be told to, and the others waited "
        f"{_time(made / steps)} a step for it, {100 * part:.0f} % of their time"
    )
    if late[worst] > _OFTEN * clear and part > _WORTH:
        yield f"{told}: look at what shares its cores, and at whether it has more to do.", part
    elif share("waiting") > _WORTH:
        yield f"{told}; who is late changes.", share("waiting")

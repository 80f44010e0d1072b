"""Epochs over rows that ranks hold apart: each batch's rows come to the rank that works on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _core
from gdcore._fitting import Fitting
from gdcore._gathering import gathered as gathered_rows
from gdcore._judging import NAMES
from gdcore._native import NativeTrainer
from gdcore._sparse import is_csr
from gdcore._streaming import checked_source
from gdcore.communication import places
from gdcore.communication.channel import Channel
from gdcore.data.pieces import Piece
from gdcore.data.source import Units
from gdcore.solvers import Solver

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Sharded", "gathered", "sharded"]

_BYTES = 64 * 2**20  # of rows under way at once
Rows = NDArray[np.int64]


class Shards:
    """The rows of all ranks, those of rank 0 first, of which this one holds some.

    Args:
        channel: The ranks.
        arrays: What this rank holds, by name, (N, ...) each; of which N may be 0.
    """

    def __init__(self, channel: Channel, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._channel = channel
        own = {name: (each.shape[1:], each.dtype.str) for name, each in arrays.items()}
        count = len(next(iter(arrays.values())))
        told: list[Any] = channel.gathered((count, own))
        dtypes = {}
        for name in own:
            found = {each[name][0] for rows, each in told if rows and name in each}
            if len(found) > 1 or any(each.keys() != own.keys() for _, each in told):
                raise ValueError(
                    f"{name} must have the same columns on every rank, got "
                    f"{[each.get(name) for _, each in told]}"
                )
            dtypes[name] = np.result_type(*(each[name][1] for rows, each in told if rows))
        shapes = {
            name: each for rows, of in reversed(told) if rows for name, (each, _) in of.items()
        }
        self._arrays = {
            name: np.ascontiguousarray(each, dtypes[name]).reshape(count, *shapes[name])
            for name, each in arrays.items()
        }
        self._begins = np.cumsum([0] + [rows for rows, _ in told])
        self.rows = int(self._begins[-1])
        self.bytes_a_row = sum(
            each.dtype.itemsize * int(np.prod(each.shape[1:])) for each in self._arrays.values()
        )

    def fetched(self, wanted: list[Rows]) -> dict[str, NDArray[Any]]:
        """The rows that this rank wants; ``wanted`` has those of every rank, by number."""
        rank = self._channel.rank
        first, end = self._begins[rank], self._begins[rank + 1]
        send = [rows[(rows >= first) & (rows < end)] - first for rows in wanted]
        own = wanted[rank]
        holders = np.searchsorted(self._begins, own, side="right") - 1
        order = np.argsort(holders, kind="stable")  # in which they come
        counts = np.bincount(holders, minlength=self._channel.size)
        found = {}
        for name, each in self._arrays.items():
            width = each.dtype.itemsize * int(np.prod(each.shape[1:]))
            sent = np.concatenate([each[rows] for rows in send])
            came = np.empty((len(own), *each.shape[1:]), each.dtype)
            send_counts = [len(rows) * width for rows in send]
            receive_counts = [int(count) * width for count in counts]
            self._channel.alltoallv(
                _bytes(sent),
                send_counts,
                _bytes(came),
                receive_counts,
                places(send_counts),
                places(receive_counts),
            )
            rows = np.empty_like(came)
            rows[order] = came
            found[name] = rows
        return found


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


@dataclass
class Sharded(Fitting):
    """What a call of `Trainer.fit` was given by a rank with rows of its own; data are the shards.

    Attributes:
        joined: Makes x, y and weights of arrays by their names.
    """

    joined: Callable[[Mapping[str, NDArray[Any]]], tuple[Any, Any, Any]] | None = None

    @property
    def samples(self) -> int:
        """Of all ranks."""
        rows: int = self.data.rows
        return rows

    def _epoch(
        self,
        trainer: Trainer,
        native: NativeTrainer,
        advance: Callable[[int], None] | None,
        on_batch: Callable[[float], bool] | None,
    ) -> dict[str, float]:
        """Goes over the rows of all ranks once."""
        channel, shards, joined = trainer._channel, self.data, self.joined
        assert channel is not None
        assert joined is not None
        together = min((self.batch_size or shards.rows) * self.accumulate, shards.rows)
        order = np.arange(shards.rows)
        if self.shuffle and together < shards.rows:
            order = np.asarray(_core.shuffled(shards.rows, trainer.seed, trainer.epochs))
        a_part = max(1, _BYTES // max(1, shards.bytes_a_row * together)) * together
        part = _core.EpochPart()
        values: dict[str, float] = {}
        fit_part: Any = native.fit_part
        epoch = trainer.epochs
        for begin in range(0, shards.rows, a_part):
            rows = order[begin : begin + a_part]
            wanted = [_wanted(rows, together, native, rank) for rank in range(channel.size)]
            _core.profile_mark("data")
            taken = joined(shards.fetched(wanted))
            data = native.prepare(*taken, NAMES)
            part.rows = len(rows)
            part.last = begin + a_part >= shards.rows
            done = None if advance is None else _after(advance, part.samples)
            values = fit_part(data, together, part, done, on_batch, 1)
            part.first = False
            if trainer.stopped and trainer.epochs == epoch:
                break
        return values


def _after(advance: Callable[[int], None], samples: int) -> Callable[[int], None]:
    return lambda done: advance(samples + done)


def _wanted(rows: Rows, together: int, native: NativeTrainer, rank: int) -> Rows:
    """Those of a part that belong to the slices of a rank, batch by batch; at least one."""
    own = []
    for begin in range(0, len(rows), together):
        batch = rows[begin : begin + together]
        first, end = native.rows_of_rank(len(batch), rank)
        own.append(batch[first:end])
    found = np.concatenate(own)
    return found if len(found) else rows[:1]  # which no batch asks for


class OfRank(Units):
    """Those units of a source that one rank reads: next to each other, as many as of any other."""

    def __init__(self, source: Units, rank: int, size: int) -> None:
        super().__init__(ahead=source._ahead)
        count = len(source._sizes())
        self._source = source
        self._first, self._end = (each * count // size for each in (rank, rank + 1))

    @property
    def names(self) -> tuple[str, ...] | None:
        """See `Source.names`."""
        return self._source.names

    def _sizes(self) -> Sequence[int]:
        return self._source._sizes()[self._first : self._end]

    def _read(self, unit: int, dtype: np.dtype[Any]) -> Piece:
        return self._source._read(self._first + unit, dtype)

    def __repr__(self) -> str:
        return repr(self._source)


def units_of_rank(x: Any, sample_weight: Any, trainer: Trainer) -> tuple[Any, Any, Any]:
    """The rows of a source that this rank reads, such as its row groups; there may be none.

    Raises:
        TypeError: x is no source.
        ValueError: There are weights beside it; or the source has no units, or not all of an epoch.
    """
    channel, source = trainer._channel, checked_source(x, trainer)
    assert channel is not None
    if sample_weight is not None:
        raise ValueError("sample_weight must be None where x is a source: it has its own")
    if not isinstance(source, Units) or source._limit is not None:
        raise ValueError(
            "data must be 'replicated' where x is a source that gives no rows by number, or only "
            f"some of them in an epoch, got 'sharded' with {source!r}"
        )
    own = OfRank(source, channel.rank, channel.size)
    if own.rows > 0:
        given = gathered_rows(own, trainer, trainer.network.feature_names, "x")
        return given[0], given[1], given[2] if len(given) > 2 else None
    piece = source._read(0, trainer.network.dtype).rows(slice(0))  # of that form
    return piece.x, piece.y, piece.weight


def sharded(fitting: Fitting, trainer: Trainer, arrays: tuple[Any, Any, Any]) -> Sharded:
    """The same over rows of which each rank has given its own.

    Raises:
        TypeError: Rows are sparse.
        ValueError: The trainer has no communicator, its optimizer takes all samples at once, there
            are derivatives, or ranks have other columns.
    """
    channel = trainer._channel
    assert channel is not None
    if isinstance(trainer.optimizer, Solver) or fitting.derivative_weights:
        raise ValueError("data must be 'replicated' with a solver or dy, got 'sharded'")
    shards = Shards(channel, _named(arrays))
    given = {each.name: getattr(fitting, each.name) for each in fields(Fitting)}
    return Sharded(**given | {"data": shards}, joined=_joins(arrays))


def gathered(trainer: Trainer, arrays: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """The rows of all ranks, on all of them; raises as `sharded` does."""
    channel = trainer._channel
    assert channel is not None
    shards = Shards(channel, _named(arrays))
    return _joins(arrays)(shards.fetched([np.arange(shards.rows)] * channel.size))


def _joins(
    arrays: tuple[Any, Any, Any],
) -> Callable[[Mapping[str, NDArray[Any]]], tuple[Any, Any, Any]]:
    """What makes x, y and weights of arrays by names, as they were given."""
    heads = list(arrays[1]) if isinstance(arrays[1], Mapping) else None
    inputs = list(arrays[0]) if isinstance(arrays[0], Mapping) else None
    weights = list(arrays[2]) if isinstance(arrays[2], Mapping) else None

    def joined(by_name: Mapping[str, NDArray[Any]]) -> tuple[Any, Any, Any]:
        def of(name: str, keys: list[str] | None) -> Any:
            if keys is None:
                return by_name.get(name)
            return {key: by_name[f"{name}[{key}]"] for key in keys}

        return of("x", inputs), of("y", heads), of("sample_weight", weights)

    return joined


def _named(arrays: tuple[Any, Any, Any]) -> dict[str, NDArray[Any]]:
    named = {}
    for name, given in zip(NAMES, arrays, strict=True):
        by_key = given.items() if isinstance(given, Mapping) else [(None, given)]
        for key, each in by_key:
            if is_csr(each):
                raise TypeError("data must be 'replicated' where rows are sparse, got 'sharded'")
            if each is not None:
                named[name if key is None else f"{name}[{key}]"] = np.asarray(each)
    return named

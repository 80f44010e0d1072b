"""Data that need not fit into memory: read piece by piece while `gdcore.Trainer.fit` trains.

>>> source = gdcore.data.Parquet("rides/", target="fare")
>>> trainer.fit(source, epochs=3, batch_size=256)

An epoch over a source is what it is over arrays in memory: without shuffling, or with the same
order, the same bits. The files are read ahead by a thread. `Parquet` and `Arrow` need the extra
``gdcore[data]``.
"""

from __future__ import annotations

from gdcore.data.arrays import NPY
from gdcore.data.chunks import Chunks
from gdcore.data.source import Source
from gdcore.data.tables import Arrow, Parquet

__all__ = ["NPY", "Arrow", "Chunks", "Parquet", "Source"]


def __dir__() -> list[str]:
    return __all__

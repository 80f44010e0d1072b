"""Training on several machines, or processes of one, to the bits of one.

>>> from mpi4py import MPI
>>> trainer = gdcore.Trainer(net, "cross_entropy", "adam", communicator=MPI.COMM_WORLD)
>>> trainer.fit(x, y, epochs=10, batch_size=256)

A run of ``mpirun -n 4 python -m gdcore.distributed train.py`` has one process a rank. Each step's
batch is cut into slices, ranks work on slices of their own, and the sums of all are made in an
order that the number of slices alone says: any number of ranks gives the same bits.
"""

from __future__ import annotations

from gdcore.communication import Communicator, TorchCommunicator, run_ranks
from gdcore.communication.watch import busy
from gdcore.distributed._threads import threads_for
from gdcore.distributed.estimate import Estimate, estimate
from gdcore.distributed.links import LINKS, Link

__all__ = [
    "LINKS",
    "Communicator",
    "Estimate",
    "Link",
    "TorchCommunicator",
    "busy",
    "estimate",
    "run_ranks",
    "threads_for",
]


def __dir__() -> list[str]:
    return __all__

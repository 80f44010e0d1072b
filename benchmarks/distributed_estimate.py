"""Steps on 1, 2, 4, ... ranks beside what `gdcore.distributed.estimate` says of them.

    mpirun -n 4 python -m benchmarks.distributed_estimate
    mpirun -n 4 python -m benchmarks.distributed_estimate --sizes 784,512,512,10 --batch-size 1024

For each number of ranks the estimate is made on those very ranks, from a link and steps that they
measure themselves, and then their steps are measured; ranks that have no part sleep. Nothing but
the model is between the two: they must be within 20 %.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import numpy as np

import gdcore as gd
from gdcore.benchmark.machine import machine, machine_line
from gdcore.benchmark.turns import repeated
from gdcore.profiling.tables import Table

CASES = ((64, 128, 10), (784, 512, 512, 10), (256, 1024, 1024, 10))
SLICES = 8
ALLOWED = 0.2


def trainer_of(sizes: tuple[int, ...], **options: Any) -> gd.Trainer:
    """A network of such sizes, with relu between them."""
    layers = [gd.Dense(size, "relu") for size in sizes[1:-1]]
    network = gd.Network([*layers, gd.Dense(sizes[-1])], input_size=sizes[0], seed=0)
    return gd.Trainer(network, "cross_entropy", "adam", **options)


def step_seconds(own: Any, sizes: tuple[int, ...], rows: int, rounds: int, seconds: float) -> float:
    """Of a step on the ranks of a communicator: the median of rounds, of the slowest rank."""
    trainer = trainer_of(sizes, communicator=own, slices=SLICES)
    random = np.random.default_rng(0)
    x = random.standard_normal((8 * rows, sizes[0]), np.float32)
    y = random.integers(0, sizes[-1], 8 * rows)

    def step(number: int) -> None:
        begin = number % 8 * rows
        trainer.step(x[begin : begin + rows], y[begin : begin + rows])

    count = 1
    if own.Get_rank() == 0:  # all ranks must make the same number of steps
        alone = trainer_of(sizes)
        one = repeated(lambda _: alone.step(x[:rows], y[:rows]), seconds / 4)()
        count = max(round(seconds / one), 3)
    count = own.bcast(count)
    found = []
    for number in range(rounds + 1):
        own.Barrier()
        begin = time.perf_counter()
        for each in range(count):
            step(each)
        took = max(own.allgather((time.perf_counter() - begin) / count))
        if number:  # the first one compiles the plan
            found.append(took)
    return median(found)


def estimated(own: Any, sizes: tuple[int, ...], rows: int) -> gd.distributed.Estimate:
    """What these ranks would say beforehand."""
    ranks = own.Get_size()
    link: dict[str, Any] = {"communicator": own} if ranks > 1 else {"link": "10GbE"}
    return gd.distributed.estimate(trainer_of(sizes), rows, (1, ranks), **link)


def asleep_until_all_are_there(world: Any) -> None:
    """A barrier that takes no CPU from those who are at work."""
    request = world.Ibarrier()
    while not request.Test():
        time.sleep(0.005)


def main() -> int:
    from mpi4py import MPI

    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--sizes", help="inputs, hidden units, outputs; else several networks")
    parser.add_argument("--batch-size", type=int, default=256, help="rows of a step")
    parser.add_argument("--threads", type=int, default=1, help="of a rank")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a round, about")
    given = parser.parse_args()
    gd.set_num_threads(given.threads)
    world = MPI.COMM_WORLD
    cases = [tuple(map(int, given.sizes.split(",")))] if given.sizes else CASES
    counts = [1 << i for i in range(world.size.bit_length()) if 1 << i <= min(world.size, SLICES)]
    rows: list[dict[str, Any]] = []
    for sizes in cases:
        for ranks in counts:
            own = world.Split(0 if world.rank < ranks else MPI.UNDEFINED, world.rank)
            if own != MPI.COMM_NULL:
                told = estimated(own, sizes, given.batch_size)
                took = step_seconds(own, sizes, given.batch_size, given.rounds, given.seconds)
                computing, exchanging, updating = told.parts(ranks)
                rows.append(
                    {
                        "network": "-".join(map(str, sizes)),
                        "batch": given.batch_size,
                        "ranks": ranks,
                        "computing, us": 1e6 * computing,
                        "exchanging, us": 1e6 * exchanging,
                        "updating, us": 1e6 * updating,
                        "estimated, us": 1e6 * told.seconds(ranks),
                        "measured, us": 1e6 * took,
                        "estimated / measured": told.seconds(ranks) / took,
                        "link": str(told.link) if ranks > 1 else "",
                    }
                )
                own.Free()
            asleep_until_all_are_there(world)
    far = 0
    if world.rank == 0:
        ratios = [row["estimated / measured"] for row in rows]
        far = sum(not 1 - ALLOWED <= ratio <= 1 + ALLOWED for ratio in ratios)
        print(machine_line(machine()))
        print(Table(rows))
        print(f"{len(rows) - far} of {len(rows)} within {100 * ALLOWED:.0f} %")
    return int(bool(world.bcast(far)))


if __name__ == "__main__":
    raise SystemExit(main())

"""A step on several ranks beside PyTorch's DDP: `python -m benchmarks.distributed`.

Each library trains the same network on the same rows a rank, one thread a rank, in a run of its
own of all ranks; runs alternate, and a figure is the median of the runs' medians. Beside them one
process of gdcore with as many threads as there are ranks. Needs mpirun beside this Python or on
the path, and torch.

    python -m benchmarks.distributed --ranks 2 --times 3
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row

__all__ = ["CASES", "LIBRARIES", "measured"]

# Sizes of the layers, the rows of all ranks, and how many steps are timed.
CASES: dict[str, tuple[tuple[int, ...], int, int]] = {
    "mnist-m, 256 rows": ((784, 512, 512, 10), 256, 200),
    "wide, 512 rows": ((1024, 4096, 4096, 1024), 512, 12),
}


def _batches(sizes: tuple[int, ...], rows: int) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(size=(rows, sizes[0])).astype(np.float32),
            rng.integers(0, sizes[-1], rows),
        )
        for _ in range(4)
    ]


def _timed(step: Any, batches: list[tuple[Any, Any]], steps: int) -> float:
    seconds = []
    for i in range(steps + 5):
        x, y = batches[i % len(batches)]
        since = time.perf_counter()
        step(x, y)
        seconds.append(time.perf_counter() - since)
    return median(seconds[5:])


def _ours(case: str, threads: int, communicator: Any, slices: int | None) -> float:
    import gdcore as gd

    sizes, rows, steps = CASES[case]
    layers = [*(gd.Dense(size, "relu") for size in sizes[1:-1]), gd.Dense(sizes[-1])]
    net = gd.Network(layers, input_size=sizes[0], seed=0)
    trainer = gd.Trainer(
        net,
        "cross_entropy",
        "adam",
        num_threads=threads,
        communicator=communicator,
        slices=slices,
    )
    return _timed(trainer.step, _batches(sizes, rows), steps)


def _ddp(case: str) -> float:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    sizes, rows, steps = CASES[case]
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    model = DistributedDataParallel(torch.nn.Sequential(*layers[:-1]))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss = torch.nn.CrossEntropyLoss()
    rank, size = dist.get_rank(), dist.get_world_size()
    own = slice(rank * rows // size, (rank + 1) * rows // size)
    batches = [
        (torch.from_numpy(x[own]), torch.from_numpy(y[own])) for x, y in _batches(sizes, rows)
    ]

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    seconds = _timed(step, batches, steps)
    dist.destroy_process_group()
    return seconds


def _one(library: str, case: str, ranks: int) -> None:
    """What a process of a run does; the first rank prints the figure."""
    communicator: Any = None
    if library == "DDP, gloo":
        rank, seconds = int(os.environ["RANK"]), _ddp(case)
    elif library == "gdcore, ranks":
        from mpi4py import MPI

        communicator = MPI.COMM_WORLD
        rank, seconds = communicator.rank, _ours(case, 1, communicator, None)
    else:
        rank, seconds = 0, _ours(case, ranks, None, None)
    if rank == 0:
        print(json.dumps(seconds), flush=True)


def _launcher(library: str, ranks: int) -> list[str]:
    if library == "DDP, gloo":
        return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    if library == "gdcore, ranks":
        beside = str(Path(sys.executable).parent)
        mpirun = shutil.which("mpirun", path=beside) or shutil.which("mpirun")
        return [mpirun or "mpirun", "-n", str(ranks)]
    return []


LIBRARIES = ("gdcore, ranks", "DDP, gloo", "gdcore, threads")


def measured(case: str, ranks: int, times: int) -> Row:
    """Milliseconds a step of each, and how many times as fast ranks of gdcore are."""
    found: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    for _ in range(times):
        for library in LIBRARIES:
            launcher = _launcher(library, ranks)
            python = [] if launcher[:1] == [sys.executable] else [sys.executable]
            program = ["-m", "benchmarks.distributed", "--one", json.dumps([library, case, ranks])]
            run = subprocess.run([*launcher, *python, *program], capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(run.stderr.strip() or f"{library} failed")
            found[library].append(float(run.stdout.splitlines()[-1]))
    row: Row = {"case": case, "ranks": ranks}
    for library, seconds in found.items():
        row[f"{library}, ms"] = 1e3 * median(seconds)
    row["times DDP"] = median(found["DDP, gloo"]) / median(found["gdcore, ranks"])
    return row


def main() -> None:
    """Reads the command line; with --one is a process of a run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        _one(*json.loads(arguments.one))
        return
    rows = [measured(case, arguments.ranks, arguments.times) for case in CASES]
    print(markdown(f"a step on {arguments.ranks} ranks", rows), flush=True)


if __name__ == "__main__":
    main()

"""Trains from Parquet files three times as large as the memory that the process may have.

    python -m benchmarks.larger_than_memory               # a limit of 640 MB, a folder of 1,920 MB
    python -m benchmarks.larger_than_memory --room 24     # 24 MB beside what a process has anyhow

One process trains from the folder under RLIMIT_AS, another without a limit from arrays that it has
read before, in the same order; by turns, each as often as said. The weights must be the same to the
bit, the peak below the limit, and the speed at least 80 % of that from arrays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

MB = 10**6
ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 64
GROUP, FILE = 16_384, 8  # rows of a row group, row groups of a file
TIMES = 3  # as large as the limit
LEAST = 0.8  # of the speed


def written(folder: Path, size: int) -> int:
    """Writes files of so many bytes together at least; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(COLUMNS)]
    rows = total = number = 0
    while total < size:
        path = folder / f"part{number:04}.parquet"
        with pq.ParquetWriter(path, pa.schema([(n, pa.float32()) for n in [*names, "y"]])) as file:
            for _ in range(FILE):
                x = rng.standard_normal((GROUP, COLUMNS), np.float32)
                y = np.tanh(x[:, 0] * x[:, 1]) + x[:, 2]
                table = pa.table({**dict(zip(names, x.T.copy())), "y": y})
                file.write_table(table, row_group_size=GROUP)
                rows += GROUP
                total = total + table.nbytes
                if total >= size:
                    break
        number += 1
    return rows


def peak() -> int:
    """Bytes of address space that this process had at most, which is what RLIMIT_AS limits."""
    return 1024 * int(re.search(r"VmPeak:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def work(how: str, folder: str, limit: int, room: int, hidden: int, batch_size: int) -> None:
    """What one process does; prints what came of it as JSON."""
    import resource

    import gdcore as gd

    def trainer() -> gd.Trainer:
        layers = [gd.Dense(hidden, "relu"), gd.Dense(hidden, "relu"), gd.Dense(1)]
        net = gd.Network(layers, input_size=COLUMNS, seed=0)
        return gd.Trainer(net, "mse", gd.Adam(lr=1e-3))

    # What a process has anyhow: workers, their stacks, plans, and pyarrow.
    source = gd.data.Parquet(folder, target="y")
    first = gd.data.Parquet(source._files[:1], target="y")
    trainer().fit(first, epochs=1, batch_size=batch_size, shuffle=False, progress=False)
    before = peak()
    if how == "folder":
        limit = limit or before + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        x, y = source, None
    else:
        pieces = [source._read(unit, np.dtype("float32")) for unit in range(len(source._sizes()))]
        x = np.concatenate([each.x for each in pieces])
        y = np.concatenate([each.y for each in pieces])
        del pieces
    made = trainer()
    start = time.perf_counter()
    history = made.fit(x, y, epochs=1, batch_size=batch_size, shuffle=False, progress=False)
    seconds = time.perf_counter() - start
    digest = hashlib.sha256()
    for array in made.network.state_dict().values():
        digest.update(array.tobytes())
    told = {"seconds": seconds, "peak": peak(), "before": before, "limit": limit}
    print(json.dumps(told | {"loss": history["loss"][0], "digest": digest.hexdigest()}))


def ran(how: str, folder: str, options: argparse.Namespace) -> dict[str, float | str]:
    numbers = (options.limit * MB, options.room * MB, options.hidden, options.batch_size)
    command = [sys.executable, "-m", "benchmarks.larger_than_memory", "--work", how, folder]
    # Arrow's own allocators reserve a gigabyte of addresses, and glibc's 64 MB for each thread,
    # which is no memory, but is limited.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    result = subprocess.run(
        [*command, *map(str, numbers)], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    if result.returncode:
        raise SystemExit(f"{how} failed:\n{result.stderr}")
    return json.loads(result.stdout)


@dataclass(frozen=True)
class Compared:
    """What came of it: seconds are medians, bytes of all runs the most."""

    rows: int
    on_disk: int
    limit: int
    seconds: dict[str, float]
    peaks: dict[str, int]
    same: bool
    below: bool


def compared(options: argparse.Namespace) -> Compared:
    size = TIMES * (options.limit or options.room) * MB
    with tempfile.TemporaryDirectory() as folder:
        rows = written(Path(folder), size)
        on_disk = sum(each.stat().st_size for each in Path(folder).iterdir())
        runs = [
            {how: ran(how, folder, options) for how in ("folder", "arrays")}
            for _ in range(options.times)
        ]
    streamed = [run["folder"] for run in runs]
    return Compared(
        rows,
        on_disk,
        max(each["limit"] for each in streamed),
        {how: median(run[how]["seconds"] for run in runs) for how in runs[0]},
        {how: max(run[how]["peak"] for run in runs) for how in runs[0]},
        len({each["digest"] for run in runs for each in run.values()}) == 1,
        all(each["peak"] <= each["limit"] for each in streamed),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=int, default=640, metavar="MB")
    parser.add_argument("--room", type=int, default=0, metavar="MB", help="in place of a limit")
    parser.add_argument("--hidden", type=int, default=256, help="units of two layers")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.room:
        options.limit = 0
    found = compared(options)
    for how, seconds in found.seconds.items():
        speed, peak = found.rows / seconds, found.peaks[how] / MB
        print(f"from {how:8} {seconds:7.2f} s  {speed:10,.0f} rows/s  peak {peak:7,.0f} MB")
    share = found.seconds["arrays"] / found.seconds["folder"]
    limit, on_disk = found.limit / MB, found.on_disk / MB
    print(f"{found.rows:,} rows, folder {on_disk:,.0f} MB, limit {limit:,.0f} MB (RLIMIT_AS)")
    print(f"same bits: {found.same}; peak below the limit: {found.below}; speed: {share:.0%}")
    return int(not found.same or not found.below or share < LEAST)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:4], *map(int, sys.argv[4:]))
    else:
        sys.exit(main())

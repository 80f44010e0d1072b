"""Training on several ranks by MPI itself, and by gloo: processes that come to one hash."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import gdcore as gd

PROGRAM = """
import sys, zlib
import numpy as np
from mpi4py import MPI
import gdcore as gd
comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
x = rng.normal(size=(203, 12)).astype(np.float32)
y = rng.integers(0, 3, 203)
layers = [gd.Dense(24), gd.BatchNorm(), "relu", gd.Dropout(0.1), gd.Dense(3)]
net = gd.Network(layers, input_size=12, seed=1)
trainer = gd.Trainer(net, "cross_entropy", "adam", communicator=comm, num_threads=1)
own = slice(comm.rank * 203 // comm.size, (comm.rank + 1) * 203 // comm.size)
trainer.fit(x, y, epochs=1, batch_size=64, progress=False)
trainer.fit(x[own], y[own], epochs=1, batch_size=64, progress=False, data="sharded")
found = 0
for each in net.state_dict().values():
    found = zlib.crc32(np.ascontiguousarray(each).tobytes(), found)
if comm.gather(found) is not None:
    print("hash", found, trainer.history["loss"])
"""


def launcher() -> list[str] | None:
    """Of the MPI that is beside this Python, or on the path."""
    for folder in (Path(sys.executable).parent, None):
        found = shutil.which("mpirun", path=None if folder is None else str(folder))
        if found:
            return [found]
    return None


@pytest.mark.skipif(launcher() is None, reason="no mpirun is to be found")
def test_mpi_comes_to_the_same(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = launcher()
    assert command is not None
    told = set()
    for ranks in (1, 3):
        run = subprocess.run(
            [*command, "-n", str(ranks), sys.executable, str(program)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if "cannot load MPI library" in run.stderr:
            pytest.skip("no MPI library is to be found")
        assert run.returncode == 0, run.stderr
        told.add(run.stdout.strip())
    assert len(told) == 1
    assert "hash" in told.pop()


GLOO = """
import sys
rank, size, at = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
import numpy as np
import gdcore as gd
from gdcore._sharing import crc
comm = None
if size > 1:
    import torch.distributed as dist
    dist.init_process_group("gloo", init_method=f"file://{at}", rank=rank, world_size=size)
    comm = gd.distributed.TorchCommunicator()
rng = np.random.default_rng(0)
x, y = rng.normal(size=(90, 5)), rng.integers(0, 3, 90)
net = gd.Network([gd.Dense(8), gd.BatchNorm(), "relu", gd.Dense(3)], input_size=5, seed=1)
trainer = gd.Trainer(net, "cross_entropy", "adam", communicator=comm, slices=7, num_threads=1)
trainer.fit(x, y, epochs=1, batch_size=20, progress=False)
apart = {} if comm is None else {"data": "sharded"}
own = slice(rank * 90 // size, (rank + 1) * 90 // size)
trainer.fit(x[own], y[own], epochs=1, batch_size=20, progress=False, **apart)
print("hash", crc(list(net.state_dict().values())))
if comm:
    dist.destroy_process_group()
"""


def test_gloo_comes_to_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    told = []
    for size in (1, 2):
        command = [sys.executable, "-c", GLOO]
        runs = [
            subprocess.Popen(
                [*command, str(rank), str(size), str(tmp_path / "store")],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]
        for run in runs:
            out, err = run.communicate(timeout=120)
            assert run.returncode == 0, err
            told.append(out.strip().splitlines()[-1])
    assert told[0].startswith("hash")
    assert set(told) == {told[0]}


def test_gloo_without_a_group() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(RuntimeError, match="there is no process group"):
        gd.distributed.TorchCommunicator()

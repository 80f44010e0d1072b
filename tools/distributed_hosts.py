"""Two hosts on one machine: `python -m tools.distributed_hosts`, as root on Linux.

Two network namespaces joined by a pair of virtual interfaces are two hosts to MPICH, which reaches
each other by TCP alone. A training of two and of four ranks on them must come to the hash of one
process; what the interface has carried is told beside what gdcore has to send. Needs iproute2, and
MPICH's mpirun beside this Python or on the path.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Hosts", "hosts"]

PROGRAM = """
import sys, zlib
import numpy as np
import gdcore as gd
comm = None
if sys.argv[1] == "ranks":
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
x = rng.normal(size=(2048, 784)).astype(np.float32)
y = rng.integers(0, 10, 2048)
layers = [gd.Dense(512, "relu"), gd.Dropout(0.1), gd.Dense(512, "relu"), gd.Dense(10)]
net = gd.Network(layers, input_size=784, seed=0)
trainer = gd.Trainer(net, "cross_entropy", "adam", communicator=comm, slices=8, num_threads=1)
before = comm and comm.gather(0)
trainer.fit(x, y, batch_size=256, epochs=5, progress=False)
found = 0
for each in net.state_dict().values():
    found = zlib.crc32(np.ascontiguousarray(each).tobytes(), found)
if comm is None or comm.rank == 0:
    flat = net.num_parameters * 4
    print("hash", found, "steps", trainer.steps, "bytes of parameters", flat, flush=True)
"""
_ADDRESSES = {"gdcore_a": "10.213.7.1", "gdcore_b": "10.213.7.2"}


class Hosts:
    """Both of them.

    Attributes:
        folder: A place for files that both see.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.enter = folder / "enter.sh"
        # mpirun calls it as ssh: options, a host, and a command for that host's shell.
        cases = "\n".join(f"  {ip}) space={name};;" for name, ip in _ADDRESSES.items())
        self.enter.write_text(
            '#!/bin/bash\nwhile [[ "$1" == -* ]]; do shift; done\n'
            f'case "$1" in\n{cases}\nesac\nshift\nexec ip netns exec $space bash -c "$*"\n'
        )
        self.enter.chmod(0o755)

    def command(self, ranks: int, program: list[str]) -> list[str]:
        """What runs a program on so many ranks, half of them on each host."""
        beside = str(Path(sys.executable).parent)
        mpirun = shutil.which("mpirun", path=beside) or shutil.which("mpirun")
        if mpirun is None:
            raise SystemExit("mpirun is neither beside this Python nor on the path")
        listed = ",".join(f"{ip}:{(ranks + 1) // 2}" for ip in _ADDRESSES.values())
        return [
            *("ip", "netns", "exec", "gdcore_a", mpirun),
            *("-launcher", "ssh", "-launcher-exec", str(self.enter)),
            *("-hosts", listed, "-localhost", _ADDRESSES["gdcore_a"]),
            *("-n", str(ranks), *program),
        ]

    def sent(self) -> int:
        """Bytes that the first host has sent so far."""
        return int(_told("ip", "netns", "exec", "gdcore_a", "cat", _COUNTER))

    def cut(self) -> None:
        """Takes the link away."""
        _told("ip", "netns", "exec", "gdcore_b", "ip", "link", "set", "gdcore_vb", "down")


_COUNTER = "/sys/class/net/gdcore_va/statistics/tx_bytes"


def _told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def hosts() -> Iterator[Hosts]:
    """The two, for as long as the block runs."""
    made = []
    try:
        for name in _ADDRESSES:
            _told("ip", "netns", "add", name)
            made.append(name)
        _told("ip", "link", "add", "gdcore_va", "type", "veth", "peer", "name", "gdcore_vb")
        for name, ip in _ADDRESSES.items():
            device = f"gdcore_v{name[-1]}"
            _told("ip", "link", "set", device, "netns", name)
            within = ("ip", "netns", "exec", name, "ip")
            _told(*within, "addr", "add", f"{ip}/24", "dev", device)
            _told(*within, "link", "set", device, "up")
            _told(*within, "link", "set", "lo", "up")
        with tempfile.TemporaryDirectory() as folder:
            yield Hosts(Path(folder))
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def main() -> None:
    """Runs one process, then two and four ranks, and compares."""
    argparse.ArgumentParser(
        prog="python -m tools.distributed_hosts", description=__doc__
    ).parse_args()
    with hosts() as two:
        program = two.folder / "train.py"
        program.write_text(PROGRAM)
        alone = _told(sys.executable, str(program), "alone").strip()
        print("1 process        ", alone, flush=True)
        environment = os.environ | {
            "FI_PROVIDER": "tcp",
            "MPIR_CVAR_NOLOCAL": "1",
            "UCX_TLS": "tcp,self",
        }
        same = True
        for ranks in (2, 4):
            before = two.sent()
            run = subprocess.run(
                two.command(ranks, [sys.executable, str(program), "ranks"]),
                capture_output=True,
                text=True,
                env=environment,
            )
            told = run.stdout.strip() or run.stderr.strip()
            same = same and told == alone
            print(
                f"{ranks} ranks, 2 hosts  ", told, "| sent by the first host:", two.sent() - before
            )
    print("the same" if same else "DIFFERENT")
    raise SystemExit(not same)


if __name__ == "__main__":
    main()

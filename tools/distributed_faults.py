"""Ends ranks of a run at random moments, and looks at how the others end.

python tools/distributed_faults.py --launcher "mpirun -n 3" --count 20 --seed 0

Each run trains a network step after step and saves it every few steps, until one
rank is killed, raises an exception, leaves by ``os._exit(0)``, is stopped, or has its machine cut
off. A run must have ended soon after, with a status other than 0, with a message that names the
rank, and with a model file that loads. Cut links are those of two network namespaces, which takes
root's rights and MPICH's mpirun.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

RANKS = 3
KINDS = ("kill", "exception", "exit", "stop", "cut")
SPACES = {"10.77.31.1": "gdfaulta", "10.77.31.2": "gdfaultb"}
LATE = 2.0  # seconds that a launcher may take after the last rank


# ---- a rank ----


def rank_main(folder: Path, kind: str, who: int, after: float) -> None:
    """Trains for ever; rank `who` fails so many seconds after all have begun."""
    import numpy as np
    from mpi4py import MPI

    import gdcore as gd
    from gdcore.communication import MPICommunicator

    communicator = MPICommunicator(MPI.COMM_WORLD)
    rank = communicator.rank
    net = gd.Network([gd.Dense(32, "relu"), gd.Dense(2)], input_size=8, seed=0)
    trainer = gd.Trainer(net, "cross_entropy", "adam", num_threads=1, communicator=communicator)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)), rng.integers(0, 2, 64)
    trainer.save(folder / "model")
    (folder / f"pid{rank}").write_text(str(os.getpid()))
    due = threading.Event()
    if rank == who and kind == "exit":
        threading.Timer(after, os._exit, [0]).start()
    elif rank == who and kind == "exception":
        threading.Timer(after, due.set).start()
    for number in range(1 << 40):
        trainer.step(x, y)
        if due.is_set():
            raise RuntimeError("planted")
        if number % 20 == 0:
            trainer.save(folder / "model")


# ---- those who look on ----


def command(launcher: str, folder: Path, timeout: float, *rest: object) -> list[str]:
    """A run under a launcher."""
    program = [sys.executable, "-m", "gdcore.distributed", f"--timeout={timeout:g}", __file__]
    return [*shlex.split(launcher), *program, "--rank", str(folder), *map(str, rest)]


def fault(kind: str, launcher: str, who: int, after: float, timeout: float, folder: Path) -> str:
    """Does one run; returns what was wrong, or "" and in `folder/seconds` how long the end took."""
    out = (folder / "out").open("wb")
    run = command(launcher, folder, timeout, kind, who, after)
    process = subprocess.Popen(run, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        limit = time.monotonic() + 60
        while not all((folder / f"pid{rank}").exists() for rank in range(RANKS)):
            if time.monotonic() > limit or process.poll() is not None:
                return "did not begin"
            time.sleep(0.01)
        time.sleep(after)
        if kind in ("kill", "stop"):
            number = signal.SIGKILL if kind == "kill" else signal.SIGSTOP
            os.kill(int((folder / f"pid{who}").read_text()), number)
        elif kind == "cut":
            ip("link", "set", "gdfaulta", "down", space="gdfaulta")
        begun = time.monotonic()
        try:
            status = process.wait(timeout + LATE + 10)
        except subprocess.TimeoutExpired:
            return "hangs"
        seconds = time.monotonic() - begun
        (folder / "seconds").write_text(str(seconds))
    finally:
        clear(process, folder)
        out.close()
    told = (folder / "out").read_text(errors="replace").replace("\0", "")  # some mpirun add these
    if seconds > timeout + LATE:
        return f"took {seconds:.1f} s"
    if status == 0:
        return "status 0"
    if not any(names(line, who) for line in told.splitlines()):
        return "rank not named"
    import gdcore as gd

    try:
        gd.Trainer.load(folder / "model")
    except (OSError, ValueError) as error:
        return f"model: {error}"
    return ""


def names(line: str, who: int) -> bool:
    """Whether a message begins with the rank that has failed."""
    return line.strip().startswith(f"gdcore: rank {who} (")


def clear(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Ends what a run has left behind."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for path in folder.glob("pid*"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGKILL)


def ip(*arguments: str, space: str | None = None) -> None:
    """Calls `ip`, within a network namespace."""
    within = [] if space is None else ["-n", space]
    subprocess.run(["ip", *within, *arguments], check=True, capture_output=True)


def joined(folder: Path) -> str:
    """Makes two network namespaces with a link; returns options of mpirun for ranks in them."""
    parted()
    for space in SPACES.values():
        ip("netns", "add", space)
        ip("link", "set", "lo", "up", space=space)
    ip("link", "add", "gdfaulta", "type", "veth", "peer", "name", "gdfaultb")
    for address, space in SPACES.items():
        ip("link", "set", space, "netns", space)
        ip("address", "add", f"{address}/24", "dev", space, space=space)
        ip("link", "set", space, "up", space=space)
    script = folder / "enter"
    cases = "".join(f"    {address}) space={space} ;;\n" for address, space in SPACES.items())
    script.write_text(
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do\n  case $1 in\n"
        f"{cases}    -*) ;;\n    *) break ;;\n  esac\n  shift\ndone\n"
        'exec ip netns exec "$space" sh -c "$*"\n'
    )
    script.chmod(0o755)
    hosts = ",".join(f"{each}:{2 - place}" for place, each in enumerate(SPACES))
    return f"-launcher ssh -launcher-exec {script} -hosts {hosts}"


def parted() -> None:
    """Takes the namespaces away."""
    for space in SPACES.values():
        subprocess.run(["ip", "netns", "del", space], capture_output=True)


def main() -> None:
    """Runs all of it; ends with 1 where a run did not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launcher", default=f"mpirun -n {RANKS}", help="what starts three ranks")
    parser.add_argument("--name", default="MPI", help="of the MPI, in the table")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS[:-1]))
    parser.add_argument("--count", type=int, default=20, help="runs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=5.0, help="of the watch, in seconds")
    parser.add_argument("--rank", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank is not None:
        folder, kind, who, after = given.rank
        rank_main(Path(folder), kind, int(who), float(after))
        return
    print("| MPI | fault | runs | as they should | slowest end, s |\n|---|---|---|---|---|")
    bad = 0
    for kind in given.kinds:
        rng = random.Random(f"{given.seed} {kind}")
        took, wrong = [], []
        for number in range(given.count):
            # The one that is cut off is alone on its machine.
            who, after = (RANKS - 1 if kind == "cut" else rng.randrange(RANKS)), rng.uniform(0, 1)
            with tempfile.TemporaryDirectory() as name:
                launcher = given.launcher
                if kind == "cut":
                    launcher = f"ip netns exec gdfaulta {launcher} {joined(Path(name))}"
                said = fault(kind, launcher, who, after, given.timeout, Path(name))
                if said:
                    text = (Path(name) / "out").read_text(errors="replace")
                    wrong.append(f"{kind} {number}, rank {who}, {after:.2f} s: {said}\n{text}")
                if (Path(name) / "seconds").exists():
                    took.append(float((Path(name) / "seconds").read_text()))
        right, slowest = given.count - len(wrong), max(took, default=float("nan"))
        print(f"| {given.name} | {kind} | {given.count} | {right} | {slowest:.1f} |", flush=True)
        for text in wrong:
            print(text, file=sys.stderr)
        bad += len(wrong)
    if "cut" in given.kinds:
        parted()
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

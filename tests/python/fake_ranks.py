"""A rank of a run without MPI, for tests: python fake_ranks.py FOLDER RANK SIZE HOW WHO.

Ranks are processes that meet in files of a folder. WHO does HOW; the others go on for ever, or to
the end where nobody does anything.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from gdcore.communication import spoke, watch
from gdcore.communication.starting import start
from gdcore.communication.watch import busy

TIMEOUT = 2.0
spoke.GRACE = watch.GRACE = 0.5  # type: ignore[attr-defined]


class Files:
    """A communicator whose ranks meet in files; only what the watch needs of it."""

    def __init__(self, folder: Path, rank: int, size: int, hangs: bool = False) -> None:
        self.folder, self.rank, self.size, self.hangs = folder, rank, size, hangs
        self.calls = 0
        (folder / f"pid{rank}").write_text(str(os.getpid()))

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        self.calls += 1
        self._put(f"{self.calls}.{self.rank}", value)
        ranks = range(self.size)
        return [self._get(f"{self.calls}.{r}") for r in ranks] if self.rank == root else None

    def bcast(self, value: Any, root: int = 0) -> Any:
        self.calls += 1
        if self.rank == root:
            self._put(f"{self.calls}", value)
        return self._get(f"{self.calls}")

    def abort(self, code: int = 1) -> None:
        (self.folder / f"abort{self.rank}").write_text(str(code))
        if self.hangs:
            time.sleep(60)
        for rank in {*range(self.size)} - {self.rank}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int((self.folder / f"pid{rank}").read_text()), signal.SIGKILL)
        os._exit(code)

    def _put(self, name: str, value: Any) -> None:
        path = self.folder / f"{name}.new"
        path.write_bytes(pickle.dumps(value))
        path.rename(self.folder / name)

    def _get(self, name: str) -> Any:
        while not (self.folder / name).exists():
            time.sleep(0.002)
        return pickle.loads((self.folder / name).read_bytes())


def fail() -> None:
    raise ValueError("no good")


def main() -> None:
    folder, rank, size, how, who = sys.argv[1:]
    communicator: Any = Files(Path(folder), int(rank), int(size), hangs=how == "hanging abort")
    begun = start(communicator, TIMEOUT)
    assert begun is not None
    mine = int(rank) == int(who)
    try:
        with begun.waiting("step 0"):
            communicator.bcast(0)
        if how == "busy" and mine:
            with busy("a long work"):
                time.sleep(2 * TIMEOUT)
        elif mine and how in ("exception", "hanging abort"):
            fail()
        elif mine and how == "exit":
            os._exit(0)
        elif mine and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif mine and how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif mine and how == "never":
            time.sleep(60)
        elif mine and how in ("end", "code"):
            begun.goodbye(3 if how == "code" else 0)
        elif how == "all raise":
            fail()
        if how not in ("good", "texts", "busy"):
            with begun.waiting("step 1"):
                time.sleep(60)
        elif how == "busy":
            with begun.waiting("step 1"):
                communicator.gather(0)
                communicator.bcast(0)
        begun.goodbye(0, "nothing to do" if how == "texts" else "")
    except ValueError:
        begun.raised(traceback.format_exc())


if __name__ == "__main__":
    main()

"""What `gdcore.fit_many` puts where other processes find it: data, progress, and the word to stop.

A folder in the memory of the host, where it has one for files, holds a file of the data, which
processes map, and a board of a number for each network, which they write. Where another host does
not see the folder, the same bytes are sent there.
"""

from __future__ import annotations

import mmap
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["Board", "Parcel", "mapped", "unpacked"]

_ALIGNED = 64  # bytes
_MEMORY = "/dev/shm"
_PREFIX = "gdcore-"
_DATA, _BOARD = "data", "board"

Dumps = Callable[..., bytes]


class Parcel:
    """The folder, as long as it is open.

    Attributes:
        folder: Where it is.
        board: Its board.
    """

    def __init__(self, content: Any, networks: int, dumps: Dumps) -> None:
        buffers: list[pickle.PickleBuffer] = []
        text = dumps(content, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        ends = np.cumsum([0, *(-(-len(view) // _ALIGNED) * _ALIGNED for view in views)]).tolist()
        places = [(begin, len(view)) for begin, view in zip(ends, views, strict=False)]
        head = pickle.dumps((text, places))
        begin = -(-(8 + len(head)) // _ALIGNED) * _ALIGNED
        self.folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_place(ends[-1]))
        try:
            with open(os.path.join(self.folder, _DATA), "wb") as file:
                file.write(len(head).to_bytes(8, "little") + head)
                for (at, _), view in zip(places, views, strict=True):
                    file.seek(begin + at)
                    file.write(view)
                file.truncate(begin + ends[-1])
            Path(self.folder, _BOARD).write_bytes(bytes(8 * (networks + 1)))
            self.board = Board(self.folder)
        except BaseException:
            self.close()
            raise

    def whole(self) -> bytes:
        """The data, to be sent."""
        return Path(self.folder, _DATA).read_bytes()

    def close(self) -> None:
        """Removes the folder; who has mapped the data keeps them."""
        vars(self).pop("board", None)  # what is mapped cannot be removed on Windows
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Parcel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Board:
    """A number for each network: 0 before a process of this host has begun it, then 1 + epochs.

    Raises:
        OSError: The folder is not there.
    """

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, _BOARD), "r+b") as file:
            self._numbers: NDArray[np.int64] = np.frombuffer(mmap.mmap(file.fileno(), 0), np.int64)

    def stop(self) -> None:
        """Has all processes that see it end what they do."""
        self._numbers[0] = 1

    @property
    def stopped(self) -> bool:
        """Whether they shall."""
        return bool(self._numbers[0])

    def put(self, index: int, epochs: int) -> None:
        """So many epochs are done of a network; -1: it is to be begun anew."""
        self._numbers[index + 1] = epochs + 1

    def epochs(self, index: int) -> int:
        """What was put last."""
        return max(int(self._numbers[index + 1]) - 1, 0)

    def begun(self, index: int) -> bool:
        """Whether a process that sees it has begun the network."""
        return bool(self._numbers[index + 1])


def mapped(folder: str) -> tuple[Any, Board] | None:
    """The data and the board in a folder, None where it is not there."""
    try:
        with open(os.path.join(folder, _DATA), "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return unpacked(data), Board(folder)
    except FileNotFoundError:
        return None


def unpacked(data: bytes | mmap.mmap) -> Any:
    """The content, whose arrays stay where they are, read-only."""
    view = memoryview(data)
    length = int.from_bytes(view[:8], "little")
    text, places = pickle.loads(view[8 : 8 + length])
    begin = -(-(8 + length) // _ALIGNED) * _ALIGNED
    return pickle.loads(text, buffers=[view[begin + at : begin + at + n] for at, n in places])


def _place(size: int) -> str | None:
    """Where the folder is made: in memory where there is room, else where temporary files are."""
    if not (os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK)):
        return None
    _sweep()
    room: int = shutil.disk_usage(_MEMORY).free
    return _MEMORY if size + (16 << 20) < room else None


def _sweep() -> None:
    """Removes folders of ours whose process was killed: memory that nobody else gives back."""
    for folder in Path(_MEMORY).glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdigit() and not _runs(int(number)) and _is_mine(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _is_mine(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_uid == cast(Any, os).getuid())
    except OSError:
        return False

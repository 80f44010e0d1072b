"""Model files as they are read: the description first, then one array after the other.

The format is safetensors': eight bytes with the length of a header, the header in JSON, then the
arrays without gaps. It is read here and not by safetensors' own reader so that loading takes the
memory of the arrays once: that one maps the whole file beside them.
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gdcore._signals import handlers_put_off

__all__ = [
    "FORMAT",
    "KEY",
    "LONGEST_HEADER",
    "Stored",
    "StoredArray",
    "opened",
    "opened_bytes",
    "too_many_parts",
]

FORMAT = 1
KEY = "gdcore"
LONGEST_HEADER = 100_000_000  # bytes; no reader of safetensors takes more

# NumPy's names of safetensors' types; for the others there is the size of an element alone.
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4",
    "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_OTHER_SIZES = {"BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}

_FREE_PARTS = 300_000
_BYTES_A_PART = 100  # about what Python takes for one


def too_many_parts(text: bytes, size: int) -> int:
    """How many parts JSON has, where these would take far more memory than a file of that size.

    0 where they do not. A list of a million empty lists is 3 MB of text and 64 MB of lists.
    """
    parts = text.count(b",") + text.count(b"[") + text.count(b"{")
    return parts if parts > _FREE_PARTS + 2 * size // _BYTES_A_PART else 0


@dataclass(frozen=True)
class StoredArray:
    """An array in a file."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None where NumPy lacks it
    begin: int
    end: int
    file: Any  # binary, can seek and read into memory

    def read(self) -> NDArray[Any]:
        """Reads it; ValueError where NumPy lacks its type, or the file has become shorter."""
        if self.dtype is None:
            raise ValueError(f"NumPy lacks the type of array {self.key!r}")
        size = self.end - self.begin
        # Not from the heap, which may keep it when the next one has another size.
        memory = mmap.mmap(-1, max(size, 1))
        self.file.seek(self.begin)
        if self.file.readinto(memoryview(memory)[:size]) != size:
            raise ValueError(f"the file ends within array {self.key!r}")
        return np.frombuffer(memory, self.dtype, math.prod(self.shape)).reshape(self.shape)


class Stored:
    """What a file holds."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._path = path
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            header, begin = _header(file, size)
            metadata = header.pop("__metadata__", {})
            if not isinstance(metadata, dict):
                raise ValueError("its metadata are none")
            self.arrays: Mapping[str, StoredArray] = _arrays(header, file, begin, size)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no gdcore model, or damaged: {error}") from None
        self._text = metadata.get(KEY)

    def description(self) -> dict[str, Any]:
        """The description; ValueError where there is none that this version knows."""
        path = self._path
        if not isinstance(self._text, str):
            raise ValueError(f"{path} is a safetensors file without a description: no gdcore model")
        try:
            description = json.loads(self._text)
        except (ValueError, RecursionError):
            raise ValueError(f"{path} is damaged: its description is no JSON") from None
        version = description.get("format") if isinstance(description, dict) else None
        if type(version) is not int or version < 1:
            raise ValueError(f"{path} is damaged: its description has no format version")
        if version > FORMAT:
            raise ValueError(
                f"{path} has format {version}, this gdcore knows formats up to {FORMAT}: "
                "load it with a newer gdcore"
            )
        if not isinstance(description.get("extra"), (dict, list)):
            raise ValueError(f"{path} is damaged: its description lacks 'extra'")
        return {key: description[key] for key in description if key != "format"}


@contextmanager
def opened(path: str) -> Iterator[Stored]:
    """Opens a regular file.

    Raises:
        OSError: It cannot be read, or is no regular file: that could keep us waiting for ever.
        ValueError: It is no gdcore model.
    """
    _require_regular(path, os.stat(path).st_mode)
    file = None
    try:
        with handlers_put_off():  # one could raise between opening and holding it
            file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
        _require_regular(path, os.fstat(file.fileno()).st_mode)  # still the same
        yield Stored(file, path)
    finally:
        if file is not None:
            file.close()


@contextmanager
def opened_bytes(data: bytes | bytearray | memoryview, told: str) -> Iterator[Stored]:
    """Opens what a file would hold; ``told`` is what messages call it.

    Raises:
        ValueError: It is no gdcore model.
    """
    with BytesIO(data) as file:
        yield Stored(file, told)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _require_regular(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "This is no regular file, and is not read", path)


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where it ends."""
    start = file.read(256)
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{":
        raise ValueError(_what_it_is(start))
    if length > min(size - 8, LONGEST_HEADER):
        raise ValueError("its header is longer than the file, or than any may be")
    file.seek(8)
    text = file.read(length)
    if parts := too_many_parts(text, size):
        raise ValueError(f"its header has {parts:,} parts, too many for a file of {size:,} bytes")
    decoded = text.decode()
    del text  # it may be long
    header: dict[str, Any] = json.loads(decoded)
    return header, 8 + length


def _what_it_is(start: bytes) -> str:
    """In our words, of a file that is no safetensors at all."""
    if not start:
        return "it is empty"
    text = start.isascii() and all(each >= 32 or each in b"\t\n\r" for each in start)
    return "it is text" if text else "it does not begin as a safetensors file does"


def _arrays(
    header: dict[str, Any], file: BinaryIO, begin: int, size: int
) -> dict[str, StoredArray]:
    """The arrays by name; they follow each other and fill the file."""
    found = sorted(
        (_array(key, entry, file, begin) for key, entry in header.items()),
        key=lambda array: (array.begin, array.end),
    )
    at = begin
    for array in found:
        if array.begin != at:
            raise ValueError(f"array {array.key!r} is not where the one before it ends")
        at = array.end
    if at != size:
        raise ValueError(f"its arrays end at byte {at:,}, and the file at {size:,}")
    return {array.key: array for array in found}


def _array(key: str, entry: Any, file: BinaryIO, begin: int) -> StoredArray:
    def natural(values: Any) -> bool:
        return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {key!r} is not described")
    name, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not natural(shape) or not natural(offsets) or len(offsets) != 2 or len(shape) > 64:
        raise ValueError(f"array {key!r} has no shape, or no place")
    if not isinstance(name, str) or name not in _DTYPES.keys() | _OTHER_SIZES.keys():
        raise ValueError(f"the type of array {key!r} is unknown")
    dtype = np.dtype(_DTYPES[name]) if name in _DTYPES else None
    width = _OTHER_SIZES[name] if dtype is None else dtype.itemsize
    if math.prod(shape) * width != offsets[1] - offsets[0]:
        raise ValueError(f"array {key!r} has not the size of its shape")
    first, last = (begin + offset for offset in offsets)
    return StoredArray(key, tuple(shape), dtype, first, last, file)

"""Model files: safetensors with a description, written whole or not at all.

A file holds the arrays by name, and one entry of metadata, ``"gdcore"``: canonical JSON that tells
the format's version and what the arrays belong to. Nothing in it tells the time or the machine, so
equal models are equal files. Any reader of safetensors opens them:

>>> safetensors.numpy.load_file("model.safetensors")["0.weight"]

`Network.save` and `Trainer.save` write them, `read_description` tells what one holds.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _stored
from gdcore._check import checked_path as checked_path  # where others look for it
from gdcore._signals import handlers_put_off
from gdcore._stored import FORMAT, KEY, LONGEST_HEADER, Stored, too_many_parts
from gdcore._stored import opened_bytes as opened_bytes  # as `opened`

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["read_description"]


def __dir__() -> list[str]:
    return __all__


PathLike = str | os.PathLike[str]
Extra = Mapping[str, Any] | list[Any] | None


def read_description(path: PathLike) -> dict[str, Any]:
    """Tells what a model file holds, without reading its arrays.

    Returns:
        ``"kind"``: ``"network"`` or ``"trainer"``; ``"network"``: layers, sizes, dtype and seed;
        ``"extra"``: what `Network.save` or `Trainer.save` was given. Of a trainer also ``"loss"``,
        ``"optimizer"``, ``"schedule"``, ``"position"``, ``"history"`` and the other arguments. Of
        an ensemble the kind is ``"ensemble"``, and there is ``"networks"``, a list, with
        ``"weights"`` and ``"average"``.

    Raises:
        OSError: The file cannot be read; FileNotFoundError where there is none.
        TypeError: path is no path.
        ValueError: The file is no gdcore model, is damaged, or of a newer format.
    """
    with opened(path) as stored:
        return stored.description()


def opened(path: PathLike) -> AbstractContextManager[Stored]:
    """Opens a file to read it in parts; raises as `read_description` does."""
    return _stored.opened(checked_path(path))


def write(
    path: PathLike, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]
) -> None:
    """Writes a file in the place of any that is there; whoever reads finds the old or the new one.

    Raises:
        OSError: It cannot be written; the file that was there still is.
        TypeError: path is no path.
        ValueError: The description holds what JSON has not, or is too long to be read again.
    """
    whole = packed(checked_path(path), arrays, description)
    with written_beside(path) as file:
        file.write(whole)


def packed(told: str, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> bytes:
    """What a file holds, all of it; ``told`` is what messages call it.

    Raises:
        ValueError: The description holds what JSON has not, or is too long to be read again.
    """
    from safetensors import SafetensorError  # only here: import gdcore stays light
    from safetensors.numpy import save

    text = _canonical({"format": FORMAT, **description})
    try:
        whole = save({key: np.asarray(arrays[key]) for key in sorted(arrays)}, {KEY: text})
        length = int.from_bytes(whole[:8], "little")
        fits = length <= LONGEST_HEADER
    except SafetensorError:  # newer ones see it themselves
        fits = False
    if not fits:
        raise ValueError(f"{told} would have a description above 100 MB: is extra so long?")
    if parts := too_many_parts(whole[8 : 8 + length], len(whole)):
        raise ValueError(
            f"{told} would have a description of {parts:,} parts, more than can be read again: "
            "keep what is so long in extra in a file of its own"
        )
    return whole


@contextmanager
def written_beside(path: PathLike) -> Iterator[Any]:
    """Opens a binary file beside ``path`` that takes its place when all is written and on disk.

    It gets the permissions of the file that is there, and its owner as far as the system allows, or
    those of any new file. Handlers of signals, such as that of Ctrl-C, run when all is done.

    A process that is killed leaves the hidden file behind, which the next to write takes over. Two
    processes that write to one path at once do not mix: the second raises a BlockingIOError.
    """
    path = os.path.realpath(checked_path(path))  # of a link, what it leads to
    old = _file_there(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):  # else it is the hidden file that is told to be missing
        raise FileNotFoundError(errno.ENOENT, "there is no folder to write to", folder)
    beside = os.path.join(folder, f".{name}.tmp")
    if fcntl is None:
        with _replacing(f"{beside}.{os.getpid()}", path) as file:
            yield file
        return
    with handlers_put_off():
        descriptor = _locked(beside)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.truncate()
                if old is not None:
                    os.fchmod(descriptor, 0o600)  # nobody sees more of it than of the old one
                yield file
                file.flush()
                if old is not None:
                    _make_like(descriptor, old)
                os.fsync(descriptor)
            os.replace(beside, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        finally:
            os.close(descriptor)
        _sync_folder(folder)


@contextmanager
def _replacing(beside: str, path: str) -> Iterator[Any]:
    """The same on Windows: without locks, and the file is closed before it is renamed."""
    with handlers_put_off():
        try:
            with open(beside, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise


def _file_there(path: str) -> os.stat_result | None:
    """What the system knows of the file at ``path``, None if there is none.

    Raises:
        OSError: There is something that no file may take the place of: a folder, or a device.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "This is no regular file, and is not replaced", path)
    return found


def _make_like(descriptor: int, old: os.stat_result) -> None:
    """Gives a file the owner and the permissions of another."""
    with suppress(PermissionError):  # who may not give files away keeps them
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _locked(path: str) -> int:
    """A descriptor of the file at ``path``, which nobody else holds."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except PermissionError:
            with suppress(OSError):  # left by a kill when it was as read-only as the old one
                if stat.S_IMODE(os.lstat(path).st_mode) & 0o600 != 0o600:
                    os.unlink(path)
                    continue
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it until now may have renamed it: then it is not at this path any more.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise BlockingIOError(
                errno.EWOULDBLOCK, "Another process or thread is writing this file now", path
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Makes a rename outlast a loss of power, where the file system can."""
    # Some network file systems refuse, and some folders may not be read: the rename stands.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def checked_extra(extra: Extra) -> dict[str, Any] | list[Any]:
    """The argument extra as it will come back from the file: equal to what was given.

    Raises:
        TypeError: It is neither a mapping nor a list.
        ValueError: JSON cannot hold it, or would change it: a key is no string, or there is a
            tuple.
    """
    if extra is None:
        return {}
    if not isinstance(extra, (Mapping, list)):
        raise TypeError(f"extra must be a mapping or a list, got {type(extra).__name__}")
    try:
        text = _canonical(extra if isinstance(extra, list) else dict(extra))
        _check_parts(extra, "extra")  # only now: the line above finds out what holds itself
        copy: dict[str, Any] | list[Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"extra must hold what JSON can hold: {error}") from None
    return copy


def _check_parts(value: Any, place: str) -> None:
    """ValueError where JSON would make another thing of a part: of a key, or of a tuple."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise ValueError(f"key {key!r} is of type {type(key).__name__}, not str")
            _check_parts(each, f"{place}[{key!r}]")
    elif isinstance(value, tuple):
        raise ValueError(f"{place} is a tuple, which would come back as a list: write a list")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check_parts(each, f"{place}[{index}]")


def _canonical(value: Any) -> str:
    """JSON in the one form that equal values have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

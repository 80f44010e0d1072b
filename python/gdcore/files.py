"""Model files: safetensors with a description, written whole or not at all.

A file holds the arrays by name, and one entry of metadata, ``"gdcore"``: canonical JSON that tells
the format's version and what the arrays belong to. Nothing in it tells the time or the machine, so
equal models are equal files. Any reader of safetensors opens them:

>>> safetensors.numpy.load_file("model.safetensors")["0.weight"]

`Network.save` and `Trainer.save` write them, `read_description` tells what one holds.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_description"]

_FORMAT = 1
_KEY = "gdcore"
_LONGEST_HEADER = 100_000_000  # bytes; no reader of safetensors takes more

PathLike = str | os.PathLike[str]


def read_description(path: PathLike) -> dict[str, Any]:
    """Tells what a model file holds, without reading its arrays.

    Returns:
        ``"kind"``: ``"network"`` or ``"trainer"``; ``"network"``: layers, sizes, dtype and seed;
        ``"extra"``: what `Network.save` or `Trainer.save` was given. Of a trainer also ``"loss"``,
        ``"optimizer"``, ``"schedule"``, ``"position"``, ``"history"`` and the other arguments.

    Raises:
        OSError: The file cannot be read; FileNotFoundError where there is none.
        TypeError: path is no path.
        ValueError: The file is no gdcore model, is damaged, or of a newer format.
    """
    path = checked_path(path)
    with _opened(path) as file:
        return _description(file, path)


def read(path: PathLike) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Returns the arrays and the description; raises as `read_description` does."""
    path = checked_path(path)
    with _opened(path) as file:
        description = _description(file, path)
        return {key: _array(file, key, path) for key in file.keys()}, description  # noqa: SIM118


def write(
    path: PathLike, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]
) -> None:
    """Writes a file in the place of any that is there; whoever reads finds the old or the new one.

    Raises:
        OSError: It cannot be written; the file that was there still is.
        TypeError: path is no path.
        ValueError: The description holds what JSON has not, or is too long to be read again.
    """
    from safetensors import SafetensorError  # only here: import gdcore stays light
    from safetensors.numpy import save

    path = checked_path(path)
    text = _canonical({"format": _FORMAT, **description})
    try:
        whole = save({key: np.asarray(arrays[key]) for key in sorted(arrays)}, {_KEY: text})
        fits = int.from_bytes(whole[:8], "little") <= _LONGEST_HEADER
    except SafetensorError:  # newer ones see it themselves
        fits = False
    if not fits:
        raise ValueError(f"{path} would have a description above 100 MB: is extra so long?")
    with written_beside(path) as file:
        file.write(whole)


@contextmanager
def written_beside(path: PathLike) -> Iterator[Any]:
    """Opens a binary file beside ``path`` that takes its place when all is written and on disk.

    It gets the permissions of the file that is there, or those of any new file.

    A process that is killed leaves the hidden file behind, which the next to write takes over. Two
    processes that write to one path at once do not mix: the second raises a BlockingIOError.
    """
    path = os.path.realpath(checked_path(path))  # of a link, what it leads to
    mode = _mode(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):  # else it is the hidden file that is told to be missing
        raise FileNotFoundError(errno.ENOENT, "there is no folder to write to", folder)
    beside = os.path.join(folder, f".{name}.tmp")
    descriptor = _locked(beside)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.truncate()
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    finally:
        os.close(descriptor)
    _sync_folder(folder)


def checked_path(path: object) -> str:
    """The argument path as a string; a TypeError where it is no path."""
    if isinstance(path, (str, os.PathLike)) and isinstance(text := os.fspath(path), str):
        return text
    raise TypeError(
        f"path must be a string or a path such as pathlib.Path, got {type(path).__name__}"
    )


def _mode(path: str) -> int | None:
    """The permissions of the file at ``path``, None if there is none.

    Raises:
        OSError: There is something that no file may take the place of: a folder, or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "This is no regular file, and is not replaced", path)
    return mode & 0o777 | 0o600  # what is left behind by a kill can be taken over


def _locked(path: str) -> int:
    """A descriptor of the file at ``path``, which nobody else holds."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        descriptor = os.open(path, flags, 0o666)
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


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # what is wrong with the path is Python's to tell
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no gdcore model, or damaged: {_what_is_wrong(path, str(error))}"
        ) from None


def _what_is_wrong(path: str, said: str) -> str:
    """In our words where a file is no safetensors at all, by its first bytes."""
    with open(path, "rb") as file:
        start = file.read(256)
    if not start:
        return "it is empty"
    if len(start) > 8 and start[8:9] == b"{":  # after the length of the header
        return said
    text = start.isascii() and all(each >= 32 or each in b"\t\n\r" for each in start)
    return "it is text" if text else "it does not begin as a safetensors file does"


def _array(file: Any, key: str, path: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file.get_tensor(key)
    except (AttributeError, TypeError):  # what safetensors has and NumPy has not, as bfloat16
        raise ValueError(f"{path} is damaged: NumPy lacks the type of array {key!r}") from None
    return array


def _description(file: Any, path: str) -> dict[str, Any]:
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise ValueError(f"{path} is a safetensors file without a description: no gdcore model")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is damaged: its description is no JSON") from None
    version = description.get("format") if isinstance(description, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(f"{path} is damaged: its description has no format version")
    if version > _FORMAT:
        raise ValueError(
            f"{path} has format {version}, this gdcore knows formats up to {_FORMAT}: "
            "load it with a newer gdcore"
        )
    if not isinstance(description.get("extra"), dict):
        raise ValueError(f"{path} is damaged: its description lacks 'extra'")
    return {key: description[key] for key in description if key != "format"}


def checked_extra(extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """The argument extra as a dict of what JSON can hold.

    Raises:
        TypeError: It is no mapping.
        ValueError: JSON cannot hold it, or a key is no string. Tuples come back as lists.
    """
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise TypeError(f"extra must be a mapping, got {type(extra).__name__}")
    try:
        text = _canonical(dict(extra))  # first: it finds out what holds itself
        _check_keys(extra)
        copy: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"extra must hold what JSON can hold: {error}") from None
    return copy


def _check_keys(value: Any) -> None:
    """ValueError where a key is no string: JSON would make one of it."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"key {key!r} is of type {type(key).__name__}, not str")
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for each in value:
        _check_keys(each)


def _canonical(value: Any) -> str:
    """JSON in the one form that equal values have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

"""Files that commands write: asked for before the work, and never half-written."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from gdcore.files import written_beside

__all__ = ["check_output", "check_page"]


def check_output(option: str, path: Path, *inputs: str | Path) -> None:
    """Finds out before the work whether a file can be written after it.

    Args:
        option: The option that names the file.
        path: The file.
        *inputs: Files that are read, or written as well, and must not be overwritten.

    Raises:
        OSError: The folder is not there, or nothing can be written into it.
        ValueError: The file is a folder, or one of ``inputs``.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise ValueError(f"{option} must be a file, got {path}, which is a folder")
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "", f"{option}: the folder {folder}")
    for other in inputs:
        if path.resolve() == Path(other).resolve():
            raise ValueError(f"{option} must be a file of its own, got {path} for two things")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} must be a file, got {path}, which is a device or a pipe")
    try:
        # To ask for permission is not enough: root has all, on a file system that has no room.
        with suppress(_TriedError), written_beside(path) as file:
            file.write(b"x")
            file.flush()
            raise _TriedError
    except BlockingIOError:
        raise BlockingIOError(f"{option}: another process is writing {path} now") from None
    except OSError as error:
        told = os.strerror(error.errno or 0)
        if error.errno in (errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP):
            raise OSError(f"{option}: {path} cannot be written: {told}") from None
        raise OSError(f"{option}: nothing can be written in {folder}: {told}") from None


def check_page(path: Path, *inputs: str | Path) -> None:
    """The same for the page of --report; ValueError where its name is of something else."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report must end in .html, got {str(path)!r}")
    check_output("--report", path, *inputs)


class _TriedError(Exception):
    """Ends the writing of a file that takes no place."""

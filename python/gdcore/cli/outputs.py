"""Files that commands write: asked for before the work, and never half-written."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

__all__ = ["check_output"]


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
    try:
        # To ask for permission is not enough: root has all, on a file system that has no room.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = os.strerror(error.errno or 0)
        raise OSError(f"{option}: nothing can be written in {folder}: {told}") from None

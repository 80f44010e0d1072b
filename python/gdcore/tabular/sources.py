"""Where a table comes from: a file, several that a pattern names, or standard input."""

from __future__ import annotations

import glob
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl

from gdcore._names import unknown

__all__ = ["ENDINGS", "INPUT", "TEXT", "expanded", "joined", "opened"]

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENDINGS = (*TEXT, ".parquet", ".npz")
INPUT = "-"
_BEGINNINGS = {b"PAR1": ".parquet", b"PK": ".npz"}


def ending_of(data: str) -> str | None:
    """The ending that says what a file holds; None where it is another."""
    return next((each for each in ENDINGS if data.lower().endswith(each)), None)


def expanded(data: str, names: Sequence[str]) -> list[str]:
    """The files that DATA names, in the order of their names; standard input is one.

    Raises:
        FileNotFoundError: No file is as the pattern says.
        ValueError: A file's ending is none of `ENDINGS`; ``names`` would have been right as well.
    """
    found = [data]
    if data != INPUT and glob.has_magic(data) and not Path(data).exists():
        found = sorted(glob.glob(data, recursive=True))
        if not found:
            raise FileNotFoundError(
                f"DATA must be a file or a pattern of files, got {data!r}, which no file fits"
            )
    for each in found:
        if each != INPUT and ending_of(each) is None:
            raise unknown("DATA", each, [*names, *(f"a file that ends in {e}" for e in ENDINGS)])
    return found


@contextmanager
def opened(data: str) -> Iterator[tuple[IO[bytes], str]]:
    """A file with its ending; what comes by standard input has that of its first bytes, else .csv.

    Raises:
        OSError: It cannot be read.
    """
    if data == INPUT:
        content = sys.stdin.buffer.read()
        ending = next((e for begin, e in _BEGINNINGS.items() if content.startswith(begin)), ".csv")
        yield io.BytesIO(content), ending
        return
    with Path(data).open("rb") as file:
        yield file, ending_of(data) or ""


def joined(
    paths: Sequence[str], frames: Sequence[pl.DataFrame]
) -> tuple[pl.DataFrame, tuple[tuple[str, int], ...]]:
    """The rows of all files, whose columns are found by their names; and where each begins.

    Raises:
        ValueError: A file has other columns than the first, or of another type.
    """
    first, whole = frames[0], set(frames[0].columns)
    for path, frame in zip(paths, frames, strict=True):
        for name in [*first.columns, *frame.columns]:
            if name not in frame.columns:
                raise ValueError(f"{path} must have the column {name!r}, as {paths[0]} has")
            if name not in whole:
                raise ValueError(f"{path} has the column {name!r}, which {paths[0]} has not")
            pair = [first[:0][name], frame[:0][name]]
            try:
                if (pair[0].dtype == pl.String) != (pair[1].dtype == pl.String):
                    raise pl.exceptions.SchemaError  # polars would make text of numbers
                pl.concat([each.to_frame() for each in pair], how="vertical_relaxed")
            except pl.exceptions.PolarsError:
                raise ValueError(
                    f"{path} holds {pair[1].dtype} in column {name!r}, and {paths[0]} "
                    f"{pair[0].dtype}: make them one type"
                ) from None
    begins, files = 0, []
    for path, frame in zip(paths, frames, strict=True):
        files.append((Path(path).name, begins))
        begins += frame.height
    same = [each.select(first.columns) for each in frames]
    return pl.concat(same, how="vertical_relaxed"), tuple(files)

"""Delimited text, as in CSV files: every record becomes a row, or an error names its line.

What is plain (as many delimiters in each line, quotes around whole cells or none) is read by
polars, all else by Python's csv module in strict mode, which is slower. Both give the same cells.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.tabular.dialect import SEPARATORS, Dialect

__all__ = ["Records", "read_records"]

CHUNK = 50_000  # records that are held as Python's strings
SHOWN = 60  # letters of a line in a message
_LF = b"\n"
_BYTE_ORDERS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16


@dataclass(frozen=True)
class Records:
    """What a file holds.

    Attributes:
        names: Of the columns, without blanks around them.
        frame: The cells as text; null where they are empty.
        lines: The line at which each record begins; the first of the file is 1.
        notes: What may be other than it seems.
    """

    names: list[str]
    frame: pl.DataFrame
    lines: NDArray[np.intp]
    notes: list[str]


def read_records(data: bytes, name: str, dialect: Dialect) -> Records:
    """Reads the header and all records.

    Blank lines at the end are no records. With one column a blank line elsewhere is a record with
    an empty cell; with several it is an error.

    Args:
        data: The file; it may be compressed by gzip.
        name: Of the file, for messages.
        dialect: How it is delimited.

    Raises:
        ValueError: It is damaged, or a line is not as the header says; the message names it.
    """
    body, numbers = _lines_from_header(_utf8(data, name, dialect.encoding), name, dialect)
    header, _, _ = body.partition(b"\n")
    delimiter = dialect.delimiter or ","
    _check_first_line(body, name, numbers, delimiter)
    if dialect.delimiter is None:
        _check_delimiter(header.decode(), name, int(numbers[0]))
    body = _without_end(body, delimiter)
    if (records := _plain(body, numbers, delimiter, quotes=dialect.quotes)) is None:
        records = _strict(body.decode(), name, numbers, delimiter, quotes=dialect.quotes)
    return records


# ---- bytes ----


def _utf8(data: bytes, name: str, encoding: str | None) -> bytes:
    """The text as UTF-8 with line feeds alone."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{name} cannot be read: {error}") from None
    if encoding is not None:
        try:
            data = data.decode(encoding).encode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ValueError(
                f"{name} is not {encoding}: line {line} has the byte 0x{data[error.start]:02x}. "
                "Give another --encoding"
            ) from None
    elif data[:2] in _BYTE_ORDERS:
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not the UTF-16 it says: {error.reason}") from None
    try:
        if not data.isascii():
            data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        named = "utf-16-le" if b"\0" in data else "latin1"
        raise ValueError(
            f"{name} is not UTF-8: line {line} has the byte 0x{data[error.start]:02x} in "
            f"{_told(data.split(_LF)[line - 1].decode('latin-1'))}. Give --encoding {named}, if it "
            "is that, or convert it"
        ) from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (at := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise ValueError(f"{name} is no text: line {line} holds a byte of value 0")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")  # as on a Macintosh, long ago
    return data


def _lines_from_header(data: bytes, name: str, dialect: Dialect) -> tuple[bytes, NDArray[np.intp]]:
    """What follows the lines to skip, without comments, and the numbers of its lines."""
    for skipped in range(dialect.skip_lines):
        _, line, data = data.partition(b"\n")
        if not line:
            raise ValueError(
                f"--skip-lines must leave a header, got {dialect.skip_lines}: {name} has "
                f"{skipped + 1} lines"
            )
    numbers = np.arange(dialect.skip_lines + 1, dialect.skip_lines + data.count(b"\n") + 3)
    if dialect.comment is not None:
        data, kept = _without_comments(data, dialect.comment.encode(), quotes=dialect.quotes)
        numbers = numbers[kept]
    if not data.strip():
        raise ValueError(f"{name} holds no rows")
    return data, numbers


def _without_comments(data: bytes, sign: bytes, *, quotes: bool) -> tuple[bytes, list[int]]:
    """The other lines, with their places and one beyond; within quotes there is no comment."""
    lines = data.split(b"\n")
    kept, within = [], False
    for place, line in enumerate(lines):
        if within or not line.startswith(sign):
            kept.append(place)
            within ^= quotes and line.count(b'"') % 2 == 1
    return b"\n".join(lines[place] for place in kept), [*kept, len(lines)]


def _without_end(data: bytes, delimiter: str) -> bytes:
    """Without the blank lines at the end."""
    blank = b" \t\n".replace(delimiter.encode(), b"")
    end = len(data.rstrip(blank))
    cut = data.find(b"\n", end)
    return data if cut < 0 else data[:cut]


# ---- the first lines ----


def _check_delimiter(header: str, name: str, first: int) -> None:
    for sign, called in SEPARATORS.items():
        if header.count(sign) > header.count(","):
            raise ValueError(
                f"{name} has no commas between its cells: line {first} is {_told(header)}. Give "
                f'--delimiter "{called}", or --delimiter , if it is right'
            )


def _check_first_line(body: bytes, name: str, numbers: NDArray[np.intp], delimiter: str) -> None:
    """ValueError where the header stands below its place."""
    rest, over, signs = body, 0, set()
    while found := re.match(rb"[ \t]*\n|#|//|%|sep=.\n", rest):
        rest, over = rest.partition(b"\n")[2], over + 1
        signs.add(found[0].decode())
    if over == 0 or not rest:
        return
    line = body.partition(b"\n")[0].decode()
    if line.startswith(("#", "//", "%")) and line.count(delimiter) == rest.partition(b"\n")[
        0
    ].decode().count(delimiter):
        return  # the name of a column begins so
    told = f"is {_told(line)}" if line.strip() else "is blank"
    options = f"--skip-lines {numbers[over] - 1}"
    if line.startswith("sep=") and (sign := line[4:]) != delimiter:
        options += f' --delimiter "{SEPARATORS.get(sign, sign)}"'
    if len(signs) == 1 and (sign := signs.pop()) in ("#", "//", "%"):
        options += f', or --comment "{sign}" if such lines are comments'
    raise ValueError(f"{name}: line {numbers[0]} {told}, which is no header: give {options}")


# ---- records ----


def _plain(
    body: bytes, numbers: NDArray[np.intp], delimiter: str, *, quotes: bool
) -> Records | None:
    """The records of text without anything that must be told; None where there may be."""
    if b"\r" in body:
        return None
    if not body.endswith(b"\n"):
        body += b"\n"
    quoted = quotes and b'"' in body
    signs = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    between = np.flatnonzero(signs == ord(delimiter))
    if quoted:
        quote = np.flatnonzero(signs == ord('"'))
        if not _encloses(quote, signs, delimiter) or (np.searchsorted(quote, ends) % 2).any():
            return None
        between = between[np.searchsorted(quote, between) % 2 == 0]
    counts = np.diff(np.searchsorted(between, ends), prepend=0)
    blank = counts[0] == 0 and (np.diff(ends, prepend=-1) == 1).any()
    if blank or (counts != counts[0]).any():
        return None
    header, _, rest = body.partition(b"\n")
    with _any_length():
        (cells,) = csv.reader(
            [header.decode()], delimiter=delimiter, quoting=_quoting(quotes), strict=True
        )
    names = [each.strip() for each in cells]
    columns = {str(i): pl.String for i in range(len(names))}
    if not rest:
        return Records(names, pl.DataFrame(schema=columns), np.empty(0, np.intp), [])
    frame = pl.read_csv(
        rest,
        has_header=False,
        separator=delimiter,
        quote_char='"' if quoted else None,
        schema=columns,
    )
    if frame.height != len(ends) - 1:
        return None
    return Records(names, frame, numbers[1 : 1 + frame.height], [])


def _encloses(quote: NDArray[np.intp], signs: NDArray[np.uint8], delimiter: str) -> bool:
    """Whether each pair of quotes, at places in the text, encloses a whole cell."""
    if len(quote) % 2:
        return False
    edges = (ord(delimiter), ord("\n"))
    opening, closing = quote[::2], quote[1::2]
    before = signs[opening[opening > 0] - 1]
    return bool(np.isin(before, edges).all() and np.isin(signs[closing + 1], edges).all())


def _quoting(quotes: bool) -> Any:
    return csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE


def _strict(
    text: str, name: str, numbers: NDArray[np.intp], delimiter: str, *, quotes: bool
) -> Records:
    file = io.StringIO(text, newline="\n")
    reader = csv.reader(
        file,
        delimiter=delimiter,
        quoting=_quoting(quotes),
        skipinitialspace=delimiter != " ",
        strict=True,
    )
    lines, longer, frames = [], [], []
    names: list[str] = []
    rows: list[list[str]] = []
    with _any_length():
        for place, cells in _numbered(reader, text, name, numbers):
            if not names:
                names = [each.strip() for each in cells]
                continue
            if len(cells) != len(names):
                if cells or len(names) > 1:
                    places = (place, reader.line_num - 1)
                    raise _ragged(text, name, numbers, places, cells, names, delimiter)
                cells = [""]
            if reader.line_num - 1 > place:
                longer.append(int(numbers[place]))
            lines.append(numbers[place])
            rows.append(cells)
            if len(rows) == CHUNK:
                frames.append(_framed(rows, len(names)))
                rows.clear()
    frames.append(_framed(rows, len(names)))
    notes = []
    if longer:
        several = f"{len(longer)} records go" if len(longer) > 1 else "a record goes"
        notes.append(f"{several} over several lines within quotes, the first from line {longer[0]}")
    return Records(names, pl.concat(frames), np.array(lines, np.intp), notes)


def _numbered(
    reader: Any,
    text: str,
    name: str,
    numbers: NDArray[np.intp],
) -> Iterator[tuple[int, list[str]]]:
    """Each record with the place of its first line; what csv says of wrong ones, in our words."""
    while True:
        place = int(reader.line_num)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            places = (place, reader.line_num - 1)
            raise _wrong(str(error), text, name, numbers, places) from None
        yield place, cells


def _wrong(
    said: str, text: str, name: str, numbers: NDArray[np.intp], places: tuple[int, int]
) -> ValueError:
    begun, ended = places
    line, last = numbers[begun], numbers[ended]
    if "end of data" in said:
        what = f"line {line} opens a quote that nothing closes: {_line(text, begun)}"
    elif "new-line" in said:
        what = f"line {last} has a carriage return within: {_line(text, ended)}"
        return ValueError(f"{name}: {what}. Its lines must all end in the same way")
    else:
        opened = "" if last == line else f", in a cell that begins in line {line}"
        what = f"line {last} goes on after a closing quote{opened}: {_line(text, ended)}"
    return ValueError(
        f"{name}: {what}. Double the quotes within a cell, or give --no-quotes if they are letters"
    )


def _ragged(
    text: str,
    name: str,
    numbers: NDArray[np.intp],
    places: tuple[int, int],
    cells: list[str],
    names: list[str],
    delimiter: str,
) -> ValueError:
    line, last = numbers[list(places)]
    if not cells:
        return ValueError(f"{name}: line {line} is blank, and lines follow it: remove it")
    count = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
    to = f", which goes on to line {last} within quotes," if last > line else ""
    told = f"{name}: line {line}{to} has {count}, the header has {len(names)}: "
    told += _line(text, places[0])
    if len(cells) > len(names):
        told += f". A cell that holds {delimiter!r} must stand in quotes"
    if places[0] == 1:
        told += f". If line {numbers[0]} is no header, give --skip-lines"
    return ValueError(told)


def _framed(rows: list[list[str]], width: int) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else [()] * width
    return pl.DataFrame([pl.Series(str(i), each, pl.String) for i, each in enumerate(columns)])


def _line(text: str, at: int) -> str:
    return _told(text.split("\n", at + 1)[at])


def _told(line: str) -> str:
    line = line.strip("\r\n")
    return repr(line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}...")


@contextmanager
def _any_length() -> Iterator[None]:
    """Lets cells be longer than the 128 KB at which the csv module gives up."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)

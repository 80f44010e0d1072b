"""One page that shows a whole recording, and needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gdcore.files import written_beside
from gdcore.profiling.advice import advise
from gdcore.profiling.overview import Steps, named, overviews
from gdcore.profiling.page import Page, document, facts, html_table, note, text
from gdcore.profiling.page_roofline import roofline
from gdcore.profiling.page_time import memory, overview_section, threads, timeline
from gdcore.profiling.palette import NOTHING
from gdcore.profiling.ranks.page import ranks_section
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Source
from gdcore.profiling.tables import BY, Table, shown, table

__all__ = ["write_report"]

_SOURCES = 12
_SIZES = 12
_TITLES = {"op": "By operation", "layer": "By layer", "phase": "By phase", "thread": "By thread"}


def write_report(recording: Recording, path: Path) -> None:
    """Writes an HTML page with facts, advice, overview, timelines, tables and roofline.

    The machine's limits are measured where they are not known yet, in about a second.

    Args:
        recording: What to show.
        path: The file to write.

    Raises:
        ImportError: plotly is not installed.
        OSError: The file cannot be written.
    """
    page = Page()
    known = {source: Steps.of(recording, source) for source in recording.trainers}
    found = overviews(recording, known)
    tables: dict[str, Table] = {by: table(recording, by) for by in BY if by != "rank"}
    parts = [
        "<h1>gdcore profile</h1>",
        *_header(recording),
        "<h2>Advice</h2>",
        *_advice(recording),
        *ranks_section(recording, page),
        "<h2>Training steps</h2>",
        *overview_section(recording, found, known, page),
        "<h2>Timeline of the last steps</h2>",
        *timeline(recording, found, known, page),
        "<h2>Threads</h2>",
        *threads(tables["thread"], page),
        "<h3>Hardware counters</h3>",
        *_counters(recording),
        *memory(recording, page),
        "<h2>Tables</h2>",
        "<p class='note'>Times are of all threads together.</p>",
        *_tables(recording, tables),
        "<h2>Roofline</h2>",
        *roofline(recording, page),
    ]
    with written_beside(path) as file:
        file.write(document(parts))


def _header(recording: Recording) -> Iterator[str]:
    """Where and what it was, and how much of it was kept."""
    machine = recording.machine
    where = {
        "date": machine.date,
        "host": machine.host,
        "CPU": machine.cpu,
        "gdcore": machine.version,
        "isa": machine.isa,
        "cpus": shown(machine.cpus),
        "quota": "" if machine.quota is None else f"{shown(machine.quota)} CPUs",
    }
    yield facts({name: value for name, value in where.items() if value})
    lines = [str(_short(source)) for source in recording.sources if source.kind]
    if len(lines) > _SOURCES:
        lines[_SOURCES:] = [f"{len(lines) - _SOURCES:,} more"]
    yield "".join(f"<p class='note'>{text(line)}</p>" for line in lines)
    most = recording.bytes_per_thread * len(recording.threads)
    what = {
        "seconds": shown(recording.nanoseconds / 1e9),
        "training steps": shown(recording.steps),
        "threads": shown(len(recording.threads)),
        "events": shown(len(recording.events)),
        "dropped": shown(recording.dropped),
        "every": shown(recording.every),
        "most memory of the recorder": f"{most / 2**20:,.0f} MiB",
    }
    if recording.threads_left_out:
        what["threads left out"] = shown(recording.threads_left_out)
    yield facts(what)
    if recording.dropped:
        begin, end = (at / 1e9 for at in recording.window)
        yield note(
            f"The rings were too small: {recording.dropped:,} events are gone. What follows "
            f"is of {begin:,.3f} s to {end:,.3f} s."
        )


def _short(source: Source) -> Source:
    """Of a deep network the first and the last layers."""
    sizes = source.network.split("-")
    if len(sizes) <= _SIZES:
        return source
    ends = "-".join(sizes[:4]), "-".join(sizes[-3:])
    return replace(source, network=f"{ends[0]}-...-{ends[1]} ({len(sizes) - 1:,} layers)")


def _advice(recording: Recording) -> Iterator[str]:
    sentences = advise(recording)
    if not sentences:
        yield note("Nothing stands out.")
        return
    yield "<ul>" + "".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "</ul>"


def _counters(recording: Recording) -> Iterator[str]:
    counted = [thread for thread in recording.threads if thread.counters]
    if not counted:
        yield note(recording.counters_error or "not asked for")
        return
    keys = list(dict.fromkeys(key for each in counted for key in each.counters or ()))
    rows = []
    for thread in recording.threads:
        counters = thread.counters or {}
        rows.append(
            {"thread": thread.name} | {key.replace("_", " "): counters.get(key) for key in keys}
        )
    yield html_table(Table(rows))


def _tables(recording: Recording, tables: Mapping[str, Table]) -> Iterator[str]:
    for by, rows in tables.items():
        yield f"<h3>{_TITLES[by]}</h3>"
        yield html_table(rows) if rows else note(NOTHING)
    if len(recording.ranges):
        yield "<h3>By name</h3>"
        yield note("Stretches that the program, its callbacks and metrics gave a name.")
        yield html_table(named(recording))

"""The command ``gdcore watch``: a running training in the terminal."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gdcore import _live

__all__ = ["watch"]

_INTERVAL = 0.5  # seconds between two looks at the file
_EPOCHS = 8  # rows of the table


def watch(path: Path, once: bool = False) -> None:
    """Shows the state in a file until the training ends.

    Args:
        path: What `gdcore.callbacks.Live` writes.
        once: Shows the state of now alone.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is another file.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    state = _read(path)
    if once or not console.is_terminal:  # to a pipe only what stays
        while not once and state["state"] == "running":
            time.sleep(_INTERVAL)
            state = _read(path)
        console.print(_frame(state))
        return
    with Live(_frame(state), console=console, auto_refresh=False) as shown:
        while state["state"] == "running":
            time.sleep(_INTERVAL)
            state = _read(path)
            shown.update(_frame(state), refresh=True)


def _read(path: Path) -> dict[str, Any]:
    state = _live.read(path)
    if state["state"] == "running" and not _is_there(state):
        state |= {"state": "gone", "why": "its process has ended without a word"}
    return state


def _is_there(state: dict[str, Any]) -> bool:
    """Whether the process is alive, as far as it is known here."""
    if state["host"] != platform.node():
        return True
    try:
        os.kill(state["process_id"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _frame(state: dict[str, Any]) -> RenderableType:
    what = f"{state['network']}, {state['loss']}, {state['optimizer']}"
    ending = state["state"] + (f": {state['why']}" if state["why"] else "")
    age = time.time() - state["time"]
    if state["state"] == "running" and age > 5:
        ending += f", nothing new for {age:,.0f} s"
    parts: list[RenderableType] = [
        Text(what),
        Text(f"{ending}, {state['seconds']:,.1f} s", style="bold"),
        _figures(state),
    ]
    if state["history"]:
        parts.append(_epochs(state))
    return Group(*parts)


def _figures(state: dict[str, Any]) -> Table:
    epoch = f"{state['epochs']:,} done"
    if state["samples"]:
        whole = state["samples_an_epoch"]
        epoch += f", {state['samples']:,} samples of the next"
        epoch += f" ({state['samples'] / whole:.0%})" if whole else ""
    memory = state["memory_bytes"]
    rows = {
        "epochs": epoch,
        "steps": f"{state['steps']:,}",
        "steps/s": _rate(state["steps_a_second"]),
        "samples/s": _rate(state["samples_a_second"]),
        "GFLOP/s": _rate(state["gflops"]),
        "threads": str(state["threads"]),
        "CPUs at work": _rate(state["cpus"]),
        "learning rate": f"{state['lr']:.4g}",
        "memory": "" if memory is None else f"{memory / 1e6:,.0f} MB",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _rate(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _epochs(state: dict[str, Any]) -> Table:
    """The last ones, with whatever the history has of them."""
    values = state["history"][-_EPOCHS:]
    keys = list(dict.fromkeys(key for each in values for key in each))
    table = Table("epoch", *keys)
    for column in table.columns:
        column.justify = "right"
    first = state["epochs"] - len(values) + 1
    for number, each in enumerate(values, first):
        table.add_row(str(number), *(f"{each[key]:.4g}" if key in each else "" for key in keys))
    return table

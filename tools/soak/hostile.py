"""Hostile arguments in every public call: a right result, or an error that names the argument.

An error leaves everything as it was, bit for bit. A value that is taken must do what the plain one
of the same numbers does, in a second world. Nothing crashes, hangs or warns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import resource
import tempfile
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from support import digest
from world import World

import gdcore as gd
from tools.soak.finding import Case, wrong
from tools.soak.hostile_calls import CALLS
from tools.soak.hostile_slots import Call, Slot
from tools.soak.hostile_values import VALUES, OwnError

__all__ = ["check", "draw"]

_ERRORS = (TypeError, ValueError, RuntimeError, ArithmeticError, OSError, MemoryError, OwnError)


def draw(random: Random) -> Case:
    """A call with one argument, or two, in place of good ones."""
    name = random.choice(sorted(CALLS))
    slots = sorted(CALLS[name].slots)
    chosen = random.sample(slots, min(len(slots), random.choice((1, 1, 1, 2))))
    return {
        "call": name,
        "bad": {slot: random.choice(sorted(VALUES)) for slot in chosen},
        "dtype": random.choice(("float32", "float64")),
    }


@functools.cache
def _bound_memory() -> None:
    """Where a huge array would be copied there is no memory, and no machine that stands still.

    For the rest of this process, and so not where cases are only drawn.
    """
    if "ASAN_OPTIONS" not in os.environ:  # whose own memory is without bounds
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, hard))


def check(case: Case) -> None:
    """Makes the call in one world, and if it is taken, the plain call in another."""
    _bound_memory()
    call = CALLS[case["call"]]
    with tempfile.TemporaryDirectory() as folder, _inside(folder):
        gd.set_num_threads(None)
        world, other = World(case["dtype"]), World(case["dtype"])
        world.mse.save("there")
        slots = {name: _copied(slot.good) for name, slot in call.slots.items()}
        result = None
        # Twice: a generator is used up, and arrays may be updated in place.
        given, again = (
            {
                name: VALUES[value](_copied(call.slots[name].good))
                for name, value in case["bad"].items()
            }
            for _ in range(2)
        )
        before = world.state()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            refused = True
            try:
                result = told(call.run(world, **{**slots, **given}))
                refused = False
            except OwnError:
                pass
            except FloatingPointError:
                return  # it diverged: no refusal, and gradients are used up
            except _ERRORS as error:
                _refused(call, given, error)
            if not refused:
                _taken(call, other, again, result)
                before = other.state()
        for each in said:
            if not issubclass(each.category, (UserWarning, PendingDeprecationWarning)):
                wrong(f"{case['call']} warns: {each.category.__name__}: {each.message}")
        if world.state() != before:
            wrong(f"{case['call']} leaves another state ({_words(given)})")
        if refused:
            world.go_on()
            other.go_on()
            if world.state() != other.state():
                wrong(f"{case['call']} was refused and changes what comes after ({_words(given)})")
    gd.set_num_threads(None)


def _refused(call: Call, given: dict[str, Any], error: BaseException) -> None:
    if isinstance(
        error, (MemoryError, OSError, UnicodeError, FloatingPointError)
    ) or "null byte" in str(error):
        return
    if any(callable(value) for value in given.values()):
        return  # what it raises where it is called is its own
    names = [name for slot in given for name in (slot, *call.slots[slot].names)]
    if not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)) for name in names):
        wrong(f"names no argument: {type(error).__name__}: {error}\nit should be of {names}")


def _taken(call: Call, other: World, given: dict[str, Any], result: Any) -> None:
    plain = {name: _copied(slot.good) for name, slot in call.slots.items()}
    plain |= {name: _as_plain(name, call.slots[name], value) for name, value in given.items()}
    expected = told(call.run(other, **plain))
    if result != expected:
        wrong(f"gives another result than the plain {_words(given)}: {result} for {expected}")


def _as_plain(name: str, slot: Slot, value: Any) -> Any:
    try:
        return slot.plain(value, slot.good)
    except Exception as error:
        wrong(f"takes {name} though it is not one\n{type(error).__name__}: {error}")


def _words(given: dict[str, Any]) -> str:
    return ", ".join(given)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


@contextlib.contextmanager
def _inside(folder: str) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def told(value: Any) -> Any:
    """What came out, in a form that can be compared."""
    if isinstance(value, np.ndarray):
        return digest({"value": value})
    if isinstance(value, dict):
        return {key: told(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(each) for each in value]
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, gd.Network):
        return [value.layer_names, digest(value.state_dict())]
    if isinstance(value, gd.Trainer):
        return [value.lr.hex(), value.steps, value.clip_grad_norm, told(value.network)]
    if dataclasses.is_dataclass(value):
        return [type(value).__name__, told(list(vars(value).values()))]
    return value if value is None or isinstance(value, (int, str)) else type(value).__name__

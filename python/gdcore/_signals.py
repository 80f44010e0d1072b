"""Signals in Python: putting their handlers off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["handlers_put_off"]


@contextmanager
def handlers_put_off() -> Iterator[None]:
    """Lets handlers of signals, such as that of Ctrl-C, run after the block and not within it.

    What a handler raises comes between any two lines of Python: also between the one that opens a
    file and the one that would see to its being closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run on the main thread alone
        return
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)

    # Ctrl-C first, and back last.
    numbers = sorted(signal.valid_signals(), key=lambda each: each != signal.SIGINT)
    handlers = {each: old for each in numbers if callable(old := signal.getsignal(each))}
    try:
        for each in handlers:
            signal.signal(each, note)
        yield
    finally:
        for each in reversed(handlers):
            signal.signal(each, handlers[each])
        for number in noted:
            signal.raise_signal(number)

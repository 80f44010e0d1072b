"""A thread that goes ahead of whoever goes over an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")

_WAIT = 0.1  # seconds, after which a thread looks whether it is still wanted


@contextmanager
def ahead(items: Iterator[T], count: int) -> Iterator[Iterator[T]]:
    """The same items; up to ``count`` wait, made by a thread. With 0 there is no thread.

    What making one raises is raised where it would have come. Behind the block the thread is over,
    and ``items`` are closed.
    """
    if count == 0:
        yield items
        return
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(count)
    over = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not over.is_set():
            try:
                waiting.put((kind, value), timeout=_WAIT)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put("item", item):
                    break
            else:
                put("end", None)
        except BaseException as error:
            put("error", error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=make, name="gdcore reads ahead", daemon=True)

    def taken() -> Iterator[T]:
        while True:
            kind, value = waiting.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value

    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        thread.join()

"""What a trainer in C++ calls between ranks: a communicator, and who may want to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gdcore.communication.protocol import Communicator

__all__ = ["Channel"]


class Channel:
    """A communicator in use by one trainer.

    Attributes:
        communicator: What carries bytes.
        rank: As the communicator has it.
        size: As the communicator has it.
        interrupted: Whether this rank is to stop: at the next step all ranks do, each with a
            KeyboardInterrupt, and the parameters of all are those of the step before.
    """

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self.rank = communicator.rank
        self.size = communicator.size
        self.interrupted = False
        self.alltoallv = communicator.alltoallv
        self.allgatherv = communicator.allgatherv

    def agree(self, flag: bool) -> bool:
        """Whether any rank says so."""
        said = self.gathered(flag)
        return any(said)

    def gathered(self, value: object) -> list[object]:
        """Each rank's value, on all of them."""
        found = self.communicator.gather(value)
        all_values: list[object] = self.communicator.bcast(found)
        return all_values

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C ends what runs here on all ranks at the same step; a second one at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:  # somebody else's, or none
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                signal.default_int_handler(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self.interrupted = False

"""Where the ranks of a communicator are: how many exchanges they have done, and what they wait in.

This is what the program's own thread writes, in two attributes an exchange; the watch reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

__all__ = ["Meeting"]


class _Within:
    """An exchange within another one, which counts as that one."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_WITHIN = _Within()


class Meeting:
    """The exchanges of one communicator.

    Attributes:
        name: The same on all of its ranks.
        members: Its ranks, as the watch counts ranks.
        count: How many exchanges this rank has done.
        what: The one that it is in, or None.
    """

    __slots__ = ("__weakref__", "_coming", "count", "members", "name", "what")

    def __init__(self, name: str = "", members: Sequence[int] = ()) -> None:
        self.name, self.members = name, tuple(members)
        self.count = 0
        self.what: object = None
        self._coming: object = None

    def waiting(self, what: object) -> Meeting | _Within:
        """The context of an exchange, in which a rank waits for the others.

        Args:
            what: What it is for, such as ``"step 17"``, the same on all ranks; it becomes a text
                only where it is told.
        """
        if self.what is not None:
            return _WITHIN
        self._coming = what
        return self

    def __enter__(self) -> None:
        self.what = self._coming

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.what = None
        if kind is None:  # else it has not been done
            self.count += 1

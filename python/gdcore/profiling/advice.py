"""What a recording says, in sentences."""

from __future__ import annotations

from gdcore.profiling.recording import Recording

__all__ = ["Advice", "advise"]


class Advice(str):
    """A sentence, with `kind`: a word for what it is about."""

    __slots__ = ("kind",)

    def __new__(cls, kind: str, text: str) -> Advice:
        made = super().__new__(cls, text)
        made.kind = kind
        return made


def advise(recording: Recording) -> list[Advice]:
    return []

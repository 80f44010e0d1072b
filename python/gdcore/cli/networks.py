"""What the options of a command say of vectors for categories."""

from __future__ import annotations

from dataclasses import dataclass

from gdcore import Embedding, Network
from gdcore._check import integer
from gdcore.tabular.networks import SIZE

__all__ = ["Embedded", "vector_size"]


@dataclass(frozen=True)
class Embedded:
    """What the user says about columns of many categories.

    Args:
        above: Columns of more categories get a vector for each of them; None: no column.
        size: Numbers in a vector.
    """

    above: int | None = None
    size: int = SIZE

    @classmethod
    def of(cls, embed: int | None, embed_size: int | None) -> Embedded:
        """What the options say.

        Raises:
            TypeError: One is no integer.
            ValueError: One is below 1, or there is a size of nothing.
        """
        size = SIZE if embed_size is None else integer("--embed-size", embed_size)
        if embed is not None:
            return cls(integer("--embed", embed), size)
        if embed_size is not None:
            raise ValueError(
                f"--embed-size is for columns that --embed embeds, got {embed_size} without it"
            )
        return cls()


def vector_size(net: Network) -> int | tuple[int, ...]:
    """Numbers in the vector of a category; 0 where no column is embedded."""
    sizes = [each.size for each in net.layers if isinstance(each, Embedding)]
    return sizes[0] if sizes else 0

"""The training steps that are measured: small to wide, all with ReLU and Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gdcore._names import choice
from gdcore.typing import LossName

__all__ = ["CASES", "Case", "chosen_cases"]


@dataclass(frozen=True)
class Case:
    """One training step.

    Attributes:
        name: What tables call it.
        sizes: Inputs, hidden units, outputs.
        batch: Samples a step.
        asked_for: Takes so long that it is measured only where somebody asks for it.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    asked_for: bool = False

    @property
    def network(self) -> str:
        """Its sizes as tables show them."""
        return "-".join(map(str, self.sizes))

    @property
    def loss(self) -> LossName:
        """Cross-entropy over the outputs; a single output is a logit."""
        return "cross_entropy" if self.sizes[-1] > 1 else "bce_with_logits"

    @property
    def multiply_flops(self) -> int:
        """Operations of the matrix products of one step, the only ones that count at a limit.

        Forward, weight gradients, and input gradients but for the first layer.
        """
        products = [
            2 * self.batch * a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)
        ]
        return 3 * sum(products) - products[0]


CASES = {
    case.name: case
    for case in (
        Case("rl", (4, 64, 64, 2), 32),
        Case("narrow", (10, 32, 32, 10), 128),
        Case("medium", (10, 64, 64, 10), 128),
        Case("w256", (10, 256, 256, 10), 128),
        Case("mnist-s", (784, 128, 10), 64),
        Case("mnist-m", (784, 512, 512, 10), 128),
        Case("tabular", (54, 256, 256, 7), 1024),
        Case("wide", (1024, 4096, 4096, 1024), 256),
        Case("wide-big", (1024, 4096, 4096, 1024), 1024, asked_for=True),
        Case("online", (30, 64, 1), 1),
    )
}


def chosen_cases(argument: str, names: str | None, among: Sequence[str] = ()) -> list[Case]:
    """The cases of a list of names with commas.

    Args:
        argument: What a message calls the list.
        names: The list; ``"all"``; or None for all but those that have to be asked for.
        among: What None and ``"all"`` choose from; else all cases.

    Raises:
        ValueError: A name is that of no case.
    """
    if names is None or names == "all":
        known = [CASES[name] for name in among or CASES]
        return [case for case in known if names == "all" or not case.asked_for]
    return [CASES[choice(argument, name.strip(), [*CASES, "all"])] for name in names.split(",")]

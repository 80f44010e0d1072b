"""The training steps that are measured: small to wide, all with ReLU and Adam."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """One training step.

    Attributes:
        name: What tables call it.
        sizes: Inputs, hidden units, outputs.
        batch: Samples a step.
        steps: Steps a measurement; enough for some tenths of a second.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    steps: int

    @property
    def multiply_flops(self) -> int:
        """Operations of the matrix products of one step, the only ones that count at a limit.

        Forward, weight gradients, and input gradients but for the first layer.
        """
        products = [2 * self.batch * a * b for a, b in zip(self.sizes, self.sizes[1:])]
        return 3 * sum(products) - products[0]


CASES = {
    case.name: case
    for case in (
        Case("rl", (4, 64, 64, 2), 32, 4000),
        Case("narrow", (10, 32, 32, 10), 128, 4000),
        Case("medium", (10, 64, 64, 10), 128, 2000),
        Case("w256", (10, 256, 256, 10), 128, 500),
        Case("mnist-s", (784, 128, 10), 64, 500),
        Case("mnist-m", (784, 512, 512, 10), 128, 100),
        Case("tabular", (54, 256, 256, 7), 1024, 100),
        Case("wide", (1024, 4096, 4096, 1024), 256, 2),
        Case("wide-big", (1024, 4096, 4096, 1024), 1024, 1),
    )
}

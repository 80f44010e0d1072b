"""A rule of whole parameters of one library: `... benchmarks.matrix_worker LIBRARY RULE SHAPES
THREADS SECONDS`, shapes as in "512x784,512".

A measurement is the seconds a step of the rule took.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.serve import serve
from gdcore.benchmark.turns import Step, repeated
from gdcore.benchmark.updates import alternating
from gdcore.config import set_num_threads
from gdcore.optimizers import Optimizer

__all__ = ["drawn", "main"]


def drawn(shapes: str, seed: int) -> list[np.ndarray]:
    """Normals of those shapes."""
    rng = np.random.default_rng(seed)
    sizes = [tuple(map(int, shape.split("x"))) for shape in shapes.split(",")]
    return [rng.standard_normal(size, np.float32) for size in sizes]


def _gdcore(rule: str, shapes: str, threads: int) -> Step:
    set_num_threads(threads)
    bound = Optimizer.resolve("rule", rule).bind(drawn(shapes, 0))
    gradients = alternating(drawn(shapes, 1), drawn(shapes, 2))
    return lambda _: bound.step(next(gradients), check_finite=False)


def _torch(library: str, rule: str, shapes: str, threads: int) -> Step:
    """PyTorch's own, with its AdamW for vectors; or pytorch_optimizer's."""
    import torch

    torch.set_num_threads(threads)
    parameters = [torch.nn.Parameter(torch.from_numpy(each)) for each in drawn(shapes, 0)]
    gradients = alternating(
        *([torch.from_numpy(each) for each in drawn(shapes, seed)] for seed in (1, 2))
    )
    for parameter, gradient in zip(parameters, next(gradients)):
        parameter.grad = gradient
    matrices = [each for each in parameters if each.ndim > 1]
    vectors = [each for each in parameters if each.ndim < 2]
    family: Any
    if library == "torch":
        family = getattr(torch.optim, Optimizer.members[rule].__name__)
        optimizers = [family(matrices), torch.optim.AdamW(vectors, fused=True)]
    else:
        import pytorch_optimizer

        family = getattr(pytorch_optimizer, Optimizer.members[rule].__name__)
        own: Any = [{"params": matrices, "use_muon": True}] if rule == "muon" else matrices
        optimizers = [family(own), torch.optim.AdamW(vectors, fused=True)]

    def step(_: int) -> None:
        for parameter, gradient in zip(parameters, next(gradients)):
            parameter.grad = gradient
        for optimizer in optimizers:
            optimizer.step()

    return step


def main() -> None:
    """Serves measurements until standard input ends."""
    library, rule, shapes, threads, seconds = sys.argv[1:]

    def prepare() -> Any:
        make = _gdcore if library == "gdcore" else lambda *given: _torch(library, *given)
        measure = repeated(make(rule, shapes, int(threads)), float(seconds))
        return lambda: {"seconds": measure()}

    serve(prepare)


if __name__ == "__main__":
    main()

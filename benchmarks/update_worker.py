"""An update rule of one library: `... benchmarks.update_worker LIBRARY RULE SIZE THREADS SECONDS`.

A measurement is the seconds a step of the rule took.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.serve import serve
from gdcore.benchmark.turns import Step, repeated
from gdcore.benchmark.updates import alternating, gdcore_update, normals
from gdcore.config import set_num_threads
from gdcore.optimizers import Optimizer

__all__ = ["main", "peer_name"]


def peer_name(rule: str) -> str:
    """What PyTorch calls an optimizer of ours."""
    return Optimizer.members[rule].__name__


def _torch_update(rule: str, size: int, threads: int) -> tuple[Step, str]:
    """A step of PyTorch's rule, fused where there is such a form, and which form it is."""
    import torch

    torch.set_num_threads(threads)
    family: Any = getattr(torch.optim, peer_name(rule), None)
    if family is None:
        raise NotImplementedError(f"PyTorch has no {peer_name(rule)}")
    parameter = torch.nn.Parameter(torch.from_numpy(normals(size, 0)))
    gradients = alternating(*(torch.from_numpy(normals(size, seed)) for seed in (1, 2)))
    parameter.grad = next(gradients)
    lr = Optimizer.members[rule]().lr
    optimizer, form = family([parameter], lr=lr), "default"
    if "fused" in inspect.signature(family).parameters:
        with suppress(RuntimeError, ValueError):  # some are fused on other devices only
            fused = family([parameter], lr=lr, fused=True)
            fused.step()
            optimizer, form = fused, "fused"

    def step(_: int) -> None:
        gradient = next(gradients)
        if parameter.grad is not gradient:
            parameter.grad = gradient
        optimizer.step()

    return step, form


def main() -> None:
    """Serves measurements until standard input ends."""
    library, rule, size, threads, seconds = sys.argv[1:]

    def prepare() -> Callable[[], dict[str, Any]]:
        if library == "torch":
            step, form = _torch_update(rule, int(size), int(threads))
        else:
            set_num_threads(int(threads))
            step, form = gdcore_update(rule, int(size)), ""
        measure = repeated(step, float(seconds))
        return lambda: {"seconds": measure(), "form": form}

    serve(prepare)


if __name__ == "__main__":
    main()

"""Libraries that train, and a training step of each: the same network, ReLU and Adam.

Batches are in each library's own form before the clock starts. The loss of a step is computed, and
not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from gdcore.benchmark.cases import Case
from gdcore.benchmark.figures import Threads
from gdcore.benchmark.steps import batches, gdcore_step
from gdcore.benchmark.turns import Step

__all__ = ["LIBRARIES", "Library", "installed_peers"]


@dataclass(frozen=True)
class Library:
    """One way to train.

    Attributes:
        label: What tables call it.
        package: What has to be installed.
        step: Takes a case and a number of threads, and makes a training step.
    """

    label: str
    package: str
    step: Callable[[Case, Threads], Step]

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        return find_spec(self.package) is not None


def _gdcore(case: Case, threads: Threads, precision: str) -> Step:
    return gdcore_step(case, threads, precision)


def _torch(case: Case, threads: Threads, compiled: bool = False, bfloat16: bool = False) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(threads or torch.get_num_threads())
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, units in zip(case.sizes, case.sizes[1:]):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss() if case.loss == "cross_entropy" else nn.BCEWithLogitsLoss()
    data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches(case)]

    def loss_of(x: Any, y: Any) -> Any:
        if not bfloat16:
            return criterion(net(x), y)
        with torch.autocast("cpu", torch.bfloat16):
            return criterion(net(x), y)

    if compiled:
        loss_of = torch.compile(loss_of)

    def step(number: int) -> None:
        adam.zero_grad(set_to_none=True)
        loss_of(*data[number % len(data)]).backward()
        adam.step()

    return step


def _jax(case: Case, threads: Threads) -> Step:
    if threads is not None:
        # XLA's pools are as large as this says when the process starts.
        os.environ["NPROC"] = os.environ["PJRT_NPROC"] = str(threads)
        if threads == 1:
            os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        for weight, bias in parameters[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = parameters[-1]
        p = x @ weight + bias
        if case.loss == "bce_with_logits":
            return jnp.mean(jax.nn.softplus(p) - p * y)
        chosen = jnp.take_along_axis(p, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(p, axis=1) - chosen)

    def update(state: Any, x: Any, y: Any) -> Any:
        parameters, first, second, number = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        number = number + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate, root = 1e-3 / (1 - 0.9**number), jnp.sqrt(1 - 0.999**number)
        parameters = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second
        )
        return (parameters, first, second, number), loss

    random = np.random.default_rng(0)
    values = [
        (random.uniform(-(a**-0.5), a**-0.5, (a, b)), random.uniform(-(a**-0.5), a**-0.5, b))
        for a, b in zip(case.sizes, case.sizes[1:])
    ]  # PyTorch's distribution
    parameters, first, second = (
        [tuple(jnp.array(factor * value, jnp.float32) for value in pair) for pair in values]
        for factor in (1, 0, 0)
    )
    state: Any = (parameters, first, second, jnp.float32(0))
    kind = jnp.int32 if case.loss == "cross_entropy" else jnp.float32
    data = [(jnp.asarray(x), jnp.asarray(y, kind)) for x, y in batches(case)]
    compiled = jax.jit(update, donate_argnums=0)

    def step(number: int) -> None:
        nonlocal state
        state, loss = compiled(state, *data[number % len(data)])
        jax.block_until_ready((state, loss))

    return step


LIBRARIES = {
    "gdcore": Library("gdcore", "gdcore", partial(_gdcore, precision="highest")),
    "gdcore-high": Library("gdcore high", "gdcore", partial(_gdcore, precision="high")),
    "gdcore-medium": Library("gdcore medium", "gdcore", partial(_gdcore, precision="medium")),
    "torch": Library("PyTorch", "torch", _torch),
    "torch-compile": Library("torch.compile", "torch", partial(_torch, compiled=True)),
    "torch-bfloat16": Library("PyTorch bfloat16", "torch", partial(_torch, bfloat16=True)),
    "jax": Library("JAX", "jax", _jax),
}


def installed_peers(*names: str) -> list[str]:
    """Those of some names whose packages are there."""
    return [name for name in names if LIBRARIES[name].installed]

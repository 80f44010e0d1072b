"""What a case is, and how layers in a row become a training step of each library, with Adam."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import gdcore as gd
from gdcore.benchmark.figures import Threads
from gdcore.benchmark.turns import Step

__all__ = ["LayerCase", "chain", "jax_step", "jax_threads", "labelled", "torch_step"]

BATCHES = 8  # that take turns, see gdcore.benchmark.steps


@dataclass(frozen=True)
class LayerCase:
    """One training step.

    Attributes:
        name: What tables call it.
        network: Its layers, as tables show them.
        batch: Samples a step.
        steps: By library, as `benchmarks.libraries.LIBRARIES` calls it, what makes a step.
    """

    name: str
    network: str
    batch: int
    steps: Mapping[str, Callable[[Threads], Step]]


Data = list[tuple[Any, ...]]


def labelled(inputs: int, classes: int, batch: int) -> Data:
    """Batches of normal numbers with a class each."""
    random = np.random.default_rng(0)
    return [
        (random.standard_normal((batch, inputs), np.float32), random.integers(0, classes, batch))
        for _ in range(BATCHES)
    ]


def torch_step(
    module: Any, loss: Any, data: Data, threads: Threads, compiled: bool = False
) -> Step:
    """A step of PyTorch: a module of all but the last, a loss of that and the last, fused Adam."""
    import torch

    torch.set_num_threads(threads or torch.get_num_threads())
    module.train()
    adam = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    batches = [tuple(torch.from_numpy(np.asarray(each)) for each in pair) for pair in data]

    def loss_of(*batch: Any) -> Any:
        return loss(module(*batch[:-1]), batch[-1])

    if compiled:
        loss_of = torch.compile(loss_of)

    def step(number: int) -> None:
        adam.zero_grad(set_to_none=True)
        loss_of(*batches[number % len(batches)]).backward()
        adam.step()

    return step


def jax_threads(threads: Threads) -> None:
    """Says how many threads JAX is to have, before it is imported."""
    if threads is None:
        return
    os.environ["NPROC"] = os.environ["PJRT_NPROC"] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def jax_step(parameters: Any, kept: Any, loss_of: Any, data: Data) -> Step:
    """A step of JAX, compiled, with Adam.

    Args:
        parameters: What is trained, any tree of arrays.
        kept: What passes leave for the next, as running averages.
        loss_of: (parameters, kept, x, y, key) -> (loss, kept), of random numbers by the key.
        data: The batches; x may be a tuple of arrays.
    """
    import jax
    import jax.numpy as jnp

    key = jax.random.key(0, impl="rbg")  # the quickest on CPUs

    def update(state: Any, x: Any, y: Any) -> Any:
        parameters, first, second, kept, number = state
        number = number + 1
        own = jax.random.fold_in(key, number)
        (loss, kept), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            parameters, kept, x, y, own
        )
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate, root = 1e-3 / (1 - 0.9**number), jnp.sqrt(1 - 0.999**number)
        parameters = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second
        )
        return (parameters, first, second, kept, number), loss

    parameters, kept = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (parameters, kept))
    first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state: Any = (parameters, first, second, kept, jnp.int32(0))
    batches = [jax.tree.map(jnp.asarray, pair) for pair in data]
    compiled = jax.jit(update, donate_argnums=0)

    def step(number: int) -> None:
        nonlocal state
        state, loss = compiled(state, *batches[number % len(batches)])
        jax.block_until_ready((state, loss))

    return step


def chain(
    name: str,
    network: str,
    batch: int,
    *,
    inputs: int,
    classes: int,
    members: int = 1,
    layers: Callable[[], list[Any]],
    torch_module: Callable[[], Any],
    jax_model: Callable[[], tuple[Any, Any, Any]],
) -> LayerCase:
    """A case of layers in a row, with cross-entropy.

    Args:
        name: What tables call it.
        network: Its layers, as tables show them.
        batch: Samples a step.
        inputs: Columns of the input.
        classes: Outputs.
        members: Of an ensemble, whose logits are (batch, members, classes) and whose loss is the
            mean of all.
        layers: Makes ours.
        torch_module: Makes PyTorch's.
        jax_model: Makes JAX's: parameters, what passes keep, and (parameters, kept, x, key) ->
            (logits, kept).
    """
    data = labelled(inputs, classes, batch)

    def gdcore_step(threads: Threads) -> Step:
        net = gd.Network(layers(), input_size=inputs, seed=0)
        trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=threads)

        def step(number: int) -> None:
            trainer.step(*data[number % len(data)])

        return step

    def step_of_torch(threads: Threads, compiled: bool = False) -> Step:
        import torch

        torch.manual_seed(0)
        cross_entropy = torch.nn.CrossEntropyLoss()

        def loss(logits: Any, y: Any) -> Any:
            if members == 1:
                return cross_entropy(logits, y)
            return cross_entropy(logits.flatten(0, 1), y.repeat_interleave(members))

        return torch_step(torch_module(), loss, data, threads, compiled)

    def step_of_jax(threads: Threads) -> Step:
        jax_threads(threads)
        import jax
        import jax.numpy as jnp

        parameters, kept, logits_of = jax_model()

        def loss_of(parameters: Any, kept: Any, x: Any, y: Any, key: Any) -> Any:
            logits, kept = logits_of(parameters, kept, x, key)
            if members > 1:
                logits, y = logits.reshape(-1, classes), jnp.repeat(y, members)
            chosen = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen), kept

        return jax_step(parameters, kept, loss_of, data)

    return LayerCase(
        name,
        network,
        batch,
        {
            "gdcore": gdcore_step,
            "torch": step_of_torch,
            "torch-compile": lambda threads: step_of_torch(threads, compiled=True),
            "jax": step_of_jax,
        },
    )

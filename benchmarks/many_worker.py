"""Many networks in a process of its own: `... benchmarks.many_worker WAY THREADS`.

Each measurement makes the networks anew, of other seeds, trains them all, and tells how many epochs
of one network a second that was, first values and preparation counted, and their mean loss.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import numpy as np

from benchmarks.serve import serve

__all__ = ["BATCH", "EPOCHS", "LIBRARIES", "NETWORKS", "SHAPE", "WIDTHS", "main"]

SHAPE, WIDTHS, BATCH, EPOCHS, NETWORKS = (442, 16), (16, 64, 64, 1), 32, 50, 256
# What tables call a way, and how many networks it trains: the slowest fewer, for the rate counts.
LIBRARIES: dict[str, tuple[str, int]] = {
    "fit_many": ("gdcore fit_many", NETWORKS),
    "loop": ("gdcore, a loop over Trainer.fit", NETWORKS),
    "sklearn": ("scikit-learn MLPRegressor, joblib", 32),
    "torch": ("PyTorch torch.func.vmap", NETWORKS),
    "jax": ("JAX jax.vmap", NETWORKS),
}

# Trains so many networks from a seed on; returns their mean loss at the end.
_Fit = Callable[[int], float]


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SHAPE).astype(np.float32)
    y = np.tanh(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + 0.1 * rng.standard_normal((SHAPE[0], 1))
    return x, y.astype(np.float32)


def _trainer(seed: int, num_threads: int | None = None) -> Any:
    import gdcore as gd

    layers = [*(gd.Dense(units, "relu") for units in WIDTHS[1:-1]), gd.Dense(WIDTHS[-1])]
    net = gd.Network(layers, input_size=WIDTHS[0], seed=seed)
    return gd.Trainer(net, "mse", gd.Adam(lr=1e-3), num_threads=num_threads)


def _fit_many(x: np.ndarray, y: np.ndarray, threads: int, networks: int) -> _Fit:
    import gdcore as gd

    def fit(seed: int) -> float:
        results = gd.fit_many(
            [_trainer(seed + i) for i in range(networks)], x, y,
            epochs=EPOCHS, batch_size=BATCH, progress=False, num_threads=threads,
        )  # fmt: skip
        return results.spread("loss").mean

    return fit


def _loop(x: np.ndarray, y: np.ndarray, threads: int, networks: int) -> _Fit:
    def fit(seed: int) -> float:
        losses = []
        for i in range(networks):
            trainer = _trainer(seed + i, threads)
            history = trainer.fit(x, y, epochs=EPOCHS, batch_size=BATCH, progress=False)
            losses.append(history["loss"][-1])
        return float(np.mean(losses))

    return fit


def _one_sklearn(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    # It says so where it has done all epochs that were asked for.
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPRegressor(
        hidden_layer_sizes=WIDTHS[1:-1],
        batch_size=BATCH,
        alpha=0,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )  # ReLU and Adam with 1e-3 are its defaults
    model.fit(x, y)
    return 2 * float(model.loss_)  # it halves the squares


def _sklearn(x: np.ndarray, y: np.ndarray, threads: int, networks: int) -> _Fit:
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=threads)
    parallel.__enter__()  # its processes stay, as a search keeps them

    def fit(seed: int) -> float:
        row = y[:, 0]
        return float(
            np.mean(parallel(delayed(_one_sklearn)(x, row, seed + i) for i in range(networks)))
        )

    return fit


def _batches(seed: int, networks: int) -> np.ndarray:
    """Of each step the rows of each network, (steps, networks, BATCH).

    All batches must be of one size: the last of an epoch is filled up with its first rows.
    """
    rng = np.random.default_rng(seed)
    steps = -(-SHAPE[0] // BATCH)
    rows = np.argsort(rng.random((EPOCHS, networks, SHAPE[0])), axis=2)
    padded = np.concatenate([rows, rows[:, :, : steps * BATCH - SHAPE[0]]], axis=2)
    cut = padded.reshape(EPOCHS, networks, steps, BATCH)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3)).reshape(-1, networks, BATCH)


def _torch(x: np.ndarray, y: np.ndarray, threads: int, networks: int) -> _Fit:
    import torch
    from torch import nn
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    torch.set_num_threads(threads)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def made() -> nn.Module:
        parts: list[nn.Module] = []
        for width, units in pairwise(WIDTHS):
            parts += [nn.Linear(width, units), nn.ReLU()]
        return nn.Sequential(*parts[:-1])

    base = made().to("meta")

    def loss(parameters: Any, xs: Any, ys: Any) -> Any:
        return ((functional_call(base, (parameters,), (xs,)) - ys) ** 2).mean()

    step = vmap(grad_and_value(loss))

    def fit(seed: int) -> float:
        torch.manual_seed(seed)
        state, _ = stack_module_state([made() for _ in range(networks)])
        parameters = {key: value.detach() for key, value in state.items()}
        leaves = [value.requires_grad_() for value in parameters.values()]
        rule = torch.optim.Adam(leaves, lr=1e-3, fused=True)
        values = torch.zeros(networks)
        for rows in torch.from_numpy(_batches(seed, networks)):
            plain = {key: value.detach() for key, value in parameters.items()}
            gradients, values = step(plain, inputs[rows], targets[rows])
            for leaf, key in zip(leaves, parameters, strict=True):
                leaf.grad = gradients[key]
            rule.step()
        return float(values.mean())

    return fit


def _jax(x: np.ndarray, y: np.ndarray, threads: int, networks: int) -> _Fit:
    import jax
    import jax.numpy as jnp

    inputs, targets = jnp.asarray(x), jnp.asarray(y)
    pairs = list(pairwise(WIDTHS))

    def first(key: Any) -> Any:
        keys = jax.random.split(key, len(pairs))
        return [
            (jax.random.uniform(k, shape, minval=-1, maxval=1) / jnp.sqrt(shape[0]),
             jnp.zeros(shape[1]))
            for k, shape in zip(keys, pairs, strict=True)
        ]  # fmt: skip

    def loss(parameters: Any, xs: Any, ys: Any) -> Any:
        for weight, bias in parameters[:-1]:
            xs = jax.nn.relu(xs @ weight + bias)
        weight, bias = parameters[-1]
        return jnp.mean((xs @ weight + bias - ys) ** 2)

    def update(state: Any, rows: Any) -> Any:
        parameters, m, v, t = state
        value, g = jax.value_and_grad(loss)(parameters, inputs[rows], targets[rows])
        t = t + 1
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        parameters = jax.tree.map(
            lambda p, a, b: p
            - 1e-3 * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8),
            parameters, m, v,
        )  # fmt: skip
        return (parameters, m, v, t), value

    def whole(key: Any, rows: Any) -> Any:
        parameters = first(key)
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        state = (parameters, zeros, zeros, jnp.zeros(()))
        return jax.lax.scan(update, state, rows)[1][-1]

    run = jax.jit(jax.vmap(whole, in_axes=(0, 1)))

    def fit(seed: int) -> float:
        keys = jax.random.split(jax.random.key(seed), networks)
        return float(run(keys, jnp.asarray(_batches(seed, networks))).mean())

    return fit


_WAYS = {"fit_many": _fit_many, "loop": _loop, "sklearn": _sklearn, "torch": _torch, "jax": _jax}


def main() -> None:
    """Serves measurements until standard input ends."""
    way, threads = sys.argv[1], int(sys.argv[2])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    networks = LIBRARIES[way][1]

    def prepare() -> Callable[[], dict[str, float]]:
        x, y = _data()
        fit = _WAYS[way](x, y, threads, networks)
        seeds = count(0, networks)

        def measure() -> dict[str, float]:
            seed = next(seeds)
            begin = time.perf_counter()
            loss = fit(seed)
            seconds = time.perf_counter() - begin
            return {"epochs/s": networks * EPOCHS / seconds, "loss": loss}

        measure()  # everything is loaded, compiled and warm
        return measure

    serve(prepare)


if __name__ == "__main__":
    main()

"""Libraries that learn sample by sample.

Samples are in each library's own form before the clock starts, and losses are kept as the library
gives them, read later. Every network has the same sizes, ReLU, Adam and one thread, and starts from
PyTorch's distribution of values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from math import log
from typing import Any

import numpy as np

from benchmarks.streams import Samples, Stream

__all__ = ["LEARNERS", "Learner"]

# Learns from that many further samples, and returns what tells whether each was predicted right.
Learn = Callable[[int], Any]
# Starts anew, with the first sample and the initial values of this seed.
Start = Callable[[int], Learn]


@dataclass(frozen=True)
class Learner:
    """One way to learn online.

    Attributes:
        label: What tables call it.
        package: What has to be installed.
        prepare: Takes a stream and its samples, and does what is done once.
        right: Turns what `Learn` returned into an array of bools.
    """

    label: str
    package: str
    prepare: Callable[[Stream, Samples], Start]
    right: Callable[[Any], np.ndarray]

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        return find_spec(self.package) is not None


def _low_losses(losses: Any) -> np.ndarray:
    """With two classes, the loss is below log 2 where the right one has more than half."""
    return np.array([float(loss) for loss in losses]) < log(2)


def _as_told(right: Any) -> np.ndarray:
    return np.array(right, bool)


def _gdcore(stream: Stream, samples: Samples, way: str) -> Start:
    import gdcore as gd

    inputs, hidden, outputs = stream.sizes
    x, y = samples.x, samples.y if outputs == 2 else samples.y.astype(np.float32)[:, None]
    rows, labels = list(x), y.tolist() if outputs == 2 else list(y)

    def start(seed: int) -> Learn:
        net = gd.Network(
            [gd.Dense(hidden, "relu"), gd.Dense(outputs)], input_size=inputs, seed=seed
        )
        loss = "cross_entropy" if outputs == 2 else "bce_with_logits"
        trainer = gd.Trainer(net, loss, gd.Adam(lr=stream.lr), num_threads=1)
        at = 0

        def one(count: int) -> list[float]:
            nonlocal at
            begin, at = at, at + count
            learn_one = trainer.learn_one
            return [learn_one(row, y) for row, y in zip(rows[begin:at], labels[begin:at])]

        def many(count: int) -> np.ndarray:
            nonlocal at
            begin, at = at, at + count
            return trainer.learn_many(x[begin:at], y[begin:at])

        def predict(count: int) -> list[bool]:
            nonlocal at
            begin, at = at, at + count
            right = []
            for i in range(begin, at):
                output = net.predict(x[i : i + 1])[0]
                chosen = output[0] > 0 if outputs == 1 else output[1] > output[0]
                right.append(chosen == labels[i])
                trainer.learn_one(rows[i], labels[i])
            return right

        return {"one": one, "many": many, "predict": predict}[way]

    return start


def _torch(stream: Stream, samples: Samples) -> Start:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    inputs, hidden, outputs = stream.sizes
    y = samples.y if outputs == 2 else samples.y.astype(np.float32)[:, None]
    batches = list(zip(torch.from_numpy(samples.x).split(1), torch.from_numpy(y).split(1)))

    def start(seed: int) -> Learn:
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        adam = torch.optim.Adam(net.parameters(), lr=stream.lr, fused=True)
        loss_of = nn.CrossEntropyLoss() if outputs == 2 else nn.BCEWithLogitsLoss()
        waiting = iter(batches)

        def learn(count: int) -> list[Any]:
            losses = []
            for x, y in islice(waiting, count):
                adam.zero_grad(set_to_none=True)
                loss = loss_of(net(x), y)
                loss.backward()
                adam.step()
                losses.append(loss.detach())
            return losses

        return learn

    return start


def _jax(stream: Stream, samples: Samples, scan: bool) -> Start:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp

    inputs, hidden, outputs = stream.sizes

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = parameters
        p = jax.nn.relu(w1 @ x + b1)
        p = w2 @ p + b2
        if outputs == 2:
            return jax.nn.logsumexp(p) - p[y]
        return jax.nn.softplus(p[0]) - p[0] * y

    def step(state: Any, sample: Any) -> Any:
        parameters, first, second, number = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *sample)
        number = number + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients)]
        rate, root = stream.lr / (1 - 0.9**number), jnp.sqrt(1 - 0.999**number)
        parameters = [
            w - rate * m / (jnp.sqrt(v) / root + 1e-8) for w, m, v in zip(parameters, first, second)
        ]
        return (parameters, first, second, number), loss

    compiled = jax.jit(step, donate_argnums=0)
    compiled_scan = jax.jit(partial(jax.lax.scan, step), donate_argnums=0)
    x, y = jnp.asarray(samples.x), jnp.asarray(samples.y.astype(np.int32))
    single = [] if scan else list(zip(list(x), list(y)))

    def start(seed: int) -> Learn:
        random = np.random.default_rng(seed)
        shapes = ((hidden, inputs), (hidden,), (outputs, hidden), (outputs,))
        bounds = (inputs**-0.5, inputs**-0.5, hidden**-0.5, hidden**-0.5)  # PyTorch's, as gdcore's
        values = [random.uniform(-a, a, shape) for a, shape in zip(bounds, shapes)]
        parameters, first, second = (
            [jnp.array(factor * value, jnp.float32) for value in values] for factor in (1, 0, 0)
        )
        state: Any = (parameters, first, second, jnp.float32(0))
        waiting, at = iter(single), 0

        def learn(count: int) -> list[Any]:
            nonlocal state
            losses = []
            for sample in islice(waiting, count):
                state, loss = compiled(state, sample)
                losses.append(loss)
            jax.block_until_ready(state)
            return losses

        def learn_in_one_call(count: int) -> Any:
            nonlocal state, at
            begin, at = at, at + count
            state, losses = compiled_scan(state, (x[begin:at], y[begin:at]))
            return jax.block_until_ready(losses)

        return learn_in_one_call if scan else learn

    return start


def _river(_: Stream, samples: Samples, predicts: bool) -> Start:
    from river import linear_model, preprocessing

    # A linear model has no initial values but zeros; the seed changes nothing.
    pairs = [(dict(enumerate(row.tolist())), bool(y)) for row, y in zip(samples.x, samples.y)]

    def start(seed: int) -> Learn:
        model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
        waiting: Iterator[Any] = iter(pairs)

        def learn(count: int) -> list[bool]:
            right = []
            for x, y in islice(waiting, count):
                if predicts:
                    right.append(model.predict_one(x) == y)
                model.learn_one(x, y)
            return right

        return learn

    return start


LEARNERS = {
    "gdcore-one": Learner("gdcore learn_one", "gdcore", partial(_gdcore, way="one"), _low_losses),
    "gdcore-many": Learner(
        "gdcore learn_many", "gdcore", partial(_gdcore, way="many"), _low_losses
    ),
    "gdcore-predict": Learner(
        "gdcore predict, learn_one", "gdcore", partial(_gdcore, way="predict"), _as_told
    ),
    "torch": Learner("PyTorch eager", "torch", _torch, _low_losses),
    "jax": Learner("JAX jit", "jax", partial(_jax, scan=False), _low_losses),
    "jax-scan": Learner("JAX scan", "jax", partial(_jax, scan=True), _low_losses),
    "river": Learner(
        "river logistic learn_one", "river", partial(_river, predicts=False), _as_told
    ),
    "river-predict": Learner(
        "river logistic predict_one, learn_one", "river", partial(_river, predicts=True), _as_told
    ),
}

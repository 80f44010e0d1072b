"""One update of soft actor-critic, in gdcore and in PyTorch: `python -m benchmarks.sac`.

Two critics with targets that follow, an actor, and a temperature that is learnt too: Haarnoja et
al., "Soft actor-critic algorithms and applications", arXiv:1812.05905. 17 numbers of state and 6 of
action, as HalfCheetah has, two hidden layers of 256, batches of 256. What is random is drawn by
NumPy in both, so that they compute the same: `losses` of both agree.

    python -m benchmarks.sac --rounds 9 --threads 2    # medians of both, which take turns
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gdcore as gd
from benchmarks.alone import command
from benchmarks.processes import measured
from gdcore.benchmark.figures import Row

__all__ = ["LIBRARIES", "Batch", "Sac", "batches", "sac_table"]

STATE, ACTION, HIDDEN, BATCH = 17, 6, 256, 256
LR, TAU, GAMMA = 3e-4, 0.005, 0.99
_BATCHES = 32  # that take turns
_LOW, _HIGH = -5.0, 2.0  # of the logarithm of the actor's spread
_TINY = 1e-6

Array = NDArray[np.float32]


class Batch(NamedTuple):
    """What an update takes: transitions, and standard normal numbers for the actions."""

    state: Array  # (N, STATE)
    action: Array  # (N, ACTION)
    reward: Array  # (N, 1)
    after: Array  # (N, STATE)
    ended: Array  # (N, 1), 0 or 1
    noise: Array  # (N, ACTION), for the actions that come after
    other: Array  # (N, ACTION), for those that the actor learns by


def batches(count: int = _BATCHES, rows: int = BATCH) -> list[Batch]:
    """Transitions out of nowhere."""
    rng = np.random.default_rng(0)

    def normal(columns: int) -> Array:
        return rng.standard_normal((rows, columns), np.float32)

    return [
        Batch(
            normal(STATE), np.tanh(normal(ACTION)), normal(1), normal(STATE),
            (rng.random((rows, 1)) < 0.02).astype(np.float32), normal(ACTION), normal(ACTION),
        )
        for _ in range(count)
    ]  # fmt: skip


class _Drawn(NamedTuple):
    """Actions tanh(mean + std noise), and what their derivatives need."""

    action: Array
    logarithm: Array  # (N, 1) of how likely they are
    std: Array
    inside: NDArray[np.bool_]  # where the spread is not at a bound


def _drawn(output: Array, noise: Array) -> _Drawn:
    mean, raw = output[:, :ACTION], output[:, ACTION:]
    log_std = raw.clip(_LOW, _HIGH)
    std = np.exp(log_std)
    action = np.tanh(mean + std * noise)
    each = -0.5 * noise**2 - log_std - np.float32(0.5 * np.log(2 * np.pi))
    each -= np.log(1 - action**2 + np.float32(_TINY))
    return _Drawn(action, each.sum(axis=1, keepdims=True), std, raw == log_std)


class Sac:
    """In gdcore."""

    def __init__(self, threads: int | None = None) -> None:
        hidden = [gd.Dense(HIDDEN, "relu"), gd.Dense(HIDDEN, "relu")]

        def network(inputs: int, outputs: int, seed: int) -> gd.Network:
            return gd.Network([*hidden, gd.Dense(outputs)], input_size=inputs, seed=seed)

        self.actor = network(STATE, 2 * ACTION, 0)
        self.critics = [network(STATE + ACTION, 1, seed) for seed in (1, 2)]
        self.targets = [copy.deepcopy(critic) for critic in self.critics]
        adam = gd.Adam(lr=LR)
        self._actor = gd.Trainer(self.actor, None, adam, num_threads=threads)
        self._critics = [gd.Trainer(c, "mse", adam, num_threads=threads) for c in self.critics]
        self.log_alpha = np.zeros(1, np.float32)
        self._alpha = adam.bind([self.log_alpha])
        if threads is not None:
            gd.set_num_threads(threads)

    def update(self, batch: Batch) -> tuple[float, float, float]:
        """One step of everything; the losses of the two critics and of the actor before it."""
        alpha = np.exp(self.log_alpha)
        first, second = self._learn_values(batch, alpha)
        drawn = _drawn(self.actor.forward(batch.state, training=True), batch.other)
        both = np.hstack([batch.state, drawn.action])
        found = [critic.jacobian(both, return_outputs=True) for critic in self.critics]
        values = np.hstack([each for each, _ in found])
        slopes = [derivatives[:, 0, STATE:] for _, derivatives in found]
        lesser = values[:, 1:] < values[:, :1]
        slope = np.where(lesser, slopes[1], slopes[0])
        loss = (alpha * drawn.logarithm - values.min(axis=1, keepdims=True)).mean()
        self.actor.backward(_actor_gradient(drawn, batch.other, slope, alpha))
        self._actor.apply_gradients()
        wanted = -(drawn.logarithm - ACTION).mean(keepdims=True)[0] * alpha
        self._alpha.step([wanted.astype(np.float32)])
        for target, critic in zip(self.targets, self.critics, strict=True):
            target.soft_update(critic, TAU)
        return first, second, float(loss)

    def _learn_values(self, batch: Batch, alpha: Array) -> list[float]:
        drawn = _drawn(self.actor.predict(batch.after), batch.noise)
        after = np.hstack([batch.after, drawn.action])
        values = np.hstack([target.predict(after) for target in self.targets])
        future = values.min(axis=1, keepdims=True) - alpha * drawn.logarithm
        goal = batch.reward + np.float32(GAMMA) * (1 - batch.ended) * future
        both = np.hstack([batch.state, batch.action])
        return [trainer.step(both, goal) for trainer in self._critics]


def _actor_gradient(drawn: _Drawn, noise: Array, slope: Array, alpha: Array) -> Array:
    """Of mean(alpha log p - min Q) by the mean and the logarithm of the spread."""
    squared = drawn.action**2
    rest = 1 - squared
    # log p holds -log(1 - a^2 + tiny), a = tanh(u)
    by_u = alpha * 2 * drawn.action * rest / (rest + np.float32(_TINY)) - slope * rest
    by_log_std = (by_u * drawn.std * noise - alpha) * drawn.inside
    return np.hstack([by_u, by_log_std]) / np.float32(len(noise))


class TorchSac:
    """In PyTorch, from the parameters of one in gdcore."""

    def __init__(self, threads: int | None = None) -> None:
        import torch

        self._torch = torch
        if threads is not None:
            torch.set_num_threads(threads)
        ours = Sac()
        self.actor = self._twin(ours.actor)
        self.critics = [self._twin(critic) for critic in ours.critics]
        self.targets = [copy.deepcopy(critic) for critic in self.critics]
        for target in self.targets:
            target.requires_grad_(False)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        both = [p for critic in self.critics for p in critic.parameters()]
        adam = torch.optim.Adam
        self._optimizers = [
            adam(part, lr=LR, fused=True)
            for part in (both, list(self.actor.parameters()), [self.log_alpha])
        ]

    def _twin(self, net: gd.Network) -> Any:
        nn, state = self._torch.nn, net.state_dict()
        modules: list[Any] = []
        for index in range(len(net.layers)):
            weight = self._torch.tensor(state[f"{index}.weight"])
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = (
                weight,
                self._torch.tensor(state[f"{index}.bias"]),
            )
            modules += [linear, nn.ReLU()]
        return nn.Sequential(*modules[:-1])

    def _drawn(self, state: Any, noise: Any) -> tuple[Any, Any]:
        torch = self._torch
        mean, raw = self.actor(state).chunk(2, dim=1)
        log_std = raw.clamp(_LOW, _HIGH)
        action = torch.tanh(mean + log_std.exp() * noise)
        each = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)
        each = each - torch.log(1 - action**2 + _TINY)
        return action, each.sum(dim=1, keepdim=True)

    def update(self, batch: Batch) -> tuple[float, float, float]:
        """As `Sac.update`."""
        torch = self._torch
        b = Batch(*map(torch.from_numpy, batch))  # type: ignore[arg-type]
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            action, logarithm = self._drawn(b.after, b.noise)
            after = torch.cat([b.after, action], dim=1)
            least = torch.min(*(target(after) for target in self.targets))
            goal = b.reward + GAMMA * (1 - b.ended) * (least - alpha * logarithm)
        both = torch.cat([b.state, b.action], dim=1)
        losses = [torch.nn.functional.mse_loss(critic(both), goal) for critic in self.critics]
        self._descend(0, losses[0] + losses[1])
        for critic in self.critics:
            critic.requires_grad_(False)
        action, logarithm = self._drawn(b.state, b.other)
        both = torch.cat([b.state, action], dim=1)
        least = torch.min(*(critic(both) for critic in self.critics))
        loss = (alpha * logarithm - least).mean()
        self._descend(1, loss)
        for critic in self.critics:
            critic.requires_grad_(True)
        self._descend(2, -(self.log_alpha.exp() * (logarithm.detach() - ACTION)).mean())
        with torch.no_grad():
            for target, critic in zip(self.targets, self.critics, strict=True):
                own, new = list(target.parameters()), list(critic.parameters())
                torch._foreach_lerp_(own, new, TAU)
        return losses[0].item(), losses[1].item(), loss.item()

    def _descend(self, which: int, loss: Any) -> None:
        self._optimizers[which].zero_grad()
        loss.backward()
        self._optimizers[which].step()


LIBRARIES: dict[str, Callable[[int | None], Any]] = {"gdcore": Sac, "PyTorch": TorchSac}


def sac_table(rounds: int, threads: int, seconds: float) -> list[Row]:
    """Milliseconds of an update in each library, and the ratio."""
    wanted = {name: ("sac", name, threads, seconds) for name in LIBRARIES}
    found, reasons = measured(wanted, rounds)
    row: Row = {"threads": threads}
    times = {name: median(each["seconds"] for each in rows) for name, rows in found.items()}
    row |= {f"{name}, ms": 1e3 * times[name] if name in times else reasons[name] for name in wanted}
    row["times PyTorch"] = times["PyTorch"] / times["gdcore"] if len(times) == 2 else "no peer"
    return [row]


def _step(make: Callable[[int | None], Any]) -> Callable[[int | None], Callable[[Batch], object]]:
    return lambda threads: make(threads).update


def main() -> None:
    """Measures, or as a worker serves measurements."""
    steps = {name: _step(make) for name, make in LIBRARIES.items()}
    command("sac", __doc__, "an update of soft actor-critic", steps, batches, sac_table, 0.2)


if __name__ == "__main__":
    main()

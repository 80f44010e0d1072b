"""A pendulum that swings itself up: soft actor-critic, out of networks and their derivatives.

A pendulum hangs from a motor too weak to lift it: it has to swing to and fro until it gets over the
top, and balance there. Nobody tells it how. An actor proposes a torque for each state, two critics
learn from all that has happened what a torque is worth in the long run, and the actor follows the
slope of that worth: `jacobian` gives it, `backward` carries it into the actor. Targets that follow
the critics slowly (`soft_update`) keep them from chasing themselves. Haarnoja et al., "Soft
actor-critic algorithms and applications", arXiv:1812.05905.

    python examples/sac.py --out pictures
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
from _common import BLUE, GREY, RED, command_line, figure, save

import gdcore as gd

SECONDS, GRAVITY, TORQUE = 0.05, 10.0, 2.0  # of a step; m / s^2; the most, in N m
LENGTH = 200  # steps of an episode
DISCOUNT, FOLLOW, BATCH, FIRST = 0.98, 0.01, 128, 400
HIDDEN = [gd.Dense(64, "relu"), gd.Dense(64, "relu")]

Array = np.ndarray


def seen(angle: float, speed: float) -> Array:
    """What the actor sees of a pendulum; the angle is 0 at the top."""
    return np.array([np.cos(angle), np.sin(angle), speed / 8], np.float32)


def swung(angle: float, speed: float, action: float) -> tuple[float, float, float]:
    """The pendulum a step later, and what the step costs. Mass and length are 1."""
    off = (angle + np.pi) % (2 * np.pi) - np.pi
    cost = off**2 + 0.1 * speed**2 + 0.001 * (TORQUE * action) ** 2
    speed += SECONDS * (1.5 * GRAVITY * np.sin(angle) + 3 * TORQUE * action)
    speed = float(np.clip(speed, -8, 8))
    return angle + SECONDS * speed, speed, cost


class Agent:
    """The networks, and how they learn from a batch of what has happened."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        # Two outputs: the middle of the torque, and the logarithm of how far it strays.
        self.actor = gd.Network([*HIDDEN, gd.Dense(2)], input_size=3, seed=seed)
        self.critics = [
            gd.Network([*HIDDEN, gd.Dense(1)], input_size=4, seed=seed + i) for i in (1, 2)
        ]
        self.targets = [copy.deepcopy(critic) for critic in self.critics]
        adam = gd.Adam(lr=3e-3)
        self.learns_actor = gd.Trainer(self.actor, None, adam)
        self.learn_critics = [gd.Trainer(critic, "mse", adam) for critic in self.critics]
        self.log_weight = np.zeros(1)  # of the entropy, which is learnt as well
        self.learns_weight = adam.bind([self.log_weight])

    def drawn(self, output: Array) -> tuple[Array, Array, Array, Array]:
        """Torques tanh(u), u = mean + spread noise; log p of each; spread and noise."""
        log_spread = output[:, 1:].clip(-5, 2)
        noise = self.random.standard_normal(log_spread.shape).astype(np.float32)
        spread = np.exp(log_spread)
        action = np.tanh(output[:, :1] + spread * noise)
        likely = -0.5 * noise**2 - log_spread - 0.919 - np.log(1 - action**2 + 1e-6)
        return action, likely, spread, noise

    def learn(self, state: Array, action: Array, reward: Array, after: Array) -> None:
        """One update of everything."""
        weight = np.exp(self.log_weight)
        then, likely, _, _ = self.drawn(self.actor.predict(after))
        worth = [target.predict(np.hstack([after, then])) for target in self.targets]
        goal = reward + DISCOUNT * (np.minimum(*worth) - weight * likely)
        for trainer in self.learn_critics:
            trainer.step(np.hstack([state, action]), goal)

        action, likely, spread, noise = self.drawn(self.actor.forward(state, training=True))
        both = np.hstack([state, action])
        found = [critic.jacobian(both, return_outputs=True) for critic in self.critics]
        worth = [each for each, _ in found]
        slopes = [derivatives[:, 0, 3:] for _, derivatives in found]
        slope = np.where(worth[0] < worth[1], *slopes)  # of the lesser
        by_u = weight * 2 * action - slope * (1 - action**2)  # of weight log p - worth
        by_log_spread = by_u * spread * noise - weight
        self.actor.backward(np.hstack([by_u, by_log_spread]) / len(state))
        self.learns_actor.apply_gradients()

        self.learns_weight.step([-weight * (likely - 1).mean()])
        for target, critic in zip(self.targets, self.critics, strict=True):
            target.soft_update(critic, FOLLOW)


def shown(agent: Agent, seed: int) -> tuple[float, Array]:
    """An episode without noise: what it costs, and the angles."""
    random = np.random.default_rng(seed)
    angle, speed, total, angles = float(random.uniform(-np.pi, np.pi)), 0.0, 0.0, []
    for _ in range(LENGTH):
        action = float(np.tanh(agent.actor.predict(seen(angle, speed)[None])[0, 0]))
        angle, speed, cost = swung(angle, speed, action)
        total += cost
        angles.append(angle)
    return total, np.array(angles)


def main(out: Path, quick: bool = False) -> dict[str, object]:
    steps = 4_000 if quick else 8_000
    agent = Agent(0)
    random = np.random.default_rng(1)
    state, after = np.empty((2, steps, 3), np.float32)
    action, reward = np.empty((2, steps, 1), np.float32)
    costs: list[float] = []
    before = np.mean([shown(agent, seed)[0] for seed in range(5)])
    for i in range(steps):
        if i % LENGTH == 0:
            angle, speed, total = float(random.uniform(-np.pi, np.pi)), 0.0, 0.0
        state[i] = seen(angle, speed)
        if i < FIRST:
            action[i] = random.uniform(-1, 1)
        else:
            action[i] = agent.drawn(agent.actor.predict(state[i : i + 1]))[0]
        angle, speed, cost = swung(angle, speed, float(action[i, 0]))
        after[i], reward[i] = seen(angle, speed), -0.1 * cost
        total += cost
        if i >= FIRST:
            rows = random.integers(0, i + 1, BATCH)
            agent.learn(state[rows], action[rows], reward[rows], after[rows])
        if i % LENGTH == LENGTH - 1:
            costs.append(total)
    ends = [shown(agent, seed) for seed in range(5)]
    now = np.mean([cost for cost, _ in ends])
    upright = np.mean([np.cos(angles[-50:]).mean() for _, angles in ends])
    print(f"an episode costs {before:,.0f} before and {now:,.0f} after {steps:,} steps")
    print(f"height in the last quarter of an episode {upright:.2f}; 1 is upright")

    fig = figure()
    left, right = fig.subplots(1, 2)
    left.plot(np.arange(1, len(costs) + 1), costs, color=BLUE)
    left.set(title="cost of an episode while it learns", xlabel="episode", ylim=(0, None))
    for _, angles in ends:
        right.plot(SECONDS * np.arange(LENGTH), np.cos(angles), color=RED, alpha=0.6)
    right.axhline(1, color=GREY, linewidth=1, linestyle="--")
    right.set(title="height after that, from five starts", xlabel="seconds", ylim=(-1.1, 1.1))
    save(fig, out, "sac")
    return {"before": before, "after": now, "upright": upright, "costs": costs}


if __name__ == "__main__":
    command_line(main, __doc__)

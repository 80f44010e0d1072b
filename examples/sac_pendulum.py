"""A pendulum swings itself up and stays there: soft actor-critic on gymnasium's task.

What `sac.py` does with a pendulum of its own, on the task that others measure themselves by. Here
the weight of the entropy is a `gd.Parameter` of the actor: it stands in its file, and `backward`
takes its gradient beside that of the outputs. Haarnoja et al., "Soft actor-critic algorithms and
applications", arXiv:1812.05905.

    python examples/sac_pendulum.py --out pictures
"""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np
from _common import command_line, save
from _control import Array, Copies, mean_score, picture

import gdcore as gd

TASK, TORQUE = "Pendulum-v1", 2.0
COPIES, BATCH, FIRST = 4, 256, 1_000
DISCOUNT, FOLLOW, LR = 0.99, 0.005, 1e-3
HIDDEN = [gd.Dense(64, "relu"), gd.Dense(64, "relu")]


class Agent:
    """The networks, and how they learn from a batch of what has happened."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        # Two outputs: the middle of the torque, and the logarithm of how far it strays.
        self.actor = gd.Network(
            [*HIDDEN, gd.Dense(2)],
            input_size=3,
            parameters=[gd.Parameter("log_weight")],
            seed=seed,
        )
        self.critics = [
            gd.Network([*HIDDEN, gd.Dense(1)], input_size=4, seed=seed + i) for i in (1, 2)
        ]
        self.targets = [copy.deepcopy(critic) for critic in self.critics]
        adam = gd.Adam(lr=LR)
        self.learns_actor = gd.Trainer(self.actor, None, adam)
        self.learn_critics = [gd.Trainer(critic, "mse", adam) for critic in self.critics]

    def drawn(self, output: Array) -> tuple[Array, Array, Array, Array]:
        """Actions tanh(u), u = mean + spread noise; log p of each; spread and noise."""
        log_spread = output[:, 1:].clip(-5, 2)
        noise = self.random.standard_normal(log_spread.shape).astype(np.float32)
        spread = np.exp(log_spread)
        action = np.tanh(output[:, :1] + spread * noise)
        likely = -0.5 * noise**2 - log_spread - 0.919 - np.log(1 - action**2 + 1e-6)
        return action, likely, spread, noise

    def learn(self, state: Array, action: Array, reward: Array, after: Array) -> None:
        """One update of everything. Episodes end by time alone, so that what follows counts."""
        weight = np.exp(self.actor.state_dict()["log_weight"])
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
        self.actor.backward(
            np.hstack([by_u, by_log_spread]) / len(state),
            parameters={"log_weight": -weight * (likely - 1).mean()},
        )
        self.learns_actor.apply_gradients()
        for target, critic in zip(self.targets, self.critics, strict=True):
            target.soft_update(critic, FOLLOW)


def main(out: Path, quick: bool = False, seed: int = 0) -> dict[str, object]:
    total = 2_000 if quick else 20_000
    gd.set_num_threads(1)
    begin = time.perf_counter()
    agent, copies = Agent(seed), Copies(TASK, COPIES, seed)
    random = np.random.default_rng(seed)
    states, afters = np.empty((2, total, 3), np.float32)
    actions, rewards = np.empty((2, total, 1), np.float32)

    def act(state: Array) -> Array:
        return TORQUE * np.tanh(agent.actor.predict(state)[:, :1])

    for done in range(0, total, COPIES):
        if done < FIRST:
            action = random.uniform(-1, 1, (COPIES, 1)).astype(np.float32)
        else:
            action = agent.drawn(agent.actor.predict(copies.state))[0]
        new = slice(done, done + COPIES)
        states[new], actions[new] = copies.state, action
        afters[new], reward, _, _ = copies.step(TORQUE * action)
        rewards[new] = 0.1 * reward[:, None]
        for _ in range(COPIES if done >= FIRST else 0):
            rows = random.integers(0, done + COPIES, BATCH)
            agent.learn(states[rows], actions[rows], rewards[rows], afters[rows])
    seconds = time.perf_counter() - begin

    updates = agent.learns_actor.steps
    score = mean_score(TASK, act, 5 if quick else 100, seed + 1000)
    print(f"seed {seed}: {total:,} steps, {updates:,} updates, {seconds:.1f} s")
    print(f"mean of new episodes without chance {score:.0f}")
    save(picture(copies, f"soft actor-critic on {TASK}", -150), out, "sac_pendulum")
    return {"score": score, "seconds": seconds, "updates": updates}


if __name__ == "__main__":
    command_line(main, __doc__, seed=(int, 0, "of everything"))

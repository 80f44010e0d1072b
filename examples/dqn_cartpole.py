"""A pole on a cart is kept upright: a deep Q-network, double, that looks twenty steps ahead.

The network tells of each state what either action is worth. It is trained on steps of all that has
happened, at random, towards the next twenty rewards plus what the best action is worth after them,
by a copy of itself that follows (`soft_update`) and cannot chase itself. Only the output of the
action that was taken has an error: the loss is written out, Huber's of that one output, and
`backward` takes its derivative. With one reward instead of twenty the pole falls in most runs. Mnih
et al., "Human-level control through deep reinforcement learning", Nature 518, 2015; van Hasselt,
Guez and Silver, arXiv:1509.06461; Hessel et al., "Rainbow", arXiv:1710.02298.

    python examples/dqn_cartpole.py --out pictures
"""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np
from _common import command_line, save
from _control import Array, Copies, mean_score, picture

import gdcore as gd

TASK = "CartPole-v1"
COPIES, UPDATES, BATCH, FIRST = 8, 4, 64, 1_000  # UPDATES after each step of all copies
DISCOUNT, AHEAD, FOLLOW, LR = 0.98, 20, 0.01, 1e-3
CHANCE, CALM = 0.02, 0.15  # of a random action, from 1 down, and in which share of the steps
SOLVED, EPISODES = 475, 50  # ends where so many episodes had this mean
SCALE = np.array([1 / 2.4, 1 / 3, 1 / 0.21, 1 / 3], np.float32)  # of place, angle, their speeds


class Memory:
    """All steps so far, of each copy in order."""

    def __init__(self, steps: int) -> None:
        shape = (steps, COPIES)
        self.state, self.after = np.empty((2, *shape, 4), np.float32)
        self.action, self.reward = np.empty(shape, int), np.empty(shape, np.float32)
        self.failed, self.ended = np.empty((2, *shape), bool)
        self.filled = 0

    def add(self, *step: Array) -> None:
        rows = (self.state, self.action, self.after, self.reward, self.failed, self.ended)
        for row, values in zip(rows, step, strict=True):
            row[self.filled] = values
        self.filled += 1

    def drawn(self, random: np.random.Generator) -> tuple[Array, Array, Array, Array, Array]:
        """States, actions, what the next steps brought, the state after, and what counts of it."""
        t = random.integers(0, self.filled - AHEAD, BATCH)
        i = random.integers(0, COPIES, BATCH)
        ahead = np.arange(AHEAD)
        these = t[:, None] + ahead, i[:, None]
        goes_on = np.ones((BATCH, AHEAD), np.float32)  # 1 up to the end of an episode
        goes_on[:, 1:] = np.cumprod(~self.ended[these], axis=1)[:, :-1]
        gain = (self.reward[these] * goes_on) @ (DISCOUNT**ahead).astype(np.float32)
        count = goes_on.sum(axis=1).astype(int)
        last = t + count - 1
        # Where time was up, the state after it has a worth; where the pole fell, it has none.
        share = (DISCOUNT**count * ~self.failed[last, i]).astype(np.float32)
        return self.state[t, i], self.action[t, i], gain, self.after[last, i], share


def main(out: Path, quick: bool = False, seed: int = 0) -> dict[str, object]:
    steps = (6_400 if quick else 160_000) // COPIES
    gd.set_num_threads(1)
    begin = time.perf_counter()
    net = gd.Network(
        [gd.Dense(64, "relu"), gd.Dense(64, "relu"), gd.Dense(2)], input_size=4, seed=seed
    )
    target = copy.deepcopy(net)
    trainer = gd.Trainer(net, None, gd.Adam(lr=LR))
    copies, memory = Copies(TASK, COPIES, seed), Memory(steps)
    random = np.random.default_rng(seed)
    rows = np.arange(BATCH)

    for step in range(steps):
        lately = [score for _, score in copies.scores[-EPISODES:]]
        if len(lately) == EPISODES and np.mean(lately) >= SOLVED:
            break
        done = step / steps
        state = SCALE * copies.state
        action = net.predict(state).argmax(axis=1)
        by_chance = random.random(COPIES) < max(CHANCE, 1 - (1 - CHANCE) * done / CALM)
        action = np.where(by_chance, random.integers(0, 2, COPIES), action)
        after, reward, failed, late = copies.step(action)
        memory.add(state, action, SCALE * after, reward, failed, failed | late)
        if step * COPIES < FIRST:
            continue
        trainer.lr = LR * (1 - done)
        for _ in range(UPDATES):
            state, action, gain, after, share = memory.drawn(random)
            best = net.predict(after).argmax(axis=1)  # chosen by one, judged by the other
            goal = gain + share * target.predict(after)[rows, best]
            found = net.forward(state, training=True)
            by_output = np.zeros_like(found)
            by_output[rows, action] = np.clip(found[rows, action] - goal, -1, 1) / BATCH
            net.backward(by_output)
            trainer.apply_gradients()
            target.soft_update(net, FOLLOW)
    seconds = time.perf_counter() - begin

    def act(state: Array) -> Array:
        return target.predict(SCALE * state).argmax(axis=1)

    score = mean_score(TASK, act, 20 if quick else 100, seed + 1000)
    last = np.mean([score for _, score in copies.scores[-EPISODES:]])
    print(
        f"seed {seed}: {memory.filled * COPIES:,} steps, {trainer.steps:,} updates, {seconds:.1f} s"
    )
    print(
        f"mean of the last {EPISODES} episodes {last:.0f}, of new ones without chance {score:.0f}"
    )
    save(picture(copies, f"double DQN on {TASK}", 475), out, "dqn_cartpole")
    return {"score": score, "last": last, "seconds": seconds, "updates": trainer.steps}


if __name__ == "__main__":
    command_line(main, __doc__, seed=(int, 0, "of everything"))

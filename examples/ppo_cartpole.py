"""A pole on a cart is kept upright: proximal policy optimization, with its loss written out.

Eight carts drive at once. After 32 steps of each, an actor learns which of its actions went better
than a critic had expected (generalized advantages), for a few passes over the same 256 steps, but
lets no action become much more or less likely than it was (the ratio is clipped). Both are one
network with two outputs; what `forward` makes goes into a loss of NumPy, whose derivatives by both
outputs `backward` carries back. Schulman et al., "Proximal policy optimization algorithms",
arXiv:1707.06347; the numbers are those of rl-baselines3-zoo.

    python examples/ppo_cartpole.py --out pictures
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from _common import command_line, save
from _control import Array, Copies, mean_score, picture

import gdcore as gd

TASK = "CartPole-v1"
COPIES, STEPS, PASSES, BATCH = 8, 32, 20, 256
DISCOUNT, TRACE = 0.98, 0.8  # gamma and lambda
LR, CLIP, VALUE, ENTROPY = 1e-3, 0.2, 0.5, 0.0


def network(seed: int) -> gd.Network:
    """Scores of both actions, and what a state is worth; a tower each."""
    state = gd.Input(4, name="state")
    orthogonal = gd.initializers.Orthogonal(2**0.5)

    def tower(outputs: int, gain: float) -> gd.Node:
        node = state
        for _ in range(2):
            node = gd.Dense(64, "tanh", weight_init=orthogonal)(node)
        return gd.Dense(outputs, weight_init=gd.initializers.Orthogonal(gain))(node)

    return gd.Network(
        inputs=[state], outputs={"policy": tower(2, 0.01), "value": tower(1, 1.0)}, seed=seed
    )


def log_softmax(scores: Array) -> Array:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def advantages(rewards: Array, values: Array, then: Array, ends: Array) -> Array:
    """sum_k (gamma lambda)^k (r + gamma V(s') - V(s)) of the steps that follow, to each end."""
    found = np.zeros_like(rewards)
    last = np.zeros(COPIES, np.float32)
    for t in reversed(range(len(rewards))):
        last = rewards[t] + then[t] - values[t] + DISCOUNT * TRACE * last * ~ends[t]
        found[t] = last
    return found


def derivatives(
    output: dict[str, Array], action: Array, before: Array, gain: Array, worth: Array, clip: float
) -> dict[str, Array]:
    """Of the loss by both outputs.

    The loss of a step is -min(r A, clip(r) A) - c H(p) + v (V - R)^2, r = p(a) / p_before(a).
    """
    logs = log_softmax(output["policy"])
    p, rows = np.exp(logs), np.arange(len(action))
    ratio = np.exp(logs[rows, action] - before)
    moves = np.where(gain > 0, ratio < 1 + clip, ratio > 1 - clip)
    by_log = -ratio * gain * moves
    by_scores = -p * by_log[:, None]
    by_scores[rows, action] += by_log
    entropy = -(p * logs).sum(axis=1, keepdims=True)
    by_scores += ENTROPY * p * (logs + entropy)
    by_value = 2 * VALUE * (output["value"][:, 0] - worth)
    return {"policy": by_scores / len(action), "value": by_value[:, None] / len(action)}


def main(out: Path, quick: bool = False, seed: int = 0) -> dict[str, object]:
    total = 8_192 if quick else 100_352
    gd.set_num_threads(1)
    begin = time.perf_counter()
    net = network(seed)
    trainer = gd.Trainer(net, None, gd.Adam(lr=LR, eps=1e-5), clip_grad_norm=0.5)
    copies, random = Copies(TASK, COPIES, seed), np.random.default_rng(seed)
    shape = (STEPS, COPIES)
    states, actions = np.zeros((*shape, 4), np.float32), np.zeros(shape, int)
    logs, values, then, rewards = np.zeros((4, *shape), np.float32)
    ends = np.zeros(shape, bool)

    for done in range(0, total, STEPS * COPIES):
        for t in range(STEPS):
            output = net.predict(copies.state)
            log_p = log_softmax(output["policy"])
            action = (random.random(COPIES) > np.exp(log_p[:, 0])).astype(int)
            states[t], actions[t], values[t] = copies.state, action, output["value"][:, 0]
            logs[t] = log_p[np.arange(COPIES), action]
            after, rewards[t], failed, late = copies.step(action)
            # Where time is up, the state after it has a worth; where the pole fell, it has none.
            then[t] = DISCOUNT * net.predict(after)["value"][:, 0] * ~failed
            ends[t] = failed | late
        gains = advantages(rewards, values, then, ends)
        worths = gains + values
        share = 1 - done / total
        trainer.lr = LR * share
        rows = [
            each.reshape(-1, *each.shape[2:]) for each in (states, actions, logs, gains, worths)
        ]
        for _ in range(PASSES):
            order = random.permutation(STEPS * COPIES)
            for i in range(0, len(order), BATCH):
                state, action, before, gain, worth = (each[order[i : i + BATCH]] for each in rows)
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                output = net.forward(state, training=True)
                net.backward(derivatives(output, action, before, gain, worth, CLIP * share))
                trainer.apply_gradients()
    seconds = time.perf_counter() - begin

    def act(state: Array) -> Array:
        return net.predict(state)["policy"].argmax(axis=1)

    score = mean_score(TASK, act, 20 if quick else 100, seed + 1000)
    last = np.mean([score for _, score in copies.scores[-100:]])
    print(f"seed {seed}: {total:,} steps, {trainer.steps:,} updates, {seconds:.1f} s")
    print(f"mean of the last 100 episodes {last:.0f}, of new ones without chance {score:.0f}")
    save(picture(copies, f"PPO on {TASK}", 475), out, "ppo_cartpole")
    return {"score": score, "last": last, "seconds": seconds, "updates": trainer.steps}


if __name__ == "__main__":
    command_line(main, __doc__, seed=(int, 0, "of everything"))

"""What the examples of reinforcement learning share: gymnasium's tasks, several copies at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _common import BLUE, GREY, figure, needed

gymnasium = needed("gymnasium", "gymnasium")

Array = np.ndarray


class Copies:
    """Copies of a task that take steps together; where an episode ends, the next begins.

    Attributes:
        state: (N, numbers), what is seen now.
        scores: Of each episode that has ended, when that was, in steps of all copies, and its sum
            of rewards.
    """

    def __init__(self, name: str, count: int, seed: int) -> None:
        kind = gymnasium.vector.AutoresetMode.SAME_STEP
        self._envs = gymnasium.make_vec(
            name, count, vectorization_mode="sync", vector_kwargs={"autoreset_mode": kind}
        )
        self.state, _ = self._envs.reset(seed=seed)
        self.scores: list[tuple[int, float]] = []
        self._sums, self._steps = np.zeros(count), 0

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        """What follows: states before any new episode, rewards, and of each copy whether its task
        has failed or is done, and whether its time is up. Sets `state`.
        """
        self.state, rewards, failed, late, told = self._envs.step(actions)
        self._steps += len(rewards)
        self._sums += rewards
        after = self.state.copy()
        for i in np.flatnonzero(failed | late):
            after[i] = told["final_obs"][i]
            self.scores.append((self._steps, float(self._sums[i])))
            self._sums[i] = 0
        return after, rewards.astype(np.float32), failed, late


def mean_score(name: str, act: Callable[[Array], Array], episodes: int, seed: int) -> float:
    """The mean over new episodes, as many copies at once."""
    copies = Copies(name, episodes, seed)
    first: dict[int, float] = {}
    sums = np.zeros(episodes)
    while len(first) < episodes:
        _, rewards, failed, late = copies.step(act(copies.state))
        sums += rewards
        for i in np.flatnonzero(failed | late):
            first.setdefault(int(i), float(sums[i]))
    return float(np.mean(list(first.values())))


def picture(copies: Copies, title: str, goal: float) -> Any:
    """The scores of all episodes by steps, and the mean of the last 100."""
    steps, scores = (np.array(each) for each in zip(*copies.scores, strict=True))
    fig = figure()
    axes = fig.subplots()
    axes.plot(steps, scores, ".", color=GREY, markersize=3, label="an episode")
    width = min(50, len(scores))
    means = np.convolve(scores, np.full(width, 1 / width), "valid")
    axes.plot(steps[width - 1 :], means, color=BLUE, label=f"mean of {width}")
    axes.axhline(goal, color=GREY, linewidth=1, linestyle="--")
    axes.set(title=title, xlabel="steps", ylabel="sum of rewards")
    axes.legend()
    return fig

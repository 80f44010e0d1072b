"""The examples that learn to control, and stable-baselines3 with the same numbers.

    python -m benchmarks.control [--seeds 5] [--peer-seeds 5] [--tasks ppo,dqn,sac]

Each run is a process of its own, on one thread. A score is the mean of 100 new episodes with the
most likely action; seconds are those of learning, with the task's own. Rates, sizes of networks
and batches, and how many updates a step has, are the same in both; DQN in gdcore looks further
ahead and ends where it has solved the task, so that there the time of an update is to be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.tables import markdown

__all__ = ["main"]

_ROOT = Path(__file__).parent.parent
_TASKS = {"ppo": "ppo_cartpole", "dqn": "dqn_cartpole", "sac": "sac_pendulum"}


def _gdcore(task: str, seed: int) -> dict[str, Any]:
    sys.path.insert(0, str(_ROOT / "examples"))
    module = __import__(_TASKS[task])
    with tempfile.TemporaryDirectory() as folder:
        found = module.main(Path(folder), seed=seed)
    return {key: float(found[key]) for key in ("score", "seconds", "updates")}


def _learner(task: str, seed: int) -> tuple[Any, int, Callable[[Any], int]]:
    """A model of stable-baselines3, steps to learn, and how many updates it has made."""
    from stable_baselines3 import DQN, PPO, SAC
    from stable_baselines3.common.env_util import make_vec_env
    from torch import nn

    def falling(start: float) -> Callable[[float], float]:
        return lambda left: left * start

    options: dict[str, Any] = {"device": "cpu", "seed": seed, "verbose": 0}
    if task == "ppo":
        env = make_vec_env("CartPole-v1", 8, seed=seed)
        model: Any = PPO(
            "MlpPolicy", env, learning_rate=falling(1e-3), n_steps=32, batch_size=256,
            n_epochs=20, gamma=0.98, gae_lambda=0.8, clip_range=falling(0.2), ent_coef=0.0,
            **options,
        )  # fmt: skip
        return model, 100_352, lambda model: model._n_updates  # a pass has one batch
    if task == "dqn":
        env = make_vec_env("CartPole-v1", 8, seed=seed)
        model = DQN(
            "MlpPolicy", env, learning_rate=falling(1e-3), batch_size=64, buffer_size=80_000,
            learning_starts=1_000, gamma=0.98, tau=0.01, target_update_interval=1, train_freq=1,
            gradient_steps=4, exploration_fraction=0.25, exploration_final_eps=0.02,
            policy_kwargs={"net_arch": [64, 64]}, **options,
        )  # fmt: skip
        return model, 40_000, lambda model: model._n_updates
    env = make_vec_env("Pendulum-v1", 4, seed=seed)
    model = SAC(
        "MlpPolicy", env, learning_rate=1e-3, batch_size=256, learning_starts=1_000,
        gradient_steps=4, policy_kwargs={"net_arch": [64, 64], "activation_fn": nn.ReLU}, **options,
    )  # fmt: skip
    return model, 20_000, lambda model: model._n_updates


def _stable_baselines(task: str, seed: int) -> dict[str, Any]:
    import torch
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    model, steps, updates = _learner(task, seed)
    begin = time.perf_counter()
    model.learn(steps)
    seconds = time.perf_counter() - begin
    score, _ = evaluate_policy(model, model.get_env(), 100, deterministic=True, warn=False)
    return {"score": float(score), "seconds": seconds, "updates": updates(model)}


_LIBRARIES = {"gdcore": _gdcore, "stable-baselines3": _stable_baselines}


def _run(library: str, task: str, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.control", "--one", library, task, str(seed)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, env={**os.environ, **one}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a table, or with --one the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=5, help="of stable-baselines3")
    parser.add_argument("--tasks", default=",".join(_TASKS))
    parser.add_argument("--one", nargs=3, metavar=("LIBRARY", "TASK", "SEED"))
    arguments = parser.parse_args()
    if arguments.one:
        library, task, seed = arguments.one
        print(json.dumps(_LIBRARIES[library](task, int(seed))))
        return
    rows = []
    for task in arguments.tasks.split(","):
        for library in _LIBRARIES:
            seeds = arguments.seeds if library == "gdcore" else arguments.peer_seeds
            if not seeds:
                continue
            found = [_run(library, task, seed) for seed in range(seeds)]
            rows.append(
                {
                    "task": task,
                    "library": library,
                    "seconds, median": median(each["seconds"] for each in found),
                    "updates, median": int(median(each["updates"] for each in found)),
                    "ms an update, median": median(
                        1e3 * each["seconds"] / each["updates"] for each in found
                    ),
                    "score, mean": mean(each["score"] for each in found),
                    "scores": ", ".join(f"{each['score']:.0f}" for each in found),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    print(markdown("control", rows))


if __name__ == "__main__":
    main()

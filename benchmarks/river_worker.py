"""A model of river's kind in a process of its own: `... benchmarks.river_worker MODEL STREAM`.

Each sample is predicted, then learnt; samples are dicts in a list before the clock starts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.serve import serve

__all__ = ["MODELS", "STREAMS", "main"]

STREAMS = ("Phishing", "Bananas", "ImageSegments")


def _gdcore(seed: int, **options: Any) -> Any:
    from gdcore.river import MLPClassifier

    return MLPClassifier((64,), seed=seed, scale=True, **options)


def _gdcore_in_pipeline(seed: int) -> Any:
    from river import preprocessing

    from gdcore.river import MLPClassifier

    return preprocessing.StandardScaler() | MLPClassifier((64,), seed=seed)


def _logistic(_: int) -> Any:
    from river import linear_model, multiclass, preprocessing

    model = linear_model.LogisticRegression()
    return preprocessing.StandardScaler() | multiclass.OneVsRestClassifier(model)


def _logistic_of_two(_: int) -> Any:
    from river import linear_model, preprocessing

    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def _tree(_: int) -> Any:
    from river import tree

    return tree.HoeffdingTreeClassifier()


def _forest(seed: int) -> Any:
    from river import forest

    return forest.ARFClassifier(seed=seed)


def _deep_river(seed: int) -> Any:
    import torch
    from deep_river.classification import Classifier
    from river import preprocessing

    torch.set_num_threads(1)
    torch.manual_seed(seed)

    class Net(torch.nn.Module):
        def __init__(self, n_features: int = 9, n_classes: int = 2) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(n_features, 64)
            self.output = torch.nn.Linear(64, n_classes)

        def forward(self, x: Any) -> Any:
            return torch.softmax(self.output(torch.relu(self.hidden(x))), dim=-1)

    columns, classes = {"Phishing": (9, 2), "Bananas": (2, 2), "ImageSegments": (18, 7)}[
        sys.argv[2]
    ]
    model = Classifier(
        Net(columns, classes), "cross_entropy", optimizer_fn="adam", lr=0.01, seed=seed
    )
    return preprocessing.StandardScaler() | model


# What tables call it, and what makes it of a seed.
MODELS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "gdcore": ("gdcore, 64 units, own scaler", _gdcore),
    "gdcore-pipeline": ("river's scaler, gdcore, 64 units", _gdcore_in_pipeline),
    "gdcore-replay": (
        "gdcore, own scaler, 4 of 1,000 learnt again",
        lambda seed: _gdcore(seed, replay_size=1000, replays=4),
    ),
    "logistic": ("river: scaler, logistic regression", _logistic_of_two),
    "logistic-ovr": ("river: scaler, logistic regression, one a class", _logistic),
    "tree": ("river: Hoeffding tree", _tree),
    "forest": ("river: adaptive random forest, 10 trees", _forest),
    "deep-river": ("deep-river: scaler, PyTorch, 64 units", _deep_river),
}


def main() -> None:
    """Serves measurements until standard input ends."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _, make = MODELS[sys.argv[1]]

    def prepare() -> Callable[[], dict[str, Any]]:
        from river import datasets

        rows = list(getattr(datasets, sys.argv[2])())
        seed = 0

        def measure() -> dict[str, Any]:
            nonlocal seed
            model = make(seed)
            seed += 1
            right = 0
            begin = time.perf_counter()
            for x, y in rows:
                right += model.predict_one(x) == y
                model.learn_one(x, y)
            seconds = time.perf_counter() - begin
            return {"seconds": seconds / len(rows), "accuracy": right / len(rows)}

        warm = make(0)  # what is compiled or imported at first use
        for x, y in rows[:50]:
            warm.predict_one(x)
            warm.learn_one(x, y)
        return measure

    serve(prepare)


if __name__ == "__main__":
    main()

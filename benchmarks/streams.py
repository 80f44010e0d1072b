"""Streams of samples for online learning, with what learns from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = ["STREAMS", "Samples", "Stream"]

_LENGTH, _FLIP = 20_000, 10_000
_LAST = 1_000  # samples that tell the accuracy at some point of a stream


@dataclass(frozen=True)
class Samples:
    """What comes in, in order.

    Attributes:
        x: (N, inputs), float32.
        y: (N,), 0 or 1.
        told_right: (N,), whether the label is what the inputs say; False where it is noise.
    """

    x: np.ndarray
    y: np.ndarray
    told_right: np.ndarray


@dataclass(frozen=True)
class Stream:
    """Samples of two classes, and the network that learns from them one by one, with Adam.

    Attributes:
        name: What tables call it.
        sizes: Inputs, hidden units with ReLU, outputs: one logit, or one for each class.
        lr: Learning rate of the networks.
        samples: Makes or reads the samples.
        judged: The parts of it that an accuracy is told for.
    """

    name: str
    sizes: tuple[int, int, int]
    lr: float
    samples: Callable[[], Samples]
    judged: Mapping[str, slice] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """Its sizes as tables show them."""
        return "-".join(map(str, self.sizes))


def _noisy() -> Samples:
    """Two classes apart by a plane, and one label in ten wrong.

    Without wrong labels the loss goes to zero sooner or later, the gradients with it, and steps on
    zeros and denormals have other speeds than steps on numbers.
    """
    random = np.random.default_rng(0)
    x = random.standard_normal((_LENGTH, 30)).astype(np.float32)
    told_right = random.random(_LENGTH) >= 0.1
    y = (x @ random.standard_normal(30) > 0) == told_right
    return Samples(x, y.astype(np.int64), told_right)


def _flipped() -> Samples:
    samples = _noisy()
    y = samples.y.copy()
    y[_FLIP:] ^= 1
    return Samples(samples.x, y, samples.told_right)


def _phishing() -> Samples:
    """All features are within [0, 1]; about 0 they suit a network, as river scales its own."""
    from river.datasets import Phishing

    rows = list(Phishing())
    x = np.array([list(features.values()) for features, _ in rows], np.float32)
    y = np.array([label for _, label in rows], np.int64)
    return Samples(2 * x - 1, y, np.ones(len(y), bool))


_AROUND_THE_FLIP = {
    f"accuracy, last {_LAST:,} before the flip": slice(_FLIP - _LAST, _FLIP),
    f"accuracy, last {_LAST:,} at the end": slice(-_LAST, None),
}

STREAMS = {
    stream.name: stream
    for stream in (
        Stream("one-output", (30, 64, 1), 1e-3, _noisy),
        Stream("two-outputs", (30, 64, 2), 1e-3, _noisy),
        Stream("flip", (30, 64, 2), 1e-3, _flipped, _AROUND_THE_FLIP),
        Stream("phishing", (9, 32, 1), 1e-2, _phishing, {"accuracy": slice(None)}),
    )
}

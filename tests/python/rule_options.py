"""Hyperparameters that reach every form of every update rule, by the class's name."""

from __future__ import annotations

import itertools
from typing import Any

__all__ = ["CASES", "IDS", "OPTIONS"]


def _product(**choices: tuple[Any, ...]) -> list[dict[str, Any]]:
    rows = itertools.product(*choices.values())
    return [dict(zip(choices, row, strict=True)) for row in rows]


_DECAY = (0.0, 0.01)

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        *_product(lr=(0.05,), momentum=(0.0, 0.9), weight_decay=_DECAY),
        *_product(lr=(0.05,), momentum=(0.8,), dampening=(0.4,), weight_decay=_DECAY),
        *_product(lr=(0.05,), momentum=(0.9,), nesterov=(True,), weight_decay=_DECAY),
    ],
    "Adam": _product(
        lr=(1e-3,),
        betas=((0.9, 0.999), (0.6, 0.95)),
        eps=(1e-8, 1e-4),
        weight_decay=_DECAY,
        amsgrad=(False, True),
    ),
    "AdamW": [{}, *_product(lr=(1e-2,), weight_decay=(0.1,), amsgrad=(False, True))],
    "Adagrad": [
        {},
        *_product(lr_decay=(0.0, 0.01), weight_decay=_DECAY, initial_accumulator_value=(0.0, 0.1)),
    ],
    "RMSprop": [
        {"lr": 1e-3},
        *_product(lr=(1e-3,), momentum=(0.0, 0.9), centered=(False, True), weight_decay=_DECAY),
    ],
    "Adadelta": [{}, *_product(lr=(0.5,), rho=(0.8,), eps=(1e-6, 1e-3), weight_decay=_DECAY)],
}
CASES = [(name, options) for name, listed in OPTIONS.items() for options in listed]
IDS = [f"{name}-{'-'.join(map(str, options.values())) or 'defaults'}" for name, options in CASES]

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
    "Adamax": [{}, *_product(betas=((0.6, 0.95),), eps=(1e-3,), weight_decay=_DECAY)],
    "NAdam": [
        {},
        *_product(betas=((0.6, 0.95),), momentum_decay=(0.0, 0.3), weight_decay=_DECAY),
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "RAdam": [
        {},
        *_product(lr=(1e-2,), betas=((0.6, 0.95), (0.9, 0.5)), weight_decay=_DECAY),
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "Rprop": [{}, *_product(lr=(1e-3,), etas=((0.3, 1.5),), step_sizes=((1e-4, 0.02),))],
    "ASGD": [
        {},
        *_product(lr=(0.05,), lambd=(0.1,), alpha=(0.5,), t0=(0.0, 7.5), weight_decay=_DECAY),
    ],
    "Lion": [{}, *_product(lr=(1e-2,), betas=((0.6, 0.95),), weight_decay=_DECAY)],
    "AdaBelief": [
        {},
        *_product(betas=((0.6, 0.95),), eps=(1e-6,), weight_decay=_DECAY, amsgrad=(False, True)),
    ],
    "Yogi": [
        {},
        *_product(
            lr=(1e-3,),
            betas=((0.6, 0.95),),
            initial_accumulator_value=(0.0, 0.1),
            weight_decay=_DECAY,
        ),
    ],
    "Adan": [
        {},
        *_product(betas=((0.9, 0.8, 0.95),), weight_decay=_DECAY, no_prox=(False, True)),
    ],
    "FTRL": [{"lr": 0.1}, *_product(lr=(0.1,), beta=(0.5,), lambda_1=(0.0, 2.0), lambda_2=(0.3,))],
    "AdEMAMix": [
        {},
        *_product(
            betas=((0.6, 0.95, 0.99),),
            alpha=(2.0,),
            t_alpha_beta3=(0.0, 10.0, 50.0),
            weight_decay=_DECAY,
        ),
    ],
    "ADOPT": [
        {},
        *_product(betas=((0.6, 0.95),), weight_decay=_DECAY, decoupled_weight_decay=(False, True)),
    ],
    "MADGRAD": [{}, *_product(lr=(2e-3,), momentum=(0.0, 0.5), eps=(1e-3,), weight_decay=_DECAY)],
    "ScheduleFreeSGD": [
        {"lr": 0.1},
        *_product(
            lr=(0.1,), momentum=(0.6,), warmup_steps=(0, 5), r=(0.0, 1.0), weight_decay=_DECAY
        ),
    ],
    "ScheduleFreeAdamW": [
        {},
        *_product(
            betas=((0.6, 0.95),),
            warmup_steps=(7,),
            r=(0.5,),
            weight_lr_power=(0.0, 1.0),
            weight_decay=_DECAY,
        ),
    ],
}
CASES = [(name, options) for name, listed in OPTIONS.items() for options in listed]
IDS = [f"{name}-{'-'.join(map(str, options.values())) or 'defaults'}" for name, options in CASES]

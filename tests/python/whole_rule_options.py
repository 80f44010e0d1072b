"""Hyperparameters of the rules that need norms or matrices, by the class's name."""

from __future__ import annotations

from typing import Any

__all__ = ["WHOLE_CASES", "WHOLE_IDS", "WHOLE_OPTIONS"]

WHOLE_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "LARS": [
        {"lr": 1.0},
        {"lr": 2.0, "momentum": 0.0, "weight_decay": 0.01},
        {"lr": 1.0, "momentum": 0.8, "dampening": 0.4, "trust_coefficient": 0.01},
        {"lr": 0.5, "nesterov": True, "weight_decay": 0.01},
    ],
    "LAMB": [{"lr": 1e-2}, {"lr": 1e-2, "betas": (0.6, 0.95), "eps": 1e-4, "weight_decay": 0.1}],
    "Prodigy": [
        {},
        {"weight_decay": 0.1, "use_bias_correction": True, "safeguard_warmup": True, "d0": 1e-4},
        {"weight_decay": 0.1, "decouple": False, "growth_rate": 1.1, "d0": 1e-3, "d_coef": 2.0},
        {"betas": (0.5, 0.9), "beta3": 0.9, "d0": 1e-3},
    ],
    "Adafactor": [
        {},
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-6, 1e-2), "d": 2.0, "weight_decay": 0.1},
    ],
    "Muon": [
        {"lr": 0.02},
        {"lr": 0.02, "nesterov": False, "weight_decay": 0.0, "ns_steps": 3},
        {"adjust_lr_fn": "match_rms_adamw", "momentum": 0.9, "adamw_lr_factor": 0.3,
         "ns_coefficients": (2.0, -1.5, 0.5), "adamw_betas": (0.8, 0.95)},
        {"orthogonal": False, "adamw_weight_decay": 0.1, "adamw_eps": 1e-4},
    ],
    "SOAP": [
        {},
        {"betas": (0.9, 0.8), "shampoo_beta": 0.7, "precondition_frequency": 1},
        {"precondition_frequency": 3, "normalize_gradient": True, "correct_bias": False},
        {"max_precondition_dim": 1, "weight_decay": 0.1},
    ],
}  # fmt: skip
WHOLE_CASES = [(name, options) for name, listed in WHOLE_OPTIONS.items() for options in listed]
WHOLE_IDS = [
    f"{name}-{'-'.join(map(str, each.values())) or 'defaults'}" for name, each in WHOLE_CASES
]

"""Losses of the command line, which makes the outputs that a loss wants, and scales numbers."""

from __future__ import annotations

__all__ = ["CLASS_LOSSES", "NUMBER_LOSSES"]

CLASS_LOSSES = ("cross_entropy", "bce_with_logits")
# Of targets of either sign, with an output for each.
NUMBER_LOSSES = ("mse", "mae", "huber", "smooth_l1", "log_cosh", "quantile")

"""Losses of the command line, which makes the outputs that a loss wants, and scales numbers."""

from __future__ import annotations

from gdcore.losses import Loss

__all__ = ["CLASS_LOSSES", "NUMBER_LOSSES"]

CLASS_LOSSES = ("cross_entropy", "bce_with_logits")
# Of targets of either sign, with an output for each.
NUMBER_LOSSES = tuple(name for name, loss in Loss.members.items() if loss.task == "regression")

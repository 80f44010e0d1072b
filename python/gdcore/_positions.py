"""Where a training stands, in a model file: steps, rates, and an epoch that has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from gdcore._check import integer, real

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = [
    "Position",
    "Within",
    "described_plateau",
    "described_within",
    "plateau_from",
    "position_from",
    "within_from",
]

Position: TypeAlias = tuple[int, int, float, float, float, list[float]]
Within: TypeAlias = tuple[int, float, float, list[float], list[float]]

_MOST = 2**53  # steps and epochs that a file may tell: far from where adding overflows


def described_plateau(trainer: Trainer) -> dict[str, Any]:
    """What a schedule that waits for a figure knows; nothing where none does."""
    state = trainer._plateau
    return {} if trainer._plateau_rule() is None else {"plateau": dict(vars(state))}


def plateau_from(described: Any) -> tuple[float | None, int, int]:
    if described is None:
        return None, 0, 0
    if not isinstance(described, dict):
        raise ValueError("the plateau is not described")
    best = described.get("best")
    return (
        None if best is None else real("best", best),
        integer("bad_epochs", described.get("bad_epochs"), at_least=0, at_most=_MOST),
        integer("cooldown", described.get("cooldown"), at_least=0, at_most=_MOST),
    )


def described_within(trainer: Trainer) -> dict[str, Any] | None:
    """How far an epoch over a source is that has begun."""
    part = trainer._within
    if part is None or part.samples == 0:
        return None
    return {
        "samples": part.samples,
        "loss": part.loss,
        "weight": part.weight,
        "head_losses": part.head_losses,
        "head_weights": part.head_weights,
    }


def within_from(described: Any) -> Within | None:
    if described is None:
        return None
    if not isinstance(described, dict):
        raise ValueError("the epoch that has begun is not described")
    losses = _kept_from(described.get("head_losses"))
    weights = _kept_from(described.get("head_weights"))
    if len(losses) != len(weights):
        raise ValueError("the epoch that has begun has sums of different lengths")
    return (
        integer("samples", described.get("samples"), at_most=_MOST),
        real("loss", described.get("loss")),
        real("weight", described.get("weight"), at_least=0),
        losses,
        weights,
    )


def position_from(described: Any) -> Position:
    if not isinstance(described, dict):
        raise ValueError("the position is not described")
    return (
        integer("steps", described.get("steps"), at_least=0, at_most=_MOST),
        integer("epochs", described.get("epochs"), at_least=0, at_most=_MOST),
        real("lr", described.get("lr"), at_least=0),
        real("schedule_scale", described.get("schedule_scale"), at_least=0),
        real("schedule_at", described.get("schedule_at", 1.0), above=0),
        _kept_from(described.get("kept", [])),
    )


def _kept_from(described: Any) -> list[float]:
    if not isinstance(described, list):
        raise ValueError("what the optimizer keeps is not described")
    return [real(f"kept[{index}]", each) for index, each in enumerate(described)]

"""Subclasses of formulas: only a class that sets a name of its own is found by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import nets
import pytest

import gdcore as gd
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer


@pytest.fixture(autouse=True)
def families_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    for family in (Loss, Optimizer):
        monkeypatch.setattr(family, "members", dict(family.members))


def test_a_subclass_without_a_name_takes_nobodys() -> None:
    before = dict(Optimizer.members)

    class Mine(gd.Adam):
        lr = 7.0

    assert Optimizer.members == before
    trainer = gd.Trainer(nets.network([2, 1], ["identity"]), "mse", "adam")
    assert type(trainer.optimizer) is gd.Adam
    assert trainer.lr == 1e-3
    assert isinstance(Optimizer.resolve("optimizer", Mine()), Mine)
    assert gd.AdamW.name == "adamw"
    assert Optimizer.members["adamw"] is gd.AdamW


@pytest.mark.parametrize("family", [Loss, Optimizer])
def test_a_base_in_between_needs_no_name_and_is_no_formula(family: Any) -> None:
    class Between(family):
        pass

    for nameless in (Between(), family()):
        with pytest.raises(TypeError, match=r"^it must be .* with a name, \w+ has none$"):
            family.resolve("it", nameless)
    with pytest.raises(TypeError, match="optimizer must be"):
        Optimizer().bind([])


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"name must be new, got 'adam'.*gdcore\.optimizers\.adam\.Adam"
    ):

        class Mine(gd.Adam):
            name: ClassVar[str] = "adam"

    assert Optimizer.members["adam"] is gd.Adam


def test_the_same_class_may_be_defined_again() -> None:
    """As a notebook does with a cell, and a dataclass with slots."""
    made = []
    for _ in range(2):

        @dataclass(frozen=True, slots=True)
        class Mine(Optimizer):
            name: ClassVar[str] = "mine"

        made.append(Mine)
    assert made[0] is not made[1]
    assert Optimizer.members["mine"] is made[1]

"""A formula is one C++ file and one dataclass; here both sides are held against each other."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
import reference
from rule_options import OPTIONS
from support import ROOT
from whole_rule_options import WHOLE_OPTIONS

import gdcore as gd
from gdcore import _core
from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer

KINDS: dict[str, tuple[Any, Any, str]] = {
    "activations": (_core.activations, Activation, "activation"),
    "losses": (_core.losses, Loss, "loss"),
    "rules": (_core.rules, Optimizer, "optimizer"),
}
FORMULAS = ROOT / "cpp" / "kernels" / "formulas"
WHOLE_RULES = ROOT / "cpp" / "optim" / "rules"  # that see more than one element
MEMBERS = [
    (kind, name) for kind, (_, family, _) in KINDS.items() for name in sorted(family.members)
]


# Of as many numbers as a network has outputs, classes or quantiles, or none.
ARRAYS = ("class_weight", "pos_weight", "alpha", "quantiles")


def is_array(field: Any) -> bool:
    return field.name in ARRAYS and not isinstance(field.default, float)


def fields_in_cpp(member: Any) -> tuple[str, ...]:
    """The dataclass's parameters as C++ names them: a pair `betas` is beta1 and beta2."""
    names: list[str] = []
    for field in dataclasses.fields(member):
        if is_array(field):
            names.append(field.name)
        elif isinstance(field.default, tuple):
            stem = field.name if field.name == "eps" else field.name.removesuffix("s")
            names += [f"{stem}{i + 1}" for i in range(len(field.default))]
        else:
            names.append(field.name)
    return tuple(names)


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_know_the_same_formulas(kind: str) -> None:
    in_cpp, family, _ = KINDS[kind]
    assert sorted(in_cpp()) == sorted(family.members)


@pytest.mark.parametrize("kind", KINDS)
def test_each_formula_is_one_file(kind: str) -> None:
    in_cpp, _, _ = KINDS[kind]
    files = [*(FORMULAS / kind).glob("*.hpp")]
    if kind == "rules":
        files += WHOLE_RULES.glob("*.hpp")
    assert sorted(path.stem for path in files) == sorted(in_cpp())


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_parameters_have_the_same_names_and_order(kind: str, name: str) -> None:
    in_cpp, family, _ = KINDS[kind]
    member = family.members[name]
    assert fields_in_cpp(member) == tuple(in_cpp()[name])
    assert member.name == name
    arrays = [field for field in dataclasses.fields(member) if is_array(field)]
    assert len(arrays) <= 1
    given = sum(getattr(member(), field.name) is not None for field in arrays)
    assert len(member().parameters()) == len(in_cpp()[name]) - len(arrays) + given


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_members_are_frozen_public_and_found_by_name(kind: str, name: str) -> None:
    _, family, argument = KINDS[kind]
    member = family.members[name]
    assert member.__dataclass_params__.frozen
    assert getattr(gd, member.__name__) is member
    assert member.__name__ in gd.__all__
    assert family.resolve(argument, name) == member()
    assert family.resolve(argument, member()) == member()
    assert hash(member()) == hash(member())


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_the_docstring_tells_equation_and_arguments(kind: str, name: str) -> None:
    _, family, _ = KINDS[kind]
    member = family.members[name]
    text = member.__doc__ or ""
    assert "=" in text or "<-" in text, "no equation"
    for field in dataclasses.fields(member):
        assert re.search(rf"^ +{field.name}: ", text, re.MULTILINE), f"{field.name} is not told"


def test_the_oracle_has_every_formula() -> None:
    assert sorted(reference.activations.VALUE) == sorted(_core.activations())
    assert sorted(reference.activations.DERIVATIVE) == sorted(
        set(_core.activations()) - set(reference.activations.ROW_WISE)
    )
    assert sorted(reference.losses.PER_SAMPLE) == sorted(_core.losses())
    rules = {
        name
        for module in (reference.rules, reference.whole_rules)
        for name, each in vars(module).items()
        if isinstance(each, type)
    }
    assert {Optimizer.members[name].__name__ for name in _core.rules()} <= rules


def test_the_tests_go_over_every_formula() -> None:
    assert sorted(nets.ACTIVATIONS) == sorted(_core.activations())
    assert sorted(nets.LOSSES) == sorted(_core.losses())
    rules = sorted(Optimizer.members[name].__name__ for name in _core.rules())
    assert sorted(OPTIONS | WHOLE_OPTIONS) == rules


def test_initializers_are_the_same_in_the_docstring_and_in_cpp() -> None:
    listed = re.findall(r"^``(\w+)``", gd.initializers.__doc__ or "", re.MULTILINE)
    assert sorted(listed) == sorted(_core.initializers())
    for name in _core.initializers():
        assert gd.Dense(3, weight_init=name).weight_init == name
        assert reference.initializers.variance(name, 4, 5) >= 0


@pytest.mark.parametrize("name", sorted(_core.activations()))
def test_every_activation_runs_by_its_name(name: str) -> None:
    net = gd.Network([gd.Dense(3, name)], input_size=2, dtype="float64")
    assert np.isfinite(net.forward([[1.0, -2.0]])).all()


def test_every_loss_and_rule_runs_by_its_name() -> None:
    for loss in _core.losses():
        outputs = nets.outputs_for(loss, 3)
        y = nets.targets(loss, 1, outputs)
        for rule in _core.rules():
            net = gd.Network([gd.Dense(outputs)], input_size=2, dtype="float64")
            before = net.state_dict()["0.weight"]
            trainer = gd.Trainer(net, loss, rule)
            for _ in range(2):  # ADOPT and SOAP only look at the first gradient
                assert np.isfinite(trainer.step([[1.0, -2.0]], y))
            assert (net.state_dict()["0.weight"] != before).any()


def test_file_names_and_struct_names_agree() -> None:
    for path in [*FORMULAS.glob("*/*.hpp"), *WHOLE_RULES.glob("*.hpp")]:
        assert re.search(rf"\bstruct {path.stem}\b", Path(path).read_text()), path.name


class TestFrozen:
    """What `formula` makes is what ``@dataclass(frozen=True)`` would."""

    def test_fields_cannot_be_set_nor_deleted_nor_added(self) -> None:
        elu = gd.ELU(0.5)
        for change in (
            lambda: setattr(elu, "alpha", 1.0),
            lambda: setattr(elu, "other", 1.0),
            lambda: delattr(elu, "alpha"),
        ):
            with pytest.raises(dataclasses.FrozenInstanceError):
                change()
        assert elu == gd.ELU(0.5)
        assert vars(elu) == {"alpha": 0.5}

    def test_a_frozen_dataclass_and_a_plain_class_may_derive_from_it(self) -> None:
        @dataclasses.dataclass(frozen=True)
        class Named(gd.ELU):
            label: str = "x"

        class Marked(gd.ELU):
            def __init__(self) -> None:
                super().__init__(2.0)
                self.mark = 1
                self.mark = 2

        assert Named(0.5, "y") == Named(0.5, "y") != Named(0.5, "z")
        assert Marked().mark == 2
        assert Marked() == Marked()
        with pytest.raises(dataclasses.FrozenInstanceError):
            Marked().alpha = 1.0  # type: ignore[misc]

    def test_replace_copies_and_checks(self) -> None:
        assert dataclasses.replace(gd.ELU(0.5), alpha=0.25) == gd.ELU(0.25)
        with pytest.raises(ValueError, match="alpha must be at least 0, got -1"):
            dataclasses.replace(gd.ELU(0.5), alpha=-1)

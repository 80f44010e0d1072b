"""Groups of parameters: hyperparameters of their own, and freezing, beside PyTorch's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
from support import assert_same_state
from test_layers import INPUTS, STACKS, Twin, X, Y, network, targets

import gdcore as gd

RATE = 0.057  # which division and multiplication do not give back
DEEP: list[Any] = [
    gd.Dense(16, "relu"),
    gd.Residual([gd.LayerNorm(), gd.Dense(16, "tanh")]),
    gd.BatchNorm(),
    gd.Dense(3),
]


def deep(dtype: Any = "float64") -> gd.Network:
    return gd.Network(DEEP, input_size=INPUTS, dtype=dtype, seed=2)


def torch_groups(twin: Twin, groups: list[gd.Group], lr: float) -> list[dict[str, Any]]:
    """As torch.optim takes them: a group for each parameter that trains."""
    found = []
    for key, parameter in twin.module.named_parameters():
        options: dict[str, Any] = {"params": [parameter], "lr": lr}
        for group in groups:
            if not fnmatchcase(key, group.pattern):
                continue
            settings = group.settings
            if settings.pop("frozen", False):
                parameter.requires_grad_(False)
            options["lr"] *= settings.pop("lr_factor", 1.0)
            if "weight_decay_factor" in settings:
                options["weight_decay"] = 0.05 * settings.pop("weight_decay_factor")
            options |= settings
        if parameter.requires_grad:
            found.append(options)
    return found


class TestAgainstPyTorch:
    @pytest.mark.parametrize(
        "groups",
        [
            [
                gd.Group("*.bias", weight_decay=0.0),
                gd.Group("0.*", lr_factor=0.1),
                gd.Group("1.*.weight", weight_decay_factor=3.0, betas=(0.5, 0.99)),
            ],
            [gd.Group("1.*", frozen=True), gd.Group("*.bias", lr=0.1)],
            [gd.Group("[23].*", frozen=True), gd.Group("*.weight", eps=1e-3, amsgrad=True)],
            [gd.Group("0.weight", frozen=True), gd.Group("1.1.weight", frozen=True)],
        ],
        ids=["three", "middle", "last", "weights"],
    )
    def test_a_hundred_steps_agree(self, groups: list[gd.Group]) -> None:
        net = deep()
        twin = Twin(net)
        optim = twin.torch.optim
        parts = torch_groups(twin, groups, 1e-2)
        optimizer = optim.Adam(parts, lr=1e-2, weight_decay=0.05)
        scheduler = optim.lr_scheduler.StepLR(optimizer, 10, 0.8)
        schedule = gd.schedules.Step(10, gamma=0.8, per="step")
        adam = gd.Adam(lr=1e-2, weight_decay=0.05)
        trainer = gd.Trainer(net, "mse", adam, groups=groups, schedule=schedule, clip_grad_norm=0.1)
        x, y = twin.torch.tensor(X), twin.torch.tensor(targets(net))
        for _ in range(100):
            optimizer.zero_grad()
            loss = twin.torch.nn.functional.mse_loss(twin.module(x), y)
            loss.backward()
            twin.torch.nn.utils.clip_grad_norm_(twin.module.parameters(), 0.1)
            optimizer.step()
            scheduler.step()
            assert trainer.step(X, targets(net)) == pytest.approx(loss.item(), rel=1e-10)
        want = twin.module.state_dict()  # running averages too, of what is frozen as well
        for key, value in net.state_dict().items():
            np.testing.assert_allclose(value, want[key], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", STACKS)
def test_freezing_changes_no_bit_of_what_trains(name: str) -> None:
    """What does not train stays, and the rest is that of a run whose rate is 0 in its place."""
    keys = network(name)._native.parameter_names
    patterns = [keys[0], keys[-1], "*bias", "*.weight", *keys[1:2]]
    for pattern in [p for p in patterns if 0 < sum(fnmatchcase(k, p) for k in keys) < len(keys)]:
        found = []
        for threads, group in (
            (1, gd.Group(pattern, lr_factor=0.0)),
            (1, gd.Group(pattern, frozen=True)),
            (2, gd.Group(pattern, frozen=True)),
            (3, gd.Group(pattern, frozen=True)),
        ):
            net = network(name, "float32")
            trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2), num_threads=threads, groups=[group])
            trainer.fit(X, targets(net), epochs=2, batch_size=32, progress=False)
            found.append(net.state_dict())
        for other in found[1:]:
            assert_same_state(other, found[0])
        first = network(name, "float32").state_dict()
        for key in keys:
            assert fnmatchcase(key, pattern) <= np.array_equal(found[0][key], first[key])


@pytest.mark.parametrize("clip", [None, 1e-3])
@pytest.mark.parametrize("batch", [24, 300, 5000])
def test_threads_and_pieces_change_no_bit(batch: int, clip: float | None) -> None:
    """Shared by samples, with weights of their own, in pieces, and with whole gradients."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((5000, 12)), rng.standard_normal((5000, 3))
    groups = [
        gd.Group("1.*", frozen=True),
        gd.Group("*.bias", lr_factor=3.0),
        gd.Group("0.weight", weight_decay=0.1, betas=(0.5, 0.9)),
    ]
    found = []
    for threads in (1, 2, 3):
        layers = [gd.Dense(70, "relu"), gd.Dense(40, "gelu"), gd.Dense(60, "tanh"), gd.Dense(3)]
        net = gd.Network(layers, input_size=12, seed=1)
        options: Any = {"groups": groups, "num_threads": threads, "clip_grad_norm": clip}
        trainer = gd.Trainer(net, "mse", gd.AdamW(lr=1e-2), seed=4, **options)
        trainer.fit(x[: 4 * batch], y[: 4 * batch], epochs=2, batch_size=batch, progress=False)
        trainer.learn_one(x[0], y[0])
        found.append(net.state_dict())
    for other in found[1:]:
        assert_same_state(other, found[0])


def zones(trainer: gd.Trainer) -> list[str]:
    return [
        f"{each['zone']} {each['layer']}".strip()
        for each in trainer.operations(32)
        if each["phase"] == "backward"
    ]


class TestOperations:
    def layers(self) -> list[Any]:
        return [gd.Dense(8, "relu"), gd.LayerNorm(), gd.Dense(8, "relu"), gd.Dense(8), gd.Dense(3)]

    def trainer(self, *groups: gd.Group, layers: list[Any] | None = None) -> gd.Trainer:
        net = gd.Network(layers or self.layers(), input_size=INPUTS)
        return gd.Trainer(net, "mse", "adam", groups=groups)

    def test_all_but_the_last_layer_have_no_backward(self) -> None:
        trainer = self.trainer(gd.Group("[0123].*", frozen=True))
        assert zones(trainer) == ["weight_gradient 4", "bias_gradient 4"]
        whole = self.trainer()
        assert trainer.flops_per_step(32) < whole.flops_per_step(32) / 1.8
        assert trainer.memory_plan(32)["activations"] < whole.memory_plan(32)["activations"] / 1.5

    def test_a_frozen_layer_in_the_middle_passes_the_gradient_on(self) -> None:
        assert zones(self.trainer(gd.Group("[23].*", frozen=True))) == [
            *("input_gradient 4", "weight_gradient 4", "bias_gradient 4"),
            *("input_gradient 3", "input_gradient 2"),
            *("norm_backward 1", "bias_gradient 1", "bias_gradient 1"),
            *("activation_backward 0", "weight_gradient 0", "bias_gradient 0"),
        ]

    def test_one_parameter_costs_its_own_gradient_alone(self) -> None:
        only = self.trainer(gd.Group("*weight", frozen=True), gd.Group("[0134].bias", frozen=True))
        assert zones(only) == ["input_gradient 4", "input_gradient 3", "bias_gradient 2"]

    def test_what_two_layers_read_goes_where_it_is_wanted(self) -> None:
        block = [gd.Dense(8, "tanh"), gd.Dense(8)]
        layers = [gd.Dense(8), gd.Residual(block, shortcut=[gd.Dense(8)]), gd.Dense(3)]
        trainer = self.trainer(
            gd.Group("[02].*", frozen=True), gd.Group("1.[01].*", frozen=True), layers=layers
        )
        assert zones(trainer)[-2:] == ["weight_gradient 1.shortcut.0", "bias_gradient 1.shortcut.0"]
        assert len(zones(trainer)) <= 4

    def test_without_groups_nothing_is_left_out(self) -> None:
        assert zones(self.trainer())[-2:] == ["weight_gradient 0", "bias_gradient 0"]
        assert len(zones(self.trainer())) == len(zones(self.trainer(gd.Group("*", eps=1e-3))))


class TestRates:
    def biases(self, schedule: Any = None, **settings: Any) -> gd.Trainer:
        net = gd.Network([gd.Dense(3)], input_size=INPUTS, dtype="float64")
        groups = [gd.Group("*.bias", **settings)]
        return gd.Trainer(net, "mse", gd.SGD(lr=0.3), groups=groups, schedule=schedule)

    def moved(self, trainer: gd.Trainer) -> tuple[float, float]:
        """How far weight and bias go, in lengths of their gradients."""
        net = trainer.network
        before = net.state_dict()
        output = net.forward(X, training=True)
        net.backward(2 * (output - Y) / Y.size)
        gradients = net.gradients()
        trainer.step(X, Y)
        after = net.state_dict()
        rates = [
            float(np.mean((before[k] - after[k]) / gradients[k])) for k in ("0.weight", "0.bias")
        ]
        return pytest.approx(rates[0], rel=1e-9), pytest.approx(rates[1], rel=1e-9)

    def test_a_factor_goes_with_the_schedule(self) -> None:
        trainer = self.biases(gd.schedules.Exponential(0.5, per="step"), lr_factor=4.0)
        assert self.moved(trainer) == (0.3, 1.2)
        assert self.moved(trainer) == (0.15, 0.6)
        trainer.lr = 0.2
        assert self.moved(trainer) == (0.2, 0.8)

    def test_a_rate_moves_in_proportion(self) -> None:
        trainer = self.biases(gd.schedules.Exponential(0.5, per="step"), lr=0.1)
        assert self.moved(trainer) == (0.3, 0.1)
        assert self.moved(trainer) == (0.15, 0.05)
        trainer.lr = 0.6
        assert self.moved(trainer) == (0.6, 0.2)

    def test_a_rate_is_exact_where_the_optimizers_is_in_use(self) -> None:
        trainer, rate = self.biases(lr=RATE), RATE / 0.3 * 0.3
        assert rate != RATE
        trainer.step(X, Y)
        net = gd.Network([gd.Dense(3)], input_size=INPUTS, dtype="float64")
        gd.Trainer(net, "mse", gd.SGD(lr=RATE)).step(X, Y)
        want = net.state_dict()["0.bias"]
        np.testing.assert_array_equal(trainer.network.state_dict()["0.bias"], want)

    def test_a_rate_beyond_all_numbers_changes_nothing(self) -> None:
        trainer = self.biases(lr_factor=1e10)
        trainer.lr = 1e300
        before = trainer.network.state_dict()
        with pytest.raises(ValueError, match=r"rate of the group '\*\.bias' must be finite"):
            trainer.step(X, Y)
        assert_same_state(trainer.network.state_dict(), before)
        assert trainer.steps == 0


def test_gradients_from_outside_and_functions_see_groups() -> None:
    groups = [gd.Group("0.*", frozen=True), gd.Group("*bias", lr_factor=0.5)]
    rule = gd.SGD(lr=0.1, momentum=0.9)
    inside, outside, own = (deep() for _ in range(3))

    def squares(prediction: Any, target: Any) -> Any:
        return ((prediction - target) ** 2).mean(), 2 * (prediction - target) / target.size

    one = gd.Trainer(inside, "mse", rule, groups=groups, clip_grad_norm=0.01)
    two = gd.Trainer(outside, None, rule, groups=groups, clip_grad_norm=0.01)
    three = gd.Trainer(own, squares, rule, groups=groups, clip_grad_norm=0.01)
    for _ in range(3):
        one.step(X, Y)
        outside.backward(2 * (outside.forward(X, training=True) - Y) / Y.size)
        two.apply_gradients()
        three.step(X, Y)
    for other in (outside, own):
        for key, value in inside.state_dict().items():
            np.testing.assert_allclose(other.state_dict()[key], value, rtol=1e-12, atol=1e-14)


def test_an_epoch_that_diverges_goes_back() -> None:
    net = deep("float32")
    groups = [gd.Group("0.*", frozen=True), gd.Group("*bias", lr_factor=0.5)]
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e30, momentum=0.5), groups=groups)
    before = net.state_dict()
    with pytest.raises(FloatingPointError, match="learning rate"):
        trainer.fit(X, Y, epochs=1, batch_size=8, progress=False)
    assert_same_state(net.state_dict(), before)
    trainer.lr = 1e-3
    trainer.fit(X, Y, epochs=1, batch_size=8, progress=False)


def test_a_run_that_goes_on_from_a_file_has_the_same_bits(tmp_path: Path) -> None:
    groups = [
        gd.Group("0.*", frozen=True),
        gd.Group("*bias", weight_decay=0.0, lr=1e-3),
        gd.Group("*.weight", betas=(0.8, 0.99), amsgrad=True),
    ]
    schedule = gd.schedules.Cosine(9, per="step")
    trainer = gd.Trainer(deep(), "mse", gd.AdamW(lr=0.01), groups=groups, schedule=schedule)
    trainer.fit(X, Y, epochs=2, batch_size=16, progress=False)
    trainer.save(tmp_path / "run.safetensors")
    again = gd.Trainer.load(tmp_path / "run.safetensors")
    assert again.groups == trainer.groups == tuple(groups)
    assert repr(again) == repr(trainer)
    assert f"groups={groups}" in repr(trainer)
    for each in (trainer, again):
        each.fit(X, Y, epochs=1, batch_size=16, progress=False)
    assert_same_state(again.network.state_dict(), trainer.network.state_dict())
    other = gd.Trainer(deep(), "mse", gd.AdamW(lr=0.01))
    other.save(tmp_path / "plain.safetensors")
    assert "groups" not in gd.files.read_description(tmp_path / "plain.safetensors")
    assert gd.Trainer.load(tmp_path / "plain.safetensors").groups == ()


def test_arrays_of_ones_own_may_have_groups() -> None:
    rng = np.random.default_rng(1)
    start = [rng.standard_normal(shape) for shape in ((3, 2), (4,), (5,), (200_000,))]
    gradients = [rng.standard_normal(each.shape) for each in start]
    arrays = [each.copy() for each in start]
    groups = [gd.Group("[03]", lr_factor=2.0), gd.Group("1", frozen=True)]
    rule = gd.Adam(lr=0.1).bind(arrays, groups=groups)
    assert repr(rule).endswith(f"groups={groups})")
    gradients[1][0] = np.nan  # nobody looks
    for _ in range(3):
        rule.step(gradients)
    for index, lr in ((0, 0.2), (2, 0.1), (3, 0.2)):
        want = [start[index].copy()]
        alone = gd.Adam(lr=lr).bind(want)
        for _ in range(3):
            alone.step([gradients[index]])
        np.testing.assert_array_equal(arrays[index], want[0])
    np.testing.assert_array_equal(arrays[1], start[1])
    with pytest.raises(ValueError, match=r"gradients\[2\] must be finite"):
        rule.step([gradients[0], gradients[1], np.full(5, np.inf), gradients[3]])
    with pytest.raises(ValueError, match=r"groups\[0\] must match an array"):
        gd.Adam().bind(arrays, groups=[gd.Group("7", lr_factor=2.0)])


def test_a_group_is_a_value() -> None:
    group = gd.Group("*.bias", weight_decay=0.0, betas=[0.8, 0.9])
    assert repr(group) == "Group('*.bias', betas=(0.8, 0.9), weight_decay=0.0)"
    assert eval(repr(group), {"Group": gd.Group}) == group
    assert group == gd.Group("*.bias", betas=(0.8, 0.9), weight_decay=0.0)
    assert hash(group) == hash(copy.deepcopy(group))
    assert group != gd.Group("*.bias")
    assert group != "*.bias"
    assert pickle.loads(pickle.dumps(group)) == group
    assert (group.pattern, group.frozen) == ("*.bias", False)
    assert gd.Group("*", frozen=True).frozen
    for change in (lambda: setattr(group, "pattern", "*"), lambda: delattr(group, "_pattern")):
        with pytest.raises(AttributeError, match="a Group does not change"):
            change()


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("pattern", lambda: gd.Group(3), TypeError, "pattern must be a string, got int"),
    ("empty", lambda: gd.Group(""), ValueError, "pattern must not be empty"),
    ("factor", lambda: gd.Group("*", lr_factor=-1), ValueError, "lr_factor must be at least 0"),
    ("text", lambda: gd.Group("*", lr_factor="1"), TypeError, "lr_factor must be a real number"),
    ("lr", lambda: gd.Group("*", lr=-1.0), ValueError, "lr must be at least 0, got -1"),
    ("frozen", lambda: gd.Group("*", frozen=1), TypeError, "frozen must be True or False"),
    (
        "frozen and more",
        lambda: gd.Group("*", frozen=True, eps=1e-3),
        ValueError,
        "a frozen group must set nothing else, got eps",
    ),
    (
        "both",
        lambda: gd.Group("*", lr=1.0, lr_factor=2.0),
        ValueError,
        "lr and lr_factor must not be given together",
    ),
    (
        "NaN",
        lambda: gd.Group("*", eps_factor=float("nan")),
        ValueError,
        "eps_factor must be finite",
    ),
]
WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("no sequence", gd.Group("*"), TypeError, "groups must be a sequence of groups, got Group"),
    ("no group", [{"pattern": "*"}], TypeError, "groups[0] must be a gdcore.Group, got dict"),
    (
        "nothing",
        [gd.Group("*", eps=1.0), gd.Group("*.wieght", lr_factor=2.0)],
        ValueError,
        "groups[1] must match a parameter, got the pattern '*.wieght', and there are '0.weight'",
    ),
    (
        "state",
        [gd.Group("*.running_mean", frozen=True)],
        ValueError,
        "groups[0] must match a parameter",
    ),
    (
        "twice",
        [gd.Group("*.bias", lr_factor=2.0), gd.Group("0.*", lr=0.1)],
        ValueError,
        "groups[0] and groups[1] must not both set lr of '0.bias'",
    ),
    (
        "frozen twice",
        [gd.Group("*.bias", frozen=True), gd.Group("0.*", frozen=True)],
        ValueError,
        "must not both set frozen of '0.bias'",
    ),
    (
        "unknown",
        [gd.Group("*", momentun=0.9)],
        ValueError,
        "groups[0]: a hyperparameter of Adam must be one of lr, betas, eps, weight_decay, amsgrad, "
        "maximize, got 'momentun'",
    ),
    ("value", [gd.Group("*", eps=-1.0)], ValueError, "groups[0]: eps must be at least 0, got -1"),
    ("type", [gd.Group("*", betas=0.9)], TypeError, "groups[0]: betas must be a pair of numbers"),
    ("pair", [gd.Group("*", betas_factor=0.9)], ValueError, "betas of Adam has no factor"),
    ("flag", [gd.Group("*", amsgrad_factor=1.0)], ValueError, "amsgrad of Adam has no factor"),
    ("all", [gd.Group("*", frozen=True)], ValueError, "groups must leave a parameter to train"),
]


@pytest.mark.parametrize(("make", "error", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_groups_are_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as told:
        make()
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("groups", "error", "words"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG]
)
def test_groups_that_do_not_fit_are_refused(
    groups: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as told:
        gd.Trainer(deep(), "mse", "adam", groups=groups)
    assert words in str(told.value)


def test_a_rate_needs_one_to_be_in_proportion_to() -> None:
    with pytest.raises(ValueError, match=r"groups\[0\]: lr must be in proportion to"):
        gd.Trainer(deep(), "mse", gd.SGD(lr=0), groups=[gd.Group("*", lr=0.1)])


@pytest.mark.parametrize(
    "groups", [3, [3], [{"pattern": "*"}], [{"pattern": 3, "settings": {}}], [{"settings": {}}]]
)
def test_forged_groups_are_told(groups: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    gd.Trainer(deep(), "mse", "adam", groups=[gd.Group("*", eps=1e-3)]).save(path)
    arrays, description = models.unpacked(path)
    models.pack(path, arrays, {**description, "groups": groups})
    with pytest.raises(ValueError, match=r"is damaged or was forged: (the groups|a group)"):
        gd.Trainer.load(path)

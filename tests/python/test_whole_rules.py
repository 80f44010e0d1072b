"""Rules that need norms or matrices: against the oracle, however a step is shared, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from reference import whole_rules
from support import assert_same_state, relative_error
from whole_rule_options import WHOLE_CASES, WHOLE_IDS, WHOLE_OPTIONS

import gdcore as gd

SHAPES = [(7, 13), (7,), (1, 1), (2, 3, 5), (2000,), (), (70, 66)]
# Of others the first gradients leave eigenvectors open, and whoever computes them chooses.
SOAP_SHAPES = [(6, 6), (7,), (1, 1), (2, 5, 5), (), (40, 40)]
MATRICES = ("Adafactor", "Muon", "SOAP")


def drawn(name: str, seed: int, dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = SOAP_SHAPES if name == "SOAP" else SHAPES
    return {str(i): rng.standard_normal(shape).astype(dtype) for i, shape in enumerate(shapes)}


@pytest.mark.parametrize(("name", "options"), WHOLE_CASES, ids=WHOLE_IDS)
def test_bound_arrays(name: str, options: dict[str, Any]) -> None:
    weights = drawn(name, 0, "float64")
    expected = {key: value.copy() for key, value in weights.items()}
    reference = getattr(whole_rules, name)(**options)
    bound = getattr(gd, name)(**options).bind(list(weights.values()))
    for step in range(12):
        gradients = drawn(name, 100 + step, "float64")
        bound.step(list(gradients.values()))
        reference.step(expected, gradients)
        assert_same_state(gradients, drawn(name, 100 + step, "float64"))
    for key, value in weights.items():
        assert relative_error(value, expected[key]) <= 1e-10, key


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_float32_follows_float64(name: str) -> None:
    weights = {dtype: drawn(name, 0, dtype) for dtype in ("float32", "float64")}
    rule = getattr(gd, name)(**WHOLE_OPTIONS[name][0])
    bound = {dtype: rule.bind(list(each.values())) for dtype, each in weights.items()}
    for step in range(5):
        for dtype, each in bound.items():
            each.step(list(drawn(name, 100 + step, dtype).values()))
    for key, value in weights["float64"].items():
        assert relative_error(weights["float32"][key], value) <= 1e-4, key


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_a_trainer_moves_as_the_same_rule_on_arrays(name: str) -> None:
    """Matrices are taken as state_dict has them, to the bit; norms are summed as they lie."""
    net = nets.network([5, 70, 40, 3], ["tanh", "tanh", "identity"], "float64")
    rule = getattr(gd, name)(**WHOLE_OPTIONS[name][-1])
    trainer = gd.Trainer(net, loss=None, optimizer=rule)
    arrays = net.state_dict()
    bound = rule.bind(list(arrays.values()))
    for step in range(6):
        net.forward(nets.inputs(12, 5, step), training=True)
        net.backward(nets.inputs(12, 3, step + 50))
        bound.step(list(net.gradients().values()))
        trainer.apply_gradients()
        if name in MATRICES:
            assert_same_state(net.state_dict(), arrays)
    for key, value in net.state_dict().items():
        assert relative_error(arrays[key], value) <= 1e-12, key


GROUPS = {
    "LARS": {"weight_decay": 0.1, "trust_coefficient": 0.1},
    "LAMB": {"weight_decay": 0.1},
    "Prodigy": {"weight_decay": 0.1},
    "Adafactor": {"d": 2.0},
    "Muon": {"orthogonal": False},
    "SOAP": {"max_precondition_dim": 30},
}


def trained(
    name: str, threads: int, clip: float | None, rows: int, dtype: str = "float32"
) -> dict[str, np.ndarray]:
    """Two epochs by samples, by tiles, in pieces or clipped; with groups."""
    widths = [12, 70, 40, 4] if rows < 1000 else [12, 300, 290, 4]
    net = nets.network(widths, ["gelu", "relu", "identity"], dtype, seed=1)
    groups = [gd.Group("1.*", lr_factor=0.5, **GROUPS[name]), gd.Group("0.bias", frozen=True)]
    rule = getattr(gd, name)(**WHOLE_OPTIONS[name][0])
    trainer = gd.Trainer(
        net, "mse", rule, num_threads=threads, clip_grad_norm=clip, groups=groups, seed=2
    )
    x, y = nets.inputs(rows + 30, 12, 1).astype(dtype), nets.inputs(rows + 30, 4, 2).astype(dtype)
    frozen = net.state_dict()["0.bias"]
    before = net.state_dict()
    losses = trainer.fit(x, y, epochs=2, batch_size=rows, progress=False)["loss"]
    after = net.state_dict()
    assert np.array_equal(after["0.bias"], frozen)
    for key in after.keys() - {"0.bias"}:
        assert (after[key] != before[key]).any(), key
    return after | {"losses": np.array(losses)}


@pytest.mark.parametrize("rows", [40, 300, 2100])
@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_the_same_bits_however_a_step_is_shared(name: str, rows: int) -> None:
    clip = 0.5 if rows == 40 else None
    want = trained(name, 1, clip, rows)
    for threads in (2, 3, 5) if rows == 300 else (2,):
        assert_same_state(trained(name, threads, clip, rows), want)


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_a_group_is_a_rule_of_its_own(name: str) -> None:
    """What no group matches moves as if there were none; but for Prodigy, whose d is of all."""
    weights = [drawn(name, 0, "float64") for _ in range(3)]
    rule = getattr(gd, name)(**WHOLE_OPTIONS[name][0])
    group = gd.Group("0", **GROUPS[name])
    grouped = rule.bind(list(weights[0].values()), groups=[group, gd.Group("1", frozen=True)])
    plain = rule.bind(list(weights[1].values()))
    other = type(rule)(**{**WHOLE_OPTIONS[name][0], **GROUPS[name]}).bind(list(weights[2].values()))
    for step in range(4):
        gradients = list(drawn(name, 100 + step, "float64").values())
        for each in (grouped, plain, other):
            each.step(gradients)
    start = drawn(name, 0, "float64")
    assert np.array_equal(weights[0]["1"], start["1"])
    assert (weights[1]["1"] != start["1"]).any()
    if name == "Prodigy":
        assert (weights[0]["2"] != start["2"]).any()
        return
    for key in weights[0].keys() - {"0", "1"}:
        assert np.array_equal(weights[0][key], weights[1][key]), key
    assert np.array_equal(weights[0]["0"], weights[2]["0"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_a_saved_run_goes_on_to_the_same_bits(name: str, dtype: str, tmp_path: Path) -> None:
    def made() -> gd.Trainer:
        net = nets.network([6, 9, 3], ["tanh", "identity"], dtype, seed=3)
        return gd.Trainer(net, "mse", getattr(gd, name)(**WHOLE_OPTIONS[name][0]), seed=4)

    x, y = nets.inputs(50, 6).astype(dtype), nets.inputs(50, 3, 1).astype(dtype)
    whole, part = made(), made()
    whole.fit(x, y, epochs=6, batch_size=16, progress=False)
    part.fit(x, y, epochs=3, batch_size=16, progress=False)
    part.save(tmp_path / "half")
    resumed = gd.Trainer.load(tmp_path / "half")
    resumed.fit(x, y, epochs=3, batch_size=16, progress=False)
    assert_same_state(resumed.network.state_dict(), whole.network.state_dict())
    resumed.save(tmp_path / "a")
    whole.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_an_epoch_that_diverges_goes_back_to_its_beginning(name: str) -> None:
    def made() -> gd.Trainer:
        net = nets.network([6, 9, 3], ["tanh", "identity"], "float64", seed=3)
        return gd.Trainer(net, "mse", getattr(gd, name)(**WHOLE_OPTIONS[name][0]))

    x, y = nets.inputs(50, 6), nets.inputs(50, 3, 1)
    fallen, twin = made(), made()
    for each in (fallen, twin):
        each.fit(x, y, epochs=2, batch_size=16, progress=False)
    far = np.where(np.arange(50)[:, None] < 40, y, 1e200)  # after some steps
    with pytest.raises(FloatingPointError, match="back where the epoch began"):
        fallen.fit(x, far, epochs=1, batch_size=16, progress=False)
    for each in (fallen, twin):
        each.fit(x, y, epochs=1, batch_size=16, progress=False)
    assert_same_state(fallen.network.state_dict(), twin.network.state_dict())


def test_a_vector_with_an_eigenbasis_is_a_matrix_of_one_row() -> None:
    vector, row = np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)[None]
    bound = [gd.SOAP(precondition_1d=True, lr=0.1).bind([each]) for each in (vector, row)]
    for step in range(25):
        gradient = np.random.default_rng(step).standard_normal(9)
        bound[0].step([gradient])
        bound[1].step([gradient[None]])
    assert relative_error(vector, row[0]) <= 1e-10
    plain = np.linspace(-1, 1, 9)
    gd.SOAP(lr=0.1).bind([plain]).step([np.ones(9)])
    assert np.array_equal(plain, np.linspace(-1, 1, 9))  # the first step changes nothing


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_gradients_of_zero_leave_finite_weights(name: str) -> None:
    weights = [np.zeros((5, 4)), np.zeros(4), np.ones((3, 3))]
    bound = getattr(gd, name)().bind(weights)
    for _ in range(12):
        bound.step([np.zeros_like(each) for each in weights])
    assert all(np.isfinite(each).all() for each in weights)


def test_the_memory_of_a_rule_is_told() -> None:
    net = gd.Network([gd.Dense(40, "relu"), gd.Dense(20)], input_size=30, dtype="float64")
    plans = {
        name: gd.Trainer(net, "mse", getattr(gd, name)(), num_threads=1).memory_plan(16)
        for name in ("SGD", "Adam", "Adafactor", "Muon", "SOAP")
    }
    flat = plans["SGD"]["parameters"]
    assert plans["Adafactor"]["optimizer_state"] < 0.2 * flat
    assert flat <= plans["Muon"]["optimizer_state"] <= 1.2 * flat
    assert plans["SOAP"]["optimizer_state"] >= 8 * 2 * (30**2 + 2 * 40**2 + 20**2) + 2 * flat
    for name in ("Adafactor", "Muon", "SOAP"):
        assert plans[name]["packing"] > plans["Adam"]["packing"], name
        assert plans[name]["snapshot"] == flat + plans[name]["optimizer_state"]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("LARS", {"lr": -1.0}, "lr must be at least 0"),
    ("LARS", {"momentum": -0.1}, "momentum must be at least 0"),
    ("LARS", {"weight_decay": -1e-3}, "weight_decay must be at least 0"),
    ("LARS", {"trust_coefficient": -1.0}, "trust_coefficient must be at least 0"),
    ("LARS", {"nesterov": True, "momentum": 0.0}, "nesterov needs momentum above 0"),
    ("LAMB", {"betas": (0.9, 1.0)}, r"betas\[1\] must be at least 0 and below 1"),
    ("LAMB", {"eps": -1e-8}, "eps must be at least 0"),
    ("LAMB", {"weight_decay": float("nan")}, "weight_decay must be finite"),
    ("Prodigy", {"d0": 0.0}, "d0 must be above 0"),
    ("Prodigy", {"d_coef": 0.0}, "d_coef must be above 0"),
    ("Prodigy", {"growth_rate": 0.9}, "growth_rate must be at least 1"),
    ("Prodigy", {"beta3": 1.5}, "beta3 must be at least 0 and at most 1"),
    ("Prodigy", {"eps": 0.0}, "eps must be above 0"),
    ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay must be at most 0"),
    ("Adafactor", {"eps": (-1.0, 1e-3)}, r"eps\[0\] must be at least 0"),
    ("Adafactor", {"eps": (None, -1.0)}, r"eps\[1\] must be at least 0"),
    ("Adafactor", {"d": 0.5}, "d must be at least 1"),
    ("Muon", {"momentum": 1.0}, "momentum must be at least 0 and below 1"),
    ("Muon", {"eps": 0.0}, "eps must be above 0"),
    ("Muon", {"ns_steps": 100}, "ns_steps must be at most 99"),
    ("Muon", {"ns_steps": 0}, "ns_steps must be at least 1"),
    ("Muon", {"ns_coefficients": (1.0, float("inf"), 0.0)}, r"ns_coefficients\[1\] must be finite"),
    ("Muon", {"adjust_lr_fn": "match_rms"}, "did you mean 'match_rms_adamw'"),
    ("Muon", {"adamw_betas": (-0.1, 0.9)}, r"adamw_betas\[0\] must be at least 0"),
    ("Muon", {"adamw_lr_factor": -1.0}, "adamw_lr_factor must be at least 0"),
    ("SOAP", {"shampoo_beta": 1.0}, "shampoo_beta must be at least 0 and below 1"),
    ("SOAP", {"precondition_frequency": 0}, "precondition_frequency must be at least 1"),
    ("SOAP", {"max_precondition_dim": 0}, "max_precondition_dim must be at least 1"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_hyperparameters_out_of_range_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(gd, name)(**options)


WRONG_TYPES: list[tuple[str, dict[str, Any]]] = [
    ("LARS", {"nesterov": 1}),
    ("LAMB", {"betas": 0.9}),
    ("Prodigy", {"growth_rate": "fast"}),
    ("Prodigy", {"decouple": None}),
    ("Adafactor", {"eps": 1e-3}),
    ("Adafactor", {"eps": (1e-3, None)}),
    ("Muon", {"ns_steps": 5.0}),
    ("Muon", {"ns_coefficients": (1.0, 2.0)}),
    ("Muon", {"adjust_lr_fn": 1}),
    ("SOAP", {"precondition_frequency": True}),
    ("SOAP", {"shampoo_beta": "beta2"}),
]


@pytest.mark.parametrize(("name", "options"), WRONG_TYPES)
def test_hyperparameters_of_another_type_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        getattr(gd, name)(**options)


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_what_is_sparse_has_no_such_rule(name: str) -> None:
    codes = gd.Input(categories=(50,), name="codes")
    out = gd.Dense(1)(gd.Embedding(4, sparse=True)(codes))
    net = gd.Network(inputs=[codes], outputs=out)
    with pytest.raises(ValueError, match=f"'{name.lower()}' needs whole parameters"):
        gd.Trainer(net, "mse", getattr(gd, name)())


@pytest.mark.parametrize("name", WHOLE_OPTIONS)
def test_maximize_is_the_rule_with_the_gradient_turned_round(name: str) -> None:
    up, down = (list(drawn(name, 0, "float32").values()) for _ in range(2))
    options = WHOLE_OPTIONS[name][-1]
    rising = getattr(gd, name)(**options, maximize=True).bind(up)
    falling = getattr(gd, name)(**options).bind(down)
    for step in range(4):
        gradients = list(drawn(name, 100 + step, "float32").values())
        rising.step(gradients)
        falling.step([-each for each in gradients])
    for ours, theirs in zip(up, down, strict=True):
        assert np.array_equal(ours, theirs)

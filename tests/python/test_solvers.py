"""L-BFGS and Levenberg-Marquardt: against PyTorch and SciPy, their bits, and what they refuse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from benchmarks import second_order
from support import assert_same_state, run_json

import gdcore as gd
from gdcore import _core
from gdcore.optimizers import Optimizer
from gdcore.solvers import Solver

THREADS = (1, 2, 3, 5)


def curve(samples: int = 60, inputs: int = 1, outputs: int = 1, seed: int = 0) -> tuple[Any, Any]:
    """A smooth function of numbers within [-1, 1], with a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, inputs))
    phases = x @ rng.normal(size=(inputs, outputs)) * 2
    return x, np.sin(phases) + 0.05 * rng.normal(size=(samples, outputs))


def network(*sizes: int, dtype: str = "float64", seed: int = 0) -> gd.Network:
    activations = ["tanh"] * (len(sizes) - 2) + ["identity"]
    return nets.network(list(sizes), activations, dtype, seed=seed)


def fitted(
    net: gd.Network, optimizer: Solver, x: Any, y: Any, epochs: int, loss: str = "mse", **more: Any
) -> gd.Trainer:
    options = {key: more.pop(key) for key in ("num_threads", "groups") if key in more}
    trainer = gd.Trainer(net, loss, optimizer, **options)
    trainer.fit(x, y, epochs=epochs, batch_size=None, progress=False, **more)
    return trainer


def flat(state: dict[str, Any]) -> Any:
    return np.concatenate([value.ravel() for value in state.values()])


# ---- against others ----


def test_both_sides_know_the_same_solvers() -> None:
    assert {name: list(each) for name, each in _core.solvers().items()} == {
        "lbfgs": [
            *("lr", "history_size", "max_iter", "line_search", "tolerance_grad"),
            *("tolerance_change", "weight_decay"),
        ],
        "levenberg_marquardt": [
            *("lr", "mu", "mu_dec", "mu_inc", "mu_max", "min_grad", "weight_decay", "solver"),
        ],
    }
    assert sorted(_core.solvers()) == sorted(Solver.members)
    for name, member in Solver.members.items():
        assert name not in Optimizer.members
        assert Optimizer.resolve("optimizer", name) == member()
        assert len(member().parameters()) == len(_core.solvers()[name])


@pytest.mark.parametrize("search", ["strong_wolfe", None])
@pytest.mark.parametrize(
    ("sizes", "loss", "decay"),
    [((1, 10, 1), "mse", 0.1), ((8, 10, 1), "huber", 0.03), ((3, 6, 5, 2), "cross_entropy", 0.03)],
)
def test_steps_are_those_of_pytorch(
    sizes: tuple[int, ...], loss: str, decay: float, search: str | None
) -> None:
    """Losses for 100 iterations, weights until what rounding does has grown too large.

    Each iteration makes more of it; a penalty, which leads to a minimum, keeps it in bounds.
    """
    torch = pytest.importorskip("torch")
    x, y = curve(80, sizes[0], sizes[-1])
    if loss == "cross_entropy":
        y = y.argmax(axis=1)
    net = network(*sizes)
    options: dict[str, Any] = {"lr": 1.0 if search else 0.1, "history_size": 7}
    options |= {"tolerance_grad": 0.0, "tolerance_change": 0.0}

    layers = []
    for k, (a, b) in enumerate(pairwise(sizes)):
        layers += [torch.nn.Linear(a, b, dtype=torch.float64), torch.nn.Tanh()]
        for key in ("weight", "bias"):
            values = torch.from_numpy(net.state_dict()[f"{k}.{key}"])
            getattr(layers[-2], key).data.copy_(values)
    twin = torch.nn.Sequential(*layers[:-1])
    judge = {
        "mse": torch.nn.MSELoss(),
        "huber": torch.nn.HuberLoss(),
        "cross_entropy": torch.nn.CrossEntropyLoss(),
    }[loss]
    theirs = torch.optim.LBFGS(
        twin.parameters(),
        max_iter=1,
        max_eval=26,  # of these 25 in a line search
        line_search_fn=search,
        **options,
    )
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def closure() -> Any:
        theirs.zero_grad()
        penalty = sum((each**2).sum() for each in twin.parameters())
        value = judge(twin(inputs), targets) + decay / 2 * penalty
        value.backward()
        return value

    trainer = gd.Trainer(net, loss, gd.LBFGS(line_search=search, weight_decay=decay, **options))
    for epoch in range(100):
        penalty = decay / 2 * float((flat(net.state_dict()) ** 2).sum())
        expected = theirs.step(closure).item()
        found = trainer.fit(x, y, epochs=1, batch_size=None, progress=False)["loss"][0]
        assert abs(found + penalty - expected) <= 1e-8, epoch
        if epoch < 20:
            peer = np.concatenate([p.detach().numpy().ravel() for p in twin.parameters()])
            assert np.abs(flat(net.state_dict()) - peer).max() <= 1e-8, epoch


@pytest.mark.parametrize("case", list(second_order.CASES)[:4])
def test_penalized_fits_end_where_scipy_does(case: str) -> None:
    """The same minimum of 1-10-1 and 8-10-1 networks, from the same weights."""
    pytest.importorskip("scipy.optimize")
    ours, theirs = (run() for run in second_order.CASES[case]().values())
    assert abs(ours.loss - theirs.loss) <= 1e-8


def test_levenberg_marquardt_is_quick_where_residuals_vanish() -> None:
    """Near a minimum of 0 its steps are Newton's: digits double."""
    x, _ = curve(60, 2)
    teacher = network(2, 3, 1, seed=5)
    teacher.load_state_dict({key: 3 * value for key, value in teacher.state_dict().items()})
    net = network(2, 3, 1, seed=5)
    for solver in ("cholesky", "cg"):
        net.load_state_dict(
            {key: 2.5 * value for key, value in network(2, 3, 1, seed=5).state_dict().items()}
        )
        optimizer = gd.LevenbergMarquardt(min_grad=1e-12, solver=solver)
        trainer = fitted(net, optimizer, x, teacher.predict(x), 30)
        assert trainer.converged == "min_grad"
        assert trainer.evaluate(x, teacher.predict(x))["loss"] < 1e-24


def test_a_weight_counts_as_often_as_a_sample() -> None:
    x, y = curve(30, 2)
    weights = np.arange(30) % 3.0
    repeated = np.repeat(np.arange(30), weights.astype(int))
    for optimizer in (gd.LBFGS(), gd.LevenbergMarquardt()):
        one, other = network(2, 4, 1), network(2, 4, 1)
        fitted(one, optimizer, x, y, 3, sample_weight=weights)
        fitted(other, optimizer, x[repeated], y[repeated], 3)
        difference = flat(one.state_dict()) - flat(other.state_dict())
        assert np.abs(difference).max() <= 1e-9


def test_the_two_ways_to_a_step_of_levenberg_marquardt_agree() -> None:
    x, y = curve(50, 3, 2)
    ways = {solver: network(3, 5, 2) for solver in ("cholesky", "cg")}
    for solver, net in ways.items():
        fitted(net, gd.LevenbergMarquardt(mu=0.1, solver=solver), x, y, 4)
    one, other = (flat(net.state_dict()) for net in ways.values())
    assert np.abs(one - other).max() <= 1e-8


def test_layers_of_any_kind_are_trained() -> None:
    """Their derivatives by each residual come from the layers' own backward passes."""
    x, y = curve(40, 3)
    layers = [gd.Dense(6, "tanh"), gd.Residual([gd.LayerNorm(), gd.Dense(6, "silu")]), gd.Dense(1)]
    for optimizer in (gd.LBFGS(), gd.LevenbergMarquardt()):
        net = gd.Network(layers, input_size=3, dtype="float64", seed=1)
        trainer = gd.Trainer(net, "mse", optimizer)
        history = trainer.fit(x, y, epochs=25, batch_size=None, progress=False)
        assert (np.diff(history["loss"]) < 0).all()
        assert history["loss"][-1] < 0.1 * history["loss"][0]


def test_outputs_with_names_and_float32() -> None:
    x, y = curve(64, 3, 2)
    given = gd.Input(3, name="x")
    body = gd.Dense(8, "tanh")(given)
    outputs = {"size": gd.Dense(1)(body), "kind": gd.Dense(2)(body)}
    net = gd.Network(inputs=[given], outputs=outputs, seed=0)
    losses = {"size": "mse", "kind": "cross_entropy"}
    trainer = gd.Trainer(net, losses, "lbfgs", loss_weights={"size": 0.5})
    targets = {"size": y[:, :1], "kind": (y[:, 1] > 0).astype(int)}
    history = trainer.fit(x, targets, epochs=20, batch_size=None, progress=False)
    total = 0.5 * np.array(history["size_loss"]) + np.array(history["kind_loss"])
    np.testing.assert_allclose(history["loss"], total, rtol=1e-12)
    assert history["loss"][-1] < history["loss"][0] - 0.1


# ---- groups, endings, files ----


def test_what_is_frozen_stays_and_groups_decay_by_themselves() -> None:
    x, y = curve(40, 2)
    groups = [gd.Group("0.*", frozen=True), gd.Group("1.bias", weight_decay=0.0)]
    for optimizer in (
        gd.LBFGS(weight_decay=1.0, tolerance_change=1e-14),
        gd.LevenbergMarquardt(weight_decay=1.0),
    ):
        net = network(2, 5, 1)
        before = net.state_dict()
        trainer = fitted(net, optimizer, x, y + 3, 200, groups=groups)
        after = net.state_dict()
        for key in ("0.weight", "0.bias"):
            assert_same_state({key: before[key]}, {key: after[key]})
        # The bias carries the mean, which a decay of it would pull to a third.
        residual = net.predict(x) - y - 3
        assert abs(residual.mean()) <= 1e-6
        assert np.abs(after["1.weight"]).max() < np.abs(before["1.weight"]).max()
        assert trainer.converged is not None


@pytest.mark.parametrize(
    ("optimizer", "ending"),
    [
        (gd.LBFGS(tolerance_grad=1e-3), "tolerance_grad"),
        (gd.LBFGS(tolerance_change=1e-4, tolerance_grad=0.0), "tolerance_change"),
        (gd.LBFGS(line_search=None, lr=0.1, tolerance_grad=1e-2), "tolerance_grad"),
        (gd.LevenbergMarquardt(min_grad=1e-3), "min_grad"),
        (gd.LevenbergMarquardt(mu=1e9, mu_max=1e9, min_grad=0.0), "mu_max"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_fit_ends_where_it_has_converged(optimizer: Solver, ending: str) -> None:
    x, y = curve(40)
    trainer = gd.Trainer(network(1, 4, 1), "mse", optimizer)
    assert trainer.converged is None
    history = trainer.fit(x, y, epochs=2000, batch_size=None, progress=False)
    assert trainer.converged == ending
    assert len(history["loss"]) == trainer.epochs < 2000
    epochs, state = trainer.epochs, trainer.network.state_dict()
    again = trainer.fit(x, y, epochs=5, batch_size=None, progress=False)
    assert len(again["loss"]) < 5
    assert trainer.epochs == epochs + len(again["loss"])
    if ending in ("tolerance_grad", "min_grad", "mu_max"):
        assert_same_state(trainer.network.state_dict(), state)


SOLVERS = {
    "lbfgs": lambda: gd.LBFGS(history_size=3),
    "lbfgs at a rate": lambda: gd.LBFGS(lr=0.1, history_size=3, line_search=None),
    "lbfgs in two": lambda: gd.LBFGS(history_size=3, max_iter=2),
    "lm": lambda: gd.LevenbergMarquardt(),
    "lm by cg": lambda: gd.LevenbergMarquardt(mu=10.0, solver="cg"),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_run_that_was_saved_goes_on_with_the_same_bits(name: str, tmp_path: Path) -> None:
    x, y = curve(50, 2)
    whole = fitted(network(2, 6, 1), SOLVERS[name](), x, y, 12)
    part = fitted(network(2, 6, 1), SOLVERS[name](), x, y, 7)
    part.save(tmp_path / "run.safetensors")
    loaded = gd.Trainer.load(tmp_path / "run.safetensors")
    assert loaded.optimizer == SOLVERS[name]()
    loaded.fit(x, y, until_epoch=12, batch_size=None, progress=False)
    assert_same_state(loaded.network.state_dict(), whole.network.state_dict())
    assert (loaded.steps, loaded.epochs) == (whole.steps, whole.epochs)
    loaded.save(tmp_path / "one.safetensors")
    loaded.save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SOLVERS)
def test_any_number_of_threads_gives_the_same_bits(name: str, dtype: str) -> None:
    if dtype == "float32" and name.startswith("lm"):
        pytest.skip("refused")
    x, y = curve(300, 4, 2)
    states = []
    for threads in THREADS:
        net = network(4, 20, 10, 2, dtype=dtype)
        fitted(net, SOLVERS[name](), x, y, 3, num_threads=threads)
        states.append(net.state_dict())
    for state in states[1:]:
        assert_same_state(state, states[0])


SCRIPT = """
import hashlib, json, numpy as np, gdcore as gd
x = np.linspace(-1, 1, 300).reshape(-1, 3)
y = np.stack([x[:, 0] * x[:, 1], x.sum(1) ** 2], 1)
told = {}
for dtype in ("float32", "float64"):
    for optimizer in ("lbfgs", "levenberg_marquardt"):
        if (dtype, optimizer) == ("float32", "levenberg_marquardt"):
            continue
        net = gd.Network([gd.Dense(70, "tanh"), gd.Dense(2)], input_size=3, dtype=dtype, seed=0)
        gd.Trainer(net, "mse", optimizer).fit(x, y, epochs=5, batch_size=None, progress=False)
        state = b"".join(each.tobytes() for each in net.state_dict().values())
        told[dtype + optimizer] = hashlib.sha256(state).hexdigest()
print(json.dumps({"isa": gd.show_config()["isa"], "digests": told}))
"""


def test_any_instruction_set_gives_the_same_bits() -> None:
    told = [
        run_json(SCRIPT, env={"GDCORE_MAX_ISA": isa})
        for isa in ("scalar", "avx2", "avx512", "neon")
        if isa in gd.show_config()["isa_available"]
    ]
    for each in told[1:]:
        assert each["isa"] != told[0]["isa"]
        assert each["digests"] == told[0]["digests"]


def test_epochs_go_on_from_what_the_last_one_knows() -> None:
    """Other data, other weights and other trainers between two epochs are seen."""
    x, y = curve(40, 2)
    for change in ("none", "data", "weights", "trainer"):
        nets_ = [network(2, 5, 1) for _ in range(2)]
        for net, cuts in zip(nets_, (1, 6), strict=True):
            trainer = gd.Trainer(net, "mse", gd.LBFGS())
            own = x.copy()
            for part in range(cuts):
                trainer.fit(own, y, epochs=6 // cuts, batch_size=None, progress=False)
                if cuts == 6 and part == 2:
                    if change == "data":
                        own[:] = x[::-1]
                    elif change == "weights":
                        state = net.state_dict()
                        net.load_state_dict({key: value + 0.1 for key, value in state.items()})
                    elif change == "trainer":
                        gd.Trainer(net, "mse", "sgd").step(x, y)
        same = np.array_equal(*(flat(net.state_dict()) for net in nets_))
        assert same == (change == "none"), change


def test_memory_is_told() -> None:
    net = network(4, 30, 1)
    plans = {
        size: gd.Trainer(net, "mse", gd.LBFGS(history_size=size)).memory_plan(None, 100)
        for size in (5, 10)
    }
    grown = plans[10]["optimizer_state"] - plans[5]["optimizer_state"]
    flat_bytes = gd.Trainer(net, "mse", "sgd", num_threads=1).memory_plan(None, 100)["gradients"]
    assert grown == 5 * 2 * flat_bytes
    dense = gd.Trainer(net, "mse", gd.LevenbergMarquardt()).memory_plan(None, 100)
    count = net.num_parameters
    assert dense["optimizer_state"] >= 2 * 8 * count**2
    assert dense["total"] == sum(value for key, value in dense.items() if key != "total")


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    x, y = curve(20, 2)
    for optimizer in (gd.LBFGS(), gd.LevenbergMarquardt()):
        net = network(2, 4, 1)
        trainer = fitted(net, optimizer, x, y, 2)
        state, steps = net.state_dict(), trainer.steps
        with pytest.raises(
            FloatingPointError, match=r"the loss became infinite in epoch 3 .*Scale"
        ):
            trainer.fit(x, y * 1e200, epochs=1, batch_size=None, progress=False)
        assert_same_state(net.state_dict(), state)
        assert (trainer.steps, trainer.epochs) == (steps, 2)
        trainer.fit(x, y, epochs=1, batch_size=None, progress=False)


# ---- what is refused ----

BAD = [
    (gd.LBFGS, {"lr": -1.0}, ValueError, "lr must be finite and at least 0|lr must be at least 0"),
    (gd.LBFGS, {"history_size": 0}, ValueError, "history_size must be at least 1, got 0"),
    (gd.LBFGS, {"history_size": 2.0}, TypeError, "history_size must be an integer"),
    (gd.LBFGS, {"max_iter": 0}, ValueError, "max_iter must be at least 1, got 0"),
    (gd.LBFGS, {"line_search": "armijo"}, ValueError, "line_search must be 'strong_wolfe'"),
    (gd.LBFGS, {"line_search": 1}, TypeError, "line_search must be one of strong_wolfe, got 1"),
    (gd.LBFGS, {"tolerance_grad": -1}, ValueError, "tolerance_grad must be at least 0, got -1"),
    (gd.LBFGS, {"tolerance_change": "a"}, TypeError, "tolerance_change must be a real number"),
    (gd.LBFGS, {"weight_decay": float("nan")}, ValueError, "weight_decay must be finite"),
    (gd.LevenbergMarquardt, {"mu": 0}, ValueError, "mu must be above 0, got 0"),
    (gd.LevenbergMarquardt, {"mu_dec": 1}, ValueError, "mu_dec must be above 0 and below 1"),
    (gd.LevenbergMarquardt, {"mu_inc": 1}, ValueError, "mu_inc must be above 1, got 1"),
    (gd.LevenbergMarquardt, {"mu_max": 1e-4}, ValueError, "mu must be at most mu_max, got 0.001"),
    (gd.LevenbergMarquardt, {"min_grad": -1}, ValueError, "min_grad must be at least 0, got -1"),
    (gd.LevenbergMarquardt, {"solver": "qr"}, ValueError, "solver must be one of auto, cholesky"),
]


@pytest.mark.parametrize(("kind", "options", "error", "words"), BAD)
def test_hyperparameters_out_of_range_are_refused(
    kind: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        kind(**options)


@pytest.mark.parametrize("name", ["lbfgs", "levenberg_marquardt"])
def test_steps_and_batches_are_refused_and_change_nothing(
    name: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = curve(20, 2)
    net = network(2, 3, 1)
    trainer = gd.Trainer(net, "mse", name)
    before = net.state_dict()
    words = r"takes all samples at every step .*fit\(x, y, batch_size=None\)"
    with pytest.raises(RuntimeError, match=words):
        trainer.step(x, y)
    with pytest.raises(RuntimeError, match=words):
        trainer.learn_one(x[0], y[0])
    with pytest.raises(RuntimeError, match=words):
        trainer.learn_many(x, y)
    net.forward(x, training=True)
    net.backward(np.ones((20, 1)))
    with pytest.raises(RuntimeError, match=words):
        trainer.apply_gradients()
    with pytest.raises(
        ValueError, match=r"batch_size must be None .*all 20 samples at once, got 8"
    ):
        trainer.fit(x, y, epochs=1, batch_size=8)
    assert capsys.readouterr().err == ""  # before a bar has begun
    with pytest.raises(TypeError, match="cannot be bound to arrays"):
        Optimizer.resolve("optimizer", name).bind([np.zeros(3)])
    assert_same_state(net.state_dict(), before)
    assert (trainer.steps, trainer.epochs) == (0, 0)
    trainer.fit(x, y, epochs=1, batch_size=20, progress=False)


def test_networks_and_losses_that_do_not_fit_are_refused() -> None:
    def refused(words: str, layers: Any, optimizer: Any = "lbfgs", loss: Any = "mse", **more: Any):
        options = {"dtype": "float64"} | more.pop("network", {})
        net = gd.Network(layers, input_size=3, seed=0, **options)
        with pytest.raises(ValueError, match=words):
            gd.Trainer(net, loss, optimizer, **more)

    dense = [gd.Dense(4, "tanh"), gd.Dense(1)]
    lm = "levenberg_marquardt"
    refused("layer '1' of kind 'dropout' draws at random", [gd.Dense(4), gd.Dropout(0.5)])
    refused("layer '1' of kind 'batch_norm' keeps averages", [gd.Dense(4), gd.BatchNorm()])
    refused("clip_grad_norm must be None with optimizer 'lbfgs'", dense, clip_grad_norm=1.0)
    refused("'lbfgs' needs a compiled loss", dense, loss=None)
    refused("'lbfgs' needs a compiled loss", dense, loss=lambda p, t: (0.0, p))
    refused("a loss that is a sum of squares, 'mse' .*, got 'huber'", dense, lm, "huber")
    refused("a network of float64, got float32", dense, lm, network={"dtype": "float32"})
    refused("schedule must be None with LevenbergMarquardt", dense, lm, schedule="cosine")
    refused(
        "groups must set no more than weight_decay and frozen with 'lbfgs', got history_size",
        dense,
        groups=[gd.Group("0.*", history_size=3)],
    )
    refused("groups must not set lr with 'lbfgs'", dense, groups=[gd.Group("0.*", lr_factor=0.1)])
    refused(
        r"would take .* bytes, more than this machine has: give a smaller history_size",
        dense,
        gd.LBFGS(history_size=2**31 - 1),
    )
    refused(
        r"LevenbergMarquardt of \d+ weights would take .* bytes, .*: give solver='cg'",
        [gd.Dense(100_000), gd.Dense(1)],
        gd.LevenbergMarquardt(solver="cholesky"),
    )
    trainer = gd.Trainer(network(2, 3, 1), "mse", lm)
    with pytest.raises(ValueError, match="lr cannot be set"):
        trainer.lr = 0.5


def test_a_file_with_numbers_that_are_not_its_own_is_refused(tmp_path: Path) -> None:
    from gdcore import files

    x, y = curve(20, 2)
    trainer = fitted(network(2, 3, 1), gd.LBFGS(history_size=2), x, y, 3)
    trainer.save(tmp_path / "run.safetensors")
    with files.opened(tmp_path / "run.safetensors") as stored:
        description = stored.description()
        arrays = {key: array.read() for key, array in stored.arrays.items()}
    for numbers in ([], [1.0], [1.0, 9.0, 0.0, 1.0, 1.0, 1.0], ["a"], None):
        description["position"]["kept"] = numbers
        files.write(tmp_path / "forged.safetensors", arrays, description)
        with pytest.raises(ValueError, match=r"damaged or was forged"):
            gd.Trainer.load(tmp_path / "forged.safetensors")


def test_evaluations_are_counted() -> None:
    torch = pytest.importorskip("torch")
    x, y = curve(40, 2)
    net = network(2, 5, 1)
    module = torch.nn.Sequential(
        torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    ).double()
    state = dict(zip(module.state_dict(), net.state_dict().values(), strict=True))
    module.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    optimizer = torch.optim.LBFGS(
        module.parameters(), lr=1.0, max_iter=6, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        optimizer.zero_grad()
        outputs = module(torch.from_numpy(x))
        loss = torch.nn.functional.mse_loss(outputs, torch.from_numpy(y))
        loss.backward()
        return loss

    optimizer.step(closure)
    trainer = fitted(net, gd.LBFGS(max_iter=6), x, y, 1)
    theirs = next(iter(optimizer.state.values()))["func_evals"]
    assert trainer.evaluations == {"losses": 0, "gradients": theirs, "jacobians": 0}
    squares = fitted(network(2, 5, 1), gd.LevenbergMarquardt(), x, y, 4)
    found = squares.evaluations
    assert found["gradients"] == 0
    assert 4 <= found["jacobians"] <= found["losses"] + 1
    assert not any(gd.Trainer(net, "mse", "adam").evaluations.values())

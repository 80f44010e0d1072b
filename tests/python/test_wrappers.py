"""Optimizers around another, and averages of the weights."""

from __future__ import annotations

import copy
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd

NETWORKS: dict[str, tuple[list[Any], int]] = {
    "tanh": ([gd.Dense(9), "tanh", gd.Dense(3)], 5),
    "deep": ([gd.Dense(40), "relu", gd.Dense(8), "silu", gd.Dense(2)], 7),
    "norm": ([gd.Dense(8), gd.LayerNorm(), "tanh", gd.Dense(1)], 4),
}
AROUND: dict[str, dict[str, Any]] = {
    "lookahead": {"optimizer": gd.Lookahead(gd.Adam(lr=1e-2), k=3, alpha=0.4)},
    "sam": {"optimizer": gd.SAM(gd.SGD(lr=0.05, momentum=0.9), rho=0.1)},
    "asam": {"optimizer": gd.SAM(gd.AdamW(lr=1e-2), rho=0.5, adaptive=True)},
    "both": {"optimizer": gd.Lookahead(gd.SAM("adam"), k=2), "clip_grad_norm": 0.1},
    "ema": {"optimizer": gd.Adam(lr=1e-2), "average": gd.EMA(0.9)},
    "ema_warmup": {"optimizer": "adamw", "average": gd.EMA(every=2, warmup=True)},
    "swa": {"optimizer": gd.SGD(lr=0.05), "average": gd.SWA(start=2)},
    "penalized": {"optimizer": gd.Penalized(gd.Adam(lr=1e-2), l1=1e-3, l2=1e-2), "average": "ema"},
    "penalized_muon": {"optimizer": gd.Penalized(gd.Lookahead("muon", k=2), l1=1e-3)},
    "all": {
        "optimizer": gd.SAM(gd.Lookahead(gd.RMSprop(lr=1e-3), k=4)),
        "average": gd.EMA(0.8, start=3),
        "clip": gd.ClipValue(0.01),
    },
}


def data(inputs: int, outputs: int, rows: int = 60, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, inputs)), rng.standard_normal((rows, outputs))


def small(dtype: Any = "float64", seed: int = 0) -> gd.Network:
    layers = [gd.Dense(12, "tanh"), gd.Dense(2)]
    return gd.Network(layers, input_size=5, dtype=dtype, seed=seed)


def fitted(epochs: int = 3, network: gd.Network | None = None, **options: Any) -> gd.Trainer:
    trainer = gd.Trainer(network or small(), "mse", **options)
    x, y = data(5, 2)
    trainer.fit(x, y, epochs=epochs, batch_size=16, progress=False)
    return trainer


def relative(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


class Twin:
    """A network of NETWORKS in PyTorch, in float64, and the same batches for both."""

    def __init__(self, name: str) -> None:
        self.torch = torch = pytest.importorskip("torch")
        layers, inputs = NETWORKS[name]
        self.net = gd.Network(layers, input_size=inputs, dtype="float64", seed=3)
        width, made = inputs, []
        for each in layers:
            if isinstance(each, gd.Dense):
                made.append(torch.nn.Linear(width, each.units))
                width = each.units
            elif isinstance(each, gd.LayerNorm):
                made.append(torch.nn.LayerNorm(width))
            else:
                made.append(
                    {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "silu": torch.nn.SiLU}[each]()
                )
        self.module = torch.nn.Sequential(*made).double()
        state = self.net.state_dict()
        self.module.load_state_dict({key: torch.from_numpy(v) for key, v in state.items()})
        self.batches = [data(inputs, width, 20, step) for step in range(100)]

    def loss(self, batch: tuple[Any, Any]) -> Any:
        x, y = map(self.torch.from_numpy, batch)
        return self.torch.nn.functional.mse_loss(self.module(x), y)

    def backward(self, batch: tuple[Any, Any]) -> Any:
        self.module.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        return loss

    def check(self, network: gd.Network, module: Any, most: float) -> None:
        expected = module.state_dict()
        for key, value in network.state_dict().items():
            assert relative(value, expected[key].numpy()) <= most, key


def squares_of(groups: Any, **_: Any) -> Any:
    """Of the gradients, or as adaptive has them, in float64."""
    parts = [(g["adaptive"], p) for g in groups for p in g["params"]]
    return sum(((p.grad * p if adaptive else p.grad) ** 2).sum() for adaptive, p in parts).view(1)


def peer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pytorch_optimizer")


@pytest.mark.parametrize("name", NETWORKS)
def test_lookahead_is_that_of_pytorch_optimizer(name: str) -> None:
    twin, peers = Twin(name), peer()
    within = twin.torch.optim.AdamW(twin.module.parameters(), lr=1e-2)
    theirs = peers.Lookahead(within, k=4, alpha=0.3)
    trainer = gd.Trainer(twin.net, "mse", gd.Lookahead(gd.AdamW(lr=1e-2), k=4, alpha=0.3))
    for batch in twin.batches:
        twin.backward(batch)
        theirs.step()
        trainer.step(*batch)
    twin.check(twin.net, twin.module, 1e-8)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_sam_is_that_of_pytorch_optimizer(
    name: str, adaptive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, peers = Twin(name), peer()
    # Theirs adds up the squares in float32, which is good for some 1e-8.
    where = importlib.import_module("pytorch_optimizer.optimizer.sam")
    monkeypatch.setattr(where, "get_global_gradient_norm", squares_of)
    theirs = peers.SAM(
        twin.module.parameters(),
        base_optimizer=twin.torch.optim.SGD,
        rho=0.2,
        adaptive=adaptive,
        lr=0.02,
        momentum=0.9,
    )
    rule = gd.SAM(gd.SGD(lr=0.02, momentum=0.9), rho=0.2, adaptive=adaptive)
    trainer = gd.Trainer(twin.net, "mse", rule)
    for batch in twin.batches:
        loss = twin.backward(batch)
        theirs.step(lambda batch=batch: twin.backward(batch))
        assert trainer.step(*batch) == pytest.approx(loss.item(), rel=1e-8)
    twin.check(twin.net, twin.module, 1e-8)


@pytest.mark.parametrize("name", NETWORKS)
def test_averages_are_those_of_pytorch(name: str) -> None:
    twin = Twin(name)
    utils = twin.torch.optim.swa_utils
    theirs = twin.torch.optim.Adam(twin.module.parameters(), lr=1e-2)
    moving = {d: utils.get_ema_multi_avg_fn(d) for d in (0.95, 0.8)}
    averages = [
        (gd.EMA(0.95), utils.AveragedModel(twin.module, multi_avg_fn=moving[0.95])),
        (
            gd.EMA(0.8, start=10, every=3),
            utils.AveragedModel(twin.module, multi_avg_fn=moving[0.8]),
        ),
        (gd.SWA(start=20, every=5, per="step"), utils.AveragedModel(twin.module)),
    ]
    ours = [
        gd.Trainer(copy.copy(twin.net), "mse", gd.Adam(lr=1e-2), average=average)
        for average, _ in averages
    ]
    for step, batch in enumerate(twin.batches, 1):
        twin.backward(batch)
        theirs.step()
        for trainer, (own, average) in zip(ours, averages, strict=True):
            trainer.step(*batch)
            if step >= own.start and (step - own.start) % own.every == 0:
                average.update_parameters(twin.module)
    for trainer, (_, average) in zip(ours, averages, strict=True):
        twin.check(trainer.averaged, average.module, 1e-10)
        twin.check(trainer.network, twin.module, 1e-8)


def test_the_mean_of_epochs() -> None:
    trainer = gd.Trainer(small(), "mse", "adam", average=gd.SWA(start=2, every=2))
    x, y = data(5, 2)
    taken = []
    for epoch in range(1, 8):
        if epoch <= 2:
            with pytest.raises(RuntimeError, match="begins after epoch 2"):
                trainer.averaged  # noqa: B018
        trainer.fit(x, y, epochs=1, batch_size=16, progress=False)
        if epoch in (2, 4, 6):
            taken.append(trainer.network.state_dict())
    for key, value in trainer.averaged.state_dict().items():
        assert relative(value, np.mean([each[key] for each in taken], axis=0)) < 1e-14, key


def test_a_warm_up_forgets_the_first_weights() -> None:
    trainer = gd.Trainer(small(), "mse", "sgd", average=gd.EMA(0.99, warmup=True))
    x, y = data(5, 2)
    mean: Any = None
    for count in range(30):
        trainer.step(x, y)
        now = trainer.network.state_dict()["0.weight"]
        decay = min(0.99, (1 + count) / (10 + count))
        mean = now if mean is None else decay * mean + (1 - decay) * now
    assert relative(trainer.averaged.state_dict()["0.weight"], mean) < 1e-14


@pytest.mark.parametrize("kind", AROUND)
def test_the_same_bits_on_any_number_of_threads(kind: str) -> None:
    """Shared by samples, with and without a gradient kept, and by tiles."""
    for sizes, rows in (([16, 48, 48, 3], 200), ([40, 300, 300, 4], 48)):
        x, y = data(sizes[0], sizes[-1], 2 * rows, 1)
        found: list[Any] = []
        for threads in (1, 2, 3, 5):
            layers = [gd.Dense(units, "relu") for units in sizes[1:-1]] + [gd.Dense(sizes[-1])]
            net = gd.Network(layers, input_size=sizes[0])
            trainer = gd.Trainer(net, "mse", num_threads=threads, **AROUND[kind])
            history = trainer.fit(x, y, epochs=2, batch_size=rows, progress=False)
            judged = trainer.averaged if trainer.average else net
            found.append((net.state_dict(), judged.state_dict(), history["loss"]))
        for state, judged, losses in found[1:]:
            assert_same_state(state, found[0][0])
            assert_same_state(judged, found[0][1])
            assert losses == found[0][2]


@pytest.mark.parametrize("kind", AROUND)
def test_stop_and_resume(kind: str, tmp_path: Path) -> None:
    whole = fitted(4, **AROUND[kind])
    half = fitted(2, **AROUND[kind])
    half.save(tmp_path / "half.safetensors")
    rest = gd.Trainer.load(tmp_path / "half.safetensors")
    assert (rest.optimizer, rest.average, rest.clip) == (half.optimizer, half.average, half.clip)
    x, y = data(5, 2)
    rest.fit(x, y, epochs=2, batch_size=16, progress=False)
    assert_same_state(rest.network.state_dict(), whole.network.state_dict())
    if whole.average:
        assert_same_state(rest.averaged.state_dict(), whole.averaged.state_dict())
    for trainer, name in ((whole, "whole"), (rest, "rest")):
        trainer.save(tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "rest").read_bytes()


@pytest.mark.parametrize("kind", AROUND)
def test_a_diverged_epoch_leaves_nothing(kind: str) -> None:
    trainer = fitted(3, **AROUND[kind])
    before = trainer.network.state_dict(), trainer._native.copy()[2]
    x, y = data(5, 2)
    trainer.lr = 1e200
    with pytest.raises(FloatingPointError):
        trainer.fit(x, y, epochs=5, batch_size=16, progress=False)
    assert_same_state(trainer.network.state_dict(), before[0])
    for found, expected in zip(trainer._native.copy()[2], before[1], strict=True):
        assert_same_state(found, expected)


@pytest.mark.parametrize("kind", [k for k in AROUND if "sam" not in str(AROUND[k]).lower()])
def test_gradients_from_outside(kind: str) -> None:
    """The update apart has the bits of the fused one; a function as the loss takes it, too."""

    def squares(output: Any, y: Any) -> Any:
        return ((output - y) ** 2).mean(axis=1), 2 * (output - y) / y.size

    one, two = fitted(2, **AROUND[kind]), fitted(2, small(), **AROUND[kind])
    x, y = data(5, 2)
    own = gd.Trainer(small(), squares, **AROUND[kind])
    own.fit(x, y, epochs=2, batch_size=16, progress=False)
    for key, value in own._judge().network.state_dict().items():
        assert relative(value, two._judge().network.state_dict()[key]) < 1e-12
    assert_same_state(one._judge().network.state_dict(), two._judge().network.state_dict())
    assert own.evaluate(x, y)["loss"] == pytest.approx(two.evaluate(x, y)["loss"], rel=1e-10)


def test_lookahead_on_arrays() -> None:
    rule = gd.Lookahead(gd.Adam(lr=0.1), k=2, alpha=0.5)
    net = small()
    trainer = gd.Trainer(net, None, rule)
    arrays = net.state_dict()
    bound = rule.bind(list(arrays.values()))
    for step in range(7):
        x, grad = data(5, 2, 8, step)
        net.forward(x, training=True)
        net.backward(grad)
        bound.step(list(net.gradients().values()))
        trainer.apply_gradients()
        assert_same_state(net.state_dict(), arrays)


def test_sam_without_distance_is_the_optimizer_within() -> None:
    """So both gradients see the same draw of Dropout, and BatchNorm remembers one of them."""
    x, y = data(6, 3, 64)
    found = []
    for rule in (gd.SAM(gd.Adam(lr=1e-2), rho=0.0), gd.Adam(lr=1e-2)):
        a = gd.Input(6)
        h = gd.Dropout(0.3)(gd.BatchNorm()(gd.Dense(16, "relu")(a)))
        outputs = {"one": gd.Dense(2)(h), "two": gd.Dense(1)(h)}
        net = gd.Network(inputs=a, outputs=outputs, dtype="float64")
        trainer = gd.Trainer(net, {"one": "mse", "two": "huber"}, rule)
        targets = {"one": y[:, :2], "two": y[:, 2:]}
        history = trainer.fit(x, targets, epochs=3, batch_size=16, progress=False)
        found.append((net.state_dict(), dict(history)))
    assert_same_state(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_one_sample_at_a_time() -> None:
    x, y = data(5, 2, 12)
    one, many, steps = (gd.Trainer(small(), "mse", gd.SAM("sgd")) for _ in range(3))
    losses = many.learn_many(x, y)
    for k in range(12):
        assert one.learn_one(x[k], y[k]) == losses[k] == steps.step(x[k : k + 1], y[k : k + 1])
    assert_same_state(one.network.state_dict(), many.network.state_dict())
    assert_same_state(one.network.state_dict(), steps.network.state_dict())
    assert (many.network.state_dict()["0.bias"] != small().state_dict()["0.bias"]).any()


def test_what_is_judged() -> None:
    x, y = data(5, 2)
    trainer = gd.Trainer(small(), "mse", gd.Adam(lr=1e-2), average=gd.EMA(0.9))
    history = trainer.fit(
        x, y, epochs=3, batch_size=16, validation_data=(x, y), metrics=["rmse"], progress=False
    )
    judge = gd.Trainer(trainer.averaged, "mse", "sgd")
    averaged, plain = (trainer.evaluate(x, y, averaged=each) for each in (True, False))
    assert trainer.evaluate(x, y) == averaged != plain
    assert judge.evaluate(x, y) == averaged
    assert history["val_loss"][-1] == averaged["loss"]
    assert trainer.evaluate(x, y, metrics=["rmse"])["rmse"] == history["val_rmse"][-1]
    trainer.averaged.load_state_dict(small().state_dict())  # a copy, the caller's own
    assert trainer.evaluate(x, y) == averaged


@pytest.mark.parametrize("rule", [gd.SGD(lr=0.05), gd.Muon(lr=0.01)])
def test_the_best_average_comes_back(rule: gd.Optimizer) -> None:
    x, y = data(5, 2)

    class Worse(gd.callbacks.Callback):
        best: Any = None

        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            if epoch == 2:
                self.best = trainer.averaged.state_dict(), trainer.network.state_dict()
                trainer.lr = 8.0

    worse, trainer = Worse(), gd.Trainer(small(), "mse", rule, average=gd.EMA(0.5))
    stop = gd.callbacks.EarlyStopping(patience=2)
    data_too = {"validation_data": (x, y), "callbacks": [worse, stop]}
    trainer.fit(x, y, epochs=9, batch_size=16, progress=False, **data_too)
    assert stop.best_epoch == 2
    assert_same_state(trainer.averaged.state_dict(), worse.best[0])
    assert_same_state(trainer.network.state_dict(), worse.best[1])


def test_what_no_average_is_of(tmp_path: Path) -> None:
    """Frozen parameters and the statistics of BatchNorm are those of the network."""
    x, y = data(5, 2)
    layers = [gd.Dense(8, name="first"), gd.BatchNorm(), "relu", gd.Dense(2)]
    net = gd.Network(layers, input_size=5, dtype="float64")
    groups = [gd.Group("first.*", frozen=True)]
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=0.1), average=gd.EMA(0.9), groups=groups)
    trainer.fit(x, y, epochs=2, batch_size=16, progress=False)
    state, averaged = net.state_dict(), trainer.averaged.state_dict()
    for key in state:
        is_same = key.startswith("first") or "running" in key or "num_batches" in key
        assert (state[key] == averaged[key]).all() == is_same, key
    trainer.averaged.save(tmp_path / "averaged")
    assert_same_state(gd.Network.load(tmp_path / "averaged").state_dict(), averaged)
    plan, without = trainer.memory_plan(16), gd.Trainer(net, "mse", gd.SGD(lr=0.1)).memory_plan(16)
    assert plan["optimizer_state"] - without["optimizer_state"] == without["snapshot"]


def test_an_optimizer_in_the_sense_of_its_type() -> None:
    rule = gd.Lookahead("adam", k=7)
    assert rule == gd.Lookahead(gd.Adam(), k=7)
    assert rule.lr == gd.Adam().lr
    assert isinstance(rule, gd.optimizers.Optimizer)
    assert repr(rule) == f"Lookahead(optimizer={gd.Adam()!r}, k=7, alpha=0.5)"
    assert gd.Trainer(small(), "mse", rule).optimizer == rule
    groups = [gd.Group("*.bias", weight_decay=0.5)]
    trainer = gd.Trainer(small(), "mse", gd.SAM(rule), groups=groups)
    x, y = data(5, 2)
    trainer.step(x, y)
    within = gd.Trainer(small(), "mse", rule, groups=groups)
    assert trainer.flops_per_step(16) == 2 * within.flops_per_step(16)
    room = trainer.memory_plan(16)["optimizer_state"] - within.memory_plan(16)["optimizer_state"]
    assert room == within.memory_plan(16)["parameters"]


SPARSE = gd.Network(
    inputs=(codes := gd.Input(categories=(9,), name="c")),
    outputs=gd.Dense(1)(gd.Embedding(3, sparse=True)(codes)),
)
BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("k", lambda: gd.Lookahead("sgd", k=0), ValueError, "k must be"),
    ("k 2.5", lambda: gd.Lookahead("sgd", k=2.5), TypeError, "k must be"),
    ("alpha", lambda: gd.Lookahead("sgd", alpha=0.0), ValueError, "alpha must be"),
    ("alpha 2", lambda: gd.Lookahead("sgd", alpha=2.0), ValueError, "alpha must be"),
    ("no optimizer", lambda: gd.Lookahead(3), TypeError, "optimizer must be"),
    ("unknown", lambda: gd.SAM("sdg"), ValueError, "optimizer"),
    ("rho", lambda: gd.SAM("sgd", rho=-1), ValueError, "rho must be"),
    ("rho nan", lambda: gd.SAM("sgd", rho=float("nan")), ValueError, "rho must be"),
    (
        "rho large",
        lambda: gd.Trainer(small("float32"), "mse", gd.SAM("sgd", rho=1e300)),
        ValueError,
        "rho",
    ),
    ("adaptive", lambda: gd.SAM("sgd", adaptive=1), TypeError, "adaptive must be"),
    ("twice", lambda: gd.SAM(gd.Lookahead(gd.SAM("sgd"))), ValueError, "no SAM within"),
    ("bind", lambda: gd.SAM("sgd").bind([np.ones(3)]), ValueError, "two gradients"),
    (
        "bind around",
        lambda: gd.Lookahead(gd.SAM("sgd")).bind([np.ones(3)]),
        ValueError,
        "two gradients",
    ),
    ("sam without loss", lambda: gd.Trainer(small(), None, gd.SAM("sgd")), ValueError, "SAM"),
    (
        "sam function",
        lambda: gd.Trainer(small(), lambda o, y: (0, o), gd.SAM("sgd")),
        ValueError,
        "SAM",
    ),
    ("sam sparse", lambda: gd.Trainer(SPARSE, "mse", gd.SAM("sgd")), ValueError, "sparse"),
    (
        "ema sparse",
        lambda: gd.Trainer(SPARSE, "mse", "sgd", average=gd.EMA()),
        ValueError,
        "sparse",
    ),
    ("decay", lambda: gd.EMA(decay=1.0), ValueError, "decay must be"),
    ("start", lambda: gd.EMA(start=0), ValueError, "start must be"),
    ("every", lambda: gd.SWA(start=1, every=0), ValueError, "every must be"),
    ("per", lambda: gd.SWA(start=1, per="batch"), ValueError, "per"),
    ("warmup", lambda: gd.EMA(warmup=1), TypeError, "warmup must be"),
    (
        "average",
        lambda: gd.Trainer(small(), "mse", "sgd", average=0.9),
        TypeError,
        "average must be",
    ),
    (
        "average array",  # which is equal to no name, element by element
        lambda: gd.Trainer(small(), "mse", "sgd", average=np.zeros(3)),  # type: ignore[arg-type]
        TypeError,
        "average must be",
    ),
    (
        "average class",
        lambda: gd.Trainer(small(), "mse", "sgd", average=gd.EMA),
        TypeError,
        "average must be",
    ),
    (
        "average name",
        lambda: gd.Trainer(small(), "mse", "sgd", average="mean"),
        ValueError,
        "average",
    ),
    ("swa by name", lambda: gd.Trainer(small(), "mse", "sgd", average="swa"), ValueError, "start="),
    (
        "none kept",
        lambda: gd.Trainer(small(), "mse", "sgd").averaged,
        ValueError,
        "average=gdcore.EMA",
    ),
    (
        "not begun",
        lambda: gd.Trainer(small(), "mse", "sgd", average="ema").averaged,
        RuntimeError,
        "begins after step 1",
    ),
    (
        "judge none",
        lambda: gd.Trainer(small(), "mse", "sgd").evaluate(*data(5, 2), averaged=True),
        ValueError,
        "average=gdcore.EMA",
    ),
    (
        "judge early",
        lambda: gd.Trainer(small(), "mse", "sgd", average="ema").evaluate(
            *data(5, 2), averaged=True
        ),
        RuntimeError,
        "begins after",
    ),
    (
        "judge 1",
        lambda: gd.Trainer(small(), "mse", "sgd").evaluate(*data(5, 2), averaged=1),
        TypeError,
        "averaged must be",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_no_gradient_of_sams_from_outside() -> None:
    trainer = gd.Trainer(net := small(), "mse", gd.SAM("sgd"))
    before = net.state_dict()
    x, y = data(5, 2)
    net.forward(x, training=True)
    net.backward(y)
    with pytest.raises(RuntimeError, match="two gradients"):
        trainer.apply_gradients()
    assert_same_state(net.state_dict(), before)
    assert trainer.steps == 0


@pytest.mark.parametrize("name", ["sam", "lookahead"])
def test_a_name_alone_makes_none(name: str) -> None:
    """It says not around what."""
    net = gd.Network([gd.Dense(1)], input_size=2)
    with pytest.raises(ValueError, match="optimizer must be one of adam, ") as told:
        gd.Trainer(net, "mse", name)  # type: ignore[arg-type]  # what type checkers refuse
    assert "lookahead" not in str(told.value).partition(", got")[0]


def test_a_schedule_goes_with_what_is_around_the_rule() -> None:
    net = gd.Network([gd.Dense(2)], input_size=1)
    around = gd.Penalized(gd.Lookahead(gd.SGD(lr=0.5)), l2=0.1)
    trainer = gd.Trainer(net, "mse", around, schedule=gd.schedules.Exponential(0.5))
    trainer.fit([[1.0]], [[1.0, 2.0]], epochs=2, progress=False)
    assert trainer.lr == 0.125
    with pytest.raises(ValueError, match="schedule must be None with LevenbergMarquardt"):
        gd.Trainer(net, "mse", "levenberg_marquardt", schedule="cosine")

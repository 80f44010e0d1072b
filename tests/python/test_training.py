"""Trainer.step and Trainer.fit: what they do to the parameters, and what they report."""

from __future__ import annotations

import itertools
from typing import Any

import nets
import numpy as np
import pytest
from reference.losses import loss_and_gradient
from support import assert_same_state, relative_error, run_json

import gdcore as gd

DTYPES = ("float32", "float64")
RULES = {
    "sgd": gd.SGD(lr=0.05),
    "nesterov": gd.SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": gd.Adam(lr=1e-2),
    "amsgrad": gd.Adam(lr=1e-2, weight_decay=1e-3, amsgrad=True),
}


def small(dtype: str = "float64", seed: int = 0) -> gd.Network:
    return nets.network([6, 11, 4], ["tanh", "identity"], dtype, seed)


def trainer_of(
    net: gd.Network, rule: str = "adam", loss: Any = "mse", **options: Any
) -> gd.Trainer:
    return gd.Trainer(net, loss=loss, optimizer=RULES[rule], **options)


def data(samples: int, dtype: str = "float64", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = nets.inputs(samples, 6, seed), nets.targets("mse", samples, 4, seed)
    return x.astype(dtype), y.astype(dtype)


def by_hand(
    trainer: gd.Trainer, x: np.ndarray, y: np.ndarray, batch_size: int, weight: Any = None
) -> float:
    """One epoch of steps over consecutive batches; the mean of their losses."""
    total = mass = 0.0
    for at in range(0, len(x), batch_size):
        batch = slice(at, at + batch_size)
        w = None if weight is None else weight[batch]
        share = len(x[batch]) if w is None else w.sum()
        total += share * trainer.step(x[batch], y[batch], sample_weight=w)
        mass += share
    return total / mass


# ---- one step ----


@pytest.mark.parametrize("loss", nets.LOSSES)
def test_a_step_is_the_gradient_of_the_loss_before_it(loss: str) -> None:
    names = ["tanh", "identity"]
    net = nets.network([6, 11, 4], names)
    x, y = nets.inputs(20, 6), nets.targets(loss, 20, 4)
    expected, _ = loss_and_gradient(loss, net.forward(x), y, **nets.LOSSES[loss])
    gradients = nets.reference_gradients(net, names, loss, x, y)
    before = net.state_dict()
    trainer = gd.Trainer(net, loss=nets.loss(loss), optimizer=gd.SGD(lr=0.5))
    got = trainer.step(x, y)
    assert isinstance(got, float)
    assert abs(got - expected) <= 64 * 2.0**-53 * max(abs(expected), 1e-3)
    for key, value in net.state_dict().items():
        # The gradient's own rounding is in test_network.py; here one more, of the subtraction.
        assert relative_error(value, before[key] - 0.5 * gradients[key]) <= 64 * 2.0**-53, key
    assert trainer.steps == 1
    assert trainer.network is net


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize(
    ("widths", "samples"),
    [
        ((6, 11, 8), 32),
        ((300, 260, 8), 32),
        ((3, 8), 1),
        ((20, 40, 40, 40, 8), 64),
        ((9, 280, 270, 8), 512),  # sums over units and samples that are split into parts
    ],
)
def test_a_loss_of_ones_own_trains_to_the_same_bits(
    widths: tuple[int, ...], samples: int, loss: str, rule: str, dtype: str
) -> None:
    """What divides the gradient, samples * 8, is a power of two, so that NumPy rounds as we do."""
    names = ["tanh"] * (len(widths) - 2) + ["identity"]
    net, twin = (nets.network(widths, names, dtype, seed=3) for _ in range(2))
    trainer = gd.Trainer(net, loss=loss, optimizer=RULES[rule])
    own = gd.Trainer(twin, loss=None, optimizer=RULES[rule])
    for step in range(4):
        x = nets.inputs(samples, widths[0], step).astype(dtype)
        y = nets.targets("mse", samples, 8, step).astype(dtype)
        trainer.step(x, y)
        d = twin.forward(x, training=True) - y
        grad = {"mse": 2 * d, "mae": np.sign(d), "huber": np.clip(d, -1, 1)}[loss]
        twin.backward((grad / (samples * 8)).astype(dtype))
        own.apply_gradients()
        assert_same_state(twin.state_dict(), net.state_dict())


def test_a_batch_of_any_size_after_any_other() -> None:
    """The plan is made for the first batch; larger and smaller ones train to the same bits."""
    sizes = (5, 64, 1, 33, 200, 5)
    net, twin = small("float32"), small("float32")
    trainer = trainer_of(net)
    planned = trainer_of(twin)
    planned.evaluate(*data(300, "float32"))
    for size in sizes:
        x, y = data(size, "float32", size)
        assert trainer.step(x, y) == planned.step(x, y)
    assert_same_state(net.state_dict(), twin.state_dict())


def test_loading_a_state_between_steps_is_seen_by_the_trainer() -> None:
    x, y = data(16)
    net, other = small(seed=1), small(seed=2)
    trainer = trainer_of(net, "sgd")
    for _ in range(3):
        trainer.step(x, y)
    net.load_state_dict(other.state_dict())
    trainer.step(x, y)
    trainer_of(other, "sgd").step(x, y)
    assert_same_state(net.state_dict(), other.state_dict())


def test_what_happens_between_steps_does_not_disturb_them() -> None:
    x, y = data(16)
    net, twin = small(), small()
    trainer, quiet = trainer_of(net), trainer_of(twin)
    for _ in range(4):
        net.predict(nets.inputs(50, 6))
        net.forward(nets.inputs(40, 6, 1), training=True)
        assert trainer.step(x, y) == quiet.step(x, y)
        trainer.evaluate(*data(30))
        net.forward(nets.inputs(3, 6, 1), training=True)
        net.backward(np.ones((3, 4)))
        net.state_dict()
        net.gradients()
    assert_same_state(net.state_dict(), twin.state_dict())


def test_two_trainers_of_one_network_take_turns() -> None:
    x, y = data(16)
    net, twin = small(), small()
    first, second = trainer_of(net, "sgd"), trainer_of(net, "sgd", "huber")
    alone = gd.Trainer(twin, loss=None, optimizer=RULES["sgd"])
    for turn in range(6):
        (first, second)[turn % 2].step(x, y)
        d = twin.forward(x, training=True) - y
        grad = 2 * d if turn % 2 == 0 else np.clip(d, -1, 1)
        twin.backward(grad / 64)  # 16 samples, 4 outputs
        alone.apply_gradients()
    assert_same_state(net.state_dict(), twin.state_dict())


@pytest.mark.parametrize("convert", [np.asfortranarray, lambda a: a.tolist(), lambda a: a[::1]])
def test_input_is_converted(convert: Any) -> None:
    x, y = data(16, "float64")
    net, twin = small("float32"), small("float32")
    trainer_of(net).step(convert(x), convert(y))
    trainer_of(twin).step(x.astype(np.float32), y.astype(np.float32))
    assert_same_state(net.state_dict(), twin.state_dict())


def test_apply_gradients_needs_a_backward() -> None:
    net = small()
    trainer = trainer_of(net, loss=None)
    with pytest.raises(RuntimeError, match="backward"):
        trainer.apply_gradients()
    net.forward(data(3)[0], training=True)
    with pytest.raises(RuntimeError, match="backward"):
        trainer.apply_gradients()


@pytest.mark.parametrize("call", ["step", "evaluate", "fit"])
def test_without_a_loss_there_is_no_step(call: str) -> None:
    trainer = trainer_of(small(), loss=None)
    with pytest.raises(RuntimeError, match="loss"):
        getattr(trainer, call)(*data(4))


# ---- fit ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [1, 7, 16, 50, 64])
def test_an_epoch_is_its_steps(batch_size: int, rule: str, dtype: str) -> None:
    """50 samples: 7 leaves a last batch of 1, 16 one of 2, 64 one of all."""
    x, y = data(50, dtype)
    net, twin = small(dtype), small(dtype)
    trainer, steps = trainer_of(net, rule), trainer_of(twin, rule)
    history = trainer.fit(x, y, epochs=2, batch_size=batch_size, shuffle=False, progress=False)
    losses = [by_hand(steps, x, y, batch_size) for _ in range(2)]
    assert_same_state(net.state_dict(), twin.state_dict())
    assert trainer.steps == steps.steps == 2 * -(-50 // batch_size)
    # Float sums over 50 samples in another order; 50 units bound any order.
    assert relative_error(history["loss"], losses) <= 50 * np.finfo(dtype).eps
    assert all(type(value) is float for value in history["loss"])


def test_no_batch_size_is_gradient_descent() -> None:
    x, y = data(50)
    net, twin = small(), small()
    trainer, steps = trainer_of(net), trainer_of(twin)
    trainer.fit(x, y, epochs=3, batch_size=None, shuffle=False, progress=False)
    for _ in range(3):
        steps.step(x, y)
    assert trainer.steps == 3
    assert_same_state(net.state_dict(), twin.state_dict())


@pytest.mark.parametrize("dtype", DTYPES)
def test_sample_weights(dtype: str) -> None:
    x, y = data(50, dtype)
    weight = np.random.default_rng(5).uniform(0, 2, 50).astype(dtype)
    weight[[3, 17, 49]] = 0
    net, twin = small(dtype), small(dtype)
    trainer, steps = trainer_of(net), trainer_of(twin)
    history = trainer.fit(
        x, y, epochs=1, batch_size=12, shuffle=False, sample_weight=weight, progress=False
    )
    loss = by_hand(steps, x, y, 12, weight)
    assert_same_state(net.state_dict(), twin.state_dict())
    assert relative_error(history["loss"], [loss]) <= 50 * np.finfo(dtype).eps


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_without_weight_is_no_step(shuffle: bool) -> None:
    """Its loss would be 0 / 0; without shuffling the third batch of 10 is such a one."""
    x, y = data(50)
    weight = np.ones(50)
    weight[20:30] = 0
    net, twin = small(), small()
    trainer, steps = trainer_of(net), trainer_of(twin)
    history = trainer.fit(
        x, y, batch_size=10, shuffle=shuffle, sample_weight=weight, progress=False
    )
    assert np.isfinite(history["loss"]).all()
    if not shuffle:
        kept = weight > 0
        steps.fit(x[kept], y[kept], batch_size=10, shuffle=False, progress=False)
        assert trainer.steps == steps.steps == 4
        assert_same_state(net.state_dict(), twin.state_dict())


def test_classes_and_weights_are_shuffled_with_their_samples() -> None:
    """The samples of a class have an input of their own, so that a mix-up cannot train."""
    labels = np.random.default_rng(0).integers(0, 4, 60)
    x = np.eye(6)[labels]
    wrong = np.arange(60) % 5 == 0
    y = np.where(wrong, (labels + 1) % 4, labels)
    net = small()
    trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.Adam(lr=0.05))
    trainer.fit(
        x, y, epochs=60, batch_size=8, sample_weight=np.where(wrong, 0.0, 1.0), progress=False
    )
    assert np.array_equal(net.predict(x).argmax(axis=1), labels)


def which_batch(trainer: gd.Trainer, samples: int, batch_size: int) -> np.ndarray:
    """For each sample the size of the batch it was in, over one epoch of a shuffled fit.

    Input i is the i-th unit vector and all targets are far above, so that |p - y| has the slope -1:
    a step adds lr / (size of the batch) to the weight of each sample in the batch, and to no other.
    """
    before = trainer.network.state_dict()["0.weight"][0]
    far = np.full((samples, 1), 1e6)
    trainer.fit(np.eye(samples), far, epochs=1, batch_size=batch_size, progress=False)
    return np.round(1 / (trainer.network.state_dict()["0.weight"][0] - before)).astype(int)


def unit_trainer(samples: int, seed: int) -> gd.Trainer:
    net = gd.Network([gd.Dense(1, bias=False)], input_size=samples, dtype="float64")
    return gd.Trainer(net, loss="mae", optimizer=gd.SGD(lr=1.0), seed=seed)


def test_an_epoch_sees_each_sample_once() -> None:
    trainer = unit_trainer(47, seed=0)
    seen = set()
    for _ in range(6):
        sizes = which_batch(trainer, 47, 10)
        assert sorted(sizes) == [7] * 7 + [10] * 40
        seen.add(tuple(np.flatnonzero(sizes == 7)))
    assert len(seen) == 6  # each epoch in another order
    assert tuple(range(40, 47)) not in seen


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, again, other = (unit_trainer(47, seed) for seed in (1, 1, 2))
    np.random.default_rng(0).permutation(9)
    orders = [[tuple(which_batch(t, 47, 10)) for _ in range(3)] for t in (first, again, other)]
    assert orders[0] == orders[1]
    assert all(one != two for one, two in zip(orders[0], orders[2], strict=True))


@pytest.mark.parametrize("shuffle", [False, True])
def test_epochs_go_on_where_the_last_fit_ended(shuffle: bool) -> None:
    x, y = data(50, "float32")
    net, twin = small("float32"), small("float32")
    one, parts = trainer_of(net), trainer_of(twin)
    options = {"batch_size": 8, "shuffle": shuffle, "progress": False}
    whole = one.fit(x, y, epochs=5, **options)["loss"]
    pieces = [
        parts.fit(x, y, epochs=2, **options)["loss"],
        parts.fit(x, y, until_epoch=4, **options)["loss"],
        parts.fit(x, y, **options)["loss"],
    ]
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    assert list(itertools.chain(*pieces)) == whole
    assert one.epochs == parts.epochs == 5
    assert_same_state(net.state_dict(), twin.state_dict())


def test_until_an_epoch_that_is_past_does_nothing() -> None:
    x, y = data(20)
    net = small()
    trainer = trainer_of(net)
    trainer.fit(x, y, epochs=3, progress=False)
    before = net.state_dict()
    history = trainer.fit(x, y, until_epoch=2, progress=False)
    assert dict(history) == {}
    assert trainer.epochs == 3
    assert_same_state(net.state_dict(), before)


def test_validation_is_an_evaluation_after_each_epoch() -> None:
    x, xv = nets.inputs(40, 6), nets.inputs(30, 6, 1)
    y, yv = (nets.targets("cross_entropy", n, 4, n) for n in (40, 30))
    net, twin = small(), small()
    trainer, quiet = (trainer_of(n, loss="cross_entropy") for n in (net, twin))
    history = trainer.fit(x, y, epochs=3, validation_data=(xv, yv), progress=False)
    assert sorted(history) == ["loss", "val_accuracy", "val_loss"]
    expected = []
    for _ in range(3):
        quiet.fit(x, y, progress=False)
        expected.append(quiet.evaluate(xv, yv))
    assert history["val_loss"] == [values["loss"] for values in expected]
    assert history["val_accuracy"] == [values["accuracy"] for values in expected]
    assert_same_state(net.state_dict(), twin.state_dict())


def test_validation_with_weights_and_without_classes() -> None:
    x, y = data(40)
    weight = np.linspace(0, 1, 40)
    net = small()
    trainer = trainer_of(net)
    history = trainer.fit(x, y, validation_data=(x, y, weight), progress=False)
    assert sorted(history) == ["loss", "val_loss"]
    assert history["val_loss"] == [trainer.evaluate(x, y, sample_weight=weight)["loss"]]
    expected, _ = loss_and_gradient("mse", net.forward(x), y, weight)
    assert abs(history["val_loss"][0] - expected) <= 64 * 2.0**-53 * expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", nets.LOSSES)
def test_evaluate_does_not_depend_on_its_batches(loss: str, dtype: str) -> None:
    trainer = gd.Trainer(small(dtype), loss=nets.loss(loss), optimizer="sgd")
    x, y = nets.inputs(2003, 6).astype(dtype), nets.targets(loss, 2003, 4)
    sizes = (None, 1, 16, 77, 203, 1000, 2003, 5000)
    results = [trainer.evaluate(x, y, batch_size=size) for size in sizes]
    assert results == [results[0]] * len(sizes)
    assert trainer.steps == 0


def test_a_rate_of_zero_changes_nothing() -> None:
    x, y = data(40)
    net = small()
    before = net.state_dict()
    history = gd.Trainer(net, loss="mse", optimizer=gd.SGD(lr=0.0)).fit(
        x, y, epochs=2, batch_size=16, progress=False
    )
    assert_same_state(net.state_dict(), before)
    assert relative_error(history["loss"][0], history["loss"][1]) <= 50 * 2.0**-52


def test_training_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (512, 1))
    net = gd.Network([gd.Dense(32, "tanh"), gd.Dense(1)], input_size=1, seed=0)
    trainer = gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-2))
    history = trainer.fit(x, np.sin(2 * x), epochs=60, batch_size=32, progress=False)
    assert history["loss"][-1] < 0.01 < history["loss"][0]


@pytest.mark.parametrize("seed", [None, 9])
def test_the_trainers_seed_is_the_networks_unless_given(seed: int | None) -> None:
    assert trainer_of(small(seed=4), seed=seed).seed == (4 if seed is None else seed)


# ---- progress ----


def test_progress_is_shown_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = data(64)
    trainer_of(small()).fit(x, y, epochs=2, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "epoch 2/2" in shown.err
    assert "100%" in shown.err
    assert "loss=" in shown.err


def test_no_progress_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = data(64)
    trainer_of(small()).fit(x, y, epochs=2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_progress_does_not_touch_the_bits() -> None:
    x, y = data(64)
    net, twin = small(), small()
    trainer_of(net).fit(x, y, epochs=2, progress=True)
    trainer_of(twin).fit(x, y, epochs=2, progress=False)
    assert_same_state(net.state_dict(), twin.state_dict())


# ---- Ctrl-C ----

INTERRUPTED = """
import json, os, signal, sys, threading, time
import gdcore as gd
import numpy as np
from support import digest

# A shell's background job is started with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
epochs, rows, progress = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "bar"
rng = np.random.default_rng(0)
x = rng.standard_normal((rows, 64), dtype=np.float32)
y = rng.standard_normal((rows, 1), dtype=np.float32)

def make():
    layers = [gd.Dense(256, "tanh"), gd.Dense(256, "tanh"), gd.Dense(1)]
    net = gd.Network(layers, input_size=64, seed=1)
    return net, gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-4), num_threads=2)

def interrupt():
    while trainer.steps == 0:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

net, trainer = make()
interrupted = False
try:
    threading.Thread(target=interrupt, daemon=True).start()
    trainer.fit(x, y, epochs=epochs, batch_size=4, shuffle=False, progress=progress)
except KeyboardInterrupt:
    interrupted = True
steps, batches = trainer.steps, -(-rows // 4)
at_stop = digest(net.state_dict())

twin, again = make()
for step in range(steps):
    at = step % batches * 4
    again.step(x[at : at + 4], y[at : at + 4])
same_at_stop = digest(twin.state_dict()) == at_stop
after = [t.step(x[:16], y[:16]) for t in (trainer, again)]
fits = [t.fit(x[:40], y[:40], shuffle=False, progress=False)["loss"] for t in (trainer, again)]
print(json.dumps({
    "interrupted": interrupted, "steps": steps, "all": epochs * batches,
    "same_at_stop": same_at_stop, "same_step": after[0] == after[1], "same_fit": fits[0] == fits[1],
    "same_end": digest(twin.state_dict()) == digest(net.state_dict()),
}))
"""


@pytest.mark.parametrize(
    ("epochs", "rows", "progress"),
    [(10**9, 40, "none"), (10**9, 400, "bar"), (1, 600_000, "none")],
    ids=["between epochs", "with a bar", "within an epoch"],
)
def test_ctrl_c_stops_between_steps(epochs: int, rows: int, progress: str) -> None:
    """The signal comes a moment after the first step of a fit that would take far longer.

    After it the parameters are those of whole steps, and the trainer goes on as if never stopped.
    """
    told = run_json(INTERRUPTED, str(epochs), str(rows), progress)
    assert told["interrupted"]
    assert 0 < told["steps"] < told["all"]
    for key in ("same_at_stop", "same_step", "same_fit", "same_end"):
        assert told[key], told

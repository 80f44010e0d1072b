"""Class weights, ignored labels, weights of positive targets, and the shapes and values of targets.

That they train as PyTorch's do is in test_torch.py.
"""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest
from reference.losses import loss_and_gradient
from support import assert_same_bits, relative_error
from test_losses import UNITS, assert_loss, probe

import gdcore as gd

DTYPES = ("float32", "float64")
WEIGHTS = (0.25, 1.0, 3.0, 0.0)


def labels(samples: int, ignored: int | None = None) -> np.ndarray:
    y = nets.targets("cross_entropy", samples, 4)
    if ignored is not None:
        y[::3] = ignored
    return y


def trainer_of(loss: Any, outputs: int = 4, dtype: str = "float64", **options: Any) -> gd.Trainer:
    net = nets.network([6, 9, outputs], ["tanh", "identity"], dtype)
    return gd.Trainer(net, loss, options.pop("optimizer", gd.SGD(lr=0.1)), **options)


OPTIONS: list[dict[str, Any]] = [
    {"class_weight": WEIGHTS},
    {"ignore_index": -1},
    {"ignore_index": 2},
    {"ignore_index": -1, "class_weight": WEIGHTS},
]
CASES = [("nll", each) for each in OPTIONS]
CASES += [
    ("cross_entropy", {**each, "label_smoothing": s}) for each in OPTIONS for s in (0.0, 0.2, 1.0)
]


def given_labels(options: dict[str, Any], samples: int) -> np.ndarray:
    return labels(samples, -1 if options.get("ignore_index") == -1 else None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_labels_count_by_their_class(
    name: str, options: dict[str, Any], weighted: bool, dtype: str
) -> None:
    for samples in (3, 19):
        p = (2 * nets.inputs(samples, 4)).astype(dtype)
        weight = np.linspace(0.5, 2, samples).astype(dtype) if weighted else None
        assert_loss(name, options, p, given_labels(options, samples), weight)


@pytest.mark.parametrize("outputs", [4, 20])
@pytest.mark.parametrize("name", ["cross_entropy", "nll", "focal"])
def test_of_many_classes_and_of_probabilities(name: str, outputs: int) -> None:
    weights = tuple(np.random.default_rng(3).uniform(0, 2, outputs))
    parameter = "alpha" if name == "focal" else "class_weight"
    p = 2 * nets.inputs(19, outputs)
    assert_loss(name, {parameter: weights}, p, nets.targets(name, 19, outputs))
    y = np.random.default_rng(2).dirichlet(np.ones(outputs), 19)
    assert_loss(name, {parameter: weights}, p, y)
    assert_loss(name, {}, p, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [3, 20])
def test_positive_targets_count_more(outputs: int, dtype: str) -> None:
    p, y = (
        (2 * nets.inputs(19, outputs)).astype(dtype),
        nets.targets("bce_with_logits", 19, outputs),
    )
    for weight in (0.0, 2.5, tuple(np.linspace(0, 3, outputs))):
        assert_loss("bce_with_logits", {"pos_weight": weight}, p, y.astype(dtype))


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "bce_with_logits", "focal"])
def test_weights_of_one_change_nothing(name: str) -> None:
    p, y = nets.inputs(19, 4), nets.targets(name, 19, 4)
    parameter = {"bce_with_logits": "pos_weight", "focal": "alpha"}.get(name, "class_weight")
    member = type(nets.loss(name))
    one, other = (probe(member(**given), p, y) for given in ({}, {parameter: (1.0,) * 4}))
    assert abs(one[0] - other[0]) <= UNITS["float64"] * 4
    assert relative_error(one[1], other[1]) <= UNITS["float64"]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_all_ways_to_train_and_judge_agree(name: str, options: dict[str, Any]) -> None:
    loss = type(nets.loss(name))(**options)
    x, y = nets.inputs(40, 6), given_labels(options, 40)
    trainer = trainer_of(loss)
    expected, _ = loss_and_gradient(name, trainer.network.predict(x), y, **options)
    for size in (None, 7, 40):
        got = trainer.evaluate(x, y, batch_size=size)
        assert abs(got["loss"] - expected) <= 1e-12 * max(1, abs(expected))
    counted = y != options.get("ignore_index", -100)
    right = trainer.network.predict(x).argmax(axis=1) == y
    assert got["accuracy"] == right[counted].mean()
    assert gd.check_gradients(trainer.network, loss, x, y).ok

    # An epoch in batches is a step for each, and its loss their weighted mean.
    fitted, stepped = trainer_of(loss), trainer_of(loss)
    history = fitted.fit(x, y, batch_size=8, shuffle=False, validation_data=(x, y), progress=False)
    of_class = np.asarray(options.get("class_weight") or np.ones(4))
    total = mass = 0.0
    for at in range(0, 40, 8):
        part = slice(at, at + 8)
        share = (of_class[np.clip(y[part], 0, 3)] * counted[part]).sum()
        total += share * stepped.step(x[part], y[part])
        mass += share
    assert abs(history["loss"][0] - total / mass) <= 1e-13 * abs(total / mass)
    for key, value in fitted.network.state_dict().items():
        assert_same_bits(value, stepped.network.state_dict()[key], key)
    assert history["val_loss"] == [fitted.evaluate(x, y)["loss"]]
    # Shuffled, in other batches and by weights, too.
    weight = np.linspace(0.5, 2, 40)
    for threads in (1, 2):
        again = trainer_of(loss, num_threads=threads)
        losses = again.fit(x, y, batch_size=8, sample_weight=weight, epochs=2, progress=False)
        assert np.isfinite(losses["loss"]).all()


def test_what_is_ignored_is_as_if_it_were_not_there() -> None:
    loss = gd.CrossEntropy(label_smoothing=0.1, class_weight=WEIGHTS)
    x, y = nets.inputs(20, 6), labels(20, -100)
    kept = y >= 0
    one, other = trainer_of(loss), trainer_of(loss)
    a, b = one.step(x, y), other.step(x[kept], y[kept])
    assert abs(a - b) <= 1e-14 * b
    for key, value in one.network.state_dict().items():
        assert relative_error(value, other.network.state_dict()[key]) <= 1e-14
    assert one.evaluate(x, y)["accuracy"] == other.evaluate(x[kept], y[kept])["accuracy"]


def test_a_batch_in_which_nothing_counts_makes_no_step() -> None:
    x, y = nets.inputs(16, 6), labels(16)
    y[4:8] = -100
    seen: list[float] = []

    class Watch(gd.callbacks.Callback):
        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            seen.append(loss)

    fitted, stepped = trainer_of("cross_entropy"), trainer_of("cross_entropy")
    fitted.fit(x, y, batch_size=4, shuffle=False, progress=False, callbacks=[Watch()])
    assert fitted.steps == len(seen) == 3
    for at in (0, 8, 12):
        stepped.step(x[at : at + 4], y[at : at + 4])
    for key, value in fitted.network.state_dict().items():
        assert_same_bits(value, stepped.network.state_dict()[key], key)


def test_online_what_does_not_count_is_passed_over() -> None:
    x, y = nets.inputs(6, 6), np.array([0, -100, 1, 3, -100, 2])
    loss = gd.CrossEntropy(class_weight=WEIGHTS)  # 3 has none
    many, one = trainer_of(loss), trainer_of(loss)
    losses = many.learn_many(x, y)
    counts = np.array([0, 2, 5])
    assert np.isnan(np.delete(losses, counts)).all()
    assert_same_bits(losses[counts], np.array([one.learn_one(x[i], int(y[i])) for i in counts]))
    assert many.steps == one.steps == 3
    # Alone, a sample's loss does not depend on the weight of its class.
    plain = trainer_of("cross_entropy").learn_one(x[0], 0)
    assert losses[0] == pytest.approx(plain, rel=1e-14)


IGNORED = "^y must hold a label that counts, beside ignore_index -100"


def test_where_nothing_counts_is_an_error() -> None:
    trainer = trainer_of("cross_entropy")
    before = trainer.network.state_dict()
    x, none, some = nets.inputs(3, 6), np.full(3, -100), np.array([-100, 1, 2])
    for call in (
        lambda: trainer.step(x, none),
        lambda: trainer.fit(x, none, progress=False),
        lambda: trainer.evaluate(x, none),
        lambda: trainer.learn_many(x, none),
        lambda: trainer.learn_one(x[0], -100),
        lambda: trainer.step(x, some, sample_weight=[1.0, 0.0, 0.0]),
        lambda: gd.check_gradients(trainer.network, "cross_entropy", x, none),
    ):
        with pytest.raises(ValueError, match=IGNORED):
            call()
    with pytest.raises(ValueError, match=r"^validation_data\[1\] must hold a label that counts"):
        trainer.fit(x, [0, 1, 2], validation_data=(x, none), progress=False)
    weightless = trainer_of(gd.CrossEntropy(class_weight=(1, 0, 0, 0)))
    with pytest.raises(
        ValueError, match=r"^class_weight must be above 0 for one of the labels in y"
    ):
        weightless.step(x, [1, 2, 3])
    assert trainer.steps == weightless.steps == 0
    for key, value in trainer.network.state_dict().items():
        assert_same_bits(value, before[key], key)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 4, 1], "y must hold labels from 0 to 3, got 4 at index 1"),
        ([0, -1, 1], "y must hold labels from 0 to 3, got -1 at index 1"),
        ([-100, -100, 9], "y must hold labels from 0 to 3, got 9 at index 2"),
        (np.array([2**64 - 100, 0, 1], np.uint64), "got 18446744073709551516 at index 0"),
    ],
)
def test_labels_out_of_range(y: Any, message: str) -> None:
    for loss in ("cross_entropy", "nll", gd.CrossEntropy(class_weight=WEIGHTS)):
        with pytest.raises(ValueError, match=message):
            trainer_of(loss).step(nets.inputs(3, 6), y)
    with pytest.raises(ValueError, match="y must hold labels from 0 to 3, got -100"):
        trainer_of("focal").step(nets.inputs(3, 6), [-100, 0, 1])  # it ignores none


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: gd.CrossEntropy(class_weight=[1, -1]),
            ValueError,
            r"class_weight\[1\] must be .*0",
        ),
        (
            lambda: gd.CrossEntropy(class_weight=[0, 0.0]),
            ValueError,
            "class_weight must not be all",
        ),
        (lambda: gd.NLL(class_weight=[]), ValueError, "class_weight must hold at least one"),
        (
            lambda: gd.NLL(class_weight=[1, float("nan")]),
            ValueError,
            r"class_weight\[1\] must be fin",
        ),
        (lambda: gd.NLL(class_weight=2.0), TypeError, "class_weight must be a sequence of numbers"),
        (lambda: gd.NLL(class_weight=["a"]), TypeError, r"class_weight\[0\] must be a real number"),
        (lambda: gd.NLL(ignore_index=1.0), TypeError, "ignore_index must be an integer"),
        (lambda: gd.NLL(ignore_index=2**60), ValueError, "ignore_index must be at most"),
        (lambda: gd.Focal(alpha=(1, -2)), ValueError, r"alpha\[1\] must be at least 0, got -2"),
        (lambda: gd.Focal(gamma=-1), ValueError, "gamma must be at least 0, got -1"),
        (lambda: gd.BinaryFocal(alpha=1.5), ValueError, "alpha must be at most 1, got 1.5"),
        (lambda: gd.BinaryFocal(alpha=-0.5), ValueError, "alpha must be within .* or -1 for none"),
        (
            lambda: gd.BCEWithLogits(pos_weight=-1),
            ValueError,
            "pos_weight must be at least 0, got -1",
        ),
        (lambda: gd.BCEWithLogits("a"), TypeError, "pos_weight must be a sequence of numbers"),
        (
            lambda: gd.Quantile((0.5, 1.0)),
            ValueError,
            r"quantiles\[1\] must be above 0 and below 1",
        ),
        (lambda: gd.Quantile(0.0), ValueError, "quantiles must be above 0 and below 1, got 0"),
        (lambda: gd.Quantile(()), ValueError, "quantiles must hold at least one number"),
        (lambda: gd.GaussianNLL(eps=0), ValueError, "eps must be above 0, got 0"),
        (lambda: gd.SmoothL1(beta=-1), ValueError, "beta must be at least 0, got -1"),
        (lambda: gd.PoissonNLL(full=1), TypeError, "full must be True or False, got 1"),
    ],
)
def test_parameters_out_of_their_domain(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("loss", "outputs", "message"),
    [
        (
            gd.CrossEntropy(class_weight=(1, 2)),
            3,
            "class_weight must have one weight for each of 3",
        ),
        (gd.NLL(class_weight=(1, 2, 3, 4)), 3, "each of 3 classes, got 4"),
        (gd.Focal(alpha=(1,)), 3, "alpha must have one weight for each of 3 classes, got 1"),
        (gd.BCEWithLogits((1, 2)), 3, "pos_weight must be one number or 3, .*, got 2"),
        (gd.Quantile((0.1, 0.9)), 3, "loss 'quantile' with 2 outputs for each .* multiple .*got 3"),
        (gd.GaussianNLL(), 3, "loss 'gaussian_nll' with 2 outputs for each .* got 3"),
        (gd.Focal(), 1, "loss 'focal' needs a network with an output for each of at least two"),
    ],
)
def test_parameters_that_do_not_fit_the_network(loss: Any, outputs: int, message: str) -> None:
    net = gd.Network([gd.Dense(outputs)], input_size=2)
    with pytest.raises(ValueError, match=message):
        gd.Trainer(net, loss, "sgd")
    with pytest.raises(ValueError, match=message):
        gd.check_gradients(net, loss, [[1.0, 2.0]], [0])


def test_a_parameter_that_float32_cannot_hold() -> None:
    with pytest.raises(ValueError, match="a parameter of loss 'cross_entropy'"):
        trainer_of(gd.CrossEntropy(class_weight=(1, 1e300, 1, 1)), dtype="float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 3, 9])
@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("quantile", {"quantiles": (0.1, 0.5, 0.9)}, 3),
        ("quantile", {"quantiles": (0.3,)}, 1),
        ("gaussian_nll", {"log_var": True}, 2),
        ("gaussian_nll", {"full": True}, 2),
    ],
)
def test_parts_of_the_outputs_share_their_targets(
    name: str, options: dict[str, Any], parts: int, columns: int, dtype: str
) -> None:
    p = (2 * nets.inputs(19, parts * columns)).astype(dtype)
    if name == "gaussian_nll" and not options.get("log_var"):
        p[:, columns:] = np.abs(p[:, columns:]) + dtype_of(dtype)(0.2)
    y = nets.inputs(19, columns, 8).astype(dtype)
    assert_loss(name, options, p, y, np.linspace(0.5, 2, 19).astype(dtype))
    if columns == 1:
        assert_loss(name, options, p, y.ravel())


def dtype_of(name: str) -> Any:
    return np.dtype(name).type


def test_targets_of_other_shapes_tell_what_is_expected() -> None:
    x = nets.inputs(5, 6)
    trainer = trainer_of(gd.Quantile((0.2, 0.8)))
    with pytest.raises(ValueError, match=r"y must have shape \(5, 2\), got \(5, 4\)"):
        trainer.step(x, np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"y must have shape \(2,\) for one sample"):
        trainer.learn_one(x[0], np.zeros(4))
    assert trainer.learn_one(x[0], np.zeros(2)) > 0
    one = trainer_of(gd.Quantile((0.2, 0.8)), outputs=2)
    assert one.learn_one(x[0], 0.5) > 0
    with pytest.raises(ValueError, match="y must hold numbers of at least 0, got -1"):
        trainer_of("poisson_nll").step(x, np.full((5, 4), -1.0))
    with pytest.raises(ValueError, match=r"y must hold -1 and 1 alone, got 0.5"):
        trainer_of("hinge").step(x, np.full((5, 4), 0.5))
    with pytest.raises(ValueError, match="y must hold probabilities within"):
        trainer_of("kl_div").step(x, np.full((5, 4), -0.5))
    assert np.isfinite(trainer_of(gd.KLDiv(log_target=True)).step(x, np.full((5, 4), -0.5)))


def test_quantiles_are_those_of_the_targets() -> None:
    x, y = np.ones((999, 1)), np.random.default_rng(0).exponential(size=(999, 2))
    net = gd.Network([gd.Dense(6, bias=False)], input_size=1, dtype="float64")
    trainer = gd.Trainer(net, gd.Quantile((0.1, 0.5, 0.9)), gd.Adam(lr=0.01))
    for _ in range(2000):
        trainer.step(x, y)
    found = net.predict(x[:1]).reshape(3, 2)
    for q, row in zip((0.1, 0.5, 0.9), found, strict=True):
        assert np.abs((y < row).mean(axis=0) - q).max() < 0.02


def test_margins_are_labels() -> None:
    x = nets.inputs(50, 6)
    y = np.where(x[:, :2] > 0, 1, -1)
    trainer = trainer_of("hinge", outputs=2, optimizer=gd.Adam(lr=0.02))
    history = trainer.fit(
        x, y, epochs=60, validation_data=(x, y), metrics=["accuracy", "auc"], progress=False
    )
    assert history["val_accuracy"][-1] == ((trainer.network.predict(x) > 0) == (y > 0)).mean()
    assert history["val_accuracy"][-1] > 0.9
    assert history["val_auc"][-1] > 0.9


@pytest.mark.parametrize("name", ["nll", "focal", "cross_entropy"])
def test_classes_are_judged_by_the_largest_output(name: str) -> None:
    x, y = nets.inputs(50, 6), labels(50)
    trainer = trainer_of(name)
    found = trainer.evaluate(x, y, metrics=["accuracy", gd.metrics.TopK(2)])
    assert found["accuracy"] == (trainer.network.predict(x).argmax(axis=1) == y).mean()
    assert found["top2"] >= found["accuracy"]


def test_metrics_are_of_what_counts() -> None:
    x, y = nets.inputs(50, 6), labels(50, -100)
    kept, weight = y >= 0, np.linspace(0.5, 2, 50)

    def first(y: np.ndarray, output: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        assert y.min() >= 0
        assert len(y) == len(output) == len(sample_weight if sample_weight is not None else y)
        return float(output[0, 0])

    metrics: list[Any] = ["accuracy", gd.metrics.TopK(2), first]
    for loss in ("cross_entropy", "nll", gd.CrossEntropy(class_weight=WEIGHTS)):
        trainer = trainer_of(loss)
        for given in (None, weight):
            some = None if given is None else given[kept]
            all_of_them = trainer.evaluate(x, y, given, metrics=metrics)
            counted = trainer.evaluate(x[kept], y[kept], some, metrics=metrics)
            assert all_of_them == pytest.approx(counted, rel=1e-13)
    y2 = labels(50)  # a class of its own is left out
    loss = gd.NLL(ignore_index=2)
    found = trainer_of(loss).evaluate(x, y2, metrics=[gd.metrics.TopK(1)])
    assert found["top1"] == found["accuracy"]


def test_log_cosh_keeps_its_digits() -> None:
    for d in (1e-9, 1e-4, 0.5, 1 - 1e-12, 1.0, 30.0, 1e6):
        value, _ = probe("log_cosh", np.array([[d]]), np.zeros((1, 1)))
        exact = np.log1p(2 * np.sinh(d / 2) ** 2) if d < 20 else d - np.log(2)
        assert abs(value / exact - 1) <= 4 * 2.0**-53 * 4


def test_losses_with_arrays_come_back_from_files(tmp_path: Any) -> None:
    for loss in (
        gd.CrossEntropy(ignore_index=3, class_weight=WEIGHTS),
        gd.BCEWithLogits(2.0),
        gd.BCEWithLogits((1, 2, 3, 4)),
        gd.Quantile((0.25, 0.75)),
    ):
        trainer = trainer_of(loss)
        trainer.save(tmp_path / "file")
        assert gd.Trainer.load(tmp_path / "file").loss == loss


def test_bits_do_not_depend_on_threads() -> None:
    x, y = nets.inputs(300, 6), labels(300, -100)
    states = []
    for threads in (1, 2):
        trainer = trainer_of(gd.CrossEntropy(0.1, class_weight=WEIGHTS), num_threads=threads)
        trainer.fit(x, y, epochs=2, batch_size=64, progress=False)
        states.append(trainer.network.state_dict())
    for key, value in states[0].items():
        assert_same_bits(value, states[1][key], key)

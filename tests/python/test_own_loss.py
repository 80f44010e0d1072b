"""A Python function as the loss: training as by the formula in C++, and errors that tell."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from reference.losses import PER_SAMPLE
from support import assert_same_bits, relative_error

import gdcore as gd
from gdcore.losses import LossFunction

DTYPES = ("float32", "float64")
X, Y = nets.inputs(50, 6), nets.targets("mse", 50, 4)
WEIGHT = np.linspace(0.5, 2, 50)


def function(name: str) -> Any:
    """The loss of each sample, by the oracle."""

    def own(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        losses, gradients = PER_SAMPLE[name](prediction.astype(np.float64), target)
        return losses, gradients / len(prediction)

    return own


def squares(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean alone."""
    d = prediction - target
    return float((d * d).mean()), 2 * d / d.size


def trainer_of(loss: Any, dtype: str = "float64", **options: Any) -> gd.Trainer:
    net = nets.network([6, 9, 4], ["tanh", "identity"], dtype)
    return gd.Trainer(net, loss, options.pop("optimizer", gd.Adam(lr=0.01)), **options)


def assert_close(one: gd.Trainer, other: gd.Trainer, dtype: str = "float64") -> None:
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    for key, value in one.network.state_dict().items():
        assert relative_error(value, other.network.state_dict()[key]) <= tolerance, key
    assert (one.steps, one.epochs) == (other.steps, other.epochs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_it_trains_as_the_formula_does(name: str, dtype: str) -> None:
    y = nets.targets(name, 50, 4)
    own, formula = (trainer_of(loss, dtype, clip_grad_norm=0.5) for loss in (function(name), name))
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for _ in range(3):
        assert own.step(X, y) == pytest.approx(formula.step(X, y), rel=tolerance)
        weighted = [each.step(X, y, sample_weight=WEIGHT) for each in (own, formula)]
        assert weighted[0] == pytest.approx(weighted[1], rel=tolerance)
    assert own.learn_one(X[0], y[0]) == pytest.approx(formula.learn_one(X[0], y[0]), rel=tolerance)
    assert np.allclose(own.learn_many(X[:5], y[:5]), formula.learn_many(X[:5], y[:5]), tolerance)
    options: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 16,
        "sample_weight": WEIGHT,
        "validation_data": (X[:20], y[:20], WEIGHT[:20]),
        "progress": False,
    }
    one, other = own.fit(X, y, **options), formula.fit(X, y, **options)
    assert sorted(one) == ["loss", "val_loss"]
    for key in one:
        assert np.allclose(one[key], other[key], tolerance, 0)
    found = own.evaluate(X, y, batch_size=7)
    assert found == {"loss": pytest.approx(formula.evaluate(X, y)["loss"], rel=tolerance)}
    assert_close(own, formula, dtype)


@pytest.mark.parametrize("batch_size", [1, 16, 50, None])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_those_of_the_formula(batch_size: int | None, shuffle: bool) -> None:
    own, formula = (trainer_of(loss, seed=7) for loss in (squares, "mse"))
    for trainer in (own, formula):
        trainer.fit(X, Y, epochs=2, batch_size=batch_size, shuffle=shuffle, progress=False)
    assert_close(own, formula)


def test_schedules_callbacks_and_the_progress_are_as_ever(capsys: Any) -> None:
    seen: list[float] = []

    class Watch(gd.callbacks.Callback):
        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            seen.append(loss)
            if len(seen) == 5:
                trainer.stop()

    own = trainer_of(squares, schedule=gd.schedules.Exponential(0.5))
    own.fit(X, Y, epochs=2, batch_size=25, progress=True)
    assert own.lr == 0.01 / 4
    history = own.fit(X, Y, epochs=4, batch_size=25, callbacks=[Watch()], progress=False)
    assert len(seen) == 5
    assert own.epochs == 4
    assert history["loss"][0] == pytest.approx(np.mean(seen[:2]))
    assert "loss" in capsys.readouterr().err


def test_batches_without_weight_make_no_step() -> None:
    weight = WEIGHT.copy()
    weight[10:20] = 0
    own, formula = (trainer_of(loss) for loss in (function("mse"), "mse"))
    for trainer in (own, formula):
        trainer.fit(X, Y, batch_size=10, shuffle=False, sample_weight=weight, progress=False)
    assert own.steps == 4
    assert_close(own, formula)


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_its_gradient_is_checked(name: str) -> None:
    net = nets.network([6, 5, 4], ["tanh", "identity"])
    y = nets.targets(name, 50, 4)
    own = gd.check_gradients(net, function(name), X, y, WEIGHT)
    assert own.ok
    assert own.loss == pytest.approx(gd.check_gradients(net, name, X, y, WEIGHT).loss, rel=1e-13)
    assert own.relative_error < 1e-8

    def wrong(prediction: Any, target: Any) -> Any:
        losses, gradient = function(name)(prediction, target)
        return losses, 1.0001 * gradient

    assert not gd.check_gradients(net, wrong, X, y).ok


def test_kinks_are_told_and_not_judged() -> None:
    def absolute(prediction: Any, target: Any) -> Any:
        d = prediction - target
        return np.abs(d).mean(), np.sign(d) / d.size

    net = gd.Network([gd.Dense(1, bias=False)], input_size=1, dtype="float64")
    net.load_state_dict({"0.weight": [[2.0]]})
    report = gd.check_gradients(net, absolute, [[1.0]], [[2.0]])
    (kink,) = report.parameters["0.weight"].kinks
    assert (kink.below, kink.above) == (pytest.approx(-1), pytest.approx(1))
    assert kink.backpropagation == 0
    before = net.state_dict()["0.weight"]
    assert report.ok
    assert_same_bits(net.state_dict()["0.weight"], before, "weight")


def bad_shape(prediction: Any, target: Any) -> Any:
    return 1.0, np.zeros(3)


def of_other_number(prediction: Any, target: Any) -> Any:
    return np.zeros(3), np.zeros_like(prediction)


def alone(prediction: Any, target: Any) -> Any:
    return 1.0


def in_words(prediction: Any, target: Any) -> Any:
    return "small", np.zeros_like(prediction)


def endless(prediction: Any, target: Any) -> Any:
    return float("inf"), np.zeros_like(prediction)


def steep(prediction: Any, target: Any) -> Any:
    return 1.0, np.full_like(prediction, np.nan)


def failing(prediction: Any, target: Any) -> Any:
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        (bad_shape, ValueError, r"loss bad_shape must return a gradient of shape \(50, 4\)"),
        (
            of_other_number,
            ValueError,
            r"one loss or one a sample, of shape \(50,\), got shape \(3,",
        ),
        (alone, TypeError, r"the loss alone must return a pair \(loss, gradient\), got float"),
        (in_words, TypeError, "the loss in_words: its loss must hold real numbers"),
        (endless, ValueError, "the loss endless must return finite losses, got inf"),
        (steep, ValueError, "the loss steep must return a finite gradient, got NaN"),
        (failing, KeyError, "mine"),
    ],
)
def test_what_a_function_does_wrong_is_told_and_changes_nothing(
    own: Any, error: Any, message: str
) -> None:
    trainer = trainer_of(own)
    before = trainer.network.state_dict()
    for call in (
        lambda: trainer.step(X, Y),
        lambda: trainer.learn_many(X[:50], Y),
        lambda: trainer.fit(X, Y, batch_size=None, progress=False),
        lambda: gd.check_gradients(trainer.network, own, X, Y),
    ):
        expected = error
        try:
            call()
        except FloatingPointError as raised:
            expected, text = FloatingPointError, str(raised)
            assert own in (endless, steep)
            assert "epoch 1 at step 0" in text
        except error:
            pass
        else:
            pytest.fail(f"no {expected}")
    with pytest.raises(error, match=message):
        trainer.step(X, Y)
    assert trainer.steps == trainer.epochs == 0
    for key, value in trainer.network.state_dict().items():
        assert_same_bits(value, before[key], key)
    assert trainer.network.forward(X).shape == (50, 4)


def test_an_error_within_an_epoch_leaves_the_updates_before_it() -> None:
    calls: list[int] = []

    def third_fails(prediction: Any, target: Any) -> Any:
        calls.append(len(prediction))
        if len(calls) == 3:
            raise RuntimeError("third")
        return squares(prediction, target)

    trainer, formula = trainer_of(third_fails), trainer_of("mse")
    with pytest.raises(RuntimeError, match="third"):
        trainer.fit(X, Y, batch_size=10, shuffle=False, progress=False)
    for at in (0, 10):
        formula.step(X[at : at + 10], Y[at : at + 10])
    assert_close(trainer, formula)


def test_divergence_goes_back_to_where_the_epoch_began() -> None:
    trainer = trainer_of(squares, optimizer=gd.SGD(lr=1e200, momentum=0.9))
    first = trainer_of(squares)
    before = trainer.network.state_dict()
    with (
        pytest.raises(FloatingPointError, match=r"epoch 1 at step .* learning rate 1e.200"),
        np.errstate(all="ignore"),
    ):
        trainer.fit(X, Y, batch_size=5, progress=False)
    assert trainer.steps == trainer.epochs == 0
    for key, value in trainer.network.state_dict().items():
        assert_same_bits(value, before[key], key)
    trainer.lr = 1e-3
    trainer.fit(X, Y, batch_size=5, progress=False)
    assert first.steps == 0


def test_weights_need_the_losses_of_samples() -> None:
    trainer = trainer_of(squares)
    message = r"the loss squares must return the losses of shape \(50,\) where samples have weights"
    for call in (
        lambda: trainer.step(X, Y, sample_weight=WEIGHT),
        lambda: trainer.fit(X, Y, sample_weight=WEIGHT, batch_size=50, progress=False),
        lambda: trainer.evaluate(X, Y, sample_weight=WEIGHT),
        lambda: gd.check_gradients(trainer.network, squares, X, Y, WEIGHT),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert trainer.steps == 0


@pytest.mark.parametrize(
    ("x", "y", "weight", "error", "message"),
    [
        (X[:, :3], Y, None, ValueError, r"x must have shape \(N, 6\), got \(50, 3\)"),
        (X, Y[:3], None, ValueError, r"y must have 50 rows like x, got shape \(3, 4\)"),
        (X[:0], Y[:0], None, ValueError, "x must not be empty"),
        (X * np.nan, Y, None, ValueError, "x must be finite, got NaN"),
        (X + 1j, Y, None, TypeError, "x must hold real numbers, got dtype complex128"),
        (X, Y, WEIGHT[:3], ValueError, r"sample_weight must have shape \(50,\) like x, got \(3,"),
        (X, Y, -WEIGHT, ValueError, "sample_weight must hold weights of at least 0, got -2"),
        (X, Y, 0 * WEIGHT, ValueError, "sample_weight must have a sum above 0"),
    ],
)
def test_data_are_checked(x: Any, y: Any, weight: Any, error: Any, message: str) -> None:
    trainer = trainer_of(function("mse"))
    for call in (trainer.step, partial(trainer.fit, progress=False), trainer.evaluate):
        with pytest.raises(error, match=message):
            call(x, y, sample_weight=weight)
    assert trainer.steps == 0


def test_targets_come_as_they_are_given() -> None:
    seen: list[Any] = []

    def own(prediction: Any, target: Any) -> Any:
        seen.append((prediction.dtype, target.dtype, target.shape))
        return 0.0, np.zeros_like(prediction)

    trainer = trainer_of(own, "float32")
    words = np.array(["a", "b"] * 25)
    trainer.fit(X, words, batch_size=20, progress=False, validation_data=(X, words))
    trainer.learn_one(X[0], "c")
    assert [shape for _, _, shape in seen] == [(20,), (20,), (10,), (50,), (1,)]
    assert {str(dtype) for dtype, _, _ in seen} == {"float32"}
    assert all(kind.kind == "U" for _, kind, _ in seen)


def test_metrics_and_tables() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcdef"))
    trainer = trainer_of(squares)
    trainer.step(table, Y)
    assert trainer.network.feature_names == tuple("abcdef")
    history = trainer.fit(
        table[list("fedcba")], Y, validation_data=(table, Y), metrics=["rmse"], progress=False
    )
    assert history["val_rmse"][0] == pytest.approx(history["val_loss"][0] ** 0.5)


def test_a_file_cannot_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    trainer = trainer_of(squares)
    trainer.fit(X, Y, epochs=2, progress=False)
    trainer.save(path)
    with pytest.raises(
        ValueError, match=r"loss must be given: .* function of one's own as the loss"
    ):
        gd.Trainer.load(path)
    with pytest.raises(TypeError, match="loss must be the function that was the loss"):
        gd.Trainer.load(path, loss="mse")  # type: ignore[arg-type]
    loaded = gd.Trainer.load(path, loss=squares)
    assert loaded.loss == LossFunction(squares)
    for each in (trainer, loaded):
        each.fit(X, Y, epochs=1, progress=False)
    for key, value in trainer.network.state_dict().items():
        assert_same_bits(value, loaded.network.state_dict()[key], key)
    plain = trainer_of("mse")
    plain.save(path)
    with pytest.raises(ValueError, match=r"loss must be None: .* no function of one's own"):
        gd.Trainer.load(path, loss=squares)


def test_what_is_no_function() -> None:
    net = nets.network([6, 4], ["identity"])
    with pytest.raises(TypeError, match="loss must be the name of a loss or an object, got int"):
        gd.Trainer(net, 3, "sgd")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got the class: write MSE"):
        gd.Trainer(net, gd.MSE, "sgd")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function must be callable, got int"):
        LossFunction(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="matmul_precision must be 'highest' where the loss is a"):
        gd.Trainer(
            nets.network([6, 4], ["identity"], "float32"), squares, "sgd", matmul_precision="high"
        )
    with pytest.raises(RuntimeError, match="a Python function, whose operations are not known"):
        trainer_of(squares).operations(3)


def test_objects_that_can_be_called_are_functions() -> None:
    class Own:
        def __call__(self, prediction: Any, target: Any) -> Any:
            return squares(prediction, target)

    for each in (Own(), partial(squares), lambda p, y: squares(p, y), LossFunction(squares)):
        own, formula = trainer_of(each), trainer_of("mse")
        assert own.step(X, Y) == pytest.approx(formula.step(X, Y), rel=1e-13)
        assert_close(own, formula)
    with pytest.raises(TypeError, match="the loss Own must return a pair"):
        trainer_of(type("Own", (), {"__call__": lambda *_: None})()).step(X, Y)

"""What a loss wants of the last layer, told when the trainer is made, and when a file is read."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import models
import nets
import numpy as np
import pytest
from numpy.testing import assert_allclose
from support import relative_error

import gdcore as gd
from gdcore.activations import Activation
from gdcore.losses import Loss

LOGITS = ("bce_with_logits", "cross_entropy")
ALL_LOGITS = (*LOGITS, "focal", "binary_focal", "hinge", "squared_hinge")
LOGARITHMS = ("nll", "kl_div")


def ending_in(activation: Any, outputs: int = 3) -> gd.Network:
    return gd.Network([gd.Dense(4, "tanh"), gd.Dense(outputs, activation)], input_size=2, seed=0)


def warnings_of(net: gd.Network, loss: Any) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gd.Trainer(net, loss, "sgd")
    return told


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("bce_with_logits", "sigmoid"),
        ("bce_with_logits", "softmax"),
        ("bce_with_logits", "hardsigmoid"),
        ("cross_entropy", "hardsigmoid"),
        ("cross_entropy", gd.Hardtanh(0, 1)),
        ("cross_entropy", "sigmoid"),
        (gd.CrossEntropy(label_smoothing=0.1), gd.Sigmoid()),
    ],
)
def test_probabilities_in_the_place_of_logits_are_refused(
    loss: Any, activation: Any, outputs: int
) -> None:
    name = Loss.resolve("loss", loss).name
    if outputs == 1 and name == "cross_entropy":
        return
    word = Activation.resolve("activation", activation).name
    message = f"^loss '{name}' takes logits, got a last layer with the activation '{word}', .*leave"
    with pytest.raises(ValueError, match=message):
        gd.Trainer(ending_in(activation, outputs), loss, "sgd")


@pytest.mark.parametrize("loss", LOGITS)
@pytest.mark.parametrize(
    ("activation", "bound"),
    [
        ("relu", "below 0:"),
        ("softplus", "below 0:"),
        ("tanh", "below -1 or above 1:"),
        ("elu", "below -1:"),
        (gd.ELU(0.5), "below -0.5:"),
        ("gelu", "below -0.17:"),
        ("gelu_tanh", "below -0.1701:"),
        ("silu", "below -0.28:"),
        (gd.LeakyReLU(0.0), "below 0:"),
        ("relu6", "below 0 or above 6:"),
        ("hardtanh", "below -1 or above 1:"),
        (gd.Hardtanh(-2, 3), "below -2 or above 3:"),
        ("softsign", "below -1 or above 1:"),
        ("selu", "below -1.7581:"),
        (gd.CELU(0.5), "below -0.5:"),
        ("mish", "below -0.31:"),
        ("hardswish", "below -0.375:"),
        ("logsigmoid", "above 0:"),
        (gd.Threshold(0.5, -0.25), "below -0.25:"),
    ],
)
def test_bounded_logits_are_warned_of_once_at_the_callers_line(
    activation: Any, bound: str, loss: str
) -> None:
    net = ending_in(activation, 2)
    (told,) = warnings_of(net, loss)
    assert told.category is UserWarning
    assert told.filename == __file__
    assert bound in str(told.message)
    assert f"loss '{loss}' takes logits" in str(told.message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = gd.Trainer(net, loss, "sgd")
    x, y = nets.inputs(8, 2), nets.targets(loss, 8, 2)
    trainer.fit(x, y, validation_data=(x, y), progress=False)  # no second one
    trainer.evaluate(x, y)


@pytest.mark.parametrize("loss", sorted(Loss.members))
@pytest.mark.parametrize("activation", sorted(Activation.members))
def test_all_others_go_together(activation: str, loss: str) -> None:
    unbounded = ("identity", "leaky_relu", "tanhshrink", "softshrink", "hardshrink")
    fits = loss not in ALL_LOGITS or activation in unbounded
    fits |= loss == "cross_entropy" and activation in ("softmax", "log_softmax")
    if loss in LOGARITHMS:
        fits = Activation.members[activation]().bounds[1] <= 0
    outputs = nets.outputs_for(loss, 3)
    net = ending_in(activation, outputs)
    try:
        quiet = not warnings_of(net, loss)
    except ValueError:
        quiet = False
    assert quiet == fits
    # Gradients can be checked all the same.
    y = nets.targets(loss, 5, outputs)
    given = (
        nets.loss(loss) if loss == "gaussian_nll" else loss
    )  # of variances below 0 none is right
    assert gd.check_gradients(net, given, nets.inputs(5, 2), y).ok


def test_cross_entropy_over_log_softmax_is_cross_entropy_over_logits() -> None:
    """The loss and its gradients, to rounding; bce_with_logits is another thing and warns."""
    logits, logs = ending_in("identity"), ending_in("log_softmax")
    x, y = nets.inputs(20, 2), nets.targets("cross_entropy", 20, 3)
    logs.load_state_dict(logits.state_dict())
    found = [gd.check_gradients(net, "cross_entropy", x, y) for net in (logits, logs)]
    assert abs(found[0].loss - found[1].loss) <= 1e-14
    for net in (logits, logs):
        gd.Trainer(net, "cross_entropy", gd.SGD(lr=0.1)).step(x, y)
    for key, value in logits.state_dict().items():
        assert_allclose(logs.state_dict()[key], value, rtol=0, atol=1e-6)
    assert_allclose(logs.predict_proba(x), logits.predict_proba(x), rtol=0, atol=1e-6)
    assert (logs.predict_classes(x) == logits.predict_classes(x)).all()
    (told,) = warnings_of(logs, "bce_with_logits")
    assert "'log_softmax' gives none above 0" in str(told.message)


@pytest.mark.parametrize("weights", [None, (0.2, 1.0, 3.0)])
def test_nll_over_log_softmax_trains_as_cross_entropy_over_logits(weights: Any) -> None:
    nets_, losses = [], []
    for activation, kind in (("identity", gd.CrossEntropy), ("log_softmax", gd.NLL)):
        net = nets.network([2, 8, 3], ["tanh", activation], "float64", seed=1)
        loss = kind(class_weight=weights, ignore_index=-1)
        assert not warnings_of(net, loss)
        trainer = gd.Trainer(net, loss, gd.SGD(lr=0.1, momentum=0.9))
        x, y = nets.inputs(1600, 2), nets.targets("nll", 1600, 3)
        y[::7] = -1
        steps = [trainer.step(x[i : i + 16], y[i : i + 16]) for i in range(0, 1600, 16)]
        nets_.append(net)
        losses.append([*steps, *trainer.evaluate(x, y).values()])
    logits, logs = nets_
    assert_allclose(losses[1], losses[0], rtol=1e-10)
    for key, value in logits.state_dict().items():
        assert relative_error(logs.state_dict()[key], value) <= 1e-10
    assert_allclose(logs.predict_proba(x), logits.predict_proba(x), rtol=1e-10)
    assert (logs.predict_classes(x) == logits.predict_classes(x)).all()


def test_kl_div_over_log_softmax_is_cross_entropy_less_entropy() -> None:
    """Of probabilities: the same gradients."""
    logits, logs = (
        nets.network([2, 8, 3], ["tanh", each], "float64", seed=1)
        for each in ("identity", "log_softmax")
    )
    x, y = nets.inputs(16, 2), nets.targets("kl_div", 16, 3)
    assert not warnings_of(logs, "kl_div")
    entropy = -(y * np.log(y)).sum(axis=1).mean()
    cross = gd.Trainer(logits, "cross_entropy", gd.SGD(lr=0.1))
    divergence = gd.Trainer(logs, "kl_div", gd.SGD(lr=0.1))
    for _ in range(20):
        assert abs(divergence.step(x, y) - (cross.step(x, y) - entropy)) <= 1e-14
    for key, value in logits.state_dict().items():
        assert relative_error(logs.state_dict()[key], value) <= 1e-10


def test_bounds_are_bounds() -> None:
    z = np.r_[np.linspace(-40, 40, 40001), -400, 400][:, None]
    for name in nets.ELEMENTWISE:
        net = gd.Network([gd.Dense(1, name, bias=False)], input_size=1, dtype="float64")
        net.load_state_dict({"0.weight": [[1.0]]})
        low, high = Activation.members[name]().bounds
        got = net.predict(z)
        assert low <= got.min() <= (low + 0.01 if np.isfinite(low) else -0.3), name
        assert (high - 0.01 if np.isfinite(high) else 39) <= got.max() <= high, name


@pytest.mark.parametrize("y", [[0, 0, 0], [[1.0], [1.0], [1.0]]])
@pytest.mark.parametrize("loss", ["cross_entropy", gd.CrossEntropy(label_smoothing=0.2)])
@pytest.mark.parametrize("activation", ["identity", "softmax"])
def test_classes_need_two_outputs(activation: str, loss: Any, y: Any) -> None:
    net = gd.Network([gd.Dense(1, activation)], input_size=2)
    message = "^loss 'cross_entropy' needs a network with an output for each of at least two "
    with pytest.raises(ValueError, match=message):
        gd.Trainer(net, loss, "sgd")
    with pytest.raises(ValueError, match=message):
        gd.check_gradients(net, loss, nets.inputs(3, 2), y)


@pytest.mark.parametrize(
    ("loss", "activation", "outputs"),
    [
        ("bce_with_logits", "sigmoid", 1),
        ("cross_entropy", "sigmoid", 3),
        ("cross_entropy", "identity", 1),
        ("bce_with_logits", "relu", 2),
    ],
)
def test_a_file_of_old_stays_readable_and_tells(
    loss: str, activation: str, outputs: int, tmp_path: Path
) -> None:
    """Written under another loss, since none such can be made any more."""
    trainer = gd.Trainer(ending_in(activation, outputs), "mse", "adam")
    x = nets.inputs(6, 2)
    trainer.step(x, nets.targets("mse", 6, outputs))
    trainer.save(tmp_path / "now")
    arrays, description = models.unpacked(tmp_path / "now")
    parameters = {"label_smoothing": 0.0} if loss == "cross_entropy" else {}
    description["loss"] = {"name": loss, **parameters}
    models.pack(tmp_path / "old", arrays, description)
    for network in (None, ending_in(activation, outputs)):
        with pytest.warns(UserWarning, match="^the trainer is read as it was saved, but ") as told:
            loaded = gd.Trainer.load(tmp_path / "old", network=network)
        (one,) = told
        assert one.filename == __file__
        assert loaded.loss is not None
        assert loaded.loss.name == loss
        loaded.step(x, nets.targets(loss, 6, outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gd.Network.load(tmp_path / "old")
    # What is new is checked as before.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, UserWarning), match=re.escape(f"loss {loss!r}")):
            gd.Trainer(loaded.network, loss, "adam")

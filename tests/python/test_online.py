"""Samples one by one, clipping, and what a fit leaves behind when it ends early."""

from __future__ import annotations

import sys
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_bits, assert_same_state, relative_error

import gdcore as gd

DTYPES = ("float32", "float64")


def pair(dtype: str = "float64", **options: Any) -> list[gd.Trainer]:
    """Two trainers of equal networks."""
    made = []
    for _ in range(2):
        net = nets.network([6, 11, 4], ["tanh", "identity"], dtype)
        made.append(gd.Trainer(net, options.get("loss", "mse"), gd.Adam(lr=0.01)))
    return made


# ---- online ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", nets.LOSSES)
def test_a_sample_is_a_batch_of_one(loss: str, dtype: str) -> None:
    one, steps = pair(dtype, loss=nets.loss(loss))
    many, _ = pair(dtype, loss=nets.loss(loss))
    x, y = nets.inputs(9, 6), nets.targets(loss, 9, 4)
    losses = [one.learn_one(x[i], y[i]) for i in range(9)]
    assert all(type(value) is float for value in losses)
    assert losses == [steps.step(x[i : i + 1], y[i : i + 1]) for i in range(9)]
    found = many.learn_many(x, y)
    assert_same_bits(found, np.array(losses), "losses")
    assert one.steps == many.steps == 9
    assert one.epochs == many.epochs == 0
    assert_same_state(one.network.state_dict(), steps.network.state_dict())
    assert_same_state(many.network.state_dict(), steps.network.state_dict())


def test_samples_may_come_in_any_mixture_with_batches() -> None:
    one, steps = pair()
    x, y = nets.inputs(20, 6), nets.targets("mse", 20, 4)
    for turn in range(3):
        assert one.learn_one(x[turn], y[turn]) == steps.step(x[turn, None], y[turn, None])
        assert one.step(x, y) == steps.step(x, y)
        one.learn_many(x[:4], y[:4])
        steps.fit(x[:4], y[:4], batch_size=1, shuffle=False, progress=False)
        histories = [t.fit(x, y, batch_size=7, shuffle=False, progress=False) for t in (one, steps)]
        assert histories[0] == histories[1]
    assert_same_state(one.network.state_dict(), steps.network.state_dict())


def test_one_output_takes_a_number() -> None:
    net, twin = (nets.network([3, 1], ["identity"]) for _ in range(2))
    trainer, again = (gd.Trainer(n, "mse", "sgd") for n in (net, twin))
    assert trainer.learn_one([1, 2, 3], 0.5) == again.learn_one([1, 2, 3], [0.5])
    assert_same_state(net.state_dict(), twin.state_dict())


LABEL_SCALARS = [True, *(kind(1) for kind in (np.bool_, np.int64, np.uint8, np.int16, np.uint64))]


@pytest.mark.parametrize("label", LABEL_SCALARS, ids=lambda label: type(label).__name__)
@pytest.mark.parametrize("loss", ["cross_entropy", "bce_with_logits"])
def test_scalars_of_numpy_are_targets_as_pythons_are(label: Any, loss: str) -> None:
    outputs = 1 if loss == "bce_with_logits" else 4
    taught = [
        gd.Trainer(nets.network([6, outputs], ["identity"], "float32"), loss, "adam")
        for _ in range(2)
    ]
    x = nets.inputs(1, 6)[0].astype(np.float32)
    assert taught[0].learn_one(x, label) == taught[1].learn_one(x, 1)
    assert_same_state(*(each.network.state_dict() for each in taught))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_a_label_that_is_no_integer_is_told_by_its_type(kind: Any) -> None:
    trainer, _ = pair("float32", loss="cross_entropy")
    x = nets.inputs(1, 6)[0].astype(np.float32)
    with pytest.raises(TypeError, match=f"got {np.dtype(kind).name} of shape"):
        trainer.learn_one(x, kind(1))
    with pytest.raises(ValueError, match=r"label from 0 to 3, got 18446744073709551615"):
        trainer.learn_one(x, np.uint64(2**64 - 1))
    numbers = gd.Trainer(nets.network([6, 1], ["identity"], "float32"), "mse", "adam")
    assert numbers.learn_one(x, kind(0.5)) == pytest.approx(
        gd.Trainer(nets.network([6, 1], ["identity"], "float32"), "mse", "adam").learn_one(x, 0.5)
    )


@pytest.mark.parametrize("call", ["learn_one", "learn_many"])
def test_without_a_loss_nothing_is_learnt(call: str) -> None:
    trainer = gd.Trainer(nets.network([6, 4], ["identity"]), None, "sgd")
    with pytest.raises(RuntimeError, match="loss"):
        getattr(trainer, call)(nets.inputs(1, 6), nets.targets("mse", 1, 4))


# ---- clipping ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.3, 0.999, 1.001, 50.0])
def test_a_gradient_is_clipped_by_the_norm_of_all_parameters(share: float, dtype: str) -> None:
    """With SGD at rate 1 a step is the gradient."""
    net = nets.network([6, 11, 4], ["tanh", "identity"], dtype)
    x, y = nets.inputs(8, 6).astype(dtype), 5 * nets.targets("mse", 8, 4).astype(dtype)
    before = net.state_dict()
    net.backward(2 / 32 * (net.forward(x, training=True) - y))
    gradients = {key: value.astype(np.float64) for key, value in net.gradients().items()}
    norm = float(np.sqrt(sum((value**2).sum() for value in gradients.values())))
    limit = share * norm
    scale = limit / (norm + 1e-6) if norm > limit else 1.0
    for loss in ("mse", None):
        net.load_state_dict(before)
        trainer = gd.Trainer(net, loss, gd.SGD(lr=1.0), clip_grad_norm=limit)
        if loss:
            trainer.step(x, y)
        else:
            net.backward(2 / 32 * (net.forward(x, training=True) - y))
            trainer.apply_gradients()
        for key, value in net.state_dict().items():
            expected = before[key].astype(np.float64) - scale * gradients[key]
            assert relative_error(value, expected) <= 64 * float(np.finfo(dtype).eps), key


# ---- a fit that ends early ----


def test_the_history_is_there_while_and_after_a_fit() -> None:
    trainer, _ = pair()
    x, y = nets.inputs(20, 6), nets.targets("mse", 20, 4)
    assert trainer.history == gd.History()
    first = trainer.fit(x, y, epochs=2, progress=False)
    assert trainer.history is first
    second = trainer.fit(x, y, epochs=3, progress=False)
    assert trainer.history is second
    assert len(first["loss"]) == 2
    with pytest.raises(ValueError, match="epochs"):
        trainer.fit(x, y, epochs=0, progress=False)
    assert trainer.history is second


@pytest.mark.parametrize("validation", [False, True])
def test_an_interrupted_fit_leaves_the_epochs_it_finished(
    validation: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C in the third epoch."""
    trainer, other = pair()
    x, y = nets.inputs(20, 6), nets.targets("mse", 20, 4)
    options: dict[str, Any] = {"validation_data": (x, y)} if validation else {}

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            if name == "fit_epoch" and trainer.epochs == 2:
                raise KeyboardInterrupt
            return getattr(native, name)

    native = trainer._native
    monkeypatch.setattr(trainer, "_native", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, epochs=5, progress=False, **options)
    expected = other.fit(x, y, epochs=2, progress=False, **options)
    assert dict(trainer.history) == dict(expected)


def test_a_loss_that_diverges_raises_and_goes_back_to_the_epoch() -> None:
    net = nets.network([6, 11, 4], ["relu", "identity"])
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e-3, momentum=0.9))
    x, y = nets.inputs(20, 6), nets.targets("mse", 20, 4)
    trainer.fit(x, y, epochs=2, progress=False)
    before, steps = net.state_dict(), trainer.steps
    trainer.lr = 1e200
    with pytest.raises(FloatingPointError, match=r"epoch 3 at step \d+ with learning rate 1e\+200"):
        trainer.fit(x, y, epochs=2, batch_size=1, progress=False)
    assert_same_state(net.state_dict(), before)
    assert (trainer.steps, trainer.epochs) == (steps, 2)
    assert dict(trainer.history) == {}


def test_without_standard_error_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under pythonw, or in a service that closed it."""
    trainer, quiet = pair()
    x, y = nets.inputs(20, 6), nets.targets("mse", 20, 4)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        history = trainer.fit(x, y, epochs=2, progress=True)
    assert history == quiet.fit(x, y, epochs=2, progress=False)

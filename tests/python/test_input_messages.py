"""What is wrong with an array is told with its argument and its place."""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd

ROWS = 3001
X, Y = nets.inputs(ROWS, 3), nets.targets("mse", ROWS, 2)


def new(dtype: str = "float32", **options: Any) -> gd.Trainer:
    return gd.Trainer(
        nets.network([3, 4, 2], ["tanh", "identity"], dtype), "mse", "adam", **options
    )


# ---- numbers that are not finite ----


def put(array: Any, place: Any, value: float) -> Any:
    changed = np.array(array)
    changed[place] = value
    return changed


CALLS: dict[str, tuple[Any, str]] = {
    "step": (lambda t, x: t.step(x, Y), "x"),
    "fit": (lambda t, x: t.fit(x, Y, epochs=1, progress=False), "x"),
    "validation": (
        lambda t, x: t.fit(X, Y, validation_data=(x, Y), epochs=1, progress=False),
        "validation_data[0]",
    ),
    "learn_many": (lambda t, x: t.learn_many(x, Y), "x"),
    "evaluate": (lambda t, x: t.evaluate(x, Y), "x"),
    "predict": (lambda t, x: t.network.predict(x), "x"),
    "forward": (lambda t, x: t.network.forward(x, training=True), "x"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("place", "value", "told"),
    [((2999, 1), np.nan, "NaN"), ((0, 0), -np.inf, "infinity"), ((1500, 2), np.inf, "infinity")],
)
@pytest.mark.parametrize("call", CALLS)
def test_the_row_and_the_column_are_named(
    call: str, place: tuple[int, int], value: float, told: str, dtype: str
) -> None:
    trainer = new(dtype)
    act, name = CALLS[call]
    words = f"{name} must be finite in {dtype}, got {told} at row {place[0]}, column {place[1]}"
    for order in "CF":
        with pytest.raises(ValueError, match="must be finite") as caught:
            act(trainer, np.array(put(X, place, value), dtype, order=order))
        assert str(caught.value) == words
    assert trainer.steps == 0


def test_the_place_in_targets_weights_and_samples_is_named() -> None:
    trainer, weight = new(), np.ones(ROWS)
    for call, words in (
        (lambda: trainer.step(X, put(Y, (7, 1), np.nan)), "y .* got NaN at row 7, column 1"),
        (
            lambda: trainer.step(X, Y, put(weight, 2000, np.inf)),
            "sample_weight .* got infinity at index 2000",
        ),
        (lambda: trainer.learn_one(put(X[0], 2, np.nan), Y[0]), "x .* got NaN at index 2"),
        (
            lambda: trainer.network.load_state_dict(
                trainer.network.state_dict() | {"0.bias": [0, 0, np.nan, 0]}
            ),
            r"state\['0.bias'\] .* got NaN at index 2",
        ),
        (lambda: trainer.step(put(X, (5, 1), 1e39), Y), "x .* got infinity at row 5, column 1"),
    ):
        with pytest.raises(ValueError, match=f"^{words}$"):
            call()
    assert trainer.steps == 0


# ---- tensors ----


def test_a_tensor_that_requires_grad_is_told_with_its_argument() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, y = torch.ones(5, 3, requires_grad=True), torch.ones(5, 2, requires_grad=True)
    ones, weight = np.ones((5, 3)), torch.ones(5, requires_grad=True)
    trainer = new()
    state = {"0.weight": torch.ones(4, 3, requires_grad=True)}
    calls: dict[str, Any] = {
        "x": lambda: trainer.step(x, np.ones((5, 2))),
        "y": lambda: trainer.step(ones, y),
        "sample_weight": lambda: trainer.step(ones, np.ones((5, 2)), weight),
        "validation_data[0]": lambda: trainer.fit(
            ones, np.ones((5, 2)), epochs=1, validation_data=(x, y), progress=False
        ),
        "a": lambda: gd.matmul(x, ones.T),
        "state['0.weight']": lambda: trainer.network.load_state_dict(
            trainer.network.state_dict() | state
        ),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match="requires grad") as caught:
            call()
        assert str(caught.value).startswith(f"{name} cannot be made an array: ")
    with pytest.raises(ValueError, match=r"^x cannot be made an array: .*requires grad"):
        trainer.network.predict([x[0], x[1]])
    assert trainer.steps == 0


def test_whatever_an_array_raises_is_told_with_its_argument() -> None:
    class Broken:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise LookupError("nowhere to be found")

    with pytest.raises(ValueError, match=r"^y cannot be made an array: nowhere to be found$"):
        new().step(X, Broken())

    class Stopped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new().step(X, Stopped())


# ---- numbers that vanish ----


@pytest.mark.parametrize("tiny", [1e-50, 1e-45, 1e-38, 5e-324])
@pytest.mark.parametrize("convert", [list, np.array, lambda row: np.array(row, np.longdouble)])
def test_a_weight_that_vanishes_is_refused(tiny: float, convert: Any) -> None:
    weight = convert([1.0, 0.0, tiny, 2.0])
    words = rf"must hold zeros or weights of at least 1.17549e-38 in float32, got {tiny:.6g}$"
    trainer = new()
    with pytest.raises(ValueError, match=f"^sample_weight {words}"):
        trainer.step(X[:4], Y[:4], weight)
    with pytest.raises(ValueError, match=rf"^validation_data\[2\] {words}"):
        trainer.fit(X, Y, epochs=1, validation_data=(X[:4], Y[:4], weight), progress=False)
    assert trainer.steps == 0
    if tiny > 1e-300:  # no denormal
        new("float64").step(X[:4], Y[:4], weight)


@pytest.mark.parametrize("tiny", [1e-50, -1e-60, 1e-40])
def test_parameters_that_vanish_are_told(tiny: float) -> None:
    net = new().network
    state = {key: array.astype(np.float64) for key, array in net.state_dict().items()}
    state["0.weight"][1:3, 2] = tiny
    words = r"^state\['0.weight'\] holds numbers that are taken for 0 in float32: 2, the first "
    with pytest.warns(UserWarning, match=f"{words}{tiny:g}$") as told:
        net.load_state_dict(state)
    assert told[0].filename == __file__
    other = new().network
    before = other.state_dict()
    with pytest.raises(UserWarning):  # warnings are errors here
        other.load_state_dict(state)
    assert_same_state(other.state_dict(), before)
    new("float64").network.load_state_dict(state)


def test_zeros_and_a_networks_own_numbers_are_not_told() -> None:
    net = new().network
    state = net.state_dict()
    state["0.weight"][:] = 0
    state["1.weight"][:] = 1e-40  # of float32
    net.load_state_dict(state)
    net.load_state_dict({key: array.astype(np.float64) * 0 for key, array in state.items()})


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("lr", lambda: gd.Trainer(new().network, "mse", gd.SGD(lr=1e-50))),
        ("eps", lambda: gd.Trainer(new().network, "mse", gd.Adam(eps=1e-46))),
        ("weight_decay", lambda: gd.Trainer(new().network, "mse", gd.SGD(weight_decay=1e-300))),
        ("a parameter of loss 'huber'", lambda: gd.Trainer(new().network, gd.Huber(1e-50), "sgd")),
        ("clip_grad_norm", lambda: new(clip_grad_norm=1e-50)),
        ("lr", lambda: setattr(new(), "lr", 1e-39)),
    ],
)
def test_a_hyperparameter_that_vanishes_is_refused(name: str, make: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number that float32 can hold, got "):
        make()
    new(clip_grad_norm=1e300)  # never clips


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("weight_init", lambda bad: gd.Dense(3, weight_init=bad)),
        ("bias_init", lambda bad: gd.Dense(3, bias_init=bad)),
        ("per", lambda bad: gd.schedules.Step(3, per=bad)),
        ("mode", lambda bad: gd.callbacks.EarlyStopping(mode=bad)),
        ("lr", lambda bad: gd.Adam(lr=bad)),
        ("f", lambda bad: gd.numerical_gradient(bad, [1.0])),
        ("gradients", lambda bad: gd.Adam().bind([np.zeros(3)]).step(bad)),
    ],
)
@pytest.mark.parametrize(
    "bad",
    [np.ones(2), np.array(1), np.timedelta64(1, "s"), memoryview(np.ones((2, 2)))],
    ids=lambda bad: type(bad).__name__,
)
def test_what_is_no_word_number_or_function_is_told_with_its_argument(
    argument: str, call: Any, bad: Any
) -> None:
    """Also what cannot be compared, iterated over or made the number that it says it is."""
    with pytest.raises((TypeError, ValueError), match=f"^{argument}"):
        call(bad)


@pytest.mark.parametrize("w", [[[1.0, 2.0], [3.0]], np.ma.masked_array([1.0, 2.0], [0, 1])])
def test_where_to_differentiate_is_told(w: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^w "):
        gd.numerical_gradient(lambda w: w.sum(), w)

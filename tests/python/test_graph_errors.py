"""What networks of several inputs and outputs refuse, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import KIND, LOSS, PRICE, WEIGHTS, XA, XB, N, X, Y, network, trainer_of

import gdcore as gd


def _ab(name: str = "b") -> tuple[gd.Input, gd.Input]:
    return gd.Input(5, name="a"), gd.Input(3, name=name)


def _joined(**arguments: Any) -> gd.Network:
    a, b = _ab()
    return gd.Network(inputs=[a, b], outputs=gd.Concat()(a, b), **arguments)


def _outputs(outputs: Any, inputs: Any = None) -> gd.Network:
    x = gd.Input(5)
    made = outputs(x) if callable(outputs) else outputs
    return gd.Network(inputs=x if inputs is None else inputs, outputs=made)


def _shared_softmax() -> gd.Trainer:
    x = gd.Input(5)
    p = gd.Dense(4, "softmax")(x)
    net = gd.Network(inputs=x, outputs={"p": p, "q": gd.Dense(2)(p)})
    return gd.Trainer(net, {"p": "cross_entropy", "q": "mse"}, "adam")


def _coded(categories: tuple[int, ...] = (5, 7), **arguments: Any) -> gd.Network:
    c = gd.Input(categories=categories, name="c")
    return gd.Network([gd.Dense(3)], inputs=c, **arguments)


# What is made, the error, and words of its message.
WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: gd.Input(), TypeError, "either size, for real numbers, or categories, for codes, got"),
    (lambda: gd.Input(3, categories=[2]), TypeError, "got both"),
    (lambda: gd.Input(0), ValueError, "size must be at least 1, got 0"),
    (lambda: gd.Input(categories=[]), ValueError, "an integer for each column, got none"),
    (lambda: gd.Input(categories=[3, 0]), ValueError, "categories[1] must be at least 1, got 0"),
    (lambda: gd.Input(categories=3), TypeError, "categories must be a sequence of integers"),
    (lambda: gd.Input(3, name=""), ValueError, "name must not be empty"),
    (lambda: gd.Dense(3)(XA), TypeError, "got ndarray: a layer describes, and computes nothing"),
    (lambda: gd.Dense(3)(*_ab()), TypeError, "Dense reads one value, got 2: Concat() or Add()"),
    (lambda: gd.Add()([*_ab()]), TypeError, "write Add(...)(a, b), without brackets"),
    (lambda: gd.Add()(), TypeError, "Add reads at least one value, got none"),
    (lambda: gd.ReLU()("h"), TypeError, "ReLU is called on nodes, as Input(8), got str"),
    (lambda: gd.Network(), TypeError, "needs layers, or inputs and outputs"),
    (lambda: gd.Network([gd.Dense(3)]), TypeError, "needs input_size, or inputs, got neither"),
    (lambda: gd.Network([gd.Dense(3)], input_size=3, inputs=gd.Input(3)), TypeError, "together"),
    (lambda: gd.Network([gd.Dense(3)], outputs=gd.Input(3)), TypeError, "given together"),
    (lambda: gd.Network([gd.Dense(3)], inputs=_ab()), TypeError, "must be one gdcore.Input"),
    (lambda: gd.Network(outputs=gd.Dense(3)(gd.Input(3))), TypeError, "needs its inputs"),
    (lambda: _outputs(lambda x: x), ValueError, "made by at least one layer, got an input itself"),
    (lambda: _outputs({}), ValueError, "outputs must have at least one node, got none"),
    (lambda: _outputs(lambda x: [x]), TypeError, "a node or a dict of nodes by name, got list"),
    (lambda: _outputs(lambda x: {"y": 3}), TypeError, "outputs['y'] must be a node, got int"),
    (lambda: _outputs(lambda x: {3: x}), TypeError, "a name in outputs must be a string"),
    (
        lambda: _outputs(lambda x: {"val_y": gd.Dense(3)(x)}),
        ValueError,
        "must not begin with 'val'",
    ),
    (lambda: _outputs(lambda x: gd.Dense(3)(x), [5]), TypeError, "inputs[0] must be a gdcore.Inp"),
    (lambda: _outputs(lambda x: gd.Dense(3)(x), []), ValueError, "at least one Input, got none"),
    (
        lambda: _outputs(lambda x: gd.Dense(3)(x), gd.Input(5, name="other")),
        ValueError,
        "got one made of Input(5) too, which is not among inputs",
    ),
    (
        lambda: _outputs(lambda x: gd.Dense(3, name="d")(gd.Dense(5, name="d")(x))),
        ValueError,
        "got 'd' twice: a layer with a name can be called once",
    ),
    (
        lambda: gd.Network(inputs=_ab("a"), outputs=gd.Concat()(*_ab("a"))),
        ValueError,
        "inputs[0] and inputs[1] must have different names, got 'a' twice",
    ),
    (
        lambda: gd.Network(inputs=[gd.Input(3), gd.Input(2)], outputs=gd.Dense(1)(gd.Input(3))),
        ValueError,
        "inputs[0] must have a name where there are several, got Input(3)",
    ),
    (
        lambda: (lambda a, b: gd.Network(inputs=[a, b], outputs=gd.Dense(1)(a)))(*_ab()),
        ValueError,
        "inputs[1], Input(3, name='b'), is read by nothing that makes outputs",
    ),
    (
        lambda: (lambda a, b: gd.Network(inputs=[a, b], outputs=gd.Add()(a, b)))(*_ab()),
        ValueError,
        "layer '0' adds values of one width, got 5 and 3",
    ),
    (lambda: _outputs(lambda x: gd.Add()(x)), ValueError, "layer '0' adds at least 2 values"),
    (_coded, ValueError, "layer '0' of kind 'dense' reads numbers, and input 'c' holds codes"),
    (lambda: _coded((2**24 + 1,)), ValueError, "input 'c' has 16777217 categories in column 0"),
    (lambda: network().predict(XA), TypeError, "x must be a dict with an array for each in"),
    (lambda: network().predict({"a": XA}), ValueError, "x lacks the input 'b'"),
    (lambda: network().predict({**X, "c": XB}), ValueError, "x has 'c', which is no input: there"),
    (
        lambda: network().predict({"a": XA, "b": XB[:7]}),
        ValueError,
        "x['b'] must have 60 rows like x['a'], got 7",
    ),
    (
        lambda: network().predict({"a": XA, "b": XA}),
        ValueError,
        "x['b'] must have shape (N, 3), got (60, 5)",
    ),
    (
        lambda: network().predict({"a": XA, "b": XB * np.nan}),
        ValueError,
        "x['b'] must be finite in float64, got NaN at row 0, column 0",
    ),
    (
        lambda: gd.Network([gd.Dense(3)], input_size=5).predict({"x": XA}),
        TypeError,
        "x must be an array, got a dict",
    ),
    (lambda: network().backward(XA), TypeError, "grad_output must be a dict with what belongs to"),
    (lambda: network().backward({"price": PRICE}), ValueError, "grad_output lacks the output"),
    (
        lambda: network().backward({"price": PRICE, "kind": PRICE}),
        ValueError,
        "grad_output['kind'] must have shape (60, 4), got (60, 1)",
    ),
    (lambda: gd.Trainer(network(), "mse", "adam"), TypeError, "loss must be a dict with what belo"),
    (
        lambda: gd.Trainer(network(), {"price": "mse"}, "adam"),
        ValueError,
        "loss lacks the output 'kind'",
    ),
    (
        lambda: gd.Trainer(network(), {**LOSS, "size": "mse"}, "adam"),
        ValueError,
        "loss has 'size', which is no output: there are 'price', 'kind'",
    ),
    (
        lambda: gd.Trainer(network(), {**LOSS, "kind": "mes"}, "adam"),
        ValueError,
        "loss['kind'] must be one of",
    ),
    (
        lambda: gd.Trainer(network(), {**LOSS, "kind": lambda p, y: (0, p)}, "adam"),
        TypeError,
        "loss['kind'] must be a loss of gdcore: a function is for one output",
    ),
    (
        lambda: gd.Trainer(network(), {**LOSS, "price": "cross_entropy"}, "adam"),
        ValueError,
        "output 'price': loss 'cross_entropy' needs a network with an output for each",
    ),
    (_shared_softmax, ValueError, "output 'p': loss 'cross_entropy' takes logits, and the last"),
    (
        lambda: gd.Trainer(gd.Network([gd.Dense(1)], input_size=2), LOSS, "adam"),
        TypeError,
        "loss must be one loss: the network's outputs have no names",
    ),
    (
        lambda: gd.Trainer(network(), None, "adam", loss_weights=WEIGHTS),
        ValueError,
        "loss_weights are for the losses of several outputs, got them without a loss",
    ),
    (
        lambda: trainer_of(network(), loss_weights={"kinds": 1}),
        ValueError,
        "loss_weights has 'kinds', which is no output",
    ),
    (
        lambda: trainer_of(network(), loss_weights={"kind": -1}),
        ValueError,
        "loss_weights['kind'] must be at least 0, got -1",
    ),
    (
        lambda: trainer_of(network(), loss_weights={"kind": 0, "price": 0}),
        ValueError,
        "loss_weights must be above 0 for one output, got 0 for all of them",
    ),
    (lambda: trainer_of(network()).step(X, PRICE), TypeError, "y must be a dict with an array for"),
    (lambda: trainer_of(network()).step(X, {"price": PRICE}), ValueError, "y lacks the output"),
    (
        lambda: trainer_of(network()).step(X, {**Y, "kind": KIND + 1}),
        ValueError,
        "y['kind'] must hold labels from 0 to 3, got 4 at index",
    ),
    (
        lambda: trainer_of(network()).learn_one(X, Y),
        ValueError,
        "x['a'] must have shape (5,), got (60, 5)",
    ),
    (
        lambda: trainer_of(network()).step(X, Y, {"kinds": KIND}),
        ValueError,
        "sample_weight has 'kinds', which is no output",
    ),
    (
        lambda: trainer_of(network()).step(X, Y, {"kind": -np.ones(N)}),
        ValueError,
        "sample_weight['kind'] must hold weights of at least 0, got -1",
    ),
    (
        lambda: trainer_of(network()).fit(X, Y, epochs=1, validation_data=(X, {"price": PRICE})),
        ValueError,
        "validation_data[1] lacks the output 'kind'",
    ),
    (
        lambda: trainer_of(network()).evaluate(X, Y, metrics=["auc"]),
        TypeError,
        "metrics must be a dict with what belongs to each output",
    ),
    (
        lambda: gd.check_gradients(network(), {"price": "mse"}, X, Y),
        ValueError,
        "loss lacks the output 'kind'",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_is_told(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as told:
        make()
    assert words in str(told.value)


def test_an_error_leaves_everything_as_it_was() -> None:
    trainer = trainer_of(network())
    before = trainer.network.state_dict()
    with pytest.raises(ValueError, match="got 4 at index"):
        trainer.step(X, {**Y, "kind": KIND + 1})
    assert trainer.steps == 0
    for key, value in trainer.network.state_dict().items():
        np.testing.assert_array_equal(value, before[key])

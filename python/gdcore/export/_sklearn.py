"""Networks of scikit-learn's fitted perceptrons, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gdcore._check import listed
from gdcore.activations import Activation
from gdcore.export._needed import needed
from gdcore.export._shapes import activation_of, cannot, checked_network
from gdcore.layers import Dense, Dropout
from gdcore.network import Network

__all__ = ["from_sklearn", "to_sklearn"]

_TARGET = "scikit-learn"
# What it knows.
KINDS = ("dense", "dropout")
# By our names, what may stand behind hidden layers there.
HIDDEN = {"identity": "identity", "relu": "relu", "sigmoid": "logistic", "tanh": "tanh"}
# What may stand at the end; its own is decided by the classes.
LAST = {"identity": None, "sigmoid": "logistic", "softmax": "softmax"}


def from_sklearn(estimator: Any) -> Network:
    """Makes a network of a fitted perceptron of scikit-learn, or of `gdcore.sklearn`.

    Args:
        estimator: A fitted ``MLPClassifier`` or ``MLPRegressor``.

    Returns:
        A network of the dtype of its weights, that knows the names of its columns. Its outputs are
        numbers, or logits, so that ``"cross_entropy"`` or ``"bce_with_logits"`` goes on training
        it: `Network.predict_proba` gives the probabilities, of two classes that of the
        second alone, of several labels with ``task="binary"``. Where it takes ``exp`` at the end,
        outputs are logarithms.

    Raises:
        ImportError: scikit-learn is not installed; the extra is ``gdcore[sklearn]``.
        TypeError: It is another estimator.
        ValueError: It is not fitted (scikit-learn's ``NotFittedError``).
    """
    from gdcore import sklearn as ours

    if not isinstance(estimator, ours.MLP):
        estimator = ours.from_sklearn(estimator)
    network: Network = estimator.network_
    return network


def to_sklearn(net: Network, classes: Sequence[Any] | None = None) -> Any:
    """Makes a fitted perceptron of scikit-learn of a network.

    Args:
        net: A row of `Dense` layers, all but the last with one activation that scikit-learn knows:
            identity, sigmoid (its ``"logistic"``), tanh or relu. The last is linear; for classes
            it may have sigmoid or softmax. Dropout, which does nothing at inference, may stand
            between.
        classes: What the classes are called, in the order of the outputs, of one output two; None
            makes a regressor.

    Returns:
        A ``MLPClassifier`` or ``MLPRegressor`` of ``sklearn.neural_network``, which predicts what
        the network does: of classes the largest, with `Network.predict_proba`'s probabilities. What
        only training leaves behind, such as ``loss_``, it has not.

    Raises:
        ImportError: scikit-learn is not installed; the extra is ``gdcore[sklearn]``.
        TypeError: An argument is of the wrong type.
        ValueError: The network has another form, or classes are no sorted, different names, as many
            as outputs.
    """
    network = checked_network(net)
    models = needed("to_sklearn", "sklearn.neural_network", "sklearn")
    dense, activation, last = _form(network)
    options: dict[str, Any] = {"hidden_layer_sizes": tuple(each.units for each in dense[:-1])}
    if len(dense) > 1:
        options["activation"] = HIDDEN[activation]
    if classes is None:
        if last != "identity":
            raise cannot(_TARGET, network.layer_names[-1], last, "a regressor's end is linear")
        made = models.MLPRegressor(**options)
        made.out_activation_ = "identity"
        made.loss_ = np.inf
    else:
        made = models.MLPClassifier(**options)
        _give_classes(made, network, listed("classes", classes, "names"), last)
    state = network.state_dict()
    names = _dense_names(network)
    made.coefs_ = [np.ascontiguousarray(state[f"{name}.weight"].T) for name in names]
    made.intercepts_ = [
        state.get(f"{name}.bias", np.zeros(each.units, network.dtype))
        for name, each in zip(names, dense, strict=True)
    ]
    made.n_layers_, made.n_outputs_ = len(dense) + 1, network.output_size
    made.n_features_in_ = network.input_size
    if network.feature_names is not None:
        made.feature_names_in_ = np.asarray(network.feature_names, object)
    made.n_iter_ = made.t_ = 0
    return made


def _dense_names(network: Network) -> list[str]:
    pairs = zip(network.layers, network.layer_names, strict=True)
    return [name for layer, name in pairs if isinstance(layer, Dense)]


def _form(network: Network) -> tuple[list[Dense], str, str]:
    """The dense layers, what stands behind each but the last, and what stands behind that."""
    if not network._wiring.is_row or network.inputs[0].categories is not None:
        raise ValueError(
            f"net must be a row of Dense layers over numbers to go to {_TARGET}, got {network!r}"
        )
    dense: list[Dense] = []
    after: list[str] = []
    for layer, name in zip(network.layers, network.layer_names, strict=True):
        if isinstance(layer, Dense):
            if layer.parametrization != "standard" or layer.weight_norm:
                raise cannot(_TARGET, name, "dense", "its weights are made of others")
            dense.append(layer)
            after.append(activation_of(layer.activation).name)
        elif isinstance(layer, Activation):
            if not after or after[-1] != "identity":
                raise cannot(_TARGET, name, layer.name, "it must stand behind a linear layer")
            after[-1] = layer.name
        elif not isinstance(layer, Dropout):
            raise cannot(_TARGET, name, layer.kind, "this kind of layer has no equal there")
    if not dense:
        raise ValueError(f"net must have a Dense layer to go to {_TARGET}, got {network!r}")
    names = _dense_names(network)
    for name, activation in zip(names[:-1], after, strict=False):
        if activation not in HIDDEN:
            raise cannot(_TARGET, name, activation, f"it knows {', '.join(HIDDEN)}")
        if activation != after[0]:
            raise cannot(_TARGET, name, activation, f"all have one activation, {after[0]}")
    if after[-1] not in LAST:
        raise cannot(_TARGET, names[-1], after[-1], "the last layer must be linear there")
    return dense, after[0], after[-1]


def _give_classes(made: Any, network: Network, classes: list[Any], last: str) -> None:
    size = network.output_size
    wanted = 2 if size == 1 else size
    labels = np.asarray(classes)
    if len(classes) != wanted:
        raise ValueError(f"classes must be {wanted}, got {len(classes)}")
    if list(np.unique(labels)) != list(labels):
        raise ValueError(f"classes must be different and sorted, got {classes!r}")
    ends = "logistic" if size == 1 else "softmax"
    if LAST[last] not in (None, ends):
        reason = f"its outputs are no probabilities of {wanted} classes"
        raise cannot(_TARGET, network.layer_names[-1], last, reason)
    from sklearn.preprocessing import LabelBinarizer

    made.out_activation_, made.classes_ = ends, labels
    made._label_binarizer = LabelBinarizer().fit(labels)

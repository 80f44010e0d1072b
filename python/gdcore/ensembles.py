"""Several networks as one model, whose predictions are the mean of theirs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import listed, optional_integer, real
from gdcore._names import choice
from gdcore.network import Network
from gdcore.typing import EnsembleAverage, Inputs, Task

if TYPE_CHECKING:
    from gdcore._classes import Outputs
    from gdcore._summary import Summary
    from gdcore.persistence import Checkpoint

__all__ = ["Ensemble"]


def __dir__() -> list[str]:
    return __all__


AVERAGES: tuple[EnsembleAverage, ...] = ("auto", "outputs", "probabilities")


class Ensemble:
    """Networks whose predictions are averaged: sum_i w_i f_i(x) / sum_i w_i.

    >>> model = gdcore.Ensemble([trainer.network for trainer in trainers])
    >>> model.predict(x)
    >>> model.save("model.safetensors")

    The networks may have other layers, first values and sizes, and stay those that were given: who
    trains one on changes the ensemble. Sums run in the order of the networks, in float64, and are
    rounded once to the networks' dtype. It can be pickled and copied; a copy has networks of its
    own.

    Source: Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", NeurIPS 2017, arXiv:1612.01474.

    Args:
        networks: At least one, all of the same inputs, outputs and dtype, none of them twice.
        weights: w, of each network a finite number of at least 0, one of them above 0; None: 1.
        average: ``"auto"``: `predict` is the mean of outputs, `predict_proba` and
            `predict_classes` are of the mean of probabilities. ``"outputs"``: they too are of the
            mean of outputs, which makes of logits the geometric mean of probabilities.
            ``"probabilities"``: `predict` is the mean of probabilities, too, as `predict_proba`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There is no network, one is there twice, two differ in inputs, outputs or dtype,
            a weight is out of its domain, or average is none of these, or ``"probabilities"`` of
            networks whose outputs cannot be that.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        weights: Sequence[float] | None = None,
        average: EnsembleAverage = "auto",
    ) -> None:
        self._networks = _checked(networks)
        self._weights = _weights(weights, len(self._networks))
        self._average = choice("average", average, AVERAGES)
        if average == "probabilities":
            heads: list[str | None] = [*self.heads] or [None]
            for head in heads:
                self._meanings(head, None)

    @property
    def networks(self) -> tuple[Network, ...]:
        """As given."""
        return self._networks

    @property
    def weights(self) -> tuple[float, ...]:
        """What each network counts."""
        return self._weights

    @property
    def average(self) -> EnsembleAverage:
        """As given."""
        return self._average

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the networks, and of predictions."""
        return self._networks[0].dtype

    @property
    def input_size(self) -> int:
        """Number of columns of all inputs together."""
        return self._networks[0].input_size

    @property
    def output_size(self) -> int:
        """Number of columns of all outputs together."""
        return self._networks[0].output_size

    @property
    def heads(self) -> dict[str, int]:
        """Of outputs given in a dict, name and size of each; else empty."""
        return self._networks[0].heads

    @property
    def num_parameters(self) -> int:
        """Of all networks."""
        return sum(each.num_parameters for each in self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def __repr__(self) -> str:
        shown = list(dict.fromkeys(map(repr, self._networks)))
        of = shown[0] if len(shown) == 1 else f"{shown[0]} and others"
        weights = "" if len(set(self._weights)) == 1 else f", weights={list(self._weights)}"
        average = "" if self._average == "auto" else f", average={self._average!r}"
        return f"Ensemble({len(self)} x {of}{weights}{average})"

    def __copy__(self) -> Ensemble:
        return copy.deepcopy(self)

    def summary(self) -> Summary:
        """Tells the networks, one a line.

        Returns:
            A str that shows itself as a table: of each network what it is, its weight, its
            parameters and the bytes they take; then the totals.
        """
        from gdcore import _html
        from gdcore._summary import Summary

        head = ("network", "layers", "weight", "parameters", "bytes")
        size = self.dtype.itemsize
        rows = [
            (str(i), repr(net)[len("Network(") : -1], f"{weight:g}", f"{net.num_parameters:,}",
             f"{size * net.num_parameters:,}")
            for i, (net, weight) in enumerate(zip(self._networks, self._weights, strict=True))
        ]  # fmt: skip
        count = self.num_parameters
        total = ("total", "", f"{sum(self._weights):g}", f"{count:,}", f"{size * count:,}")
        widths = [max(map(len, column)) for column in zip(head, *rows, total, strict=True)]

        def line(cells: Sequence[str]) -> str:
            left = (cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False))
            right = (cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True))
            return "  ".join([*left, *right]).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        text = "\n".join([line(head), rule, *map(line, rows), rule, line(total)])
        page = _html.table(head, rows, left=2, caption=repr(self), foot=total)
        return Summary(text, page)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def predict(self, x: Inputs, batch_size: int | None = None) -> Any:
        """Computes the mean of the networks' outputs.

        Args:
            x: As in `Network.predict`.
            batch_size: As in `Network.predict`.

        Returns:
            (N, output_size), or of outputs by name a dict of (N, size) each. With
            ``average="probabilities"`` the mean of probabilities.

        Raises:
            TypeError: As in `Network.predict`.
            ValueError: As in `Network.predict`.
        """
        at_once = optional_integer("batch_size", batch_size)
        if self._average == "probabilities":
            if not self.heads:
                return self.predict_proba(x, at_once)
            return {head: self.predict_proba(x, at_once, head=head) for head in self.heads}
        if not self.heads:
            return self._mean(lambda net: net.predict(x, at_once))
        found = [net.predict(x, at_once) for net in self._networks]
        return {head: self._mean_of([each[head] for each in found]) for head in self.heads}

    def predict_proba(
        self,
        x: Inputs,
        batch_size: int | None = None,
        *,
        task: Task | None = None,
        head: str | None = None,
    ) -> NDArray[Any]:
        """Computes what the networks together say of classes, as probabilities.

        Args:
            x: As in `Network.predict`.
            batch_size: As in `Network.predict`.
            task: As in `Network.predict_proba`.
            head: As in `Network.predict_proba`.

        Returns:
            (N, output_size), or of a head (N, size): the mean of the networks' probabilities, see
            `Network.predict_proba`; with ``average="outputs"`` what the mean of their outputs says.

        Raises:
            TypeError: As in `Network.predict_proba`.
            ValueError: As in `Network.predict_proba`, or with ``average="outputs"`` the networks'
                last activations differ.
        """
        chosen = self._networks[0]._head(head)
        meanings = self._meanings(chosen, task)
        if self._average == "outputs":
            return meanings[0].probabilities(self._mean_outputs(x, batch_size, chosen))
        return self._mean(lambda net: net.predict_proba(x, batch_size, task=task, head=head))

    def predict_classes(
        self,
        x: Inputs,
        batch_size: int | None = None,
        *,
        task: Task | None = None,
        head: str | None = None,
    ) -> NDArray[np.int64]:
        """Computes the most likely class of each row, by `predict_proba`.

        Args:
            x: As in `Network.predict`.
            batch_size: As in `Network.predict`.
            task: As in `Network.predict_proba`.
            head: As in `Network.predict_proba`.

        Returns:
            As `Network.predict_classes`: (N,) of int64, or with ``task="binary"`` and several
            outputs (N, output_size) of 0 and 1.

        Raises:
            TypeError: As in `predict_proba`.
            ValueError: As in `predict_proba`, or an output is NaN.
        """
        chosen = self._networks[0]._head(head)
        meaning = self._meanings(chosen, task)[0]
        if self._average == "outputs":
            return meaning.classes(self._mean_outputs(x, batch_size, chosen))
        shares = self.predict_proba(x, batch_size, task=task, head=head)
        return meaning.classes_of_probabilities(shares)

    def save(
        self, path: str | PathLike[str], *, extra: Mapping[str, Any] | list[Any] | None = None
    ) -> None:
        """Writes all networks to one safetensors file, with what they are and how they count.

        The arrays of the first are called ``"0/0.weight"``, ``"0/0.bias"`` and so on.

        Args:
            path: Where; a file that is there is replaced, as by `Network.save`.
            extra: As in `Network.save`.

        Raises:
            OSError: The file cannot be written; one that was there still is.
            TypeError: path is no path, or extra neither mapping nor list.
            ValueError: A parameter is not finite, or JSON cannot hold extra.
        """
        from gdcore import persistence  # only here: import gdcore stays light

        persistence.save_ensemble(self, path, extra)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Ensemble:
        """Reads an ensemble that `save` wrote.

        A UserWarning tells where the file holds more than is needed to predict, as in
        `Network.load`.

        Raises:
            OSError: The file cannot be read; FileNotFoundError where there is none.
            TypeError: path is no path.
            ValueError: The file holds no ensemble, is damaged, or of a newer format.
        """
        return Ensemble._loaded(path, warns=True)

    @staticmethod
    def _loaded(path: str | PathLike[str], *, warns: bool) -> Ensemble:
        """See `load`; whoever reads the preparation too need not be warned."""
        from gdcore import persistence

        with persistence.opened(path, ensembles=True) as checkpoint:
            if checkpoint.description.get("kind") != "ensemble":
                raise ValueError(
                    f"{path} holds no ensemble: read it with gdcore.Network.load, or "
                    "gdcore.Trainer.load"
                )
            with checkpoint.blamed():
                made = Ensemble._of(checkpoint)
        if warns:
            checkpoint.warn_of_preparation()
        return made

    @staticmethod
    def _of(checkpoint: Checkpoint) -> Ensemble:
        networks = [Network._of(each.network()) for each in checkpoint.networks()]
        told = checkpoint.description
        return Ensemble(networks, told.get("weights", ()), told.get("average", ""))

    def _meanings(self, head: str | None, task: object) -> list[Outputs]:
        """What the outputs of each network say of classes; ValueError where nothing."""
        from gdcore import _classes  # only here: import gdcore stays light

        found = [_classes.Outputs.of(net, head, task) for net in self._networks]
        if len({each.task for each in found}) > 1:
            raise ValueError(
                "task must be given: the networks' last activations say different ones"
            )
        if self._average == "outputs" and len({each.last for each in found}) > 1:
            raise ValueError(
                "average='outputs' tells no classes where the networks' last activations differ"
            )
        return found

    def _mean_outputs(self, x: Any, batch_size: int | None, head: str | None) -> NDArray[Any]:
        found = self.predict(x, batch_size)
        chosen: NDArray[Any] = found if head is None else found[head]
        return chosen

    def _mean(self, of: Callable[[Network], NDArray[Any]]) -> NDArray[Any]:
        """One at a time, so that memory is bounded."""
        total: Any = 0.0
        for net, weight in zip(self._networks, self._weights, strict=True):
            total = total + weight * of(net).astype(np.float64)
        return np.asarray(total / sum(self._weights), self.dtype)

    def _mean_of(self, arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        left = iter(arrays)
        return self._mean(lambda _: next(left))


def _checked(given: object) -> tuple[Network, ...]:
    networks = listed("networks", given, "networks")
    if not networks:
        raise ValueError("networks must hold at least one, got none")
    for i, net in enumerate(networks):
        if not isinstance(net, Network):
            raise TypeError(f"networks[{i}] must be a gdcore.Network, got {type(net).__name__}")
        if any(net is other for other in networks[:i]):
            raise ValueError(f"networks[{i}] is there twice: give it a weight")
        first = networks[0]
        pairs = (
            ("dtype", net.dtype, first.dtype),
            ("inputs", _border(net), _border(first)),
            ("outputs", net.heads or net.output_size, first.heads or first.output_size),
        )
        for what, own, expected in pairs:
            if own != expected:
                raise ValueError(
                    f"networks[{i}] must have the {what} of networks[0], {expected}, got {own}"
                )
    return tuple(networks)


def _border(network: Network) -> list[str]:
    return [repr(each) for each in network.inputs]


def _weights(given: Any, count: int) -> tuple[float, ...]:
    if given is None:
        return (1.0,) * count
    found = listed("weights", given, "numbers")
    if len(found) != count:
        raise ValueError(
            f"weights must hold a number for each of {count} networks, got {len(found)}"
        )
    checked = tuple(real(f"weights[{i}]", each, at_least=0) for i, each in enumerate(found))
    total = sum(checked)
    if not 0 < total < float("inf"):
        raise ValueError(f"weights must add up to a finite number above 0, got {total:g}")
    return checked

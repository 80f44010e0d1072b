"""Weights to judge by where they are not those that train; a part of `gdcore.Trainer`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from gdcore._check import flag
from gdcore._judging import Judge
from gdcore._native import NativeTrainer

if TYPE_CHECKING:
    from gdcore.averaging import Average
    from gdcore.network import Network

__all__ = ["Averaged"]


class Averaged:
    """The part of a `Trainer` that knows averaged weights."""

    _native: NativeTrainer
    _network: Network
    _average: Average | None
    _num_threads: int | None
    _averaged: Judge | None = None  # a copy to judge by, made where one is needed

    @property
    def averaged(self) -> Network:
        """A copy of the network with the averaged weights, see `gdcore.averaging`.

        It is the caller's own: to predict with, to save, to train on.

        Raises:
            ValueError: The trainer keeps no average, and the optimizer makes none.
            RuntimeError: The average has not begun.
        """
        self._check_average()
        network = copy.copy(self._network)
        native: Any = self._native
        native.copy_average(network._native)
        return network

    @property
    def has_average(self) -> bool:
        """Whether there are averaged weights by now, which `averaged` gives."""
        return self._native.has_average

    def _check_average(self) -> None:
        if not self._native.keeps_average:
            raise ValueError(
                "the trainer keeps no average of the weights: make it with average=gdcore.EMA() or "
                "average=gdcore.SWA(start=...), or with an optimizer such as "
                "gdcore.ScheduleFreeAdamW()"
            )
        if not self._native.has_average:
            average = self._average
            when = "step 1" if average is None else f"{average.per} {average.start}"
            what = "the optimizer's" if average is None else str(average)
            raise RuntimeError(f"there are no averaged weights yet: {what} begins after {when}")

    def _judge(self, averaged: bool | None = None) -> Judge:
        """Who judges: the network as it is, or a copy with the averaged weights of now."""
        trainer: Any = self
        if averaged is None:
            averaged = self._native.has_average
        elif flag("averaged", averaged):
            self._check_average()
        if not averaged:
            return Judge(self._network, self._native, trainer.loss, self._num_threads)
        if self._averaged is None:
            network = copy.copy(self._network)
            native = trainer._compiled(network, judges=True)
            self._averaged = Judge(network, native, trainer.loss, self._num_threads)
        judge = self._averaged
        judge.native.num_threads = self._num_threads
        trainer._native.copy_average(judge.network._native)
        return Judge(judge.network, judge.native, judge.loss, self._num_threads)

    def _weights(self) -> tuple[dict[str, Any], list[Any]]:
        """Those of the network, and the last states, which the averaged ones are made of."""
        if not self._native.keeps_average:
            return self._network.state_dict(), []
        _, parameters, states = self._native.copy()
        states = states[: self._native.states]  # without what a rule knows of whole parameters
        return parameters, states if self._average is None else states[-1:]

    def _set_weights(self, weights: tuple[dict[str, Any], list[Any]]) -> None:
        parameters, states = weights
        self._network.load_state_dict(parameters)
        first = self._native.states - len(states)
        for index, state in enumerate(states, first):
            for key, values in state.items():
                self._native.set_state(index, key, values)

"""What a network is trained for: one loss, or one of each output that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gdcore._check import real
from gdcore._heads import by_head
from gdcore._pairing import check_pairing
from gdcore.losses import Loss, LossFunction, resolve_loss
from gdcore.network import Network

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective:
    """Losses, checked against the network.

    Attributes:
        one: The only loss; None where there is none, or several.
        heads: Of each output that has a name its loss; else empty.
        weights: Of each of them, what it counts in the sum.
    """

    one: Loss | None
    heads: dict[str, Loss]
    weights: dict[str, float]

    @classmethod
    def of(cls, loss: object, loss_weights: object, network: Network) -> Objective:
        """Out of what `gdcore.Trainer` was given.

        Warns where the last layer of an output bounds the logits of its loss.

        Raises:
            TypeError: A loss is none, or there is no dict of them for outputs with names.
            ValueError: A loss is unknown, missing, of no output, or does not go with its output.
        """
        heads = network.heads
        if loss is None or not heads:
            if loss_weights is not None:
                raise ValueError(
                    "loss_weights are for the losses of several outputs, got them "
                    + ("without a loss" if loss is None else "where outputs have no names")
                )
            if loss is None:
                return cls(None, {}, {})
            if isinstance(loss, Mapping):
                raise TypeError("loss must be one loss: the network's outputs have no names")
            one = resolve_loss("loss", loss)
            if not isinstance(one, LossFunction):
                check_pairing(one, network)
            return cls(one, {}, {})
        losses = {}
        for name, each in by_head("loss", loss, heads).items():
            losses[name] = resolve_loss(f"loss[{name!r}]", each)
            if isinstance(losses[name], LossFunction):
                raise TypeError(
                    f"loss[{name!r}] must be a loss of gdcore: a function is for one output. Any "
                    "loss trains by Network.backward and apply_gradients of a Trainer without one"
                )
            check_pairing(losses[name], network, name)
        given = {} if loss_weights is None else loss_weights
        weights = {
            name: real(f"loss_weights[{name!r}]", each, at_least=0)
            for name, each in by_head("loss_weights", given, heads, default=1.0).items()
        }
        if not any(weights.values()):
            raise ValueError("loss_weights must be above 0 for one output, got 0 for all of them")
        return cls(None, losses, weights)

    @property
    def given(self) -> Loss | dict[str, Loss] | None:
        """As a caller knows it."""
        return dict(self.heads) if self.heads else self.one

    def compiled(self) -> tuple[str | None, list[float], list[tuple[str, list[float], float]]]:
        """As C++ takes it."""
        name, numbers = (None, []) if self.one is None else (self.one.name, self.one.parameters())
        heads = [
            (loss.name, loss.parameters(), self.weights[head]) for head, loss in self.heads.items()
        ]
        return name, numbers, heads

    def by_prefix(self, network: Network) -> dict[str, tuple[Loss | None, int]]:
        """Of each output its loss and size, by what stands before its figures in a history."""
        if not self.heads:
            return {"": (self.one, network.output_size)}
        return {f"{name}_": (loss, network.heads[name]) for name, loss in self.heads.items()}

"""What a trainer's steps compute and hold, told before any is made."""

from __future__ import annotations

from typing import TypedDict

from gdcore._check import flag, integer, optional_integer
from gdcore._native import NativeTrainer

__all__ = ["Operation", "Planning"]

_ASKED = ("losses", "gradients", "jacobians")
_MOST = 2**53  # samples: more than any memory holds


class Operation(TypedDict):
    """One operation of a training step, as `Trainer.operations` lists them."""

    zone: str
    layer: str
    phase: str
    flops: int
    bytes: int


class Planning:
    """The part of a `Trainer` that tells; it changes nothing."""

    _native: NativeTrainer

    def operations(self, batch_size: int) -> list[Operation]:
        """Lists what one step on a batch computes, in order, with its FLOPs and bytes.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: batch_size is no integer.
            ValueError: batch_size is below 1, or so large that the numbers are beyond 2^62.
        """
        return self._native.operations(integer("batch_size", batch_size, at_most=_MOST))

    def flops_per_step(self, batch_size: int) -> int:
        """Counts the floating-point operations of one step: those of all `operations` together.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: batch_size is no integer.
            ValueError: batch_size is below 1, or so large that the numbers are beyond 2^62.
        """
        return self._native.flops_per_step(integer("batch_size", batch_size, at_most=_MOST))

    @property
    def converged(self) -> str | None:
        """Why the last epoch of a solver was the last, see `gdcore.solvers`, or None.

        It is the hyperparameter that says so, such as ``"tolerance_grad"`` or ``"min_grad"``; then
        `fit` ends early, as another would at once.
        """
        return self._native.converged

    @property
    def evaluations(self) -> dict[str, int]:
        """How often a solver has asked, see `gdcore.solvers`; zeros with any other optimizer.

        ``"losses"`` without gradients, ``"gradients"``, and ``"jacobians"``, which are the
        derivatives of all residuals, each of all samples. Counted since the trainer was made or
        loaded.
        """
        return dict(zip(_ASKED, self._native.evaluations, strict=True))

    def memory_plan(
        self, batch_size: int | None, samples: int | None = None, shuffle: bool = True
    ) -> dict[str, int]:
        """Tells how many bytes `fit` holds beside the data.

        Nothing more is taken while it trains but the copy of data that are not C-contiguous and of
        the network's dtype, and, where there are validation data, the activations of up to 1,024
        rows. `step` does without a snapshot and a batch's copy. An average of the weights belongs
        to the optimizer's state; who judges it takes a copy of the network and of its gradients.

        Args:
            batch_size: As in `fit`; None, all samples at once, needs ``samples``.
            samples: How many there will be; counts the order of shuffled samples.
            shuffle: As in `fit`.

        Returns:
            ``"parameters"``; ``"gradients"``; ``"optimizer_state"``, with what one of
            `gdcore.solvers` works on, at most; ``"snapshot"``, the copy of
            parameters and state that an epoch which diverges goes back to; ``"activations"``,
            outputs of the layers and gradients at them, for at most 2,048 rows at a time;
            ``"packing"``, for the matmuls of all threads; ``"batch"``, the rows of a shuffled
            batch side by side; ``"order"`` of shuffled samples; ``"total"``.

        Raises:
            TypeError: batch_size or samples is no integer, or shuffle no bool.
            ValueError: One is below 1 or beyond what can be counted, or both are None.
        """
        samples = optional_integer("samples", samples)
        batch_size = optional_integer("batch_size", batch_size)
        if batch_size is None and samples is None:
            raise ValueError("samples must be given where batch_size is None")
        given = {"batch_size": batch_size, "samples": samples}
        batch, name = min((each, name) for name, each in given.items() if each is not None)
        integer(name, batch, at_most=_MOST)
        # Rows of a batch that has them all are taken where they lie.
        moves = flag("shuffle", shuffle) and batch_size is not None and batch != samples
        plan: dict[str, int] = self._native.memory(batch, moves)
        plan["order"] = 8 * samples if moves and samples is not None else 0
        plan["total"] = sum(plan.values())
        return plan

"""What stands before a training on the command line: a trainer, and the rows it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gdcore import Trainer
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.cli.folded import Fold
from gdcore.cli.targets import Chosen
from gdcore.solvers import Solver
from gdcore.tabular.fitted import Fitted, Prepared

__all__ = ["SetUp"]


@dataclass(frozen=True)
class SetUp:
    """A trainer with the rows it is for.

    Attributes:
        trainer: Before its first step, or as far as it was when it was saved.
        preparation: How the table became arrays.
        chosen: The target.
        training: x and y of the rows for training.
        validation: Those of the rows that were held out; there may be none.
        kept: The first rows' places in the table.
        held_out: The others'.
        folds: Where each row is held out once, how; else empty, as hidden.
        hidden: The hidden layers.
    """

    trainer: Trainer
    preparation: Fitted
    chosen: Chosen
    training: tuple[Prepared, NDArray[Any]]
    validation: tuple[Prepared, NDArray[Any]]
    kept: NDArray[Any]
    held_out: NDArray[Any]
    folds: Sequence[Fold] = ()
    hidden: Sequence[Layer | Activation] = ()

    def batch_size(self, options: Any) -> int:
        """Samples an update, as was said, or as the optimizer takes them."""
        if options.batch_size is not None:
            return int(options.batch_size)
        # Of folds each has less, and then that is all of it.
        return len(self.kept) if isinstance(self.trainer.optimizer, Solver) else 32

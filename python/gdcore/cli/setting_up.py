"""What stands before a training on the command line: a trainer, and the rows it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import Trainer
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.cli.folded import Fold
from gdcore.cli.parts import Part
from gdcore.cli.targets import Chosen
from gdcore.solvers import Solver
from gdcore.tabular.fitted import Fitted

__all__ = ["SetUp"]


@dataclass(frozen=True)
class SetUp:
    """A trainer with the rows it is for.

    Attributes:
        trainer: Before its first step, or as far as it was when it was saved.
        preparation: How the table became arrays.
        chosen: The target.
        training: The rows for training.
        validation: Those that are held out; there may be none.
        kept: The first rows' places in the table.
        held_out: The others', where they are of the same table.
        weights: What each row for training counts in the loss; None: all the same.
        keep: Columns that predictions are to stand beside.
        folds: Where each row is held out once, how; else empty, as hidden.
        hidden: The hidden layers.
    """

    trainer: Trainer
    preparation: Fitted
    chosen: Chosen
    training: Part
    validation: Part
    kept: NDArray[Any]
    held_out: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    keep: Sequence[str] = ()
    folds: Sequence[Fold] = ()
    hidden: Sequence[Layer | Activation] = ()

    def extra(self) -> dict[str, Any]:
        """What a model's file keeps beside the trainer."""
        own = {"keep": list(self.keep)} if self.keep else {}
        return {"preparation": self.preparation.to_json(), **own}

    def batch_size(self, options: Any) -> int:
        """Samples an update, as was said, or as the optimizer takes them."""
        if options.batch_size is not None:
            return int(options.batch_size)
        # Of folds each has less, and then that is all of it.
        return len(self.kept) if isinstance(self.trainer.optimizer, Solver) else 32

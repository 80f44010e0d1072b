"""Optimizers: how a gradient changes the parameters.

Names, defaults and order of operations are PyTorch's, and those of the authors' code for what
PyTorch has not. w stands for a parameter, g for its gradient, t for the number of the step from 1
on. An optimizer here is a description without state; a `gdcore.Trainer` or `Optimizer.bind` makes
the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdcore.optimizers import adam, adaptive, descent, matrices, moments, norms, schedule_free
from gdcore.optimizers.adam import *  # noqa: F403
from gdcore.optimizers.adaptive import *  # noqa: F403
from gdcore.optimizers.base import Optimizer as Optimizer
from gdcore.optimizers.descent import *  # noqa: F403
from gdcore.optimizers.matrices import *  # noqa: F403
from gdcore.optimizers.moments import *  # noqa: F403
from gdcore.optimizers.norms import *  # noqa: F403
from gdcore.optimizers.schedule_free import *  # noqa: F403

if not TYPE_CHECKING:  # type checkers see what a star brings, and could not follow a sum
    __all__ = ["Optimizer"]
    for _module in (descent, adam, adaptive, moments, schedule_free, norms, matrices):
        __all__ += _module.__all__

    def __dir__() -> list[str]:
        return __all__

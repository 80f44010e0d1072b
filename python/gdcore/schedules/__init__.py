"""Schedules: how the learning rate, or any hyperparameter, changes in the course of training.

lr_0 is the learning rate of the optimizer, t the time: the number of epochs that are done, or, with
``per="step"``, of steps. So the first epoch, or step, has t = 0 and runs at lr_0 times what the
schedule begins with. Formulas are those of PyTorch's schedulers of the same names.

Any function of t that returns a learning rate is a schedule as well; it is called between steps:

>>> gdcore.Trainer(net, "mse", "adam", schedule=lambda epoch: 1e-3 / (1 + epoch))

So is a name, for a schedule over all epochs, from the first to the last of the trainer's first
`Trainer.fit`: that of `spread`.

>>> gdcore.Trainer(net, "mse", "adam", schedule="cosine")

A dict gives each hyperparameter of the optimizer its own, by the names of its arguments, and
``"betas[0]"`` for one of a pair; lr_0 is then what the optimizer has of it:

>>> both = {"lr": "cosine", "weight_decay": gdcore.schedules.Linear(0.0, 1.0, 10)}
>>> gdcore.Trainer(net, "mse", "adamw", schedule=both)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdcore.schedules import composed, decays, functions, naming, plateau, waves
from gdcore.schedules.base import UNITS as UNITS
from gdcore.schedules.base import Schedule as Schedule
from gdcore.schedules.composed import *  # noqa: F403
from gdcore.schedules.decays import *  # noqa: F403
from gdcore.schedules.functions import *  # noqa: F403
from gdcore.schedules.naming import *  # noqa: F403
from gdcore.schedules.naming import NAMES as NAMES
from gdcore.schedules.naming import resolve_schedule as resolve_schedule
from gdcore.schedules.plateau import *  # noqa: F403
from gdcore.schedules.plateau import Waiting as Waiting
from gdcore.schedules.waves import *  # noqa: F403

if not TYPE_CHECKING:  # type checkers see what a star brings, and could not follow a sum
    __all__ = ["Schedule"]
    for _module in (composed, decays, functions, naming, plateau, waves):
        __all__ += _module.__all__

    def __dir__() -> list[str]:
        return __all__

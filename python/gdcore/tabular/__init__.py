"""Tables: from columns of numbers, categories and dates to networks, and back to predictions.

>>> preparation = gdcore.tabular.Preparation().fit(frame, target="price")
>>> net = preparation.network([gdcore.Dense(64, "relu")])
>>> trainer = gdcore.Trainer(net, preparation.loss, "adamw")
>>> trainer.fit(preparation.transform(frame), preparation.transform_target(frame), epochs=20)
>>> gdcore.tabular.Model(trainer, preparation).save("model.safetensors")
"""

from __future__ import annotations

from gdcore.tabular.models import Model, load_model
from gdcore.tabular.preparation import Preparation

__all__ = ["Model", "Preparation", "load_model"]


def __dir__() -> list[str]:
    return __all__

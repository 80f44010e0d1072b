"""A network with the preparation of its columns: raw rows in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _resuming
from gdcore.ensembles import Ensemble
from gdcore.files import read_description
from gdcore.network import Network
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.meanings import ClassTarget, LabelsTarget, NumberTarget, Target
from gdcore.tabular.preparation import Preparation
from gdcore.training import Trainer

__all__ = ["Model", "load_model", "loaded", "predictions"]

KEY = "preparation"  # in a file's extra


class Model:
    """A network, an ensemble or a trainer, with the preparation of the columns that it takes.

    Args:
        network: What predicts. Of a `gdcore.Trainer` it is the average of the weights where one is
            kept, and `save` writes all of the trainer.
        preparation: A fitted one, of the network's sizes.

    Raises:
        RuntimeError: The preparation is not fitted.
        TypeError: An argument is of the wrong type.
        ValueError: The preparation does not fit the network.
    """

    def __init__(self, network: Network | Ensemble | Trainer, preparation: Preparation) -> None:
        if not isinstance(network, (Network, Ensemble, Trainer)):
            raise TypeError(
                "network must be a gdcore.Network, an Ensemble or a Trainer, got "
                f"{type(network).__name__}"
            )
        if not isinstance(preparation, Preparation):
            raise TypeError(
                "preparation must be a gdcore.tabular.Preparation, got "
                f"{type(preparation).__name__}"
            )
        self._given = network
        self._preparation = preparation
        predictor = self._predictor()
        one = predictor.networks[0] if isinstance(predictor, Ensemble) else predictor
        preparation.fitted.check(one)

    def _predictor(self) -> Network | Ensemble:
        given = self._given
        if isinstance(given, Trainer):
            return given.averaged if given.has_average else given.network
        return given

    def __repr__(self) -> str:
        return f"Model({self._given!r}, {self._preparation!r})"

    @property
    def network(self) -> Network | Ensemble:
        """What predicts."""
        return self._predictor()

    @property
    def trainer(self) -> Trainer | None:
        """The trainer, where one was given."""
        return self._given if isinstance(self._given, Trainer) else None

    @property
    def preparation(self) -> Preparation:
        """Of the columns."""
        return self._preparation

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes, in the order of `predict_proba`; None where numbers are predicted."""
        return self._preparation.classes

    def predict(self, frame: Any) -> NDArray[Any]:
        """Predicts each row.

        Args:
            frame: Rows as they come, see `Preparation.transform`.

        Returns:
            The classes (N,), each the likeliest, as training had them; of several labels 1 or 0 for
            each (N, K); or numbers (N,), of several columns (N, K), in their own units.

        Raises:
            TypeError: A column is of another type than in training.
            ValueError: A column or a cell is not what it must be; the message names it.
        """
        return self._predictions(frame)["prediction"]  # type: ignore[no-any-return]

    def predict_proba(self, frame: Any) -> NDArray[np.float32]:
        """Tells how likely each class or label is, (N, K), in the order of `classes`.

        Raises:
            TypeError: Numbers are predicted; or as `predict`.
            ValueError: As `predict`.
        """
        if isinstance(self._preparation.fitted.target, NumberTarget):
            raise TypeError(
                f"predict_proba is for classes: this model predicts the numbers "
                f"{self._preparation.fitted.target.name!r}"
            )
        return self._predictions(frame)["probability"]  # type: ignore[no-any-return]

    def _predictions(self, frame: Any) -> dict[str, Any]:
        predictor = self._predictor()
        one = predictor.networks[0] if isinstance(predictor, Ensemble) else predictor
        x = self._preparation.transform(frame, one.dtype)
        return predictions(self._preparation.fitted.target, predictor, x)

    def save(self, path: str | PathLike[str], *, extra: Mapping[str, Any] | None = None) -> None:
        """Writes it to a file that `gdcore.load_model` and ``gdcore predict`` read.

        Args:
            path: Where; a file that is there is replaced.
            extra: More to keep, as in `gdcore.Network.save`.

        Raises:
            OSError: The file cannot be written; one that was there still is.
            TypeError: path is no path, or extra no mapping.
            ValueError: A parameter is not finite, JSON cannot hold extra, or it has the key
                ``"preparation"``.
        """
        if extra is not None and not isinstance(extra, Mapping):
            raise TypeError(f"extra must be a mapping, got {type(extra).__name__}")
        if extra is not None and KEY in extra:
            raise ValueError(f"extra must not have the key {KEY!r}, which the model's own is under")
        self._given.save(path, extra={**(extra or {}), KEY: self._preparation.to_json()})


def load_model(path: str | PathLike[str]) -> Model:
    """Reads a model that takes raw rows, as ``gdcore predict`` does.

    >>> gdcore.load_model("model.safetensors").predict(frame)

    Args:
        path: A file that `gdcore.tabular.Model.save` or ``gdcore train --save`` wrote.

    Returns:
        The model. Of a file that a trainer wrote it has no trainer; `gdcore.Trainer.load` reads it.

    Raises:
        OSError: The file cannot be read; FileNotFoundError where there is none.
        TypeError: path is no path.
        ValueError: The file is no gdcore model, is damaged, of a newer format, or knows no columns.
    """
    model = loaded(path)
    one = model.networks[0] if isinstance(model, Ensemble) else model
    fitted = Fitted.of_model(read_description(path), one)
    if fitted is None:
        raise ValueError(
            f"{path} knows no columns: read it with gdcore.Network.load or gdcore.Ensemble.load, "
            "or save it with its Preparation, by gdcore.tabular.Model"
        )
    return Model(model, Preparation._of(fitted))


def loaded(path: str | PathLike[str]) -> Network | Ensemble:
    """A network, or several as one; of a model with averaged weights one with these."""
    description = read_description(path)
    if description.get("kind") == "ensemble":
        return Ensemble._loaded(path, warns=False)
    extra = description["extra"]
    if _keeps_average(description) and isinstance(extra, dict) and KEY in extra:
        # Its figures were those of the average, and so it predicts by that.
        trainer = _resuming.resumed(Trainer, path, None, None, None, warns=False)
        return trainer.averaged if trainer.has_average else trainer.network
    return Network._loaded(path, warns=False)


def _keeps_average(description: dict[str, Any]) -> bool:
    """Whether a trainer's file has weights to judge by beside those that train."""
    rule = description.get("optimizer")
    while isinstance(rule, dict) and isinstance(rule.get("optimizer"), dict):
        rule = rule["optimizer"]
    name = rule.get("name") if isinstance(rule, dict) else None
    return "average" in description or str(name).startswith("schedule_free")


def predictions(target: Target, model: Network | Ensemble, x: Any) -> dict[str, Any]:
    """The predictions, as an NPZ file holds them.

    Returns:
        ``"prediction"``, (N,) classes or numbers, or (N, K) numbers, or 0 and 1 for labels; of
        classes and labels also ``"probability"`` (N, K), and ``"classes"`` or ``"labels"`` (K,).
    """
    if isinstance(target, NumberTarget):
        values = target.restored(model.predict(x))
        return {"prediction": values[:, 0] if values.shape[1] == 1 else values}
    if isinstance(target, LabelsTarget):
        shares = model.predict_proba(x, task="binary").astype(np.float32)
        labels = np.array(target.columns)
        return {"prediction": (shares > 0.5).astype(int), "probability": shares, "labels": labels}
    assert isinstance(target, ClassTarget)
    classes = _array(target.classes)
    if isinstance(model, Ensemble):
        shares = model.predict_proba(x).astype(np.float64)
        if shares.shape[1] == 1:  # of the second class
            shares = np.concatenate([1 - shares, shares], axis=1)
        prediction = classes[shares.argmax(axis=1)]
        probability = shares.astype(np.float32)
        return {"prediction": prediction, "probability": probability, "classes": classes}
    logits = model.predict(x).astype(np.float64)
    if logits.shape[1] == 1:  # of the second class against the first
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    prediction = classes[logits.argmax(axis=1)]
    return {"prediction": prediction, "probability": probability, "classes": classes}


def _array(classes: tuple[Any, ...]) -> NDArray[Any]:
    """As NumPy has them; of whole numbers, some beyond int64, it would make float64."""
    if type(classes[0]) is not int:
        return np.array(classes)
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= min(classes) and max(classes) <= np.iinfo(dtype).max:
            return np.array(classes, dtype)
    return np.array([str(each) for each in classes])

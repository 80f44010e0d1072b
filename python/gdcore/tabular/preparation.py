"""A preparation of tables: fitted to rows once, and the same for all rows after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gdcore._check import flag, integer
from gdcore._layer import Layer
from gdcore._names import choice
from gdcore._native import DTYPES
from gdcore.activations import Activation
from gdcore.network import Network
from gdcore.tabular import fitting
from gdcore.tabular.cells import Notation
from gdcore.tabular.fitted import Fitted, Prepared
from gdcore.tabular.fitting import Options
from gdcore.tabular.frames import Frame, FrameColumn, no_such_column, one_column
from gdcore.tabular.meanings import ClassTarget, LabelsTarget, NumberTarget
from gdcore.tabular.networks import SIZE, network_over

__all__ = ["Preparation"]

_DEFAULTS: dict[str, Any] = {
    "numbers": "standard",
    "missing": "error",
    "indicator": False,
    "categories": (),
    "drop": (),
    "unseen": "error",
    "min_count": 1,
    "embed_above": None,
    "task": "auto",
    "target_scaling": "standard",
    "clamp": False,
}


class Preparation:
    """Turns the columns of a table into what a network takes, and its outputs into predictions.

    >>> preparation = gdcore.tabular.Preparation(missing="median").fit(frame, target="price")
    >>> x, y = preparation.transform(frame), preparation.transform_target(frame)
    >>> net = preparation.network([gdcore.Dense(64, "relu")], seed=0)
    >>> trainer = gdcore.Trainer(net, preparation.loss, "adamw")
    >>> trainer.fit(x, y, epochs=20)
    >>> gdcore.tabular.Model(trainer, preparation).save("model.safetensors")
    >>> gdcore.load_model("model.safetensors").predict(new_frame)

    A frame is a table of pandas (also of nullable and Arrow types), polars or pyarrow, a dict of
    columns, an array (N, columns) or an array of records. What a column becomes is found from its
    type:

    - Numbers become one input each, scaled as ``numbers`` says.
    - Text, truth values and the categories of pandas, polars and pyarrow become an input for each
      category that training saw, in order, or a code; a missing cell is a category of its own.
    - Dates and times become the time that has gone by, and sine and cosine of their places in the
      year, the week and the day, as far as they reach.

    Columns without cells, or with the same one in all rows, are left out; ``notes`` tells which.

    Args:
        numbers: ``"standard"``: (x - mean) / standard deviation. ``"robust"``: z = (x - median) /
            (upper - lower quartile), pressed together to z / sqrt(1 + (z / 3)^2), as RealMLP has it
            (arXiv 2407.04491, section 3); where the quartiles meet, half the range is in their
            place. ``"quantile"``: the normal number of the share of training rows below, at most
            1000 quantiles, as scikit-learn's ``QuantileTransformer(output_distribution="normal")``.
            ``"none"``: as they are.
        missing: What becomes of missing numbers and dates: ``"error"``, or ``"mean"`` or
            ``"median"`` of the column (of dates the mean). A column that missed none in training
            may miss some later then.
        indicator: Whether a column that misses some in training gets an input more, 1 where its
            cell is missing.
        categories: Columns whose numbers are categories.
        drop: Columns to leave out.
        unseen: What becomes of categories that training did not see: ``"error"``, or ``"other"``,
            that is one category for all of these and for rare ones. Where none was rare, such rows
            are of none of the categories (all of their inputs 0), but an embedded one has a vector
            for it that nothing has trained.
        min_count: A category in fewer rows is rare; above 1 needs ``unseen="other"``.
        embed_above: Columns of more categories become codes for a `gdcore.Embedding`, others one
            input a category; None: all do the latter.
        task: ``"classification"``, ``"regression"``, or ``"auto"``: classes are text, truth values,
            categories, and whole numbers of so few different values that there are ten rows for
            each, 20 at most.
        target_scaling: Whether the network learns numbers standardized, ``"standard"``, or
            ``"none"``, as they are.
        clamp: Whether predicted numbers are kept within the range of the training rows.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    def __init__(
        self,
        *,
        numbers: str = "standard",
        missing: str = "error",
        indicator: bool = False,
        categories: Sequence[str] = (),
        drop: Sequence[str] = (),
        unseen: str = "error",
        min_count: int = 1,
        embed_above: int | None = None,
        task: str = "auto",
        target_scaling: str = "standard",
        clamp: bool = False,
    ) -> None:
        self._options = Options(
            choice("numbers", numbers, ("standard", "robust", "quantile", "none")),
            choice("missing", missing, ("error", "mean", "median")),
            flag("indicator", indicator),
            _names("categories", categories),
            _names("drop", drop),
            choice("unseen", unseen, ("error", "other")),
            integer("min_count", min_count),
            None if embed_above is None else integer("embed_above", embed_above, at_least=0),
            choice("task", task, ("auto", "classification", "regression")),
            choice("target_scaling", target_scaling, ("standard", "none")),
            flag("clamp", clamp),
        )
        if min_count > 1 and unseen != "other":
            raise ValueError(
                f"min_count must be 1 unless unseen is 'other', which rare ones go to, got "
                f"{min_count}"
            )
        if indicator and missing == "error":
            raise ValueError("indicator must be False where missing is 'error', got True")
        if both := set(self._options.categories) & set(self._options.drop):
            raise ValueError(f"categories and drop must not both hold {min(both)!r}")
        self._fitted: Fitted | None = None
        self._notes: list[str] = []

    @classmethod
    def _of(cls, fitted: Fitted) -> Preparation:
        """One that was fitted before; its options are not kept."""
        made = cls()
        made._fitted = fitted
        return made

    def __repr__(self) -> str:
        given = [
            f"{key}={value!r}"
            for key, default in _DEFAULTS.items()
            if (value := getattr(self._options, key)) != default
        ]
        told = f"Preparation({', '.join(given)})"
        if self._fitted is None:
            return told
        columns, target = len(self._fitted.columns), self._fitted.target
        return f"<{told} of {columns} columns for the {target.kind} {target.name!r}>"

    def fit(self, frame: Any, target: Any) -> Preparation:
        """Finds out from training rows what each column becomes; those of before are forgotten.

        Args:
            frame: The rows, N at least 1.
            target: The column to predict by its name, or a list of names of columns of numbers; or
                what there is to predict beside the frame: a column or an array (N,), or (N, K)
                numbers.

        Returns:
            This preparation.

        Raises:
            TypeError: A column is of a type that is no input; the message names it.
            ValueError: There is no such column, or a cell is not what it must be; the message
                names column, row and cell. The preparation is as before.
        """
        rows = Frame.of(frame)
        for argument in ("categories", "drop"):
            for name in getattr(self._options, argument):
                if name not in rows.inputs:
                    raise no_such_column(argument, name, rows.inputs)
        names = _target_names(target)
        for name in names or ():
            if name not in rows.inputs:
                raise no_such_column("target", name, rows.inputs)
            if name in self._options.drop:
                raise ValueError(f"drop must not hold the target, {name!r}")
        columns = _target_columns(rows, names, target, Notation())
        self._fitted, self._notes = fitting.learn(
            rows, columns, self._options, within=names is not None
        )
        return self

    def transform(self, frame: Any, dtype: DTypeLike = "float32") -> Prepared:
        """Turns rows into what `network` takes.

        Args:
            frame: The rows. Columns are found by their names, in any order; those that training
                saw and does not need may be missing. An array has all columns in their order.
            dtype: ``"float32"`` or ``"float64"``, that of the network.

        Returns:
            (N, input_size); where columns are embedded codes (N, columns), or a dict of both,
            ``"numbers"`` and ``"categories"``.

        Raises:
            RuntimeError: Nothing was fitted.
            TypeError: A column is of another type than in training.
            ValueError: A column is missing or was not there in training, or a cell is not what it
                must be; the message names column, row and cell.
        """
        dtype = choice("dtype", np.dtype(dtype).name, DTYPES)
        return self.fitted.inputs(Frame.of(frame), dtype, strict=True)

    def transform_target(self, frame: Any) -> NDArray[Any]:
        """Turns targets into what the loss takes.

        Args:
            frame: Rows with the target's columns, or the target alone, as in `fit`.

        Returns:
            Labels (N,) of int64, or (N, K) scaled numbers of float64; of several labels 0 and 1.

        Raises:
            RuntimeError: Nothing was fitted.
            ValueError: A cell is missing, or a class that training did not see.
        """
        target, notation = self.fitted.target, self.fitted.notation
        names = target.columns or (target.name,)
        given = Frame.of(one_column(frame, names[0]), "target")
        if set(names) <= set(given.inputs):
            columns = [given.column(name, notation) for name in names]
        elif len(given.inputs) == len(names):
            columns = [given.column(name, notation) for name in given.inputs]
        else:
            missing = next(each for each in names if each not in given.inputs)
            raise no_such_column("target", missing, given.inputs)
        if isinstance(target, LabelsTarget):
            return fitting.ones_of(columns)
        if isinstance(target, ClassTarget) and target.one_hot:
            return fitting.places_of(fitting.ones_of(columns), columns)
        if isinstance(target, ClassTarget):
            return fitting.labels_of(target, columns[0])
        assert isinstance(target, NumberTarget)
        values = target.scaled(fitting.numbers_of(target, columns))
        if not np.isfinite(values).all():
            raise ValueError(f"the target {target.name!r} has numbers too large to standardize")
        return values

    def fit_transform(
        self, frame: Any, target: Any, dtype: DTypeLike = "float32"
    ) -> tuple[Prepared, NDArray[Any]]:
        """Fits, and turns the same rows into x and y; see `fit`, `transform`, `transform_target`.

        Returns:
            x and y, as `gdcore.Trainer.fit` takes them.
        """
        self.fit(frame, target)
        own = frame if _target_names(target) is not None else target
        return self.transform(frame, dtype), self.transform_target(own)

    def network(
        self,
        layers: Sequence[Layer | Activation | str],
        *,
        embedding_size: int = SIZE,
        dtype: DTypeLike = "float32",
        seed: int = 0,
    ) -> Network:
        """Makes a network over the prepared columns: layers in a row, and a `gdcore.Dense` output.

        Args:
            layers: Hidden layers, as in `gdcore.Network`.
            embedding_size: Numbers in the vector of a category, where columns are embedded.
            dtype: As in `gdcore.Network`.
            seed: As in `gdcore.Network`.

        Returns:
            The network; it has an output for each class, or for each number.

        Raises:
            RuntimeError: Nothing was fitted.
            TypeError: A layer is none.
            ValueError: The layers do not go together.
        """
        hidden = [
            Activation.resolve(f"layers[{i}]", each) if isinstance(each, str) else each
            for i, each in enumerate(layers)
        ]
        target = self.fitted.target
        outputs = len(target.mean if isinstance(target, NumberTarget) else self.classes or ())
        size = integer("embedding_size", embedding_size)
        return network_over(self.fitted, hidden, outputs, size, dtype=dtype, seed=seed)

    @property
    def fitted(self) -> Fitted:
        """What was found in the training rows; a RuntimeError before `fit`."""
        if self._fitted is None:
            raise RuntimeError("this Preparation is not fitted: call fit(frame, target) first")
        return self._fitted

    @property
    def notes(self) -> tuple[str, ...]:
        """Which columns the last `fit` left out, and why."""
        return tuple(self._notes)

    @property
    def loss(self) -> str:
        """The loss of the target: ``"cross_entropy"``, ``"mse"``, of labels bce_with_logits."""
        if isinstance(self.fitted.target, LabelsTarget):
            return "bce_with_logits"
        return "cross_entropy" if isinstance(self.fitted.target, ClassTarget) else "mse"

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes, ascending, or the labels; None where numbers are predicted."""
        target = self.fitted.target
        if isinstance(target, LabelsTarget):
            return target.columns
        return target.classes if isinstance(target, ClassTarget) else None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns that become inputs, in order."""
        return tuple(each.name for each in self.fitted.columns)

    def inverse_target(self, outputs: Any) -> NDArray[Any]:
        """Turns outputs of a network for numbers, (N, K), into the target's own units.

        Raises:
            RuntimeError: Nothing was fitted.
            TypeError: The target is classes.
            ValueError: outputs are of another shape.
        """
        target = self.fitted.target
        if not isinstance(target, NumberTarget):
            raise TypeError("inverse_target is for numbers: the target is classes")
        values = np.asarray(outputs)
        if values.ndim != 2 or values.shape[1] != len(target.mean):
            raise ValueError(f"outputs must have shape (N, {len(target.mean)}), got {values.shape}")
        return target.restored(values)

    def to_json(self) -> dict[str, Any]:
        """What was found, as plain JSON; under ``"preparation"`` model files hold it.

        Raises:
            RuntimeError: Nothing was fitted.
        """
        return self.fitted.to_json()

    @classmethod
    def from_json(cls, value: object) -> Preparation:
        """Reads what `to_json` gave, or an earlier version of it.

        Raises:
            ValueError: It is something else; the message names what is wrong.
        """
        return cls._of(Fitted.from_json(value))


def _names(argument: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(each, str) for each in given):
        raise TypeError(f"{argument} must be names of columns in a list, got {given!r}")
    return tuple(dict.fromkeys(given))


def _target_names(target: Any) -> tuple[str, ...] | None:
    """The columns that a target names; None where it is what there is to predict."""
    if isinstance(target, str):
        return (target,)
    if isinstance(target, (list, tuple)) and target and all(isinstance(e, str) for e in target):
        return tuple(dict.fromkeys(target))
    return None


def _target_columns(
    rows: Frame, names: Sequence[str] | None, target: Any, notation: Notation
) -> list[FrameColumn]:
    if names is not None:
        return [rows.column(name, notation) for name in names]
    given = Frame.of(one_column(target, "y"), "target")
    if len(given) != len(rows):
        raise ValueError(f"target must have {len(rows)} rows, as frame has, got {len(given)}")
    return [given.column(name, notation) for name in given.inputs]

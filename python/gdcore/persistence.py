"""What model files hold, in parts: written, and read again; see `gdcore.files` for the format.

`Network.load` and `Trainer.load` make themselves of what a `Checkpoint` tells.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

import gdcore.files as files
from gdcore._check import integer, real
from gdcore._describe import (
    described_formula,
    described_layer,
    formula_from,
    layer_from,
    made,
)
from gdcore._layer import checked_layers
from gdcore._names import choice
from gdcore._node import Input
from gdcore._positions import (
    Position,
    Within,
    described_plateau,
    described_within,
    plateau_from,
    position_from,
    within_from,
)
from gdcore._stored import StoredArray
from gdcore._warn import warn
from gdcore._wiring import Wiring
from gdcore.averaging import Average
from gdcore.clipping import Clip
from gdcore.files import PathLike
from gdcore.groups import Group, described_group, groups_from
from gdcore.history import History
from gdcore.losses import Loss, LossFunction
from gdcore.optimizers import Optimizer
from gdcore.parameters import Parameter, checked_parameters, native_parameters
from gdcore.schedules import NAMES, Schedule
from gdcore.typing import ScheduleName
from gdcore.wrappers import Wrapper

if TYPE_CHECKING:
    from gdcore.ensembles import Ensemble
    from gdcore.network import Network
    from gdcore.training import Trainer

__all__ = [
    "Checkpoint",
    "NetworkParts",
    "TrainerParts",
    "described_network",
    "figure_of",
    "opened",
    "opened_bytes",
    "packed_trainer",
    "same_network",
    "save_ensemble",
    "save_network",
    "save_trainer",
    "unsaved",
]


def __dir__() -> list[str]:
    return __all__


N = TypeVar("N")
_NO_KIND = "its kind is neither network nor trainer"
_FUNCTION = "function"  # stands for a schedule or a loss that cannot be saved
_BY = "by_hyperparameter"
_BYTES = "data"  # what messages call bytes that were no file
_SPREAD = "spread"  # stands for a name whose epochs are not known yet


def described_network(network: Network) -> dict[str, Any]:
    """All that makes the network again, but for its parameters."""
    wiring = network._wiring
    described = {
        "layers": [described_layer(layer) for layer in network.layers],
        **({"input_size": network.input_size} if wiring.is_plain else wiring.described()),
        "dtype": network.dtype.name,
        "seed": network.seed,
    }
    if network.parameters:
        described["parameters"] = [
            {"name": name, "shape": shape, "init": init}
            for name, shape, init in native_parameters(network.parameters)
        ]
    names = network.feature_names
    return described if names is None else {**described, "feature_names": list(names)}


def same_network(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both describe one network; one that has no names may still get them."""
    if "feature_names" in one and "feature_names" in other:
        return one == other
    return _without_names(one) == _without_names(other)


def _without_names(described: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key != "feature_names"}


def save_network(network: Network, path: PathLike, extra: files.Extra) -> None:
    """See `Network.save`."""
    description = {
        "kind": "network",
        "network": described_network(network),
        "extra": files.checked_extra(extra),
    }
    files.write(path, _finite(network.state_dict()), description)


def save_ensemble(ensemble: Ensemble, path: PathLike, extra: files.Extra) -> None:
    """See `Ensemble.save`."""
    description = {
        "kind": "ensemble",
        "networks": list(map(described_network, ensemble.networks)),
        "weights": list(ensemble.weights),
        "average": ensemble.average,
        "extra": files.checked_extra(extra),
    }
    states = [(f"{i}/", net.state_dict()) for i, net in enumerate(ensemble.networks)]
    arrays = {prefix + key: array for prefix, state in states for key, array in state.items()}
    files.write(path, _finite(arrays), description)


def save_trainer(trainer: Trainer, path: PathLike, extra: files.Extra) -> None:
    """See `Trainer.save`."""
    arrays, description = _trainer(trainer, extra)
    trainer._by_first(lambda: files.write(path, _finite(arrays), description))


def packed_trainer(trainer: Trainer, extra: files.Extra = None) -> bytes:
    """See `Trainer.to_bytes`."""
    arrays, description = _trainer(trainer, extra)
    return files.packed(_BYTES, _finite(arrays), description)


def _trainer(
    trainer: Trainer, extra: files.Extra
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Its arrays and its description."""
    within = described_within(trainer)
    position, arrays, states = trainer._native.copy()
    steps, epochs, lr, scale, at, kept = position
    description = {
        "kind": "trainer",
        "network": described_network(trainer.network),
        "loss": _described_loss(trainer.loss, trainer.loss_weights),
        "optimizer": described_formula(trainer.optimizer),
        "schedule": _described_schedule(trainer.schedule),
        **described_plateau(trainer),
        "matmul_precision": trainer.matmul_precision,
        "clip_grad_norm": trainer.clip_grad_norm,
        **_described_options(trainer),
        "seed": trainer.seed,
        **({"groups": list(map(_described_group, trainer.groups))} if trainer.groups else {}),
        "position": {
            "steps": steps,
            "epochs": epochs,
            "lr": lr,
            "schedule_scale": scale,
            **({} if at == 1 else {"schedule_at": at}),
            **({"kept": kept} if kept else {}),
            **({} if within is None else {"within": within}),
        },
        "history": {key: list(map(_written, row)) for key, row in trainer._whole_history().items()},
        "extra": files.checked_extra(extra),
    }
    for index, state in enumerate(states):
        arrays |= {_state_key(index, key): array for key, array in state.items()}
    return arrays, description


def unsaved(trainer: Trainer) -> dict[str, Any]:
    """What no file can hold, by the names of the arguments of `Trainer.load`."""
    own = isinstance(trainer.loss, LossFunction)
    schedule = _described_schedule(trainer.schedule) == {"name": _FUNCTION}
    groups = any(_own_schedule(_described_group(group)) for group in trainer.groups)
    return {
        "schedule": trainer.schedule if schedule else None,
        "loss": trainer.loss if own else None,
        "groups": trainer.groups if groups else None,
    }


def _described_options(trainer: Trainer) -> dict[str, Any]:
    """What came later, where it is used: then earlier versions read the file."""
    options: dict[str, Any] = {}
    if trainer.clip is not None and trainer.clip_grad_norm is None:
        options["clip"] = described_formula(trainer.clip)
    if trainer.average is not None:
        options["average"] = described_formula(trainer.average)
    if trainer.slices is not None:
        options["slices"] = trainer.slices
    return options


def _optimizer_from(described: Any) -> Optimizer:
    """An optimizer, or one around another."""
    if not isinstance(described, dict) or described.get("name") not in list(Wrapper.members):
        return formula_from(Optimizer, "optimizer", described)
    within = _optimizer_from(described.get("optimizer"))
    parameters = {**described, "optimizer": within}
    wrapper: Optimizer = made("optimizer", Wrapper.members[parameters.pop("name")], parameters)
    return wrapper


def _described_schedule(schedule: Any) -> dict[str, Any] | None:
    if isinstance(schedule, dict):
        if any(_described_schedule(each) == {"name": _FUNCTION} for each in schedule.values()):
            return {"name": _FUNCTION}
        return {_BY: {key: _described_schedule(each) for key, each in schedule.items()}}
    if isinstance(schedule, str):  # until the first fit
        return {"name": _SPREAD, "of": schedule}
    if schedule is None:
        return None
    return {"name": _FUNCTION} if schedule._has_function() else described_formula(schedule)


def _described_group(group: Group) -> dict[str, Any]:
    described = described_group(group)
    if "schedule" in described["settings"]:
        schedule = _described_schedule(group.settings["schedule"])
        described["settings"] = {**described["settings"], "schedule": schedule}
    return described


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _own_schedule(group: Any) -> bool:
    """Whether a group that is described followed a function of one's own."""
    settings = group.get("settings") if isinstance(group, dict) else None
    return isinstance(settings, dict) and settings.get("schedule") == {"name": _FUNCTION}


def _groups_from(described: Any) -> list[Group]:
    """The groups; those that followed functions of one's own without a schedule."""

    def with_schedule(each: Any) -> Any:
        settings = each.get("settings") if isinstance(each, dict) else None
        if not isinstance(settings, dict) or "schedule" not in settings:
            return each
        if _own_schedule(each):
            return {**each, "settings": {k: v for k, v in settings.items() if k != "schedule"}}
        schedule = _schedule_from(settings["schedule"])
        return {**each, "settings": {**settings, "schedule": schedule}}

    is_list = isinstance(described, list)
    return groups_from(list(map(with_schedule, described)) if is_list else described)


def _described_loss(loss: Any, weights: dict[str, float] | None) -> dict[str, Any] | None:
    if weights is not None:
        return {"heads": [[name, described_formula(loss[name]), w] for name, w in weights.items()]}
    if isinstance(loss, LossFunction):
        return {"name": _FUNCTION}
    return None if loss is None else described_formula(loss)


@dataclass(frozen=True)
class NetworkParts:
    """A network in a file.

    Attributes:
        arguments: What the network's class takes.
        feature_names: What the inputs are called; empty where nobody has named them.
        parameters: Of the shapes and the dtype that the arguments ask for.
    """

    arguments: Mapping[str, Any]
    feature_names: list[str]
    parameters: Mapping[str, StoredArray]

    def made(self, factory: Callable[..., N]) -> N:
        """A network of that class, without the parameters; ValueError where it cannot be."""
        return made("the network", factory, self.arguments)


@dataclass(frozen=True)
class TrainerParts:
    """What a trainer's file holds beside the network.

    Attributes:
        loss: None where gradients came from outside, or it was a function of one's own, which no
            file can hold; a dict where outputs have names.
        loss_weights: What each of these counts, or None.
        own_loss: Whether it was.
        optimizer: Its description.
        schedule: None where it was a function of one's own, too; a dict of hyperparameters'.
        own_schedule: Whether it was.
        own_groups: Whether a group followed such a function; then the groups lack these.
        arguments: More of what the trainer's class takes.
        position: Steps, epochs, the learning rate, and the scale of the schedule with the rate that
            the schedule had when it was set, and the numbers that the optimizer keeps.
        history: Of all epochs.
        plateau: Of a schedule that waits for a figure, what it knows.
        within: Of an epoch over a source that has begun, the samples done and sums of losses.
        arrays: All that the file has; `state` names the optimizer's among them.
    """

    loss: Loss | dict[str, Loss] | None
    loss_weights: dict[str, float] | None
    own_loss: bool
    optimizer: Optimizer
    schedule: Schedule | ScheduleName | dict[str, Schedule | ScheduleName] | None
    own_schedule: bool
    own_groups: bool
    arguments: Mapping[str, Any]
    position: Position
    history: History
    plateau: tuple[float | None, int, int]
    within: Within | None
    arrays: Mapping[str, StoredArray]

    def has_state(self, index: int, key: str) -> bool:
        """Whether `state` finds it."""
        return _state_key(index, key) in self.arrays

    def state(self, index: int, key: str, dtype: Any) -> StoredArray:
        """A parameter's part of the optimizer's state ``index``; ValueError where it is missing."""
        name = _state_key(index, key)
        if name not in self.arrays:
            raise ValueError(f"array {name!r} is missing")
        if self.arrays[name].dtype != dtype:
            raise ValueError(f"array {name!r} is {self.arrays[name].dtype}, the network {dtype}")
        return self.arrays[name]


@dataclass(frozen=True)
class Checkpoint:
    """A model file that is open.

    Attributes:
        path: Where it is.
        description: What `gdcore.files.read_description` tells.
        arrays: All of them, to be read one at a time.
    """

    path: PathLike
    description: dict[str, Any]
    arrays: Mapping[str, StoredArray]

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Within it, what is wrong is the file: a ValueError says so."""
        try:
            yield
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{self.path} is damaged or was forged: {error}") from None

    def networks(self) -> list[Checkpoint]:
        """Those of an ensemble, each as if it were a file of its own.

        Raises:
            ValueError: They are not described, or there are arrays of none of them.
        """
        described = self.description.get("networks")
        if not isinstance(described, list) or not described:
            raise ValueError("the networks are not described")
        parts: dict[str, dict[str, StoredArray]] = {str(i): {} for i in range(len(described))}
        for key, array in self.arrays.items():
            number, _, name = key.partition("/")
            if number not in parts:
                raise ValueError(f"array {key!r} belongs to none of {len(parts)} networks")
            parts[number][name] = array
        return [
            Checkpoint(self.path, {"kind": "network", "network": each, "extra": {}}, arrays)
            for each, arrays in zip(described, parts.values(), strict=True)
        ]

    def network(self) -> NetworkParts:
        """The network, in either kind of file.

        Raises:
            ValueError: Description and arrays do not go together, or there is none.
        """
        if self.description.get("kind") not in ("network", "trainer"):
            raise ValueError(_NO_KIND)
        described = self.description.get("network")
        if not isinstance(described, dict) or not isinstance(described.get("layers"), list):
            raise ValueError("the network is not described")
        dtype = described.get("dtype")
        if dtype not in ("float32", "float64"):  # NumPy would take many a text
            raise ValueError(f"dtype {dtype!r} is unknown")
        layers = [layer_from(f"layer {i}", each) for i, each in enumerate(described["layers"])]
        if "inputs" in described:
            wiring = Wiring.from_described(layers, described)
        else:
            given = Input(integer("input_size", described.get("input_size")))
            wiring = Wiring.of_row(checked_layers("layers", layers), given)
        # Before anything of the described size is allocated: a forged file may name any.
        free = _parameters_from(described.get("parameters", []))
        parameters = self._parameters(_shapes(wiring, dtype, free), dtype)
        if self.description["kind"] == "network" and len(self.arrays) != len(parameters):
            raise ValueError("there are arrays that belong to nothing")
        names = described.get("feature_names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("the inputs' names are not described")
        inputs = sum(each.size for each in wiring.inputs)
        if len(names) not in (0, inputs):
            raise ValueError(f"there are {len(names)} names of {inputs} inputs")
        arguments = {**wiring.arguments(), "dtype": dtype, "seed": described.get("seed")}
        arguments["parameters"] = free
        return NetworkParts(arguments, names, parameters)

    def _parameters(
        self, expected: Mapping[str, tuple[Any, ...]], dtype: str
    ) -> dict[str, StoredArray]:
        for key, shape in expected.items():
            found = self.arrays[key].shape if key in self.arrays else None
            if found != shape:
                raise ValueError(f"array {key!r} should have shape {shape}, and has {found}")
            if self.arrays[key].dtype != dtype:
                raise ValueError(f"array {key!r} is {self.arrays[key].dtype}, the network {dtype}")
        return {key: self.arrays[key] for key in expected}

    def trainer(self) -> TrainerParts:
        """What else makes a trainer; ValueError or TypeError where a part cannot be."""
        told = self.description
        if told.get("kind") != "trainer":
            raise ValueError(_NO_KIND)
        loss, schedule = told.get("loss"), told.get("schedule")
        own_loss = loss == {"name": _FUNCTION}
        own_schedule = schedule == {"name": _FUNCTION}
        by_head = _losses_from(loss)
        one = None if loss is None or own_loss or by_head else formula_from(Loss, "loss", loss)
        return TrainerParts(
            loss={name: each for name, each, _ in by_head} or one,
            loss_weights={name: weight for name, _, weight in by_head} or None,
            own_loss=own_loss,
            optimizer=_optimizer_from(told.get("optimizer")),
            schedule=None if own_schedule else _schedule_from(schedule),
            own_schedule=own_schedule,
            own_groups=any(map(_own_schedule, _listed(told.get("groups")))),
            arguments={
                "matmul_precision": told.get("matmul_precision", ""),
                "clip_grad_norm": told.get("clip_grad_norm"),
                "clip": formula_from(Clip, "clip", told["clip"]) if "clip" in told else None,
                "average": (
                    formula_from(Average, "average", told["average"]) if "average" in told else None
                ),
                "seed": told.get("seed"),
                "slices": told.get("slices"),
                "groups": _groups_from(told.get("groups", [])),
            },
            position=position_from(told.get("position")),
            history=_history(told),
            plateau=plateau_from(told.get("plateau")),
            within=within_from(told["position"].get("within")),
            arrays=self.arrays,
        )

    def warn_of_preparation(self) -> None:
        """A UserWarning where a network alone would take raw columns."""
        extra = self.description["extra"]
        preparation = extra.get("preparation") if isinstance(extra, dict) else None
        if isinstance(preparation, dict) and {"columns", "target"} <= preparation.keys():
            warn(
                f"{self.path} was written by `gdcore train` or gdcore.tabular and holds how the "
                "columns of a table become inputs, which is not done here: predictions from raw "
                "columns would be wrong. Predict with gdcore.load_model(path).predict(frame), or "
                f"with `gdcore predict {self.path} DATA`"
            )


@contextmanager
def opened(path: PathLike, *, ensembles: bool = False) -> Iterator[Checkpoint]:
    """Opens a model file, to be read in parts; raises as `gdcore.files.read_description` does.

    Unless ``ensembles``, also a ValueError where it holds one.
    """
    with files.opened(path) as stored:
        yield _checkpoint(path, stored, ensembles=ensembles)


@contextmanager
def opened_bytes(data: Any) -> Iterator[Checkpoint]:
    """The same of what such a file would hold; also a TypeError where these are no bytes."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, as to_bytes makes them, got {type(data).__name__}")
    with files.opened_bytes(data, _BYTES) as stored:
        yield _checkpoint(_BYTES, stored)


def _checkpoint(path: PathLike, stored: Any, *, ensembles: bool = False) -> Checkpoint:
    description = stored.description()
    if description.get("kind") == "ensemble" and not ensembles:
        raise ValueError(f"{path} holds an ensemble: read it with gdcore.Ensemble.load")
    return Checkpoint(path, description, stored.arrays)


def _shapes(
    wiring: Wiring, dtype: str, parameters: Sequence[Parameter]
) -> dict[str, tuple[int, ...]]:
    """Of all that a network keeps, by keys; ValueError where they do not make a network."""
    from gdcore._native import NETWORKS, specs_of  # only here: descriptions need no C++

    graph = wiring.graph()
    inputs = [each.described() for each in wiring.inputs]
    try:
        free = native_parameters(parameters)
        return NETWORKS[dtype].shapes(specs_of(graph.specs), inputs, graph.heads, free)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network cannot be: {error}") from None


def _losses_from(described: Any) -> list[tuple[str, Loss, float]]:
    """Of outputs with names; empty where it is one loss."""
    if not isinstance(described, dict) or "heads" not in described:
        return []
    rows = described["heads"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows) or not rows:
        raise ValueError("the losses are not described")
    return [
        (name, formula_from(Loss, "loss", loss), real("loss_weights", weight, at_least=0))
        for name, loss, weight in rows
    ]


def _parameters_from(described: Any) -> tuple[Parameter, ...]:
    if not isinstance(described, list) or not all(isinstance(each, dict) for each in described):
        raise ValueError("the parameters beside the layers are not described")
    return checked_parameters([made("a parameter", Parameter, each) for each in described])


def _schedule_from(described: Any) -> Any:
    if described is None:
        return None
    if isinstance(described, dict) and isinstance(described.get(_BY), dict):
        return {key: _schedule_from(each) for key, each in described[_BY].items()}
    if isinstance(described, dict) and described.get("name") == _SPREAD:
        return choice("schedule", described.get("of"), NAMES)
    return formula_from(Schedule, "schedule", described)


def figure_of(path: PathLike, trainer: Trainer, key: str) -> tuple[int, dict[str, float]] | None:
    """The last figure in the history of a trainer's file, and the epoch that had it.

    None where there is none, or the file is not of the training that ``trainer`` goes on with:
    another network, or epochs that it has not done.
    """
    try:
        if not os.path.isfile(path):
            return None
        description = files.read_description(path)
        row = _history(description).get(key)
        epoch = integer("epochs", description["position"]["epochs"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # no file, or one that is no trainer's: it is replaced, as without a monitor
    found = description.get("network")
    same = isinstance(found, dict) and same_network(found, described_network(trainer.network))
    return (epoch, {key: row[-1]}) if row and same and epoch <= trainer.epochs else None


def _history(description: dict[str, Any]) -> History:
    """Of all epochs; empty in files of before it was kept."""
    described = description.get("history", {})
    if not isinstance(described, dict) or not all(isinstance(r, list) for r in described.values()):
        raise ValueError("the history is not described")
    if len({len(row) for row in described.values()}) > 1:
        raise ValueError("the history has columns of different lengths")
    return History({key: list(map(_read, row)) for key, row in described.items()})


def _written(value: float) -> float | str:
    """JSON has no number for NaN and the infinities."""
    return float(value) if math.isfinite(value) else repr(float(value))


def _read(value: Any) -> float:
    if value in ("nan", "inf", "-inf") or type(value) is float:
        return float(value)
    raise ValueError(f"the history holds {value!r}, which is no number")


def _state_key(index: int, key: str) -> str:
    return f"optimizer.{index}.{key}"


def _finite(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for key, array in arrays.items():
        if not (abs(array).max() < float("inf")):  # NaN is not below either
            raise ValueError(f"{key} must be finite to be saved, got NaN or infinity")
    return arrays

"""How networks and trainers become files and come back; see `gdcore.files` for the format."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from gdcore import files
from gdcore._check import integer, real, thread_count
from gdcore._describe import (
    described_formula,
    described_network,
    formula_from,
    network_from,
    same_network,
)
from gdcore._names import choice
from gdcore._pairing import as_saved, tell_saved
from gdcore._stored import StoredArray
from gdcore._warn import warn
from gdcore.files import PathLike
from gdcore.history import History
from gdcore.losses import Function as LossFunction
from gdcore.losses import Loss, resolve_loss
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.schedules import NAMES, Function, Schedule, resolve_schedule
from gdcore.training import Trainer
from gdcore.typing import ScheduleName

__all__ = ["figure_of", "load_network", "load_trainer", "save_network", "save_trainer"]


def __dir__() -> list[str]:
    return __all__


_NO_KIND = "its kind is neither network nor trainer"
_FUNCTION = "function"  # stands for a schedule or a loss that cannot be saved
_SPREAD = "spread"  # stands for a name whose epochs are not known yet
_MOST = 2**53  # steps and epochs that a file may tell: far from where adding overflows


def save_network(network: Network, path: PathLike, extra: files.Extra) -> None:
    """See `Network.save`."""
    description = {
        "kind": "network",
        "network": described_network(network),
        "extra": files.checked_extra(extra),
    }
    files.write(path, _finite(network.state_dict()), description)


def load_network(path: PathLike, *, warns: bool = False) -> Network:
    """See `Network.load`, which warns; whoever reads the preparation too need not be warned."""
    with files.opened(path) as stored:
        description, arrays = stored.description(), stored.arrays
        try:
            if description.get("kind") not in ("network", "trainer"):
                raise ValueError(_NO_KIND)
            network = network_from(description.get("network"), arrays)
            if description["kind"] == "network" and len(arrays) != len(_keys(network)):
                raise ValueError("there are arrays that belong to nothing")
        except (ValueError, RecursionError) as error:
            raise _damaged(path, error) from None
    if warns:
        _warn_of_preparation(path, description)
    return network


def _warn_of_preparation(path: PathLike, description: Mapping[str, Any]) -> None:
    """A UserWarning where a network alone would take raw columns."""
    extra = description["extra"]
    preparation = extra.get("preparation") if isinstance(extra, dict) else None
    if isinstance(preparation, dict) and {"columns", "target"} <= preparation.keys():
        warn(
            f"{path} was written by `gdcore train` and holds how the columns of a table become "
            "inputs, which is not done here: predictions from raw columns would be wrong. Predict "
            f"with `gdcore predict {path} DATA`, or prepare x as read_description(path)['extra']"
            "['preparation'] in gdcore.files tells"
        )


def save_trainer(trainer: Trainer, path: PathLike, extra: files.Extra) -> None:
    """See `Trainer.save`."""
    schedule = trainer.schedule
    if isinstance(schedule, Function):
        described: dict[str, Any] | None = {"name": _FUNCTION}
    elif isinstance(schedule, str):  # until the first fit
        described = {"name": _SPREAD, "of": schedule}
    else:
        described = None if schedule is None else described_formula(schedule)
    position, arrays, states = trainer._native.copy()
    steps, epochs, lr, scale, at = position
    description = {
        "kind": "trainer",
        "network": described_network(trainer.network),
        "loss": _described_loss(trainer.loss),
        "optimizer": described_formula(trainer.optimizer),
        "schedule": described,
        "matmul_precision": trainer.matmul_precision,
        "clip_grad_norm": trainer.clip_grad_norm,
        "seed": trainer.seed,
        "position": {
            "steps": steps,
            "epochs": epochs,
            "lr": lr,
            "schedule_scale": scale,
            **({} if at == 1 else {"schedule_at": at}),
        },
        "history": {key: list(map(_written, row)) for key, row in trainer._whole_history().items()},
        "extra": files.checked_extra(extra),
    }
    for index, state in enumerate(states):
        arrays |= {_state_key(index, key): array for key, array in state.items()}
    files.write(path, _finite(arrays), description)


def _described_loss(loss: Loss | None) -> dict[str, Any] | None:
    if isinstance(loss, LossFunction):
        return {"name": _FUNCTION}
    return None if loss is None else described_formula(loss)


def load_trainer(
    path: PathLike,
    network: Network | None,
    schedule: Callable[[int], float] | Schedule | ScheduleName | None,
    num_threads: int | None,
    loss: Callable[[Any, Any], tuple[Any, Any]] | LossFunction | None = None,
    *,
    warns: bool = True,
) -> Trainer:
    """See `Trainer.load`, which warns; whoever reads the preparation too need not be warned."""
    if network is not None and not isinstance(network, Network):
        raise TypeError(f"network must be a gdcore.Network or None, got {type(network).__name__}")
    thread_count(num_threads)
    resolved = resolve_schedule("schedule", schedule)
    own = None if loss is None else resolve_loss("loss", loss)
    if own is not None and not isinstance(own, LossFunction):
        raise TypeError(f"loss must be the function that was the loss, or None, got {own}")
    with files.opened(path) as stored:
        description = stored.description()
        trainer = _trainer_from(
            description, stored.arrays, path, network, resolved, num_threads, own
        )
    if warns:
        _warn_of_preparation(path, description)
    return trainer


def _trainer_from(
    description: dict[str, Any],
    arrays: Mapping[str, StoredArray],
    path: PathLike,
    network: Network | None,
    schedule: Schedule | ScheduleName | None,
    num_threads: int | None,
    own: LossFunction | None,
) -> Trainer:
    if description.get("kind") == "network":
        raise ValueError(f"{path} holds a network and no trainer: read it with gdcore.Network.load")
    try:
        loaded = network_from(description.get("network"), arrays)
        parts = _parts(description)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    Trainer(loaded, None, "sgd", num_threads=num_threads)  # if that is wrong, the file is not
    if network is not None and not same_network(
        described_network(network), described_network(loaded)
    ):
        raise ValueError(
            f"network must be the one that {path} belongs to, {_told(loaded)}, got {_told(network)}"
        )
    if schedule is None and parts["schedule"] == _FUNCTION:
        raise ValueError(
            f"schedule must be given: {path} was saved with a function of one's own, "
            "which no file can hold"
        )
    chosen = parts["schedule"] if schedule is None else schedule
    if (own is None) == (parts["loss"] == _FUNCTION):
        was = "a function" if own is None else "no function"
        given = "given" if own is None else "None"
        raise ValueError(
            f"loss must be {given}: {path} was saved with {was} of one's own as the loss"
            f"{', which no file can hold' if own is None else ''}"
        )
    loss = parts["loss"] if own is None else own

    def made(for_network: Network) -> Trainer:
        trainer = Trainer(
            for_network,
            loss,
            parts["optimizer"],
            matmul_precision=description.get("matmul_precision", ""),
            clip_grad_norm=description.get("clip_grad_norm"),
            seed=description.get("seed"),
            schedule=chosen,
            num_threads=num_threads,
        )
        _restore(trainer, description, arrays)
        trainer._history = _history(description)
        return trainer

    with as_saved():
        try:
            trainer = made(loaded)
        except (TypeError, ValueError) as error:
            raise _damaged(path, error) from None
        if network is not None:
            # Only now, when all is known to be right, does the caller's network change.
            del trainer
            native: Any = network._native
            native.take_parameters(loaded._native)
            if loaded.feature_names is not None:
                native.input_names = list(loaded.feature_names)
            del loaded  # and its memory
            trainer = made(network)
    if trainer.loss is not None and own is None:
        tell_saved(trainer.loss, trainer.network)
    return trainer


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


def _parts(description: dict[str, Any]) -> dict[str, Any]:
    """Loss, optimizer and schedule; ValueError where one cannot be."""
    if description.get("kind") != "trainer":
        raise ValueError(_NO_KIND)
    loss, schedule = description.get("loss"), description.get("schedule")
    parts: dict[str, Any] = {
        "loss": None if loss is None else _loss_from(loss),
        "optimizer": formula_from(Optimizer, "optimizer", description.get("optimizer")),
        "schedule": schedule,
    }
    if schedule == {"name": _FUNCTION}:
        parts["schedule"] = _FUNCTION
    elif isinstance(schedule, dict) and schedule.get("name") == _SPREAD:
        parts["schedule"] = choice("schedule", schedule.get("of"), NAMES)
    elif schedule is not None:
        parts["schedule"] = formula_from(Schedule, "schedule", schedule)
    return parts


def _loss_from(described: Any) -> Loss | str:
    if described == {"name": _FUNCTION}:
        return _FUNCTION
    loss: Loss = formula_from(Loss, "loss", described)
    return loss


def _restore(
    trainer: Trainer, description: dict[str, Any], arrays: Mapping[str, StoredArray]
) -> None:
    """Position and optimizer state; ValueError or TypeError where they do not fit."""
    position = description.get("position")
    if not isinstance(position, dict):
        raise ValueError("the position is not described")
    keys = _keys(trainer.network)
    states = trainer._native.states
    for index in range(states):
        missing = [key for key in keys if _state_key(index, key) not in arrays]
        if missing:
            raise ValueError(f"array {_state_key(index, missing[0])!r} is missing")
        for key in keys:
            name = _state_key(index, key)
            if arrays[name].dtype != trainer.network.dtype:
                dtype = trainer.network.dtype
                raise ValueError(f"array {name!r} is {arrays[name].dtype}, the network {dtype}")
    if len(arrays) != len(keys) * (1 + states):
        raise ValueError("there are arrays that belong to nothing")
    for index in range(states):
        for key in keys:  # one at a time, for the sake of memory
            trainer._native.set_state(index, key, arrays[_state_key(index, key)].read())
    trainer._native.set_position(
        integer("steps", position.get("steps"), at_least=0, at_most=_MOST),
        integer("epochs", position.get("epochs"), at_least=0, at_most=_MOST),
        real("lr", position.get("lr"), at_least=0),
        real("schedule_scale", position.get("schedule_scale"), at_least=0),
        real("schedule_at", position.get("schedule_at", 1.0), above=0),
    )


def _keys(network: Network) -> list[str]:
    """Of `Network.state_dict`, without the copies."""
    return network._native.parameter_names


def _state_key(index: int, key: str) -> str:
    return f"optimizer.{index}.{key}"


def _finite(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for key, array in arrays.items():
        if not (abs(array).max() < float("inf")):  # NaN is not below either
            raise ValueError(f"{key} must be finite to be saved, got NaN or infinity")
    return arrays


def _told(network: Network) -> str:
    return f"{network!r} with seed {network.seed}"


def _damaged(path: PathLike, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged or was forged: {error}")

"""A trainer made again of its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gdcore import _core
from gdcore._check import thread_count
from gdcore._following import Given
from gdcore._pairing import as_saved, tell_saved
from gdcore._scheduling import PlateauState, resolve_schedules
from gdcore.files import PathLike
from gdcore.groups import Group, checked_groups
from gdcore.losses import LossFunction, resolve_loss
from gdcore.network import Network
from gdcore.persistence import (
    Checkpoint,
    TrainerParts,
    described_network,
    opened,
    opened_bytes,
    same_network,
)

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["put_back", "read", "resumed"]

_MOST_STATES = 16  # more than any rule has


def resumed(
    kind: type[Trainer],
    path: PathLike,
    network: Network | None,
    schedule: Any,
    num_threads: int | None,
    loss: Callable[..., tuple[Any, ...]] | LossFunction | None = None,
    groups: Any = None,
    communicator: Any = None,
    *,
    warns: bool = True,
) -> Trainer:
    """See `Trainer.load`, which warns; whoever reads the preparation too need not be warned."""
    given = (network, schedule, num_threads, loss, groups, communicator)
    return read(kind, opened(path), *given, warns=warns)


def read(
    kind: type[Trainer],
    model: AbstractContextManager[Checkpoint],
    network: Network | None,
    schedule: Any,
    num_threads: int | None,
    loss: Callable[..., tuple[Any, ...]] | LossFunction | None = None,
    groups: Any = None,
    communicator: Any = None,
    *,
    warns: bool = True,
) -> Trainer:
    """The same from a file, or bytes, that can be opened."""
    if network is not None and not isinstance(network, Network):
        raise TypeError(f"network must be a gdcore.Network or None, got {type(network).__name__}")
    thread_count(num_threads)
    resolved = resolve_schedules("schedule", schedule)
    own = None if loss is None else resolve_loss("loss", loss)
    row = None if groups is None else checked_groups(groups)
    if own is not None and not isinstance(own, LossFunction):
        raise TypeError(f"loss must be the function that was the loss, or None, got {own}")
    with model as checkpoint:
        trainer = _trainer_from(
            checkpoint, kind, network, resolved, num_threads, own, row, communicator
        )
    if warns:
        checkpoint.warn_of_preparation()
    return trainer


def _trainer_from(
    checkpoint: Checkpoint,
    kind: type[Trainer],
    network: Network | None,
    schedule: Given,
    num_threads: int | None,
    own: LossFunction | None,
    groups: tuple[Group, ...] | None,
    communicator: Any,
) -> Trainer:
    path = checkpoint.path
    if checkpoint.description.get("kind") == "network":
        raise ValueError(f"{path} holds a network and no trainer: read it with gdcore.Network.load")
    with checkpoint.blamed():
        loaded = Network._of(checkpoint.network())
        parts = checkpoint.trainer()
    kind(loaded, None, "sgd", num_threads=num_threads)  # if that is wrong, the file is not
    if network is not None and not same_network(
        described_network(network), described_network(loaded)
    ):
        raise ValueError(
            f"network must be the one that {path} belongs to, {_told(loaded)}, got {_told(network)}"
        )
    if schedule is not None:
        _check_fits(schedule, parts, kind(loaded, None, parts.optimizer, schedule=schedule), path)
    if schedule is None and parts.own_schedule:
        raise ValueError(
            f"schedule must be given: {path} was saved with a function of one's own, "
            "which no file can hold"
        )
    if (own is None) == parts.own_loss:
        was = "a function" if parts.own_loss else "no function"
        raise ValueError(
            f"loss must be {'given' if parts.own_loss else 'None'}: {path} was saved with {was} of "
            f"one's own as the loss{', which no file can hold' if parts.own_loss else ''}"
        )

    if groups is None and parts.own_groups:
        raise ValueError(
            f"groups must be given: {path} was saved with a group that followed a function of "
            "one's own, which no file can hold"
        )
    arguments = dict(parts.arguments)
    if groups is not None:
        if _but_schedules(groups) != _but_schedules(arguments["groups"]):
            raise ValueError(
                f"groups must be those of {path} with other schedules at most, "
                f"{arguments['groups']}, got {list(groups)}"
            )
        arguments["groups"] = groups

    def made(for_network: Network) -> Trainer:
        trainer = kind(
            for_network,
            parts.loss if own is None else own,
            parts.optimizer,
            loss_weights=parts.loss_weights,
            schedule=parts.schedule if schedule is None else schedule,
            num_threads=num_threads,
            communicator=communicator,
            **arguments,
        )
        _restore(trainer, parts)
        return trainer

    with as_saved():
        with checkpoint.blamed():
            trainer = made(loaded)
        if network is not None:
            # Only now, when all is known to be right, does the caller's network change.
            del trainer
            native: Any = network._native
            native.take_parameters(loaded._native)
            if loaded.feature_names is not None:
                native.input_names = list(loaded.feature_names)
            del loaded  # and its memory
            trainer = made(network)
    if trainer._objective.one is not None and own is None:
        tell_saved(trainer._objective.one, trainer.network)
    for head, each in trainer._objective.heads.items():
        tell_saved(each, trainer.network, head)
    return trainer


def _but_schedules(groups: Sequence[Group]) -> list[tuple[str, dict[str, Any]]]:
    """What groups set beside schedules."""
    return [
        (group.pattern, {k: v for k, v in group.settings.items() if k != "schedule"})
        for group in groups
    ]


def _check_fits(schedule: Given, parts: TrainerParts, trial: Trainer, path: PathLike) -> None:
    """ValueError where a schedule needs another form of the rule than the saved one."""
    key = trial.network._native.parameter_names[0]
    saved = sum(parts.has_state(index, key) for index in range(_MOST_STATES))
    grouped = bool(parts.arguments["groups"])  # whose hyperparameters may need more
    if trial._native.states != saved and not grouped:
        raise ValueError(
            f"schedule must leave the optimizer with the {saved} states that {path} has, and with "
            f"{schedule!r} it has {trial._native.states}: make a new trainer of the network"
        )


def _restore(trainer: Trainer, parts: TrainerParts) -> None:
    """Position, history and optimizer state; ValueError or TypeError where they do not fit."""
    native, dtype = trainer._native, trainer.network.dtype
    network = trainer.network._native
    keys = network.parameter_names
    places = [(index, key) for index in range(native.states) for key in keys]
    states = [(*place, parts.state(*place, dtype)) for place in places]
    statistics = [parts.state(native.states, "statistics", dtype)] if native.statistics else []
    if len(parts.arrays) != len(keys) + len(network.kept_names) + len(states) + len(statistics):
        raise ValueError("there are arrays that belong to nothing")
    for index, key, array in states:  # one at a time, for the sake of memory
        native.set_state(index, key, array.read())
    for array in statistics:
        native.set_statistics(array.read())
    native.set_position(*parts.position)
    trainer._history = parts.history
    trainer._plateau = PlateauState(*parts.plateau)
    if parts.within is not None:
        heads = len(trainer._objective.heads)
        if len(parts.within[-1]) != heads:
            raise ValueError(f"the epoch that has begun has sums of {len(parts.within[-1])} heads")
        trainer._within = _core.EpochPart(*parts.within)


def put_back(trainer: Trainer, data: bytes) -> None:
    """Has a trainer be where the one of the same description was that was made bytes."""
    with opened_bytes(data) as checkpoint, as_saved():
        for key, array in checkpoint.network().parameters.items():
            trainer.network._native.set_parameter(key, array.read())
        _restore(trainer, checkpoint.trainer())


def _told(network: Network) -> str:
    return f"{network!r} with seed {network.seed}"

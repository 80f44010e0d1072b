"""Groups of parameters: hyperparameters of their own, and freezing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gdcore._check import flag, listed, real
from gdcore._names import choice
from gdcore.schedules import Schedule, Waiting, resolve_schedule, spread
from gdcore.typing import ScheduleName

if TYPE_CHECKING:
    from gdcore.optimizers import Optimizer

__all__ = ["Group"]


def __dir__() -> list[str]:
    return __all__


One = Schedule | ScheduleName
ScheduleLike = One | Callable[[int], float]

_FACTOR = "_factor"
_PENALIZED = "penalized"  # gdcore.Penalized, and its fields that a group may set
_PENALTY = ("l1", "l2", "weights_only")
_SHOWN = 12  # keys in an error


class Group:
    """Parameters whose keys match a pattern, and what is different for them.

    >>> slow, plain = gdcore.Group("0.*", lr_factor=0.1), gdcore.Group("*.bias", weight_decay=0.0)
    >>> groups = [slow, plain, gdcore.Group("body.*", frozen=True)]
    >>> trainer = gdcore.Trainer(net, "mse", gdcore.AdamW(lr=1e-3), groups=groups)

    A trainer matches its groups with the keys that `Network.state_dict` has for parameters. A key
    may be in several groups as long as each sets something else; what no group sets stays the
    optimizer's, and what no group matches, too.

    A frozen parameter stays as it is, and its gradient is not computed. It lets the gradient
    through to what trains before it; before the first layer that trains there is no backward pass
    at all. No bit of what trains changes with that. The norm that ``clip_grad_norm`` limits is that
    of what trains. A frozen `gdcore.BatchNorm` still takes the averages of its batches in training
    and remembers them, as PyTorch's does where ``requires_grad`` is False.

    Args:
        pattern: Of keys such as ``"0.weight"``: ``*`` stands for anything, dots included, ``?`` for
            one character, ``[01]`` for one of them (Python's ``fnmatch``).
        lr_factor: The learning rate is that of the trainer times this, at least 0, whatever a
            schedule makes of it.
        schedule: How the learning rate of these parameters changes, in place of the trainer's
            schedule: as that an object of `gdcore.schedules`, a function or a name. It starts from
            what the trainer's starts from, and lr_factor or lr count upon it. A dict of such is for
            hyperparameters by name, which start from what the group has of them. What a
            `gdcore.schedules.ReduceOnPlateau` or `gdcore.schedules.Adaptive` of the trainer lowers
            are the rates of all groups.
        frozen: Nothing of it trains; then no other argument may be given.
        **overrides: Any field of the optimizer, such as ``weight_decay=0.0`` or
            ``betas=(0.9, 0.95)``, that takes the place of the optimizer's; or of a field that is a
            number, ``weight_decay_factor=2.0``, what the optimizer's is multiplied by. So are
            those of a `gdcore.Penalized` around it: l1, l2, weights_only. ``lr`` is
            the rate where the trainer's is the optimizer's ``lr``: schedules and `Trainer.lr` move
            both in proportion. Any other field that is set here follows no schedule but the group's
            own; of one with a factor, the factor counts upon the trainer's schedule.

    Raises:
        TypeError: pattern is no string, frozen no bool, a factor or lr no number, or schedule none.
        ValueError: pattern is empty, a number is not finite or out of its domain, both a field and
            its factor are given, or anything beside frozen; or there is no such schedule, or it
            waits for a plateau: that is for the trainer's.
    """

    __slots__ = ("_pattern", "_settings")
    _pattern: str
    _settings: dict[str, Any]

    def __init__(
        self,
        pattern: str,
        *,
        lr_factor: float = 1.0,
        schedule: ScheduleLike | Mapping[str, ScheduleLike] | None = None,
        frozen: bool = False,
        **overrides: Any,
    ) -> None:
        if not isinstance(pattern, str):
            raise TypeError(f"pattern must be a string, got {type(pattern).__name__}")
        if not pattern:
            raise ValueError("pattern must not be empty")
        settings: dict[str, Any] = {}
        if real("lr_factor", lr_factor, at_least=0) != 1:
            settings["lr_factor"] = float(lr_factor)
        if schedule is not None:
            settings["schedule"] = _checked_schedule(schedule)
        settings |= {name: _checked(name, overrides[name]) for name in sorted(overrides)}
        for name in settings:
            if name + _FACTOR in settings:
                raise ValueError(f"{name} and {name}{_FACTOR} must not be given together")
        if flag("frozen", frozen):
            if settings:
                raise ValueError(
                    f"a frozen group must set nothing else, got {', '.join(settings)}: what does "
                    "not train has no use for it"
                )
            settings["frozen"] = True
        object.__setattr__(self, "_pattern", pattern)
        object.__setattr__(self, "_settings", settings)

    @property
    def pattern(self) -> str:
        """As given."""
        return self._pattern

    @property
    def settings(self) -> dict[str, Any]:
        """What the group sets, by the names of the arguments."""
        return dict(self._settings)

    @property
    def frozen(self) -> bool:
        """Whether what it matches stays as it is."""
        return "frozen" in self._settings

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to {name!r}: a Group does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete {name!r}: a Group does not change")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Group):
            return NotImplemented
        return (self._pattern, self._settings) == (other._pattern, other._settings)

    def __hash__(self) -> int:
        return hash((self._pattern, *self._settings))

    def __repr__(self) -> str:
        told = "".join(f", {name}={value!r}" for name, value in self._settings.items())
        return f"Group({self._pattern!r}{told})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._pattern, self._settings)


def _made(pattern: str, settings: dict[str, Any]) -> Group:
    return Group(pattern, **settings)


def _checked(name: str, value: object) -> object:
    """Its value; what only the optimizer knows is checked with that."""
    if name == "lr":
        return real(name, value, at_least=0)
    if name.endswith(_FACTOR):
        return real(name, value)
    return tuple(value) if isinstance(value, list) else value


def _checked_schedule(value: Any) -> One | dict[str, One]:
    """The argument schedule of a group."""
    given = dict(value) if isinstance(value, Mapping) else {"lr": value}
    if not given:
        raise ValueError("schedule must hold at least one schedule, got an empty dict")
    found: dict[str, One] = {}
    for key, each in given.items():
        where = f"schedule[{key!r}]" if isinstance(value, Mapping) else "schedule"
        made = resolve_schedule(where, each)
        if made is None:
            raise TypeError(f"{where} must be a schedule or its name, got None")
        found[key] = made
        if isinstance(made, str):
            continue
        if any(isinstance(part, Waiting) for part in made._all()):
            raise ValueError(
                f"{where} must not wait for a plateau in a group: that of the trainer lowers the "
                "rates of all groups"
            )
        if key != "lr" and made._momentum() is not None:
            raise ValueError(f"{where} must not cycle momentum, which goes with 'lr' alone")
    return found if isinstance(value, Mapping) else found["lr"]


def with_spread(group: Group, epochs: int, batches: int) -> Group:
    """The group with schedules over so many epochs in the place of names; else itself."""
    given = own_schedules(group.settings)
    if not any(isinstance(each, str) for each in given.values()):
        return group
    made = {
        key: spread(each, epochs, batches) if isinstance(each, str) else each
        for key, each in given.items()
    }
    whole = isinstance(group.settings["schedule"], Mapping)
    return _made(group.pattern, {**group.settings, "schedule": made if whole else made["lr"]})


class Resolved(NamedTuple):
    """Groups as C++ takes them.

    Attributes:
        groups: Of each its name in errors, its hyperparameters, and its rate where the trainer's is
            the last number. Empty where there are none; else the first is of what no group matches.
        group_of: Of each key the number of its group; -1: it does not train.
        around: What is around the rule, by name with numbers, those of a penalty for each group.
    """

    groups: list[tuple[str, list[float], float, float]]
    group_of: list[int]
    around: list[tuple[str, list[float]]]


def checked_groups(groups: Any) -> tuple[Group, ...]:
    """The argument groups; a TypeError where it is no sequence of them."""
    row = listed("groups", groups, "groups")
    for index, group in enumerate(row):
        if not isinstance(group, Group):
            raise TypeError(f"groups[{index}] must be a gdcore.Group, got {type(group).__name__}")
    return tuple(row)


def resolved(
    groups: Sequence[Group], keys: Sequence[str], optimizer: Optimizer, what: str = "a parameter"
) -> Resolved:
    """Matches groups with keys; ``optimizer`` comes with all that is around it.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A group matches nothing, two set the same for one key, or what one sets the
            optimizer has not or cannot take.
    """
    penalty, around, optimizer = optimizer.penalty(), optimizer.wrappers(), optimizer.innermost()
    if not groups:
        return Resolved([], [], around)
    for index, group in enumerate(groups):
        if not any(fnmatchcase(key, group.pattern) for key in keys):
            shown = ", ".join(map(repr, keys[:_SHOWN])) + ", ..." * (len(keys) > _SHOWN)
            raise ValueError(
                f"groups[{index}] must match {what}, got the pattern {group.pattern!r}, and "
                f"there are {shown}"
            )
        _penalty_of(f"groups[{index}]", penalty, optimizer, group.settings)
        with_settings(f"groups[{index}]", optimizer, group.settings)
    found: dict[tuple[int, ...], int] = {(): 0}
    native = [("of all others", optimizer.parameters(), 1.0, 1.0)]
    penalties = _penalty_of("groups", penalty, optimizer, {})
    group_of = []
    for key in keys:
        matching = tuple(i for i, each in enumerate(groups) if fnmatchcase(key, each.pattern))
        settings = _joined(groups, matching, key)
        if "frozen" in settings:
            group_of.append(-1)
            continue
        if matching not in found:
            found[matching] = len(native)
            names = " and ".join(repr(groups[i].pattern) for i in matching)
            where = " and ".join(f"groups[{i}]" for i in matching)
            own = with_settings(where, optimizer, settings)
            rate = (settings["lr"], optimizer.lr) if "lr" in settings else (1.0, 1.0)
            rate = (settings["lr_factor"], 1.0) if "lr_factor" in settings else rate
            native.append((names, own.parameters(), *rate))
            penalties += _penalty_of(where, penalty, own, settings)
        group_of.append(found[matching])
    if keys and all(group < 0 for group in group_of):
        raise ValueError(f"groups must leave {what} to train, got all of them frozen")
    around = [(name, penalties if name == _PENALIZED else row) for name, row in around]
    return Resolved(native, group_of, around)


def _penalty_of(
    where: str, penalty: Optimizer | None, within: Optimizer, settings: dict[str, Any]
) -> list[float]:
    """The numbers of a penalty around ``within`` with what a group sets; without one, none."""
    changed: dict[str, Any] = {}
    for name, value in settings.items():
        field = name.removesuffix(_FACTOR)
        if field not in _PENALTY:
            continue
        if penalty is None:
            raise ValueError(
                f"{where}: {name} is for a penalty, and there is none: give the trainer the "
                f"optimizer gdcore.Penalized({within!r}, ...)"
            )
        if field == name:
            changed[field] = value
        elif field == "weights_only":
            raise ValueError(f"{where}: weights_only has no factor, give weights_only itself")
        else:
            changed[field] = getattr(penalty, field) * value
    if penalty is None:
        return []
    try:
        own: Any = replace(penalty, optimizer=within, **changed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None
    numbers: list[float] = own.numbers()
    return numbers


def settings_by_group(
    groups: Sequence[Group], keys: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Of each number that `resolved` gives, from 1 on, patterns as errors tell, and settings."""
    found: dict[tuple[int, ...], tuple[str, dict[str, Any]]] = {}
    for key in keys:
        matching = tuple(i for i, each in enumerate(groups) if fnmatchcase(key, each.pattern))
        settings = _joined(groups, matching, key)
        if matching and "frozen" not in settings:
            names = " and ".join(repr(groups[i].pattern) for i in matching)
            found.setdefault(matching, (names, settings))
    return list(found.values())


def own_schedules(settings: Mapping[str, Any]) -> dict[str, One]:
    """The schedules among a group's settings, by hyperparameters."""
    given = settings.get("schedule", {})
    return dict(given) if isinstance(given, Mapping) else {"lr": given}


def _joined(groups: Sequence[Group], matching: Sequence[int], key: str) -> dict[str, Any]:
    """What several groups set for a key."""
    joined: dict[str, Any] = {}
    by: dict[str, int] = {}
    for index in matching:
        settings = groups[index].settings
        schedules = own_schedules(settings)
        for other in schedules.keys() & own_schedules(joined).keys():
            raise ValueError(f"groups must not set two schedules of {other!r} for {key!r}")
        if schedules:
            joined["schedule"] = own_schedules(joined) | schedules
        for name, value in settings.items():
            if name == "schedule":
                continue
            field = name.removesuffix(_FACTOR)
            if field in by:
                raise ValueError(
                    f"groups[{by[field]}] and groups[{index}] must not both set {field} of {key!r}"
                )
            by[field] = index
            joined[name] = value
    return joined


def with_settings(where: str, optimizer: Optimizer, settings: dict[str, Any]) -> Optimizer:
    """The optimizer with what a group sets; its rate stays, which `resolved` tells apart.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: It has no such field, or cannot take the value.
    """
    changed: dict[str, Any] = {}
    names = [field.name for field in fields(optimizer)]
    for name, value in settings.items():
        if name in ("frozen", "lr_factor", "schedule") or name.removesuffix(_FACTOR) in _PENALTY:
            continue
        field = name if name in names else name.removesuffix(_FACTOR)
        choice(f"{where}: a hyperparameter of {type(optimizer).__name__}", field, names)
        now = getattr(optimizer, field)
        if field == "lr":
            if optimizer.lr == 0:
                raise ValueError(
                    f"{where}: lr must be in proportion to the optimizer's, which is 0"
                )
        elif field == name:
            changed[field] = value
        elif isinstance(now, float):
            changed[field] = now * value
        else:
            raise ValueError(
                f"{where}: {field} of {type(optimizer).__name__} has no factor, give {field} itself"
            )
    try:
        return replace(optimizer, **changed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def described_group(group: Group) -> dict[str, Any]:
    """All that makes it again."""
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in group.settings.items()
    }
    return {"pattern": group.pattern, "settings": settings}


def groups_from(described: Any) -> list[Group]:
    """The groups that `described_group` was given; ValueError where one cannot be."""
    if not isinstance(described, list):
        raise ValueError("the groups are not described")
    groups = []
    for each in described:
        if not isinstance(each, dict) or not isinstance(each.get("settings"), dict):
            raise ValueError("a group is not described")
        try:
            groups.append(_made(each.get("pattern"), each["settings"]))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ValueError(f"a group cannot be: {error}") from None
    return groups

"""What this build and this machine offer, and how many threads are used."""

from __future__ import annotations

from typing import Any

from gdcore import _core
from gdcore._check import thread_count

__all__ = ["Configuration", "get_num_threads", "set_num_threads", "show_config"]


def __dir__() -> list[str]:
    return __all__


class Configuration(dict[str, Any]):
    """What `show_config` returns: a dict that prints as a table."""

    def __str__(self) -> str:
        """One line an entry."""
        width = max(map(len, self), default=0)
        return "\n".join(f"{key:<{width}}  {_shown(value)}" for key, value in self.items())

    def __repr__(self) -> str:
        """The same, so that an interactive session shows it."""
        return str(self)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "none" if value is None else str(value)


def show_config() -> Configuration:
    """Returns what runs here and why; printed, it is a table.

    Among the keys: ``version``, ``isa`` (the instruction set in use), ``isa_available``,
    ``isa_cap`` (from the environment's ``GDCORE_MAX_ISA``), ``cpu_features``, ``cpus`` (affinity
    mask, cgroup quota, physical cores), ``num_threads`` and ``num_threads_source`` (where that
    number came from; "the system" where it refused more), ``openmp``, ``compiler``, ``build_type``,
    and ``precision`` (what serves each ``matmul_precision`` on this machine).
    """
    return Configuration(_core.config())


def set_num_threads(num_threads: int | None) -> None:
    """Sets how many threads are used where no argument says it.

    Without this the environment's ``OMP_NUM_THREADS`` counts, else the least of affinity mask,
    cgroup quota and physical cores. It counts from the next call on, for trainers too that are
    there already and were given no number. Results do not depend on it. Where the system refuses
    threads, fewer are used, until this is called again.

    Args:
        num_threads: 1 to 1024, or None to go back to what counts without this.

    Raises:
        TypeError: It is no integer.
        ValueError: It is out of that range.
    """
    _core.set_num_threads(thread_count(num_threads))


def get_num_threads() -> int:
    """Returns how many threads are used where no argument says it."""
    return _core.get_num_threads()

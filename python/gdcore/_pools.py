"""Shows gdcore's threads to threadpoolctl, and has them follow its limits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from gdcore import _core

__all__ = ["show_to_threadpoolctl"]

_NAME = "threadpoolctl"


def show_to_threadpoolctl() -> None:
    """Tells threadpoolctl of gdcore's threads: now, or when it is imported."""
    module = sys.modules.get(_NAME)
    if hasattr(module, "register"):
        _register(module)
    else:
        sys.meta_path.insert(0, _Watch())


class _Watch:
    """A finder that finds nothing, and hears once of the import that it waits for."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of threadpoolctl, whose module is told of gdcore once it is loaded."""
        if name != _NAME:
            return None
        sys.meta_path.remove(self)
        found = (each.find_spec(name, path, target) for each in sys.meta_path)
        spec = next((each for each in found if each is not None), None)
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            loader.exec_module = _and_then_register(loader.exec_module)
        return spec


def _and_then_register(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def loaded(module: Any) -> None:
        load(module)
        _register(module)

    return loaded


def _register(threadpoolctl: Any) -> None:
    class GdcoreController(threadpoolctl.LibController):  # type: ignore[misc]  # known only now
        """gdcore's threads, for threadpoolctl."""

        user_api = "openmp"
        internal_api = "gdcore"
        filename_prefixes = ("_core",)
        check_symbols = ("gdcore_num_threads",)

        def set_additional_attributes(self) -> None:
            """Remembers what there was before a limit."""
            _before[id(self)] = _told()

        def get_num_threads(self) -> int:
            """How many threads a call may use that was told no number."""
            return int(self.dynlib.gdcore_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            """Sets that; what there was at first comes back as it was, or as nobody's word."""
            told = _before.get(id(self), (None, None))
            _core.set_num_threads(told[1] if num_threads == told[0] else num_threads)

        def get_version(self) -> str:
            """Gdcore's."""
            return str(_core.config()["version"])

        def __del__(self) -> None:
            _before.pop(id(self), None)

    threadpoolctl.register(GdcoreController)


# Of each controller, whose own attributes threadpoolctl shows: how many threads there were, and
# that number again if somebody had set it.
_before: dict[int, tuple[int, int | None]] = {}


def _told() -> tuple[int, int | None]:
    config = _core.config()
    count: int = config["num_threads"]
    return count, count if config["num_threads_source"] == "set_num_threads" else None

"""The locks of what is made when it is first asked for."""

from __future__ import annotations

import os
from _thread import RLock  # threading, which has it too, takes 2 ms to load

__all__ = ["loading", "making"]

# Of modules. What runs while a module loads must not wait for it: who has it waits for modules.
loading = RLock()
# Of dataclasses; nothing is loaded under it.
making = RLock()


def _before_fork() -> None:
    loading.acquire()
    making.acquire()


def _after_fork() -> None:
    making.release()
    loading.release()


# No process forks while another thread holds them: in the child they would stay locked.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )

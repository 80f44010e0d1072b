"""The lock of what is made when it is first asked for."""

from __future__ import annotations

import os
from _thread import RLock  # threading, which has it too, takes 2 ms to load

__all__ = ["loading"]

# No process forks while another thread holds it: in the child it would stay locked.
loading = RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=loading.acquire, after_in_parent=loading.release, after_in_child=loading.release
    )

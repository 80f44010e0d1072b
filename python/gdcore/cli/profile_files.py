"""The files that a profile can become, by the ending of their name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gdcore.profiling import Profile
from gdcore.profiling.extras import needed

__all__ = ["check", "write"]

_FORMS: dict[str, Callable[[Profile, Path], None]] = {
    ".html": Profile.to_html,
    ".json": Profile.to_chrome_trace,
    ".npz": Profile.save,
    ".pdf": Profile.plot,
    ".png": Profile.plot,
    ".svg": Profile.plot,
}
_NEEDS = {
    ".html": "plotly.graph_objects",
    ".pdf": "matplotlib.figure",
    ".png": "matplotlib.figure",
    ".svg": "matplotlib.figure",
}


def check(option: str, path: Path) -> None:
    """Finds out before the training whether such a file can be made.

    Raises:
        ValueError: The ending is unknown, or a package that it needs is not installed.
    """
    ending = path.suffix.lower()
    if ending not in _FORMS:
        raise ValueError(f"{option} must end in one of {', '.join(_FORMS)}, got {str(path)!r}")
    if ending in _NEEDS:
        try:
            needed(_NEEDS[ending])
        except ImportError as error:
            raise ValueError(f"{option} {path}: {error}") from None


def write(profile: Profile, path: Path) -> None:
    """Writes the form that the ending asks for."""
    _FORMS[path.suffix.lower()](profile, path)

"""The files that a profile can become, by the ending of their name, and those that hold one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from gdcore.profiling import Profile
from gdcore.profiling.extras import needed

__all__ = ["check", "holds_profile", "write"]

# What each returns tells what of the profile is in the file, where that may be a part.
_FORMS: dict[str, Callable[[Profile, Path], str | None]] = {
    ".html": Profile.to_html,
    ".json": Profile.to_chrome_trace,
    ".json.gz": Profile.to_chrome_trace,
    ".npz": Profile.save,
    ".pdf": Profile.plot,
    ".pftrace": Profile.to_perfetto,
    ".png": Profile.plot,
    ".speedscope.json": Profile.to_speedscope,
    ".svg": Profile.plot,
}
_NEEDS = {
    ".html": "plotly.graph_objects",
    ".pdf": "matplotlib.figure",
    ".pftrace": "perfetto.trace_builder.proto_builder",
    ".png": "matplotlib.figure",
    ".svg": "matplotlib.figure",
}


def check(option: str, path: Path) -> None:
    """Finds out before the training whether such a file can be made.

    Raises:
        ValueError: The ending is unknown, or a package that it needs is not installed.
    """
    ending = _ending(path)
    if ending is None:
        raise ValueError(f"{option} must end in one of {', '.join(_FORMS)}, got {str(path)!r}")
    if ending in _NEEDS:
        try:
            needed(_NEEDS[ending])
        except ImportError as error:
            raise ValueError(f"{option} {path}: {error}") from None


def write(profile: Profile, path: Path) -> str | None:
    """Writes the form that the ending asks for, which `check` knows.

    Returns:
        What of the profile the file holds, where that may be a part.
    """
    return _FORMS[_ending(path) or ""](profile, path)


def holds_profile(data: str) -> bool:
    """Whether a file is a profile that was saved, and no data to train on."""
    if not data.lower().endswith(".npz"):
        return False
    try:
        with zipfile.ZipFile(data) as file:
            return {"events.npy", "rest.npy"} <= set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False  # told by who reads data


def _ending(path: Path) -> str | None:
    """The longest that fits: .speedscope.json is no .json."""
    name = path.name.lower()
    return max((each for each in _FORMS if name.endswith(each)), key=len, default=None)

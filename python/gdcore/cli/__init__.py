"""The command ``gdcore``; its packages are those of the extra ``cli``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command; exits with 2 and one line where it is called in a way that cannot work."""
    try:
        from gdcore.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"rich", "sklearn", "typer"}:
            raise
        print(
            f"gdcore: the command line needs {error.name}, which is not installed. "
            'Install it with: python -m pip install "gdcore[cli]"',
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    app()

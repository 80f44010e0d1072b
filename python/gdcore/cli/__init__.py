"""The command ``gdcore``; its packages are those of the extra ``cli``."""

from __future__ import annotations

__all__ = ["main"]

_PACKAGES = {"polars", "rich", "sklearn", "typer"}
INTERRUPTED = 130  # what shells expect of a command that Ctrl-C ended


def main() -> None:
    """Runs the command; exits with 2 and one line where it is called in a way that cannot work."""
    from gdcore.communication.launching import started

    launch = started()
    if launch is None:
        _main()
        return
    from gdcore.cli import ranks

    ranks.run(launch, _main)


def _main() -> None:
    try:
        from gdcore.cli.app import app

        app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        from gdcore.cli import ranks

        ranks.leave(
            f"gdcore: the command line needs {error.name}, which is not installed. "
            'Install it with: python -m pip install "gdcore[cli]"',
            2,
        )
    except KeyboardInterrupt:  # while it loads; later the commands tell what was done
        raise SystemExit(INTERRUPTED) from None

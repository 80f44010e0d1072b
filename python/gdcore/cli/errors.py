"""What ends a command: a message without traceback, and an exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from gdcore.cli import INTERRUPTED, ranks

if TYPE_CHECKING:
    from gdcore import Trainer

__all__ = ["diverged", "diverging", "fail", "user_errors"]


def fail(message: str, code: int = 2) -> NoReturn:
    """Ends the command with a message on standard error."""
    ranks.leave(f"gdcore: {message}", code)


@contextmanager
def user_errors() -> Iterator[None]:
    """Makes what the library says of bad values, files and machines a message, exit code 2."""
    try:
        yield
    except (ValueError, TypeError, FloatingPointError) as error:
        fail(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # whoever read our output has enough; typer ends quietly
        fail(_told(error))
    except ModuleNotFoundError:
        raise  # nobody has said which extra it belongs to
    except ImportError as error:
        fail(str(error))
    except MemoryError:
        fail("there is not enough memory for data or a network of this size")
    except KeyboardInterrupt:
        fail("stopped", INTERRUPTED)


@contextmanager
def diverging(trainer: Trainer) -> Iterator[None]:
    """Tells of a loss that is not finite with the options that there are on the command line."""
    try:
        yield
    except FloatingPointError:
        raise FloatingPointError(diverged(trainer.epochs + 1, trainer.lr)) from None


def diverged(epoch: int, lr: float) -> str:
    """The message for a training that diverged."""
    return (
        f"the loss is not finite in epoch {epoch}, with learning rate {lr:g}: take a smaller --lr"
    )


def _told(error: OSError) -> str:
    if error.errno is None or error.filename is None:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {os.strerror(error.errno)}"

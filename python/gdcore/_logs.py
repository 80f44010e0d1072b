"""Callbacks that tell others of a training: Python's logging, MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gdcore._callback import Callback
from gdcore._check import flag, integer
from gdcore._repr import call_of

if TYPE_CHECKING:
    import logging

    from gdcore.training import Trainer

__all__ = ["Log", "MLflow"]


class Log(Callback):
    """Writes a line for each epoch by Python's ``logging``, under the name ``"gdcore"``.

    It is for training that nobody looks at: in a service, a job, a notebook that is run by another
    program. Where the lines go, and from which level on, says the program's own set-up of logging.

    >>> logging.basicConfig(level=logging.INFO)
    >>> trainer.fit(x, y, epochs=2, callbacks=[gdcore.callbacks.Log()], progress=False)
    INFO:gdcore:epoch 1: loss 0.6931, lr 0.001, 0.02 s
    INFO:gdcore:epoch 2: loss 0.5112, lr 0.001, 0.02 s

    Each record also has ``record.epoch``, and in ``record.figures`` a dict of what the line tells,
    for who writes JSON. What an exception ends is logged as an error.

    Args:
        logger: A logger, or its name.
        level: Of the lines, as ``logging`` has it: 20 is ``logging.INFO``.
        every: Logs every so many epochs, by their numbers, and the last one.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: every is below 1.
    """

    _on_first_rank = True

    def __init__(
        self,
        logger: str | logging.Logger = "gdcore",
        *,
        level: int = 20,
        every: int = 1,
    ) -> None:
        import logging  # only here: import gdcore stays light

        if not isinstance(logger, (str, logging.Logger, logging.LoggerAdapter)):
            raise TypeError(f"logger must be a logger or its name, got {type(logger).__name__}")
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._level = integer("level", level, at_least=0)
        self._every = integer("every", every)
        self._began = 0.0
        self._waiting: tuple[int, dict[str, float]] | None = None

    def __repr__(self) -> str:
        return call_of(self, logger=self._logger.name, level=self._level, every=self._every)

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Starts the clock."""
        self._began, self._waiting = time.perf_counter(), None

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Logs the epoch, or keeps it in case that it is the last."""
        now = time.perf_counter()
        figures = {**values, "lr": trainer.lr, "seconds": now - self._began}
        self._began = now
        self._waiting = (epoch, figures)
        if epoch % self._every == 0:
            self._tell()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Logs the last epoch, where that is still to be done."""
        self._tell()

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Logs what ended the training."""
        self._tell()
        self._logger.error("fit ended with %s: %s", type(error).__name__, error)

    def _tell(self) -> None:
        if self._waiting is None:
            return
        (epoch, figures), self._waiting = self._waiting, None
        told = {key: value for key, value in figures.items() if key != "seconds"}
        words = ", ".join(f"{key} {value:.4g}" for key, value in told.items())
        line = "epoch %d: %s, %.2f s"
        extra = {"epoch": epoch, "figures": figures}
        self._logger.log(self._level, line, epoch, words, figures["seconds"], extra=extra)


class MLflow(Callback):
    """Logs to MLflow; needs the package of the extra ``mlflow``.

    Parameters of the run are what the trainer is made of: ``optimizer`` and each of its
    hyperparameters, ``loss``, ``network``, ``num_parameters``, ``dtype``, ``seed``. After each
    epoch, at its number, come what the history has, the learning rate of the next step (``lr``) and
    how long the epoch took (``seconds``).

    Where a run is active it goes there, and the run stays active; else to a run of its own, which
    ends with the `Trainer.fit`, as ``FAILED`` where an exception ended it.

    >>> mlflow.set_experiment("digits")
    >>> trainer.fit(x, y, epochs=20, callbacks=[gdcore.callbacks.MLflow()])

    Args:
        run_name: Of a run of its own; None: MLflow finds one.
        model: Whether to log the trainer's file as the artifact ``trainer.safetensors`` at the end.

    Raises:
        ImportError: MLflow is not installed.
        TypeError: An argument is of the wrong type.
    """

    _on_first_rank = True

    def __init__(self, run_name: str | None = None, *, model: bool = False) -> None:
        if run_name is not None and not isinstance(run_name, str):
            raise TypeError(f"run_name must be a string or None, got {type(run_name).__name__}")
        self._run_name = run_name
        self._model = flag("model", model)
        try:
            import mlflow  # only who uses it needs it
        except ModuleNotFoundError as error:
            raise ImportError(
                f"MLflow needs {error.name}, which is not installed. Install it with: "
                'python -m pip install "gdcore[mlflow]"'
            ) from None
        self._mlflow: Any = mlflow
        self._owns = False
        self._began = 0.0

    def __repr__(self) -> str:
        return call_of(self, run_name=self._run_name, model=self._model)

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begins a run where none is active, and logs its parameters."""
        self._owns = self._mlflow.active_run() is None
        if self._owns:
            self._mlflow.start_run(run_name=self._run_name)
        self._mlflow.log_params(_parameters(trainer))
        self._began = time.perf_counter()

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, float]) -> None:
        """Logs the epoch's figures."""
        now = time.perf_counter()
        figures = {**values, "lr": trainer.lr, "seconds": now - self._began}
        self._mlflow.log_metrics(figures, step=epoch)
        self._began = now

    def on_fit_end(self, trainer: Trainer) -> None:
        """Logs the model, where that is wanted, and ends a run of its own."""
        if self._model:
            import tempfile  # only here: import gdcore stays light

            with tempfile.TemporaryDirectory() as folder:
                trainer.save(path := os.path.join(folder, "trainer.safetensors"))
                self._mlflow.log_artifact(path)
        self._end("FINISHED")

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Ends a run of its own."""
        self._end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")

    def _end(self, status: str) -> None:
        if self._owns:
            self._mlflow.end_run(status=status)
        self._owns = False


def _parameters(trainer: Trainer) -> dict[str, Any]:
    """What a trainer is made of, as short texts and numbers."""
    optimizer = trainer.optimizer
    told = {
        "network": str(trainer.network),
        "num_parameters": trainer.network.num_parameters,
        "dtype": trainer.network.dtype.name,
        "loss": str(trainer.loss),
        "optimizer": type(optimizer).__name__,
        "seed": trainer.seed,
    }
    fields = getattr(optimizer, "__dataclass_fields__", {})
    return told | {f"optimizer.{name}": str(getattr(optimizer, name)) for name in fields}

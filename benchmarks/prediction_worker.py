"""Calls of a library's predict: `... benchmarks.prediction_worker LIBRARY THREADS CASE SECONDS`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gdcore as gd
from benchmarks.predictions import LIBRARIES, PREDICTIONS
from benchmarks.serve import serve

__all__ = ["main"]


def _caller(library: str, threads: int, name: str) -> Callable[[], Any]:
    case = PREDICTIONS[name]
    first, *hidden, last = case.widths
    layers = [*(gd.Dense(width, "relu") for width in hidden), gd.Dense(last)]
    net = gd.Network(layers, input_size=first, seed=0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(case.rows, first)).astype(np.float32)
    if library == LIBRARIES[0]:
        gd.set_num_threads(threads)
        return lambda: net.predict(x)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        gd.export.to_onnx(net, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    np.testing.assert_allclose(
        session.run(outputs, {inputs: x})[0], net.predict(x), rtol=1e-3, atol=1e-4
    )
    return lambda: session.run(outputs, {inputs: x})


def main() -> None:
    """Serves measurements until standard input ends."""
    library, threads, name, seconds = sys.argv[1:]

    def prepare() -> Callable[[], dict[str, float]]:
        call = _caller(library, int(threads), name)
        for _ in range(5):
            call()
        begin = time.perf_counter()
        call()
        repeats = max(1, round(float(seconds) / max(time.perf_counter() - begin, 1e-7)))

        def measure() -> dict[str, float]:
            call()
            begin = time.perf_counter()
            for _ in range(repeats):
                call()
            return {"seconds": (time.perf_counter() - begin) / repeats}

        return measure

    serve(prepare)


if __name__ == "__main__":
    main()

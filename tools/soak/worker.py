"""A process that checks the cases it is given, one a line; made and asked by `Worker`.

A case that ends the process or hangs it is a finding too, and the next one gets a new process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from tools.soak import ROOT
from tools.soak.finding import Answer, Case, answered

__all__ = ["Worker", "main"]

PATIENCE = 300.0  # seconds for a case, on a machine that does much else
_LAST_WORDS = 3000  # characters of what a process that died wrote


class Worker:
    """Asks `tools.soak.GENERATOR.FUNCTION` in a process of its own."""

    def __init__(
        self,
        generator: str,
        function: str = "check",
        env: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._command = [sys.executable, "-m", "tools.soak.worker", generator, function]
        self._env = {**os.environ, **(env or {})}
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, case: Case) -> Answer:
        """The answer; a process that ends or hangs is one as well."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what has died tells so below
            process.stdin.write(json.dumps(case).encode() + b"\n")
            process.stdin.flush()
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], self._patience)
            if not ready:
                process.send_signal(signal.SIGABRT)  # faulthandler writes where all threads are
                return self._gone(f"hangs for {self._patience:g} s")
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                return self._gone(None)
            line += piece
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._wait()
        self._process.stdout.close()
        self._errors.close()
        self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._env, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        return self._process

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _gone(self, line: str | None) -> Answer:
        code = self._wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace")[-_LAST_WORDS:]
        self.close()
        if line is None:
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
            line = f"ends the process {how}"
        return {"finding": line, "text": f"{line}\n{words}"}


def main() -> None:
    """Answers until standard input ends."""
    generator, function = sys.argv[1:]
    # Answers go where nothing that a library prints can come between.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    faulthandler.enable()
    check = getattr(importlib.import_module(f"tools.soak.{generator}"), function)
    for line in sys.stdin:
        answers.write(json.dumps(answered(check, json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()

"""Draws cases, has worker processes check them, and tells what they found."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tools.soak.finding import Answer, Case, kind_of
from tools.soak.smaller import smallest
from tools.soak.worker import PATIENCE, Worker

__all__ = ["GENERATORS", "Run", "soak"]

GENERATORS = (
    "threads", "instruction_sets", "against_torch", "sequences", "under_load", "hostile",
)  # fmt: skip
_TELL = 60.0  # seconds between two lines of progress


@dataclass
class Run:
    """A run of a generator, while it goes on and after.

    Attributes:
        generator: Its name.
        seed: Case i is drawn from the seed and i, whoever checks it.
        cases: How many were checked.
        fixed: What every case has, in place of what is drawn.
        findings: How often each kind was found.
        figures: The largest of each figure that checks returned.
    """

    generator: str
    seed: int
    fixed: Case = field(default_factory=dict)
    cases: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """The summary, in a line."""
        figures = "".join(f", worst {name} {value:.3g}" for name, value in self.figures.items())
        found, kinds = sum(self.findings.values()), len(self.findings)
        kinds_told = f" of {kinds} kinds" if kinds > 1 else ""
        return (
            f"{self.generator}: {self.cases:,} cases in {time.monotonic() - self.began:.0f} s, "
            f"seed {self.seed}: {found} findings{kinds_told}{figures}"
        )

    def case(self, number: int) -> Case:
        """Case `number` of this run."""
        drawn: Case = importlib.import_module(f"tools.soak.{self.generator}").draw(
            Random(f"{self.generator} {self.seed} {number}")
        )
        return drawn | self.fixed


def soak(
    run: Run,
    *,
    seconds: float,
    count: int | None,
    jobs: int,
    tell: Callable[[str], None],
    patience: float = PATIENCE,
    shrinking: float = 60.0,
) -> Run:
    """Checks cases until time is over or `count` are done; findings are told at once.

    A case that shows a new kind of finding is made smaller for `shrinking` seconds.
    """
    lock = threading.Lock()
    end = run.began + seconds
    given = 0
    told_at = run.began

    def work() -> None:
        nonlocal given, told_at
        with Worker(run.generator, patience=patience) as worker:
            while time.monotonic() < end:
                with lock:
                    if count is not None and given >= count:
                        return
                    number, given = given, given + 1
                case = run.case(number)
                answer = worker.ask(case)
                with lock:
                    run.cases += 1
                    kind = _count(run, answer)
                    if time.monotonic() - told_at >= _TELL:
                        told_at = time.monotonic()
                        tell(str(run))
                if kind is not None:
                    tell(_report(run, number, *smallest(case, answer, worker.ask, shrinking)))

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return run


def _count(run: Run, answer: Answer) -> str | None:
    """Enters an answer; returns the kind of a finding that is new."""
    for name, value in answer.get("figures", {}).items():
        run.figures[name] = max(value, run.figures.get(name, value))
    if "finding" not in answer:
        return None
    kind = kind_of(answer)
    run.findings[kind] = run.findings.get(kind, 0) + 1
    return kind if run.findings[kind] == 1 else None


def _report(run: Run, number: int, case: Case, answer: Answer) -> str:
    again = f"python -m tools.soak {run.generator} --case '{json.dumps(case)}'"
    return f"FOUND in case {number} of seed {run.seed}:\n{answer['text'].strip()}\n  {again}"

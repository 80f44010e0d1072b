"""The same bits at `"highest"` on every instruction set of this machine."""

from __future__ import annotations

from random import Random

import gdcore as gd
from tools.soak import cases
from tools.soak.finding import Case, wrong
from tools.soak.threads import same_as
from tools.soak.worker import Worker

__all__ = ["check", "digests", "draw"]

_workers: dict[str, Worker] = {}  # one process an instruction set: it is chosen once in a process


def draw(random: Random) -> Case:
    """A network and ways to train; scalar kernels are slow, so it is small."""
    case = cases.draw(random, most=1e7) | {"precision": "highest", "threads": random.choice((1, 2))}
    return case | {"isas": list(gd.show_config()["isa_available"])}


def check(case: Case) -> None:
    """All that comes out is what comes out of the first instruction set, scalar."""
    want: dict[str, str] = {}
    for isa in case["isas"]:
        if isa not in _workers:
            _workers[isa] = Worker("instruction_sets", "digests", {"GDCORE_MAX_ISA": isa})
        answer = _workers[isa].ask(case | {"isa": isa})
        if "finding" in answer:
            wrong(f"{isa} {answer['finding']}\n{answer['text']}")
        want = want or answer["figures"]
        same_as(want, answer["figures"], f"{case['isas'][0]} and {isa}")


def digests(case: Case) -> dict[str, str]:
    """In the process of an instruction set: what comes out there."""
    used = gd.show_config()["isa"]
    if used != case["isa"]:
        wrong(f"GDCORE_MAX_ISA={case['isa']} runs {used}")
    return cases.trained(case, case["threads"])

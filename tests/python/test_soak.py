"""A fast slice of every generator of tools/soak, and that what they find is told."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from random import Random
from typing import Any, ClassVar

import pytest
from support import ROOT, guarded_run

from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.optimizers import Optimizer

# Cases that take a few seconds together; an hour of each is for whoever changes what they hold.
SLICES = {
    "threads": 25,
    "instruction_sets": 40,
    "against_torch": 60,
    "sequences": 150,
    "under_load": 4,
    "hostile": 600,
}


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tools` stands beside the package."""
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str) -> Any:
    return importlib.import_module(f"tools.soak.{name}")


def soaked(generator: str, count: int) -> tuple[Any, list[str]]:
    runner, said = module("runner"), []
    run = runner.Run(generator, seed=1)
    runner.soak(run, seconds=math.inf, count=count, jobs=1, tell=said.append, shrinking=5.0)
    return run, said


def test_every_generator_has_a_slice() -> None:
    assert set(SLICES) == set(module("runner").GENERATORS)


@pytest.mark.parametrize("generator", SLICES)
def test_nothing_is_found(generator: str) -> None:
    if generator == "against_torch" and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    run, said = soaked(generator, SLICES[generator])
    assert run.cases == SLICES[generator]
    assert not run.findings, "\n".join(said)


# ---- what is drawn ----


def test_cases_are_the_same_for_the_same_seed_and_json_can_hold_them() -> None:
    runner = module("runner")
    for generator in SLICES:
        if generator == "against_torch" and find_spec("torch") is None:
            continue
        drawn = [runner.Run(generator, seed).case(3) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]
        assert json.loads(json.dumps(drawn[0])) == drawn[0]


@pytest.fixture
def new_activation() -> Iterator[str]:
    @dataclass(frozen=True)
    class Bent(Activation):
        name: ClassVar[str] = "bent"
        slope: float = 0.25

    yield Bent.name
    del Activation.members[Bent.name]


def test_a_new_formula_is_drawn_by_itself(new_activation: str) -> None:
    cases, random = module("cases"), Random(1)
    drawn = [cases.drawn_formula(random, Activation) for _ in range(300)]
    assert {each["name"] for each in drawn} == set(Activation.members)
    assert any(each["options"].get("slope") for each in drawn if each["name"] == new_activation)


def test_every_formula_and_edge_is_drawn() -> None:
    cases, random = module("cases"), Random(2)
    drawn = [cases.draw(random, (cases.TINY,)) for _ in range(400)]
    assert {case["loss"]["name"] for case in drawn} == set(Loss.members)
    assert {case["rule"]["name"] for case in drawn} == set(Optimizer.members)
    assert any(case["rule"]["options"].get("eps") == 0 for case in drawn)
    assert any(case["rule"]["options"].get("lr", 0) > 1e10 and case["clip"] for case in drawn)
    assert {way[0] for case in drawn for way in case["ways"]} == {
        "step", "fit", "learn_many", "learn_one", "backward", "evaluate", "matmul",
        "bind",
    }  # fmt: skip


def test_every_public_call_is_given_hostile_arguments() -> None:
    calls = module("hostile_calls")
    measures = {"scaling_study"}  # takes time by design
    there = {name.partition(",")[0] for name in calls.CALLS}
    assert calls.public_calls() - there == measures


# ---- what is told ----


def test_a_finding_is_made_small_and_told_once() -> None:
    run, said = soaked("faults", 30)
    assert run.cases == 30
    assert run.findings == {"# rows differ": sum(run.findings.values())}
    assert run.figures["rows"] > 3
    (told,) = said
    assert "3 rows differ" in told
    case = json.loads(told.partition("--case '")[2].rstrip("'"))
    assert case == {"how": "differ", "rows": 3, "rest": [1]}
    assert "findings" in str(run)
    assert "worst rows" in str(run)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", "raises KeyError"),
        ("die", "ends the process by SIGSEGV"),
        ("exit", "ends the process with status 3"),
        ("hang", "hangs for 1 s"),
    ],
)
def test_a_worker_that_goes_wrong_is_told_and_replaced(how: str, words: str) -> None:
    with module("worker").Worker("faults", patience=1.0 if how == "hang" else 60.0) as worker:
        for _ in range(2):
            answer = worker.ask({"how": how, "rows": 3})
            assert answer["finding"].startswith(words), answer
    with module("worker").Worker("faults") as worker:
        assert worker.ask({"how": how, "rows": 2}) == {"figures": {"rows": 2.0}}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return guarded_run(
        [sys.executable, "-m", "tools.soak", *arguments],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip


def test_the_command_replays_a_case_and_says_so_in_its_status() -> None:
    case = {"call": "matmul", "bad": {"a": "nan"}, "dtype": "float64"}
    good = command("hostile", "--case", json.dumps(case))
    assert (good.returncode, good.stdout) == (0, "holds\n")
    case = {"call": "matmul", "bad": {"a": "no such value"}, "dtype": "float64"}
    bad = command("hostile", "--case", json.dumps(case))
    assert bad.returncode == 1
    assert "no such value" in bad.stdout


def test_the_command_counts_and_sums_up() -> None:
    done = command(
        "hostile", "--count", "3", "--seed", "5", "--fix", '{"call": "matmul", "bad": {}}'
    )
    assert done.returncode == 0
    assert done.stdout.startswith("hostile: 3 cases in ")
    assert done.stdout.endswith("s, seed 5: 0 findings\n")

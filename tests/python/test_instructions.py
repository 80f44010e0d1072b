"""A training step takes as many instructions as the repository says, and no other number."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ROOT

CASES = ("online", "rl", "narrow", "mnist-s")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tools` stands beside the package."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def program(cpp_build: Path) -> Path:
    """Where training_steps is built."""
    from tools.instructions import why_not

    if reason := why_not():
        pytest.skip(reason)
    return cpp_build


def test_all_cases_are_tried_here() -> None:
    from tools.instructions import STEPS, committed

    assert tuple(STEPS) == CASES
    assert all(tuple(sorted(each)) == tuple(sorted(CASES)) for each in committed().values())


@pytest.mark.parametrize("case", CASES)
def test_a_step_takes_the_instructions_that_are_committed(program: Path, case: str) -> None:
    from tools.instructions import UPDATE, committed, complaint, counted

    found = counted(program, case)
    stored = committed().get(found.where)
    if stored is None:
        pytest.skip(f"no numbers are committed for {found.where}: {UPDATE} writes them")
    assert complaint(case, found, stored) is None


def test_counting_again_finds_the_same(program: Path) -> None:
    from tools.instructions import counted

    assert counted(program, "online") == counted(program, "online")


def complaint(instructions: int) -> str | None:
    from tools.instructions import Counted, complaint

    return complaint("rl", Counted("", instructions, Path("callgrind.rl")), {"rl": 100_000})


def test_more_than_0_3_percent_is_told() -> None:
    assert complaint(100_300) is None
    message = complaint(100_301)
    assert message is not None
    assert "rl takes 100,301 instructions, +0.30% of the 100,000 in tests/python/data" in message
    assert "callgrind_annotate callgrind.rl" in message


def test_fewer_ask_for_the_new_number() -> None:
    assert complaint(99_700) is None
    message = complaint(99_699)
    assert message is not None
    assert message.endswith("commit the new number (python -m tools.instructions --update)")

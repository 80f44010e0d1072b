"""The command `gdcore bench`; no test looks at how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

from command_line import done, refused  # noqa: E402  (needs the packages above)

QUICK = ("--rounds", 1, "--seconds", 0.001)


def test_steps_and_scaling_are_measured_and_written(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    result = done(
        "bench", "steps", "scaling", "--cases", "rl,online", "--threads", 2, *QUICK, "--json", path
    )
    for word in ("training steps", "4-64-64-2", "30-64-1", "GFLOP/s", "None over the best"):
        assert word in result.stdout
    assert str(path) in result.stderr
    found = json.loads(path.read_text())
    assert list(found) == ["machine", "steps", "scaling"]
    assert [row["case"] for row in found["steps"]] == ["rl", "online"]
    assert {"x1, us", "x2, us", "None, us"} <= set(found["scaling"][0])
    assert found["machine"]["isa"]


def test_one_thread_is_enough(tmp_path: Path) -> None:
    done("bench", "scaling", "steps", "--cases", "rl", "--threads", 1, *QUICK)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stepz"], ["PART must be one of", "did you mean 'steps'"]),
        (["--cases", "rl,wid"], ["--cases must be one of", "did you mean 'wide'"]),
        (["--rounds", 0], ["--rounds must be at least 1"]),
        (["--seconds", 0], ["--seconds must be above 0"]),
        (["--threads", 0], ["--threads must be at least 1"]),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, arguments: list[object], words: list[str]
) -> None:
    refused(tmp_path, ["bench", *arguments], *words)


def test_a_file_that_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    refused(tmp_path, ["bench", "--json", tmp_path / "none" / "found.json"], "--json", "none")

"""The same bits on any number of threads and any instruction set."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import run_json, run_python

import gdcore as gd

SCRIPT = (Path(__file__).parent / "data" / "bits.py").read_text()
THREADS = (1, 2, 3, 5)
ISAS = ("scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon")
# Scalar kernels take as long as all others together, and share their work as those do.
CASES = [(isa, n) for isa in ISAS for n in (THREADS if isa != "scalar" else (3,))]


@cache
def trained(isa: str, threads: int) -> dict[str, Any]:
    told: dict[str, Any] = run_json(SCRIPT, str(threads), env={"GDCORE_MAX_ISA": isa})
    return told


def require(isa: str) -> None:
    if isa not in gd.show_config()["isa_available"]:
        pytest.skip(f"this machine has no {isa}")


@pytest.mark.parametrize(("isa", "threads"), CASES)
def test_same_bits(isa: str, threads: int) -> None:
    """All that comes out of training with every rule, in batches, at once, online; and a matmul."""
    require(isa)
    told = trained(isa, threads)
    assert told["isa"] == isa
    assert told["digests"] == trained("scalar", 3)["digests"]


@pytest.mark.parametrize("threads", THREADS)
def test_the_threads_asked_for_are_really_there(threads: int) -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("there is no /proc to count threads in")
    workers = trained(gd.show_config()["isa"], threads)["workers"]
    if threads == 1:
        assert workers == 0
    else:
        assert workers >= threads - 1


def test_the_digests_tell_runs_apart() -> None:
    digests = trained("scalar", 3)["digests"]
    values = [v for key, run in digests.items() if "special" not in key for v in run.values()]
    assert len(set(values)) == len(values)


def test_an_unknown_instruction_set_is_refused() -> None:
    result = run_python(
        "import gdcore as gd; gd.matmul([[1.0]], [[1.0]])",
        env={"GDCORE_MAX_ISA": "avx1024"},
        check=False,
    )
    assert result.returncode != 0
    assert "Error: GDCORE_MAX_ISA" in result.stderr
    for word in ("avx1024", "scalar"):
        assert word in result.stderr


def test_the_cap_is_told() -> None:
    code = "import gdcore, json; print(json.dumps(gdcore.show_config(), default=str))"
    capped = json.loads(run_python(code, env={"GDCORE_MAX_ISA": "scalar"}).stdout)
    assert (capped["isa"], capped["isa_cap"]) == ("scalar", "scalar")
    free = json.loads(run_python(code).stdout)
    assert free["isa_cap"] is None
    assert free["isa"] == free["isa_available"][-1]
    assert free["isa_available"][0] == "scalar"

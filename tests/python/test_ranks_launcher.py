"""Programs on ranks that a launcher has started: how they end, how many threads they have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import guarded_run

import gdcore as gd
from gdcore.communication.launching import Launch, launched
from gdcore.distributed import run_ranks, threads_for
from gdcore.distributed._threads import Cores, _advice, _count, share

LAUNCHERS = ("PMI_", "PMIX_", "OMPI_", "SLURM_", "MV2_", "FLUX_")
ALONE = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS)}


def mpirun() -> list[str]:
    """MPICH's launcher for two ranks, as far as it and mpi4py are there."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        pytest.skip("no mpirun")
    told = subprocess.run([found, "--version"], capture_output=True, text=True)
    if "HYDRA" not in told.stdout:
        pytest.skip("mpirun is not MPICH's")
    tried = [sys.executable, "-c", "from mpi4py import MPI; print(MPI.get_vendor()[0])"]
    if subprocess.run(tried, capture_output=True, text=True, env=ALONE).stdout.strip() != "MPICH":
        pytest.skip("mpi4py runs on another MPI")
    return [found, "-n", "2"]


def ranked(tmp_path: Path, code: str, *options: str) -> subprocess.CompletedProcess[Any]:
    """A program on two ranks, in which `c` is their communicator."""
    (tmp_path / "program.py").write_text(
        "import os, sys\n"
        "from mpi4py import MPI\n"
        "from gdcore.communication import resolved\n"
        "c = resolved(MPI.COMM_WORLD)\n" + code
    )
    command = [sys.executable, "-m", "gdcore.distributed", *options, tmp_path / "program.py", "a"]
    return guarded_run([*mpirun(), *command], capture_output=True, text=True, env=ALONE)


def test_an_exception_ends_all_ranks_with_its_traceback_once(tmp_path: Path) -> None:
    code = "if c.rank == 1:\n    raise ValueError('no good')\nc.bcast(1)"
    result = ranked(tmp_path, code)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("ValueError: no good") == 1
    assert "gdcore: rank 1 (" in result.stderr
    assert 'program.py", line 6' in result.stderr
    assert "runpy" not in result.stderr
    assert "_launcher" not in result.stderr


def test_a_rank_that_is_gone_is_named_whatever_its_status(tmp_path: Path) -> None:
    result = ranked(tmp_path, "if c.rank == 1:\n    os._exit(0)\nc.bcast(1)")
    assert result.returncode == 1, result.stderr
    assert "gdcore: rank 1 (" in result.stderr
    assert "has ended with status 0, without a word; the run ends" in result.stderr


def test_a_good_end_and_codes_are_kept(tmp_path: Path) -> None:
    code = (
        "got = c.bcast((c.rank, sys.argv[1:]))\nif c.rank:\n    print(got, __name__)\nsys.exit(3)"
    )
    result = ranked(tmp_path, code, "--timeout", "30")
    assert result.returncode == 3, result.stderr
    assert "(0, ['a']) __main__" in result.stdout
    assert "gdcore" not in result.stderr
    result = ranked(tmp_path, "print(c.gather(c.rank))\n", "--timeout=0")
    assert (result.returncode, result.stderr) == (0, "")
    assert "[0, 1]" in result.stdout


def test_the_command_trains_on_ranks_and_does_nothing_else(tmp_path: Path) -> None:
    for module in ("polars", "sklearn", "typer", "rich"):
        pytest.importorskip(module)
    command = [*mpirun(), sys.executable, "-m", "gdcore"]
    told = [
        (["info"], "info is for one process, and mpirun has started 2 ranks"),
        (["train", tmp_path / "no.csv", "--target", "a"], "no.csv: No such file or directory\n"),
    ]
    for arguments, words in told:
        result = guarded_run(
            [*command, *arguments], capture_output=True, text=True, env=ALONE, cwd=tmp_path
        )
        assert result.returncode == 2, result.stderr
        assert result.stderr.count(words) == 1
        assert result.stdout == ""


# ---- the command line, without a launcher ----


def alone(*arguments: object, **environment: str) -> subprocess.CompletedProcess[Any]:
    command = [sys.executable, "-m", "gdcore.distributed", *map(str, arguments)]
    return guarded_run(command, capture_output=True, text=True, env=ALONE | environment)


def test_alone_a_program_runs_as_by_python_itself(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text("import sys\nprint(sys.argv, __name__, sys.path[0])\nsys.exit(4)\n")
    result = alone(program, "--timeout", "x")
    assert result.stdout.split(maxsplit=3)[0] == f"['{program}',"
    assert result.stdout.endswith(f"'--timeout', 'x'] __main__ {tmp_path}\n")
    assert (result.returncode, result.stderr) == (4, "")
    result = alone("-c", "import sys; x = 1; f = lambda: x; print(f(), sys.argv, __name__)", "b")
    assert result.stdout == "1 ['-c', 'b'] __main__\n"
    assert "usage" in alone("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "what to run is missing"),
        (["-m"], "what to run is missing after -m"),
        (["--timeot", "3", "p.py"], "there is no option --timeot"),
        (["-x"], "there is no option -x"),
        (["--timeout", "soon", "p.py"], "--timeout must be seconds, got 'soon'"),
    ],
)
def test_what_cannot_be_run_is_said(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from gdcore.distributed.__main__ import main

    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_launcher_without_mpi4py_is_told_the_extra() -> None:
    blocked = "import sys; sys.modules['mpi4py'] = None; sys.argv = ['x', '-c', '1']; "
    code = blocked + "from gdcore.distributed.__main__ import main; main()"
    environment = ALONE | {"PMI_SIZE": "2", "PMI_RANK": "0"}
    command = [sys.executable, "-c", code]
    result = guarded_run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 2
    assert 'python -m pip install "gdcore[mpi]"' in result.stderr
    environment["PMI_RANK"] = "1"  # the same is told once
    result = guarded_run(command, capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (2, "")


def test_a_launcher_of_another_mpi_is_told() -> None:
    mpirun()
    result = alone("-c", "1", OMPI_COMM_WORLD_SIZE="3", OMPI_COMM_WORLD_RANK="0")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "Open MPI's mpirun has started 3 ranks, but mpi4py would see 1" in result.stderr


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PMI_SIZE": "1", "PMI_RANK": "0"}, None),
        ({"PMI_SIZE": "4", "PMI_RANK": "2"}, Launch("mpirun", 4, 2)),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1"},
            Launch("Open MPI's mpirun", 2, 1),
        ),
        ({"PMIX_RANK": "0"}, Launch("PMIx", None, 0)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "7"}, Launch("srun", 8, 7)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a shell of sbatch
        ({"PMI_SIZE": "many", "PMI_RANK": "0"}, None),
    ],
)
def test_a_launcher_is_seen_from_its_variables(
    environment: dict[str, str], expected: Launch | None
) -> None:
    assert launched(environment) == expected


# ---- threads ----


def test_a_rank_alone_that_is_bound_is_told() -> None:
    if not hasattr(os, "sched_setaffinity") or Cores.own().there < 2:
        pytest.skip("needs two CPUs, and a system that binds")
    code = (
        "import os, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        "sys.argv = ['x', '-c', 'print(1)']; "
        "from gdcore.distributed.__main__ import main; main()"
    )
    for name, words in (("OMPI_COMM_WORLD", "mpirun --bind-to none"), ("OTHER", "")):
        environment = ALONE | {f"{name}_SIZE": "1", f"{name}_RANK": "0"}
        command = [sys.executable, "-c", code]
        result = guarded_run(command, capture_output=True, text=True, env=environment)
        assert (result.returncode, result.stdout) == (0, "1\n"), result.stderr
        assert words in result.stderr
        assert bool(words) == bool(result.stderr)


def test_the_ranks_of_a_machine_share_its_cores() -> None:
    both, more = tuple(range(8)), tuple(range(4))
    ranks = [Cores("a", both, there=8)] * 2 + [Cores("b", more, there=4)]
    assert share(ranks) == ([4, 4, 4], [4, 4, 4])
    assert share([Cores("a", both, there=8)] * 3)[0] == [2, 2, 2]
    assert share([Cores("a", (0,), there=1)] * 3)[0] == [1, 1, 1]


def test_threads_of_the_hardware_and_quotas_count() -> None:
    both = tuple(range(8))
    assert share([Cores("a", both, per_core=2.0, there=8)] * 2)[0] == [2, 2]
    assert share([Cores("a", both, quota=4.0, there=8)] * 2) == ([2, 2], [2, 2])


def test_bound_ranks_have_what_they_are_bound_to() -> None:
    bound = [Cores("a", (2 * rank,), there=8) for rank in range(2)]
    assert share(bound) == ([1, 1], [4, 4])
    halves = [Cores("a", (0, 1), there=4), Cores("a", (2, 3), there=4)]
    assert share(halves) == ([2, 2], [2, 2])
    thirds = [Cores("a", (0, 1, 2), there=3)] * 3
    assert share(thirds)[0] == [1, 1, 1]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "--bind-to none, or --map-by slot:PE=4"),
        ({"I_MPI_ROOT": "x"}, "I_MPI_PIN_DOMAIN=omp and OMP_NUM_THREADS=4"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "srun --cpus-per-task=4"),
        ({}, "-bind-to none"),
    ],
)
def test_a_launcher_is_told_how_to_bind_otherwise(environment: dict[str, str], words: str) -> None:
    assert words in _advice(environment, 4)


def test_cpus_of_a_list_are_counted() -> None:
    assert _count("0-3,8\n") == 5
    with pytest.raises(ValueError, match="invalid literal"):
        _count("\n")


def test_ranks_of_one_process_share_it() -> None:
    found = run_ranks(2, threads_for)
    cpus = gd.show_config()["cpus"]
    assert found[0] == found[1] <= max(1, cpus["affinity"] // 2)
    assert run_ranks(1, threads_for)[0] >= 1


@pytest.mark.parametrize("given", [None, 3])
def test_threads_are_of_a_communicator(given: object) -> None:
    with pytest.raises(TypeError, match="communicator must be one of mpi4py"):
        threads_for(given)

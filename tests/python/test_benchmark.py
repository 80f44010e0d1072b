"""What is measured and how figures are made of it. No test looks at how fast anything is."""

from __future__ import annotations

import importlib
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support import ROOT

import gdcore as gd
from gdcore.benchmark import cases, figures, limits, products, steps, turns, updates
from gdcore.benchmark.cases import CASES

RL = CASES["rl"]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imports `benchmarks`, which stands beside the package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks")


def module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


def test_the_geometric_mean() -> None:
    assert figures.geometric_mean([2, 8]) == pytest.approx(4)
    assert figures.geometric_mean(iter([0.5])) == pytest.approx(0.5)
    assert figures.geometric_mean([]) is None


def test_ratios_to_the_best_peer() -> None:
    assert figures.times_the_best(2.0, [6.0, 5.0]) == 2.5
    assert figures.times_the_best(2.0, []) is None
    assert figures.times_the_best(None, [1.0]) is None


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (0.123456, "0.1235"),
        (1234.56, "1,235"),
        (33554432, "33,554,432"),
        (None, ""),
        ("no", "no"),
        (2.0, "2"),
    ],
)
def test_cells(value: object, cell: str) -> None:
    assert figures.shown(value) == cell


def test_cases_are_chosen_by_name() -> None:
    assert [case.name for case in cases.chosen_cases("--cases", "wide, rl")] == ["wide", "rl"]
    assert {case.name for case in cases.chosen_cases("--cases", None)} == set(CASES) - {"wide-big"}
    assert cases.chosen_cases("--cases", "all") == list(CASES.values())
    among = ("wide", "wide-big")
    assert [case.name for case in cases.chosen_cases("--cases", None, among)] == ["wide"]
    assert [case.name for case in cases.chosen_cases("--cases", "all", among)] == list(among)
    with pytest.raises(ValueError, match=r"--cases must be one of .* did you mean 'mnist-m'"):
        cases.chosen_cases("--cases", "mnist_m")


def test_operations_of_a_step_are_those_of_its_products() -> None:
    # Forward, weight gradient and, but for the first layer, input gradient.
    forward = 2 * 32 * (4 * 64 + 64 * 64 + 64 * 2)
    assert RL.multiply_flops == 3 * forward - 2 * 32 * 4 * 64


def test_measurements_take_turns() -> None:
    order: list[str] = []

    def measure(name: str, value: float) -> turns.Measure:
        values = iter([value, 10 * value, 2 * value])

        def measured() -> float:
            order.append(name)
            return next(values)

        return measured

    assert turns.medians({"a": measure("a", 1), "b": measure("b", 3)}, 3) == {"a": 2, "b": 6}
    assert order == ["a", "b"] * 3


def test_steps_are_numbered_in_order() -> None:
    numbers: list[int] = []
    measure = turns.repeated(numbers.append, 1e-5)
    assert measure() > 0
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 5


def test_batches_suit_their_loss() -> None:
    x, y = steps.batches(RL)[0]
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((32, 4), np.float32, (32,), np.int64)
    x, y = steps.batches(CASES["online"])[0]
    assert (x.shape, y.shape, y.dtype) == ((1, 30), (1, 1), np.float32)


def test_threads_are_tried_up_to_the_most() -> None:
    assert steps.counts_up_to(1) == [1, None]
    assert steps.counts_up_to(3) == [1, 2, 3, None]
    assert steps.counts_up_to(20) == [*range(1, 9), 16, 20, None]


def test_rows_of_steps() -> None:
    time = steps.StepTimes(RL, {1: 2e-6, 2: 1e-6, None: 1.1e-6}, 1e13)
    row = steps.step_rows([time])[0]
    assert [row[key] for key in ("case", "network", "batch")] == ["rl", "4-64-64-2", 32]
    assert row["x2, us"] == pytest.approx(1)
    assert row["GFLOP/s"] == pytest.approx(RL.multiply_flops / 1e3)
    assert row["of the peak"] == pytest.approx(RL.multiply_flops / 1e7)
    row = steps.scaling_rows([time])[0]
    assert row["two over one"] == pytest.approx(2)
    assert row["None over the best"] == pytest.approx(1.1)
    assert row["None is far off"] == "yes"


def test_a_step_is_measured() -> None:
    for name in ("rl", "online"):
        time = steps.StepTimes.measured(CASES[name], [1, 2, None], 1, 1e-3)
        assert set(time.seconds) == {1, 2, None}
        assert all(value > 0 for value in (*time.seconds.values(), time.peak))


def test_every_optimizer_is_measured() -> None:
    exported = {
        name
        for name, member in gd.Optimizer.members.items()
        if vars(gd).get(member.__name__) is member
    }
    assert exported <= set(updates.rule_names())
    rows = updates.update_rows(updates.update_times(1, 2, 1e-4, sizes=(256,)))
    for threads in (1, 2):
        mine = [row for row in rows if row["threads"] == threads]
        assert [row["rule"] for row in mine] == updates.rule_names()
        assert max(row.get("of the best rule", 0) for row in mine) == 1
    assert gd.show_config()["num_threads_source"] != "set_num_threads"


def test_bytes_that_rules_move() -> None:
    assert updates.bytes_moved("sgd", 1000) == 4000 * 3
    assert updates.bytes_moved("adagrad", 1000) == 4000 * 5
    assert updates.bytes_moved("adam", 1000) == 4000 * 7


def test_a_rule_that_does_not_run_says_why() -> None:
    times = [
        updates.UpdateTime("adam", 1000, 1, 28e-6, memory=2e9),
        updates.UpdateTime("sgd", 1000, 1, None, why="needs more"),
    ]
    first, second = updates.update_rows(times)
    assert first["GB/s"] == pytest.approx(1)
    assert (first["of the best rule"], first["of memory"]) == (1, pytest.approx(0.5))
    assert second["us"] == "needs more"


def test_limits_are_those_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled = limits.Limit("twice a second", "turns/s", lambda threads, seconds: 2e9 * threads)
    monkeypatch.setattr(limits, "LIMITS", {"doubled": doubled})
    assert limits.limit_rows(1, 4) == [
        {"limit": "twice a second", "unit": "Gturns/s", "x1": 2.0, "x4": 8.0, "over one thread": 4}
    ]


def test_memory_and_multiply_adds_have_a_limit() -> None:
    assert gd._core.memory_bandwidth(2, 1 << 20, 1e-3) > 0
    assert limits.LIMITS["float32"].measure(2, 1e-3) > 0


def test_matmul_is_measured() -> None:
    rows = products.matmul_rows(1, 2, 1e-3, shapes=((8, 9, 10),))
    assert [(row["M x K x N"], row["threads"]) for row in rows] == [
        ("8 x 9 x 10", 1),
        ("8 x 9 x 10", 2),
    ]
    assert rows[0]["over one thread"] == 1
    assert rows[0]["of the peak"] == pytest.approx(rows[0]["GFLOP/s"] / rows[0]["peak GFLOP/s"])


@pytest.mark.usefixtures("benchmarks")
def test_rows_become_markdown() -> None:
    rows = [{"case": "a", "us": 1.5}, {"case": "b", "note": "does not run"}]
    assert module("tables").markdown("steps", rows).splitlines() == [
        "",
        "### steps",
        "",
        "| case | us | note |",
        "|---|---|---|",
        "| a | 1.5 |  |",
        "| b |  | does not run |",
    ]


@pytest.mark.usefixtures("benchmarks")
def test_processes_answer_and_say_why_they_do_not() -> None:
    processes = module("processes")
    wanted = {
        "ours": ("step_worker", "gdcore", "rl", "None", 1e-3),
        "nobody's": ("step_worker", "gdcore", "rl", "many", 1e-3),
    }
    found, reasons = processes.measured(wanted, 2)
    assert [answer["seconds"] > 0 for answer in found["ours"]] == [True, True]
    assert list(found) == ["ours"]
    assert reasons["nobody's"].startswith("ValueError: invalid literal")


@pytest.mark.usefixtures("benchmarks")
def test_a_process_that_does_not_answer_is_ended() -> None:
    processes = module("processes")
    with pytest.raises(processes.WorkerError, match=r"no answer within 0\.01 s"):
        processes.Worker("step_worker", "gdcore", "rl", 1, 1e-3, patience=0.01)


@pytest.mark.usefixtures("benchmarks")
def test_two_builds_take_turns() -> None:
    trees = module("trees")
    row, mean = trees.ratio_table(
        [cases.CASES["rl"]], sys.executable, sys.executable, rounds=2, threads=[1], seconds=1e-3
    )
    assert (row["case"], row["threads"]) == ("rl", 1)
    assert row[trees.RATIO] == pytest.approx(mean[trees.RATIO])
    assert row[trees.RATIO] > 0
    with pytest.raises(RuntimeError, match="rl does not run"):
        trees.ratio_table(
            [cases.CASES["rl"]], "false", sys.executable, rounds=1, threads=[1], seconds=1e-3
        )


def commit_of(name: str) -> str:
    """As git has it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there are no commits")
    command = ["git", "-C", ROOT, "rev-parse", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.usefixtures("benchmarks")
def test_a_build_is_an_interpreter_or_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = module("trees").arguments
    given = arguments([sys.executable])
    assert (given.before, given.after) == (sys.executable, sys.executable)
    assert [case.name for case in given.cases] == list(CASES)
    assert given.threads == [1, 2]
    monkeypatch.chdir(Path(sys.executable).parent)  # a relative path holds from elsewhere too
    given = arguments([f"./{Path(sys.executable).name}", "--cases", "rl", "--threads", "1"])
    assert given.before == sys.executable
    assert [case.name for case in given.cases] == ["rl"]
    head = commit_of("HEAD")
    given = arguments(["HEAD", head[:12]])
    assert (given.before, given.after) == (head, head)


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["no-such-branch"], "before must be a Python interpreter or a commit of .*'no-such-br"),
        ([""], "before must be a Python interpreter or a commit of .*, got ''"),
        (["--", "--help"], "before must be a Python interpreter or a commit of .*'--help'"),
        ([sys.executable, "/"], "after must be a Python interpreter or a commit of .*, got '/'"),
        ([sys.executable, "--rounds", "0"], "--rounds and --seconds must be above 0"),
        ([sys.executable, "--threads", "1,0"], "--threads must be at least 1, got 0"),
        ([sys.executable, "--cases", "huge"], "--cases must be one of"),
    ],
)
def test_what_cannot_be_compared(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        module("trees").arguments(given)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.usefixtures("benchmarks")
def test_a_checked_out_commit_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its build fails."""
    commits = module("commits")
    head = commit_of("HEAD")
    trees: list[Path] = []

    def installed(tree: Path, home: Path) -> Path:
        assert (tree / "pyproject.toml").exists()
        trees.append(tree)
        if len(trees) == 2:
            raise RuntimeError("no compiler")
        return home

    monkeypatch.setattr(commits, "_installed", installed)
    with commits.interpreter_of(head) as python:
        assert Path(python).parent == trees[0].parent
    with pytest.raises(RuntimeError, match="no compiler"), commits.interpreter_of(head):
        pass
    listed = ["git", "-C", ROOT, "worktree", "list"]
    known = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    for tree in trees:
        assert not tree.parent.exists()
        assert str(tree) not in known
    with pytest.raises(RuntimeError, match=r"git .*worktree add .* failed:\n.+"):
        commits.interpreter_of("0" * 40).__enter__()


@pytest.mark.usefixtures("benchmarks")
def test_units_die_and_steps_go_on() -> None:
    (row,) = module("dead_units").dead_unit_table(1, 1, steps=4)
    assert row["end over start"] == pytest.approx(row["end, us"] / row["start, us"])
    assert math.isfinite(row["end over start"])


@pytest.mark.usefixtures("benchmarks")
def test_networks_with_layers_stand_beside_their_peers() -> None:
    pytest.importorskip("torch")
    found = module("layers").LAYER_CASES
    for case in found.values():
        case.steps["gdcore"](1)(0)
        if case.batch < 1024:
            case.steps["torch"](1)(0)
    table = module("layers.table")
    assert table.chosen_layer_cases("--layer-cases", None) == list(found)
    assert table.chosen_layer_cases("--layer-cases", "layer-norm") == ["layer-norm"]
    with pytest.raises(ValueError, match="--layer-cases must be one of"):
        table.chosen_layer_cases("--layer-cases", "huge")
    (row,) = table.layer_table(["layer-norm"], 1, 1, 1e-3, libraries=("gdcore", "torch"))
    assert (row["case"], row["threads"]) == ("layer-norm", "x1")
    ours, theirs = row["gdcore, us"], row["PyTorch, us"]
    assert row["times the best peer"] == pytest.approx(theirs / ours)


@pytest.mark.usefixtures("benchmarks")
def test_charts_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    charts, named = module("charts"), module("steps")
    step = {"gdcore x1, us": 2.0, "PyTorch x1, us": 1.0, "JAX x1, us": "not here"}
    ratio = {named.TIMES: 0.5, named.BY_DEFAULT: 0.4}
    update = {"rule": "adam", "parameters": 1 << 25, "threads": 1, "of memory": 0.9}
    parts = {
        "steps": {"": [{"case": "rl", **step, **ratio}, {"case": named.MEAN, **ratio}]},
        "scaling": {"": [{"case": "rl", "x1, us": 2.0, "None, us": 2.1}]},
        "updates": {"": [update | {"times PyTorch": 2.0}]},
    }
    drawn = charts.draw({"parts": parts}, tmp_path)
    assert sorted(path.name for path in drawn) == [
        "ratios.png", "scaling.png", "step-times.png", "updates.png",
    ]  # fmt: skip
    assert all(path.stat().st_size > 1000 for path in drawn)
    assert charts.draw({"parts": {"updates": {"": [{"rule": "adam", "us": 3.0}]}}}, tmp_path) == []


@pytest.mark.usefixtures("benchmarks")
def test_the_run_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, path = module("run"), tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", [
        "run", "scaling", "--cases", "rl", "--rounds", "1", "--seconds", "0.001",
        "--threads", "1", "--json", str(path),
    ])  # fmt: skip
    run.main()
    found = json.loads(path.read_text())
    assert list(found["parts"]) == ["scaling"]
    assert "| rl |" in capsys.readouterr().out

"""The command line as a user runs it, and the examples."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, guarded_communicate, guarded_run, run_python

import gdcore as gd
from gdcore import cli

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

EXAMPLES = [ROOT / "examples" / "by_hand_2_3_2.py"]  # test_examples.py has the others


def gdcore(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed command, wide enough that no table is folded."""
    command = Path(sys.executable).parent / "gdcore"
    start = [str(command)] if command.exists() else [sys.executable, "-m", "gdcore"]
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return guarded_run([*start, *arguments], capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def trained() -> subprocess.CompletedProcess[str]:
    return gdcore(
        "train", "digits", "--hidden", "128", "--optimizer", "adam", "--epochs", "20", "--seed", "0"
    )


def test_digits_reach_97_percent(trained: subprocess.CompletedProcess[str]) -> None:
    assert trained.returncode == 0, trained.stderr
    accuracy = re.search(r"accuracy, held out\D*([\d.]+) ?%", trained.stdout)
    assert accuracy, trained.stdout
    assert float(accuracy[1]) >= 97


def test_training_tells_its_figures(trained: subprocess.CompletedProcess[str]) -> None:
    for word in ("loss", "samples/s", "GFLOP/s"):
        assert re.search(rf"{word}\D*[\d,.]+", trained.stdout), word
    assert "epoch 20/20" in trained.stderr
    assert "100%" in trained.stderr


def figures(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What does not depend on the clock, as words: the columns are as wide as the speed is long."""
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    return [" ".join(line.split()) for line in lines if re.search("loss|accuracy", line)]


def test_threads_do_not_change_the_figures(trained: subprocess.CompletedProcess[str]) -> None:
    """Nor does a second run: seed, data and description say it all."""
    options = ["--hidden", "128", "--optimizer", "adam", "--epochs", "20", "--seed", "0"]
    assert figures(gdcore("train", "digits", *options, "--threads", "3")) == figures(trained)


def test_two_hidden_layers_and_another_rule() -> None:
    result = gdcore("train", "digits", "--hidden", "32,16", "--optimizer", "sgd", "--lr", "0.05",
                    "--epochs", "2", "--batch-size", "64", "--activation", "tanh")  # fmt: skip
    assert figures(result)
    assert re.search(r"64 -> 32 tanh -> 16 tanh -> 10", result.stdout)


def test_info_tells_the_configuration() -> None:
    result = gdcore("info")
    assert result.returncode == 0, result.stderr
    for word in ("version", "isa", "num_threads", "num_threads_source", "openmp", "build"):
        assert word in result.stdout


def test_python_m_is_the_same_command() -> None:
    result = guarded_run([sys.executable, "-m", "gdcore", "info"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == gdcore("info").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digts"], ["digts", "did you mean 'digits'"]),
        (["train", "digits", "--optimizer", "adm"], ["adm", "did you mean 'adam'"]),
        (["train", "digits", "--activation", "rleu"], ["rleu", "did you mean 'relu'"]),
        (["train", "digits", "--hidden", "12,x"], ["hidden", "12,x"]),
        (["train", "digits", "--hidden", "0"], ["units"]),
        (["train", "digits", "--hidden", "-5"], ["units"]),
        (["train", "digits", "--epochs", "0"], ["epochs"]),
        (["train", "digits", "--epochs", "many"], ["epochs"]),
        (["train", "digits", "--batch-size", "0"], ["batch"]),
        (["train", "digits", "--lr", "-1"], ["lr"]),
        (["train", "digits", "--lr", "nan"], ["lr"]),
        (["train", "digits", "--lr", "1e30"], ["loss", "epoch 1", "learning rate"]),
        (["train", "digits", "--seed", "-1"], ["seed"]),
        (["train", "digits", "--threads", "0"], ["threads"]),
        (["train", "digits", "--epohcs", "3"], ["--epohcs"]),
        (["train"], ["DATA"]),
        (["tran", "digits"], ["tran"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_mistake_ends_with_2_and_says_which(
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, because a new one takes a second to import scikit-learn."""
    monkeypatch.setattr(sys, "argv", ["gdcore", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert_told(ended.value.code, *capsys.readouterr(), words)


def test_a_mistake_in_a_process_of_its_own() -> None:
    result = gdcore("train", "digts")
    assert_told(result.returncode, result.stdout, result.stderr, ["did you mean 'digits'"])


def assert_told(code: object, out: str, err: str, words: list[str]) -> None:
    assert code == 2, out + err
    assert out == ""
    assert "Traceback" not in err
    told = re.sub(r"[│╭╮╰╯─|\s]+", " ", err).lower()
    for word in words:
        assert word.lower() in told


def test_a_batch_of_more_than_there_is_takes_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "1", "--batch-size", str(10**12)]
    monkeypatch.setattr(sys, "argv", ["gdcore", "train", "digits", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    assert "GFLOP/s" in out


def test_a_loss_that_is_not_finite_at_the_end_ends_with_2_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One update, after a loss that was finite, to parameters that are finite but far too large."""
    options = ["--epochs", "1", "--batch-size", str(10**4), "--lr", "1e30", "--optimizer", "sgd"]
    monkeypatch.setattr(sys, "argv", ["gdcore", "train", "digits", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2, out + err
    assert out == ""
    assert "loss" in err
    assert "Traceback" not in err


def test_help_lists_the_commands() -> None:
    result = gdcore("--help")
    assert result.returncode == 0
    for command in ("train", "predict", "info"):
        assert command in result.stdout


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gdcore", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def test_ctrl_c_ends_with_130_and_saves_the_model(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    seen = ""
    with started("train", "digits", "--epochs", "1000000", "--save", str(model)) as process:
        assert process.stderr is not None
        # After the first epochs, which the bar counts.
        while not re.search(r"epoch ([3-9]|\d\d+)/1000000", seen):
            letter = process.stderr.read(1)
            assert letter, seen
            seen += letter
        process.send_signal(signal.SIGINT)
        out, err = guarded_communicate(process)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert re.search(r"stopped after \d+ of 1000000 epochs; saved to", err), err
    with pytest.warns(UserWarning, match="gdcore predict"):
        assert gd.Trainer.load(model).epochs > 0


def test_whoever_reads_no_further_ends_it_quietly(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    assert gdcore("train", "digits", "--epochs", "1", "--save", str(model)).returncode == 0
    with started("predict", str(model), "digits") as process:  # prints more than a pipe holds
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("prediction,")
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_package_that_is_missing_is_named() -> None:
    code = """
import sys
from gdcore import cli
sys.modules["polars"] = None
sys.argv = ["gdcore", *sys.argv[1:]]
cli.main()
"""
    result = run_python(code, "train", "digits", check=False)
    assert_told(result.returncode, result.stdout, result.stderr, ["polars", "gdcore[cli]"])
    result = run_python(code, "info", check=False)
    assert result.returncode == 0, "it needs no polars"


@pytest.mark.parametrize("name", ["foo", "avx 2"])
def test_an_unknown_instruction_set_is_told_in_a_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDCORE_MAX_ISA", name)
    by_module = guarded_run(
        [sys.executable, "-m", "gdcore", "info"],
        capture_output=True, text=True,
    )  # fmt: skip
    for result in (gdcore("info"), gdcore(), by_module):
        assert_told(result.returncode, result.stdout, result.stderr, ["GDCORE_MAX_ISA", name])
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    result = guarded_run(
        [sys.executable, "-W", "error", example], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip(), "an example has something to show"

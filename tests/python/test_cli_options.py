"""Options of gdcore train: rule, layers, judging, going on; --version, help, completion, info."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

from command_line import done, frame, npz, refused, run, small, written  # noqa: E402

import gdcore as gd  # noqa: E402
from gdcore.cli.machine import EXTRAS  # noqa: E402

FEW = ["--epochs", "2", "--hidden", "8"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path / "d.csv", small())


def trainer_of(path: Path) -> gd.Trainer:
    with pytest.warns(UserWarning, match="was written by `gdcore train`"):
        return gd.Trainer.load(path)


def figures(out: str) -> dict[str, str]:
    return dict(re.findall(r"│\s*([^│\n]+?)\s*│\s*([^│\n]+?)\s*│", out))


# ---- the rule ----


def test_what_is_said_of_the_rule_holds(table: Path, tmp_path: Path) -> None:
    options = ["--optimizer", "sgd", "--momentum", 0.9, "--weight-decay", 0.01, "--lr", 0.1]
    options += ["--clip-grad-norm", 0.5, "--dtype", "float64"]
    done("train", table, "--target", "y", *FEW, *options, "--save", tmp_path / "m")
    trainer = trainer_of(tmp_path / "m")
    assert trainer.optimizer == gd.SGD(lr=0.1, momentum=0.9, weight_decay=0.01)
    assert trainer.clip_grad_norm == 0.5
    assert trainer.network.dtype == np.float64
    done("predict", tmp_path / "m", table, "--out", tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--momentum", 0.9], ["--momentum is for ", "sgd", "rmsprop", "got 'adam'"]),
        (["--optimizer", "sgd", "--momentum", -1], ["momentum must be at least 0"]),
        (["--weight-decay", -1], ["weight_decay must be at least 0"]),
        (["--clip-grad-norm", 0], ["--clip-grad-norm must be above 0"]),
        (["--dtype", "float16"], ["--dtype must be one of float32, float64, got 'float16'"]),
        (["--metrics", "auk"], ["--metrics must be one of", "did you mean 'auc'"]),
        (["--metrics", "auc,auc"], ["--metrics must be different ones, got auc,auc"]),
        (["--patience", 0], ["--patience must be at least 1"]),
        (["--patience", 3, "--validation", 0], ["--patience needs rows that are held out"]),
        (["--validation-split", 1], ["--validation must be at least 0 and below 1"]),
    ],
)
def test_what_cannot_be_is_told(
    table: Path, tmp_path: Path, options: list[Any], words: list[str]
) -> None:
    refused(tmp_path, ["train", table, "--target", "y", *FEW, *options], *words)


# ---- the layers ----

ACTIVATION = gd.ReLU()


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        (["--dropout", 0.25], [gd.Dense(8, "relu"), gd.Dropout(0.25)]),
        (["--dropout", 0], [gd.Dense(8, "relu")]),
        (["--norm", "layer"], [gd.Dense(8), gd.LayerNorm(), ACTIVATION]),
        (["--norm", "rms", "--activation", "identity"], [gd.Dense(8), gd.RMSNorm()]),
        (
            ["--norm", "rms", "--dropout", 0.5],
            [gd.Dense(8), gd.RMSNorm(), ACTIVATION, gd.Dropout(0.5)],
        ),
        (
            ["--hidden", "8,8", "--residual"],
            [gd.Dense(8, "relu"), gd.Residual([gd.Dense(8, "relu")])],
        ),
        (
            ["--hidden", "8,6,6,4", "--residual", "--norm", "layer", "--dropout", 0.1],
            [
                *(gd.Dense(8), gd.LayerNorm(), ACTIVATION, gd.Dropout(0.1)),
                *(gd.Dense(6), gd.LayerNorm(), ACTIVATION, gd.Dropout(0.1)),
                gd.Residual([gd.Dense(6), gd.LayerNorm(), ACTIVATION, gd.Dropout(0.1)]),
                *(gd.Dense(4), gd.LayerNorm(), ACTIVATION, gd.Dropout(0.1)),
            ],
        ),
    ],
)
def test_layers_are_made_saved_resumed_and_predict(
    table: Path, tmp_path: Path, options: list[Any], layers: list[Any]
) -> None:
    made = ["train", table, "--target", "y", "--hidden", "8", *options]
    done(*made, "--epochs", 5, "--save", tmp_path / "whole")
    done(*made, "--epochs", 2, "--save", tmp_path / "part")
    trainer = trainer_of(tmp_path / "whole")
    assert trainer.network.layers == (*layers, gd.Dense(2))
    resume = ["--resume", tmp_path / "part", "--epochs", 3, "--save", tmp_path / "part"]
    done("train", table, *resume)
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()
    done("predict", tmp_path / "whole", table, "--out", tmp_path / "p.csv")
    done("predict", tmp_path / "whole", table, "--out", tmp_path / "again.csv")
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert repr(trainer.network) in done("info", tmp_path / "whole").stdout


def test_dropout_draws_by_the_seed_and_figures_are_without_it(table: Path) -> None:
    made = ["train", table, "--target", "y", *FEW]
    plain, one, again, other = (
        figures(done(*made, *options).stdout)["loss, training"]
        for options in (
            ["--dropout", 0],
            ["--dropout", 0.5],
            ["--dropout", 0.5],
            ["--dropout", 0.5, "--seed", 1],
        )
    )
    assert one == again
    assert len({plain, one, other}) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dropout", 1], ["--dropout must be at least 0 and below 1, got 1"]),
        (["--dropout", -0.5], ["--dropout must be at least 0 and below 1, got -0.5"]),
        (["--dropout", "nan"], ["--dropout must be finite"]),
        (["--dropout", "half"], ["invalid value for '--dropout'"]),
        (["--norm", "layr"], ["--norm must be one of layer, rms, got 'layr'", "mean 'layer'"]),
        (["--residual"], ["--residual needs hidden layers of one width", "got --hidden 8"]),
        (["--hidden", "8,4,8", "--residual"], ["as in --hidden 8,8, got --hidden 8,4,8"]),
        (["--hidden", "", "--residual"], ["--residual is for hidden layers, got --hidden ''"]),
        (["--hidden", "", "--norm", "rms"], ["--norm is for hidden layers, got --hidden ''"]),
        (["--hidden", "", "--dropout", 0.1], ["--dropout is for hidden layers, got --hidden ''"]),
    ],
)
def test_layers_that_cannot_be_are_told(
    table: Path, tmp_path: Path, options: list[Any], words: list[str]
) -> None:
    refused(tmp_path, ["train", table, "--target", "y", *FEW, *options], *words)


@pytest.mark.parametrize("command", ["profile", "scaling"])
def test_other_commands_know_the_layers(table: Path, command: str) -> None:
    layers = ["--hidden", "8,8", "--norm", "layer", "--dropout", 0.1, "--residual"]
    few = {"profile": ["--steps", 20], "scaling": ["--threads", "1", "--rounds", 1]}[command]
    few += ["--batch-sizes", "16"] if command == "scaling" else []
    assert done(command, table, "--target", "y", *layers, *few).stdout


# ---- judging ----


def test_metrics_are_told_of_both_parts(table: Path) -> None:
    result = done("train", table, "--target", "y", *FEW, "--metrics", "auc, ")
    told = figures(result.stdout)
    for part in ("training", "held out"):
        assert 0 <= float(told[f"auc, {part}"]) <= 1
    assert "val_auc=" in result.stderr  # beside the bar
    result = done("train", table, "--target", "y", *FEW, "--metrics", "auc", "--validation", 0)
    assert "auc, training" in figures(result.stdout)


def test_patience_stops_and_takes_the_best(table: Path, tmp_path: Path) -> None:
    options = ["--epochs", 200, "--lr", 0.5, "--patience", 3, "--save", tmp_path / "m"]
    result = done("train", table, "--target", "y", "--hidden", "8", *options)
    words = r"stopped after (\d+) of 200 epochs: .* of epoch (\d+), with val_loss ([\d.e-]+)"
    told = re.search(words, result.stderr)
    assert told, result.stderr
    assert int(told[1]) == int(told[2]) + 3 < 200
    history = trainer_of(tmp_path / "m").history["val_loss"]
    assert min(history) == pytest.approx(float(told[3]), rel=1e-4)
    assert float(figures(result.stdout)["loss, held out"]) == pytest.approx(min(history), abs=1e-4)
    result = done("train", table, "--target", "y", *FEW, "--patience", 3)
    assert "no early stop within 2 of 2 epochs" in result.stderr


# ---- going on ----


@pytest.mark.parametrize("name", ["iris", "diabetes"])
@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_a_model_goes_on_to_the_same_bits(tmp_path: Path, name: str, ending: str) -> None:
    path = written(tmp_path / f"d.{ending}", frame(name))
    target = ["--target", "y" if ending == "npz" else "target"]
    shape = ["--hidden", "8", "--seed", 3]
    done("train", path, *target, *shape, "--epochs", 5, "--save", tmp_path / "whole")
    done("train", path, *target, *shape, "--epochs", 2, "--save", tmp_path / "part")
    result = done(
        "train", path, "--resume", tmp_path / "part", "--epochs", 3, "--save", tmp_path / "part"
    )
    assert f"as in {tmp_path / 'part'}" in result.stderr
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()


def test_one_output_for_two_classes_goes_on(table: Path, tmp_path: Path) -> None:
    save = ["--save", tmp_path / "m"]
    done("train", table, "--target", "y", *FEW, "--loss", "bce_with_logits", *save)
    done("train", table, "--resume", tmp_path / "m", "--epochs", 2, "--lr", 0.25, *save)
    trainer = trainer_of(tmp_path / "m")
    assert trainer.epochs == 4
    assert trainer.lr == 0.25


def test_a_model_goes_on_with_new_rows(table: Path, tmp_path: Path) -> None:
    done("train", table, "--target", "y", *FEW, "--save", tmp_path / "m")
    new = written(tmp_path / "new.csv", small(40))
    done("train", new, "--resume", tmp_path / "m", "--epochs", 1, "--validation", 0)
    strange = written(tmp_path / "strange.csv", small(y=["yes", "no", "maybe"] * 20))
    refused(
        tmp_path,
        ["train", strange, "--resume", tmp_path / "m"],
        "must hold a class that training saw ('no', 'yes'), got 'maybe' in row 3",
    )
    gap = written(tmp_path / "gap.csv", small(y=["yes", None, "no"] * 20))
    refused(tmp_path, ["train", gap, "--resume", tmp_path / "m"], "must have no missing cells")


@pytest.mark.parametrize(
    "option",
    [("--hidden", "9"), ("--target", "y"), ("--seed", 1), ("--optimizer", "sgd"), ("--na", "x"),
     ("--schedule", "cosine"), ("--dtype", "float64"), ("--momentum", 1), ("--dropout", 0.5),
     ("--norm", "rms"), ("--residual",), ("--embed", 2), ("--embed-size", 4)],
)  # fmt: skip
def test_what_the_model_says_is_not_said_again(
    table: Path, tmp_path: Path, option: tuple[Any, ...]
) -> None:
    done("train", table, "--target", "y", *FEW, "--save", tmp_path / "m")
    refused(
        tmp_path,
        ["train", table, "--resume", tmp_path / "m", *option],
        f"{option[0]} must not be given with --resume",
    )


def test_what_cannot_go_on_is_told(table: Path, tmp_path: Path) -> None:
    refused(tmp_path, ["train", table, "--resume", tmp_path / "no"], "no: No such file")
    net = gd.Network([gd.Dense(1)], input_size=2)
    gd.Trainer(net, "mse", "adam").save(tmp_path / "own")
    refused(tmp_path, ["train", table, "--resume", tmp_path / "own"], "which knows no columns")
    net.save(tmp_path / "net")
    refused(tmp_path, ["train", table, "--resume", tmp_path / "net"], "holds a network and no")
    done("train", table, "--target", "y", *FEW, "--save", tmp_path / "m")
    path = npz(tmp_path / "x.npz", x=np.ones((20, 4)), y=np.array(["no", "yes"] * 10))
    refused(tmp_path, ["train", path, "--resume", tmp_path / "m"], "must have the column 'a'")


# ---- the command itself ----


def test_the_version_is_told() -> None:
    assert done("--version").stdout == f"gdcore {gd.__version__}\n"


def test_the_help_is_a_page_with_examples_that_run() -> None:
    text = done("--help").stdout
    assert len(text.splitlines()) < 50
    examples = re.findall(r"^ *gdcore (\w+.*)$", text, re.MULTILINE)
    assert len(examples) >= 5
    for example in examples:
        words = example.split()
        options = set(re.findall(r"--[\w-]+", done(words[0], "--help").stdout))
        assert set(re.findall(r"--[\w-]+", example)) <= options, example


@pytest.mark.parametrize("command", ["train", "profile", "scaling", "predict", "info", "bench"])
def test_every_option_says_what_it_does(command: str) -> None:
    assert done(command, "--help").stdout.count("\n") > 5


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gdcore tr", ["train"]),
        ("gdcore train --opt", ["--optimizer"]),
        ("gdcore train --emb", ["--embed", "--embed-size"]),
        ("gdcore train digits --optimizer adag", ["adagrad"]),
        ("gdcore train digits --loss h", ["huber"]),
        ("gdcore train digits --schedule c", ["constant", "cosine", "coslog"]),
        ("gdcore train digits --metrics auc,r", ["auc,rmse", "auc,r2"]),
        ("gdcore train digits --dtype ", ["float32", "float64"]),
        ("gdcore train digits --norm l", ["layer"]),
        ("gdcore profile digits --activation le", ["leaky_relu"]),
    ],
)
def test_shells_complete(words: str, offered: list[str]) -> None:
    parts = words.split(" ")
    env = {**os.environ, "_GDCORE_COMPLETE": "complete_bash", "COMP_WORDS": words}
    env["COMP_CWORD"] = str(len(parts) - 1)
    code = "import sys; sys.argv = ['gdcore']; from gdcore.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(result.stdout.split()) == sorted(offered)


def test_completion_can_be_shown() -> None:
    code = "import sys; sys.argv = ['gdcore', '--show-completion', 'bash']\n"
    code += "from gdcore.cli import main; main()"
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "_GDCORE_COMPLETE=complete_bash" in result.stdout


def test_info_tells_what_a_report_of_a_bug_needs() -> None:
    lines = dict(line.split(None, 1) for line in done("info").stdout.splitlines())
    assert lines["version"] == gd.__version__
    assert lines["python"].endswith(platform.python_version())
    assert lines["numpy"] == np.__version__
    assert lines["platform"] == platform.platform()
    for key in ("cpu", "isa", "cpus", "num_threads", "num_threads_source", "openmp", "compiler"):
        assert lines[key]
    assert "cgroup_quota" in lines["cpus"]
    text = done("info").stdout
    for packages in EXTRAS.values():
        for package in packages:
            try:
                version = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                version = "not installed"
            assert f"{package}: {version}" in text


def test_extras_that_are_told_are_those_there_are() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    table = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    found = {
        name: tuple(re.findall(r'"([\w-]+)', entries))
        for name, entries in re.findall(r"^(\w+) = \[(.*?)\]", table, re.MULTILINE | re.DOTALL)
    }
    assert {name: sorted(each) for name, each in found.items()} == {
        name: sorted(each) for name, each in EXTRAS.items()
    }


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("gdcore.cli.machine.version", missing)
    assert "perfetto: not installed" in run("info").stdout

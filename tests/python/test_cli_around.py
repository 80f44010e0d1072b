"""gdcore train: penalties, wrappers, clipping, accumulation, averages of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

from command_line import arrays, done, frame, refused, small, written  # noqa: E402

import gdcore as gd  # noqa: E402
from gdcore.files import read_description  # noqa: E402
from gdcore.tabular.fitted import Fitted  # noqa: E402

FEW = ["--epochs", 4, "--hidden", 8, "--lr", 0.01]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path / "d.csv", small())


def trainer_of(path: Path) -> gd.Trainer:
    with pytest.warns(UserWarning, match="was written by `gdcore train`"):
        return gd.Trainer.load(path)


ADAM = gd.Adam(lr=0.01)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--clip-norm", 0.5], {"clip": gd.ClipNorm(0.5), "clip_grad_norm": 0.5}),
        (["--clip-value", 0.1], {"clip": gd.ClipValue(0.1), "clip_grad_norm": None}),
        (["--ema", 0.9], {"average": gd.EMA(0.9)}),
        (["--swa", 3], {"average": gd.SWA(3)}),
        (["--l1", 0.001], {"optimizer": gd.Penalized(ADAM, l1=0.001)}),
        (["--l2", 0], {"optimizer": ADAM}),
        (
            ["--l1", 0.01, "--l2", 0.1, "--lookahead", 5, "--sam", 0.05, "--swa", 2],
            {
                "optimizer": gd.SAM(gd.Lookahead(gd.Penalized(ADAM, l1=0.01, l2=0.1), k=5)),
                "average": gd.SWA(2),
            },
        ),
    ],
)
def test_what_goes_around_the_rule(
    table: Path, tmp_path: Path, options: list[Any], wanted: dict[str, Any]
) -> None:
    done("train", table, "--target", "y", *FEW, *options, "--save", tmp_path / "m")
    trainer = trainer_of(tmp_path / "m")
    assert {name: getattr(trainer, name) for name in wanted} == wanted
    resume = ["--resume", tmp_path / "m", "--epochs", 1, "--save", tmp_path / "m"]
    done("train", table, *resume)
    assert trainer_of(tmp_path / "m").epochs == 5


@pytest.mark.parametrize("rule", [["--ema", 0.5], ["--optimizer", "schedule_free_adamw"]])
@pytest.mark.parametrize("many", [[], ["--seeds", 2]])
def test_the_average_is_what_is_told_and_predicts(
    tmp_path: Path, rule: list[Any], many: list[Any]
) -> None:
    data, model = written(tmp_path / "d.csv", frame("diabetes")), tmp_path / "m"
    options = [*FEW, *rule, *many, "--validation", 0, "--save", model]
    out = done("train", data, "--target", "target", *options).stdout
    told = done("predict", model, data, "--out", tmp_path / "p.npz")
    assert told.exit_code == 0
    found = arrays(tmp_path / "p.npz")["prediction"]
    truth = frame("diabetes")["target"].to_numpy()
    if many:
        networks = gd.Ensemble._loaded(model, warns=False).networks
    else:
        networks = (trainer_of(model).averaged,)
        rmse = np.sqrt(((found - truth) ** 2).mean())
        assert f"rmse, training │ {rmse:,.5g}" in out
        plain = gd.Network._loaded(model, warns=False)
        assert (plain.state_dict()["0.weight"] != networks[0].state_dict()["0.weight"]).any()
    preparation = Fitted.of_model(read_description(model), networks[0])
    assert preparation is not None
    x = frame("diabetes").drop("target").to_numpy()
    x = (x - [each.mean for each in preparation.columns]) / [
        each.deviation for each in preparation.columns
    ]
    mean = np.mean([net.predict(x) for net in networks], axis=0)
    np.testing.assert_allclose(found, preparation.target.restored(mean)[:, 0], rtol=1e-5)


def test_accumulated_batches_are_one(table: Path, tmp_path: Path) -> None:
    made = ["train", table, "--target", "y", *FEW]
    done(*made, "--batch-size", 24, "--save", tmp_path / "one")
    done(*made, "--batch-size", 8, "--accumulate", 3, "--save", tmp_path / "three")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "three").read_bytes()
    one, three = (
        done(*made, "--seeds", 2, *options).stdout.split("│ networks")[0]
        for options in (["--batch-size", 24], ["--batch-size", 8, "--accumulate", 3])
    )
    assert one == three
    resume = ["--resume", tmp_path / "one", "--accumulate", 2, "--epochs", 1]
    done("train", table, *resume)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clip-value", 0], ["--clip-value must be above 0"]),
        (["--clip-value", 1, "--clip-norm", 1], ["--clip-grad-norm and --clip-value", "together"]),
        (["--ema", 1], ["--ema must be at least 0 and below 1"]),
        (["--ema", 0.9, "--swa", 1], ["--ema and --swa must not be given together"]),
        (["--swa", 0], ["--swa must be at least 1"]),
        (["--swa", 5], ["--swa must be at most --epochs, 4, got 5"]),
        (["--l1", -1], ["--l1 must be at least 0"]),
        (["--l2", "nan"], ["--l2 must be"]),
        (["--lookahead", 0], ["--lookahead must be at least 1"]),
        (["--sam", -0.1], ["--sam must be at least 0"]),
        (["--accumulate", 0], ["--accumulate must be at least 1"]),
        (["--slices", 0], ["--slices must be at least 1"]),
        (
            ["--optimizer", "lbfgs", "--ema", 0.9],
            ["--ema is for optimizers that follow the gradient", "--optimizer lbfgs does not"],
        ),
        (["--optimizer", "lbfgs", "--l1", 0.1], ["--l1 is for optimizers"]),
    ],
)
def test_what_cannot_be_is_told(
    table: Path, tmp_path: Path, options: list[Any], words: list[str]
) -> None:
    refused(tmp_path, ["train", table, "--target", "y", *FEW, *options], *words)


def test_a_model_says_what_is_around_its_rule(table: Path, tmp_path: Path) -> None:
    done("train", table, "--target", "y", *FEW, "--save", tmp_path / "m")
    for option in ("--ema", "--swa", "--l1", "--sam", "--clip-norm"):
        refused(
            tmp_path,
            ["train", table, "--resume", tmp_path / "m", option, 1],
            "must not be given with --resume: the model says it",
        )


def test_slices_are_those_of_python(table: Path, tmp_path: Path) -> None:
    made = ["train", table, "--target", "y", *FEW]
    done(*made, "--slices", 4, "--save", tmp_path / "four")
    done(*made, "--save", tmp_path / "none")
    assert trainer_of(tmp_path / "four").slices == 4
    assert trainer_of(tmp_path / "none").slices is None

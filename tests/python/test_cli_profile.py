"""The commands `gdcore profile`, `gdcore scaling` and `gdcore train --profile`."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

from command_line import done, npz, refused, run  # noqa: E402  (needs the packages above)
from ranked import profile_of  # noqa: E402

import gdcore as gd  # noqa: E402

SMALL = ("digits", "--hidden", "16", "--seed", "0")


RANKS = ("--ranks", "1,2", "--link")


def test_a_profile_is_told_and_written(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    pytest.importorskip("perfetto", reason="perfetto is not installed")
    endings = ("json", "html", "png", "npz", "json.gz", "pftrace", "speedscope.json")
    paths = [tmp_path / f"a.{ending}" for ending in endings]
    outs = [part for path in paths for part in ("--out", path)]
    result = done("profile", *SMALL, "--steps", "57", "--threads", "2", *outs)
    for word in ("dense_forward", "us/step", "waiting %", "- 57 steps of", "Profile("):
        assert word in result.stdout
    for path in paths:
        assert f"written: {path}" in result.stderr
        assert path.stat().st_size > 1000
    assert f"written: {paths[0]}, all " in result.stderr
    trace = json.loads(paths[0].read_text())
    assert trace["traceEvents"]
    assert json.loads(gzip.decompress(paths[4].read_bytes())) == trace
    assert json.loads(paths[6].read_text())["profiles"]
    assert gd.profiling.load(paths[3]).steps == 57


def test_a_training_is_profiled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    result = done("train", *SMALL, "--epochs", "2", "--profile", path)
    assert f"written: {path}" in result.stderr
    prof = gd.profiling.load(path)
    assert prof.steps == 2 * 45  # of 1,438 rows
    assert {row["phase"] for row in prof.table("phase")} >= {"forward", "update", "callback"}


def test_a_training_that_diverges_leaves_its_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    result = run("train", *SMALL, "--optimizer", "sgd", "--lr", "1e30", "--profile", path)
    assert result.exit_code != 0
    assert gd.profiling.load(path).steps > 0


def test_a_saved_profile_is_shown_and_becomes_other_files(tmp_path: Path) -> None:
    saved = tmp_path / "run.NPZ"
    first = done("profile", *SMALL, "--steps", "20", "--threads", "2", "--out", saved)
    paths = [tmp_path / f"b.{ending}" for ending in ("json", "speedscope.json", "npz")]
    result = done("profile", saved, *(part for path in paths for part in ("--out", path)))
    assert result.stdout == first.stdout
    for path in paths:
        assert f"written: {path}" in result.stderr
    assert gd.profiling.load(paths[2]).steps == 20


def test_a_saved_profile_of_ranks_is_shown_with_them(tmp_path: Path) -> None:
    profile_of([300, 200], [700, 800]).save(tmp_path / "ranks.npz")
    told = done("profile", tmp_path / "ranks.npz").stdout
    assert told.startswith("rank  host  steps  computing, ms")
    assert "Rank 1 on b came last to 2 of the 2 exchanges" in told


def test_a_saved_profile_takes_no_options_of_a_training(tmp_path: Path) -> None:
    saved = tmp_path / "run.npz"
    done("profile", *SMALL, "--steps", "5", "--out", saved)
    for option in (("--steps", "9"), ("--hidden", "16"), ("--no-quotes",)):
        refused(tmp_path, ("profile", saved, *option), f"{option[0]} is for a training", "run.npz")
    refused(tmp_path, ("profile", saved, "--out", saved), "--out must be a file of its own")
    refused(tmp_path, ("profile", saved, "--out", tmp_path / "a.doc"), "--out must end in one of")


def test_an_npz_file_of_data_is_trained_on(tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz", x=np.eye(8), y=np.arange(8) % 2)
    assert "dense_forward" in done("profile", data, "--steps", "5").stdout
    for content in (b"", b"PK\x03\x04 and no more"):
        data.write_bytes(content)
        refused(tmp_path, ("profile", data), "data.npz")
    data.unlink()
    refused(tmp_path, ("profile", data), "data.npz")


def test_every_nth_step_is_recorded() -> None:
    result = done("profile", *SMALL, "--steps", "57", "--every", "10")
    assert "- 57 of 570 steps of" in result.stdout
    assert "570 steps, 1 threads" in result.stdout


def test_steps_are_as_many_as_asked_for_however_long_an_epoch_is(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    done("profile", *SMALL, "--steps", "9", "--out", path)
    assert gd.profiling.load(path).steps == 9
    done("profile", *SMALL, "--steps", "70", "--out", path)  # an epoch of 57, and 13
    assert gd.profiling.load(path).steps == 70


def test_scaling_is_told_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "a.svg"
    result = done(
        "scaling", *SMALL, "--threads", "1,2", "--batch-sizes", "32,64", "--rounds", "1",
        "--plot", path,
    )  # fmt: skip
    assert "speed-up" in result.stdout
    assert "batch 64: " in result.stdout
    assert f"written: {path}" in result.stderr
    assert b"batch 32" in path.read_bytes()


def test_more_machines_are_estimated_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "a.svg"
    options = ("--ranks", "1,2,8", "--link", "10GbE", "--threads", "1", "--batch-sizes", "32")
    result = done("scaling", *SMALL, *options, "--plot", path)
    assert "batches of 32 rows, over 10GbE (25 us a message, 1.17 GB/s)" in result.stdout
    assert "efficiency %" in result.stdout
    assert "No number of ranks up to 8 is faster than one" in result.stdout
    assert f"written: {path}" in result.stderr
    assert b"speed-up over one rank" in path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("profile", *SMALL, "--out", "a.doc"), ("--out must end in one of", ".html", "a.doc")),
        (("profile", *SMALL, "--steps", "0"), ("--steps must be at least 1",)),
        (("profile", *SMALL, "--every", "0"), ("--every must be at least 1",)),
        (("profile", "digits", "--hidden", "x"), ("--hidden must be integers with commas",)),
        (("profile", *SMALL, "--out", "none/a.json"), ("--out", "the folder")),
        (("train", *SMALL, "--profile", "a.doc"), ("--profile must end in one of",)),
        (("train", *SMALL, "--profile", "a.npz", "--save", "a.npz"), ("--profile", "own")),
        (("scaling", *SMALL, "--threads", "1,x"), ("--threads must be integers with commas",)),
        (("scaling", *SMALL, "--threads", "0"), ("--threads must be at least 1",)),
        (("scaling", *SMALL, "--batch-sizes", "9999"), ("--batch-sizes must be at most 1797",)),
        (("scaling", *SMALL, "--plot", "a.doc"), ("--plot must end in one of",)),
        (("scaling", *SMALL, "--rounds", "0"), ("--rounds must be at least 1",)),
        (("scaling", *SMALL, "--link", "10GbE"), ("--link is for --ranks",)),
        (("scaling", *SMALL, "--ranks", "all"), ("--ranks needs --link", "100GbE", "mpirun")),
        (("scaling", *SMALL, *RANKS, "x"), ("--link must be one of 10GbE", "'x'")),
        (("scaling", *SMALL, *RANKS, "10GbE", "--ranks", "a"), ("--ranks must be integers",)),
        (("scaling", *SMALL, *RANKS, "10GbE", "--ranks", ""), ("--ranks must hold numbers",)),
        (("scaling", *SMALL, *RANKS, "10GbE", "--ranks", "0"), ("--ranks must be at least 1",)),
        (("scaling", *SMALL, *RANKS, "10GbE", "--rounds", "2"), ("--rounds is for threads",)),
        (("scaling", *SMALL, *RANKS, "10GbE", "--threads", "1,2"), ("--threads must be one",)),
        (
            ("scaling", *SMALL, *RANKS, "10GbE", "--batch-sizes", "1"),
            ("--ranks must be at most 1, the rows of a step, got 2",),
        ),
    ],
)
def test_what_is_not_right_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: tuple[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, arguments, *words)


@pytest.mark.parametrize(
    ("command", "option", "module"),
    [
        ("profile", ("--out", "a.html"), "plotly"),
        ("profile", ("--out", "a.pftrace"), "perfetto"),
        ("train", ("--profile", "a.png"), "matplotlib"),
        ("scaling", ("--plot", "a.png"), "matplotlib"),
        ("train", ("--plot", "a.png"), "matplotlib"),
    ],
)
def test_a_missing_package_is_told_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    option: tuple[str, str],
    module: str,
) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    extra = "plot" if option[0] == "--plot" else "profile"
    refused(tmp_path, (command, *SMALL, *option), f"gdcore[{extra}]", option[0])

"""The callback `Live`, what calls it, and the command that shows what it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nets
import pytest
from models import assert_same_trainer

import gdcore as gd
from gdcore import _live
from gdcore.callbacks import Callback, Live

X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
VALIDATION = (nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1))


def new() -> gd.Trainer:
    return gd.Trainer(nets.network([3, 4, 2], ["tanh", "identity"]), "mse", gd.Adam(lr=0.01))


def fit(*callbacks: Callback, **options: Any) -> gd.Trainer:
    trainer = new()
    arguments = {"epochs": 3, "batch_size": 7, "progress": False} | options
    trainer.fit(X, Y, validation_data=VALIDATION, callbacks=callbacks, **arguments)
    return trainer


class Each(Callback):
    """Looks at the file after each epoch; ends the fit as it is told."""

    def __init__(self, path: Path, end: str = "") -> None:
        self.path, self.end, self.states = path, end, []

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Mapping[str, float]) -> None:
        self.states.append(_live.read(self.path))
        if self.end == "stop":
            trainer.stop()
        if self.end == "raise":
            raise KeyError("x")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_live, "_INTERVAL", 0.0)


# ---- on_progress ----


class Progress(Callback):
    def __init__(self, failing: bool = False) -> None:
        self.seen: list[tuple[int, int]] = []
        self.failing = failing

    def on_progress(self, trainer: gd.Trainer, samples: int) -> None:
        self.seen.append((trainer.steps, samples))
        if self.failing:
            raise KeyError("x")


@pytest.mark.parametrize("progress", [False, True])
def test_progress_is_told_at_the_end_of_an_epoch_at_the_latest(progress: bool) -> None:
    callback = Progress()
    assert callback.watches_progress()
    assert not Callback().watches_progress()
    fit(callback, progress=progress)
    assert [each for each in callback.seen if each[1] == 20] == [(3, 20), (6, 20), (9, 20)]


def test_what_progress_raises_ends_the_fit() -> None:
    with pytest.raises(KeyError):
        fit(Progress(failing=True))


# ---- the file ----


def test_the_file_has_the_state_of_each_moment(tmp_path: Path, often: None) -> None:
    path = tmp_path / "live.json"
    each = Each(path)
    trainer = fit(Live(path), each)
    assert [state["epochs"] for state in each.states] == [1, 2, 3]
    assert [state["steps"] for state in each.states] == [3, 6, 9]
    last = _live.read(path)
    assert last["state"] == "finished"
    assert last["samples_an_epoch"] == 20
    assert last["process_id"] == os.getpid()
    assert last["lr"] == trainer.lr
    assert last["memory_bytes"] > 1e6
    assert last["history"] == [
        dict(zip(trainer.history, row)) for row in zip(*trainer.history.values())
    ]
    for state in each.states:
        assert state["state"] == "running"
        assert state["steps_a_second"] > 0
        assert state["samples_a_second"] == pytest.approx(state["steps_a_second"] * 20 / 3)
        flops = trainer.flops_per_step(7) * state["steps_a_second"] / 1e9
        assert state["gflops"] == pytest.approx(flops)
    assert [each.name for each in tmp_path.iterdir()] == ["live.json"]


def test_it_is_written_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *a: (written.append(1), replace(*a)))
    began = time.monotonic()
    fit(Live(tmp_path / "live.json"), epochs=200)
    assert 2 <= len(written) <= 2 + 4 * (time.monotonic() - began)


def test_long_histories_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    trainer = fit(Live(path), epochs=150)
    kept = _live.read(path)["history"]
    assert [each["loss"] for each in kept] == trainer.history["loss"][-100:]


@pytest.mark.parametrize(
    ("end", "state", "why"), [("stop", "stopped", ""), ("raise", "failed", "KeyError: 'x'")]
)
def test_the_end_is_told(tmp_path: Path, end: str, state: str, why: str) -> None:
    path = tmp_path / "live.json"
    callbacks = [Live(path), Each(path, end)]
    if end == "raise":
        with pytest.raises(KeyError):
            fit(*callbacks)
    else:
        fit(*callbacks)
    found = _live.read(path)
    assert (found["state"], found["why"], found["epochs"]) == (state, why, 1)


def test_a_training_is_the_same_with_and_without(tmp_path: Path, often: None) -> None:
    watched, alone = fit(Live(tmp_path / "live.json")), fit()
    assert_same_trainer(watched, alone)


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "live.json")
    fit(Live(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert _live.read(tmp_path / "live.json")["state"] == "finished"


def test_what_cannot_be_written_is_told_before_the_training(tmp_path: Path) -> None:
    for path, error in ((tmp_path / "none" / "a", FileNotFoundError), (tmp_path, OSError)):
        trainer = new()
        with pytest.raises(error):
            trainer.fit(X, Y, callbacks=[Live(path)], progress=False)
        assert trainer.steps == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="path must be"):
        Live(3)  # type: ignore[arg-type]


def test_a_full_disk_does_not_end_a_training(
    tmp_path: Path, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Callback):
        def on_epoch_end(self, *_: Any) -> None:
            monkeypatch.setattr(os, "replace", full)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "live.json"
    with pytest.warns(UserWarning, match="writes no more to .*No space left") as told:
        trainer = fit(Live(path), Full())
    assert len(told) == 1
    assert trainer.epochs == 3
    assert [each.name for each in tmp_path.iterdir()] == ["live.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{", "1", "\ud800"])
def test_other_files_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "live.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"must be a file that gdcore\.callbacks\.Live writes"):
        _live.read(path)
    path.write_text('{"gdcore_live": 9}')
    with pytest.raises(ValueError, match="of format 9, where 1 is read"):
        _live.read(path)
    with pytest.raises(FileNotFoundError):
        _live.read(tmp_path / "none")


# ---- the command ----


@pytest.fixture
def command() -> Any:
    for package in ("typer", "rich"):
        pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")
    return pytest.importorskip("command_line", reason="the extra cli is not installed")


@pytest.mark.parametrize("options", [(), ("--once",)])
def test_a_training_that_has_ended_is_shown(
    tmp_path: Path, command: Any, options: tuple[str, ...], often: None
) -> None:
    path = tmp_path / "live.json"
    trainer = fit(Live(path))
    text = command.done("watch", path, *options).stdout
    for words in (
        "Network(3 -> 4 tanh -> 2", "MSE()", "adam", "finished, ", "3 done", "steps/s",
        "samples/s", "GFLOP/s", "CPUs at work", "0.01", "MB", "val_loss",
        f"{trainer.history['val_loss'][-1]:.4g}",
    ):  # fmt: skip
        assert words in text


def test_a_running_one_is_shown_once_or_to_its_end(tmp_path: Path, command: Any) -> None:
    path = tmp_path / "live.json"
    fit(Live(path))
    state = json.loads(path.read_text())
    state |= {"state": "running", "samples": 5, "time": time.time() - 100}
    path.write_text(json.dumps(state))
    text = command.done("watch", path, "--once").stdout
    assert re.search(r"running, nothing new for 1\d\d s", text)
    assert "5 samples of the next (25%)" in text
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    state["process_id"] = child.pid
    path.write_text(json.dumps(state))
    text = command.done("watch", path).stdout
    assert "gone: its process has ended without a word" in text
    state["host"] = "elsewhere"  # where nobody can look
    path.write_text(json.dumps(state))
    assert "running, nothing" in command.done("watch", path, "--once").stdout


def test_the_first_state_has_no_rates_yet(tmp_path: Path, command: Any) -> None:
    path = tmp_path / "live.json"
    _live.Writer(str(path), new())
    text = command.done("watch", path, "--once").stdout
    assert "running, " in text
    assert "val_loss" not in text


def test_a_terminal_is_redrawn_until_the_end(
    tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    import io

    from rich.console import Console

    from gdcore.cli import watch

    path = tmp_path / "live.json"
    trainer = new()
    writer = _live.Writer(str(path), trainer)
    out = io.StringIO()
    monkeypatch.setattr(
        watch, "Console", lambda **_: Console(file=out, force_terminal=True, width=100)
    )
    monkeypatch.setattr(watch.time, "sleep", lambda _: writer.end("finished"))
    watch.watch(path)
    text = out.getvalue()
    assert text.index("running") < text.index("finished")


@pytest.mark.parametrize("options", [(), ("--once",)])
def test_what_cannot_be_watched_is_told(
    tmp_path: Path, command: Any, options: tuple[str, ...]
) -> None:
    path = tmp_path / "a.json"
    command.refused(tmp_path, ("watch", path, *options), "a.json", "no such file")
    path.write_text("{}")
    command.refused(tmp_path, ("watch", path, *options), "gdcore.callbacks.live")

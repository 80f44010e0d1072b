"""The TensorBoard callback: what its files hold, read without TensorBoard."""

from __future__ import annotations

import struct
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import gdcore as gd


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by tag, of all files of a run. A record is length, crc, data, crc."""
    event_type = import_module("tensorboardX.proto.event_pb2").Event
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.*")):
        content = path.read_bytes()
        at = 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = event_type.FromString(content[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            at += 12 + length + 4
    return found


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.standard_normal((64, 4)), random.integers(0, 3, 64)


def trainer(**more: object) -> gd.Trainer:
    net = gd.Network([gd.Dense(8, "relu"), gd.Dense(3)], input_size=4, seed=0)
    return gd.Trainer(net, "cross_entropy", gd.Adam(lr=0.01), **more)


def test_each_epoch_is_written(tmp_path: Path, data: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    own = trainer(schedule=gd.schedules.Step(2))
    history = own.fit(
        *data, epochs=4, batch_size=16, validation_data=data, metrics=[gd.metrics.TopK(2)],
        progress=False,
        callbacks=[gd.callbacks.TensorBoard(tmp_path)],
    )  # fmt: skip
    found = scalars(tmp_path)
    assert set(found) == {
        "loss/training", "loss/validation", "accuracy/validation", "top2/validation", "lr",
        "seconds",
    }  # fmt: skip
    for tag, key in (
        ("loss/training", "loss"),
        ("top2/validation", "val_top2"),
    ):
        assert [step for step, _ in found[tag]] == [1, 2, 3, 4]
        np.testing.assert_allclose([value for _, value in found[tag]], history[key], rtol=1e-6)
    np.testing.assert_allclose([value for _, value in found["lr"]], [0.01, 0.001, 0.001, 1e-4])
    assert all(value > 0 for _, value in found["seconds"])


def test_losses_of_steps_where_they_are_asked_for(
    tmp_path: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    callback = gd.callbacks.TensorBoard(tmp_path, every=3)
    assert callback.watches_batches()
    assert not gd.callbacks.TensorBoard(tmp_path).watches_batches()
    for _ in range(2):  # goes on in the second fit
        trainer_ = trainer()
        trainer_.fit(*data, epochs=2, batch_size=16, progress=False, callbacks=[callback])
    assert [step for step, _ in scalars(tmp_path)["loss/batch"]] == [3, 6, 3, 6]


class Fails(gd.callbacks.Callback):
    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: object) -> None:
        if epoch == 2:
            raise KeyError("planned")


def test_what_was_done_before_an_exception_is_there(
    tmp_path: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    callback = gd.callbacks.TensorBoard(tmp_path)
    with pytest.raises(KeyError, match="planned"):
        trainer().fit(*data, epochs=3, progress=False, callbacks=[callback, Fails()])
    callback.on_fit_end(trainer())  # as at the end of the process
    assert [step for step, _ in scalars(tmp_path)["loss/training"]] == [1, 2]


def test_bad_arguments_and_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TypeError, match="path"):
        gd.callbacks.TensorBoard(3)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        gd.callbacks.TensorBoard(tmp_path, every=0)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"tensorboardX.*gdcore\[tensorboard\]"):
        gd.callbacks.TensorBoard(tmp_path)

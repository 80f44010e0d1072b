"""Trainers as bytes: what a file would hold, and told as of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models import X, Y, assert_same_trainer, small, trained
from support import assert_same_state

import gdcore as gd


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_those_of_the_file(kind: Any, tmp_path: Path) -> None:
    trainer = trained()
    trainer.save(tmp_path / "m", extra={"scale": [1.5]})
    whole = trainer.to_bytes(extra={"scale": [1.5]})
    assert whole == (tmp_path / "m").read_bytes()
    made = gd.Trainer.from_bytes(kind(whole), num_threads=1)
    assert made.num_threads == 1
    assert_same_trainer(made, trainer)
    assert made.step(X, Y) == trainer.step(X, Y)


def test_a_given_network_takes_the_parameters() -> None:
    trainer, net = trained(), small("float64")
    made = gd.Trainer.from_bytes(trainer.to_bytes(), network=net)
    assert made.network is net
    assert_same_state(net.state_dict(), trainer.network.state_dict())


def own_loss(p: Any, y: Any) -> tuple[Any, Any]:
    return ((p - y) ** 2).mean(axis=1), 2 * (p - y) / p.size


def test_what_no_file_can_hold_is_given_again() -> None:
    trainer = gd.Trainer(small("float32"), own_loss, "sgd", schedule=lambda epoch: 0.1)
    whole = trainer.to_bytes()
    with pytest.raises(ValueError, match="loss must be given: data was saved with a function"):
        gd.Trainer.from_bytes(whole, schedule=lambda epoch: 0.1)
    made = gd.Trainer.from_bytes(whole, loss=own_loss, schedule=lambda epoch: 0.1)
    assert made.step(X, Y) == trainer.step(X, Y)


def test_errors_are_those_of_files() -> None:
    trainer = trained()
    whole = trainer.to_bytes()
    for wrong in ("m.safetensors", 3, None):
        with pytest.raises(TypeError, match="data must be bytes, as to_bytes makes them, got"):
            gd.Trainer.from_bytes(wrong)  # type: ignore[arg-type]
    for cut in (b"", whole[:5], whole[: len(whole) // 2], whole[:-1], whole + b"0"):
        with pytest.raises(ValueError, match="data is no gdcore model, or damaged"):
            gd.Trainer.from_bytes(cut)
    with pytest.raises(TypeError, match="extra must be a mapping or a list, got int"):
        trainer.to_bytes(extra=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="network must be a gdcore"):
        gd.Trainer.from_bytes(whole, network="net")  # type: ignore[arg-type]
    broken = gd.Trainer(small("float32"), "mse", gd.SGD(lr=1e30))
    for _ in range(4):
        broken.step(X, Y)
    with pytest.raises(ValueError, match="must be finite to be saved, got NaN or infinity"):
        broken.to_bytes()


def test_a_network_s_file_is_no_trainer_s(tmp_path: Path) -> None:
    small("float32").save(tmp_path / "n")
    with pytest.raises(ValueError, match="data holds a network and no trainer"):
        gd.Trainer.from_bytes((tmp_path / "n").read_bytes())

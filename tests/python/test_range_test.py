"""The learning rate range test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd
from gdcore.range_test import valley


def trainer_of(**options: Any) -> gd.Trainer:
    net = gd.Network([gd.Dense(32, "relu"), gd.Dropout(0.1), gd.Dense(1)], input_size=8)
    options = {"loss": "mse", "optimizer": gd.Adam(lr=1e-4), **options}
    return gd.Trainer(net, **options)


def data(rows: int = 500) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 8))
    return x, np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3])


def test_it_suggests_a_rate_that_trains() -> None:
    x, y = data()
    trainer = trainer_of()
    found = gd.lr_range_test(trainer, x, y)
    assert found.suggestion is not None
    assert 1e-4 < found.suggestion < 0.3
    trainer.lr = found.suggestion
    history = trainer.fit(x, y, epochs=5, progress=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_what_was_given_stays_as_it_is() -> None:
    x, y = data()
    trainer = trainer_of(groups=[gd.Group("*.bias", lr_factor=2.0)], average=gd.EMA(0.5),
                         schedule="cosine", clip=gd.ClipValue(1.0))  # fmt: skip
    trainer.fit(x, y, epochs=1, progress=False)
    before = trainer.network.state_dict(), trainer._native.copy()[2], trainer.lr, trainer.steps
    history = dict(trainer.history)
    one, two = (gd.lr_range_test(trainer, x, y, steps=30) for _ in range(2))
    assert_same_state(trainer.network.state_dict(), before[0])
    for state, expected in zip(trainer._native.copy()[2], before[1], strict=True):
        assert_same_state(state, expected)
    assert (trainer.lr, trainer.steps, trainer.history) == (*before[2:], history)
    assert (one.loss == two.loss).all()


def test_rates_and_running_mean() -> None:
    x, y = data(40)
    found = gd.lr_range_test(trainer_of(), x, y, start_lr=1e-6, end_lr=1e-2, steps=25, batch_size=7)
    assert len(found.lr) == len(found.loss) == 25  # of several epochs
    np.testing.assert_allclose(found.lr, np.geomspace(1e-6, 1e-2, 25), rtol=1e-14)
    mean, seen = 0.0, []
    for count, loss in enumerate(found.loss, 1):
        mean = 0.98 * mean + 0.02 * loss
        seen.append(mean / (1 - 0.98**count))
    np.testing.assert_allclose(found.smoothed, seen, rtol=1e-12)
    first = trainer_of()
    assert found.loss[0] != first.evaluate(x, y)["loss"]  # of a batch, with Dropout


def test_it_ends_where_the_loss_explodes() -> None:
    x, y = data()
    found = gd.lr_range_test(trainer_of(optimizer="sgd"), x, y, end_lr=1e3)
    assert len(found.lr) < 100
    assert found.smoothed[-1] > 4 * found.smoothed.min() or not np.isfinite(found.loss[-1])
    longer = gd.lr_range_test(trainer_of(optimizer="sgd"), x, y, end_lr=1e3, stop_factor=1e30)
    assert len(longer.lr) > len(found.lr)
    assert np.isfinite(longer.loss).all()


@pytest.mark.parametrize(
    ("losses", "place"),
    [
        ([1.0, 2.0, 3.0], None),
        ([], None),
        # 8 that fall, the last at place 9: 1 to 9 in thirds, and the middle of the second.
        ([5.0, 5.0, 5.0, 4.9, 4.0, 3.0, 2.0, 1.5, 1.2, 1.0, 3.0, 9.0], 4),
        ([9.0, 8.0, 8.5, 7.0, 7.5, 6.0, 5.0, 5.5, 4.0, 8.0], 5),
    ],
)
def test_the_valley(losses: list[float], place: int | None) -> None:
    assert valley(losses) == place


def test_how_it_shows_itself(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    x, y = data()
    found = gd.lr_range_test(trainer_of(), x, y)
    table = found.table()
    assert len(table) == 12
    assert list(table[0]) == ["lr", "loss", "smoothed"]
    assert f"suggestion {found.suggestion:.3g}" in repr(found)
    assert f"{found.suggestion:.3g}" in found._repr_html_()
    found.plot(tmp_path / "found.png")
    assert (tmp_path / "found.png").read_bytes()[:4] == b"\x89PNG"
    assert found.plot().png[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="must end in"):
        found.plot(tmp_path / "found.xyz")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"start_lr": 0.0}, ValueError, "start_lr must be"),
        ({"end_lr": 1e-8}, ValueError, "end_lr must be"),
        ({"end_lr": float("inf")}, ValueError, "end_lr must be"),
        ({"steps": 9}, ValueError, "steps must be"),
        ({"steps": 20.5}, TypeError, "steps must be"),
        ({"stop_factor": 1.0}, ValueError, "stop_factor must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        gd.lr_range_test(trainer_of(), *data(), **options)


def test_bad_trainers() -> None:
    with pytest.raises(TypeError, match="trainer must be"):
        gd.lr_range_test(trainer_of().network, *data())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no loss"):
        gd.lr_range_test(trainer_of(loss=None), *data())
    with pytest.raises(ValueError, match="x must"):
        gd.lr_range_test(trainer_of(), *data()[::-1])

"""Scaling studies: Amdahl's law through made-up times, and a trainer that stays as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd
from gdcore.profiling.scaling import ScalingStudy, fit_amdahl

THREADS = (1, 2, 4, 8)


def times(share: float, rounds: int = 1) -> np.ndarray:
    n = np.array(THREADS)
    return np.tile(3e-3 * (share + (1 - share) / n), (rounds, 1))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_serial_share_is_found(share: float) -> None:
    fit = fit_amdahl(THREADS, times(share, rounds=4))
    assert fit.serial_share == pytest.approx(share, abs=1e-12)
    assert fit.error == pytest.approx(0, abs=1e-12)
    assert fit.residual == pytest.approx(0, abs=1e-12)
    assert fit.seconds == pytest.approx(3e-3)
    assert fit.speed_up(4) == pytest.approx(1 / (share + (1 - share) / 4))
    if share > 0:
        assert fit.largest_speed_up == pytest.approx(1 / share)


def test_the_error_is_that_of_the_mean_over_the_rounds() -> None:
    shares = np.array([0.1, 0.2, 0.3])
    fit = fit_amdahl(THREADS, np.concatenate([times(share) for share in shares]))
    assert fit.serial_share == pytest.approx(0.2)
    assert fit.error == pytest.approx(0.1 / math.sqrt(3))
    assert str(fit) == "serial share 20.0 ± 5.8 %"


def test_times_off_the_law_leave_a_residual() -> None:
    measured = times(0.1)
    measured[0, 3] *= 1.5
    assert fit_amdahl(THREADS, measured).residual > 0.05
    assert fit_amdahl(THREADS, measured).error is None
    assert fit_amdahl((1, 2), measured[:, :2]).residual == pytest.approx(0, abs=1e-12)


def test_one_number_of_threads_is_no_line() -> None:
    assert fit_amdahl((1,), np.ones((3, 1))) is None


def test_more_than_linear_has_no_limit() -> None:
    fit = fit_amdahl((1, 2), np.array([[1.0, 0.4]]))
    assert fit.serial_share < 0
    assert fit.largest_speed_up == math.inf


def study_of(cpus: int = 4) -> ScalingStudy:
    threads = (1, 2, 8)
    seconds = np.array([[[1e-3, 6e-4, 4e-4], [1.1e-3, 6e-4, 4e-4]]])
    fit = fit_amdahl(threads[:2], seconds[0][:, :2])
    return ScalingStudy(threads, (64,), seconds, np.array([[1, 2, 2]]), (fit,), cpus)


def test_a_study_prints_as_a_table_with_its_fits() -> None:
    rows = study_of().table()
    assert [row["threads"] for row in rows] == [1, 2, 8]
    assert rows[1]["speed-up"] == pytest.approx(1.75)
    assert rows[1]["efficiency %"] == pytest.approx(87.5)
    assert rows[1]["samples/s"] == round(64 / 6e-4)
    assert [row["note"] for row in rows] == ["", "", "only 4 CPUs"]
    assert [row["workers"] for row in rows] == [1, 2, 2]
    assert "batch 64: serial share" in str(study_of())
    assert "times faster" in str(study_of())


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_study_is_drawn(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / f"a.{ending}"
    study_of().plot(path)
    content = path.read_bytes()
    if ending == "png":
        assert content.startswith(b"\x89PNG")
    else:
        for text in (b"batch 64: serial share", b"more threads than the 4 CPUs"):
            assert text in content
    with pytest.raises(ValueError, match=r"must end in one of .*\.png.*got .*a\.doc"):
        study_of().plot(tmp_path / "a.doc")


def trainer(loss: str | None = "cross_entropy", **more: Any) -> gd.Trainer:
    net = gd.Network([gd.Dense(16, "relu"), gd.Dense(3)], input_size=5, seed=3)
    return gd.Trainer(net, loss, gd.Adam(lr=0.01), **more)


def data(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.standard_normal((count, 5)), random.integers(0, 3, count)


def test_a_study_leaves_the_trainer_as_it_was() -> None:
    x, y = data()
    own, other = trainer(clip_grad_norm=1.0), trainer(clip_grad_norm=1.0)
    for each in (own, other):
        each.fit(x, y, progress=False)
    study = gd.scaling_study(own, x, y, threads=(2,), rounds=2, seconds=0.002)
    assert (own.steps, own.epochs) == (other.steps, other.epochs)
    assert_same_state(own.network.state_dict(), other.network.state_dict())
    for each in (own, other):
        each.fit(x, y, progress=False)
    assert_same_state(own.network.state_dict(), other.network.state_dict())
    assert study.threads == (1, 2)
    assert study.batch_sizes == (32, 128)
    assert study.seconds.shape == (2, 2, 2)
    assert (study.seconds > 0).all()
    assert (study.workers == 1).all()  # so small a step uses no more


def test_batches_of_all_there_is() -> None:
    x, y = data(20)
    study = gd.scaling_study(trainer(), x, y, threads=[1], rounds=1, seconds=0.002)
    assert study.batch_sizes == (20,)
    assert study.fits == (None,)
    assert "needs two numbers" in str(study)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"threads": ()}, ValueError, "threads must hold numbers of threads, got none"),
        ({"threads": (0,)}, ValueError, r"threads\[0\] must be at least 1, got 0"),
        ({"threads": (1, 2.0)}, TypeError, r"threads\[1\] must be an integer"),
        ({"threads": 2}, TypeError, "threads must be a sequence of numbers of threads, got int"),
        ({"batch_sizes": (201,)}, ValueError, r"batch_sizes\[0\] must be at most 200, got 201"),
        ({"rounds": 0}, ValueError, "rounds must be at least 1"),
        ({"seconds": 0}, ValueError, "seconds must be finite and above 0|seconds must be above 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gd.scaling_study(trainer(), *data(), **arguments)


def test_what_is_not_a_trainer_or_has_no_loss() -> None:
    with pytest.raises(TypeError, match=r"trainer must be a gdcore\.Trainer, got str"):
        gd.scaling_study("trainer", *data())
    with pytest.raises(RuntimeError, match="has no loss"):
        gd.scaling_study(trainer(loss=None), *data())
    with pytest.raises(ValueError, match="x must"):
        gd.scaling_study(trainer(), np.zeros((3, 4)), np.zeros(3, int))


def test_batches_lie_side_by_side_and_are_never_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data(30)
    step, seen = gd.Trainer.step, []

    def watched(self: gd.Trainer, rows: np.ndarray, labels: np.ndarray) -> float:
        seen.append((rows.__array_interface__["data"][0], rows.flags.c_contiguous, len(rows)))
        return step(self, rows, labels)

    monkeypatch.setattr(gd.Trainer, "step", watched)
    order = np.asfortranarray(x)
    gd.scaling_study(trainer(), order, y, threads=[1], batch_sizes=[20], rounds=1, seconds=0.002)
    assert len({each for each, *_ in seen}) == 2
    assert all(contiguous and rows == 20 for _, contiguous, rows in seen)


def test_a_trainer_of_an_own_class_is_studied() -> None:
    class Own(gd.Trainer):
        def __init__(self) -> None:
            net = gd.Network([gd.Dense(3)], input_size=5)
            super().__init__(net, "cross_entropy", "sgd")

    study = gd.scaling_study(Own(), *data(), threads=[1], rounds=1, seconds=0.002)
    assert study.threads == (1,)


def test_a_study_tells_where_more_threads_are_slower() -> None:
    seconds = np.array([[[1e-3, 2e-3]]])
    fit = fit_amdahl((1, 2), seconds[0])
    told = str(ScalingStudy((1, 2), (8,), seconds, np.array([[1, 2]]), (fit,), 2))
    assert "more threads make it slower" in told
    assert "two numbers of threads fit any line" in told


# ---- fits that say nothing ----


def printed(seconds: list[list[float]], threads: tuple[int, ...]) -> tuple[Any, str]:
    array = np.array([seconds]) * 1e-3
    fit = fit_amdahl(threads, array[0])
    workers = np.array([threads])
    return fit, str(ScalingStudy(threads, (8,), array, workers, (fit,), 8)).splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "threads"),
    [
        ([[1, 0.6], [9, 0.6], [0.2, 40]], (1, 2)),
        ([[1, 0.5], [1, 0.9], [1, 0.6]], (1, 2)),  # 0 to 80 %
        ([[1, 24], [1, 0.5]], (1, 2)),
        ([[1, 1.5, 0.3], [1, 0.3, 1.5], [1, 0.2, 0.9]], (1, 2, 4)),
    ],
)
def test_rounds_that_differ_too_much_tell_no_share(
    seconds: list[list[float]], threads: tuple[int, ...]
) -> None:
    fit, line = printed(seconds, threads)
    assert not fit.conclusive
    assert line == f"batch 8: {fit}"
    assert str(fit).startswith("no serial share can be told: ")
    assert "%" not in line


def test_times_that_are_not_on_the_law_tell_no_share() -> None:
    fit, line = printed([[1, 3, 0.3, 2], [1, 3.1, 0.3, 2.1]], (1, 2, 4, 8))
    assert not fit.conclusive
    assert line == "batch 8: no serial share can be told: the times do not follow Amdahl's law"


def test_a_share_of_more_than_all_is_no_share() -> None:
    fit, line = printed([[1, 2], [1, 2.01], [1, 1.99]], (1, 2))
    assert fit.conclusive
    assert line == "batch 8: more threads make it slower; two numbers of threads fit any line"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_what_is_measured_well_is_told(share: float) -> None:
    seconds = [[s + (1 - s) / n for n in THREADS] for s in (share, share + 0.02, share - 0.02)]
    fit, line = printed(seconds, THREADS)
    assert fit.conclusive
    assert f"serial share {100 * share:.1f} ± 1.2 %" in line


def test_a_fit_that_tells_nothing_is_not_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    seconds = np.array([[[1e-3, 6e-4], [9e-3, 6e-4], [2e-4, 4e-2]]])
    fit = fit_amdahl((1, 2), seconds[0])
    ScalingStudy((1, 2), (64,), seconds, np.array([[1, 2]]), (fit,), 4).plot(tmp_path / "a.svg")
    assert b"batch 64: no serial share can be told" in (tmp_path / "a.svg").read_bytes()

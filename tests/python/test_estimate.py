"""Whether more ranks will pay, told before there are any."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore.distributed import LINKS, Estimate, Link, estimate, links, measuring, run_ranks
from gdcore.distributed.links import exchange_seconds, measured_link, messages
from gdcore.distributed.measuring import Alone, drawn_samples, measured_alone
from gdcore.losses import Loss


def trainer_of(*sizes: int, loss: Any = "mse", **options: Any) -> gd.Trainer:
    layers = [gd.Dense(size, "relu") for size in sizes[1:-1]]
    network = gd.Network([*layers, gd.Dense(sizes[-1])], input_size=sizes[0], seed=0, **options)
    return gd.Trainer(network, loss, "adam", num_threads=1)


def told(trainer: gd.Trainer, batch_size: int, *ranks: int, **options: Any) -> Estimate:
    """On a machine of 2 TFLOP/s, where nothing is measured."""
    given = {"flops": 2e12, "update": 1e-5} | options
    return estimate(trainer, batch_size, ranks or None, **given)


# ---- the model ----


@pytest.mark.parametrize(
    ("ranks", "size", "expected"),
    [
        (1, 10**6, 0),
        (2, 1000, 1 + 1 + 1),
        (8, 1000, 7 + 7 + 3),  # few ranks exchange directly
        (5, 100_000, 4 + 4 + 3),
        (16, 1000, 15 + 4 + 4),
        (16, 10**6, 15 + 15 + 4),  # what is long goes around a ring
        (16, 100_000, 15 + 4 + 4),
        (9, 100_000, 8 + 8 + 4),
    ],
)
def test_messages_follow_the_algorithms_of_mpi(ranks: int, size: int, expected: int) -> None:
    assert messages(ranks, size) == expected
    link = Link(1e-5, 1e9)
    seconds = 1e-5 * expected + 2 * size * (ranks - 1) / ranks / 1e9
    assert exchange_seconds(link, ranks, size) == pytest.approx(seconds)


def test_time_lies_on_lines_between_what_was_measured() -> None:
    alone = Alone([10, 20, 40], [2.0, 3.0, 7.0], 0.0)
    assert [alone.computing(rows) for rows in (10, 15, 20, 30, 80)] == [2.0, 2.5, 3.0, 5.0, 15.0]
    assert alone.computing(5) == 1.5
    assert Alone([10], [2.0], 0.0).computing(5) == 1.0
    assert Alone([10, 20], [1.0, 9.0], 0.0).computing(1) == 0.0  # no less


def test_a_step_is_computing_exchange_and_update() -> None:
    trainer = trainer_of(64, 256, 10)
    found = told(trainer, 1000, 1, 3, 4, alpha=1e-5, beta=1e9, update=2e-5)
    parameters = 64 * 256 + 256 + 256 * 10 + 10
    of_rows = trainer.flops_per_step(2) - trainer.flops_per_step(1)
    for row, ranks, rows in zip(found.table(), (1, 3, 4), (1000, 334, 250), strict=True):
        computing, updating = rows * of_rows / 2e12, 2e-5 / ranks  # each its own part
        exchanging = exchange_seconds(Link(1e-5, 1e9), ranks, 4 * parameters)
        step = computing + exchanging + updating
        one = 1000 * of_rows / 2e12 + 2e-5
        assert list(row.values()) == pytest.approx(
            [
                *(ranks, rows, 1e6 * computing, 1e6 * exchanging, 1e6 * updating, 1e6 * step),
                *(1 / step, one / step, 100 * one / step / ranks),
            ]
        )
    assert found.table()[0]["exchanging, us"] == 0
    double = told(trainer_of(64, 256, 10, dtype="float64"), 1000, 4, alpha=0.0, beta=1e9)
    assert double.parts(4)[1] == pytest.approx(2 * 8 * parameters * 3 / 4 / 1e9)


@pytest.mark.parametrize(
    ("link", "rows"), [("10GbE", 2280), ("100GbE", 330), ("InfiniBand HDR", 116)]
)
@pytest.mark.parametrize("width", [256, 512])
def test_rows_that_hide_the_bytes_are_the_same_for_every_network(
    link: str, rows: int, width: int
) -> None:
    """4/3 F / beta: 6 FLOP and 8 bytes a parameter."""
    trainer = trainer_of(8, *[width] * 8, 8)
    found = told(trainer, 1 << 20, link=link, update=0.0)
    assert found.transfer_rows == pytest.approx(4 / 3 * 2e12 / LINKS[link].beta, rel=0.02)
    assert found.transfer_rows == pytest.approx(rows, rel=0.03)
    # Where messages take no time, that many rows a rank are half of the efficiency.
    ranks = 512
    batch = round(found.transfer_rows * ranks * ranks / (ranks - 1))
    ideal = told(trainer, batch, ranks, alpha=0.0, beta=LINKS[link].beta, update=0.0)
    assert ideal.table()[0]["efficiency %"] == pytest.approx(50, abs=1)


def test_a_small_network_is_told_to_stay_alone_on_ethernet() -> None:
    trainer = trainer_of(64, 128, 10)
    assert trainer.network.num_parameters < 10_000
    for link in ("10GbE", "100GbE"):
        for batch_size in (64, 1024):
            found = told(trainer, batch_size, link=link)
            assert found.best == 1
            assert found.sentences()[0].startswith(
                f"No number of ranks up to {min(batch_size, 1024):,} is faster than one: even on 2 "
            )
            assert found.half == 2


def test_from_where_on_ranks_lose_and_exchange_takes_half() -> None:
    found = told(trainer_of(784, 512, 512, 10), 8192, 1, 2, 64, link="10GbE")
    steps = {ranks: found.seconds(ranks) for ranks in range(1, 65)}
    best = min(steps, key=lambda ranks: steps[ranks])
    assert 1 < best < 64
    assert found.best == best
    first, second, third = found.sentences()
    gain = steps[1] / steps[best]
    assert first == (
        f"From {best + 1} ranks on a step takes longer than on {best}: {best} ranks are "
        f"{gain:.3g} times as fast as one."
    )
    half = found.half
    assert half is not None
    assert found.parts(half)[1] >= steps[half] / 2
    assert found.parts(half - 1)[1] < steps[half - 1] / 2
    rows = math.ceil(8192 / half)
    assert second == (
        f"Half of the time is exchange from {rows:,} rows a rank on, which is on {half} ranks."
    )
    assert third.startswith("The bytes of an exchange alone take as long as 2,")
    assert str(found).splitlines()[0] == (
        "669,706 parameters of float32, batches of 8,192 rows, over 10GbE (25 us a message, "
        "1.17 GB/s)"
    )
    assert str(found).endswith("\n".join(found.sentences()))
    few = told(trainer_of(784, 512, 512, 10), 1 << 20, 4, link="InfiniBand HDR")
    assert few.sentences()[0].startswith("Up to 4 ranks steps become shorter: 4 ranks are 4 ")
    assert few.sentences()[1] == "Up to 4 ranks an exchange takes less than half of a step."
    assert told(trainer_of(4, 2), 8, 1, link="10GbE").sentences() == ["One rank exchanges nothing."]


def test_numbers_of_ranks_are_powers_of_two_that_have_a_row_each() -> None:
    assert told(trainer_of(4, 2), 100, link="10GbE").ranks == (1, 2, 4, 8, 16, 32, 64)
    assert told(trainer_of(4, 2), 10_000, link="10GbE").ranks[-1] == 1024
    assert told(trainer_of(4, 2), 10, 4, 2, 4, link="10GbE").ranks == (2, 4)


# ---- measured ----


@pytest.fixture
def _shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is not looked at."""
    monkeypatch.setattr(measuring, "_SECONDS", 0.001)
    monkeypatch.setattr(links, "_SECONDS", 0.001)


@pytest.mark.usefixtures("_shortly")
def test_what_a_rank_does_alone_is_measured_and_the_trainer_stays_as_it_is() -> None:
    trainer = trainer_of(16, 64, 3, loss="cross_entropy")
    before = trainer.network.state_dict()
    x, y = drawn_samples(trainer, 256)
    alone = measured_alone(trainer, x, y, [256, 8])
    assert alone.rows.tolist() == [8, 256]
    assert (alone.seconds > 0).all()
    assert alone.seconds.max() < 1.0
    assert 0 <= alone.update < 1.0
    assert trainer.steps == 0
    for name, value in trainer.network.state_dict().items():
        assert np.array_equal(value, before[name])


@pytest.mark.usefixtures("_shortly")
def test_samples_are_drawn_for_every_kind_of_input_and_target() -> None:
    numbers, codes = gd.Input(4, name="numbers"), gd.Input(categories=(3, 9), name="codes")
    joined = gd.Dense(8, "relu")(gd.Concat()(numbers, gd.Embedding(2)(codes)))
    heads = {"price": gd.Dense(1)(joined), "kind": gd.Dense(5)(joined)}
    network = gd.Network(inputs=[numbers, codes], outputs=heads, seed=0)
    trainer = gd.Trainer(network, {"price": "mse", "kind": "cross_entropy"}, "adam", num_threads=1)
    x, y = drawn_samples(trainer, 20)
    assert (x["numbers"].shape, x["codes"].shape, x["codes"].max() < 9) == ((20, 4), (20, 2), True)
    assert (y["price"].shape, y["kind"].shape, y["kind"].max() < 5) == ((20, 1), (20,), True)
    assert measured_alone(trainer, x, y, [20]).seconds[0] > 0
    assert drawn_samples(trainer_of(4, 6, loss="gaussian_nll"), 5)[1].shape == (5, 3)
    with pytest.warns(UserWarning, match="log-probabilities"):
        trainers = {name: trainer_of(4, 6, loss=name) for name in Loss.members}
    for name, each in trainers.items():
        assert len(drawn_samples(each, 5)[1]) == 5, name


class Carrier:
    """Ranks of which this is one, whose collectives take by our clock what the model says."""

    rank = 0

    def __init__(self, size: int, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
        self.size, self._link, self._now = size, link, 0.0
        monkeypatch.setattr(links.time, "perf_counter", lambda: self._now)

    def alltoallv(self, send: Any, counts: Any, receive: Any, receive_counts: Any) -> None:
        assert len(send) == sum(counts) == len(receive) == sum(receive_counts)
        self._now += self._link.alpha * (self.size - 1) + len(send) / self._link.beta

    def allgatherv(self, buffer: Any, counts: Any) -> None:
        assert self.size == 2  # one message, whichever way it is done
        self._now += self._link.alpha + len(buffer) / 2 / self._link.beta

    def bcast(self, value: Any, root: int = 0) -> Any:
        self._now += 1e-3
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        return [0.9 * value, value]

    def abort(self, code: int = 1) -> None:
        raise AssertionError


def test_a_link_is_fitted_through_messages_of_several_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = measured_link(Carrier(2, Link(2e-5, 3e9), monkeypatch), 4_000_000)
    assert found.alpha == pytest.approx(2e-5)
    assert found.beta == pytest.approx(3e9)
    assert found.name == "what was measured on 2 ranks"


@pytest.mark.usefixtures("_shortly")
def test_all_ranks_measure_together_and_get_the_same() -> None:
    def work(communicator: gd.distributed.Communicator) -> tuple[Any, ...]:
        found = estimate(
            trainer_of(4, 3), 8, (1, 2), communicator=communicator, update=1e-5, flops=1e9
        )
        return found.link, found.alone.seconds.tolist(), found.table()

    first, second = run_ranks(2, work)
    assert first == second
    assert first[0].beta > 0
    assert first[0].name == "what was measured on 2 ranks"


@pytest.mark.usefixtures("_shortly")
def test_what_is_not_given_is_measured() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(10, 4)).astype("f"), random.normal(size=(10, 2)).astype("f")
    options = {"alpha": 0.0, "beta": 1e9}
    found = estimate(trainer_of(4, 2), 16, (1, 2), x=x, y=y, **options)
    assert found.alone.rows.tolist() == [8, 10, 13, 16]
    assert (found.alone.seconds > 0).all()
    trainer = trainer_of(4, 2)
    known = estimate(trainer, 16, (1, 2), flops=1e9, **options)
    of_rows = trainer.flops_per_step(2) - trainer.flops_per_step(1)
    assert known.alone.seconds[-1] == pytest.approx(16 * of_rows / 1e9)
    assert estimate(trainer_of(4, 2), 16, (1, 2), update=0.5, **options).parts(2)[2] == 0.25


# ---- shown ----


def test_an_estimate_is_drawn_and_shown_in_notebooks(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = told(trainer_of(784, 64, 10), 512, link="10GbE")
    assert found.plot().png.startswith(b"\x89PNG")
    told(trainer_of(4, 2), 512, 1, link="10GbE").plot(tmp_path / "one.svg")
    assert "speed-up over one rank" in (tmp_path / "one.svg").read_text()
    with pytest.raises(ValueError, match="path must end in one of"):
        found.plot(tmp_path / "ranks.txt")
    assert "efficiency %" in found._repr_html_()
    assert "No number of ranks" in found._repr_html_()


# ---- errors ----


def own_loss(network: gd.Network) -> gd.Trainer:
    return gd.Trainer(network, lambda output, y: (output, output), "sgd")


def solver() -> gd.Trainer:
    return gd.Trainer(gd.Network([gd.Dense(1)], input_size=2), "mse", gd.LBFGS())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda t: estimate(3, 8, link="10GbE"),
            TypeError,
            "trainer must be a gdcore.Trainer, got int",
        ),
        (
            lambda t: estimate(solver(), 8, link="10GbE"),
            ValueError,
            "an optimizer that trains by steps, got 'lbfgs'",
        ),
        (lambda t: told(t, 0, link="10GbE"), ValueError, "batch_size must be at least 1, got 0"),
        (lambda t: told(t, 1.5, link="10GbE"), TypeError, "batch_size must be an integer"),
        (
            lambda t: estimate(t, 8, 4, link="10GbE"),
            TypeError,
            "ranks must be a sequence of numbers of ranks, got int",
        ),
        (
            lambda t: estimate(t, 8, (), link="10GbE"),
            ValueError,
            "ranks must hold numbers of ranks, got none",
        ),
        (
            lambda t: told(t, 8, 1, 0, link="10GbE"),
            ValueError,
            r"ranks\[1\] must be at least 1, got 0",
        ),
        (
            lambda t: told(t, 8, 16, link="10GbE"),
            ValueError,
            r"ranks\[0\] must be at most 8, batch_size: .*, got 16",
        ),
        (
            lambda t: told(t, 1 << 20, 1 << 17, link="10GbE"),
            ValueError,
            r"ranks\[0\] must be at most 65,536",
        ),
        (
            lambda t: told(t, 8, link="10gbe!"),
            ValueError,
            "link must be one of 10GbE, 100GbE, InfiniBand HDR, got '10gbe!'",
        ),
        (lambda t: told(t, 8), TypeError, "one of link .* must be given, got none of them"),
        (
            lambda t: told(t, 8, link="10GbE", alpha=1e-6, beta=1e9),
            TypeError,
            "got more than one of them",
        ),
        (lambda t: told(t, 8, alpha=1e-6), TypeError, "alpha and beta must be given together"),
        (lambda t: told(t, 8, alpha=-1, beta=1e9), ValueError, "alpha must be"),
        (lambda t: told(t, 8, alpha=0, beta=0), ValueError, "beta must be"),
        (lambda t: told(t, 8, link="10GbE", flops=0), ValueError, "flops must be"),
        (lambda t: told(t, 8, link="10GbE", update=-1), ValueError, "update must be"),
        (
            lambda t: told(t, 8, communicator="world"),
            TypeError,
            "communicator must be one of mpi4py",
        ),
        (
            lambda t: run_ranks(1, lambda c: told(t, 8, communicator=c)),
            ValueError,
            "communicator must have at least 2 ranks",
        ),
        (
            lambda t: told(t, 8, link="10GbE", x=np.zeros((8, 4))),
            TypeError,
            "x and y must be given together",
        ),
        (lambda t: told(gd.Trainer(t.network, None, "sgd"), 8, link="10GbE"), RuntimeError, "loss"),
        (
            lambda t: told(own_loss(t.network), 8, link="10GbE", update=None),
            ValueError,
            "must be None where the loss is a Python function",
        ),
    ],
)
def test_what_is_not_right_is_told(
    make: Callable[[gd.Trainer], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(trainer_of(4, 2))

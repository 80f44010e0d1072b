"""Training on several ranks: one hash, whatever their number, and what is refused."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore._sharing import crc
from gdcore.distributed import Communicator, run_ranks

ROWS = 203
rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, 12)).astype(np.float32)
CODES = rng.integers(0, 5, (ROWS, 2))
Y = rng.integers(0, 3, ROWS)
WEIGHT = rng.uniform(0, 2, ROWS)
WEIGHT[50:60] = 0


def everything() -> gd.Network:
    """Batch statistics, random layers, tables, and layers that sum in one pass."""
    numbers, codes = gd.Input(12, name="numbers"), gd.Input(categories=(5, 5), name="codes")
    h = gd.Concat()(gd.BatchNorm()(numbers), gd.Embedding(3)(codes))
    h = gd.Dropout(0.2)(gd.Dense(24, "relu")(h))
    return gd.Network(inputs=[numbers, codes], outputs=gd.Dense(3)(h), seed=1)


def plain() -> gd.Network:
    layers = [gd.Dense(40, "silu"), gd.LayerNorm(), gd.Dropout(0.1), gd.Dense(3)]
    return gd.Network(layers, input_size=12, seed=1)


def trained(
    communicator: Communicator | None = None,
    make: Callable[[], gd.Network] = plain,
    epochs: int = 2,
    *,
    batch_size: int | None = 64,
    sharded: bool = False,
    fit: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[object, ...]:
    """What a training comes to, to the bit."""
    options = {"optimizer": "adamw", "slices": 8, "num_threads": 1} | options
    net = make()
    trainer = gd.Trainer(net, "cross_entropy", communicator=communicator, **options)
    x: Any = {"numbers": X, "codes": CODES} if make is everything else X
    y, weight = Y, WEIGHT
    given: dict[str, Any] = {"batch_size": batch_size, "progress": False, **(fit or {})}
    if sharded:
        assert communicator is not None
        cuts = np.sort(np.random.default_rng(communicator.size).integers(0, ROWS, 9))
        cuts = np.r_[0, cuts[: communicator.size - 1], ROWS]
        own = slice(cuts[communicator.rank], cuts[communicator.rank + 1])
        x = {key: each[own] for key, each in x.items()} if isinstance(x, dict) else x[own]
        y, weight, given["data"] = y[own], weight[own], "sharded"
    trainer.fit(x, y, epochs=epochs, sample_weight=weight, **given)
    return state_of(trainer)


def state_of(trainer: gd.Trainer) -> tuple[object, ...]:
    _, parameters, states = trainer._native.copy()
    of_states = [crc(list(each.values())) for each in states]
    return crc(list(parameters.values())), of_states, dict(trainer.history)


CASES: dict[str, dict[str, Any]] = {
    "one pass": {},
    "statistics": {"make": everything},
    "clipped": {"clip_grad_norm": 0.5, "make": everything},
    "by matrices": {"optimizer": "muon"},
    "averaged": {"average": "ema"},
    "twice a step": {"optimizer": gd.SAM(gd.Adam())},
    "all rows": {"batch_size": None},
    "few rows": {"batch_size": 5, "epochs": 1},
    "accumulated": {"batch_size": 16, "fit": {"accumulate": 3}, "make": everything},
    "seven slices": {"slices": 7},
    # Slices of the last batch, of 101 rows, are longer than those of the others.
    "longer slices": {"slices": 12, "batch_size": 102, "make": everything},
    "single slices": {"slices": 64, "batch_size": 100, "make": everything},
}


@pytest.mark.parametrize("case", CASES)
def test_bits_follow_slices_and_not_ranks(case: str) -> None:
    options = CASES[case]
    alone = trained(**options)
    assert trained(**options, num_threads=2) == alone
    for ranks in (1, 2, 3, 4, 7):
        for found in run_ranks(ranks, lambda rank: trained(rank, **options)):
            assert found == alone, ranks


@pytest.mark.parametrize("case", ["one pass", "statistics", "few rows"])
def test_rows_may_be_apart(case: str) -> None:
    options = CASES[case]
    alone = trained(**options)
    for ranks in (1, 2, 3, 5):
        for found in run_ranks(ranks, lambda rank: trained(rank, sharded=True, **options)):
            assert found == alone, ranks


def test_other_slices_are_other_bits_but_near() -> None:
    nets = []
    for slices in (None, 1, 8):
        net = plain()
        trainer = gd.Trainer(net, "cross_entropy", "sgd", slices=slices)
        trainer.fit(X, Y, epochs=2, batch_size=64, progress=False)
        nets.append(net.predict(X))
    np.testing.assert_allclose(nets[1], nets[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(nets[2], nets[0], rtol=1e-4, atol=1e-5)
    assert (nets[2] != nets[0]).any()


def test_ranks_read_units_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    read: dict[int, int] = {}

    class Counted(gd.data.NPY):
        rank = 0

        def _read(self, unit: int, dtype: Any) -> Any:
            read[self.rank] = read.get(self.rank, 0) + 1
            return super()._read(unit, dtype)

    def work(rank: Communicator) -> object:
        source = Counted(tmp_path / "x.npy", tmp_path / "y.npy", unit=50)
        source.rank = rank.rank
        trainer = gd.Trainer(plain(), "cross_entropy", "adamw", communicator=rank, num_threads=1)
        trainer.fit(source, epochs=2, batch_size=64, progress=False, data="sharded")
        return state_of(trainer)

    trainer = gd.Trainer(plain(), "cross_entropy", "adamw", slices=8, num_threads=1)
    trainer.fit(X, Y, epochs=2, batch_size=64, progress=False)
    for ranks in (2, 5, 7):  # of five units: some ranks of seven read none
        read.clear()
        assert run_ranks(ranks, work) == [state_of(trainer)] * ranks
        assert max(read.values()) <= -(-5 // ranks)

    def stream(rank: Communicator) -> None:
        chunks = gd.data.Chunks(lambda: iter([(X, Y)]))
        trainer = gd.Trainer(plain(), "cross_entropy", "adamw", communicator=rank)
        trainer.fit(chunks, progress=False, data="sharded")

    refused(2, stream, ValueError, "data must be 'replicated' where x is a source that gives")


def test_rows_apart_are_judged_as_one_table() -> None:
    metrics = ("accuracy", gd.metrics.TopK(2))

    def work(rank: Communicator | None) -> object:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank, slices=8)
        if rank is None:
            return trainer.evaluate(X, Y, WEIGHT, metrics=metrics)
        own = slice([0, 40, 40][rank.rank], [40, 40, ROWS][rank.rank])  # one has none
        given = (X[own], Y[own], WEIGHT[own])
        return trainer.evaluate(*given, metrics=metrics, data="sharded")

    alone = work(None)
    assert run_ranks(3, work) == [alone] * 3


def test_several_heads_and_weights(tmp_path: Path) -> None:
    def two(communicator: Communicator | None) -> tuple[object, ...]:
        x = gd.Input(12, name="x")
        h = gd.Dense(16, "relu")(x)
        outputs = {"price": gd.Dense(1)(h), "kind": gd.Dense(3)(h)}
        net = gd.Network(inputs=[x], outputs=outputs, seed=0)
        loss = {"price": "mse", "kind": "cross_entropy"}
        trainer = gd.Trainer(net, loss, "adam", communicator=communicator, slices=8, num_threads=1)
        y = {"price": X[:, :1] * 2, "kind": Y}
        for _ in range(2):
            trainer.fit(
                X, y, batch_size=50, epochs=1, progress=False, sample_weight={"kind": WEIGHT}
            )
        return *state_of(trainer), trainer.history["kind_loss"]

    alone = two(None)
    for found in run_ranks(3, two):
        assert found == alone


def test_a_run_goes_on_on_another_number_of_ranks(tmp_path: Path) -> None:
    alone = trained(make=everything, epochs=3)[:2]

    def begin(rank: Communicator) -> None:
        net = everything()
        trainer = gd.Trainer(
            net, "cross_entropy", "adamw", communicator=rank, slices=8, num_threads=1
        )
        x = {"numbers": X, "codes": CODES}
        trainer.fit(x, Y, epochs=1, batch_size=64, sample_weight=WEIGHT, progress=False)
        trainer.save(tmp_path / "run.safetensors")

    def go_on(rank: Communicator | None) -> tuple[object, ...]:
        trainer = gd.Trainer.load(tmp_path / "run.safetensors", communicator=rank, num_threads=1)
        assert trainer.slices == 8
        x = {"numbers": X, "codes": CODES}
        trainer.fit(x, Y, epochs=2, batch_size=64, sample_weight=WEIGHT, progress=False)
        return state_of(trainer)[:2]

    run_ranks(3, begin)
    assert go_on(None) == alone
    for ranks in (2, 4):
        assert run_ranks(ranks, go_on) == [alone] * ranks


def test_steps_and_judging(tmp_path: Path) -> None:
    def work(rank: Communicator | None) -> tuple[object, ...]:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank, slices=8)
        losses = [trainer.step(X[i : i + 50], Y[i : i + 50]) for i in range(0, 200, 50)]
        losses += [trainer.learn_one(X[0], Y[0]), *trainer.learn_many(X[:3], Y[:3])]
        history = trainer.fit(
            X,
            Y,
            epochs=4,
            progress=False,
            validation_data=(X[:50], Y[:50]),
            callbacks=[gd.callbacks.EarlyStopping("val_loss", patience=1, restore_best=True)],
        )
        return losses, dict(history), trainer.evaluate(X, Y), state_of(trainer)

    alone = work(None)
    for found in run_ranks(3, work):
        assert found == alone


def test_the_first_rank_alone_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(rank: Communicator) -> list[str]:
        folder = tmp_path / str(rank.rank)
        folder.mkdir()
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)
        callbacks = [
            gd.callbacks.Checkpoint(folder / "best.safetensors", monitor="loss"),
            gd.callbacks.Live(folder / "live.html"),
        ]
        trainer.fit(X, Y, epochs=2, callbacks=callbacks)
        trainer.save(folder / "last.safetensors")
        return sorted(each.name for each in folder.iterdir())

    written = run_ranks(2, work)
    assert written == [["best.safetensors", "last.safetensors", "live.html"], []]
    assert capsys.readouterr().err.count("100%") <= 1 + 2


def test_a_file_that_cannot_be_written_is_told_to_all(tmp_path: Path) -> None:
    def work(rank: Communicator) -> str:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)
        with pytest.raises(OSError, match="missing"):
            trainer.save(tmp_path / "missing" / "x.safetensors")
        return "told"

    assert run_ranks(2, work) == ["told", "told"]


def test_one_that_stops_stops_all() -> None:
    class Stops(gd.callbacks.Callback):
        def __init__(self, rank: int) -> None:
            self.rank, self.seen = rank, 0

        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            self.seen += 1
            if self.rank == 1 and self.seen == 3:
                trainer.stop()

    def work(rank: Communicator) -> tuple[int, int]:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)
        stops = Stops(rank.rank)
        trainer.fit(X, Y, epochs=2, batch_size=20, callbacks=[stops], progress=False)
        return stops.seen, trainer.steps

    assert run_ranks(3, work) == [(3, 3)] * 3


def test_a_divergence_is_one_of_all() -> None:
    def work(rank: Communicator) -> tuple[object, ...]:
        trainer = gd.Trainer(
            plain(), "cross_entropy", gd.SGD(lr=1e30), communicator=rank, num_threads=1
        )
        with pytest.raises(FloatingPointError, match="in epoch 1 at step"):
            trainer.fit(X, Y, epochs=5, progress=False)
        return state_of(trainer)[:2]

    found = run_ranks(3, work)
    assert found[0] == found[1] == found[2]
    assert found[0][0] == crc(list(plain().state_dict().values()))


def test_an_interrupt_is_agreed() -> None:
    class Asks(gd.callbacks.Callback):
        def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
            if trainer.steps == 2 and trainer.communicator and trainer.communicator.rank == 1:
                assert trainer._channel is not None
                trainer._channel.interrupted = True

    def work(rank: Communicator) -> tuple[int, object]:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(X, Y, epochs=2, batch_size=20, callbacks=[Asks()], progress=False)
        assert trainer._channel is not None
        trainer._channel.interrupted = False
        return trainer.steps, state_of(trainer)[0]

    first, second = run_ranks(2, work)
    assert first == second
    assert first[0] == 2


def test_ctrl_c_only_notes_that_it_came() -> None:
    # In the background a shell has it ignored.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _notes_that_ctrl_c_came()
    finally:
        signal.signal(signal.SIGINT, outside)


def _notes_that_ctrl_c_came() -> None:
    from gdcore.communication.channel import Channel

    def work(rank: Communicator) -> None:
        channel = Channel(rank)
        with channel.interruptible():
            assert threading.current_thread() is not threading.main_thread()

    run_ranks(1, work)

    class One:
        rank, size = 0, 1

        def __getattr__(self, name: str) -> Any:
            return None

    channel = Channel(One())  # type: ignore[arg-type]
    before = signal.getsignal(signal.SIGINT)
    with channel.interruptible():
        os.kill(os.getpid(), signal.SIGINT)
        assert channel.interrupted
        with pytest.raises(KeyboardInterrupt):  # the second one at once
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_half_a_step_by_hand() -> None:
    # Two processes of one's own, each with half of the rows, whose gradients are added.
    whole = gd.Trainer(plain(), "cross_entropy", "adam")
    halves = [gd.Trainer(plain(), "cross_entropy", "adam") for _ in range(2)]
    for _ in range(3):
        loss = whole.compute_gradients(X[:64], Y[:64], WEIGHT[:64])
        flats: list[Any] = []
        told = []
        for rank, trainer in enumerate(halves):
            own = slice(32 * rank, 32 * (rank + 1))
            told.append(
                trainer.compute_gradients(
                    X[own], Y[own], WEIGHT[own], weight_sum=WEIGHT[:64].sum(), first_row=own.start
                )
            )
            trainer.with_flat_gradients(lambda flat, to=flats: to.append(flat.copy()))
        assert sum(told) == pytest.approx(loss, rel=1e-6)

        def add(flat: Any, total: Any = flats[0] + flats[1]) -> None:
            flat[:] = total

        for trainer in halves:
            trainer.with_flat_gradients(add)
            trainer.apply_gradients()
        whole.apply_gradients()
    x, y = whole.network.predict(X), halves[0].network.predict(X)
    np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    assert (y == halves[1].network.predict(X)).all()


def test_gradients_alone_are_those_of_a_step() -> None:
    apart, together = (gd.Trainer(plain(), "cross_entropy", "adam") for _ in range(2))
    for i in range(0, 200, 50):
        x, y = X[i : i + 50], Y[i : i + 50]
        loss = apart.compute_gradients(x, y)
        apart.apply_gradients()
        assert together.step(x, y) == loss
    assert state_of(apart)[0] == state_of(together)[0]


def test_flat_parameters_are_those_of_the_network() -> None:
    trainer = gd.Trainer(plain(), "cross_entropy", "adam")
    before = trainer.network.predict(X)
    trainer.with_flat_parameters(lambda flat: np.multiply(flat, 0.5, out=flat))
    after = trainer.network.state_dict()
    for key, value in plain().state_dict().items():
        assert (after[key] == value * np.float32(0.5)).all()
    assert (trainer.network.predict(X) != before).any()
    with pytest.raises(RuntimeError, match="there are no gradients"):
        trainer.with_flat_gradients(print)
    with pytest.raises(TypeError, match="function must be one"):
        trainer.with_flat_parameters(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight_sum must be above 0"):
        trainer.compute_gradients(X, Y, weight_sum=0)
    with pytest.raises(ValueError, match="slices must be None"):
        gd.Trainer(plain(), "mse", "adam", slices=2).compute_gradients(X, np.eye(3)[Y])


# ---- what is refused ----


def refused(ranks: int, work: Callable[[Communicator], object], kind: Any, words: str) -> None:
    """Every rank raises, so that none waits for the others."""

    def one(rank: Communicator) -> bool:
        with pytest.raises((kind, RuntimeError), match=words):
            work(rank)
        return True

    assert all(run_ranks(ranks, one))


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"slices": 0}, ValueError, "slices must be at least 1, got 0"),
        ({"slices": 2.5}, TypeError, "slices must be an integer"),
        ({"slices": 70000}, ValueError, "slices must be at most 65536"),
        ({"communicator": object()}, TypeError, "communicator must be one of mpi4py"),
        ({"slices": 4, "optimizer": "lbfgs"}, ValueError, "must not be given with 'lbfgs'"),
        ({"slices": 4, "loss": None}, ValueError, "need a loss of the trainer's"),
        ({"slices": 4, "loss": lambda p, t: (0.0, p)}, ValueError, "must be None where the loss"),
    ],
)
def test_arguments_of_a_trainer(options: dict[str, Any], kind: Any, words: str) -> None:
    given = {"loss": "cross_entropy", "optimizer": "adam"} | options
    net = gd.Network([gd.Dense(4, "relu"), gd.Dense(3)], input_size=12)
    with pytest.raises(kind, match=words):
        gd.Trainer(net, **given)


def test_more_ranks_than_slices() -> None:
    def work(rank: Communicator) -> None:
        gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank, slices=2)

    refused(3, work, ValueError, "slices must be at least the number of ranks, 3, got 2")


def test_sparse_tables() -> None:
    x = gd.Input(categories=(5, 5))
    net = gd.Network(inputs=[x], outputs=gd.Dense(3)(gd.Embedding(3, sparse=True)(x)))
    with pytest.raises(ValueError, match="use sparse=False"):
        gd.Trainer(net, "cross_entropy", "adam", slices=4)


def fitted(rank: Communicator, seed: int = 0, **given: Any) -> None:
    layers = [gd.Dense(4, "relu"), gd.Dense(3)]
    net = gd.Network(layers, input_size=12, seed=seed)
    trainer = gd.Trainer(net, "cross_entropy", "adam", communicator=rank)
    arguments = {"x": X, "y": Y, "progress": False} | given
    trainer.fit(**arguments)


def test_ranks_that_differ() -> None:
    refused(2, lambda rank: fitted(rank, seed=rank.rank), ValueError, "the seed of rank")
    refused(
        3,
        lambda rank: fitted(rank, x=X[rank.rank :], y=Y[rank.rank :]),
        ValueError,
        "the number of samples of rank",
    )
    refused(
        2, lambda rank: fitted(rank, batch_size=8 + rank.rank), ValueError, "batch_size of rank"
    )


def test_data_of_one_rank_that_are_wrong() -> None:
    def work(rank: Communicator) -> None:
        x = X.copy()
        if rank.rank == 1:
            x[7, 3] = np.nan
        fitted(rank, x=x)

    refused(3, work, ValueError, r"x must be finite|rank 1 has refused it: ValueError: x must be")
    refused(3, lambda rank: fitted(rank, data="apart"), ValueError, "data must be 'replicated' or")
    with pytest.raises(ValueError, match="'replicated' without a communicator"):
        gd.Trainer(plain(), "cross_entropy", "adam").fit(X, Y, data="sharded", progress=False)


def test_rows_apart_that_do_not_fit() -> None:
    def columns(rank: Communicator) -> None:
        fitted(rank, y=np.eye(3)[Y] if rank.rank else Y, data="sharded")

    refused(2, columns, ValueError, "y must have the same columns on every rank")
    refused(
        2,
        lambda rank: fitted(rank, data="sharded", validation_split=0.1),
        ValueError,
        "validation_split must be None",
    )


def test_fit_many_takes_none() -> None:
    def work(rank: Communicator) -> None:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)
        gd.fit_many([trainer], X, Y, epochs=1, progress=False)

    refused(1, work, ValueError, r"trainers\[0\] must not have a communicator")

    def made(rank: Communicator) -> None:
        def make() -> gd.Trainer:
            return gd.Trainer(plain(), "cross_entropy", "adam", communicator=rank)

        with pytest.warns(UserWarning, match=r"trainers\[0\] must not have a communicator"):
            gd.fit_many([make], X, Y, epochs=1, progress=False)

    run_ranks(1, made)


def test_slices_are_part_of_what_training_takes() -> None:
    def gradients(slices: int | None) -> int:
        trainer = gd.Trainer(plain(), "cross_entropy", "adam", slices=slices)
        return int(trainer.memory_plan(64)["gradients"])

    assert gradients(8) > gradients(None)

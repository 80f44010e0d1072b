"""What a profile says of drawn networks is what the mathematics says, whatever runs beside them."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import gdcore as gd

TRAINING = ("forward", "loss", "backward", "update", "data", "step")


def drawn(seed: int) -> tuple[gd.Network, str, int]:
    """A network, its loss, and a batch size."""
    random = np.random.default_rng(seed)
    outputs = int(random.integers(2, 20))
    widths = random.choice([7, 32, 64, 130, 400, 700], size=random.integers(1, 4)).tolist()
    layers = [gd.Dense(width, str(random.choice(["relu", "tanh", "gelu"]))) for width in widths]
    network = gd.Network(
        [*layers, gd.Dense(outputs)],
        input_size=int(random.choice([5, 64, 300, 1030])),
        dtype=str(random.choice(["float32", "float64"])),
        seed=seed,
    )
    loss = str(random.choice(["cross_entropy", "mse"]))
    return network, loss, int(random.choice([16, 100, 256, 520]))


def samples(network: gd.Network, loss: str, count: int) -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    x = random.standard_normal((count, network.input_size)).astype(network.dtype)
    if loss == "mse":
        return x, random.standard_normal((count, network.output_size)).astype(network.dtype)
    return x, random.integers(0, network.output_size, count)


def flops(prof: gd.profiling.Profile, *phases: str) -> int:
    return int(prof.events["flops"][prof.recording.phase(*phases)].sum())


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("seed", range(10))
def test_training_counts_training_alone(seed: int, threads: int) -> None:
    network, loss, batch = drawn(seed)
    trainer = gd.Trainer(network, loss, "adam", num_threads=threads)
    x, y = samples(network, loss, 4 * batch)
    expected = trainer.flops_per_step(batch)
    with gd.profile() as prof:
        trainer.fit(x, y, epochs=2, batch_size=batch, validation_data=(x, y), progress=False)
        trainer.evaluate(x, y)
        trainer.step(x[:batch], y[:batch])
        network.predict(x)
        gd.matmul(x, x.T)
    assert prof.steps == prof.recording.recorded_steps == 9
    assert flops(prof, *TRAINING) == 9 * expected
    # Three passes over all samples for a loss, one for predictions.
    forward = flops(prof, "forward") // 9 * 4
    loss_flops = flops(prof, "loss") // 9 * 4
    assert flops(prof, "inference") == forward
    assert flops(prof, "validation") == 3 * (forward + evaluated(prof, loss_flops))
    assert flops(prof, "matmul") == 2 * len(x) ** 2 * network.input_size
    # Rows of the table are sums over the same events.
    rows = {row["phase"]: row for row in prof.table("phase")}
    for phase in ("forward", "backward", "validation", "inference"):
        time = prof.recording.durations[prof.recording.phase(phase)].sum()
        assert rows[phase]["ms"] == pytest.approx(time / 1e6)
        assert rows[phase]["GFLOP/s a thread"] == pytest.approx(flops(prof, phase) / time)


def evaluated(prof: gd.profiling.Profile, loss_flops: int) -> int:
    """Of a loss on all samples, as the events of evaluation have it, which makes no gradient."""
    own = prof.recording.where(lambda each: each.op == "loss" and each.purpose == "validation")
    found = int(prof.events["flops"][own].sum()) // 3
    assert 0 < found <= loss_flops
    return found


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_amounts_of_an_operation_are_its_laps(threads: int) -> None:
    """A product whose operands all workers pack together has several laps."""
    network = gd.Network([gd.Dense(1030, "relu"), gd.Dense(10)], input_size=1030, seed=0)
    trainer = gd.Trainer(network, "cross_entropy", "adam", num_threads=threads)
    x, y = samples(network, "cross_entropy", 520)
    with gd.profile() as prof:
        for _ in range(3):
            trainer.step(x, y)
    own = prof.recording.where(lambda each: each.label == "weight_gradient 0")
    assert prof.events["flops"][own].sum() == 3 * 2 * 520 * 1030 * 1030
    busy = own & (prof.events["flops"] > 0)
    # No lap without length has work.
    assert (prof.recording.durations[busy] > 1000).all()


def test_two_trainers_in_two_threads_are_two_teams() -> None:
    trainers = []
    for width in (64, 128):
        network = gd.Network([gd.Dense(width, "relu"), gd.Dense(4)], input_size=16, seed=0)
        trainers.append(gd.Trainer(network, "cross_entropy", "sgd", num_threads=1))
    x, y = samples(trainers[0].network, "cross_entropy", 320)

    def train(trainer: gd.Trainer) -> None:
        trainer.fit(x, y, epochs=3, batch_size=32, progress=False)

    with gd.profile() as prof:
        threads = [threading.Thread(target=train, args=(each,)) for each in trainers]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    named = [source for source in prof.recording.sources if source.steps]
    assert [source.network for source in named] == ["16-64-4", "16-128-4"]
    assert [source.steps for source in named] == [30, 30]
    assert [source.batch for source in named] == [32, 32]
    assert prof.steps == prof.recording.recorded_steps == 60
    assert {row["trainer"] for row in prof.table("op") if row["layer"]} == {
        "trainer 1",
        "trainer 2",
    }
    summaries = [each for each in prof.advice() if each.kind == "summary"]
    assert [each.trainer for each in summaries] == ["trainer 1", "trainer 2"]
    assert all("30 steps" in each and "one thread" in each for each in summaries)
    assert not [each for each in prof.advice() if each.kind in ("partition", "slow_worker")]
    # Each thread is a caller of its own.
    worked = prof.recording.workers
    assert len(worked) == 2
    assert all(prof.threads[i].team == i for i in worked)
    for number in (1, 2):
        own = prof.events["source"] == number
        assert len(set(prof.events["thread"][own & prof.recording.work].tolist())) == 1


def test_networks_without_a_trainer_and_rules_have_names() -> None:
    network = gd.Network([gd.Dense(4)], input_size=3, seed=0)
    weights = np.ones(1000, np.float32)
    bound = gd.Adam().bind([weights])
    with gd.profile() as prof:
        network.predict(np.ones((5, 3)))
        for _ in range(3):
            bound.step([np.ones(1000, np.float32)])
    names = {source.name: source for source in prof.recording.sources[1:]}
    assert names["network 1"].network == "3-4"
    assert names["rule 1"].optimizer == "adam"
    assert names["rule 1"].steps == 3
    update = prof.recording.where(lambda each: each.op == "update")
    assert prof.events["flops"][update].sum() == 3 * 6 * 1000


def test_numerical_gradients_are_recorded_with_their_passes() -> None:
    network = gd.Network([gd.Dense(5, "tanh"), gd.Dense(2)], input_size=3, dtype="float64", seed=0)
    x, y = samples(network, "mse", 7)
    with gd.profile() as prof:
        gd.check_gradients(network, "mse", x, y)
    assert flops(prof, "checks") > 0
    assert prof.steps == 0
    # gil and step: on a machine that is busy
    known = {"caller", "checks", "gil", "step", "wait", "recorder"}
    assert {row["phase"] for row in prof.table("phase")} <= known
    assert "Gradients by differences took" in prof.advice()[0]


@pytest.mark.parametrize("every", [1, 10])
def test_validation_is_recorded_as_often_as_steps(every: int) -> None:
    network, loss, batch = drawn(3)
    trainer = gd.Trainer(network, loss, "adam", num_threads=2)
    x, y = samples(network, loss, 20 * batch)
    with gd.profile(every=every) as prof:
        trainer.fit(x, y, epochs=2, batch_size=batch, validation_data=(x, y), progress=False)
    assert prof.steps == 40
    assert prof.recording.recorded_steps == 40 // every
    expected = trainer.flops_per_step(batch)
    assert flops(prof, *TRAINING) == 40 // every * expected


def test_converted_arrays_are_named_with_dtype_and_order() -> None:
    network = gd.Network([gd.Dense(4)], input_size=300, seed=0)
    trainer = gd.Trainer(network, "cross_entropy", "sgd", num_threads=1)
    x, y = samples(network, "cross_entropy", 4000)
    with gd.profile() as prof:
        trainer.fit(np.asfortranarray(x, np.float64), y, batch_size=64, progress=False)
        trainer.step(x.astype(np.float16), y)
        network.predict(x.astype(np.int32))
    converted = [each.layer for each in prof.operations if each.op == "convert"]
    assert converted == [
        "x: float64 (Fortran) to float32",
        "x: float16 to float32",
        "x: int32 to float32",
    ]
    rows = [row for row in prof.table("op") if row["op"] == "convert"]
    assert {row["phase"] for row in rows} == {"data"}


def test_every_phase_has_a_colour_and_an_explanation() -> None:
    from gdcore.profiling.palette import COLOURS, OTHER, family

    explained = gd.profiling.zones()
    network, loss, batch = drawn(2)
    trainer = gd.Trainer(network, loss, "adam", num_threads=4)
    x, y = samples(network, loss, 4 * batch)
    with gd.profile() as prof:
        trainer.fit(x, y, batch_size=batch, validation_data=(x, y), progress=False)
        network.predict(x)
        gd.matmul(x, x.T)
    for operation in prof.operations[1:]:
        assert operation.op in explained
        assert operation.phase in explained
        assert family(operation) in COLOURS
        assert family(operation) != OTHER


def test_an_exchange_is_part_of_a_step_and_no_operation_on_a_batch() -> None:
    from gdcore.profiling.palette import COLOURS, family

    network, loss, batch = drawn(2)
    trainer = gd.Trainer(network, loss, "adam", num_threads=1)
    x, y = samples(network, loss, batch)
    trainer.step(x, y)
    with gd.profile() as prof:
        trainer.step(x, y)
        gd._core.profile_mark("caller")
        time.sleep(0.002)
        gd._core.profile_mark("exchange")
        trainer.step(x, y)
    (row,) = [row for row in prof.table("phase") if row["phase"] == "exchange"]
    assert row["ms"] >= 2
    (kind,) = [each for each in prof.operations if each.op == "exchange"]
    assert not kind.of_plan
    assert family(kind) == "exchange"
    assert "exchange" in COLOURS
    assert "ranks" in gd.profiling.zones()["exchange"]
    assert prof.recording.recorded_steps == 2


def test_amounts_of_memory_and_machine_are_told() -> None:
    with gd.profile() as prof:
        gd.matmul(np.ones((64, 64)), np.ones((64, 64)))
    found = prof.recording
    assert found.machine.version == gd.__version__
    assert found.machine.date
    assert found.machine.affinity >= 1
    assert len(found.memory) >= 2
    assert (found.memory[:, 1] > 1 << 20).all()
    assert found.began > 0
    assert found.process_id > 0

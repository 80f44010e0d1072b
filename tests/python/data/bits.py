"""Trains a few networks and prints a digest of all that came out, for test_bits.py.

Arguments: the number of threads. The instruction set is capped by the environment.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import nets
import numpy as np
from support import digest

import gdcore as gd
from gdcore.optimizers import Optimizer

THREADS = int(sys.argv[1])
# Widths that fit no vector; each activation once, over three networks. Sums over inputs, units and
# samples are longer than the 256 terms after which a split sum starts a new part.
WIDTHS = [530, 270, 77, 50, 33, 21, 35, 29, 40, 19, 23]
NAMES = [nets.ELEMENTWISE[start::3] for start in range(3)]
BATCH = 290
RULES = {
    "adam": gd.Adam(lr=1e-2, weight_decay=1e-3, amsgrad=True),
    "nesterov": gd.SGD(lr=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "momentum": gd.SGD(lr=1e-2, momentum=0.9, dampening=0.3),
}


def threads_here() -> int:
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0


def train(rule: str, loss: str, dtype: str, samples: int, part: int) -> dict[str, str]:
    names = [*NAMES[part], "identity"]  # outputs for any loss
    net = nets.network(WIDTHS[: len(names)] + WIDTHS[-1:], names, dtype, seed=1)
    trainer = gd.Trainer(
        net, loss=nets.loss(loss), optimizer=RULES[rule], num_threads=THREADS, seed=2
    )
    x = nets.inputs(samples, WIDTHS[0]).astype(dtype)
    y = nets.targets(loss, samples, WIDTHS[-1])
    weight = np.random.default_rng(3).uniform(0.5, 2, samples)
    start = digest(net.state_dict())
    history = trainer.fit(x, y, epochs=1, batch_size=BATCH, sample_weight=weight, progress=False)
    assert digest(net.state_dict()) != start
    output = net.forward(x[:BATCH], training=True)
    grad = net.backward(np.cos(output))
    results = {
        "state": net.state_dict(),
        "gradients": net.gradients(),
        "others": {
            "loss": np.array(history["loss"]),
            "evaluation": np.array(list(trainer.evaluate(x, y, sample_weight=weight).values())),
            "output": output,
            "predict": net.predict(x),
            "input": grad,
        },
    }
    return {key: digest(value) for key, value in results.items()}


# A rule at work in whole batches, then on the samples of a stream: sizes that feed two workers and
# more, a batch that is taken in pieces, clipping, and a schedule in steps.
DESCENT = [130, 140, 67, 5]
ALL_RULES = {
    "sgd": gd.SGD(lr=0.05, weight_decay=1e-3),
    "adam": gd.Adam(lr=1e-2, weight_decay=1e-3),
    "adamw": gd.AdamW(lr=1e-2, amsgrad=True),
    "adagrad": gd.Adagrad(lr=0.05, lr_decay=0.01, initial_accumulator_value=0.1),
    "rmsprop": gd.RMSprop(lr=1e-3, weight_decay=1e-3),
    "rmsprop centered": gd.RMSprop(lr=1e-3, momentum=0.9, centered=True),
    "adadelta": gd.Adadelta(lr=0.5, weight_decay=1e-3),
}


def descend(rule: str, dtype: str) -> dict[str, str]:
    net = nets.network(DESCENT, ["relu", "tanh", "identity"], dtype, seed=4)
    schedules = gd.schedules
    trainer = gd.Trainer(
        net,
        loss="cross_entropy",
        optimizer=ALL_RULES[rule],
        num_threads=THREADS,
        clip_grad_norm=0.5,
        schedule=schedules.Warmup(2, after=schedules.Cosine(40, per="step"), per="step"),
    )
    x = nets.inputs(2300, DESCENT[0], 5).astype(dtype)
    y = nets.targets("cross_entropy", len(x), DESCENT[-1], 5)
    told = {}
    history = trainer.fit(x, y, epochs=2, batch_size=None, progress=False)
    told["full batch"] = digest({"loss": np.array(history["loss"]), **net.state_dict()})
    losses = trainer.learn_many(x[:20], y[:20])
    one = [trainer.learn_one(a, b) for a, b in zip(x[20:30], y[20:30])]
    told["online"] = digest({"many": losses, "one": np.array(one), **net.state_dict()})
    with tempfile.TemporaryDirectory() as folder:
        trainer.save(Path(folder) / "model")
        told["file"] = digest({"bytes": np.fromfile(Path(folder) / "model", np.uint8)})
    return told


# Rules that see whole parameters, by samples and by tiles, with clipping and without.
WHOLE_RULES = {
    "prodigy": gd.Prodigy(d0=1e-4, use_bias_correction=True),
    "muon": gd.Muon(lr=0.02, ns_steps=3),
    "soap": gd.SOAP(precondition_frequency=2),
}


def whole(rule: str, dtype: str) -> dict[str, str]:
    told = {}
    for widths, clip in (([20, 70, 40, 5], None), ([20, 230, 220, 5], 0.5)):
        net = nets.network(widths, ["relu", "tanh", "identity"], dtype, seed=4)
        trainer = gd.Trainer(
            net, "cross_entropy", WHOLE_RULES[rule], num_threads=THREADS, clip_grad_norm=clip
        )
        x = nets.inputs(620, 20, 5).astype(dtype)
        y = nets.targets("cross_entropy", len(x), 5, 5)
        history = trainer.fit(x, y, epochs=1, batch_size=150, progress=False)
        arrays = net.state_dict()
        bound = WHOLE_RULES[rule].bind(list(arrays.values()))
        for _ in range(2):
            bound.step([np.cos(each) for each in arrays.values()])
        told[str(widths)] = digest({"loss": np.array(history["loss"]), **net.state_dict()})
        told[f"{widths}, bound"] = digest(arrays)
    return told


# Every rule there is: a step of one worker, one that workers share by samples, and one by neurons.
SHARINGS = {
    "alone": ([12, 9, 3], 16),
    "samples": ([12, 16, 16, 3], 1024),
    "neurons": ([40, 500, 300, 3], 32),
}


def every_rule(name: str, dtype: str) -> dict[str, str]:
    told = {}
    for sharing, (widths, batch) in SHARINGS.items():
        net = nets.network(widths, [*["tanh"] * (len(widths) - 2), "identity"], dtype, seed=4)
        groups = [gd.Group("0.bias", lr_factor=0.5), gd.Group("1.weight", maximize=True)]
        rule = Optimizer.members[name]()
        trainer = gd.Trainer(net, "mse", rule, num_threads=THREADS, groups=groups)
        losses = []
        for step in range(3):
            x = nets.inputs(batch, widths[0], step).astype(dtype)
            losses.append(trainer.step(x, nets.targets("mse", batch, widths[-1], step)))
        told[sharing] = digest({"losses": np.array(losses), **net.state_dict()})
    arrays = [np.cos(np.arange(size, dtype=dtype)) for size in (5, 300_000)]
    bound = Optimizer.members[name](maximize=True).bind(arrays)
    for step in range(2):
        bound.step([np.sin(array + step) for array in arrays])
    told["arrays"] = digest({str(size): array for size, array in enumerate(arrays)})
    return told


def special(dtype: str) -> dict[str, str]:
    """Signed zeros, denormals, the largest numbers, and where exp, tanh and erf give up."""
    limits = np.finfo(dtype)
    far = [limits.tiny, limits.tiny / 4, limits.max / 4, 1e-3, 20, 87, 88.8, 104, 700, 710, 746]
    x = np.array([0.0, *far, -0.0, *(-value for value in far)], dtype)
    told: dict[str, str] = {}
    for name in nets.ELEMENTWISE:
        net = gd.Network(nets.dense([1], [name]), input_size=1, dtype=dtype)
        net.load_state_dict({"0.weight": np.ones((1, 1), dtype), "0.bias": -np.zeros(1, dtype)})
        output = net.forward(x[:, None], training=True)
        told[name] = digest({"output": output, "input": net.backward(np.ones_like(output))})
    small = (x[:, None] * 2.0 ** -np.arange(3)).astype(dtype)
    told["matmul"] = digest({"c": gd.matmul(np.clip(small, -1e9, 1e9), np.ones((3, 17), dtype))})
    rule, weight = gd.Adam(lr=1.0, eps=limits.tiny), np.ones(x.size, dtype)
    bound = rule.bind([weight])
    for _ in range(3):
        bound.step([np.clip(x, -1e9, 1e9)])
    told["adam"] = digest({"weight": weight})
    return told


before = threads_here()
gd.set_num_threads(THREADS)  # for what is asked of the network, not of the trainer
told = {
    # 2 full batches and one of 37: rows that divide evenly among no number of threads.
    "adam": train("adam", "cross_entropy", "float32", 2 * BATCH + 37, 0),
    "nesterov": train("nesterov", "huber", "float32", BATCH + 61, 1),
    "momentum": train("momentum", "bce_with_logits", "float32", BATCH, 2),
    "double": train("adam", "mse", "float64", BATCH, 0),
}
told |= {f"descent, {rule}": descend(rule, "float32") for rule in ALL_RULES}
told |= {f"whole, {rule}": whole(rule, "float32") for rule in WHOLE_RULES}
told["whole, double"] = whole("soap", "float64")
told["descent, double"] = descend("rmsprop centered", "float64")
told |= {f"every rule, {name}": every_rule(name, "float32") for name in Optimizer.members}
told["special float32"], told["special float64"] = special("float32"), special("float64")
a, b = nets.inputs(301, 517, 8).astype(np.float32), nets.inputs(517, 203, 9).astype(np.float32)
wide = nets.inputs(2, 600_000, 10).astype(np.float32)
told["matmul"] = {
    "product": digest({"c": gd.matmul(a, b)}),
    "long": digest({"c": gd.matmul(wide, wide, transpose_b=True)}),
}
config = gd.show_config()
print(json.dumps({"isa": config["isa"], "workers": threads_here() - before, "digests": told}))

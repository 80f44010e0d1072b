"""Calls in any order against a second trainer that makes the same updates in a simpler way.

The busy trainer saves and loads, diverges and goes back, is interrupted, is looked at and is given
what it must refuse, on several threads. The quiet one makes the updates alone, on one thread, and
where nothing hangs on epochs each by `step`. After every call they have the same bits.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from support import digest

import gdcore as gd
from tools.soak import cases
from tools.soak.finding import Case, wrong

__all__ = ["check", "draw"]

_FAR = {"float32": 1e30, "float64": 1e200}  # a learning rate at which nothing stays finite


def draw(random: Random) -> Case:
    """A small network, and a row of calls."""
    case = cases.draw(random, (cases.SMALL, cases.TINY), most=2e6, extremes=False)
    del case["ways"]
    case["clip"] = random.choice((case["clip"], 1e-2, 1.0))
    schedule = case["schedule"]
    by_steps = (schedule is None or schedule["options"].get("per") == "step") and (
        random.random() < 0.6
    )
    rows = case["rows"]

    def few() -> int:
        return random.choice((1, max(1, rows // 3), rows))

    def batch() -> int | None:
        return random.choice((None, max(1, rows // 2), max(1, rows // 5), 1 if rows < 30 else 16))

    calls: list[Callable[[], list[Any]]] = [
        lambda: ["step", few()],
        lambda: ["fit", random.choice((1, 2)), batch(), not by_steps and random.random() < 0.7],
        lambda: ["learn_many", min(rows, random.choice((1, 2, 9)))],
        lambda: ["learn_one", min(rows, 3)],
        lambda: ["backward", few(), random.random() < 0.3],
        lambda: ["set lr", random.choice((0.5, 1.0, 2.0))],
        lambda: ["set parameters", random.choice((1.0, 0.5))],
        lambda: ["save and load", random.choice((1, 2, 3)), random.random() < 0.5],
        lambda: ["copy and begin anew", random.random() < 0.5],
        lambda: ["stop", random.choice((1, 2)), batch(), random.random() < 0.5],
        lambda: ["diverge in fit", batch()],
        lambda: ["diverge and load", random.choice((1, 3)), random.random() < 0.7],
        lambda: ["diverge and begin anew", random.choice((1, 3))],
        lambda: ["look", few()],
        lambda: ["leave gradients", few()],
        lambda: ["record", few()],
        lambda: ["set threads", random.choice((1, 2, 3, 5, None))],
        lambda: ["be refused", random.randrange(len(_REFUSED))],
        lambda: ["be refused", random.randrange(len(_REFUSED))],
    ]
    row = [random.choice(calls)() for _ in range(random.choice((3, 8, 8, 16)))]
    return case | {"by_steps": by_steps, "threads": random.choice((1, 2, 3)), "calls": row}


def check(case: Case) -> None:
    """Both trainers go through the calls."""
    with tempfile.TemporaryDirectory() as folder:
        pair = _Pair(case, Path(folder))
        for at, (name, *arguments) in enumerate(case["calls"]):
            _CALLS[name](pair, *arguments)
            pair.compare(f"after call {at}, {name}")
        pair.compare_predictions()
    gd.set_num_threads(None)


class _Pair:
    """The busy and the quiet trainer, and their data."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.folder = folder
        self.busy = cases.build(case, case["threads"])
        self.quiet = cases.build(case, 1)
        self.x, self.y, self.weight = cases.data(case)

    def both(self, call: Callable[[gd.Trainer], Any], what: str) -> None:
        """What comes out of the same call on both is the same."""
        busy, quiet = (cases.outcome(lambda t=t: call(t)) for t in (self.busy, self.quiet))
        if busy != quiet:
            wrong(f"{what} gives {busy}, alone {quiet}")

    def compare(self, when: str) -> None:
        busy, quiet = (self._told(trainer) for trainer in (self.busy, self.quiet))
        for key, value in quiet.items():
            if busy[key] != value:
                wrong(f"{when}, {key}: {busy[key]}, alone {value}")

    def compare_predictions(self) -> None:
        self.both(lambda trainer: trainer.network.predict(self.x), "predict at the end")

    def anew(self, net: gd.Network, threads: int) -> gd.Trainer:
        """A new trainer of the case's description for a network that there is."""
        like = self.quiet
        return gd.Trainer(
            net, like.loss, like.optimizer, num_threads=threads, schedule=like.schedule,
            clip_grad_norm=like.clip_grad_norm, matmul_precision=like.matmul_precision,
        )  # fmt: skip

    def _told(self, trainer: gd.Trainer) -> dict[str, Any]:
        state = cases.optimizer_states(trainer)
        parameters = trainer.network.state_dict()
        told = {
            "parameters": digest({k: cases.plain(v) for k, v in parameters.items()}),
            "optimizer state": digest({k: cases.plain(v) for k, v in state.items()}),
            "steps": trainer.steps,
            "lr": trainer.lr.hex(),
        }
        return told if self.case["by_steps"] else told | {"epochs": trainer.epochs}


class _After(gd.callbacks.Callback):
    """After so many batches stops, or raises."""

    def __init__(self, batches: int, error: bool) -> None:
        self._left, self._error = batches, error

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        self._left -= 1
        if self._left == 0 and self._error:
            raise KeyError("stopped")
        if self._left == 0:
            trainer.stop()


# ---- calls that train ----


def _step(pair: _Pair, rows: int) -> None:
    pair.both(lambda t: cases.act(t, ["step", rows, 1], pair.x, pair.y, pair.weight), "step")


def _fit(pair: _Pair, epochs: int, batch: int | None, shuffle: bool) -> None:
    def fit(trainer: gd.Trainer) -> Any:
        way = ["fit", epochs, batch, shuffle]
        return cases.act(trainer, way, pair.x, pair.y, pair.weight)

    if not pair.case["by_steps"]:
        pair.both(fit, "fit")
        return
    before = pair.busy.epochs
    cases.outcome(lambda: fit(pair.busy))  # an epoch that diverges is taken back
    for _ in range(pair.busy.epochs - before):
        _by_steps(pair, batch, None)


def _by_steps(pair: _Pair, batch: int | None, most: int | None) -> None:
    """The quiet trainer makes an epoch, or the first steps of one."""
    rows = pair.case["rows"]
    size = min(batch or rows, rows)
    for begin in range(0, rows, size)[:most]:
        some = slice(begin, begin + size)
        weight = None if pair.weight is None else pair.weight[some]
        pair.quiet.step(pair.x[some], pair.y[some], weight)


def _learn_many(pair: _Pair, rows: int) -> None:
    many = pair.busy.learn_many(pair.x[:rows], pair.y[:rows])
    steps = [pair.quiet.step(pair.x[at : at + 1], pair.y[at : at + 1]) for at in range(rows)]
    if cases.outcome(lambda: many) != cases.outcome(lambda: np.array(steps)):
        wrong(f"learn_many gives {many}, step {steps}")


def _learn_one(pair: _Pair, rows: int) -> None:
    pair.both(lambda t: cases.act(t, ["learn_one", rows], pair.x, pair.y, None), "learn_one")


def _backward(pair: _Pair, rows: int, twice: bool) -> None:
    way = ["backward", rows, twice]
    pair.both(lambda t: cases.act(t, way, pair.x, pair.y, None), "backward and apply_gradients")


def _set_lr(pair: _Pair, factor: float) -> None:
    for trainer in (pair.busy, pair.quiet):
        cases.outcome(lambda t=trainer: setattr(t, "lr", t.lr * factor))


def _set_parameters(pair: _Pair, factor: float) -> None:
    for trainer in (pair.busy, pair.quiet):
        net = trainer.network
        state = {key: factor * value for key, value in net.state_dict().items()}
        cases.outcome(lambda net=net, state=state: net.load_state_dict(state))


def _stop(pair: _Pair, batches: int, batch: int | None, error: bool) -> None:
    def fit(trainer: gd.Trainer, error: bool) -> None:
        trainer.fit(
            pair.x, pair.y, batch_size=batch, shuffle=not pair.case["by_steps"],
            sample_weight=pair.weight, callbacks=[_After(batches, error)], progress=False,
        )  # fmt: skip

    steps = pair.busy.steps
    with suppress(ArithmeticError, RuntimeError, KeyError):
        fit(pair.busy, error)
    if pair.busy.steps == steps:  # it diverged, or would not begin
        return
    if pair.case["by_steps"]:
        _by_steps(pair, batch, pair.busy.steps - steps)
    else:
        fit(pair.quiet, False)


# ---- calls that come to nothing ----


def _saved(pair: _Pair) -> Path | None:
    path = pair.folder / "model.safetensors"
    try:
        pair.busy.save(path)
    except ValueError:  # parameters are not finite
        return None
    return path


def _save_and_load(pair: _Pair, threads: int, into: bool) -> None:
    path = _saved(pair)
    if path is not None:
        net = pair.busy.network if into else None
        pair.busy = gd.Trainer.load(path, network=net, num_threads=threads)


def _copy(pair: _Pair, fresh: bool) -> None:
    """A trainer goes on with a copy of its network; with fresh, with the network itself."""
    if not _finite(pair.busy):
        return  # such networks cannot be copied
    net = pair.busy.network
    pair.busy = pair.anew(net if fresh else pickle.loads(pickle.dumps(net)), 2)
    pair.quiet = pair.anew(pair.quiet.network, 1)


def _finite(trainer: gd.Trainer) -> bool:
    return all(np.isfinite(value).all() for value in trainer.network.state_dict().values())


def _ruin(pair: _Pair, times: int) -> None:
    trainer = pair.busy
    trainer.lr = _FAR[pair.case["dtype"]]
    for _ in range(times):
        trainer.step(pair.x, pair.y, pair.weight)


def _diverge_in_fit(pair: _Pair, batch: int | None) -> None:
    before = pair.busy.lr
    if before == 0:
        return  # a schedule at 0 cannot be scaled
    for trainer in (pair.busy, pair.quiet):
        trainer.lr = _FAR[pair.case["dtype"]]

    def fit(trainer: gd.Trainer) -> Any:
        way = ["fit", 1, batch, not pair.case["by_steps"]]
        return cases.act(trainer, way, pair.x, pair.y, pair.weight)

    told = cases.outcome(lambda: fit(pair.busy))
    if not told.startswith(("FloatingPointError", "RuntimeError")):
        if pair.case["by_steps"]:
            _by_steps(pair, batch, None)
        else:
            fit(pair.quiet)
    for trainer in (pair.busy, pair.quiet):
        cases.outcome(lambda t=trainer: setattr(t, "lr", before))


def _diverge_and_load(pair: _Pair, times: int, into: bool) -> None:
    path = _saved(pair)
    if path is None or pair.busy.lr == 0:
        return
    _ruin(pair, times)
    net = pair.busy.network if into else None
    pair.busy = gd.Trainer.load(path, network=net, num_threads=pair.case["threads"])


def _diverge_and_begin_anew(pair: _Pair, times: int) -> None:
    net = pair.busy.network
    if not _finite(pair.busy) or pair.busy.lr == 0:
        return
    state = net.state_dict()
    _ruin(pair, times)
    net.load_state_dict(state)
    pair.busy = pair.anew(net, pair.case["threads"])
    pair.quiet = pair.anew(pair.quiet.network, 1)


def _look(pair: _Pair, rows: int) -> None:
    trainer, net = pair.busy, pair.busy.network
    for call in (
        lambda: net.predict(pair.x, rows),
        lambda: net.forward(pair.x[:rows], training=True),
        lambda: trainer.evaluate(pair.x, pair.y, pair.weight, rows),
        lambda: trainer.operations(rows),
        lambda: trainer.memory_plan(rows),
        lambda: trainer.flops_per_step(rows),
        lambda: repr(trainer),
        net.gradients,
    ):
        with suppress(ArithmeticError, RuntimeError, ValueError):  # not finite, or no gradients
            call()


def _leave_gradients(pair: _Pair, rows: int) -> None:
    net = pair.busy.network
    output = net.forward(pair.x[:rows], training=True)
    if np.isfinite(output).all():
        net.backward(output)


def _record(pair: _Pair, rows: int) -> None:
    with gd.profile():
        pair.busy.network.predict(pair.x[:rows])


def _set_threads(pair: _Pair, count: int | None) -> None:
    gd.set_num_threads(count)


# ---- calls that are refused ----

Refused = Callable[[_Pair], Any]


def _with_nan(array: Any) -> Any:
    changed = np.array(array, np.float64)
    changed.flat[changed.size // 2] = np.nan
    return changed


_REFUSED: Sequence[Refused] = (
    lambda p: p.busy.step(_with_nan(p.x), p.y),
    lambda p: p.busy.step(p.x[:, :-1], p.y),
    lambda p: p.busy.step(p.x, p.y[:-1]),
    lambda p: p.busy.step(p.x, p.y, -np.ones(len(p.x))),
    lambda p: p.busy.fit(p.x, p.y, batch_size=0, progress=False),
    lambda p: p.busy.fit(p.x, p.y, epochs=True, progress=False),
    lambda p: p.busy.fit(p.x, p.y, validation_data=(p.x, p.y[:0]), progress=False),
    lambda p: p.busy.fit(p.x, p.y, callbacks=[object()], progress=False),
    lambda p: p.busy.learn_one(p.x, p.y[0]),
    lambda p: p.busy.learn_many(p.x, _with_nan(p.y)),
    lambda p: p.busy.evaluate(p.x[:0], p.y[:0]),
    lambda p: p.busy.network.load_state_dict({}),
    lambda p: p.busy.network.load_state_dict(
        {key: _with_nan(value) for key, value in p.busy.network.state_dict().items()}
    ),
    lambda p: p.busy.network.backward(np.ones((len(p.x) + 1, 1))),
    lambda p: setattr(p.busy, "lr", float("nan")),
    lambda p: p.busy.save(p.folder / "no" / "such" / "folder"),
    lambda p: p.busy.memory_plan(0),
    lambda p: gd.set_num_threads(0),
    lambda p: gd.Trainer(p.busy.network, "mse", "adam", clip_grad_norm=-1.0),
    lambda p: p.busy.optimizer.bind([np.ones(3), np.ones((2, 2)).T]).step([np.ones(3)]),
)


def _be_refused(pair: _Pair, which: int) -> None:
    try:
        _REFUSED[which](pair)
    except (TypeError, ValueError, RuntimeError, OSError):
        return
    wrong(f"refused call {which} was taken")


_CALLS: dict[str, Callable[..., None]] = {
    "step": _step,
    "fit": _fit,
    "learn_many": _learn_many,
    "learn_one": _learn_one,
    "backward": _backward,
    "set lr": _set_lr,
    "set parameters": _set_parameters,
    "save and load": _save_and_load,
    "copy and begin anew": _copy,
    "stop": _stop,
    "diverge in fit": _diverge_in_fit,
    "diverge and load": _diverge_and_load,
    "diverge and begin anew": _diverge_and_begin_anew,
    "look": _look,
    "leave gradients": _leave_gradients,
    "record": _record,
    "set threads": _set_threads,
    "be refused": _be_refused,
}

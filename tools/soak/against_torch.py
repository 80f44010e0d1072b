"""Forward, loss, gradients and steps in float64 against PyTorch.

How far two right programs may be apart depends on the case: PyTorch trains a second and a third
time, with each value of a layer, each gradient and each parameter moved at random by a few
roundings, and ours may differ from its first run by a thousand times of what those do, beside 1e-12
of what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch
from torch_twin import TorchNetwork, exact_loss, torch_optimizer

import gdcore as gd
from tools.soak import cases
from tools.soak.finding import Case, wrong

__all__ = ["check", "draw"]

_TOLERANCE = 1e-12
_ROUNDINGS = 1e-15  # how far numbers are moved, as a share of each
_MANY = 1000.0  # times what they make
_LEAST = 1e-290  # below it results may be flushed to zero
_GELU = 1e-15  # its digits far below zero are those of 1 + erf, see elementary_functions.md

torch.set_num_threads(1)

Found = dict[str, Any]


# Those whose twins are exact wherever they are drawn; tests/python/test_torch.py has the others.
_COMPARED = ("mse", "mae", "huber", "bce_with_logits", "cross_entropy")
# PyTorch has them not, or not for vectors, is as exact as bfloat16, or keeps numbers in float32.
_NOT_IN_TORCH = (
    *("lamb", "lars", "muon", "prodigy", "soap", "asgd", "nadam"),
    *("ftrl", "schedule_free_sgd", "schedule_free_adamw"),
)
# Where these jump, a rounding decides on which side a number is: there is nothing to compare.
_JUMPS = ("hardshrink", "threshold")


def draw(random: Random) -> Case:
    """A network in float64, some steps of a rule, and how steep the last layer is."""
    case = cases.draw(
        random,
        (cases.SMALL, cases.SMALL, cases.TINY),
        most=2e7,
        dtypes=("float64",),
        extremes=False,
    )
    for unused in ("ways", "schedule", "scale", "precision"):
        del case[unused]
    if case["loss"]["name"] not in _COMPARED:
        case["loss"] = {"name": "mse", "options": {}}  # which goes with any last layer
    case["loss"]["options"].pop("ignore_index", None)
    for layer in case["layers"]:
        if layer["activation"]["name"] in _JUMPS:
            layer["activation"] = {"name": "softshrink", "options": {}}
    gain = random.choice((1, 1, 30))
    if random.random() < 0.2:  # one sample, right or wrong beyond doubt
        case |= {"rows": 1, "soft": True}
        case["layers"][-1]["units"], gain = random.choice((2, 2, 3)), random.choice((30, 100))
    if case["rule"]["name"] in _NOT_IN_TORCH:
        case["rule"] = {"name": "adam", "options": {}}
    rule = case["rule"]["options"]
    if rule.get("centered") and rule.get("alpha") == 0:
        rule["alpha"] = 0.9  # else it divides by what rounding leaves of g^2 - g^2
    return case | {"steps": random.choice((1, 5, 20)), "gain": gain, "threads": 2}


def check(case: Case) -> dict[str, float]:
    """Ours beside PyTorch's, tensor by tensor; returns how far they are apart."""
    case = case | {"schedule": None, "scale": 0, "precision": "highest"}
    trainer = cases.build(case, case["threads"])
    x, y, weight = cases.data(case)
    start = trainer.network.state_dict()
    last = trainer.network.layer_names[-1]
    start[f"{last}.weight"] *= case["gain"]
    trainer.network.load_state_dict(start)
    theirs = _torch(trainer, start, x, y, weight, case["steps"])
    # A step that makes NaN is the last: relu takes NaN for 0 here.
    steps = sum(key.startswith("loss") for key in theirs)
    others = [
        _torch(trainer, start, x, y, weight, steps, torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    ]
    ours = _ours(trainer, x, y, weight, steps, case["threads"])
    gelus = any(layer["activation"]["name"] == "gelu" for layer in case["layers"])
    worst = _Worst(least=_GELU if gelus else _LEAST)
    for key, value in theirs.items():
        worst.compare(key, ours[key], value, [other[key] for other in others])
    return {"relative error": worst.error, "share of what is allowed": worst.share}


@dataclass
class _Worst:
    least: float
    error: float = 0.0
    share: float = 0.0

    def compare(self, key: str, ours: Any, theirs: Any, others: list[Any]) -> None:
        finite = np.isfinite(theirs)
        if any((np.isfinite(other) != finite).any() for other in others):
            return  # a rounding decides whether it overflows
        if (np.isfinite(ours) != finite).any():
            wrong(f"{key}: where numbers are finite differs")
        scale = _norm(theirs, finite)
        spread = max(_norm(other - theirs, finite) for other in others)
        allowed = _TOLERANCE * scale + _MANY * spread + self.least
        apart = _norm(ours - theirs, finite)
        if apart > allowed:
            wrong(
                f"{key}: |ours - PyTorch| is {apart:.3g}, allowed {allowed:.3g} "
                f"of a norm of {scale:.3g}, where roundings make {spread:.3g}"
            )
        self.share = max(self.share, apart / allowed)
        if scale > self.least and spread < 1e-13 * scale:
            self.error = max(self.error, apart / scale)


def _norm(array: Any, where: Any) -> float:
    return float(np.linalg.norm(np.asarray(array)[where]))


def _ours(trainer: gd.Trainer, x: Any, y: Any, weight: Any, steps: int, threads: int) -> Found:
    net = trainer.network
    found: Found = {"output": net.forward(x)}
    before = net.state_dict()
    losses = [trainer.step(x, y, weight) for _ in range(steps)]
    found |= {f"loss {at}": np.float64(loss) for at, loss in enumerate(losses)}
    found |= {f"parameters {key}": value for key, value in net.state_dict().items()}
    # What momentum holds after a first step is the gradient.
    net.load_state_dict(before)
    momentum = gd.SGD(lr=0.0, momentum=0.9)
    first = gd.Trainer(net, trainer.loss, momentum, num_threads=threads)
    first.step(x, y, weight)
    states = cases.optimizer_states(first)
    return found | {f"gradient {key}": states[f"0 {key}"] for key in before}


def _torch(
    trainer: gd.Trainer,
    start: Found,
    x: Any,
    y: Any,
    weight: Any,
    steps: int,
    random: torch.Generator | None = None,
) -> Found:
    """What PyTorch makes of it; with a generator, of numbers that are moved by roundings."""

    def roundings(like: Any) -> Any:
        signs = torch.randint(0, 2, like.shape, generator=random, dtype=torch.float64)
        return _ROUNDINGS * (2 * signs - 1)

    def moved(value: Any, before: Any = None) -> Any:
        if random is None:
            return value
        if before is not None and before.shape == value.shape:
            # A derivative that is taken from the output, as a (1 - a), is as exact as 1 is.
            value = value + roundings(value) * (before - before.detach())
        return value * (1 + roundings(value))

    net = trainer.network
    twin = TorchNetwork(net, start, moved)
    optimizer = torch_optimizer(trainer.optimizer, twin.parameters.values())
    criterion = exact_loss(trainer.loss)
    # Cross entropy takes logits, also where the last layer is softmax.
    logits = _is_softmax(net.layers[-1].activation) and trainer.loss.name == "cross_entropy"
    inputs, targets = moved(torch.from_numpy(x)), torch.from_numpy(y)
    weights = torch.ones(len(x), dtype=torch.float64)
    if weight is not None:
        weights = torch.from_numpy(weight)
    found: Found = {"output": twin(inputs).detach().numpy()}
    for at in range(steps):
        optimizer.zero_grad()
        output = twin(inputs, logits)
        samples = criterion(output, targets)
        if random is not None:  # s(p) - 1 is as exact as 1 is
            shift = roundings(output) * (output - output.detach())
            if samples.ndim == 2:  # of several outputs a target, together
                shift = shift.unflatten(1, (-1, samples.shape[1]))
            samples = moved(samples + shift.sum(1))
        samples = samples.mean(1) if samples.ndim == 2 else samples
        loss = (weights * samples).sum() / weights.sum()
        loss.backward()
        if random is None and getattr(trainer.optimizer, "eps", 1) == 0 and _has_noise(twin):
            break  # 0 / 0, or anything
        for key, parameter in twin.parameters.items():
            parameter.grad = moved(parameter.grad)
            if at == 0:
                found[f"gradient {key}"] = parameter.grad.numpy().copy()
        if trainer.clip_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(twin.parameters.values(), trainer.clip_grad_norm)
        optimizer.step()
        for parameter in twin.parameters.values():
            parameter.data = moved(parameter.data)
        found[f"loss {at}"] = np.float64(loss.item())
        if random is None and not all(p.isfinite().all() for p in twin.parameters.values()):
            if getattr(trainer.optimizer, "eps", 1) == 0:
                return found  # 0 / 0: of a gradient of nothing ours makes nothing
            break
    for key, parameter in twin.parameters.items():
        found[f"parameters {key}"] = parameter.detach().numpy().copy()
    return found


def _has_noise(twin: TorchNetwork) -> bool:
    """Whether some gradient may be 0 but for rounding."""
    sizes = torch.cat([p.grad.abs().ravel() for p in twin.parameters.values()])
    return bool(sizes.min() < 1e-9 * sizes.max())


def _is_softmax(activation: Any) -> bool:
    return activation == "softmax" or isinstance(activation, gd.Softmax)

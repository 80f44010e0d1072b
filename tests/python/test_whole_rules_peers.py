"""Rules that need norms or matrices beside PyTorch's and their authors': 100 steps in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import nets
import numpy as np
import pytest
from support import relative_error, run_python
from whole_rule_options import WHOLE_OPTIONS

import gdcore as gd

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twin import TorchNetwork, torch_loss  # noqa: E402  (needs PyTorch)

Network = tuple[list[int], list[str], str]
NETWORKS: dict[str, Network] = {
    "classes": ([20, 32, 16, 5], ["tanh", "gelu", "identity"], "cross_entropy"),
    "binary": ([12, 24, 18, 3], ["silu", "softplus", "identity"], "bce_with_logits"),
    "values": ([8, 20, 20, 20, 2], ["tanh", "elu", "sigmoid", "identity"], "huber"),
}
STEPS, BATCH = 100, 16


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same_training(
    network: Network,
    rule: gd.optimizers.Optimizer,
    stepper: Callable[[list[Any]], Callable[[], None]],
    tolerance: float,
) -> None:
    """``stepper`` makes what moves the twin's parameters once, along their gradients."""
    widths, names, loss = network
    net = nets.network(widths, names, "float64", seed=5)
    twin = TorchNetwork(net)
    trainer = gd.Trainer(net, nets.loss(loss), rule)
    step, criterion = stepper(list(twin.parameters.values())), torch_loss(nets.loss(loss))
    x = nets.inputs(BATCH * STEPS, widths[0])
    y = nets.targets(loss, len(x), widths[-1])
    for at in range(0, len(x), BATCH):
        rows = slice(at, at + BATCH)
        for parameter in twin.parameters.values():
            parameter.grad = None
        criterion(twin(torch.from_numpy(x[rows])), torch.from_numpy(y[rows])).backward()
        step()
        trainer.step(x[rows], y[rows])
    for key, parameter in twin.parameters.items():
        error = relative_error(net.state_dict()[key], parameter.detach().numpy())
        assert error <= tolerance, (key, error)


def cases(*names: str) -> list[Any]:
    return [
        pytest.param(network, name, options, id=f"{network}-{name}-{i}")
        for network in NETWORKS
        for name in names
        for i, options in enumerate(WHOLE_OPTIONS[name])
    ]


@pytest.mark.parametrize(("network", "name", "options"), cases("Adafactor"))
def test_adafactor_is_that_of_torch(network: str, name: str, options: dict[str, Any]) -> None:
    def stepper(parameters: list[Any]) -> Callable[[], None]:
        return torch.optim.Adafactor(parameters, foreach=False, **options).step  # type: ignore[no-any-return]

    assert_same_training(NETWORKS[network], gd.Adafactor(**options), stepper, 1e-10)


@pytest.mark.parametrize(("network", "name", "options"), cases("Muon"))
def test_muon_is_those_of_torch(
    network: str, name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrices by torch.optim.Muon, whose code here multiplies in float64; the rest by AdamW."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda matrix: matrix.clone())
    rule = gd.Muon(**options)
    own = ("lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps")

    def stepper(parameters: list[Any]) -> Callable[[], None]:
        matrices = [each for each in parameters if each.ndim == 2 and rule.orthogonal]
        others = [each for each in parameters if each.ndim != 2 or not rule.orthogonal]
        adamw = torch.optim.AdamW(
            others,
            lr=rule.lr * rule.adamw_lr_factor,
            betas=rule.adamw_betas,
            eps=rule.adamw_eps,
            weight_decay=rule.adamw_weight_decay,
        )
        steps = [adamw.step]
        if matrices:
            taken = {each: getattr(rule, each) for each in own}
            muon = torch.optim.Muon(matrices, adjust_lr_fn=rule.adjust_lr_fn, **taken)
            steps.append(muon.step)
        return lambda: [step() for step in steps] and None  # type: ignore[func-returns-value]

    assert_same_training(NETWORKS[network], rule, stepper, 1e-10)


def test_defaults_are_those_of_torch() -> None:
    parameter = [torch.nn.Parameter(torch.zeros(2, 2))]
    ours, theirs = gd.Muon(), torch.optim.Muon(parameter).defaults
    for name in theirs:
        assert getattr(ours, name) == theirs[name], name
    adamw = torch.optim.AdamW(parameter).defaults
    assert ours.lr * ours.adamw_lr_factor == adamw["lr"]
    for name in ("betas", "eps", "weight_decay"):
        assert getattr(ours, f"adamw_{name}") == adamw[name], name
    theirs = torch.optim.Adafactor(parameter).defaults
    for name in ("lr", "beta2_decay", "eps", "d", "weight_decay"):
        assert getattr(gd.Adafactor(), name) == theirs[name], name


@pytest.mark.parametrize(("network", "name", "options"), cases("LARS"))
def test_lars_is_that_of_pytorch_optimizer(
    network: str, name: str, options: dict[str, Any]
) -> None:
    peer = pytest.importorskip("pytorch_optimizer")

    def stepper(parameters: list[Any]) -> Callable[[], None]:
        return peer.LARS(parameters, foreach=False, **options).step  # type: ignore[no-any-return]

    assert_same_training(NETWORKS[network], gd.LARS(**options), stepper, 1e-8)


@pytest.mark.skipif(find_spec("optax") is None, reason="optax is not installed")
@pytest.mark.parametrize("network", NETWORKS)
def test_lamb_is_that_of_optax(network: str) -> None:
    """In a process of its own: one that has JAX warns of every fork."""
    run_python(f"import test_whole_rules_peers as t; t.train_beside_optax({network!r})")


def train_beside_optax(network: str) -> None:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)

    def made(rule: gd.LAMB) -> Callable[[list[Any]], Callable[[], None]]:
        def stepper(parameters: list[Any]) -> Callable[[], None]:
            (b1, b2), decay = rule.betas, rule.weight_decay
            lamb = optax.lamb(rule.lr, b1=b1, b2=b2, eps=rule.eps, weight_decay=decay)
            state = lamb.init([jax.numpy.asarray(each.detach().numpy()) for each in parameters])
            update = jax.jit(lamb.update)

            def step() -> None:
                nonlocal state
                weights = [each.detach().numpy() for each in parameters]
                moves, state = update([each.grad.numpy() for each in parameters], state, weights)
                with torch.no_grad():
                    for each, move in zip(parameters, moves, strict=True):
                        each += torch.from_numpy(np.array(move))

            return step

        return stepper

    for options in WHOLE_OPTIONS["LAMB"]:
        rule = gd.LAMB(**options)
        assert_same_training(NETWORKS[network], rule, made(rule), 1e-8)


@pytest.mark.parametrize(("network", "name", "options"), cases("Prodigy"))
def test_prodigy_is_that_of_its_authors(network: str, name: str, options: dict[str, Any]) -> None:
    peer = pytest.importorskip("prodigyopt")

    def stepper(parameters: list[Any]) -> Callable[[], None]:
        return peer.Prodigy(parameters, **options).step  # type: ignore[no-any-return]

    assert_same_training(NETWORKS[network], gd.Prodigy(**options), stepper, 1e-8)


# Where the first batch leaves an eigenvalue of 0 more than once, each program has vectors of its
# own to it, and goes its own way: one side of each matrix must be no longer than a batch's
# gradients have independent rows, and the other have no basis.
SQUARE: dict[str, tuple[Network, int]] = {
    "one side": (([12, 8, 12, 6], ["tanh", "tanh", "identity"], "huber"), 8),
    "both sides": (([6, 6, 6, 6], ["tanh", "softplus", "identity"], "huber"), 10000),
    "neither": (([9, 12, 3], ["gelu", "identity"], "cross_entropy"), 1),
}


@pytest.mark.parametrize("options", WHOLE_OPTIONS["SOAP"], ids=str)
@pytest.mark.parametrize("network", SQUARE)
def test_soap_is_that_of_pytorch_optimizer(
    network: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = pytest.importorskip("pytorch_optimizer")
    from pytorch_optimizer.optimizer import soap

    class InFloat64:
        """Their QR is of float32, whatever the parameters are."""

        float32 = torch.float64

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    monkeypatch.setattr(soap, "torch", InFloat64())
    widths, most = SQUARE[network]
    taken = {"max_precondition_dim": most, **options}

    def stepper(parameters: list[Any]) -> Callable[[], None]:
        return peer.SOAP(parameters, **taken).step  # type: ignore[no-any-return]

    assert_same_training(widths, gd.SOAP(**taken), stepper, 1e-8)

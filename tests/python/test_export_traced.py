"""Networks of modules of PyTorch with a forward of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from export_cases import close

from gdcore import export
from gdcore.activations import Activation

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn, F = torch.nn, torch.nn.functional


class Block(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        return x + F.gelu(self.linear(self.norm(x)), approximate="tanh")


class Classifier(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.bn = nn.Linear(12, 8), nn.BatchNorm1d(8)
        self.blocks = nn.Sequential(Block(), Block())
        self.drop, self.out = nn.Dropout(0.2), nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        x = x.view(x.size(0), -1)
        x = F.relu(input=self.bn(self.fc1(x)), inplace=True)
        y = self.drop(self.blocks(x))
        if self.training:  # is not traced
            y = y * 2
        y = F.dropout(y, 0.1, self.training)
        return F.log_softmax(self.out(input=torch.cat([y, x.tanh()], dim=1)), dim=1)


class Joined(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, u: Any, v: Any) -> Any:
        h = torch.sigmoid(self.a(u).add(self.b(F.leaky_relu(v, 0.2))))
        return {"price": self.h(h), "both": h}


def test_a_forward_is_traced_as_at_inference() -> None:
    torch.manual_seed(0)
    module = Classifier()
    x = torch.randn(30, 12)
    module(x)  # running averages; in training mode
    net = export.from_torch(module)
    assert module.training
    assert module.bn.training
    with torch.no_grad():
        wanted = module.eval()(x).numpy()
    close(net.predict(x.numpy()), wanted, "float32", "classifier")
    assert {"fc1.weight", "bn.running_mean", "blocks_1_linear.weight"} <= set(net.state_dict())


def test_several_inputs_and_outputs() -> None:
    module = Joined().double().eval()
    u, v = torch.randn(9, 3).double(), torch.randn(9, 2).double()
    net = export.from_torch(module, input_size={"u": 3, "v": 2})
    with torch.no_grad():
        wanted = {name: each.numpy() for name, each in module(u, v).items()}
    close(net.predict({"u": u.numpy(), "v": v.numpy()}), wanted, "float64", "joined")
    assert export.from_torch(module).heads == {"price": 1, "both": 4}  # sizes are found too


def test_blocks_in_a_sequential() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), Block(), nn.Linear(8, 2)).eval()
    net = export.from_torch(module)
    x = torch.randn(9, 5)
    with torch.no_grad():
        close(net.predict(x.numpy()), module(x).numpy(), "float32", "blocks")
    assert {"0_.weight", "2_linear.weight", "3_.weight"} <= set(net.state_dict())


def of(forward: Callable[..., Any]) -> Any:
    class Made(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.by = nn.Linear(3, 3), nn.Parameter(torch.ones(3))
            self.embedding = nn.Embedding(4, 3)

    Made.forward = forward
    return Made().eval()


def calling(function: Any, options: Any) -> Any:
    return lambda self, x: function(self.linear(x), *options)


def test_every_function_that_is_known_is_the_activation() -> None:
    from gdcore.export._traced import _MODULES

    x = torch.randn(20, 3) * 3
    given: dict[str, tuple[Any, ...]] = {"threshold": (0.1, -0.3), "softmax": (-1,)}
    given["log_softmax"] = (1,)
    names = set()
    for name in _MODULES:
        function, options = getattr(F, name), given.get(name, ())
        module = of(calling(function, options))
        net = export.from_torch(module)
        with torch.no_grad():
            close(net.predict(x.numpy()), module(x).numpy(), "float32", name)
        names |= {each.name for each in net.layers if isinstance(each, Activation)}
    assert names == set(_MODULES)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: self.linear(torch.flatten(x, 1)),
        lambda self, x: self.linear(x.flatten(start_dim=1)),
        lambda self, x: self.linear(x.view(-1, 3)),
        lambda self, x: self.linear(x.reshape(x.shape[0], -1)),
        lambda self, x: self.linear(x) + x,
        lambda self, x: torch.add(self.linear(x), x),
        lambda self, x: torch.cat([self.linear(x), x, x], 1),
        lambda self, x: (self.linear(x),),
        lambda self, x: [x.relu(), self.linear(F.dropout(x, p=0.1))][1],
    ],
)
def test_ways_to_write_it(forward: Any) -> None:
    module, x = of(forward), torch.randn(7, 3)
    module_of_evaluation = export.from_torch(of(lambda self, x: self.linear(x)))
    assert module_of_evaluation.input_size == 3
    net = export.from_torch(module)
    torch.manual_seed(1)
    with torch.no_grad():
        wanted = module(x)
    if isinstance(wanted, tuple):
        close(net.predict(x.numpy()), {"output_0": wanted[0].numpy()}, "float32", "tuple")
    elif not any("dropout" in repr(each).lower() for each in net.layers):
        close(net.predict(x.numpy()), wanted.numpy(), "float32", "way")
    else:  # which draws in eval mode too, as it is written
        assert net.output_size == 3


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda self, x: self.linear(x) * self.by, "reads 'by' by itself"),
        (lambda self, x: self.linear(self.linear(x)), r"'linear' \(Linear\).*is called twice"),
        (lambda self, x: x if x.sum() > 0 else self.linear(x), "cannot be traced: .*control flow"),
        (lambda self, x: torch.exp(self.linear(x)), r"calls exp, as in exp\(linear\)"),
        (lambda self, x: self.linear(x) + 1, r"calls add, as in add\(linear, 1\)"),
        (lambda self, x: torch.add(self.linear(x), x, alpha=2), "calls add"),
        (lambda self, x: F.softmax(self.linear(x), 0), "its dim must be -1 or 1"),
        (lambda self, x: torch.cat([self.linear(x), x], 0), "calls cat"),
        (lambda self, x: self.linear(x).view(-1, 1), "its forward reshapes"),
        (lambda self, x: self.linear(x).flatten(), "its forward reshapes"),
        (lambda self, x: self.embedding(x), r"'embedding' \(Embedding\).*no such layer"),
        (lambda self, x: F.relu(x), "input_size must be given: no module"),
        (lambda self, x, y: x + y, "input_size must be given, as a dict with 'x'"),
        (lambda self, x: None, "returns no tensor"),
    ],
)
def test_what_has_no_equal_is_named(forward: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        export.from_torch(of(forward))


def test_a_size_that_is_wrong() -> None:
    module = of(lambda self, x: self.linear(x))
    with pytest.raises(ValueError, match="input_size must be 3, which the modules read, got 5"):
        export.from_torch(module, input_size=5)
    with pytest.raises(TypeError, match="input_size must be an integer for modules in a row"):
        export.from_torch(nn.Linear(3, 3), input_size={"x": 3})
    assert export.from_torch(of(lambda self, x: F.relu(x)), input_size=4).input_size == 4
    np.testing.assert_array_equal(module.by.detach().numpy(), 1)

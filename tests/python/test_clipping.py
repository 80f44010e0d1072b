"""Clipping in all its forms, and batches that are put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd

CLIPS = {
    "all": gd.ClipNorm(0.3),
    "layer": gd.ClipNorm(0.2, per="layer"),
    "parameter": gd.ClipNorm(0.1, per="parameter"),
    "value": gd.ClipValue(0.01),
    "adaptive": gd.AdaptiveClip(0.02),
    "adaptive eps": gd.AdaptiveClip(0.5, eps=0.2),
}


def network(dtype: Any = "float64") -> gd.Network:
    """Of weights that lie in panels of units and of inputs, a table and vectors."""
    a, c = gd.Input(7, name="a"), gd.Input(categories=(5, 9), name="c")
    h = gd.Concat()(gd.Dense(70, "tanh")(a), gd.Embedding(4)(c))
    h = gd.LayerNorm()(gd.Dense(45, "tanh")(h))
    return gd.Network(inputs=[a, c], outputs=gd.Dense(2)(h), dtype=dtype, seed=1)


def batch(rows: int = 24, seed: int = 0) -> tuple[dict[str, Any], Any]:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 5, rows), rng.integers(0, 9, rows)], axis=1)
    return {"a": rng.standard_normal((rows, 7)), "c": codes}, rng.standard_normal((rows, 2))


def norm(x: Any) -> float:
    return float(np.sqrt((x**2).sum()))


def clipped(clip: Any, weights: dict[str, Any], gradients: dict[str, Any]) -> dict[str, Any]:
    if isinstance(clip, gd.ClipValue):
        return {k: np.clip(g, -clip.max_value, clip.max_value) for k, g in gradients.items()}
    if isinstance(clip, gd.ClipNorm):
        of = {
            "all": lambda _: "",
            "layer": lambda k: k.rpartition(".")[0],
            "parameter": lambda k: k,
        }
        part = {key: of[clip.per](key) for key in gradients}
        if clip.per == "layer":  # the tables of an embedding are one layer's
            part = {key: each.partition(".")[0] for key, each in part.items()}
        norms = {
            p: np.sqrt(sum(norm(g) ** 2 for k, g in gradients.items() if part[k] == p))
            for p in part.values()
        }
        return {
            k: g * min(1, clip.max_norm / (norms[part[k]] + 1e-6)) for k, g in gradients.items()
        }
    result = {}
    for key, g in gradients.items():
        axis = 1 if g.ndim == 2 else None
        most = clip.clipping * np.maximum(
            np.sqrt((weights[key] ** 2).sum(axis=axis, keepdims=True)), clip.eps
        )
        size = np.sqrt((g**2).sum(axis=axis, keepdims=True))
        result[key] = np.where(size < most, g, g * (most / np.maximum(size, 1e-6)))
    return result


def taken(clip: Any, scale: float = 1.0) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Weights, gradients, and what an update made of these."""
    net = network()
    trainer = gd.Trainer(net, None, gd.SGD(lr=1.0), clip=clip)
    x, y = batch()
    net.backward(scale * (net.forward(x, training=True) - y))
    before, gradients = net.state_dict(), net.gradients()
    trainer.apply_gradients()
    return before, gradients, {k: before[k] - v for k, v in net.state_dict().items()}


@pytest.mark.parametrize("name", CLIPS)
def test_what_an_update_takes(name: str) -> None:
    before, gradients, found = taken(CLIPS[name])
    expected = clipped(CLIPS[name], before, gradients)
    for key, value in expected.items():
        assert np.abs(found[key] - value).max() <= 1e-14 + 1e-12 * np.abs(value).max(), key
    assert any((expected[key] != gradients[key]).any() for key in expected)


@pytest.mark.parametrize("name", CLIPS)
def test_squares_beyond_the_type(name: str) -> None:
    """Of gradients whose squares no float64 holds, norms are right."""
    before, gradients, found = taken(CLIPS[name], 1e200)
    with np.errstate(over="ignore", invalid="ignore"):
        smaller = {key: g / 1e200 for key, g in gradients.items()}
    expected = clipped(CLIPS[name], before, {key: 1e8 * g for key, g in smaller.items()})
    for key, value in expected.items():
        assert np.abs(found[key] - value).max() <= 1e-6 * np.abs(value).max() + 1e-14, key


def test_adaptive_clipping_is_that_of_optax() -> None:
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")
    before, gradients, found = taken(CLIPS["adaptive"])
    with jax.enable_x64(True):
        rule = optax.adaptive_grad_clip(0.02)
        turned = [{k: v.T.copy() for k, v in each.items()} for each in (gradients, before)]
        expected, _ = rule.update(turned[0], rule.init(turned[1]), turned[1])
        for key, value in expected.items():
            assert np.abs(found[key].T - np.asarray(value)).max() <= 1e-12, key


@pytest.mark.parametrize("name", CLIPS)
def test_the_same_bits_on_any_number_of_threads(name: str) -> None:
    for rows in (40, 400):
        found = []
        for threads in (1, 2, 3, 5):
            net = network("float32")
            trainer = gd.Trainer(net, "mse", "adam", clip=CLIPS[name], num_threads=threads)
            for step in range(4):
                trainer.step(*batch(rows, step))
            found.append(net.state_dict())
        for state in found[1:]:
            assert_same_state(state, found[0])


def test_the_shorthand() -> None:
    trainers = [
        gd.Trainer(network(), "mse", "adam", **options)
        for options in ({"clip_grad_norm": 0.3}, {"clip": gd.ClipNorm(0.3)})
    ]
    for trainer in trainers:
        assert trainer.clip == gd.ClipNorm(0.3)
        assert trainer.clip_grad_norm == 0.3
        trainer.step(*batch())
    assert_same_state(*(trainer.network.state_dict() for trainer in trainers))
    assert gd.Trainer(network(), "mse", "adam", clip=gd.ClipValue(1)).clip_grad_norm is None


def test_frozen_parameters_count_for_nothing() -> None:
    net = network()
    groups = [gd.Group("*.bias", frozen=True)]
    trainer = gd.Trainer(
        net, "mse", gd.SGD(lr=1.0), clip=gd.ClipNorm(1e-3, per="layer"), groups=groups
    )
    before = net.state_dict()
    trainer.step(*batch())
    moved = {key: norm(before[key] - value) for key, value in net.state_dict().items()}
    assert all((size == 0) == key.endswith("bias") for key, size in moved.items())
    dense = [size for key, size in moved.items() if key.endswith("weight") and size]
    assert max(dense) == pytest.approx(1e-3, rel=2e-3)


# ---- batches that are put together ----


def rows_of(count: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(5)
    return (
        rng.standard_normal((count, 6)),
        rng.standard_normal((count, 2)),
        rng.uniform(0.1, 2, count),
    )


def fit(layers: list[Any], batch_size: int, accumulate: int, loss: Any = "mse", **more: Any) -> Any:
    net = gd.Network(layers, input_size=6, dtype="float64", seed=2)
    trainer = gd.Trainer(net, loss, gd.Adam(lr=1e-2), **more)
    x, y, weights = rows_of(70)
    history = trainer.fit(x, y, epochs=2, batch_size=batch_size, sample_weight=weights,
                          accumulate=accumulate, progress=False)  # fmt: skip
    return net.state_dict(), history["loss"], trainer.steps


def test_batches_together_are_one() -> None:
    """To the bit, where rows do not see each other; the last ones of an epoch are fewer."""
    layers = [gd.Dense(20, "relu"), gd.Dropout(0.2), gd.Dense(2)]
    state, losses, steps = fit(layers, 8, 4)
    expected, one, count = fit(layers, 32, 1)
    assert_same_state(state, expected)
    assert (losses, steps) == (one, count) == (one, 6)
    assert fit(layers, 8, 1000)[2] == fit(layers, 10**15, 2**31)[2] == 2


def test_batch_norm_sees_each_by_itself() -> None:
    torch = pytest.importorskip("torch")
    layers = [gd.Dense(9), gd.BatchNorm(), "tanh", gd.Dense(2)]
    net = gd.Network(layers, input_size=6, dtype="float64", seed=2)
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 9), torch.nn.BatchNorm1d(9), torch.nn.Tanh(), torch.nn.Linear(9, 2)
    ).double()
    state = {key: torch.from_numpy(value) for key, value in net.state_dict().items()}
    module.load_state_dict(state, strict=False)
    rule = torch.optim.Adam(module.parameters(), lr=1e-2)
    x, y, weights = map(torch.from_numpy, rows_of(70))
    for begin in range(0, 70, 32):
        rule.zero_grad()
        part = slice(begin, begin + 32)
        total = weights[part].sum()
        for at in range(begin, min(begin + 32, 70), 8):
            rows = slice(at, min(at + 8, begin + 32))
            losses = ((module(x[rows]) - y[rows]) ** 2).mean(axis=1)
            (weights[rows] @ losses / total).backward()
        rule.step()
    trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-2))
    trainer.fit(*map(np.asarray, (x, y)), sample_weight=np.asarray(weights), epochs=1, batch_size=8,
                accumulate=4, shuffle=False, progress=False)  # fmt: skip
    expected = module.state_dict()
    for key, value in net.state_dict().items():
        assert np.abs(value - expected[key].numpy()).max() < 1e-10, key


@pytest.mark.parametrize("ghost", [None, 4])
def test_batch_norm_on_any_number_of_threads(ghost: int | None) -> None:
    layers = [gd.Dense(33), gd.BatchNorm(ghost=ghost), "relu", gd.Dense(2)]
    found = [fit(layers, 8, 3, num_threads=threads) for threads in (1, 2, 3)]
    for state, losses, _ in found[1:]:
        assert_same_state(state, found[0][0])
        assert losses == found[0][1]


def test_a_function_as_the_loss() -> None:
    def squares(output: Any, y: Any) -> Any:
        return ((output - y) ** 2).mean(axis=1), 2 * (output - y) / y.size

    layers = [gd.Dense(20, "relu"), gd.Dense(2)]
    state, losses, steps = fit(layers, 8, 4, squares)
    expected, one, count = fit(layers, 8, 4)
    assert steps == count
    assert losses == pytest.approx(one, rel=1e-12)
    for key, value in state.items():
        assert np.abs(value - expected[key]).max() < 1e-11, key


# ---- bad input ----

BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("norm 0", lambda: gd.ClipNorm(0.0), ValueError, "max_norm must be"),
    ("norm nan", lambda: gd.ClipNorm(float("nan")), ValueError, "max_norm must be"),
    ("norm text", lambda: gd.ClipNorm("1"), TypeError, "max_norm must be"),
    ("per", lambda: gd.ClipNorm(1.0, per="unit"), ValueError, "per"),
    ("value", lambda: gd.ClipValue(-1.0), ValueError, "max_value must be"),
    ("clipping", lambda: gd.AdaptiveClip(0.0), ValueError, "clipping must be"),
    ("eps", lambda: gd.AdaptiveClip(eps=-1.0), ValueError, "eps must be"),
    ("number", lambda: gd.Trainer(network(), "mse", "sgd", clip=1.0), TypeError, "clip must be"),
    ("class", lambda: gd.Trainer(network(), "mse", "sgd", clip=gd.ClipNorm), TypeError, "ClipNorm"),
    (
        "small",
        lambda: gd.Trainer(network("float32"), "mse", "sgd", clip=gd.ClipValue(1e-60)),
        ValueError,
        "clip",
    ),
    (
        "both",
        lambda: gd.Trainer(network(), "mse", "sgd", clip=gd.ClipValue(1.0), clip_grad_norm=1.0),
        ValueError,
        "together",
    ),
    ("accumulate 0", lambda: fit([gd.Dense(2)], 8, 0), ValueError, "accumulate must be"),
    ("accumulate 1.5", lambda: fit([gd.Dense(2)], 8, 1.5), TypeError, "accumulate must be"),
    (
        "one row left",
        lambda: fit([gd.Dense(4), gd.BatchNorm(), gd.Dense(2)], 23, 2),
        ValueError,
        "row",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()

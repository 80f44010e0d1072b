"""RealMLP: a plain network with good defaults, on two tables.

The recipe is that of pytabkit's RealMLP-TD: numbers centred by their median and scaled by their
quartiles, then bent smoothly to within 3; an embedding of each by waves with a phase, beside
categories of up to 9 values one-hot and others by embeddings; a factor for every input; three
layers of 256 in the "ntk" form, scaled to what they see at first; SELU (Mish for numbers) that each
unit may fade out of; dropout 0.15; Adam with decoupled decay; a rate that goes up and down four
times (coslog4), ever faster at first; factors of that rate by groups; smoothed labels; of all
epochs the one that is best on the validation part. What differs: dropout stays as it is, where the
recipe lets it fade over the second half as the decay does, and biases start where units have the
mean 0, where the recipe draws them among the data.

Tables as for tabm.py.

Source: Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted
trees on tabular data", NeurIPS 2024.

    python examples/realmlp.py --out pictures
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import BLUE, command_line, figure, save
from _tables import Table, table

import gdcore as gd

CYCLES = 4
MOST_ONE_HOT = 9


def bent(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns centred, scaled and within -3 and 3, by what they are in the training part."""
    known = x[train]
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75), axis=0)
    spread = high - low
    spread = np.where(spread == 0, 0.5 * (known.max(axis=0) - known.min(axis=0)), spread)
    scaled = (x - middle) * np.divide(1, spread, out=np.zeros_like(spread), where=spread != 0)
    return (scaled / np.sqrt(1 + (scaled / 3) ** 2)).astype(np.float32)


def inputs_of(found: Table, train: np.ndarray) -> dict[str, np.ndarray]:
    small = [i for i, size in enumerate(found.sizes) if size <= MOST_ONE_HOT]
    large = [i for i, size in enumerate(found.sizes) if size > MOST_ONE_HOT]
    inputs = {"numbers": bent(found.numbers, train)}
    if small:
        sizes = [found.sizes[i] for i in small]
        part = Table("", found.numbers, found.codes[:, small], sizes, found.y)
        inputs["one_hot"] = bent(part.one_hot(), train)
    if large:
        inputs["codes"] = found.codes[:, large]
    return inputs


def network(found: Table, x: dict[str, np.ndarray], width: int, seed: int) -> gd.Network:
    outputs = found.classes or 1
    act = "selu" if found.classes else "mish"
    nodes: list[Any] = []
    embedded: list[Any] = []
    for name, array in x.items():
        if name == "codes":
            sizes = [size for size in found.sizes if size > MOST_ONE_HOT]
            nodes.append(gd.Input(categories=tuple(sizes), name=name))
            embedded.append(gd.Embedding(8, name="codes")(nodes[-1]))
            continue
        nodes.append(gd.Input(array.shape[1], name=name))
        waves = gd.PeriodicEmbedding.pbld(name="waves")
        embedded.append(waves(nodes[-1]) if name == "numbers" else nodes[-1])
    h = gd.Concat(name="all")(*embedded) if len(embedded) > 1 else embedded[0]
    h = gd.Scale(name="scale")(h)
    for i in range(3):
        h = gd.Dense(width, parametrization="ntk", name=f"dense{i}")(h)
        h = gd.ParametricActivation(act, name=f"act{i}")(h)
        h = gd.Dropout(0.15, name=f"drop{i}")(h)
    last = gd.Dense(outputs, parametrization="ntk", name="dense3")(h)
    return gd.Network(inputs=nodes, outputs=last, seed=seed)


def trained(found: Table, seed: int, width: int, epochs: int) -> dict[str, Any]:
    """The error on the test part, the figure that chose the epoch, and the seconds it took."""
    train, valid, test = found.parts(seed)
    x = inputs_of(found, train)
    y, mean, spread = found.y, 0.0, 1.0
    if not found.classes:
        mean, spread = y[train].mean(), y[train].std()
        y = (y - mean) / spread

    def rows(part: np.ndarray) -> Any:
        found = {name: array[part] for name, array in x.items()}
        return found if len(found) > 1 else found["numbers"]

    since = time.perf_counter()
    net = network(found, x, width, seed)
    gd.initializers.from_data(net, rows(train[:5000]))
    batch = min(256, len(train))
    steps = epochs * -(-len(train) // batch)
    rate = 0.04 if found.classes else 0.2
    trainer = gd.Trainer(
        net,
        gd.CrossEntropy(label_smoothing=0.1) if found.classes else "mse",
        gd.AdamW(lr=rate, betas=(0.9, 0.95), weight_decay=0.02),
        groups=[
            gd.Group("scale.*", lr_factor=6.0),
            gd.Group("dense*.bias", lr_factor=0.1, weight_decay=0.0),
            gd.Group("act*", lr_factor=0.1),
            gd.Group("waves.*", lr_factor=0.1),
        ],
        schedule={
            "lr": gd.schedules.CosLog(steps, CYCLES, per="step"),
            "weight_decay": gd.schedules.FlatCos(steps, 0.5, 0.0, per="step"),
        },
        seed=seed,
    )
    watched, better = ("val_accuracy", "max") if found.classes else ("val_rmse", "min")
    history = trainer.fit(
        rows(train), y[train], epochs=epochs, batch_size=batch,
        validation_data=(rows(valid), y[valid]),
        metrics=() if found.classes else ("rmse",), progress=False,
        callbacks=[gd.callbacks.EarlyStopping(watched, patience=epochs, mode=better)],
    )  # fmt: skip
    seconds = time.perf_counter() - since
    if found.classes:
        error = float((net.predict_classes(rows(test)) != found.y[test]).mean())
    else:
        predicted = net.predict(rows(test))[:, 0] * spread + mean
        low, high = found.y[train].min(), found.y[train].max()  # never beyond what was seen
        error = float(np.sqrt(np.mean((predicted.clip(low, high) - found.y[test]) ** 2)))
    return {"error": error, "history": history[watched], "seconds": seconds}


def main(out: Path, quick: bool = False) -> dict[str, dict[str, Any]]:
    names = ("breast_cancer", "diabetes") if quick else ("adult", "diamonds")
    width, epochs = (64, 40) if quick else (256, 256)
    seen = {}
    fig = figure(10, 4)
    for panel, name in zip(fig.subplots(1, 2), names):
        found = table(name)
        seen[name] = trained(found, 0, width, epochs)
        what = "wrong classes" if found.classes else "RMSE"
        print(f"{name}: {what} {seen[name]['error']:.4f} after {seen[name]['seconds']:.0f} s")
        panel.plot(seen[name]["history"], color=BLUE)
        shown = "accuracy" if found.classes else "RMSE, standardized,"
        panel.set(title=name, xlabel="epoch", ylabel=f"{shown} on the validation part")
    save(fig, out, "realmlp")
    return seen


if __name__ == "__main__":
    command_line(main, __doc__)

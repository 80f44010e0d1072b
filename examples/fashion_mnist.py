"""Ten kinds of clothes: Fashion-MNIST with a network of 784-256-128-100-10.

60,000 grey images of 28 x 28 pixels to learn from, 10,000 others to be asked about. The list of the
data set's authors gives 88.33% for a network of this shape; here Adam takes 15 epochs, and its
learning rate falls along a cosine from 0.001 to 0.

Pixels are standardised with mean and spread of the training images. Learning rate, batch size and
number of epochs were settled on the last 10,000 training images, with the first 50,000 to learn
from. The test images are only watched: nothing is chosen by them, and what counts is the last
epoch, not the best.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms", arXiv:1708.07747. Debian has it as the package dataset-fashion-mnist.

    python examples/fashion_mnist.py --out pictures
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np
from _common import BLUE, GREY, RED, command_line, figure, save

import gdcore as gd

FOLDER = Path("/usr/share/datasets/fashion-mnist")
KINDS = (
    "T-shirt", "trousers", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
LR, BATCH, EPOCHS = 1e-3, 64, 15


def idx(path: Path) -> np.ndarray:
    """An array of bytes in the format of the MNIST files: 0, 0, 8, dimensions, sizes, bytes."""
    with gzip.open(path) as file:
        content = file.read()
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4).astype(int)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def read(folder: Path) -> list[np.ndarray]:
    """Training images and labels, test images and labels."""
    names = [
        f"{part}-{what}-ubyte.gz"
        for part in ("train", "t10k")
        for what in ("images-idx3", "labels-idx1")
    ]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        sys.exit(
            f"{folder} has no {missing[0]}: install Debian's package dataset-fashion-mnist "
            "(apt-get install dataset-fashion-mnist), or tell another folder with --data"
        )
    return [idx(folder / name) for name in names]


class Printer(gd.callbacks.Callback):
    """A line an epoch."""

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Mapping[str, float]) -> None:
        print(
            f"epoch {epoch:>2}  loss {values['loss']:.4f}  test loss {values['val_loss']:.4f}  "
            f"test accuracy {values['val_accuracy']:.2%}  next lr {trainer.lr:.6f}"
        )


def main(out: Path, quick: bool = False, data: Path = FOLDER, seed: int = 0) -> gd.History:
    images, y, images_test, y_test = read(data)
    if quick:
        images, y, images_test, y_test = images[:2000], y[:2000], images_test[:2000], y_test[:2000]
    x, x_test = (part.reshape(len(part), -1).astype(np.float32) for part in (images, images_test))
    mean, spread = x.mean(), x.std()
    x, x_test = (x - mean) / spread, (x_test - mean) / spread

    layers = [gd.Dense(units, "relu") for units in (256, 128, 100)]
    net = gd.Network([*layers, gd.Dense(10)], input_size=784, seed=seed)
    trainer = gd.Trainer(
        net,
        loss="cross_entropy",
        optimizer=gd.Adam(lr=LR),
        schedule=gd.schedules.Cosine(t_max=EPOCHS),
    )
    began = perf_counter()
    seen = trainer.fit(
        x,
        y,
        epochs=EPOCHS,
        batch_size=BATCH,
        validation_data=(x_test, y_test),
        callbacks=[Printer()],
        progress=False,
    )
    seconds = perf_counter() - began
    accuracy = seen["val_accuracy"][-1]
    print(f"seed {seed}: {accuracy:.2%} of {len(y_test):,} test images right, {seconds:.1f} s")

    scores = net.predict(x_test)
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    said = shares.argmax(axis=1)
    wrong = np.flatnonzero(said != y_test)
    surest = wrong[np.argsort(-shares[wrong, said[wrong]], kind="stable")][:10]

    fig = figure(10, 5.8)
    above, below = fig.subfigures(2, 1, height_ratios=(2.2, 1))
    left, right = above.subplots(1, 2)
    epochs = range(1, EPOCHS + 1)
    left.plot(epochs, seen["loss"], color=BLUE, label="training images, as met")
    left.plot(epochs, seen["val_loss"], color=RED, label="test images")
    left.set(title="Loss", xlabel="epoch", ylabel="cross entropy", ylim=(0, None))
    left.legend(loc="lower left")
    right.plot(epochs, 100 * np.array(seen["val_accuracy"]), color=RED)
    right.axhline(88.33, color=GREY, ls="--", lw=1)
    right.text(EPOCHS, 88.2, "88.33%: the authors' list", color=GREY, size=9, ha="right", va="top")
    right.set(
        title=f"Test images: {accuracy:.2%} right after the last epoch",
        xlabel="epoch", ylabel="accuracy (%)",
    )  # fmt: skip
    below.suptitle(
        "The mistakes it was surest of. Above: what it said; below: what it is",
        x=0.01,
        ha="left",
        size=11,
    )
    for panel, i in zip(below.subplots(1, 10), surest):
        panel.imshow(images_test[i], cmap="gray_r")
        panel.set_title(f"{KINDS[said[i]]}", color=RED, size=9, loc="center")
        panel.set_xlabel(f"{KINDS[y_test[i]]}", size=9)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        panel.grid(False)
    save(fig, out, "fashion_mnist")
    return seen


if __name__ == "__main__":
    command_line(
        main,
        __doc__,
        data=(Path, FOLDER, "folder of the four files"),
        seed=(int, 0, "first weights and order of the samples"),
    )

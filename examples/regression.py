"""Regression beside the straight line: how a disease went on, from ten measurements.

scikit-learn's diabetes data: 442 patients with age, sex, body mass index, blood pressure and six
blood values, and a score of the disease a year later. Inputs and target are standardised with mean
and spread of the training part alone, for the validation part stands for patients not yet seen.

Three ways to predict: linear least squares, a network with 32 hidden units and weight decay, and
the same network without it, trained on for longer. With so few patients the second is as good as
the line or a little better. The third learns much of the training part by heart and is worse.
One split says little: each way moves more from split to split than the first two differ, so the
right panel shows twenty. Weight decay and epochs were settled on twenty other splits of the same
patients, so what the network is ahead says no more than that it is not behind.

    python examples/regression.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, GREY, ORANGE, PURPLE, command_line, figure, needed, save

import gdcore as gd

TRAINING = 342  # of 442 patients
COLOURS = {"least squares": ORANGE, "network": BLUE, "network, too long": PURPLE}


def least_squares(x: np.ndarray, y: np.ndarray, x_new: np.ndarray) -> np.ndarray:
    with_bias = np.column_stack([x, np.ones(len(x))])
    solution = np.linalg.lstsq(with_bias, y, rcond=None)[0]
    return np.column_stack([x_new, np.ones(len(x_new))]) @ solution


def network(
    x: np.ndarray, y: np.ndarray, x_new: np.ndarray, seed: int, epochs: int, decay: float
) -> np.ndarray:
    net = gd.Network([gd.Dense(32, "relu"), gd.Dense(1)], input_size=10, seed=seed)
    rule = gd.Adam(lr=1e-3, weight_decay=decay)
    trainer = gd.Trainer(net, loss="mse", optimizer=rule)
    trainer.fit(x, y[:, None], epochs=epochs, batch_size=32, progress=False)
    return net.predict(x_new)[:, 0]


def main(out: Path, quick: bool = False) -> dict[str, dict[str, list[float]]]:
    datasets = needed("sklearn.datasets", "scikit-learn")
    x_all, y_all = datasets.load_diabetes(return_X_y=True)
    splits = 5 if quick else 20
    shown = {}

    r2, r2_training, rmse = ({name: [] for name in COLOURS} for _ in range(3))
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(y_all))
        train, valid = order[:TRAINING], order[TRAINING:]
        x = (x_all - x_all[train].mean(axis=0)) / x_all[train].std(axis=0)
        mean, spread = y_all[train].mean(), y_all[train].std()
        y = (y_all - mean) / spread
        part = x[train], y[train], x  # trained on the training part, asked about all
        answers = {
            "least squares": least_squares(*part),
            "network": network(*part, seed=split, epochs=100, decay=0.03),
            "network, too long": network(*part, seed=split, epochs=500, decay=0.0),
        }
        for name, answer in answers.items():
            predicted = answer * spread + mean
            error = predicted - y_all
            rmse[name].append(float(np.sqrt(np.mean(error[valid] ** 2))))
            for found, rows in ((r2, valid), (r2_training, train)):
                found[name].append(float(1 - np.mean(error[rows] ** 2) / np.var(y_all[rows])))
            if split == 0:
                shown[name] = y_all[valid], predicted[valid]

    print(f"{'':<18} first split          mean of {splits} splits (least to most)")
    for name in COLOURS:
        print(
            f"{name:<18} R2 {r2[name][0]:.3f} RMSE {rmse[name][0]:.1f}   "
            f"R2 {np.mean(r2[name]):.3f} ({min(r2[name]):.3f} to {max(r2[name]):.3f})   "
            f"RMSE {np.mean(rmse[name]):.1f} ({min(rmse[name]):.1f} to {max(rmse[name]):.1f})   "
            f"R2 on the training part {np.mean(r2_training[name]):.3f}"
        )
    better = sum(a > b for a, b in zip(r2["network"], r2["least squares"]))
    print(f"the network is better than least squares on {better} of {splits} splits")

    fig = figure(10, 4.6)
    left, right = fig.subplots(1, 2, width_ratios=(1, 1.15))
    ends = (20, 350)
    left.plot(ends, ends, color=GREY, lw=1, ls="--", zorder=1)
    left.text(
        325, 318, "predicted = true", color=GREY, size=8, rotation=45, ha="right", va="top",
        rotation_mode="anchor",
    )  # fmt: skip
    for name, marker in (("least squares", "s"), ("network", "o")):
        left.plot(*shown[name], marker, ms=4, color=COLOURS[name], alpha=0.75, label=name)
    left.set(
        title="The first split, 100 patients not trained on", xlim=ends, ylim=ends,
        xlabel="true score of the disease", ylabel="predicted score", aspect="equal",
    )  # fmt: skip
    left.legend(loc="upper left")
    rows = np.argsort(r2["least squares"])
    for name, marker in zip(COLOURS, "so^"):
        right.plot(
            np.arange(1, splits + 1), np.array(r2[name])[rows], marker, ms=5, color=COLOURS[name],
            label=f"{name}: mean {np.mean(r2[name]):.3f}",
        )  # fmt: skip
    lowest = min(min(values) for values in r2.values())
    right.set(
        title=f"{splits} splits, from hard to easy", xlabel="split, in order of least squares",
        ylabel="R² on the validation part", ylim=(lowest - 0.18, None),
    )  # fmt: skip
    right.set_xticks(range(1, splits + 1, 1 if quick else 3))
    right.legend(loc="lower right")
    save(fig, out, "regression")
    return {"r2": r2, "r2_training": r2_training, "rmse": rmse}


if __name__ == "__main__":
    command_line(main, __doc__)

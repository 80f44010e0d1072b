"""One step of gradient descent, worked by hand next to gdcore.

A network with 2 inputs, 3 hidden units and 2 outputs, sigmoid throughout, sees one sample. Below,
every number is computed with Python's own arithmetic, one after the other, as on paper: the forward
pass, the error, the derivative of the error by each weight, and one update w <- w - lr dE/dw with
learning rate 0.01. Beside each stands what gdcore says, and they must agree to 12 digits.

    python examples/by_hand_2_3_2.py
"""

from __future__ import annotations

from math import exp

import numpy as np

import gdcore as gd

LR = 0.01

# One sample and its target.
x1, x2 = 0.05, 0.10
t1, t2 = 0.01, 0.99

# Hidden layer: v<unit><input>, bias c<unit>.
v11, v12, c1 = 0.15, 0.20, 0.35
v21, v22, c2 = 0.25, 0.30, 0.35
v31, v32, c3 = -0.20, 0.10, 0.15

# Output layer: w<unit><hidden>, bias b<unit>.
w11, w12, w13, b1 = 0.40, 0.45, -0.30, 0.60
w21, w22, w23, b2 = 0.50, 0.55, 0.20, 0.60


def sigmoid(z: float) -> float:
    return 1 / (1 + exp(-z))


# ---------------------------------------------------------------- by hand: the forward pass
# A hidden unit sums its weighted inputs and its bias, and squashes the sum.
h1 = sigmoid(v11 * x1 + v12 * x2 + c1)
h2 = sigmoid(v21 * x1 + v22 * x2 + c2)
h3 = sigmoid(v31 * x1 + v32 * x2 + c3)

# An output unit does the same with what the hidden units say.
o1 = sigmoid(w11 * h1 + w12 * h2 + w13 * h3 + b1)
o2 = sigmoid(w21 * h1 + w22 * h2 + w23 * h3 + b2)

# The error: the mean of the squared differences.
error = ((o1 - t1) ** 2 + (o2 - t2) ** 2) / 2

# ---------------------------------------------------------------- by hand: the chain rule
# How the error changes with the sum z of an output unit:
#   dE/do = 2 (o - t) / 2 = o - t, and the slope of the sigmoid is do/dz = o (1 - o).
dz1 = (o1 - t1) * o1 * (1 - o1)
dz2 = (o2 - t2) * o2 * (1 - o2)

# A weight of an output unit is multiplied by the hidden unit it comes from, a bias by 1:
#   dE/dw_jk = dE/dz_j h_k, dE/db_j = dE/dz_j.
dw11, dw12, dw13, db1 = dz1 * h1, dz1 * h2, dz1 * h3, dz1
dw21, dw22, dw23, db2 = dz2 * h1, dz2 * h2, dz2 * h3, dz2

# A hidden unit acts on the error through both outputs, so both ways are added:
#   dE/dh_k = dE/dz_1 w_1k + dE/dz_2 w_2k; then again the slope of the sigmoid.
ds1 = (dz1 * w11 + dz2 * w21) * h1 * (1 - h1)
ds2 = (dz1 * w12 + dz2 * w22) * h2 * (1 - h2)
ds3 = (dz1 * w13 + dz2 * w23) * h3 * (1 - h3)

# And a weight of a hidden unit is multiplied by the input it comes from.
dv11, dv12, dc1 = ds1 * x1, ds1 * x2, ds1
dv21, dv22, dc2 = ds2 * x1, ds2 * x2, ds2
dv31, dv32, dc3 = ds3 * x1, ds3 * x2, ds3

# The inputs have a derivative too; training does not need it.
dx1 = ds1 * v11 + ds2 * v21 + ds3 * v31
dx2 = ds1 * v12 + ds2 * v22 + ds3 * v32

# ---------------------------------------------------------------- the same in gdcore
x, t = np.array([[x1, x2]]), np.array([[t1, t2]])
net = gd.Network(
    [gd.Dense(3, "sigmoid", name="hidden"), gd.Dense(2, "sigmoid", name="output")],
    input_size=2,
    dtype="float64",
)
net.load_state_dict(
    {
        "hidden.weight": [[v11, v12], [v21, v22], [v31, v32]],
        "hidden.bias": [c1, c2, c3],
        "output.weight": [[w11, w12, w13], [w21, w22, w23]],
        "output.bias": [b1, b2],
    }
)
output = net.forward(x, training=True)
grad_input = net.backward(output - t)  # dE/do, as above
gradients = net.gradients()
trainer = gd.Trainer(net, loss="mse", optimizer=gd.SGD(lr=LR))
loss = trainer.step(x, t)
after = net.state_dict()

# ---------------------------------------------------------------- side by side
hidden = gd.Network([gd.Dense(3, "sigmoid")], input_size=2, dtype="float64")
hidden.load_state_dict({"0.weight": [[v11, v12], [v21, v22], [v31, v32]], "0.bias": [c1, c2, c3]})

QUANTITIES = {
    "forward pass: hidden units h, outputs o": {
        "h1 h2 h3": ([h1, h2, h3], hidden.forward(x)),
        "o1 o2": ([o1, o2], output),
    },
    "mean squared error": {"E": ([error], loss)},
    "gradients of the output layer": {
        "dE/dw11 dE/dw12 dE/dw13": ([dw11, dw12, dw13], gradients["output.weight"][0]),
        "dE/dw21 dE/dw22 dE/dw23": ([dw21, dw22, dw23], gradients["output.weight"][1]),
        "dE/db1 dE/db2": ([db1, db2], gradients["output.bias"]),
    },
    "gradients of the hidden layer": {
        "dE/dv11 dE/dv12": ([dv11, dv12], gradients["hidden.weight"][0]),
        "dE/dv21 dE/dv22": ([dv21, dv22], gradients["hidden.weight"][1]),
        "dE/dv31 dE/dv32": ([dv31, dv32], gradients["hidden.weight"][2]),
        "dE/dc1 dE/dc2 dE/dc3": ([dc1, dc2, dc3], gradients["hidden.bias"]),
    },
    "gradient at the inputs": {"dE/dx1 dE/dx2": ([dx1, dx2], grad_input)},
    f"after one update with learning rate {LR}": {
        "w11 w12 w13": (
            [w11 - LR * dw11, w12 - LR * dw12, w13 - LR * dw13],
            after["output.weight"][0],
        ),
        "w21 w22 w23": (
            [w21 - LR * dw21, w22 - LR * dw22, w23 - LR * dw23],
            after["output.weight"][1],
        ),
        "b1 b2": ([b1 - LR * db1, b2 - LR * db2], after["output.bias"]),
        "v11 v12": ([v11 - LR * dv11, v12 - LR * dv12], after["hidden.weight"][0]),
        "v21 v22": ([v21 - LR * dv21, v22 - LR * dv22], after["hidden.weight"][1]),
        "v31 v32": ([v31 - LR * dv31, v32 - LR * dv32], after["hidden.weight"][2]),
        "c1 c2 c3": ([c1 - LR * dc1, c2 - LR * dc2, c3 - LR * dc3], after["hidden.bias"]),
    },
}

for title, rows in QUANTITIES.items():
    print(f"\n{title:<42}{'by hand':>16}{'gdcore':>18}")
    for names, (by_hand, from_gdcore) in rows.items():
        for name, mine, theirs in zip(names.split(), by_hand, np.ravel(from_gdcore), strict=True):
            assert abs(mine - theirs) <= 1e-12, f"{name}: {mine!r} by hand, {theirs!r} in gdcore"
            print(f"  {name:<38}{mine:>18.12f}{theirs:>18.12f}")

smaller = trainer.evaluate(x, t)["loss"]
assert smaller < error
print(f"\nThe update took the error from {error:.12f} to {smaller:.12f}.")

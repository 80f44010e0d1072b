"""What a wheel must be able to do, with NumPy alone: prints a line for each and its digest."""

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading

import numpy as np

import gdcore as gd

print(sys.version.split()[0], gd.__version__)
if hasattr(sys, "_is_gil_enabled") and "free-threading" in sys.version:
    assert not sys._is_gil_enabled(), "importing gdcore turned the GIL on"

random = np.random.default_rng(0)
x = random.standard_normal((512, 20), dtype=np.float32)
y = (x[:, :5].sum(axis=1) > 0).astype(np.int64)


def trained(threads: int) -> "tuple[gd.Trainer, float]":
    """The same network on so many threads."""
    network = gd.Network([gd.Dense(32, "relu"), gd.Dense(2)], input_size=20, seed=0)
    trainer = gd.Trainer(network, "cross_entropy", gd.Adam(lr=1e-2), num_threads=threads, seed=0)
    history = trainer.fit(x, y, epochs=20, batch_size=32, progress=False)
    return trainer, history["loss"][-1]


def digest(network: gd.Network) -> str:
    """Of all parameters."""
    state = network.state_dict()
    return hashlib.sha256(b"".join(state[name].tobytes() for name in sorted(state))).hexdigest()[
        :16
    ]


one, loss = trained(1)
two, _ = trained(2)
assert loss < 0.2, loss
assert digest(one.network) == digest(two.network)
accuracy = one.evaluate(x, y)["accuracy"]
assert accuracy > 0.95, accuracy

network = gd.Network([gd.Dense(4, "tanh"), gd.Dense(2)], input_size=3, seed=1)
assert gd.check_gradients(network, "mse", x[:5, :3], x[:5, 3:5]).ok

if importlib.util.find_spec("safetensors") is None:
    print("files were not tried: there is no safetensors")
else:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        one.save(path)
        again = gd.Trainer.load(path)
        assert digest(again.network) == digest(one.network)

with gd.profile() as prof:
    one.fit(x, y, epochs=1, batch_size=64, progress=False)
assert len(prof.events)

found = []
threads = [
    threading.Thread(target=lambda: found.append(digest(trained(1)[0].network))) for _ in range(4)
]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert len(found) == 4, found
assert len(set(found)) == 1, found
print("passed", digest(trained(1)[0].network))

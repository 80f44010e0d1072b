"""gdcore and another library in one process, imported in both orders: `beside.py sklearn|torch`."""

import subprocess
import sys

GDCORE = """
import numpy as np, gdcore as gd
net = gd.Network([gd.Dense(64, "relu"), gd.Dense(2)], input_size=20, seed=0)
trainer = gd.Trainer(net, "mse", gd.Adam(), num_threads=2)
x = np.ones((256, 20), np.float32); y = np.zeros((256, 2), np.float32)
print("loss", trainer.fit(x, y, epochs=3, batch_size=32, progress=False)["loss"][-1])
"""
OTHERS = {
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
import numpy as np
X = np.random.default_rng(0).standard_normal((500, 10)); t = X[:, 0] > 0
print(HistGradientBoostingClassifier(max_iter=10).fit(X, t).score(X, t))
""",
    "torch": """
import torch
torch.set_num_threads(2)
a = torch.ones(300, 300); print(float((a @ a).sum()))
""",
}

other = OTHERS[sys.argv[1]]
for code in (GDCORE + other + GDCORE, other + GDCORE + other):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)

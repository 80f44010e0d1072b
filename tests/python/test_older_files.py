"""Files that earlier versions wrote still load: tests/python/data/models, a trainer a version.

Each was made by the script in `made`, run with that version; what the version could not tell yet
is empty. A new version adds its own file and changes none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import ROOT, assert_same_bits

import gdcore as gd

FILES = sorted((ROOT / "tests" / "python" / "data" / "models").glob("*.safetensors"))


def network() -> gd.Network:
    layers = [
        gd.Dense(5, gd.LeakyReLU(0.2), name="hidden", weight_init="he_normal"),
        gd.Dense(4, "tanh", bias=False),
        gd.Dense(3),
    ]
    return gd.Network(layers, input_size=6, seed=7)


def made(path: Path) -> None:
    """Writes what the files hold."""
    trainer = gd.Trainer(
        network(),
        gd.CrossEntropy(label_smoothing=0.1),
        gd.Adam(lr=0.01, weight_decay=0.001, amsgrad=True),
        clip_grad_norm=1.5,
        seed=3,
        schedule=gd.schedules.Cosine(t_max=10),
    )
    random = np.random.default_rng(1)
    x, y = random.standard_normal((20, 6)).astype("f4"), random.integers(0, 3, 20)
    trainer.fit(x, y, epochs=3, batch_size=8, validation_data=(x, y), progress=False)
    trainer.lr = 0.004
    trainer.fit(x, y, epochs=1, batch_size=8, validation_data=(x, y), progress=False)
    trainer.save(path, extra={"scaling": [1.5, 2]})


def test_there_is_a_file_of_each_version() -> None:
    assert [file.stem for file in FILES] == ["0.1.0", "0.2.0"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_trainer_is_what_was_saved(file: Path) -> None:
    trainer = gd.Trainer.load(file)
    assert trainer.network.layers == network().layers
    assert (trainer.network.input_size, trainer.network.seed) == (6, 7)
    assert trainer.loss == gd.CrossEntropy(label_smoothing=0.1)
    assert trainer.optimizer == gd.Adam(lr=0.01, weight_decay=0.001, amsgrad=True)
    assert trainer.schedule == gd.schedules.Cosine(t_max=10)
    assert (trainer.clip_grad_norm, trainer.seed) == (1.5, 3)
    assert (trainer.steps, trainer.epochs) == (12, 4)
    # lr was 0.004 in epoch 3, and the schedule has gone on by one.
    cosine = [0.5 * (1 + np.cos(np.pi * epoch / 10)) for epoch in (3, 4)]
    assert trainer.lr == pytest.approx(0.004 * cosine[1] / cosine[0], rel=1e-12)
    assert gd.files.read_description(file)["extra"] == {"scaling": [1.5, 2]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_arrays_come_back(file: Path, tmp_path: Path) -> None:
    stored = load_file(file)
    trainer = gd.Trainer.load(file)
    for net in (trainer.network, gd.Network.load(file)):
        state = net.state_dict()
        assert state.keys() == network().state_dict().keys()
        for key, array in state.items():
            assert_same_bits(array, stored[key], key)
    trainer.save(tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert again.keys() == stored.keys()
    for key, array in again.items():
        assert_same_bits(array, stored[key], key)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_goes_on_as_if_it_had_never_been_saved(file: Path, tmp_path: Path) -> None:
    """Within float32: bits may change between versions."""
    made(tmp_path / "now.safetensors")
    random = np.random.default_rng(2)
    x, y = random.standard_normal((20, 6)).astype("f4"), random.integers(0, 3, 20)
    losses = [
        gd.Trainer.load(path).fit(x, y, epochs=3, batch_size=8, progress=False)["loss"]
        for path in (file, tmp_path / "now.safetensors")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)

"""What loading takes: memory by the size of the file, and only regular files."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import pack, small, trained
from support import run_json

import gdcore as gd
from gdcore import files

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

PEAK = """
import json, os, sys
from pathlib import Path
import gdcore as gd
from gdcore import files

def status(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) << 10

small, path, how = sys.argv[1:]
for load in (gd.Trainer.load, gd.Network.load, files.read_description):
    load(small)
given = gd.Network.load(path) if how == "given" else None
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
told = ""
try:
    if how == "given":
        gd.Trainer.load(path, network=given)
    else:
        {"trainer": gd.Trainer.load, "network": gd.Network.load,
         "description": files.read_description}[how](path)
except ValueError as error:
    told = str(error)
print(json.dumps([(status("VmHWM") - before) / os.stat(path).st_size, told]))
"""


def peak(tmp_path: Path, path: Path, how: str) -> tuple[float, str]:
    """Of the memory that loading takes, in sizes of the file; and what was wrong with that."""
    trained().save(tmp_path / "small")
    ratio, told = run_json(PEAK, str(tmp_path / "small"), str(path), how)
    return ratio, told


@linux
@pytest.mark.parametrize("widths", [(4000, 3000), (2000,) * 6], ids=str)
def test_a_network_takes_its_file_twice_at_most(widths: tuple[int, ...], tmp_path: Path) -> None:
    """One layer is the most that is there twice."""
    *hidden, last = widths[1:]
    layers = [*(gd.Dense(units, "relu") for units in hidden), gd.Dense(last)]
    gd.Network(layers, input_size=widths[0]).save(tmp_path / "model")
    ratio, told = peak(tmp_path, tmp_path / "model", "network")
    assert told == ""
    assert ratio < 2.2


@linux
@pytest.mark.parametrize(
    ("rule", "how"),
    [("adam", "trainer"), ("adam", "network"), ("adam", "given"), ("sgd", "trainer")],
)
def test_a_trainer_takes_its_file_twice_at_most(rule: str, how: str, tmp_path: Path) -> None:
    net = gd.Network([gd.Dense(2500), gd.Dense(2500)], input_size=2500)
    gd.Trainer(net, "mse", rule, num_threads=1).save(tmp_path / "model")
    ratio, told = peak(tmp_path, tmp_path / "model", how)
    assert told == ""
    assert ratio < 2.2


FORGED = {
    "lists in extra": '{"extra":{"a":[%s0]},"format":1,"kind":"network"}' % ("[]," * 8_000_000),
    "dicts in extra": '{"extra":{"a":[%s0]},"format":1,"kind":"network"}' % ("{}," * 8_000_000),
    "layers": '{"extra":{},"format":1,"kind":"network","network":{"layers":[%s0]}}'
    % ("[[]]," * 5_000_000),
    "numbers": '{"extra":{"a":[%s0]},"format":1,"kind":"network"}' % ("1.5," * 6_000_000),
    "short texts": '{"extra":{},"format":1,"kind":[%s0]}' % ('"aé",' * 5_000_000),
}


@linux
@pytest.mark.parametrize("how", ["trainer", "network", "description"])
@pytest.mark.parametrize("what", FORGED)
def test_a_forged_description_takes_no_memory(what: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "forged.safetensors"
    pack(path, {"0.weight": np.ones((2, 3))}, FORGED[what])
    ratio, told = peak(tmp_path, path, how)
    assert ratio < 2.2
    assert "forged.safetensors is no gdcore model, or damaged: its header has" in told


@linux
def test_forged_arrays_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "forged.safetensors"
    entry = '"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    text = ("{" + ",".join(entry % number for number in range(400_000)) + "}").encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    ratio, told = peak(tmp_path, path, "network")
    assert ratio < 2.2
    assert "its header has" in told


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    small().save(path)
    whole = path.read_bytes()
    with pytest.raises(ValueError, match=r"parts, more than can be read again"):
        small().save(path, extra={"a": [0.5] * 500_000})
    assert path.read_bytes() == whole
    small().save(path, extra={"a": [0.5] * 200_000, "b": "," * 100_000})
    assert len(files.read_description(path)["extra"]["a"]) == 200_000


# ---- no regular file ----

READERS: list[Any] = [gd.Network.load, gd.Trainer.load, files.read_description]


@pytest.mark.parametrize("load", READERS)
def test_what_is_no_regular_file_is_not_read(load: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # nobody ever writes to it
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "fifo")
    for path in (tmp_path / "fifo", link, Path("/dev/zero"), Path("/dev/null")):
        if not path.exists():
            continue
        with pytest.raises(OSError, match="no regular file") as caught:
            load(path)
        assert caught.value.filename == str(path)


# ---- modes ----


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o640, 0o664, 0o600, 0o755, 0o606, 0o2644, 0o000])
def test_saving_over_a_file_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "model"
    small().save(path)
    before = path.stat()
    path.chmod(mode)
    kept = stat.S_IMODE(path.stat().st_mode)  # the system may take a bit away
    for seed in (1, 2):
        small(seed=seed).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == kept
        assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_file_left_by_a_kill_is_taken_over(tmp_path: Path) -> None:
    """Killed when it had its mode and not yet its name."""
    path, beside = tmp_path / "model", tmp_path / ".model.tmp"
    small().save(path)
    path.chmod(0o444)
    beside.write_bytes(b"half")
    beside.chmod(0o444)
    small(seed=1).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert list(tmp_path.iterdir()) == [path]

"""Model files: bad ones are refused, and writing one fails without a trace."""

from __future__ import annotations

import copy
import errno
import fcntl
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from models import (
    X,
    Y,
    assert_same_network,
    assert_same_trainer,
    comes_back,
    pack,
    rich,
    saved,
    small,
    trained,
    unpacked,
)
from support import ROOT, assert_same_state, run, run_json, run_python

import gdcore as gd
from gdcore import files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# ---- bad files ----


def refused(path: Path) -> None:
    """Each reader raises a ValueError that names the file."""
    for load in (gd.Trainer.load, gd.Network.load, files.read_description):
        with pytest.raises(ValueError, match=path.name):
            load(path)


def complaint(call: Callable[..., Any], *arguments: Any) -> str | None:
    """What its ValueError says, None if there was none; nothing else may come out."""
    try:
        call(*arguments)
    except ValueError as error:
        return str(error)
    return None


def loads_or_is_refused(path: Path) -> bool:
    """Whether it loads to a trainer to go on with; if not, the message names the file."""
    messages = [complaint(load, path) for load in (gd.Network.load, files.read_description)]
    message = complaint(gd.Trainer.load, path)
    assert all(each is None or path.name in each for each in [*messages, message])
    if message is not None:
        return False
    trainer = gd.Trainer.load(path)
    net = trainer.network
    assert all(np.isfinite(array).all() for array in net.state_dict().values())
    if trainer.loss is not None:
        message = complaint(trainer.step, X, np.abs(Y) / 9)
    else:
        net.backward(np.ones_like(net.forward(X, training=True)))
        message = complaint(trainer.apply_gradients)
    assert message is None or message.startswith("schedule must give a learning rate")
    return True


NO_MODELS: dict[str, bytes] = {
    "empty": b"",
    "text": b"Once upon a time there was a network.\n" * 9,
    "zeros": bytes(100),
    "large header": (2**62).to_bytes(8, "little") + b"{}",
    "negative header": b"\xff" * 8 + b"{}",
    "no header": (2).to_bytes(8, "little") + b"{}",
    "numpy": b"\x93NUMPY\x01\x00" + bytes(200),
    "without our key": safetensors.numpy.save({"0.weight": np.ones((2, 3))}),
    "another's key": safetensors.numpy.save({"a": np.ones(2)}, {"format": "pt"}),
}


@pytest.mark.parametrize("what", NO_MODELS)
def test_no_model(what: str, path: Path) -> None:
    path.write_bytes(NO_MODELS[what])
    refused(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 200_000, "no JSON"),
        ("9" * 5000, "damaged"),
        ("[]", "no format version"),
        ("null", "no format version"),
        ("{}", "no format version"),
        ('{"format":true,"extra":{}}', "no format version"),
        ('{"format":1.0,"extra":{}}', "no format version"),
        ('{"format":0,"extra":{}}', "no format version"),
        ('{"format":2,"extra":{}}', "has format 2.*newer gdcore"),
        ('{"format":1}', "lacks 'extra'"),
        ('{"format":1,"extra":3}', "lacks 'extra'"),
    ],
)
def test_descriptions_that_are_none(text: str, words: str, path: Path) -> None:
    pack(path, {"0.weight": np.ones((2, 3))}, text)
    refused(path)
    with pytest.raises(ValueError, match=rf"model\.safetensors .*{words}"):
        files.read_description(path)


def test_a_file_is_cut_anywhere(path: Path) -> None:
    whole = saved(trained("sgd"), path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"model\.safetensors is no gdcore model, or damaged"):
            gd.Trainer.load(path)
    path.write_bytes(whole + b"\0")
    refused(path)


def test_a_byte_is_changed_anywhere(path: Path) -> None:
    rich(path)
    whole = path.read_bytes()
    random = np.random.default_rng(11)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(8), *random.integers(8, header, 500), *random.integers(8, len(whole), 200)]
    loaded = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= int(random.integers(1, 256))
        path.write_bytes(changed)
        loaded += loads_or_is_refused(path)
    assert 0 < loaded < len(places)


def leaves(value: Any, *place: Any) -> Iterator[tuple[Any, ...]]:
    """The places of all parts of a description, those with parts of their own too."""
    if place:
        yield place
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], *place, key)


def changed(description: Any, place: tuple[Any, ...]) -> tuple[Any, Any]:
    """A copy, and in it what holds the place."""
    holder = result = copy.deepcopy(description)
    for key in place[:-1]:
        holder = holder[key]
    return result, holder


BAD = (None, -1, 0, 0.5, 1e300, np.nan, "x", ",", [], [[]], {}, {"name": []}, True, 2**40, 2**70)


def joined(path: Path) -> None:
    """A trainer of two inputs and two outputs."""
    a, b = gd.Input(2, name="a"), gd.Input(3, name="b")
    h = gd.Concat()(a, gd.Dense(2)(b))
    net = gd.Network(inputs=[a, b], outputs={"u": gd.Dense(1)(h), "v": gd.Dense(2)(h)})
    gd.Trainer(net, {"u": "mse", "v": gd.Huber(0.5)}, "sgd", loss_weights={"u": 2}).save(path)


@pytest.mark.parametrize("write", [rich, joined])
def test_any_part_of_a_description_is_forged(write: Callable[[Path], Any], path: Path) -> None:
    write(path)
    arrays, description = unpacked(path)
    places = list(leaves(description))
    assert len(places) > 50
    loaded = 0
    for place in places:
        for bad in BAD:
            forged, holder = changed(description, place)
            holder[place[-1]] = bad
            pack(path, arrays, forged)
            loaded += loads_or_is_refused(path)
        forged, holder = changed(description, place)
        del holder[place[-1]]
        pack(path, arrays, forged)
        loaded += loads_or_is_refused(path)
    assert 0 < loaded < 0.3 * len(places) * len(BAD)


def test_schedules_in_each_other_without_end(path: Path) -> None:
    """Near Python's limit, reading a description takes deeper calls than JSON does."""
    rich(path)
    arrays, description = unpacked(path)
    description["schedule"] = "HERE"
    begin = '{"name":"warmup","duration":1,"per":"epoch","after":'
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit() + 10, 10):
        nested = begin * depth + "null" + "}" * depth
        pack(path, arrays, json.dumps(description).replace('"HERE"', nested))
        loads_or_is_refused(path)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda arrays: arrays.pop(key)


def put(key: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda arrays: arrays.update({key: change(arrays.get(key))})


def first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.concatenate([[value], array.ravel()[1:]]).reshape(array.shape)


ARRAYS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "weight missing": (without("2.weight"), r"2\.weight"),
    "bias missing": (without("2.bias"), r"2\.bias"),
    "state missing": (without("optimizer.0.1.weight"), r"optimizer\.0\.1\.weight"),
    "one too many": (put("3.weight", lambda _: np.ones(3)), "belong to nothing"),
    "bias too many": (put("1.bias", lambda _: np.ones(3)), "belong to nothing"),
    "state too many": (put("optimizer.9.2.bias", lambda _: np.ones(2)), "belong to nothing"),
    "huge but empty": (put("3.weight", lambda _: np.ones((2**40, 0))), "belong to nothing"),
    "float32": (put("2.weight", lambda a: a.astype("f4")), r"2\.weight.*float32.*float64"),
    "int64": (put("2.weight", lambda a: a.astype("i8")), r"2\.weight.*int64"),
    "bool": (put("2.weight", lambda a: a > 0), r"2\.weight.*bool"),
    "state of int64": (put("optimizer.0.2.bias", lambda a: a.astype("i8")), r"2\.bias.*int64"),
    "transposed": (put("2.weight", lambda a: a.T.copy()), r"2\.weight.*shape"),
    "longer": (put("2.bias", lambda _: np.ones(3)), r"2\.bias.*shape"),
    "flat": (put("2.bias", lambda _: np.ones(())), r"2\.bias.*shape"),
    "state longer": (put("optimizer.0.2.bias", lambda _: np.ones(3)), r"2\.bias.*shape"),
    "NaN": (put("2.weight", first(np.nan)), r"2\.weight.*finite"),
    "infinity": (put("2.bias", first(-np.inf)), r"2\.bias.*finite"),
    "NaN in a state": (put("optimizer.1.2.bias", first(np.nan)), r"2\.bias.*finite"),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_that_do_not_fit(what: str, path: Path) -> None:
    rich(path)
    arrays, description = unpacked(path)
    forge, words = ARRAYS[what]
    forge(arrays)
    pack(path, arrays, description)
    loads_or_is_refused(path)
    with pytest.raises(ValueError, match=f"model.safetensors is damaged.*{words}"):
        gd.Trainer.load(path)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "I64", "C64"])
def test_arrays_of_types_that_numpy_may_lack(dtype: str, path: Path) -> None:
    whole = saved(small("float32"), path)
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    begin, end = header["2.weight"]["data_offsets"]
    width = {"BF16": 2, "F16": 2, "I64": 8, "C64": 8}.get(dtype, 1)
    header["2.weight"] |= {"dtype": dtype, "shape": [(end - begin) // width]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size :])
    for load in (gd.Network.load, gd.Trainer.load):
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            load(path)


def test_forged_sizes_allocate_nothing(path: Path) -> None:
    """With 1 GB more to have, a size of 2**31 and more would end in a MemoryError."""
    rich(path)
    arrays, description = unpacked(path)
    network = description["network"]
    for place in [("input_size",), *(("layers", i, "units") for i in range(3))]:
        for size in (2**31, 2**40, 2**62):
            forged, holder = changed(network, place)
            holder[place[-1]] = size
            pack(path.with_name(f"{len(list(path.parent.iterdir()))}.forged"), arrays,
                 description | {"network": forged})  # fmt: skip
    everywhere = json.loads(json.dumps(network))
    everywhere["input_size"] = 2**40
    for layer in everywhere["layers"]:
        layer["units"] = 2**40
    pack(path.with_name("all.forged"), arrays, description | {"network": everywhere})
    empty = {key: np.empty((2**40, 0)) for key in arrays}
    pack(path.with_name("empty.forged"), empty, description | {"network": everywhere})
    code = """
import resource, sys
from pathlib import Path
import gdcore as gd
gd.Trainer.load(Path(sys.argv[1]) / "model.safetensors")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
refused = 0
for path in Path(sys.argv[1]).glob("*.forged"):
    for load in (gd.Trainer.load, gd.Network.load):
        try:
            load(path)
        except ValueError as error:
            words = ("should have shape", "the network cannot be", "64 bits")
            refused += any(each in str(error) for each in words)
print(refused)
"""
    assert run_json(code, str(path.parent)) == 2 * 14


def test_what_a_message_tells(path: Path) -> None:
    small().save(path)
    with pytest.raises(ValueError, match="holds a network and no trainer: read it with"):
        gd.Trainer.load(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        gd.Network.load(path.with_name("nowhere"))
    with pytest.raises(IsADirectoryError, match=path.parent.name):
        gd.Network.load(path.parent)
    trained().save(path)
    for threads in (0, 5000):
        with pytest.raises(ValueError, match=r"^num_threads must be"):
            gd.Trainer.load(path, num_threads=threads)
    for wrong in ({"network": 3}, {"schedule": 3}, {"num_threads": 1.5}):
        with pytest.raises(TypeError, match=f"^{next(iter(wrong))} must be"):
            gd.Trainer.load(path, **wrong)
    for call in (small().save, trained().save, gd.Network.load, gd.Trainer.load):
        for no_path in (3, None, b"model.safetensors"):
            with pytest.raises(TypeError, match=r"^path must be a string or a path"):
                call(no_path)


# ---- writing ----


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_of_any_kind(kind: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "größe 1 ☃.safetensors", "nicht-utf8-\udcff"):
        small().save(kind(name))
        assert_same_network(gd.Network.load(kind(name)), small())
        assert files.read_description(kind(name))["kind"] == "network"
    assert len(list(tmp_path.iterdir())) == 3


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_permissions_are_those_of_any_file(path: Path) -> None:
    before = os.umask(0o027)
    try:
        small().save(path)
        assert mode(path) == 0o640
        path.chmod(0o600)
        small().save(path)  # a file kept private stays so
        assert mode(path) == 0o600
    finally:
        os.umask(before)


def test_what_a_link_leads_to_is_written(path: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    path.symlink_to(target)
    for seed in (1, 2):
        small(seed=seed).save(path)
        assert path.is_symlink()
        assert_same_network(gd.Network.load(target), small(seed=seed))
    assert list((tmp_path / "folder").iterdir()) == [target]


def test_what_is_no_file_is_not_replaced(path: Path) -> None:
    os.mkfifo(path)  # a device such as /dev/null likewise
    with pytest.raises(OSError, match="no regular file") as caught:
        small().save(path)
    assert caught.value.filename == str(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    with pytest.raises(IsADirectoryError, match=path.parent.name):
        small().save(path.parent)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        small().save(path.parent / "nowhere" / "model")
    assert list(path.parent.iterdir()) == [path]


class Ended(BaseException):
    """As KeyboardInterrupt is none, no Exception."""


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("open", PermissionError(errno.EACCES, "no")),
        ("fchmod", PermissionError(errno.EPERM, "no")),
        ("fsync", OSError(errno.ENOSPC, "disk full")),
        ("fsync", KeyboardInterrupt()),
        ("replace", OSError(errno.EIO, "broken")),
        ("replace", Ended()),
    ],
)
def test_a_failure_leaves_the_old_file_alone(
    call: str, error: BaseException, path: Path, monkeypatch: Any
) -> None:
    whole = saved(trained("sgd"), path)
    trainer = trained()
    before = trainer.network.state_dict()

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fail)
        with pytest.raises(type(error)) as caught:
            trainer.save(path)
    assert caught.value is error
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]
    assert_same_state(trainer.network.state_dict(), before)
    comes_back(trainer, path)


def test_a_folder_that_cannot_be_written(path: Path) -> None:
    whole = saved(small(), path)
    path.parent.chmod(0o500)
    try:
        if os.access(path.parent, os.W_OK):
            pytest.skip("who runs the tests may write anywhere, as root may")
        with pytest.raises(PermissionError):
            small(seed=1).save(path)
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_with_no_room(path: Path) -> None:
    """As far as the largest size of a file goes: the first part is written, the rest is not."""
    whole = saved(trained("sgd"), path)
    code = """
import resource, sys
import models
trainer = models.trained()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    trainer.save(sys.argv[1])
except OSError as error:
    print(error.errno)
"""
    assert run_json(code, str(path)) == errno.EFBIG
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_parameters_that_are_not_finite_are_not_saved(path: Path) -> None:
    whole = saved(trained("sgd"), path)
    trainer = gd.Trainer(small("float32"), "mse", gd.SGD(lr=1e38))
    for _ in range(3):
        trainer.step(X, Y)
    for thing in (trainer, trainer.network):
        with pytest.raises(ValueError, match="must be finite to be saved"):
            thing.save(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_crash_leaves_the_old_file_and_the_next_takes_over(call: str, path: Path) -> None:
    whole = saved(trained("sgd"), path)
    code = """
import os, sys
import models
setattr(os, sys.argv[2], lambda *_: os._exit(7))
models.trained().save(sys.argv[1])
"""
    assert run_python(code, str(path), call, check=False).returncode == 7
    assert path.read_bytes() == whole
    left = path.with_name(f".{path.name}.tmp")
    assert left.exists()
    left.write_bytes(left.read_bytes() + bytes(9999))  # of a larger model
    new = trained()
    new.save(path)
    assert list(path.parent.iterdir()) == [path]
    assert_same_trainer(gd.Trainer.load(path), new)


def test_two_who_write_at_once_do_not_mix(path: Path) -> None:
    whole = saved(small(), path)
    left = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(left, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"another's work")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError, match=r"writing this file now.*model.safetensors"):
        small(seed=1).save(path)
    assert (path.read_bytes(), left.read_bytes()) == (whole, b"another's work")
    os.close(descriptor)
    small(seed=1).save(path)
    assert_same_network(gd.Network.load(path), small(seed=1))
    with files.written_beside(path) as file:
        file.write(b"the first")
        with pytest.raises(BlockingIOError):
            small().save(path)
    assert path.read_bytes() == b"the first"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_beside_is_no_link_to_elsewhere(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"mine")
    path.with_name(f".{path.name}.tmp").symlink_to(victim)
    with pytest.raises(OSError, match="link"):
        small().save(path)
    assert victim.read_bytes() == b"mine"


def test_killed_while_saving(tmp_path: Path) -> None:
    """20 times; called by hand, the script kills 200 times."""
    script = ROOT / "tests" / "python" / "data" / "kill_while_saving.py"
    told = json.loads(run([sys.executable, script, tmp_path, "20", "1"], "killing"))
    assert told["kills"] == 20

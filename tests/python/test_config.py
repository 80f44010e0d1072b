"""What the library tells of itself: configuration, operations of a step, and descriptions."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version

import nets
from support import ROOT

import gdcore as gd


def test_the_configuration_tells_what_runs() -> None:
    config = gd.show_config()
    assert config["version"] == gd.__version__ == version("gdcore")
    assert config["isa"] in config["isa_available"]
    if platform.machine() == "x86_64":
        known = ["scalar", "avx2", "avx512", "avx512_bf16", "amx"]
        assert [isa for isa in known if isa in config["isa_available"]] == config["isa_available"]
        assert ("avx2" in config["isa_available"]) == {"avx2", "fma"}.issubset(
            config["cpu_features"]
        )
    assert config["cpus"]["affinity"] >= 1
    assert config["cpus"]["physical_cores"] >= 1
    assert config["num_threads"] == gd.get_num_threads() >= 1
    assert list(config["precision"]) == ["highest", "high", "medium"]
    served = {
        "avx512_bf16": ["float32", "float32", "bfloat16 (avx512_bf16)"],
        "amx": ["float32", "3 x bfloat16 (amx)", "bfloat16 (amx)"],
    }
    assert list(config["precision"].values()) == served.get(config["isa"], ["float32"] * 3)
    for key in ("openmp", "compiler", "build_type"):
        assert config[key]


def test_the_version_is_that_of_pyproject() -> None:
    told = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert told
    assert gd.__version__ == told[1]


def test_the_configuration_prints_as_a_table() -> None:
    lines = str(gd.show_config()).splitlines()
    assert [line.split()[0] for line in lines] == list(gd.show_config())


def test_the_number_of_threads_can_be_set_and_left() -> None:
    before = gd.get_num_threads()
    gd.set_num_threads(7)
    assert gd.get_num_threads() == gd.show_config()["num_threads"] == 7
    assert gd.show_config()["num_threads_source"] == "set_num_threads"
    gd.set_num_threads(None)
    assert gd.get_num_threads() == before


def test_the_operations_of_a_step_are_counted() -> None:
    net = nets.network([20, 30, 10], ["tanh", "identity"], "float32")
    trainer = gd.Trainer(net, loss="mse", optimizer="adam")
    for batch in (1, 50):
        operations = trainer.operations(batch)
        assert trainer.flops_per_step(batch) == sum(entry["flops"] for entry in operations)
        matmuls = [entry for entry in operations if entry["zone"].endswith(("forward", "gradient"))]
        # Forward and weight gradient of both layers, input gradient of the second.
        products = 2 * batch * (2 * (20 * 30 + 30 * 10) + 30 * 10)
        assert sum(entry["flops"] for entry in matmuls) >= products
        assert all(entry["bytes"] > 0 for entry in operations)
    assert {entry["phase"] for entry in operations} == {"forward", "loss", "backward", "update"}
    assert {entry["layer"] for entry in operations} == {"0", "1", ""}


def test_descriptions_print_what_they_are() -> None:
    net = gd.Network([gd.Dense(64, "relu"), gd.Dense(10)], input_size=784)
    assert "784 -> 64 relu -> 10" in repr(net)
    assert f"{784 * 64 + 64 + 64 * 10 + 10:,}" in repr(net)
    assert net.num_parameters == sum(value.size for value in net.state_dict().values())
    assert (net.input_size, net.output_size) == (784, 10)
    assert repr(gd.Adam(lr=0.5)).startswith("Adam(lr=0.5, betas=(0.9, 0.999)")
    assert gd.Dense(3, "leaky_relu") == gd.Dense(3, gd.LeakyReLU())


def test_everything_public_is_there_and_told() -> None:
    for name in gd.__all__:
        assert (getattr(gd, name).__doc__ or "").strip(), f"gdcore.{name} has no docstring"

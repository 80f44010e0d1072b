"""Networks as C99, compiled without a warning, and called from C, Python, C++ and Fortran."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import CASES, DTYPES, INPUTS, X, case, close, randomized

import gdcore as gd
from gdcore import export

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def compiled(folder: Path, *options: str) -> Any:
    """All C files of a folder as one library."""
    files = sorted(map(str, folder.glob("*.c")))
    command = ["cc", *STRICT, *options, "-shared", "-fPIC", "-o", str(folder / "all.so"), *files]
    done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "all.so"))


def called(library: Any, name: str, net: gd.Network, x: Any) -> tuple[int, Any]:
    """What NAME_predict_rows returns and makes of an array or a dict of them."""
    given = list(x.values()) if isinstance(x, dict) else [x]
    codes = [each.categories is not None for each in net.inputs]
    given = [np.ascontiguousarray(v, np.int32 if c else net.dtype) for v, c in zip(given, codes)]
    sizes = list(net.heads.values()) or [net.output_size]
    made = [np.full((len(given[0]), size), np.nan, net.dtype) for size in sizes]
    function = getattr(library, f"{name}_predict_rows")
    pointers = [ctypes.c_void_p(each.ctypes.data) for each in (*given, *made)]
    status = function(ctypes.c_size_t(len(given[0])), *pointers)
    return status, dict(zip(net.heads, made)) if net.heads else made[0]


@pytest.fixture(scope="module", params=DTYPES)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Dtype and library of all cases."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in CASES:
        export.to_c(case(name, request.param)[0], folder / f"{name}.c")
    return request.param, compiled(folder)


@pytest.mark.parametrize("name", CASES)
def test_it_makes_what_predict_does(name: str, library: Any) -> None:
    dtype, functions = library
    net, x = case(name, dtype)
    status, y = called(functions, name, net, x)
    assert status == 0
    close(y, net.predict(x), dtype, name)


def test_optimized_it_makes_the_same(tmp_path: Path) -> None:
    net, x = case("tabm", "float32")
    export.to_c(net, tmp_path / "tabm.c")
    library = compiled(tmp_path, "-O3", "-march=native")
    close(called(library, "tabm", net, x)[1], net.predict(x), "float32", "tabm")


def test_what_is_not_finite_or_no_code_is_refused(library: Any) -> None:
    dtype, functions = library
    net, x = case("joined", dtype)
    for key, at, value, status in [
        ("numbers", (2, 1), np.nan, 1),
        ("numbers", (2, 0), -np.inf, 1),
        ("exp", (2, 0), 4, 2),
        ("exp", (2, 1), -1, 2),
    ]:
        wrong = {k: v.copy() for k, v in x.items()}
        wrong[key][at] = value
        found, y = called(functions, "joined", net, wrong)
        assert found == status
        assert np.isfinite(y["mean"][:2]).all()  # the rows before it
        assert np.isnan(y["mean"][2:]).all()


def test_probabilities(tmp_path: Path) -> None:
    x = X.astype(np.float32)
    nets = {
        "several": gd.Network([gd.Dense(3)], input_size=INPUTS),
        "one": gd.Network([gd.Dense(1)], input_size=INPUTS),
        "members": gd.Network([gd.EnsembleDense(3, 4)], input_size=INPUTS),
    }
    for name, net in nets.items():
        export.to_c(randomized(net), tmp_path / f"{name}.c", probabilities=True)
    library = compiled(tmp_path)
    for name, net in nets.items():
        close(called(library, name, net, x)[1], net.predict_proba(x), "float32", name)


def test_several_networks_as_one(tmp_path: Path) -> None:
    nets = [
        randomized(gd.Network([gd.Dense(3, "tanh"), gd.Dense(2)], input_size=INPUTS), seed)
        for seed in range(3)
    ]
    both, x = gd.Ensemble(nets, weights=[1.0, 2.0, 5.0]), X.astype(np.float32)
    export.to_c(both, tmp_path / "both.c")
    found = called(compiled(tmp_path), "both", nets[0], x)[1]
    close(found, both.predict(x), "float32", "several")


def test_there_is_no_heap_and_no_state(tmp_path: Path) -> None:
    export.to_c(case("joined", "float32")[0], tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    assert not re.findall(r"alloc|free\(|extern|#include <std(?:lib|io)", text)
    static = re.findall(r"^static (?!const )[^(]*$", text, re.MULTILINE)  # but for functions
    assert static == []


def program(folder: Path, files: dict[str, str], *commands: list[str]) -> str:
    """What a program prints that is made of files by commands."""
    for name, text in files.items():
        (folder / name).write_text(text)
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return done.stdout


CPP = """
#include "net.h"
#include <cstdio>
int main() {
  const float numbers[net_NUMBERS_SIZE] = {1, 2, 3};
  const int32_t codes[net_EXP_2_SIZE] = {3, 0};
  float price[net_A_PRICE_SIZE], kind[net_MEAN_2_SIZE];
  if (net_predict(numbers, codes, price, kind)) return 1;
  std::printf("%.9g %.9g", price[0], kind[3]);
}
"""
FORTRAN = """
program main
  use net
  use, intrinsic :: iso_c_binding
  implicit none
  real(c_float) :: numbers(net_numbers_size, 2) = reshape([1., 2., 3., 0., 0., 0.], [3, 2])
  integer(c_int32_t) :: codes(net_exp_2_size, 2) = reshape([3, 0, 9, 0], [2, 2])
  real(c_float) :: price(net_a_price_size, 2), kind(net_mean_2_size, 2)
  if (net_predict(numbers(:, 1), codes(:, 1), price(:, 1), kind(:, 1)) /= 0) stop 1
  if (net_predict_rows(2_c_size_t, numbers, codes, price, kind) /= 2) stop 2
  print *, price(1, 1), kind(4, 1)
end program main
"""


@pytest.mark.parametrize("language", ["c++", "fortran"])
def test_other_languages_call_it(language: str, tmp_path: Path) -> None:
    compiler = {"c++": "c++", "fortran": "gfortran"}[language]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    net, _ = case("joined", "float32")
    export.to_c(net, tmp_path / "net.c", fortran=language == "fortran")
    build = {
        "c++": [["c++", "-Wall", "-Wextra", "-Werror", "m.cpp", "net.o", "-lm", "-o", "m"]],
        "fortran": [
            ["gfortran", "-std=f2018", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
             "net.f90", "m.f90", "net.o", "-o", "m"],
        ],
    }[language]  # fmt: skip
    files = {"m.cpp": CPP, "m.f90": FORTRAN}
    commands = [["cc", *STRICT, "-c", "net.c"], *build, ["./m"]]
    found = np.array(program(tmp_path, files, *commands).split(), np.float32)
    x = {"numbers": np.array([[1, 2, 3]], np.float32), "exp": np.array([[3, 0]])}
    y = net.predict(x)
    wanted = np.array([y["a price"][0, 0], y["mean"][0, 3]])
    close(found, wanted, "float32", language)


def test_names(tmp_path: Path) -> None:
    odd = gd.Network([gd.Dense(2, "elu", name="N(a) */ REAL F(exp) ?")], input_size=2)
    (tmp_path / "odd").mkdir()
    export.to_c(odd, tmp_path / "odd" / "odd.c")
    compiled(tmp_path / "odd")
    shutil.rmtree(tmp_path / "odd")
    net = gd.Network([gd.Dense(1)], input_size=2)
    export.to_c(net, tmp_path / "2 nets.c")
    assert "int nets_predict(const float *x, float *y);" in (tmp_path / "2 nets.h").read_text()
    export.to_c(net, tmp_path / "m.c", name="risk")
    assert "int risk_predict(" in (tmp_path / "m.c").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "2 nets.c", "2 nets.h", "m.c", "m.h",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda net, at: export.to_c(net, at / "m.h"), ValueError, r"path must end with \.c, got"),
        (lambda net, at: export.to_c(net, at / "m.c", name="a-b"), ValueError, "name in C.*'a-b'"),
        (lambda net, at: export.to_c(net, at / "m.c", name="int"), ValueError, "got 'int'"),
        (lambda net, at: export.to_c(net, at / "m.c", name=3), TypeError, "name must be a string"),
        (lambda net, at: export.to_c(net, at / "m.c", fortran=2), TypeError, "fortran must be"),
        (lambda net, at: export.to_c(3, at / "m.c"), TypeError, r"must be a gdcore\.Network"),
        (lambda net, at: export.to_c(net, at / "no" / "m.c"), FileNotFoundError, "no folder"),
    ],
)
def test_bad_arguments_are_told(
    call: Callable[..., None], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        call(gd.Network([gd.Dense(1)], input_size=2), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_has_no_equal_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none yet: two are taken out of the tables."""
    from gdcore.export import _c_parts, _lowered

    monkeypatch.delitem(_lowered.KINDS, "scale")
    monkeypatch.delitem(_c_parts.ACTIVATIONS, "mish")
    with pytest.raises(ValueError, match=r"layer 'by' \(scale\) cannot go to C"):
        export.to_c(gd.Network([gd.Scale(name="by")], input_size=3), tmp_path / "m.c")
    with pytest.raises(ValueError, match=r"layer '0' \(mish\) cannot go to C"):
        export.to_c(gd.Network([gd.Dense(2, "mish")], input_size=3), tmp_path / "m.c")
    assert not list(tmp_path.iterdir())

"""gd.matmul against NumPy in extended precision, and against the chain it is defined to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import chains
from support import assert_same_bits

import gdcore as gd

DTYPES = ("float32", "float64")


def draw(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_product(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Within the bound of any chain of k products: gamma_k |A| |B|, Higham (2002), section 3.5.

    float32 is held against float64, float64 against itself, whose own error has the same bound:
    hence twice gamma_k.
    """
    exact = a.astype(np.float64) @ b.astype(np.float64)
    unit = float(np.finfo(c.dtype).eps) / 2
    depth = a.shape[1]
    gamma = depth * unit / (1 - depth * unit)
    bound = 2 * gamma * (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64))
    assert c.shape == exact.shape
    assert np.all(np.abs(c - exact) <= bound)


@given(
    m=st.integers(1, 70),
    n=st.integers(1, 70),
    k=st.integers(1, 70),
    transpose_a=st.booleans(),
    transpose_b=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**31),
)
def test_any_shape(
    m: int, n: int, k: int, transpose_a: bool, transpose_b: bool, dtype: str, seed: int
) -> None:
    a, b = draw((m, k), dtype, seed), draw((k, n), dtype, seed + 1)
    left = np.ascontiguousarray(a.T) if transpose_a else a
    right = np.ascontiguousarray(b.T) if transpose_b else b
    c = gd.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    assert c.dtype == dtype
    assert_product(c, a, b)
    assert_same_bits(c, gd.matmul(a, b), "transposed and plain")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", ["m", "n", "k"])
def test_every_tail(dtype: str, axis: str) -> None:
    for size in range(1, 41):
        m, n, k = ({"m": 13, "n": 37, "k": 11} | {axis: size}).values()
        a, b = draw((m, k), dtype, size), draw((k, n), dtype, size + 100)
        assert_product(gd.matmul(a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_that_cross_every_block(dtype: str) -> None:
    a, b = draw((419, 1409), dtype, 1), draw((1409, 613), dtype, 2)
    c = gd.matmul(a, b)
    assert_product(c, a, b)
    assert_same_bits(gd.matmul(a.T.copy(), b, transpose_a=True), c, "transpose_a")
    assert_same_bits(gd.matmul(a, b.T.copy(), transpose_b=True), c, "transpose_b")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 17), (33, 50, 200), (7, 130, 1025)])
def test_an_element_is_one_chain_in_increasing_k(shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    a, b = draw((m, k), "float32", 3), draw((k, n), "float32", 4)
    assert_same_bits(gd.matmul(a, b), chains.matmul(a, b), "chain")


def test_the_oracle_of_the_chain_rounds_once() -> None:
    # (1 + 2^-23)^2 is 1 + 2^-22 + 2^-46: rounding the product first would lose the last term.
    one = np.array([1 + 2.0**-23], dtype=np.float32)
    minus = np.array([-1 - 2.0**-22], dtype=np.float32)
    assert chains.fma32(one, one, minus)[0] == 2.0**-46
    assert (one * one + minus)[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_do_not_see_each_other(dtype: str) -> None:
    a, b = draw((67, 301), dtype, 5), draw((301, 45), dtype, 6)
    whole = gd.matmul(a, b)
    for i in range(len(a)):
        assert_same_bits(gd.matmul(a[i : i + 1], b)[0], whole[i], f"row {i}")
    for j in (0, 1, 15, 16, 44):
        assert_same_bits(gd.matmul(a, b[:, j : j + 1])[:, 0], whole[:, j], f"column {j}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_touch_the_bits(dtype: str) -> None:
    a, b = draw((203, 517), dtype, 7), draw((517, 191), dtype, 8)
    gd.set_num_threads(1)
    serial = gd.matmul(a, b)
    for threads in (2, 3, 5):
        gd.set_num_threads(threads)
        assert_same_bits(gd.matmul(a, b), serial, f"{threads} threads")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[:, ::3],
        lambda x: x[::-1],
        lambda x: x[:, ::-1],
        lambda x: x[3:40, 5:50],
        lambda x: np.asfortranarray(x),
        lambda x: x[::-2, ::-3],
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: np.broadcast_to(x[:, :1], x.shape),
    ],
)
def test_any_strides(dtype: str, view: object) -> None:
    assert callable(view)
    a = view(draw((64, 96), dtype, 9))
    b = view(draw((64, 96), dtype, 10))
    plain_a, plain_b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    c = gd.matmul(a, b, transpose_b=True)
    assert_product(c, plain_a, plain_b.T)
    assert_same_bits(c, gd.matmul(plain_a, plain_b, transpose_b=True), "strided and plain")
    assert_same_bits(gd.matmul(a, b.T), c, "a view as transpose")


def test_misaligned_and_read_only_input() -> None:
    raw = np.zeros(4 * 30 * 20 + 1, dtype=np.uint8)
    a = raw[1:].view(np.float32).reshape(30, 20)
    a[...] = draw((30, 20), "float32", 11)
    a.flags.writeable = False
    b = draw((20, 10), "float32", 12)
    assert_same_bits(gd.matmul(a, b), gd.matmul(a.copy(), b), "misaligned")


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_is_filled_and_returned(dtype: str) -> None:
    a, b = draw((21, 34), dtype, 13), draw((34, 17), dtype, 14)
    out = np.full((21, 17), np.nan, dtype=dtype)
    assert gd.matmul(a, b, out=out) is out
    assert_same_bits(out, gd.matmul(a, b), "out")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0, 3), (0, 5, 0)])
def test_no_rows_or_no_columns(shape: tuple[int, int, int], dtype: str) -> None:
    m, n, k = shape
    assert gd.matmul(draw((m, k), dtype), draw((k, n), dtype)).shape == (m, n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_empty_sum_is_zero(dtype: str) -> None:
    out = np.full((4, 6), 7, dtype=dtype)
    c = gd.matmul(np.zeros((4, 0), dtype), np.zeros((0, 6), dtype), out=out)
    assert c is out
    assert not c.any()


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("int64", "float32", "float64"),
        ("int8", "float32", "float64"),
        ("float16", "float32", "float64"),
        ("bool", "float64", "float64"),
        ("int32", "uint8", "float64"),
        (">f8", "float64", "float64"),
    ],
)
def test_real_numbers_are_converted(left: str, right: str, result: str) -> None:
    a = np.abs(10 * draw((5, 6), "float64", 17)).astype(left)
    b = np.abs(10 * draw((6, 4), "float64", 18)).astype(right)
    c = gd.matmul(a, b)
    assert c.dtype == result
    assert_same_bits(c, gd.matmul(a.astype(result), b.astype(result)), "converted")


def test_lists_do_as_well() -> None:
    assert gd.matmul([[1, 2], [3, 4]], [[5.0], [6.0]]).tolist() == [[17.0], [39.0]]


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_lower_precision_is_never_worse_than_its_bound(precision: str) -> None:
    """high: three products of bfloat16 parts; medium: one. Where no unit serves, float32 does."""
    a, b = draw((50, 300), "float32", 19), draw((300, 40), "float32", 20)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    c = gd.matmul(a, b, precision=precision)
    # bfloat16 keeps 8 bits: a product is off by 2 * 2^-9 relative, its two-part form by 2^-17
    # for each of the three; norms of random products add up no worse.
    error = np.linalg.norm(c - exact) / np.linalg.norm(exact)
    assert error <= {"high": 3 * 2.0**-17, "medium": 2.0**-8}[precision]

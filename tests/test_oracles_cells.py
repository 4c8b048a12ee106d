"""Recurrent cells, Fourier transforms and elimination against loops that do the work, one scalar operation at a time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallies import Number, Shapes, Tally, ruled, summed

from irflops.ir.graph import Attrs, DType, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView

few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 3)


# ------------------------------------------------------------------ recurrent cells


@few
@given(sizes, sizes, st.booleans(), st.booleans())
def test_step_of_an_lstm(batch: int, cells: int, biased: bool, whole: bool) -> None:
    forward, backward = Tally(), Tally()
    for _ in range(batch * cells):
        i, f, g, o = (summed([Number(forward)] * (4 if biased else 2)).function() for _ in range(4))
        c = f * Number(forward) + i * g
        o * c.function()
        dh, dc, gate, t = (Number(backward) for _ in range(4))
        dh * t.function()  # of the output gate
        dc = dh * gate * (1 - t * t) + dc
        through = [dh, dc * gate, dc * gate]
        for gradient in through:
            gradient * (1 - gate) * gate
        (dc * gate) * (1 - gate * gate)
        if whole:
            dc * gate
    if whole:
        for _ in range(4 * cells):
            summed([Number(backward) for _ in range(batch)])
    state, wide = (batch, cells), (batch, 4 * cells)
    biases = {"input_bias": (4 * cells,), "hidden_bias": (4 * cells,)} if biased else {}
    operands = {"input_gates": wide, "hidden_gates": wide, "cx": state, **biases}
    assert ruled("fused_lstm_cell", operands, {"hy": state, "cy": state, "workspace": wide}) == forward.work()
    results: dict[str, Shapes] = {"grad_gates": wide}
    if whole:
        results |= {"grad_cx": state, "grad_bias": (4 * cells,)}
    operands = {**dict.fromkeys(("grad_hy", "grad_cy", "cx", "cy"), state), "workspace": wide}
    assert ruled("fused_lstm_cell_grad", operands, results) == backward.work()


@few
@given(sizes, sizes, st.booleans(), st.booleans())
def test_step_of_a_gru(batch: int, cells: int, biased: bool, whole: bool) -> None:
    forward, backward = Tally(), Tally()
    for _ in range(batch * cells):
        x = Number(forward)
        r, z = (summed([x] * (4 if biased else 2)).function() for _ in range(2))
        inner = (x + 1) + r * (x + 1) if biased else x + r * x
        n = inner.function()
        n + z * (x - n)
        d = Number(backward)
        d * (d - 1) * (1 - d) * d
        dn = d * (1 - d) * (1 - d * d)
        dn * d
        dn * d * (1 - d) * d
        if whole:
            d * d
    if whole:
        for _ in range(2 * 3 * cells):
            summed([Number(backward) for _ in range(batch)])
    state, wide = (batch, cells), (batch, 3 * cells)
    biases = {"input_bias": (3 * cells,), "hidden_bias": (3 * cells,)} if biased else {}
    operands = {"input_gates": wide, "hidden_gates": wide, "hx": state, **biases}
    assert ruled("fused_gru_cell", operands, {"hy": state, "workspace": (batch, 5 * cells)}) == forward.work()
    results: dict[str, Shapes] = {"grad_input_gates": wide, "grad_hidden_gates": wide}
    if whole:
        results |= {"grad_hx": state, "grad_input_bias": (3 * cells,), "grad_hidden_bias": (3 * cells,)}
    assert ruled("fused_gru_cell_grad", {"grad_hy": state, "workspace": (batch, 5 * cells)}, results) == backward.work()


# ------------------------------------------------------------------ Fourier transforms


def transformed(n: int, tally: Tally) -> None:
    """A complex transform of n numbers, cut by its least prime factor: those of the parts, then butterflies of one number of each."""
    prime = next((p for p in range(2, n + 1) if n % p == 0), None)
    if prime is None:
        return
    for _ in range(prime):
        transformed(n // prime, tally)
    for _ in range(n // prime):
        tally.do(6 * (prime - 1))  # each but the first turned: a complex product
        for result in range(prime):
            for number in range(1, prime):
                if prime > 2 and result:  # times a root of unity that is more than a sign
                    tally.do(6)
                tally.do(2)
                assert number


@pytest.mark.parametrize("n", [*range(1, 33), 49, 60, 64, 97, 128])
def test_transform_of_any_length(n: int) -> None:
    tally = Tally()
    for _ in range(2):
        transformed(n, tally)
    for _ in range(2 * n):  # a factor for the real and one for the imaginary part
        tally.do(2)
    x = TensorType((2, n), DType.COMPLEX64)
    op = OpView("fft_c2c", {"input": [x]}, {"out": [x]}, Attrs({"dims": (1,), "forward": True, "norm_mode": 0, "norm_fct": 1.0}))
    assert BOOK.by_type["fft_c2c"].cost(op) == tally.work()
    if n & (n - 1) == 0:
        assert tally.arithmetic == 2 * 5 * n * (n.bit_length() - 1) + 4 * n  # what is told of the fast transform


# ------------------------------------------------------------------ elimination


@pytest.mark.parametrize("n", range(7))
def test_elimination(n: int) -> None:
    tally = Tally()
    for column in range(n):
        for _row in range(column + 1, n):
            tally.do()  # is it larger
        for _row in range(column + 1, n):
            tally.do()  # the quotient
            for _ in range(column + 1, n):
                Number(tally) - Number(tally) * 1
    results = {"LU": (n, n), "pivot": (n,)}
    assert ruled("lu_decomposition", {"x": (n, n)}, results) == tally.work()
    tally.do(max(0, n - 1))  # the diagonal
    assert ruled("det", {"x": (n, n)}, {"y": ()}) == tally.work()

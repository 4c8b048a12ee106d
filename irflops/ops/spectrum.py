"""Fourier transforms, and complex numbers taken apart.

Of a length n = p1 p2 ... the fast transform has a stage for each prime factor p: n / p butterflies of p numbers. A complex product takes 6
operations, a complex sum 2. A butterfly turns p - 1 numbers (6 each), and makes p sums of p numbers (2 p (p - 1)), for p > 2 of products
with roots of unity ((p - 1)^2, 6 each). For n = 2^k that is the 5 n log2 n that is told of it.
"""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import no_work
from irflops.ops.op_view import OpView
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, normal_axis
from irflops.ops.traffic import Traffic, touch_all
from irflops.ops.work import Unknowable, Work

_REAL_OF = {DType.COMPLEX32: DType.FLOAT16, DType.COMPLEX64: DType.FLOAT32, DType.COMPLEX128: DType.FLOAT64}
_COMPLEX_OF = {real: complex_ for complex_, real in _REAL_OF.items()}


_LARGEST_DIVISOR = 1 << 16
"""Factors are sought up to here: enough for lengths of 2^32, and no dump may ask for more time."""


def factors(n: int) -> list[int]:
    """The prime factors of n, each as often as it divides; none of 1 and below. Unknowable where the search would take too long."""
    found = []
    divisor = 2
    while divisor * divisor <= n:
        if divisor > _LARGEST_DIVISOR:
            raise Unknowable("the factors of so long an axis", known=Work(arithmetic=None))
        while n % divisor == 0:
            found.append(divisor)
            n //= divisor
        divisor += 1
    return [*found, n] if n > 1 else found


def transform(n: int) -> int:
    """Operations of a complex transform of n numbers."""

    def butterfly(p: int) -> int:
        return 6 * (p - 1) + 2 * p * (p - 1) + (6 * (p - 1) ** 2 if p > 2 else 0)

    return sum(n // p * butterfly(p) for p in factors(n))


def _dims(op: OpView, rank: int) -> list[int]:
    axes = [normal_axis(axis, rank) for axis in op.ints("dims")]
    if not axes:
        raise ValueError(f"{op.type} transforms along one axis at least, and dims is empty")
    return axes


def c2c_shape(op: OpView) -> Inferred:
    """Like the operand."""
    _dims(op, len(op.shape("input")))
    return {"out": op.input("input")}


def r2c_shape(op: OpView) -> Inferred:
    """Complex; of the last axis that is transformed half and one more, unless both sides are asked for."""
    shape = list(op.shape("input", at_least=1))
    axis = _dims(op, len(shape))[-1]
    if op.flag("onesided"):
        shape[axis] = shape[axis] // 2 + 1
    return {"out": TensorType(tuple(shape), _converted(op, _COMPLEX_OF))}


def c2r_shape(op: OpView) -> Inferred:
    """Real; the last axis that is transformed as long as it is asked to be."""
    shape = list(op.shape("input", at_least=1))
    shape[_dims(op, len(shape))[-1]] = op.integer("last_dim_size", least=1)
    return {"out": TensorType(tuple(shape), _converted(op, _REAL_OF))}


def _converted(op: OpView, of: dict[DType, DType], arg: str = "input") -> DType | None:
    dtype = op.input(arg).dtype
    if dtype is not None and dtype not in of:
        raise ValueError(f"{op.type} takes no {arg} of {dtype.word}")
    return None if dtype is None else of[dtype]


def c2c_cost(op: OpView) -> Work:
    """A transform of each line along each axis, one axis after the other; a factor."""
    shape = op.shape("out")
    return Work(arithmetic=_lines(shape, _dims(op, len(shape))) + 2 * op.numel("out"))


def _lines(shape: tuple[int, ...], axes: list[int]) -> int:
    return sum(math.prod(shape) // shape[axis] * transform(shape[axis]) for axis in axes if shape[axis])


def _half(real: tuple[int, ...], halved: tuple[int, ...], axes: list[int]) -> int:
    """Of one real axis half a transform; of the others, which have half as many lines, whole ones."""
    *others, last = axes
    lines = math.prod(real) // real[last] if real[last] else 0
    return lines * -(-transform(real[last]) // 2) + _lines(halved, others)


def r2c_cost(op: OpView) -> Work:
    """As many real lines along the last axis, then complex ones along the others; a factor."""
    shape = op.shape("input", at_least=1)
    axes = _dims(op, len(shape))
    halved = [extent // 2 + 1 if i == axes[-1] else extent for i, extent in enumerate(shape)]
    return Work(arithmetic=_half(shape, tuple(halved), axes) + 2 * op.numel("out"))


def c2r_cost(op: OpView) -> Work:
    """The same the other way round; a factor for each real number."""
    shape = op.shape("out", at_least=1)
    return Work(arithmetic=_half(shape, op.shape("input"), _dims(op, len(shape))) + op.numel("out"))


def stft_shape(op: OpView) -> Inferred:
    """Frequencies by frames, real and imaginary parts last; a batch of one loses its axis."""
    batch, frames, length = op.shape("input", rank=3)
    shape = (length // 2 + 1 if op.flag("onesided") else length, frames, 2)
    return {op.first_output: TensorType(shape if batch == 1 else (batch, *shape), op.input("input").dtype)}


def stft_cost(op: OpView) -> Work:
    """A real transform of each frame, and a factor."""
    batch, frames, length = op.shape("input", rank=3)
    return Work(arithmetic=batch * frames * -(-transform(length) // 2) + op.numel(op.first_output))


def part_shape(of: dict[DType, DType]) -> ShapeRule:
    """A shape rule: like the operand, in the dtype that goes with its."""

    def shape(op: OpView) -> Inferred:
        return {op.first_output: TensorType(op.input(op.first_input).shape, _converted(op, of, op.first_input))}

    return shape


def part_traffic(op: OpView) -> Traffic:
    """One part of each complex number is read."""
    return Traffic(reads={op.first_input: op.nbytes(op.first_output)}, writes={op.first_output: op.nbytes(op.first_output)})


def like_shape(op: OpView) -> Inferred:
    """Like the operand."""
    return {op.first_output: op.input(op.first_input)}


def conj_cost(op: OpView) -> Work:
    """The sign of the imaginary part."""
    return Work(arithmetic=op.numel("y"))


_FFT = "stages of n / p butterflies of 6 (p - 1) + 2 p (p - 1) operations for each prime factor p of n, + 6 (p - 1)^2 for p > 2"
_FFT_SOURCE = "Cooley and Tukey 1965, in mixed radix; OneFlow's fft_ops.cpp"
_FFT_IGNORES = "the roots of unity, which are worked out once; other algorithms, which long primes would take"


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("fft_c2c",),
        summary="Complex Fourier transform along some axes.",
        formula=f"flops for each line of n along each axis: {_FFT}; 2 * numel(out) for the factor",
        shape=c2c_shape,
        cost=c2c_cost,
        traffic=touch_all,
        ignores=_FFT_IGNORES,
        source=_FFT_SOURCE,
        examples=(
            Example(
                call="fft_c2c(input: c64[3,8], dims=[1], forward=true, norm_mode=0, norm_fct=1.0) -> out: c64[3,8]",
                because="3 lines of 3 stages of 4 butterflies: a complex product and two complex sums, 10; 24 complex numbers times "
                "a factor",
                macs=0,
                flops=360 + 48,
                transcendentals=0,
                bytes_read=192,
                bytes_written=192,
            ),
            Example(
                call="fft_c2c(input: c64[3,2], dims=[0,-1], forward=true, norm_mode=0, norm_fct=1.0) -> out: c64[3,2]",
                because="2 lines of one butterfly of 3: 2 turned, 3 sums of 3 in which 4 products: 12 + 12 + 24; 3 lines of 2: 10; 6 "
                "factors",
                flops=96 + 30 + 12,
            ),
        ),
    ),
    OpRule(
        op_types=("fft_r2c",),
        summary="Fourier transform of real numbers along some axes.",
        formula=f"flops for each real line half, rounded up, of what a complex one takes: {_FFT}; whole for the lines along other "
        "axes; 2 * "
        "numel(out) for the factor",
        shape=r2c_shape,
        cost=r2c_cost,
        traffic=touch_all,
        ignores=f"{_FFT_IGNORES}; the other half of the frequencies, copied where both sides are asked for",
        source=_FFT_SOURCE,
        examples=(
            Example(
                call="fft_r2c(input: f32[3,8], dims=[1], norm_mode=0, norm_fct=1.0, onesided=true) -> out: c64[3,5]",
                because="3 lines of half of 120; 15 complex numbers times a factor",
                flops=180 + 30,
                bytes_read=96,
                bytes_written=120,
            ),
            Example(
                call="fft_r2c(input: f64[4,2], dims=[0,1], norm_mode=0, norm_fct=1.0, onesided=true) -> out: c128[4,2]",
                because="4 real lines of half of 10; 2 complex lines of 4: 2 stages of 2 butterflies, 40 each; 8 factors",
                flops=20 + 80 + 16,
            ),
        ),
    ),
    OpRule(
        op_types=("fft_c2r",),
        summary="Fourier transform to real numbers along some axes.",
        formula=f"flops for each real line half, rounded up, of what a complex one takes: {_FFT}; whole for the lines along other axes; "
        "numel(out) for the factor",
        shape=c2r_shape,
        resized=baked("last_dim_size"),
        cost=c2r_cost,
        traffic=touch_all,
        ignores=_FFT_IGNORES,
        source=_FFT_SOURCE,
        examples=(
            Example(
                call="fft_c2r(input: c64[3,5], dims=[1], norm_mode=0, norm_fct=1.0, last_dim_size=8) -> out: f32[3,8]",
                because="3 lines of half of 120; 24 real numbers times a factor",
                flops=180 + 24,
                bytes_read=120,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("stft",),
        summary="Fourier transform of each frame of a signal; frames and window come before it.",
        formula=f"flops for each frame of n half, rounded up, of what a complex transform takes: {_FFT}; numel(output) for the factor",
        shape=stft_shape,
        cost=stft_cost,
        traffic=touch_all,
        ignores=f"{_FFT_IGNORES}; the other half of the frequencies, copied where both sides are asked for",
        source="OneFlow's stft_op.cpp, which calls the result output in 0.9.0, and takes no window",
        examples=(
            Example(
                call="stft(input: f32[2,3,8], onesided=true) -> output: f32[2,5,3,2]",
                because="6 frames of half of 120; 60 numbers times a factor",
                flops=360 + 60,
                bytes_read=192,
                bytes_written=240,
            ),
            Example(
                call="stft(input: f32[1,3,8], onesided=false) -> out: f32[8,3,2]",
                because="a batch of one loses its axis; 3 frames, 48 numbers; as the definition names the result",
                flops=180 + 48,
            ),
        ),
    ),
    OpRule(
        op_types=("real", "imag"),
        summary="The real or the imaginary part of complex numbers, copied.",
        formula="no arithmetic; reads that part of x, writes out",
        shape=part_shape(_REAL_OF),
        cost=no_work,
        traffic=part_traffic,
        source="OneFlow's complex_ops.cpp",
        examples=(
            Example(call="real(x: c64[2,3]) -> out: f32[2,3]", because="6 floats each way", flops=0, bytes_read=24, bytes_written=24),
        ),
    ),
    OpRule(
        op_types=("real_grad", "imag_grad"),
        summary="Complex numbers of one part, the other zero.",
        formula="no arithmetic; reads dout, writes dx, zeros included",
        shape=part_shape(_COMPLEX_OF),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's complex_ops.cpp",
        examples=(
            Example(
                call="imag_grad(dout: f32[2,3]) -> dx: c64[2,3]", because="6 floats in, 12 out", flops=0, bytes_read=24, bytes_written=48
            ),
        ),
    ),
    OpRule(
        op_types=("conj_physical",),
        summary="Conjugate complex numbers.",
        formula="flops = numel(y): the sign of the imaginary part",
        shape=like_shape,
        cost=conj_cost,
        traffic=touch_all,
        source="OneFlow's complex_ops.cpp",
        examples=(Example(call="conj_physical(x: c64[2,3]) -> y: c64[2,3]", because="6 signs", flops=6, bytes_read=48, bytes_written=48),),
    ),
)

"""The buffer that a kernel works in while it runs: how large OneFlow 0.9.0 makes it, by kind of device.

Sources: the `SetInferTmpSizeFn` of the kernels under oneflow/user/kernels. Where a library asks the GPU at hand (cuDNN, cub), no
dump can tell.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from math import prod

from irflops.ops.op_view import OpView
from irflops.ops.work import MissingShape

ALIGNMENT = 512
"""Bytes to which OneFlow rounds a block up, and CUDA's kernels each part of their buffer."""

MULTIPROCESSORS, BLOCKS = 108, 4
"""Of an A100, and how many blocks of a layer norm's gradient run on each at once: what a kernel asks the GPU and no dump tells."""


class DeviceKind(enum.Enum):
    """What a kernel runs on."""

    CPU = "cpu"
    CUDA = "cuda"


class AskedOf(enum.Enum):
    """Who decides a buffer's size when the graph is compiled."""

    CUDNN = "cuDNN"
    CUB = "cub"


TemporaryRule = Callable[[OpView, DeviceKind], int | AskedOf]
"""Bytes of the buffer of one op, not rounded up, on a kind of device; who decides them where the device at hand does."""


def aligned(nbytes: int) -> int:
    """Bytes rounded up to whole blocks."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def no_buffer(_op: OpView, _kind: DeviceKind) -> int:
    """A kernel that needs none."""
    return 0


def buffer_like(*args: str) -> TemporaryRule:
    """Each of some arguments once more."""

    def rule(op: OpView, _kind: DeviceKind) -> int:
        return sum(aligned(op.nbytes(arg)) for arg in args)

    return rule


def reduction_buffer(op: OpView, kind: DeviceKind) -> int:
    """A reduction: the operand once more; a sum of half floats on CUDA is a product with ones where the axes lie together at an end."""
    operand, result = op.first_input, op.first_output
    dtype = op.dtype(operand)
    if op.type != "reduce_sum" or kind is DeviceKind.CPU or dtype.bits != 16 or not dtype.is_float:
        return op.nbytes(operand)
    return _half_sum(op, operand, result)


def sum_like_buffer(op: OpView, kind: DeviceKind) -> int:
    """A sum to the shape of another tensor: nothing where no axis is summed."""
    if op.shape("x") == op.shape("like"):
        return 0
    dtype = op.dtype("x")
    return _half_sum(op, "x", "y") if kind is DeviceKind.CUDA and dtype.is_float and dtype.bits == 16 else op.nbytes("x")


def _half_sum(op: OpView, operand: str, result: str) -> int:
    shape = op.shape(operand)
    axes = {axis % len(shape) for axis in op.ints("axis", least=-len(shape))} if shape else set()
    kept = [axis for axis, extent in enumerate(shape) if axis not in axes and extent != 1]
    summed = [axis for axis, extent in enumerate(shape) if axis in axes and extent != 1]
    if not kept or not summed or kept[-1] < summed[0] or summed[-1] < kept[0]:
        return aligned(prod(shape[axis] for axis in summed) * 2)
    return 2 * aligned(op.numel(operand) * 4) + aligned(op.numel(result) * 4)


def where_buffer(op: OpView, _kind: DeviceKind) -> int:
    """`where`: condition and operands, broadcast to the result."""
    numel = op.numel("out")
    parts = [op.dtype("condition").nbytes(numel)]
    parts += [op.dtype("out").nbytes(numel) for arg in ("x", "y") if arg in op.input_args]
    return sum(map(aligned, parts)) if len(parts) > 1 else 0


def layer_norm_buffer(op: OpView, kind: DeviceKind) -> int:
    """The gradient of a layer norm's scale and offset: a part of both for each row of blocks."""
    if kind is DeviceKind.CPU:
        return 0
    norms = op.numel("mean")
    width = op.numel("dy") // max(norms, 1)
    rows = min(-(-norms // 32), MULTIPROCESSORS * BLOCKS // max(-(-width // 32), 1))
    return (2 * max(rows, 1) * width + max(rows, 1)) * op.dtype("dy").bits // 8


def group_norm_buffer(op: OpView, _kind: DeviceKind) -> int:
    """The gradient of a group norm's scale and offset: a part of both for each sample."""
    batch, channels = op.shape("x", at_least=2)[:2]
    return 2 * batch * channels * max(op.dtype("x").bits, 32) // 8


def update_buffer(op: OpView, _kind: DeviceKind) -> int:
    """An update that is scaled by norms: the update, and the two norms."""
    return aligned(op.nbytes("model")) + ALIGNMENT


def batch_norm_buffer(op: OpView, kind: DeviceKind) -> int:
    """A batch norm: cuDNN asks for a byte at least, and its gradient behind a relu without a sum for the gradient once more."""
    if kind is DeviceKind.CPU or (op.type == "normalization" and "mean" not in op.output_args):
        return 0
    masked = op.type == "normalization_add_relu_grad" and "addend_diff" not in op.output_args
    return (aligned(op.nbytes("dy")) if masked else 0) + ALIGNMENT


_THREADS, _MOST_BLOCKS, _TOGETHER = 512, 8192, 64
"""Threads of a block, blocks at most, and tensors that one launch takes, in OneFlow's reductions over many tensors."""


def many_tensors_buffer(op: OpView, kind: DeviceKind) -> int:
    """A reduction over many tensors on CUDA: two numbers for each block of each launch."""
    if kind is DeviceKind.CPU:
        return 0
    sizes = [prod(shape) for shape in op.shapes("x")]
    launches = [max(sizes[first : first + _TOGETHER]) for first in range(0, len(sizes), _TOGETHER)]
    blocks = sum(min(-(-largest // _THREADS), _MOST_BLOCKS) for largest in launches)
    dtype = op.first("x").dtype
    if dtype is None:
        raise MissingShape("x")
    return 2 * blocks * dtype.bits // 8


def segment_buffer(op: OpView, kind: DeviceKind) -> int:
    """Sums of half floats by segment on CUDA: the result in 32 bits."""
    dtype = op.dtype("out")
    return op.numel("out") * 4 if kind is DeviceKind.CUDA and dtype.is_float and dtype.bits == 16 else 0


def column_buffer(weight: str, positions: str) -> TemporaryRule:
    """A convolution or one of its gradients: on a CPU the patches as columns; on CUDA what cuDNN asks for."""

    def rule(op: OpView, kind: DeviceKind) -> int | AskedOf:
        if kind is DeviceKind.CUDA:
            return AskedOf.CUDNN
        last = "data_format" in op.attrs and op.attrs["data_format"] == "channels_last"
        shape = op.shape(positions, at_least=3)
        spatial = prod(shape[1:-1] if last else shape[2:])
        size = op.dtype(positions).bits // 8
        ones = spatial * size if "bias" in op.input_args else 0
        return (prod(op.shape(weight)[1:]) * spatial * size if weight else spatial * size) + ones

    return rule


def cub_buffer(_op: OpView, kind: DeviceKind) -> int | AskedOf:
    """Sorts and searches for the greatest: what cub asks for on CUDA."""
    return AskedOf.CUB if kind is DeviceKind.CUDA else 0

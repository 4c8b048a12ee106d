"""The buffers that kernels work in, by hand: blocks are of 512 bytes, and what is not rounded up is said."""

from __future__ import annotations

import pytest

from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.temporary import AskedOf, DeviceKind, aligned
from irflops.ops.work import MissingShape
from irflops.readers.notation.op_signature import read_call

Size = int | AskedOf


def buffers(text: str) -> tuple[Size, Size]:
    """Of a call: what its kernel asks for on a CPU, and on a GPU."""
    call = read_call(text)
    view = OpView(call.op_type, call.inputs, call.outputs, call.attrs)
    rule = BOOK.by_type[call.op_type]
    return rule.temporary(view, DeviceKind.CPU), rule.temporary(view, DeviceKind.CUDA)


def test_blocks_are_whole() -> None:
    assert [aligned(nbytes) for nbytes in (0, 1, 511, 512, 513, 1024, 1025)] == [0, 512, 512, 512, 1024, 1024, 1536]


@pytest.mark.parametrize(
    ("call", "cpu", "cuda"),
    [
        pytest.param("relu(x: f32[8]) -> y: f32[8]", 0, 0, id="none"),
        pytest.param("masked_fill(x: f32[8], mask: bool[8]) -> out: f32[8]", 0, 0, id="no choice between two tensors"),
        pytest.param("broadcast_div_grad(y: f32[20], z: f32[10,20], dz: f32[10,20]) -> dy: f32[20]", 1024, 1024, id="its result: 800"),
        pytest.param("lamb_update(model: f32[10,30], model_diff: f32[10,30]) -> ()", 2048, 2048, id="the update: 1200; two norms"),
        pytest.param("argmax(in: f32[2,10]) -> out: i64[2]", 0, AskedOf.CUB, id="a library for CUDA decides"),
        # A choice: condition, x and y as large as the result of 600 elements, each in whole blocks
        pytest.param("where(condition: bool[3,1], x: f32[200], y: f32[]) -> out: f32[3,200]", 6144, 6144, id="600, 2400 and 2400"),
        pytest.param("where(condition: i64[3,1], x: f16[200], y: f16[]) -> out: f16[3,200]", 8192, 8192, id="4800, 1200 and 1200"),
        pytest.param("where_scalar_x(condition: bool[3,1], y: f32[200]) -> out: f32[3,200]", 3584, 3584, id="600 and 2400"),
        pytest.param("where_scalar_y(condition: bool[3,1], x: f32[200]) -> out: f32[3,200]", 3584, 3584, id="2400 and 600"),
        pytest.param("where_scalar_xy(condition: bool[3,200]) -> out: f32[3,200]", 0, 0, id="nothing is broadcast"),
        # Half floats by segment are summed in 32 bits
        pytest.param("unsorted_segment_sum(data: f16[3,6], segment_ids: i32[3]) -> out: f16[5,6]", 0, 120, id="30 sums"),
        pytest.param("unsorted_segment_sum(data: f32[3,6], segment_ids: i32[3]) -> out: f32[5,6]", 0, 0, id="sums of 32 bits"),
        pytest.param("unsorted_segment_sum(data: i16[3,6], segment_ids: i32[3]) -> out: i16[5,6]", 0, 0, id="sums of integers"),
    ],
)
def test_buffers(call: str, cpu: Size, cuda: Size) -> None:
    assert buffers(call) == (cpu, cuda)


def summed(operand: str, axes: str, result: str, op_type: str = "reduce_sum") -> str:
    return f"{op_type}(input_tensor: {operand}, axis={axes}, keepdims=false) -> output_tensor: {result}"


@pytest.mark.parametrize(
    ("call", "cpu", "cuda"),
    [
        pytest.param(summed("f32[8,8]", "[1]", "f32[8]"), 256, 256, id="the operand once more, no blocks"),
        pytest.param(summed("f16[8,8]", "[1]", "f16[8]", "reduce_max"), 128, 128, id="an extreme, which is no product"),
        pytest.param(summed("i16[8,8]", "[1]", "i16[8]"), 128, 128, id="a sum of integers"),
        pytest.param(summed("bf16[8,300]", "[1]", "bf16[8]"), 4800, 1024, id="300 ones of 2 bytes"),
        pytest.param(summed("f16[8,300]", "[-1]", "f16[8]"), 4800, 1024, id="an axis from behind"),
        pytest.param(summed("f16[20,30,2]", "[0,1]", "f16[2]"), 2400, 1536, id="600 ones: two axes in front"),
        pytest.param(summed("f16[4,200]", "[0,1]", "f16[]"), 1600, 2048, id="800 ones: all axes"),
        pytest.param(summed("f16[3,1,100,1]", "[2]", "f16[3,1,1]"), 600, 512, id="100 ones, past axes of 1 that stay"),
        pytest.param(summed("f16[1,5,100]", "[0,2]", "f16[5]"), 1000, 512, id="100 ones, past an axis of 1 that goes"),
        pytest.param(summed("f16[2,1,4]", "[1]", "f16[2,4]"), 16, 512, id="nothing to sum: 1 one"),
        pytest.param(summed("f16[]", "[]", "f16[]"), 2, 512, id="no axis at all"),
        # Kept axes on both sides: the operand in 32 bits twice, 6000 bytes each, and the result in 32 bits
        pytest.param(summed("f16[3,100,5]", "[1]", "f16[3,5]"), 3000, 2 * 6144 + 512, id="an axis in the middle"),
        pytest.param(summed("f16[3,100,5]", "[0,2]", "f16[100]"), 3000, 2 * 6144 + 512, id="axes at both ends"),
        pytest.param("reduce_sum_like(x: f32[8,3], like: f32[3], axis=[0]) -> y: f32[3]", 96, 96, id="as another tensor"),
        pytest.param("reduce_sum_like(x: f16[300,3], like: f16[3], axis=[0]) -> y: f16[3]", 1800, 1024, id="as another: 300 ones"),
        pytest.param("reduce_sum_like(x: i16[300,3], like: i16[3], axis=[0]) -> y: i16[3]", 1800, 1800, id="as another, of integers"),
        pytest.param("reduce_sum_like(x: f16[300,3], like: f16[300,3], axis=[]) -> y: f16[300,3]", 0, 0, id="as itself"),
    ],
)
def test_buffers_of_sums(call: str, cpu: int, cuda: int) -> None:
    """On CUDA a sum of half floats over axes at one end is a product with as many ones as are summed."""
    assert buffers(call) == (cpu, cuda)


def test_an_axis_that_is_none_of_the_operand_has_no_buffer() -> None:
    assert buffers(summed("f16[8,300]", "[-2]", "f16[300]"))[1] == 512
    with pytest.raises(ValueError, match="axis"):
        buffers(summed("f16[8,300]", "[-3]", "f16[300]"))


# Norms


@pytest.mark.parametrize(
    ("dtype", "norms", "width", "cuda"),
    [
        pytest.param("f32", 64, 10, (2 * 2 * 10 + 2) * 4, id="2 rows, of 32 norms each"),
        pytest.param("f16", 64, 10, (2 * 2 * 10 + 2) * 2, id="halves"),
        pytest.param("f32", 65, 10, (2 * 3 * 10 + 3) * 4, id="3 rows"),
        pytest.param("f32", 14000, 4, (2 * 432 * 4 + 432) * 4, id="432 rows at most"),
        pytest.param("f32", 7000, 33, (2 * 216 * 33 + 216) * 4, id="half as many where two blocks are wide"),
        pytest.param("f32", 7000, 32, (2 * 219 * 32 + 219) * 4, id="all that there are where one is"),
        pytest.param("f32", 64, 16000, (2 * 1 * 16000 + 1) * 4, id="one row at least"),
        pytest.param("f32", 0, 10, 4, id="no norms"),
    ],
)
def test_buffers_of_the_gradient_of_a_layer_norms_scale(dtype: str, norms: int, width: int, cuda: int) -> None:
    """4 x 108 blocks run at once, each for 32 norms and 32 numbers of each: a part of both gradients for each row, and a number."""
    tensor = f"{dtype}[{norms},{width}]"
    call = f"layer_norm_param_grad(dy: {tensor}, x: {tensor}, mean: f32[{norms}], inv_variance: f32[{norms}]) -> gamma_diff: f32[{width}]"
    assert buffers(call) == (0, cuda)


@pytest.mark.parametrize(("dtype", "size"), [("f32", 96), ("f16", 96), ("f64", 192)])
def test_buffers_of_the_gradient_of_a_group_norms_scale(dtype: str, size: int) -> None:
    """2 samples of 6 channels: 24 parts, in 32 bits at least."""
    call = f"group_norm_param_grad(dy: {dtype}[2,6,4], x: {dtype}[2,6,4], mean: f32[2,3], inv_variance: f32[2,3]) -> dgamma: {dtype}[6]"
    assert buffers(call) == (size, size)
    flat = "group_norm_param_grad(dy: f32[2,6], x: f32[2,6], mean: f32[2,3], inv_variance: f32[2,3]) -> dgamma: f32[6]"
    assert buffers(flat) == (96, 96)
    with pytest.raises(ValueError, match="dimensions"):
        buffers("group_norm_param_grad(dy: f32[12], x: f32[12], mean: f32[2,3], inv_variance: f32[2,3]) -> dgamma: f32[6]")


OF_NORMS = "mean: f32[3], inv_variance: f32[3]"
OF_GRADIENTS = f"x: f32[2,3,40], dy: f32[2,3,40], {OF_NORMS}, gamma: f32[3]"


@pytest.mark.parametrize(
    ("call", "cuda"),
    [
        pytest.param(f"normalization(x: f32[2,3], gamma: f32[3], beta: f32[3]) -> y: f32[2,3], {OF_NORMS}", 512, id="while it trains"),
        pytest.param("normalization(x: f32[2,3], gamma: f32[3], beta: f32[3]) -> y: f32[2,3]", 0, id="while it does not"),
        pytest.param("normalization_add_relu(x: f32[2,3], gamma: f32[3], beta: f32[3]) -> y: f32[2,3]", 512, id="with a relu, either way"),
        pytest.param(f"normalization_grad({OF_GRADIENTS}) -> dx: f32[2,3,40]", 512, id="its gradient"),
        pytest.param(f"normalization_add_relu_grad({OF_GRADIENTS}) -> dx: f32[2,3,40]", 1536, id="behind a relu: 960 more"),
        pytest.param(
            f"normalization_add_relu_grad({OF_GRADIENTS}) -> dx: f32[2,3,40], addend_diff: f32[2,3,40]", 512, id="behind a sum and a relu"
        ),
    ],
)
def test_buffers_of_batch_norms(call: str, cuda: int) -> None:
    assert buffers(call) == (0, cuda)


# Many tensors, convolutions


@pytest.mark.parametrize(
    ("tensors", "cuda"),
    [
        pytest.param(["f32[512]"], 8, id="a block of 512"),
        pytest.param(["f32[3,171]", "f32[7]"], 16, id="two blocks for 513, which do for 7 too"),
        pytest.param(["f32[7]"] * 63 + ["f32[5120]", "f32[513]"], 96, id="10 blocks for the first 64 tensors, and 2 for the last"),
        pytest.param(["f32[9000,512]"], 8192 * 8, id="8192 blocks at most"),
        pytest.param(["f64[513]"], 32, id="doubles"),
    ],
)
def test_buffers_of_reductions_over_many_tensors(tensors: list[str], cuda: int) -> None:
    """Two numbers for each block."""
    call = f"multi_reduce_sum_pow_abs(x: [{', '.join(tensors)}], p=2.0) -> y: f32[]"
    assert buffers(call) == (0, cuda)


def test_numbers_of_an_unknown_kind_have_no_size() -> None:
    with pytest.raises(MissingShape):
        buffers("multi_reduce_sum_pow_abs(x: [?[3]], p=2.0) -> y: f32[]")


LAST = 'data_format="channels_last"'


@pytest.mark.parametrize(
    ("call", "cpu"),
    [
        pytest.param("conv2d(in: f32[2,3,7,9], weight: f32[8,3,3,3]) -> out: f32[2,8,5,7]", 27 * 35 * 4, id="27 numbers at 35 places"),
        pytest.param(f"conv2d(in: f16[2,7,9,3], weight: f16[8,3,3,3], {LAST}) -> out: f16[2,5,7,8]", 27 * 35 * 2, id="channels last"),
        pytest.param(
            'conv1d(in: f32[2,3,7], weight: f32[8,3,3], data_format="channels_first") -> out: f32[2,8,5]', 9 * 5 * 4, id="of one axis"
        ),
        pytest.param("conv1d(in: f32[2,3,7], weight: f32[8,3,3], bias: f32[8]) -> out: f32[2,8,5]", 9 * 5 * 4 + 5 * 4, id="and 5 ones"),
        pytest.param("deconv2d(in: f32[2,3,5,7], weight: f32[3,8,2,2]) -> out: f32[2,8,10,14]", 32 * 35 * 4, id="transposed"),
        pytest.param("conv_data_grad(dy: f32[2,8,5,7], filter: f32[8,3,3,3]) -> dx: f32[2,3,7,9]", 27 * 35 * 4, id="of the operand"),
        pytest.param("conv_filter_grad(dy: f32[2,8,5,7], x: f32[2,3,7,9]) -> filter_diff: f32[8,3,3,3]", 27 * 35 * 4, id="of the filter"),
        pytest.param("conv_bias_grad(dy: f32[2,8,5,7]) -> bias_diff: f32[8]", 35 * 4, id="of the bias: 35 ones"),
    ],
)
def test_buffers_of_convolutions(call: str, cpu: int) -> None:
    """On a CPU the patches of one image as columns; on CUDA cuDNN decides."""
    assert buffers(call) == (cpu, AskedOf.CUDNN)


def test_a_convolution_has_an_axis_to_slide_along() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        buffers("conv_bias_grad(dy: f32[2,8]) -> bias_diff: f32[8]")

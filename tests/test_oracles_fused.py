"""Contractions within fused ops against loops that do the work, one scalar operation at a time.

Every algorithm here is written out as its definition reads; what it does is tallied while it runs. No formula of a rule occurs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tallies import Number, Shape, Shapes, Tally, ruled, summed

from irflops.ir.graph import AttrValue
from irflops.ops.work import Work

few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 3)


# ------------------------------------------------------------------ deformable convolution


@dataclass
class Deformed:
    """A deformable convolution: batch, channels of each group in and out, groups, offset groups, kernel, and positions."""

    batch: int
    groups: int
    inner: int
    outer: int
    offset_groups: int
    kernel: tuple[int, int]
    extents: tuple[int, int]
    stride: int
    masked: bool

    @property
    def channels(self) -> int:
        return self.groups * self.inner * self.offset_groups

    @property
    def positions(self) -> tuple[int, int]:
        starts = [range(0, e - k + 1, self.stride) for e, k in zip(self.extents, self.kernel, strict=True)]
        return len(starts[0]), len(starts[1])

    def find_taps(self, tally: Tally, *, read: bool) -> None:
        """Where each tap lies, and the pixels' weights there; and the taps of each channel, read."""
        x = Number(tally)
        for _ in itertools.product(range(self.batch), range(self.offset_groups), *map(range, self.kernel), *map(range, self.positions)):
            for _axis in "yx":
                place = x + 1  # the offset
                tally.do()  # floor
                fraction = place - 1
                1 - fraction  # what the far pixel has
            for _pixel in range(4):
                x * x  # its weight
            for _channel in range(self.channels // self.offset_groups if read else 0):
                summed([Number(tally) * 1 for _ in range(4)])
                tally.do(self.masked)

    def columns(self) -> itertools.product[tuple[int, ...]]:
        return itertools.product(range(self.batch), range(self.channels), *map(range, self.kernel), *map(range, self.positions))

    def multiply(self, tally: Tally) -> None:
        """Every result over the taps of its group's channels; a gradient meets the same pairs."""
        outs = self.groups * self.outer
        for _ in itertools.product(range(self.batch), range(outs), *map(range, self.positions)):
            for _tap in itertools.product(range(self.channels // self.groups), *map(range, self.kernel)):
                Number(tally).plus_product(Number(tally), Number(tally))

    @property
    def shapes(self) -> dict[str, Shape]:
        taps = self.kernel[0] * self.kernel[1]
        return {
            "input": (self.batch, self.channels, *self.extents),
            "offset": (self.batch, 2 * taps * self.offset_groups, *self.positions),
            "weight": (self.groups * self.outer, self.channels // self.groups, *self.kernel),
            "mask": (self.batch, taps * self.offset_groups, *self.positions) if self.masked else (self.batch, 1),
        }

    @property
    def out(self) -> Shape:
        return (self.batch, self.groups * self.outer, *self.positions)

    @property
    def attrs(self) -> dict[str, AttrValue]:
        plain = dict.fromkeys(("pad_h", "pad_w"), 0) | dict.fromkeys(("dilation_h", "dilation_w"), 1)
        strides = dict.fromkeys(("stride_h", "stride_w"), self.stride)
        return {**plain, **strides, "groups": self.groups, "offset_groups": self.offset_groups, "use_mask": self.masked}


@st.composite
def deformed(draw: st.DrawFn) -> Deformed:
    kernel = (draw(sizes), draw(sizes))
    extents = (kernel[0] + draw(sizes), kernel[1] + draw(sizes))
    small = st.integers(1, 2)
    return Deformed(draw(small), draw(small), draw(small), draw(small), draw(small), kernel, extents, draw(small), draw(st.booleans()))


@few
@given(deformed(), st.booleans())
def test_deformable_convolution(conv: Deformed, biased: bool) -> None:
    tally = Tally()
    conv.find_taps(tally, read=True)
    conv.multiply(tally)
    if biased:
        for _ in itertools.product(*map(range, conv.out)):
            tally.do()
    bias = {"bias": (conv.out[1],)} if biased else {}
    assert ruled("deform_conv2d", {**conv.shapes, **bias}, {"output": conv.out}, **conv.attrs) == tally.work()


@few
@given(deformed())
def test_gradient_of_a_deformable_convolution_for_its_weight(conv: Deformed) -> None:
    tally = Tally()
    conv.find_taps(tally, read=True)
    conv.multiply(tally)
    operands = {"output_grad": conv.out, **conv.shapes}
    assert ruled("deform_conv2d_param_grad", operands, {"weight_grad": conv.shapes["weight"]}, **conv.attrs) == tally.work()


@few
@given(deformed())
def test_gradient_of_a_deformable_convolution_for_what_it_reads(conv: Deformed) -> None:
    tally = Tally()
    conv.multiply(tally)  # the gradient of each column
    conv.find_taps(tally, read=False)
    for _ in conv.columns():
        column = Number(tally)
        if conv.masked:
            column = column * 1
        for _pixel in range(4):
            column * 1 + column  # its share, added
        for _axis in "yx":
            slope = summed([Number(tally) * 1 for _ in range(4)])
            given_on = slope * column
            if conv.masked:
                given_on = given_on * 1
            given_on + column
        if conv.masked:
            value = summed([Number(tally) * 1 for _ in range(4)])
            value * column + column
    results: dict[str, Shapes] = {"input_grad": conv.shapes["input"], "offset_grad": conv.shapes["offset"]}
    if conv.masked:
        results["mask_grad"] = conv.shapes["mask"]
    operands = {"output_grad": conv.out, **conv.shapes}
    assert ruled("deform_conv2d_input_grad", operands, results, **conv.attrs) == tally.work()


# ------------------------------------------------------------------ interactions of features


@few
@given(st.lists(sizes, min_size=1, max_size=3), sizes, sizes, st.booleans(), st.integers(0, 2))
def test_dot_products_of_all_pairs(counts: list[int], batch: int, size: int, itself: bool, padding: int) -> None:
    forward, backward = Tally(), Tally()
    features: list[Shape] = [(batch, count, size) for count in counts]
    total, width = sum(counts), 0
    for sample in range(batch):
        for first in range(total):
            for second in range(first + itself):
                width += sample == 0
                for _ in range(size):
                    Number(forward).plus_product(Number(forward), Number(forward))
                if first == second:
                    2 * Number(backward)  # the square's slope
                for _ in range(size * (1 if first == second else 2)):  # for one feature, or for each of the two
                    Number(backward).plus_product(Number(backward), Number(backward))
    attrs: dict[str, AttrValue] = {"self_interaction": itself, "output_padding": padding, "pooling": "none"}
    out: dict[str, Shapes] = {"out": (batch, width + padding)}
    assert ruled("fused_dot_feature_interaction", {"features": features}, out, **attrs) == forward.work()
    operands: dict[str, Shapes] = {"dy": (batch, width + padding), "features": features}
    assert ruled("fused_dot_feature_interaction_grad", operands, {"features_grad": features}, **attrs) == backward.work()


@few
@given(st.integers(1, 4), sizes, sizes)
def test_sum_of_all_products_of_features(count: int, batch: int, size: int) -> None:
    forward, backward = Tally(), Tally()
    for _ in range(batch * size):
        x = [Number(forward) for _ in range(count)]
        total = summed(x)
        (total * total - summed([one * one for one in x])) * 0.5
        y = [Number(backward) for _ in range(count)]
        whole = summed(y)
        for one in y:
            (whole - one) * whole
    attrs: dict[str, AttrValue] = {"self_interaction": False, "output_padding": 0, "pooling": "sum"}
    features: list[Shape] = [(batch, count, size)]
    assert ruled("fused_dot_feature_interaction", {"features": features}, {"out": (batch, size)}, **attrs) == forward.work()
    operands: dict[str, Shapes] = {"dy": (batch, size), "features": features}
    assert ruled("fused_dot_feature_interaction_grad", operands, {"features_grad": features}, **attrs) == backward.work()


@few
@given(sizes, sizes, st.booleans())
def test_crosses_of_features(batch: int, size: int, by_matrix: bool) -> None:
    forward, backward = Tally(), Tally()
    rows = size if by_matrix else 1
    for _ in range(batch):
        for _row, _column in itertools.product(range(rows), range(size)):
            Number(forward).plus_product(Number(forward), Number(forward))
            Number(backward).plus_product(Number(backward), Number(backward))  # of x
            Number(backward).plus_product(Number(backward), Number(backward))  # of weight
        products = []
        for _ in range(size):
            x, dy = Number(forward), Number(backward)
            (x + 1) * x + x if by_matrix else x * x + 1 + x
            (dy + 1) * dy if by_matrix else dy * dy  # of x0
            products.append(dy * dy)  # of the product
            dy + dy  # of x, which goes past it too
        if not by_matrix:
            summed(products)
    for _ in range(size):
        summed([Number(backward) for _ in range(batch)])  # of the bias
    data, weight = (batch, size), (rows, size)
    mode = "matrix" if by_matrix else "vector"
    operands: dict[str, Shapes] = {"x": data, "weight": weight, "bias": (size,), "x0": data}
    results: dict[str, Shapes] = {"out": data, "matmul_result": (batch, rows)}
    assert ruled("fused_cross_feature_interaction", operands, results, interaction_mode=mode) == forward.work()
    operands = {**dict.fromkeys(("dy", "x0", "x"), data), "weight": weight, "matmul_result": (batch, rows)}
    if by_matrix:
        operands["bias"] = (size,)
    gradients: dict[str, Shapes] = {"dx0": data, "dw": weight, "dx": data, "dbias": (size,)}
    op_type = f"fused_cross_feature_interaction_v{2 if by_matrix else 1}_grad"
    assert ruled(op_type, operands, gradients) == backward.work()


# ------------------------------------------------------------------ matmuls in groups and in few bits, attention with a cache


@few
@given(st.lists(st.tuples(sizes, sizes, sizes), min_size=1, max_size=3), st.booleans())
def test_matmuls_in_groups(groups: list[tuple[int, int, int]], biased: bool) -> None:
    tally = Tally()
    for rows, n, k in groups:
        for _ in itertools.product(range(rows), range(n)):
            for _ in range(k):
                Number(tally).plus_product(Number(tally), Number(tally))
            tally.do(biased)
    operands: dict[str, Shapes] = {"xs": [(m, k) for m, _, k in groups], "weights": [(n, k) for _, n, k in groups]}
    if biased:
        operands["biases"] = [(n,) for _, n, _ in groups]
    assert ruled("grouped_matmul_bias", operands, {"ys": [(m, n) for m, n, _ in groups]}) == tally.work()


@few
@given(sizes, sizes, sizes, st.sampled_from([4, 8]), st.booleans())
def test_linear_layers_with_weights_in_few_bits(rows: int, n: int, groups: int, bits: int, shifted: bool) -> None:
    tally, size = Tally(), 4
    k = groups * size
    for _ in itertools.product(range(n), range(k)):
        weight = Number(tally) * 1
        if shifted:
            weight + 1
    for _ in itertools.product(range(rows), range(n), range(k)):
        Number(tally).plus_product(Number(tally), Number(tally))
    operands: dict[str, Shapes] = {"x": (rows, k), "w": (n, k * bits // 8), "w_scale": (n, groups)}
    if shifted:
        operands["w_zero"] = (n, groups)
    attrs: dict[str, AttrValue] = {"num_bits": bits, "symmetric": not shifted, "group_dim": 1, "group_size": size}
    assert ruled("fused_linear_with_groupwise_quantized_weight", operands, {"out": (rows, n)}, **attrs) == tally.work()
    packed: dict[str, Shapes] = {"in": operands["w"], "scale": operands["w_scale"]}
    if shifted:
        packed["zero"] = operands["w_zero"]
    alone = Work(arithmetic=n * k * (2 if shifted else 1))
    assert ruled("groupwise_dequantize", packed, {"out": (n, k)}, **attrs) == alone


@few
@given(sizes, sizes, sizes, st.integers(0, 3))
def test_attention_of_a_new_token_over_a_cache(batch: int, heads: int, head_size: int, past: int) -> None:
    """The cache takes the new key and value; the query meets all of them."""
    operands: dict[str, Shapes] = dict.fromkeys(("key", "value"), (batch, 1, heads * head_size))
    if past:
        operands |= dict.fromkeys(("past_key", "past_value"), (batch, past, heads, head_size))
    grown = (batch, past + 1, heads, head_size)
    layouts: dict[str, AttrValue] = dict.fromkeys(("key_layout", "value_layout"), "BM(HK)")
    layouts |= dict.fromkeys(("past_key_layout", "past_value_layout"), "BMHK")
    results = {"output_key": grown, "output_value": grown}
    assert ruled("fused_attention_concat_past_key_value", operands, results, key_head_size=head_size, **layouts) == Work()
    tally = Tally()
    for _ in itertools.product(range(batch), range(heads)):
        scores = []
        for _ in range(past + 1):
            for _ in range(head_size):
                Number(tally).plus_product(Number(tally), Number(tally))
            scores.append(Number(tally) * 1)  # the scale
        tally.do(len(scores) - 1)  # the largest
        powers = [(score - 1).function() for score in scores]
        total = summed(powers)
        for power in powers:
            power / total
        for _ in range(head_size * len(powers)):
            Number(tally).plus_product(Number(tally), Number(tally))
    attention: dict[str, AttrValue] = {"query_head_size": head_size, "query_layout": "BM(HK)", "output_layout": "BM(HK)"}
    attention |= dict.fromkeys(("key_layout", "value_layout"), "BMHK")
    row = (batch, 1, heads * head_size)
    assert ruled("fused_multi_head_attention_inference", {"query": row, "key": grown, "value": grown}, {"out": row}, **attention) == (
        tally.work()
    )

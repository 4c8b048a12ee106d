"""Boxes of object detection: the parts of the complete IoU loss, each fused into one op, and the choice among boxes that overlap."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.per_element import Definition, elementwise
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

_CORNERS = "b1_x1, b1_x2, b2_x1, b2_x2, b1_y1, b1_y2, b2_y1, b2_y2"
_CORNER_GRADS = ", ".join(f"{corner}_diff" for corner in _CORNERS.split(", "))
_OVERLAP = "w = min(b1_x2, b2_x2) - max(b1_x1, b2_x1); h = min(b1_y2, b2_y2) - max(b1_y1, b2_y1)"
_HULL = "w = max(b1_x2, b2_x2) - min(b1_x1, b2_x1); h = max(b1_y2, b2_y2) - min(b1_y1, b2_y1)"
_CENTERS = "w = b2_x1 + b2_x2 - b1_x1 - b1_x2; h = b2_y1 + b2_y2 - b1_y1 - b1_y2"

LOSS: Mapping[str, tuple[str, Definition]] = {
    "fused_get_boundding_boxes_coord": (
        "x1, y1, w1, h1, x2, y2, w2, h2 -> b1_x1, b1_x2, b1_y1, b1_y2, b2_x1, b2_x2, b2_y1, b2_y2",
        (
            12,
            0,
            "p = w1 / 2; q = h1 / 2; r = w2 / 2; s = h2 / 2; (x1 - p, x1 + p, y1 - q, y1 + q, x2 - r, x2 + r, y2 - s, y2 + s)",
        ),
    ),
    "fused_get_boundding_boxes_coord_grad": (
        (
            "b1_x1_diff, b1_x2_diff, b1_y1_diff, b1_y2_diff, b2_x1_diff, b2_x2_diff, b2_y1_diff, b2_y2_diff -> "
            "x1_diff, y1_diff, w1_diff, h1_diff, x2_diff, y2_diff, w2_diff, h2_diff"
        ),
        (
            12,
            0,
            (
                "(b1_x1_diff + b1_x2_diff, b1_y1_diff + b1_y2_diff, (b1_x2_diff - b1_x1_diff) / 2, (b1_y2_diff - b1_y1_diff) / 2, "
                "b2_x1_diff + b2_x2_diff, b2_y1_diff + b2_y2_diff, (b2_x2_diff - b2_x1_diff) / 2, (b2_y2_diff - b2_y1_diff) / 2)"
            ),
        ),
    ),
    "fused_get_intersection_area": (f"{_CORNERS} -> inter", (11, 0, f"{_OVERLAP}; select((w > 0) and (h > 0), w * h, 0)")),
    "fused_get_intersection_area_grad": (
        f"{_CORNERS}, inter_diff -> {_CORNER_GRADS}",
        (
            33,
            0,
            (
                f"{_OVERLAP}; k = (w > 0) and (h > 0); p = select(k, h * inter_diff, 0); "
                "q = select(k, w * inter_diff, 0); "
                "(select(b1_x1 >= b2_x1, -p, 0), select(b1_x2 <= b2_x2, p, 0), "
                "select(b1_x1 <= b2_x1, -p, 0), select(b1_x2 >= b2_x2, p, 0), "
                "select(b1_y1 >= b2_y1, -q, 0), select(b1_y2 <= b2_y2, q, 0), select(b1_y1 <= b2_y1, -q, 0), select(b1_y2 >= b2_y2, q, 0))"
            ),
        ),
    ),
    "fused_get_iou": ("w1, h1, w2, h2, inter -> iou", (6, 0, "inter / (w1 * h1 + w2 * h2 - inter + eps)")),
    "fused_get_iou_grad": (
        "diou, w1, h1, w2, h2, inter -> dw1, dh1, dinter",
        (
            13,
            0,
            "s = w1 * h1 + w2 * h2 + eps; u = s - inter; q = u * u; c = -inter * diou / q; (h1 * c, w1 * c, s * diou / q)",
        ),
    ),
    "fused_get_convex_diagonal_squared": (f"{_CORNERS} -> c2", (10, 0, f"{_HULL}; w * w + h * h + eps")),
    "fused_get_convex_diagonal_squared_grad": (
        f"c2_diff, {_CORNERS} -> {_CORNER_GRADS}",
        (
            30,
            0,
            (
                f"{_HULL}; p = 2 * w * c2_diff; q = 2 * h * c2_diff; "
                "(select(b1_x1 < b2_x1, -p, 0), select(b1_x2 > b2_x2, p, 0), select(b1_x1 < b2_x1, 0, -p), select(b1_x2 > b2_x2, 0, p), "
                "select(b1_y1 < b2_y1, -q, 0), select(b1_y2 > b2_y2, q, 0), select(b1_y1 < b2_y1, 0, -q), select(b1_y2 > b2_y2, 0, q))"
            ),
        ),
    ),
    "fused_get_center_dist": (f"{_CORNERS} -> rho2", (10, 0, f"{_CENTERS}; (w * w + h * h) / 4")),
    "fused_get_center_dist_grad": (
        f"{_CORNERS}, rho2_diff -> {_CORNER_GRADS}",
        (12, 0, f"{_CENTERS}; p = w * rho2_diff / 2; q = h * rho2_diff / 2; m = -p; n = -q; (m, m, p, p, n, n, q, q)"),
    ),
    "fused_get_ciou_diagonal_angle": (
        "w1, h1, w2, h2 -> v",
        (7, 2, "a = atan(w2 / (h2 + eps)) - atan(w1 / (h1 + eps)); 4 / (pi * pi) * a * a"),
    ),
    "fused_get_ciou_diagonal_angle_grad": (
        "w1, h1, w2, h2, v_diff -> w1_diff, h1_diff, w2_diff, h2_diff",
        (
            29,
            2,
            (
                "k = h1 + eps; m = h2 + eps; d = 8 / (pi * pi) * v_diff * (atan(w2 / m) - atan(w1 / k)); p = 1 + w1 * w1 / (k * k); "
                "q = 1 + w2 * w2 / (m * m); (-d / (k * p), w1 * d / (k * k * p), d / (m * q), -w2 * d / (m * m * q))"
            ),
        ),
    ),
    "fused_get_ciou_result": ("v, iou, rho2, c2 -> y, alpha", (7, 0, "a = v / (v - iou + (1 + eps)); (iou - (rho2 / c2 + v * a), a)")),
    "fused_get_ciou_result_grad": (
        "dy, alpha, rho2, c2 -> dv, diou, drho2, dc2",
        (7, 0, "(-(alpha * dy), dy, -dy / c2, rho2 / (c2 * c2) * dy)"),
    ),
}
"""By op type its arguments and what it computes for each pair of boxes. The gradient hands alpha on as a constant, as the loss has it."""


def nms_shape(op: OpView) -> Inferred:
    """A flag for each box."""
    boxes, _ = op.shape("in", rank=2)
    return {"out": TensorType((boxes,), DType.INT8)}


def nms_cost(op: OpView) -> Work:
    """The area of each box; each pair of boxes compared, unless the first one of it is gone already."""
    boxes, _ = op.shape("in", rank=2)
    return Work(arithmetic=3 * boxes + 13 * (boxes * (boxes - 1) // 2))


RULES: tuple[OpRule, ...] = (
    *(
        rule
        for op_type, (signature, definition) in LOSS.items()
        for rule in elementwise(signature, {op_type: definition}, source="Zheng et al., arXiv 2005.03572; OneFlow's fused_get_*_kernel.cu")
    ),
    OpRule(
        op_types=("nms",),
        summary="Of boxes that overlap more than a threshold, the first one; they stand in the order of their scores.",
        formula="flops = 3 n + 13 n (n - 1) / 2 for n boxes, where none goes: an area each; per pair 4 extremes, 2 extents and their "
        "clamps 4, "
        "area 1, union 2, quotient, test",
        shape=nms_shape,
        cost=nms_cost,
        traffic=touch_all,
        upper_bound=True,
        source="OneFlow's nms_kernel.cpp",
        examples=(
            Example(
                call="nms(in: f32[4,4], iou_threshold=0.5, keep_n=-1) -> out: i8[4]",
                because="4 areas of 3 operations; 6 pairs: 4 + 4 + 1 + 2 + 1 + 1 = 13 each; 16 floats in, 4 bytes out",
                flops=90,
                bytes_read=64,
                bytes_written=4,
            ),
        ),
    ),
)

"""Writes the job of one case, drawn by a seed, to a file: `python live_rules.py CASE SEED FILE`. Run where OneFlow 0.9.0 is installed.

Most of these types have a kernel for CUDA alone. A job is whole before OneFlow looks for a kernel, and OneFlow aborts some time after it
found none: so each case has a process of its own, which ends at once.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Case = tuple[Callable[..., Any], list[tuple[int, ...]]]
"""A function of parameters, and their shapes."""


def _sampling(flow: Any, draw: random.Random) -> dict[str, Case]:
    n, c, h, w = (draw.randint(1, 4) for _ in range(4))
    ratio, pooled = draw.randint(1, 3), draw.randint(1, 3)
    functional, ops = flow.nn.functional, flow._C
    return {
        "grid_sample": (
            lambda x, g: functional.grid_sample(x, g, mode=draw.choice(["bilinear", "nearest"]), padding_mode="zeros", align_corners=False),
            [(n, c, 5, 6), (n, h, w, 2)],
        ),
        "affine_grid": (lambda t: functional.affine_grid(t, flow.Size([n, c, h, w]), align_corners=True), [(n, 2, 3)]),
        "roi_align": (lambda x: ops.roi_align(x, flow.ones(3, 5), 0.5, pooled, pooled + 1, ratio, False), [(n, c, 8, 8)]),
    }


def _deformed(flow: Any, draw: random.Random) -> dict[str, Case]:
    n, c, out, kernel, groups = (draw.randint(1, 3) for _ in range(5))
    size = kernel + draw.randint(1, 3)
    places: tuple[int, ...] = (n, groups * 2 * kernel * kernel, size - kernel + 1, size - kernel + 1)
    shapes: list[tuple[int, ...]] = [(n, c * groups, size, size), places, (out, c * groups, kernel, kernel)]
    mask = (n, groups * kernel * kernel, *places[2:])

    def plain(x: Any, offset: Any, weight: Any) -> Any:
        return flow._C.deform_conv2d(x, weight, offset, flow.zeros(n, 1), None, 1, 1, 0, 0, 1, 1, 1, groups, False)

    def masked(x: Any, offset: Any, weight: Any, m: Any) -> Any:
        return flow._C.deform_conv2d(x, weight, offset, m, None, 1, 1, 0, 0, 1, 1, 1, groups, True)

    return {"deform_conv2d": (plain, shapes), "deform_conv2d with a mask": (masked, [*shapes, mask])}


def _interactions(flow: Any, draw: random.Random) -> dict[str, Case]:
    ops, batch, size, features = flow._C, draw.randint(1, 3), draw.randint(1, 4), draw.randint(1, 3)
    row = (batch, size)

    def dots(pooling: str, itself: bool) -> Callable[..., Any]:
        return lambda *x: ops.fused_dot_feature_interaction(
            list(x), output_concat=None, self_interaction=itself, output_padding=0 if pooling == "sum" else 1, pooling=pooling
        )

    return {
        "fused_cross_feature_interaction v1": (
            lambda x, w, x0, b: ops.fused_cross_feature_interaction(x, w, x0, b, "vector"),
            [row, (1, size), row, (size,)],
        ),
        "fused_cross_feature_interaction v2": (
            lambda x, w, x0, b: ops.fused_cross_feature_interaction(x, w, x0, b, "matrix"),
            [row, (size, size), row, (size,)],
        ),
        "fused_dot_feature_interaction": (dots("none", draw.random() < 0.5), [(batch, 2, size), (batch, features, size)]),
        "fused_dot_feature_interaction summed": (dots("sum", False), [(batch, features + 1, size)]),
    }


def _boxes(flow: Any, draw: random.Random) -> dict[str, Case]:
    ops, n = flow._C, draw.randint(1, 5)
    one = (n,)
    return {
        "fused_get_boundding_boxes_coord": (lambda *x: ops.fused_get_boundding_boxes_coord(*x)[0], [one] * 8),
        "fused_get_intersection_area": (ops.fused_get_intersection_area, [one] * 8),
        "fused_get_center_dist": (ops.fused_get_center_dist, [one] * 8),
        "fused_get_convex_diagonal_squared": (lambda *x: ops.fused_get_convex_diagonal_squared(*x, 1e-8), [one] * 8),
        "fused_get_iou": (lambda *x: ops.fused_get_iou(*x, 1e-8), [one] * 5),
        "fused_get_ciou_result": (lambda *x: ops.fused_get_ciou_result(*x, 1e-8)[0], [one] * 4),
    }


def _others(flow: Any, draw: random.Random) -> dict[str, Case]:
    ops, n, m = flow._C, draw.randint(2, 4), draw.randint(2, 5)
    google = ("google", 8, draw.choice(["symmetric", "affine"]))
    return {
        "nms": (lambda boxes: ops.nms(boxes, 0.5, -1), [(n, 4)]),
        "median": (flow.median, [(n, m)]),
        "median_with_indices": (lambda x: flow.median(x, dim=1)[0], [(n, m)]),
        "linalg_cross": (lambda a, b: flow.linalg.cross(a, b, dim=1), [(n, 3), (n, 3)]),
        "quantization": (lambda x, s, z: ops.quantization(x, s, z, *google), [(n, m), (1,), (1,)]),
        "fake_quantization": (lambda x, s, z: ops.fake_quantization(x, s, z, *google), [(n, m), (n,), (n,)]),
        "min_max_observer": (lambda x: ops.min_max_observer(x, *google, draw.random() < 0.5)[0], [(n, m)]),
        "tensor_to_tensor_buffer": (
            lambda x: ops.tensor_buffer_to_tensor(ops.tensor_to_tensor_buffer(x, 1), flow.Size([m]), flow.float32),
            [(n, m)],
        ),
    }


TRAINED = (
    *("grid_sample", "affine_grid", "roi_align", "deform_conv2d", "deform_conv2d with a mask"),
    *("fused_cross_feature_interaction v1", "fused_cross_feature_interaction v2"),
    *("fused_dot_feature_interaction", "fused_dot_feature_interaction summed"),
    *("fused_get_boundding_boxes_coord", "fused_get_intersection_area", "fused_get_center_dist", "fused_get_convex_diagonal_squared"),
    "fused_get_ciou_result",
)
"""Cases whose gradients are ops of their own, by the op type's name."""
ALONE = (
    *("fused_get_iou", "nms", "median", "median_with_indices", "linalg_cross", "quantization"),
    *("fake_quantization", "min_max_observer", "tensor_to_tensor_buffer"),
)
"""Cases without a gradient, and fused_get_iou, in whose gradient OneFlow 0.9.0 aborts."""


def job_of(flow: Any, case: Case, *, training: bool) -> bytes:
    """The full job of a graph whose parameters are the operands, with their gradients where it trains."""
    function, shapes = case

    class Operands(flow.nn.Module):  # type: ignore[misc]  # OneFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            for i, shape in enumerate(shapes):
                setattr(self, f"p{i}", flow.nn.Parameter(flow.ones(*shape), requires_grad=training))

        def forward(self, zero: Any) -> Any:
            return function(*(getattr(self, f"p{i}") + zero for i in range(len(shapes))))

    class Live(flow.nn.Graph):  # type: ignore[misc]  # the same
        def __init__(self) -> None:
            super().__init__()
            self.operands = Operands()
            if training:
                self.add_optimizer(flow.optim.SGD(self.operands.parameters(), lr=0.1))

        def build(self, zero: Any) -> Any:
            result = self.operands(zero)
            if training:
                result = result.sum()
                result.backward()
            return result

    graph = Live()
    try:
        graph._compile(flow.zeros(1))
    except Exception:
        if graph._full_graph_proto is None:  # else it lacks a kernel, and the job is whole
            raise
    job: bytes = graph._full_graph_proto.SerializeToString()
    return job


def main(name: str, seed: int, file: str) -> None:
    """Writes the case's job and ends the process."""
    import oneflow

    cases: dict[str, Case] = {}
    for family in (_sampling, _deformed, _interactions, _boxes, _others):
        cases |= family(oneflow, random.Random(seed))  # noqa: S311  # for shapes, not for secrets
    Path(file).write_bytes(job_of(oneflow, cases[name], training=name in TRAINED))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

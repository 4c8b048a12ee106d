"""What each device computes and holds: against a simulation that lays element ids over a mesh, against OneFlow's shapes, and by laws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import irflops
from irflops.devices.classes import classes, intervals, ranks_in
from irflops.devices.physical import Laid, parts
from irflops.devices.shares import Devices
from irflops.ir.graph import DType, Placement, TensorType
from irflops.ir.sbp import NdSbp, Sbp
from irflops.readers.notation.sketch import sketch

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MESHES = ((3,), (2, 2), (2, 3), (2, 3, 2))
SHAPES = ((6, 4), (7, 5), (1, 8), (13, 2, 3))


def held(shape: Sequence[int], nd_sbp: NdSbp, mesh: Sequence[int], at: Sequence[int]) -> np.ndarray:
    """The ids of the elements that a device holds: numpy cuts as OneFlow does, the first parts larger."""
    ids = np.arange(math.prod(shape)).reshape(shape)
    for sbp, devices, coordinate in zip(nd_sbp, mesh, at, strict=True):
        if sbp.axis is not None:
            ids = np.array_split(ids, devices, axis=sbp.axis)[coordinate]
    return ids


def every_sbp(axes: int, dimensions: int) -> list[NdSbp]:
    kinds = (Sbp("B"), Sbp("P"), *(Sbp("S", axis) for axis in range(axes)))
    return list(itertools.product(kinds, repeat=dimensions))


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_are_those_of_a_simulation(mesh: tuple[int, ...], shape: tuple[int, ...]) -> None:
    for nd_sbp in every_sbp(len(shape), len(mesh)):
        seen = set()
        for part in parts([Laid(TensorType(shape, DType.FLOAT32), nd_sbp)], mesh):
            for at in itertools.product(*(range(first, end) for first, end in part.box)):
                seen.add(at)
                assert part.types[0].shape == held(shape, nd_sbp, mesh, at).shape
        assert len(seen) == math.prod(mesh)


def test_boxes_of_several_tensors_are_cut_where_any_of_them_is() -> None:
    """Rows of 10 over 4 devices are 3, 3, 2, 2; columns of 6 are 2, 2, 1, 1; of 5 are 2, 1, 1, 1."""
    tensors = [Laid(TensorType((10, 6), None), (Sbp("S", 0),)), Laid(TensorType((10, 5), None), (Sbp("S", 1),))]
    found = [(part.box, [type_.shape for type_ in part.types]) for part in parts(tensors, (4,))]
    assert found == [(((0, 1),), [(3, 6), (10, 2)]), (((1, 2),), [(3, 6), (10, 1)]), (((2, 4),), [(2, 6), (10, 1)])]


def test_thousands_of_devices_have_as_many_parts_as_differ() -> None:
    type_ = TensorType((50257, 12288), DType.FLOAT16)
    found = list(parts([Laid(type_, (Sbp("S", 0), Sbp("B"), Sbp("S", 1)))], (128, 8, 4)))
    assert [(part.box, part.types[0].shape) for part in found] == [
        (((0, 81), (0, 8), (0, 4)), (393, 3072)),
        (((81, 128), (0, 8), (0, 4)), (392, 3072)),
    ]


@pytest.mark.parametrize("nd_sbp", [None, (), (Sbp("S", 2), Sbp("B")), (Sbp("B"),)])
def test_what_does_not_fit_the_mesh_is_not_known(nd_sbp: NdSbp | None) -> None:
    (part,) = parts([Laid(TensorType((4, 4), None), nd_sbp)], (2, 2))
    assert part.types[0].shape == (None, None)


def test_classes_are_by_the_sets_that_ranks_are_in() -> None:
    assert list(classes({0: [(0, 3)], 1: [(2, 5)], 2: [(0, 0), (5, 5)]})) == [
        ((0, 2), [(0, 0)]),
        ((0,), [(1, 1)]),
        ((0, 1), [(2, 3)]),
        ((1,), [(4, 4)]),
        ((1, 2), [(5, 5)]),
    ]


def test_ranks_of_a_cell_follow_the_order_of_the_placement() -> None:
    placement = Placement("cuda", (7, 3, 2, 6, 1, 0), (2, 3))
    assert ranks_in(placement, ((0, 2), (0, 3))) == [(0, 3), (6, 7)]
    assert ranks_in(placement, ((1, 2), (0, 2))) == [(1, 1), (6, 6)]
    assert intervals((5,)) == [(5, 5)]


# ------------------------------------------------------------------ costs


def devices(text: str) -> Devices:
    return irflops.analyze(sketch(text).graph).devices


def test_matmul_split_in_k_divides_its_work_and_what_adds_whole_partial_sums_does_not() -> None:
    """64 x 32 x 16 over k: half the multiplications each; the sum of two partial results is made on each device of 64 x 16."""
    found = devices("""
        a = input() -> out: f32[64,32] @ 2 (S(1))
        b = variable() -> out: f32[32,16] @ 2 (S(0))
        y = matmul(a: a{S(1)}, b: b{S(0)}, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[64,16] @ 2 (P)
        z = add_n(in: [y, y]) -> out: f32[64,16] @ 2 (P)
    """)
    (both,) = found.classes
    assert (both.ranks, both.count) == (((0, 1),), 2)
    assert both.total.get("macs") == 64 * 16 * 16
    assert both.total.get("flops") == 2 * 64 * 16 * 16 + 64 * 16
    assert both.total.get("params.trainable") == 16 * 16
    assert (found.redundancy("macs").part, found.redundancy("macs").whole) == (2 * 64 * 16 * 16, 64 * 32 * 16)


def test_uneven_split_makes_classes() -> None:
    """5 rows over 2 devices: 3 and 2."""
    found = devices("x = input() -> out: f32[5,8] @ 2 (S(0))\ny = relu(x: x{S(0)}) -> y: f32[5,8] @ 2 (S(0))\noutput(in: y{S(0)}) @ 2")
    assert [(one.ranks, one.total.get("flops")) for one in found.classes] == [(((0, 0),), 24), (((1, 1),), 16)]
    assert found.imbalance("flops").part / found.imbalance("flops").whole == 24 / 20
    assert found.busiest is found.classes[0]


def test_all_broadcast_is_so_many_times() -> None:
    found = devices("x = input() -> out: f32[5,8] @ 2x3 (B,B)\ny = relu(x: x{B,B}) -> y: f32[5,8] @ 2x3 (B,B)")
    assert [(one.count, one.total) for one in found.classes] == [(6, found.logical)]
    assert (found.ranks, found.mesh) == (6, (2, 3))


def test_on_several_devices_a_tensor_of_which_nothing_tells_how_it_lies_has_no_known_cost() -> None:
    found = devices("x = input() -> out: f32[4,8] @ 2 (S(0))\ny = relu(x: x{S(0)}) -> y: f32[4,8] @ 2")
    (both,) = found.classes
    assert (both.total.get("flops"), both.total.certainty("bytes_written"), found.redundancy("bytes").certainty) == (
        0,
        "lower_bound",
        "unbounded",
    )


def test_one_device_is_the_graph() -> None:
    analysis = irflops.analyze(FIXTURES / "basic_block.repr.txt.gz")
    (only,) = analysis.devices.classes
    assert (only.total, only.phases, only.ranks) == (analysis.total, analysis.phases, ((0, 0),))
    row = analysis.to_dict()["devices"]
    assert [row["classes"][0]["totals"][name] for name in ("macs", "params")] == [
        analysis.to_dict()["totals"][name] for name in ("macs", "params")
    ]


def test_parts_that_are_too_many_to_tell_apart_count_as_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x = input() -> out: f32[5,8] @ 2 (S(0))\ny = relu(x: x{S(0)}) -> y: f32[5,8] @ 2 (S(0))"
    monkeypatch.setattr("irflops.devices.shares.MOST_PARTS", 1)
    (both,) = devices(text).classes
    assert (both.total.get("flops"), both.total.certainty("flops"), both.count) == (24, "upper_bound", 2)
    assert [note.code for note in devices(text).notes] == ["largest-parts"]


MESH = FIXTURES / "changes" / "gpt_tiny_dp2tp2.repr.txt.gz"


def test_mesh_of_a_training_step() -> None:
    """Macs and bytes of variables as OneFlow's own physical shapes give them; the step counter, 8 bytes, lies on rank 0."""
    found = irflops.analyze(MESH).devices
    assert [(one.ranks, one.total.get("macs"), sum(one.total.param_bytes)) for one in found.classes] == [
        (((0, 0),), 1423704064, 25796616),
        (((1, 3),), 1423704064, 25796608),
    ]
    assert {one.total.worst for one in found.classes} == {"exact"}


def test_contractions_of_all_devices_are_those_of_the_graph_times_the_dimensions_that_split_none_of_their_operands() -> None:
    analysis = irflops.analyze(MESH)
    expected = 0
    for op, cost in zip(analysis.graph.ops, analysis.costs, strict=True):
        if op.type in analysis.book.contractions and op.placement is not None:
            idle = [
                extent
                for at, extent in enumerate(op.placement.hierarchy)
                if all(operand.nd_sbp is None or operand.nd_sbp[at].kind != "S" for operand in op.inputs)
            ]
            expected += cost.cost.get("macs") * math.prod(idle)
    assert analysis.devices.summed("macs") == expected > analysis.total.get("macs")


def test_phases_of_a_class_add_up_to_it() -> None:
    for one in irflops.analyze(MESH).devices.classes:
        assert sum(cost.get("flops") for cost in one.phases.values()) == one.total.get("flops")

"""Lines of Python of backward operators: those of their forward operators, and none where several could be."""

from __future__ import annotations

from dataclasses import replace

from analysed import analysis_of

from irflops.analysis.lines import lines_of
from irflops.errors import Source
from irflops.ir.graph import DType, Graph, Location, Module, Op, Operand, Phase, TensorType


def tensor(lbn: str, arg: str) -> Operand:
    return Operand(arg, 0, lbn, TensorType((4, 4), DType.FLOAT32))


def op(number: int, op_type: str, reads: str, phase: Phase, line: int | None = None) -> Op:
    name = f"m-{op_type}-{number}"
    at = Location("model.py", line, "forward") if line is not None else None
    inputs = tuple(tensor(lbn, f"in{n}") for n, lbn in enumerate(reads.split()))
    return Op(name, op_type, inputs, (tensor(f"{name}/y", "y"),), module="m", phase=phase, location=at, number=number)


FORWARD = (
    op(0, "matmul", "x/out w/out", Phase.FORWARD, 10),
    op(1, "relu", "m-matmul-0/y", Phase.FORWARD, 11),
    op(2, "scalar_mul", "m-relu-1/y", Phase.FORWARD, 12),
    op(3, "matmul", "m-scalar_mul-2/y v/out", Phase.FORWARD, 13),
)
BACKWARD = (
    op(5, "matmul", "loss/y v/out", Phase.BACKWARD),  # of the second product, with its weight
    op(6, "matmul", "loss/y m-scalar_mul-2/y", Phase.BACKWARD),  # and with what it read
    op(7, "scalar_mul", "m-matmul-5/y", Phase.BACKWARD),  # of no tensor of the forward pass: of what made what the product read
    op(8, "relu_grad", "m-scalar_mul-7/y m-relu-1/y", Phase.BACKWARD),
    op(9, "matmul", "m-relu_grad-8/y x/out", Phase.BACKWARD),
)


def graph_of(*ops: Op) -> Graph:
    return Graph("g", "G", True, ops, (Module("", None, None), Module("m", None, None)), "repr", Source("<string>", ""))


def test_gradient_has_the_line_of_its_forward_operator() -> None:
    found = lines_of(graph_of(*FORWARD, *BACKWARD))
    assert [at and at.line for at in found] == [10, 11, 12, 13, 13, 13, 12, 11, 10]


def test_order_of_the_file_does_not_count() -> None:
    found = lines_of(graph_of(*reversed(BACKWARD), *FORWARD))
    assert [at and at.line for at in found] == [10, 11, 12, 13, 13, 10, 11, 12, 13]


def test_what_could_be_of_several_lines_has_none() -> None:
    alone = op(9, "transpose", "elsewhere/y", Phase.BACKWARD)
    assert lines_of(graph_of(*FORWARD, alone))[-1] is None
    one_line = [replace(one, location=FORWARD[0].location) for one in FORWARD]
    assert lines_of(graph_of(*one_line, alone))[-1] == FORWARD[0].location
    assert lines_of(graph_of(alone)) == (None,)


def test_backward_pass_of_a_training_step_has_lines() -> None:
    analysis = analysis_of("loc")
    backward = {op.name: at for op, at in zip(analysis.graph.ops, analysis.lines, strict=True) if op.phase is Phase.BACKWARD}
    assert [name for name, at in backward.items() if at is None] == ["ones_like-13"]
    assert analysis.locations[None].cost.get("macs") == 0
    assert all(op.location is None for op in analysis.graph.ops if op.phase is Phase.BACKWARD)  # the dump's own stay as they are

"""`placement-sbp-mismatch`: a tensor's sbp has another rank than the mesh that it lies on."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    for op in facts.graph.ops:
        if op.placement is None:
            continue
        rank = len(op.placement.hierarchy)
        for tensor in (*op.outputs, *op.inputs):
            if tensor.nd_sbp is None:
                continue
            looked_at += 1
            if len(tensor.nd_sbp) != rank:
                mesh = "x".join(map(str, op.placement.hierarchy))
                sbp = ", ".join(map(str, tensor.nd_sbp))
                measured, limit = Measure("sbp_rank", len(tensor.nd_sbp)), Measure("sbp_rank", rank)
                yield Hit(message=f"{tensor.lbn} lies as ({sbp}) on a mesh of {mesh}", op=op, measured=measured, limit=limit)
                break
    yield Near(message=f"{looked_at:,} tensors lie on a mesh of their sbp's rank")


RULE = AuditRule(
    name="placement-sbp-mismatch",
    summary="The mesh of an op's devices and the sbp of one of its tensors differ in rank.",
    why="Every dimension of the mesh needs one sbp; OneFlow refuses such a graph: the dump was edited, or printed wrong.",
    fix="Dump the graph again; give every global tensor one sbp for each dimension of its placement.",
    severity=Severity.ERROR,
    check=_check,
    good=(
        Good(
            name="one each",
            graph="x = input() -> out: f32[4,8] @ 2x2 (S(0),B)\ny = relu(x: x{S(0),B}) -> y: f32[4,8] @ 2x2 (S(0),B)\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="one for two",
            graph="x = input() -> out: f32[4,8] @ 2x2 (S(0),B)\ny = relu(x: x{S(0),B}) -> y: f32[4,8] @ 2x2 (S(0))\noutput(in: y)",
            op="y",
            because="a mesh of two dimensions, and one sbp",
            measured=Measure("sbp_rank", 1),
            limit=Measure("sbp_rank", 2),
        ),
    ),
)

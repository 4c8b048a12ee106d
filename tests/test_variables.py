"""What a variable is for, when and where: in every form by the work that it serves and by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs import X, job, read, user

import irflops
from irflops import Graph
from irflops.ir.graph import Phase, VariableKind

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
JOBS = ("job.pb", "fwd.prototxt", "mlir")


@pytest.mark.parametrize("form", ["repr.txt", *JOBS])
def test_parameters_under_zero_serve_the_forward_pass(form: str) -> None:
    """Each reaches its matmul through a parallel cast of ZeRO's, which is system itself."""
    graph = irflops.load(FIXTURES / "corpus" / f"gpt_micro_zero1.{form}.gz")
    phases = {op.phase for op in graph.ops if op.kind is VariableKind.TRAINABLE}
    assert phases == {Phase.FORWARD}
    assert {op.phase for op in graph.ops if op.name.startswith("System-ZeRO-ParallelCast-")} <= {Phase.SYSTEM}


@pytest.mark.parametrize("form", ["repr.txt", *JOBS])
def test_a_frozen_bias_is_a_frozen_parameter(form: str) -> None:
    """OneFlow adds it behind the convolution, in an operator of its own."""
    graph = irflops.load(FIXTURES / "v080" / f"cnn.{form}.gz")
    assert graph.by_name["model.conv1.bias"].kind is VariableKind.FROZEN
    assert graph.by_name["model.conv1.weight"].kind is VariableKind.FROZEN
    assert graph.by_name["model.bn1.running_mean"].kind is VariableKind.BUFFER


def frozen(name: str, *shape: int) -> str:
    extents = " ".join(f"dim: {extent}" for extent in shape)
    return f'op {{ name: "{name}" variable_conf {{ out: "out" shape {{ {extents} }} data_type: kFloat trainable: false }} }}'


def kinds(graph: Graph) -> dict[str, str]:
    return {op.name: op.kind.value for op in graph.ops if op.kind is not None}


def test_what_is_added_to_what_a_table_gave_is_a_table_of_positions() -> None:
    rows = user("gather-0", "gather", "in=emb.weight/out indices=x/out out=gather-0/out_0")
    sums = [user(f"{kind}-1", kind, f"{slots} out={kind}-1/out_0") for kind, slots in ADDED.items()]
    graph = read(job(X, frozen("emb.weight", 9, 8), frozen("pos", 2, 8), frozen("mask", 2, 8), rows, *sums))
    assert kinds(graph) == {"emb.weight": "frozen", "pos": "frozen", "mask": "buffer"}


ADDED = {"broadcast_add": "x=gather-0/out_0 y=pos/out", "broadcast_mul": "x=gather-0/out_0 y=mask/out"}


@pytest.mark.parametrize(("extent", "kind"), [(4, "frozen"), (1, "buffer")])
def test_a_bias_has_as_long_a_last_axis_as_what_it_is_added_to(extent: int, kind: str) -> None:
    product = user("matmul-0", "matmul", "a=x/out b=m.w/out out=matmul-0/out_0")
    total = user("broadcast_add-1", "broadcast_add", "x=m.b/out y=matmul-0/out_0 out=broadcast_add-1/out_0")
    shape = "helper { lbn2logical_blob_desc { key: 'matmul-0/out_0' value { shape { dim: 2 dim: 4 } data_type: kFloat } } }"
    graph = read(job(X, frozen("m.w", 8, 4), frozen("m.b", extent), product, total, rest=shape))
    assert kinds(graph) == {"m.w": "frozen", "m.b": kind}


TENSOR = "sbp=(B), size=(4, 4), dtype=(oneflow.float32)"
PLACED = 'placement=(oneflow.placement(type="cpu", ranks=[0]))'
PRINTED = f"""(GRAPH:G_0:G): (
  (CONFIG:config:GraphConfig(training=False, ))
  (MODULE:m:M()): (
    (MODULE:m.other:Other()): (
      (PARAMETER:m.other.weight:tensor(..., size=(4, 4), dtype=oneflow.float32, grad_fn=<accumulate_grad>)): ()
      (GraphModule:m.other()): ()
    )
    (GraphModule:m()): (
      (OPERATOR: m.other.weight() -> (out:{TENSOR}), {PLACED})
      (OPERATOR: m-exp-0(m.other.weight/out:({TENSOR})) -> (m-exp-0/y_0:({TENSOR})), {PLACED})
    )
  )
)
"""


def test_a_variable_belongs_to_the_module_of_its_name() -> None:
    """`self.other.weight` in a module's code makes the variable in that module's scope."""
    variable = frozen("m.other.weight", 4, 4)
    owners = 'module_name2module_conf { key: "m" value { name: "m" ops: "m.other.weight" ops: "m-exp-0" } }'
    made = job(variable, user("m-exp-0", "exp", "x=m.other.weight/out out=m-exp-0/out_0"), rest=owners)
    for graph in (irflops.loads(PRINTED), read(made)):
        assert {op.name: op.module for op in graph.ops} == {"m.other.weight": "m.other", "m-exp-0": "m"}
        assert [module.path for module in graph.modules] == ["", "m", "m.other"]

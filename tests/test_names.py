"""What an operator's name tells beside its type and module: who made it, when, and what it is called without counters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import irflops
from irflops.ir.graph import Op, Role
from irflops.readers.meaning.names import named

PACKAGE = Path(irflops.__file__).parent

TOLD = [
    # name                                          type        module     role             number  stem
    ("model.conv1-conv2d-0", "conv2d", "model.conv1", Role.USER, 0, "conv2d"),
    ("relu-12", "relu", "", Role.USER, 12, "relu"),
    ("model.relu_grad-37", "relu_grad", "model", Role.USER, 37, "relu_grad"),
    ("model.fc.weight", "variable", "model.fc", Role.USER, None, "weight"),
    ("_MyGraph_0_input.0.0_2", "input", "", Role.USER, None, "input.0.0_2"),
    ("_My_output_Graph_0_output.0.1_3", "output", "", Role.USER, None, "output.0.1_3"),
    ("model.fc.weight_optimizer", "sgd_update", "model.fc", Role.SYSTEM, None, "weight_optimizer"),
    ("model.fc.weight-momentum", "variable", "model.fc", Role.SYSTEM, None, "weight-momentum"),
    ("model.relu-relu-3_y_0_clone_grad_5", "add_n", "model", Role.USER, None, "relu-relu-3_y_0_clone_grad"),
    ("System-Train-TrainStep", "variable", "", Role.SYSTEM, None, "System-Train-TrainStep"),
    ("Sys-Checkpointing-Fake-Fw-Op_m.Boxing-relu-3", "relu", "m.Boxing", Role.SYSTEM, 3, "Sys-Checkpointing-Fake-Fw-Op_m.Boxing-relu"),
    ("System-ZeRO-ParallelCast-Boxing.w-9", "hierarchical_parallel_cast", "m", Role.SYSTEM, 9, "System-ZeRO-ParallelCast-Boxing.w"),
    ("OneFlow-System-Checkpointing-m-relu-4", "relu", "m", Role.SYSTEM, 4, "OneFlow-System-Checkpointing-m-relu"),
    ("Sys-Boxing-GroupIdentity-m-rsqrt-41_y_0-173", "identity", "m", Role.BOXING, 173, "Sys-Boxing-GroupIdentity-m-rsqrt-41_y_0"),
    ("System-Boxing-Middle-Identity-213", "identity", "m", Role.BOXING, 213, "System-Boxing-Middle-Identity"),
    ("System-NCCL-Logical-P2B-294", None, "m", Role.COLLECTIVE, 294, "System-NCCL-Logical-P2B"),
    ("relu-99999999999999999999", "relu", "", Role.USER, None, "relu"),  # no counter of OneFlow's is so large
]  # fmt: skip


@pytest.mark.parametrize(("name", "op_type", "module", "role", "number", "stem"), TOLD, ids=[told[0] for told in TOLD])
def test_what_a_name_tells(name: str, op_type: str | None, module: str, role: Role, number: int | None, stem: str) -> None:
    op = named(Op(name, op_type, (), (), module=module))
    assert (op.role, op.number, op.stem) == (role, number, stem)


def _printed(*names: str) -> str:
    lines = "".join(
        f"  (OPERATOR: {name}(x/out:(sbp=(B), size=(2), dtype=(oneflow.float32))) -> ({name}/out_0:(sbp=(B), size=(2), "
        'dtype=(oneflow.float32))), placement=(oneflow.placement(type="cpu", ranks=[0])))\n'
        for name in names
    )
    x = '  (OPERATOR: x() -> (out:sbp=(B), size=(2), dtype=(oneflow.float32)), placement=(oneflow.placement(type="cpu", ranks=[0])))\n'
    return f"(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training=False, ))\n{x}{lines})\n"


def test_readers_say_what_names_tell() -> None:
    graph = irflops.loads(_printed("relu-7", "Sys-Boxing-GroupIdentity-x_out-8", "System-NCCL-Logical-S2B-9"))
    assert [(op.role, op.number, op.stem) for op in graph.ops] == [
        (Role.USER, None, "x"),
        (Role.USER, 7, "relu"),
        (Role.BOXING, 8, "Sys-Boxing-GroupIdentity-x_out"),
        (Role.COLLECTIVE, 9, "System-NCCL-Logical-S2B"),
    ]


def _strings(path: Path) -> Iterator[str]:
    """The strings of a module that are no documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


ONEFLOWS = re.compile(r"\bSys\b|\bSystem-|Sys\(|Boxing|NCCL-|FreeEager|_clone_grad|_optimizer$|-\(?\\d")
"""How OneFlow names what its passes make, and its counters as an expression matches them."""


def test_names_are_read_by_the_readers_alone() -> None:
    behind = {path.relative_to(PACKAGE): path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "readers"}
    assert len(behind) > 150
    assert {str(name): text for name, path in behind.items() for text in _strings(path) if ONEFLOWS.search(text)} == {}

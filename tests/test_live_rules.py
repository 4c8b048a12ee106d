"""Against live OneFlow: graphs of one operator each, with drawn sizes; the shapes that its jobs state are those that the rules infer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from live_rules import ALONE, TRAINED

import irflops
from irflops.counting.infer import infer

pytestmark = pytest.mark.oneflow


@pytest.mark.parametrize("name", [*TRAINED, *ALONE])
def test_shapes_of_a_single_operator_are_oneflows(name: str, tmp_path: Path) -> None:
    file, script = tmp_path / "job.pb", Path(__file__).parent / "live_rules.py"
    made = subprocess.run(
        [sys.executable, str(script), name, str((*TRAINED, *ALONE).index(name)), str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    graph = irflops.load(file)
    types = [str(op.type) for op in graph.ops]
    assert name.split(maxsplit=1)[0] in types
    assert name in ALONE or any(op_type.endswith("_grad") for op_type in types)
    found = infer(graph)
    assert [disagreement.reason for disagreement in found.disagreements] == []
    computed = [op for op in graph.ops if op.type not in ("variable", "input", "output")]
    assert found.checked >= len(computed) - len(types) // 3
    assert "no_rule" not in {unknown["reason"] for unknown in irflops.analyze(file).to_dict()["unknown"]}

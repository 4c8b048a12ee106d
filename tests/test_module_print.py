"""The print of one module of a graph, `print(graph.linear)`: read as that module alone, and never taken for a graph that was cut."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import irflops
from irflops.auditing.finding import Severity
from irflops.ir.certainty import Certainty

FIXTURES = Path(__file__).parent.parent / "fixtures"
TEXT = gzip.decompress((FIXTURES / "mlp_train.repr.txt.gz").read_bytes()).decode()
BLOCK = gzip.decompress((FIXTURES / "basic_block.repr.txt.gz").read_bytes()).decode()


def module_of(text: str, path: str) -> str:
    """What `print` shows of a module: its lines, less their indentation."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.lstrip().startswith(f"(MODULE:{path}:"))
    blanks = len(lines[first]) - len(lines[first].lstrip())
    last = next(n for n, line in enumerate(lines[first:], first) if line == f"{' ' * blanks})")
    return "".join(line[blanks:] + "\n" for line in lines[first : last + 1])


def paths(text: str) -> list[str]:
    return [module.path for module in irflops.loads(text).modules if module.path]


@pytest.mark.parametrize(("text", "path"), [(text, path) for text in (TEXT, BLOCK) for path in paths(text)])
def test_a_module_counts_as_in_its_graph(text: str, path: str) -> None:
    whole = irflops.analyze(irflops.loads(text))
    try:
        part = irflops.analyze(irflops.loads(module_of(text, path)))
    except irflops.NotAGraphError:
        assert not any(op.module == path or op.module.startswith(f"{path}.") for op in whole.graph.ops)
        return
    graph = part.graph
    assert (graph.name, graph.class_name) == (path, next(m.class_name for m in whole.graph.modules if m.path == path))
    assert any(note.code == "module-alone" for note in graph.notes)
    # A variable stands where it was read first, which may be in another module.
    assert part.total.get("macs") == whole.modules[path].get("macs")
    assert part.total.certainty("macs") is Certainty.EXACT
    # Additions that OneFlow may have fused into an operator are told by the numbers of all operators of the graph.
    if part.total.certainty("flops") is Certainty.EXACT:
        assert part.total.get("flops") == whole.modules[path].get("flops")
    else:
        assert part.total.certainty("flops") is Certainty.LOWER_BOUND
        assert (part.total.get("flops") or 0) <= (whole.modules[path].get("flops") or 0)
    faults = {finding.rule for finding in irflops.audit(part).findings if finding.severity > Severity.NOTE}
    assert not faults & {"dangling-input", "dead-op", "unused-param", "never-updated-param"}


def test_several_modules_are_a_choice() -> None:
    both = module_of(BLOCK, "model.conv1") + "iter 0\n" + module_of(BLOCK, "model.bn1")
    with pytest.raises(irflops.ChoiceError, match=r"2 different graphs(?:.|\n)*model\.conv1(?:.|\n)*model\.bn1"):
        irflops.loads(both)
    assert irflops.loads(both, "model.bn1").class_name == "BatchNorm2d"


def test_a_prefix_before_a_module() -> None:
    text = module_of(TEXT, "model")
    logged = "".join(f"2026-07-23 06:10:{n % 60:02} INFO [rank0] {line}\n" for n, line in enumerate(text.splitlines()))
    assert irflops.analyze(irflops.loads(logged)).total == irflops.analyze(irflops.loads(text)).total


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_graph_without_its_beginning_is_no_module(lost: int) -> None:
    cut = "".join(BLOCK.splitlines(keepends=True)[lost:])
    with pytest.raises(irflops.GraphSyntaxError, match="the beginning of the graph is missing"):
        irflops.loads(cut)


@pytest.mark.parametrize("kept", [2, 5, 8])
def test_a_module_that_is_cut_is_an_error(kept: int) -> None:
    cut = "".join(module_of(BLOCK, "model.conv1").splitlines(keepends=True)[:kept])
    with pytest.raises(irflops.IrflopsError):
        irflops.loads(cut)


def test_a_module_that_was_not_called() -> None:
    parameter = "(PARAMETER:model.weight:tensor(..., size=(8, 6), dtype=oneflow.float32)): ()"
    text = f"(MODULE:model:Linear(in_features=6, out_features=8, bias=True)): (\n  {parameter}\n)\n"
    with pytest.raises(irflops.NotAGraphError, match="one module of a graph before its first call") as caught:
        irflops.loads(text)
    assert "graph(*inputs); print(graph" in str(caught.value.hint)

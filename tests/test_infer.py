"""Inference fills what a dump leaves out, agrees with OneFlow, and reports where a dump contradicts itself."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import irflops
from irflops import Graph
from irflops.counting.infer import Inference, infer
from irflops.ir.graph import DType, Shape, TensorType
from irflops.ir.shapes import fit, unified

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in FIXTURES.glob("*.repr.txt.gz"))
WITH_SHAPES = sorted(path.name.removesuffix(".shapes.json.gz") for path in FIXTURES.glob("*.shapes.json.gz"))
TYPED = re.compile(r"sbp=\((?:[^()]|\(\d+\))*\), size=\(([\d, ]*)\)")


def printed(name: str) -> str:
    return gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode()


def inferred(text: str) -> tuple[Graph, Inference]:
    graph = irflops.loads(text)
    return graph, infer(graph)


@pytest.mark.parametrize("name", NAMES)
def test_no_shape_of_a_fixture_disagrees(name: str) -> None:
    graph, inference = inferred(printed(name))
    assert inference.disagreements == ()
    assert inference.checked > 0
    assert all(result.lbn in inference.types for op in graph.ops for result in op.outputs)


@pytest.mark.parametrize("name", WITH_SHAPES)
def test_shapes_are_oneflows(name: str) -> None:
    """`NAME.shapes.json.gz` holds every logical blob's shape, as OneFlow itself inferred it."""
    _graph, inference = inferred(printed(name))
    shapes = {lbn: list(type_.shape) if type_.shape is not None else None for lbn, type_ in inference.types.items()}
    expected = json.loads(gzip.decompress((FIXTURES / f"{name}.shapes.json.gz").read_bytes()))
    assert shapes == expected


def results(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Each size that an operator line states of a result: its line, and where it stands."""
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        arrow = line.find(" -> (")
        if "(OPERATOR:" in line and "-" in line[:arrow]:
            yield from ((number, match) for match in TYPED.finditer(text, start + arrow, start + len(line)))
        start += len(line) + 1


def grown(match: re.Match[str]) -> str:
    """A size with one more element along its last axis."""
    extents = [int(extent) for extent in match[1].split(",")]
    return ", ".join(map(str, [*extents[:-1], extents[-1] + 1]))


@pytest.mark.parametrize(
    "op", ["model.conv1-conv2d-0", "model.bn1-normalization-1", "model.relu-relu-5", "model-add_n-4", "model.fc-broadcast_add-7"]
)
def test_a_corrupted_size_is_reported_with_both_shapes_and_its_line(op: str) -> None:
    text = printed("basic_block")
    line, match = next((n, m) for n, m in results(text) if text.rfind(f"(OPERATOR: {op}(", 0, m.start()) > text.rfind("\n", 0, m.start()))
    graph, inference = inferred(f"{text[: match.start(1)]}{grown(match)}{text[match.end(1) :]}")
    (found,) = [d for d in inference.disagreements if d.op == op]
    assert (found.file, found.inferred) == ((1, 64, 64, 65), (1, 64, 64, 64))
    assert found.span is not None
    assert graph.source.line(found.span.start) == line
    assert found.lbn in {result.lbn for result in graph.by_name[op].outputs}
    assert "f32[1,64,64,65]" in found.reason
    assert "f32[1,64,64,64]" in found.reason
    (row,) = [d for d in irflops.analyze(graph).to_dict()["shape_disagreements"] if d["op"] == op]
    assert (row["file"], row["inferred"], row["line"]) == ([1, 64, 64, 65], [1, 64, 64, 64], line)


@pytest.mark.parametrize("name", ["basic_block", "mlp_train", "functional_pool", "none_input", "frozen"])
def test_no_corrupted_size_goes_unseen(name: str) -> None:
    """Of each result that somebody reads: where its own rule cannot tell, its readers' lines do."""
    text = printed(name)
    graph = irflops.loads(text)
    read = {operand.lbn for op in graph.ops for operand in op.inputs}
    for line, match in results(text):
        stated = text[: match.start()].rpartition("(")[0].rpartition(":")[0]
        lbn = re.split(r"[(, \[]", stated)[-1]
        if lbn not in read or not match[1]:
            continue
        _, inference = inferred(f"{text[: match.start(1)]}{grown(match)}{text[match.end(1) :]}")
        assert inference.disagreements, (lbn, line)


def test_a_corrupted_operand_names_its_producer() -> None:
    text = printed("mlp_train")
    operand = "model.1-relu-2(model.0-broadcast_add-1/z_0:(sbp=(B), size=(8, 32)"
    assert text.count(operand) == 1
    graph, inference = inferred(text.replace(operand, operand.replace("32", "33")))
    reads = next(d for d in inference.disagreements if d.lbn == "model.0-broadcast_add-1/z_0")
    assert (reads.op, reads.file, reads.inferred) == ("model.1-relu-2", (8, 33), (8, 32))
    assert "its producer makes f32[8,32]" in reads.reason
    assert reads.span is not None
    assert "model.1-relu-2(" in graph.source.line_text(graph.source.line(reads.span.start))


def test_operands_that_cannot_go_together_are_reported() -> None:
    """32 features and a bias of 33: no shape at all follows."""
    text = printed("mlp_train").replace("size=(32), dtype", "size=(33), dtype")
    graph, inference = inferred(text)
    found = next(d for d in inference.disagreements if d.op == "model.0-broadcast_add-1")
    assert found.inferred is None
    assert found.file == (8, 32)
    assert found.reason.startswith("broadcast_add: ")
    assert found.span is not None
    assert "broadcast_add-1" in graph.source.line_text(graph.source.line(found.span.start))


def test_a_disagreement_leaves_the_files_shape_standing() -> None:
    """The file may be right and a rule wrong: costs are of what is printed."""
    text = printed("basic_block").replace(
        "model.relu-relu-5/y_0:(sbp=(B), size=(1, 64, 64, 64)", "model.relu-relu-5/y_0:(sbp=(B), size=(1, 64, 64, 65)"
    )
    graph, inference = inferred(text)
    assert inference.disagreements
    assert inference.types["model.relu-relu-5/y_0"] == TensorType((1, 64, 64, 65), DType.FLOAT32)
    assert irflops.analyze(graph).types["relu"].cost.get("flops") == 64 * 64 * 64 + 64 * 64 * 65


BARE = r"sbp=\((?:[^()]|\(\d+\))*\), size=\([\d, ]*\), dtype=\([\w.]+\)"


def without_types(text: str) -> str:
    """The print as that of 2021: no types on operator lines, but for those of variables and inputs, which nothing else tells."""
    return "\n".join(
        re.sub(rf":(?:\({BARE}\)|{BARE})", "", line) if "(OPERATOR:" in line and "() -> (" not in line else line
        for line in text.splitlines()
    )


SHAPES = [
    (None, None, None),
    (None, (2, 3), (2, 3)),
    ((2, 3), None, (2, 3)),
    ((), (), ()),
    ((2, 3), (2, 3), (2, 3)),
    ((None, 3), (2, 3), (2, 3)),
    ((2, None), (None, 3), (2, 3)),
    ((None, None), (None, 3), (None, 3)),
    ((0, None), (0, 4), (0, 4)),
]


@pytest.mark.parametrize(("a", "b", "both"), SHAPES)
def test_two_statements_of_a_shape_say_more_than_one(a: Shape | None, b: Shape | None, both: Shape | None) -> None:
    assert unified(a, b) == unified(b, a) == both
    assert fit(a, b)
    assert fit(b, a)


@pytest.mark.parametrize(("a", "b"), [((2, 3), (2, 4)), ((None, 3), (2, 4)), ((2,), (2, None)), ((), (None,)), ((0,), (1,))])
def test_two_statements_of_a_shape_contradict_each_other(a: Shape, b: Shape) -> None:
    assert not fit(a, b)
    assert not fit(b, a)
    with pytest.raises(ValueError, match="no one shape"):
        unified(a, b)


def chain(*shapes: str) -> str:
    """A saved module in which relu follows relu, the results stated as given; the input has 2x3."""
    lines = [operator("input", 0, "%arg0", "x", "x/out", "2x3", "2x3")]
    for number, (before, shape) in enumerate(zip(["2x3", *shapes], shapes, strict=False), 1):
        lines.append(operator("relu", number, f"%{number - 1}", f"m-relu-{number}", f"m-relu-{number}/y_0", before, shape))
    end = f"    oneflow.return %{len(shapes)} : tensor<{shapes[-1]}xf32>"
    head = f"  oneflow.job @G(%arg0: tensor<2x3xf32>) -> tensor<{shapes[-1]}xf32> {{"
    return "\n".join(["module {", head, *lines, end, "  }", "}", ""])


def operator(kind: str, number: int, operand: str, name: str, lbn: str, before: str, after: str) -> str:
    attrs = f'op_name = "{name}", device_tag = "cpu", device_name = ["@0:0"], output_lbns = ["{lbn}"]'
    return f'    %{number} = "oneflow.{kind}"({operand}) {{{attrs}}} : (tensor<{before}xf32>) -> tensor<{after}xf32>'


@pytest.mark.parametrize("shapes", [("?x3", "2x3"), ("?x3", "?x3", "2x?"), ("?x?", "2x3"), ("2x3", "?x3")])
def test_what_a_file_leaves_open_is_filled_and_no_disagreement(shapes: tuple[str, ...]) -> None:
    _graph, inference = inferred(chain(*shapes))
    assert inference.disagreements == ()
    assert {type_.shape for type_ in inference.types.values()} == {(2, 3)}
    assert inference.checked == len(shapes)


def test_a_partly_known_shape_that_contradicts_is_reported_once_and_stands() -> None:
    _graph, inference = inferred(chain("?x4", "?x4"))
    assert [(found.op, found.file, found.inferred) for found in inference.disagreements] == [("m-relu-1", (None, 4), (2, 3))]
    assert inference.types["m-relu-2/y_0"].shape == (None, 4)


def test_a_consumer_that_contradicts_what_was_filled_in_is_reported() -> None:
    text = chain("?x3", "2x3").replace("(tensor<?x3xf32>)", "(tensor<?x5xf32>)")
    found = inferred(text)[1].disagreements
    assert [(one.op, one.lbn, one.file, one.inferred) for one in found][:1] == [("m-relu-2", "m-relu-1/y_0", (None, 5), (2, 3))]


def test_elided_operands_of_inputs_and_outputs_are_filled() -> None:
    """`(...) -> (...)`, as 0.8.0 prints them."""
    text = re.sub(
        r"(\(OPERATOR: _MyGraph_0_(?:in|out)put[.\d]*_\d)\(.*\), placement", r"\1(...) -> (...), placement", printed("basic_block")
    )
    assert text.count("(...) -> (...)") == 2
    graph, inference = inferred(text)
    assert graph.by_name["_MyGraph_0_output.0.0_2"].inputs[0].lbn == "model.fc-broadcast_add-7/z_0"
    assert inference.types["_MyGraph_0_input.0.0_2/out"] == TensorType((1, 32, 64, 64), DType.FLOAT32)
    assert inference.types["_MyGraph_0_output.0.0_2/out"] == TensorType((1, 64, 64, 64), DType.FLOAT32)
    assert irflops.analyze(graph).total == irflops.analyze(irflops.loads(printed("basic_block"))).total


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("basic_block", "model-concat-3/out_0"),  # along which axis?
        ("resnet18", "model.maxpool-max_pool_2d-3/y_0"),  # with or without ceil_mode?
    ],
)
def test_types_that_the_lines_leave_out_follow_from_inputs_variables_and_modules(name: str, unknown: str) -> None:
    """Module texts tell the attributes that shapes need; where they do not, a shape stays unknown and is never guessed."""
    whole = irflops.analyze(irflops.loads(printed(name)))
    graph, inference = inferred(without_types(printed(name)))
    filled = [result.lbn for op in graph.ops for result in op.outputs if result.type.shape is None]
    known = [lbn for lbn in filled if inference.types[lbn].shape is not None]
    assert len(known) >= 3
    assert all(inference.types[lbn] == whole.inference.types[lbn] for lbn in known)
    assert next(lbn for lbn in filled if lbn not in known) == unknown
    assert inference.disagreements == ()


def test_a_count_does_not_need_the_shapes_that_stay_unknown() -> None:
    analysis = irflops.analyze(irflops.loads(without_types(printed("basic_block"))))
    assert analysis.total.get("macs") == 92_274_688
    assert analysis.total.certainty("macs") == "exact"
    assert analysis.total.certainty("bytes_written") == "lower_bound"
    assert [u.ops for u in analysis.unknown] == [("model-concat-3",), ("model-add_n-4",)]

"""Files of other tools that people hold: each is recognised, and answered with what to do."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest
from test_mistaken import DUMP, FIXTURES, error_of, fixture, zipped

import irflops

TORCHSCRIPT = """graph(%self : __torch__.Net,
      %x.1 : Tensor):
  %weight : Tensor = prim::GetAttr[name="weight"](%self)
  %4 : Tensor = aten::linear(%x.1, %weight, %weight)
  return (%4)
"""
FX = """graph():
    %x : [num_users=1] = placeholder[target=x]
    %fc_weight : [num_users=1] = get_attr[target=fc.weight]
    %linear : [num_users=1] = call_function[target=torch.nn.functional.linear](args = (%x, %fc_weight), kwargs = {})
    return linear
"""
FX_TABLE = """opcode         name    target    args    kwargs
-------------  ------  --------  ------  --------
placeholder    x       x         ()      {}
call_module    fc      fc        (x,)    {}
output         output  output    (fc,)   {}
"""
HLO = """HloModule jit_f, entry_computation_layout={(f32[4,6]{1,0})->f32[4,6]{1,0}}

ENTRY main.4 {
  Arg_0.1 = f32[4,6]{1,0} parameter(0)
  ROOT tanh.2 = f32[4,6]{1,0} tanh(Arg_0.1)
}
"""
EXPORTED = """ExportedProgram:
    class GraphModule(torch.nn.Module):
        def forward(self, x: "f32[4, 6]"):
            relu: "f32[4, 6]" = torch.ops.aten.relu.default(x);  x = None
            return (relu,)
"""
ONNX_TEXT = """<
   ir_version: 8,
   opset_import: ["" : 15]
>
agraph (float[N, 128] X) => (float[N, 10] C)
{
    C = Softmax(X)
}
"""
ONNX_PRINTED = """graph main_graph (
  %x[FLOAT, 1x3x4x4]
) {
  %y = Relu(%x)
  return %y
}
"""
SUMMARY = """----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Conv2d-1         [-1, 64, 112, 112]           9,408
Total params: 9,408
"""
DEBUG = """(GRAPH:T_0:T) start building graph.
(GRAPH:T_0:T) start building graph builders of parameters and buffers.
(GRAPH:T_0:T) building graph Done! Cost time: 0.07s.
"""
DEBUG_1 = (
    DEBUG
    + """(MODULE:model:M())
(INPUT:_model_input.0.0_2:tensor(..., is_lazy='True', size=(4, 3, 17, 17), dtype=oneflow.float32))
(OUTPUT:_model_output.0.0_2:tensor(..., is_lazy='True', size=(4, 5), dtype=oneflow.float32,
       grad_fn=<broadcast_add_backward>))
"""
)


def briefly(value: object) -> str:
    """The name of a case."""
    return str(value)[:40] if isinstance(value, str) and "\n" not in value else "data"


def tar(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (TORCHSCRIPT, "a graph of TorchScript"),
        (FX, "a graph of torch.fx"),
        (FX_TABLE, "a graph of torch.fx"),
        (EXPORTED, "a graph of torch.fx"),
        (HLO, "XLA's HLO"),
        (ONNX_TEXT, "an ONNX model"),
        (ONNX_PRINTED, "an ONNX model"),
        ('node {\n  name: "x"\n  op: "Placeholder"\n}\n', "a TensorFlow graph"),
        ('layer {\n  name: "conv1"\n  type: "Convolution"\n}\n', "a Caffe network"),
        ("digraph G {\n  a -> b;\n}\n", "a drawing for Graphviz"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "a TensorFlow Lite model"),
        (b"SQLite format 3\x00" + bytes(100), "a profile or another SQLite database"),
        (zipped("net/code/__torch__.py", "net/data.pkl", "net/constants.pkl"), "a TorchScript or torch.export archive"),
    ],
    ids=briefly,
)
def test_graphs_of_other_tools(data: bytes | str, what: str) -> None:
    for content in (data, f"loading\n{data}" if data in (TORCHSCRIPT, FX, HLO) else data):
        error = error_of(content)
        assert error.message == f"this is {what}, not a OneFlow graph"
        assert error.hint == f"where the OneFlow graph is: {DUMP}"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (len(b'{"w":{}}').to_bytes(8, "little") + b'{"w":{}}', "a safetensors file"),
        (b"GGUF\x03\x00\x00\x00" + bytes(64), "a GGUF file"),
    ],
    ids=briefly,
)
def test_more_weights(data: bytes, what: str) -> None:
    assert error_of(data).message == f"this is {what}: weights, not a graph"
    assert error_of(data).hint == f"in the script that builds the graph: {DUMP}"


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (
            zipped("graph.txt", "notes.md"),
            "this is a zip archive that is no capture; it holds 'graph.txt', 'notes.md'",
            "unpack it (unzip FILE)",
        ),
        (tar("graph.txt"), "this is a tar archive", "unpack it (tar -xf FILE)"),
        (gzip.compress(tar("graph.txt"), mtime=0), "this is a tar archive", "unpack it (tar -xf FILE)"),
        (gzip.compress(gzip.compress(b"(GRAPH:a:A): (\n)\n", mtime=0), mtime=0), "this is compressed more than once", "unpack it (gunzip)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "this is an image or a page, whose text cannot be read", DUMP),
        (SUMMARY, "this is the table of another counter", DUMP),
        (
            "import oneflow as flow\n\nclass G(flow.nn.Graph):\n    pass\n",
            "this is a program in Python, which irflops does not run here",
            DUMP,
        ),
        (
            "loading\nTraceback (most recent call last):\n  File 'x.py', line 3\nRuntimeError: no\n",
            "this is a log that ends in an error",
            DUMP,
        ),
        (DEBUG, "this is what graph.debug() says while a graph is built", DUMP),
        (DEBUG_1, "this is what graph.debug() says while a graph is built", DUMP),
    ],
    ids=briefly,
)
def test_other_things_that_people_hold(data: bytes | str, message: str, hint: str) -> None:
    error = error_of(data)
    assert error.message.startswith(message)
    assert hint in str(error.hint)


def test_a_print_in_a_debug_log_is_read() -> None:
    printed = fixture("basic_block.repr.txt").decode()
    assert len(irflops.loads(DEBUG_1 + printed).ops) == len(irflops.loads(printed).ops)


def test_results_of_irflops_are_no_dumps() -> None:
    analysis = irflops.analyze(str(FIXTURES / "basic_block.repr.txt.gz"))
    error = error_of(json.dumps(analysis.to_dict()))
    assert error.message == "this is a result of irflops itself, as JSON"
    assert error_of(json.dumps(analysis.to_dict(), indent=1)).message == error.message

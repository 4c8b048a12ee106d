"""`irflops capture`: a graph out of the user's own code into a file."""

from __future__ import annotations

import re

import click

from irflops import capture as write_capture
from irflops.capturing.user_code import InputSpec, compiled_graph
from irflops.ir.graph import DType

_SPEC = re.compile(r"(\d{1,18}(?:x\d{1,18})*)(?::(\w+))?")

EPILOG = """\b
Examples:
  irflops capture models.resnet:build --input 1x3x224x224 -o resnet.zip
  irflops capture train:make_graph --input 8x3x32x32 --input 8:int64 -o step.zip
"""


def _specs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[InputSpec]:
    specs = []
    for value in values:
        match = _SPEC.fullmatch(value)
        dtype = DType.named(match[2] or "float32") if match else None
        if match is None or dtype is None:
            raise click.BadParameter(f"{value!r} is no input; write 1x3x224x224 or 8x16:int64")
        specs.append((tuple(map(int, match[1].split("x"))), dtype))
    return specs


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PACKAGE.MODULE:FACTORY")
@click.option("--input", "inputs", multiple=True, callback=_specs, metavar="SHAPE[:DTYPE]", help="An input, in order; float32 by default.")
@click.option("-o", "--output", required=True, metavar="FILE", help="Write the capture to FILE.")
def capture(target: str, inputs: list[InputSpec], output: str) -> None:
    """Compile a graph with OneFlow, and write it into one file.

    This is the only command that imports and runs code of yours: FACTORY is called without arguments, and returns a oneflow.nn.Graph, or
    an nn.Module to be put into one in evaluation mode. The graph is compiled for inputs of these shapes, and not run. Needs OneFlow.
    """
    if output == "-":
        raise click.UsageError("a capture is no text for standard output: give -o a file.")
    write_capture(compiled_graph(target, inputs), output)

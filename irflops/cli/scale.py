"""`irflops scale`: the totals of a graph as functions of its batch, or of extents of its inputs."""

from __future__ import annotations

import re

import click

from irflops.analysis.scale import Open, scaling
from irflops.cli.inputs import Template, batch_of, templates_of
from irflops.cli.options import FORMAT_OPTION, GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, with_config
from irflops.cli.tables import write_labelled, write_table
from irflops.cli.what_if import WIDTH_OPTIONS
from irflops.configuration.config import Config
from irflops.readers import load
from irflops.report.json_writer import encoded
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.scaling import sample_table, scaling_facts, scaling_table
from irflops.report.summary import short_path
from irflops.teaching import book_of, taught

EPILOG = """\b
Examples:
  irflops scale graph.txt --batch
  irflops scale graph.txt --input 1x3xNxN
  irflops scale graph.txt --input ids=NxT --set model.wpe=1xTx256
  irflops scale graph.txt --batch --dtype float16
"""

_VALUE = re.compile(r"[0-9]+|[A-Za-z]")


class _Scale(Grouped):
    """A bare `--batch` stands for `--batch N`, as it did before it took a value."""

    groups = (
        ("batch", "What varies: a letter; and what if"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("quiet", "Other options"),
    )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments with that value."""
        followed = zip(args, [*args[1:], ""], strict=False)
        filled = ["--batch=N" if arg == "--batch" and not _VALUE.fullmatch(after) else arg for arg, after in followed]
        return super().parse_args(ctx, filled)


def _widths(command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(WIDTH_OPTIONS):
        command = option(command)
    return command


@click.command(cls=_Scale, epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.option(
    "--batch", callback=batch_of, metavar="[N]", help="The batch: axis 0 of the first input, and of those like it. N alone may be left out."
)
@click.option(
    "--input",
    "template",
    multiple=True,
    callback=templates_of,
    metavar="[NAME=]SHAPE",
    help="Letters in a shape: 1x3xNxN, ids=NxT, labels=N*T. NAME where there are several inputs.",
)
@click.option(
    "--set",
    "variables",
    multiple=True,
    callback=templates_of,
    metavar="NAME=SHAPE",
    help="The same letters in the shape of a variable: model.wpe=1xTx256.",
)
@_widths
@FORMAT_OPTION
@OUTPUT_OPTION
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@QUIET_OPTION
def scale(
    path: str,
    batch: int | str | None,
    template: Template,
    variables: Template,
    dtype: str | None,
    weights: str | None,
    activations: str | None,
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    config: Config,
    quiet: bool,
) -> None:
    """Tell how the totals of the graph in PATH grow.

    Each total is the polynomial of least degree that gives seven analyses exactly, of degree 4 at most; in two letters it is of degree 5 at
    most, and gives as many analyses as it takes and two diagonals of them more. Where there is none, the values are shown.
    """
    if None in variables:
        raise click.UsageError("name the variable: --set NAME=SHAPE, such as model.wpe=1xTx256.")
    shapes = {name: shape for name, shape in variables.items() if name is not None}
    asked = Open(batch=batch, variables=shapes, dtype=dtype, weights=weights, activations=activations)
    letters = [*asked.symbols, *(extent for shape in template.values() for extent in shape if isinstance(extent, str))]
    if not letters:
        raise click.UsageError("Write --batch, or --input with a letter for what varies: 1x3xNxN.")
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        captured, book = taught(load(path, graph, max_size=max_size), book_of(config))
        found = scaling(captured, template or None, book=book, asked=asked)
    with results_to(output) as stream:
        if format_ == "json":
            stream.write(encoded(found.to_dict()) + "\n")
            return
        if format_ == "csv":
            write_table(scaling_table(found), format_, stream)
            return
        write_labelled(scaling_facts(found), format_, stream)
        stream.write("\n")
        write_table(scaling_table(found), format_, stream)
        if found.fitted < len(found.totals):
            stream.write("\n")
            write_table(sample_table(found), format_, stream)

"""The options that ask what a graph would be had it been captured otherwise: the same for every command that reads a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from irflops.cli.inputs import BATCH_OPTION, MESH_OPTION, shapes_of, variables_of
from irflops.ir.graph import Graph
from irflops.ops.book import RuleBook
from irflops.teaching import taught

if TYPE_CHECKING:
    from irflops.whatif import MeshSize

DTYPES = "float16, bfloat16, float8_e4m3, int8, int4..."


@dataclass(frozen=True, slots=True)
class WhatIfOptions:
    """What is asked for; nothing, where a graph is wanted as captured."""

    batch: int | None = None
    inputs: dict[str | None, tuple[int, ...]] = field(default_factory=dict)
    variables: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtype: str | None = None
    weights: str | None = None
    activations: str | None = None
    mesh: MeshSize | None = None

    def __bool__(self) -> bool:
        return self != WhatIfOptions()

    def applied(self, graph: Graph, own: RuleBook) -> tuple[Graph, RuleBook]:
        """The graph as asked for, and the rules for it: the user's, with those of packages where a type has none. Errors: IrflopsError."""
        graph, book = taught(graph, own)
        if not self:
            return graph, book
        from irflops.whatif import changed  # here for start-up time: most runs look at what was captured

        found = changed(
            graph,
            batch=self.batch,
            inputs=self.inputs or None,
            variables=self.variables or None,
            dtype=self.dtype,
            weights=self.weights,
            activations=self.activations,
            mesh=self.mesh,
            book=book,
        )
        return found, book


INPUT_OPTION = click.option(
    "--input",
    "inputs",
    multiple=True,
    callback=shapes_of,
    metavar="[NAME=]SHAPE",
    help="As if captured with this input: 2x3x384x384. NAME where there are several.",
)
SET_OPTION = click.option(
    "--set",
    "variables",
    multiple=True,
    callback=variables_of,
    metavar="NAME=SHAPE",
    help="As if a variable had this shape: model.wpe=1x1024x256; * in NAME is part of a level.",
)
WIDTH_OPTIONS = (
    click.option("--dtype", metavar="TYPE", help=f"As if its commonest float type were TYPE: {DTYPES}"),
    click.option("--weights", metavar="TYPE", help="The same of its trainable and frozen parameters alone."),
    click.option("--activations", metavar="TYPE", help="The same of all that is no variable."),
)


def what_if_options(*, mesh: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options to a command, which gets them as one `what_if`; `mesh` says whether it knows other meshes."""
    options = (BATCH_OPTION, INPUT_OPTION, SET_OPTION, *WIDTH_OPTIONS, *((MESH_OPTION,) if mesh else ()))
    names = ("batch", "inputs", "variables", "dtype", "weights", "activations", *(("mesh",) if mesh else ()))

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def collected(**given: Any) -> Any:
            asked = WhatIfOptions(**{name: given.pop(name) for name in names})
            return command(**given, what_if=asked)

        for option in reversed(options):
            collected = option(collected)
        return collected

    return add

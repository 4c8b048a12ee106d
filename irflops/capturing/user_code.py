"""Imports and runs the user's code to get a graph from it. Nothing else of irflops does so, and `irflops capture` alone comes here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from irflops.capturing.write import compile_for, is_compiled
from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import DType

InputSpec = tuple[tuple[int, ...], DType]
"""Shape and element type of a graph's input."""


def compiled_graph(target: str, specs: Sequence[InputSpec]) -> Any:
    """The `oneflow.nn.Graph` that `PACKAGE.MODULE:FACTORY` gives, compiled for inputs of these shapes and types, and not run.

    A module is put into a graph, in evaluation mode. Errors: IrflopsError where OneFlow is not there, the target names nothing, or the
    user's code fails; then its traceback stands on standard error.
    """
    flow = _oneflow()
    graph = _made(flow, target)
    if isinstance(graph, flow.nn.Module):
        graph = _wrapped(flow, graph)
    if not isinstance(graph, flow.nn.Graph):
        message = f"{target} gives no graph and no module, but its type is {type(graph).__name__}"
        raise IrflopsError(message, hint="name a function that returns a oneflow.nn.Graph or nn.Module")
    if specs and is_compiled(graph):
        raise IrflopsError(f"{target} gives a graph that is compiled already, for inputs of its own", hint="leave --input out")
    with _user_errors(f"compiling the graph of {target}"):
        compile_for(graph, [flow.zeros(*shape, dtype=getattr(flow, dtype.word)) for shape, dtype in specs])
    return graph


def _oneflow() -> ModuleType:
    if importlib.util.find_spec("oneflow") is None:
        raise IrflopsError(
            "OneFlow is not installed here, and only with it is there a graph to capture",
            hint="pip install 'irflops[oneflow]' under Python 3.10 on Linux; or call irflops.capture(graph, PATH) where the model runs",
        )
    try:
        return importlib.import_module("oneflow")
    except (ImportError, OSError) as error:
        hint = "LD_LIBRARY_PATH must lead to the CUDA libraries, which OneFlow links to even on a CPU"
        raise IrflopsError(f"OneFlow is installed and cannot be imported: {error}", hint=hint) from None


def _made(flow: ModuleType, target: str) -> Any:
    """What the factory returns; a graph or module that is there by that name is taken as it is."""
    place, _, name = target.partition(":")
    if not place or not name:
        raise IrflopsError(f"{quoted(target)} names no factory", hint="write PACKAGE.MODULE:FACTORY, as in models.resnet:build")
    found: Any = _imported(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise IrflopsError(f"{place} has no {quoted(name)}", hint="write PACKAGE.MODULE:FACTORY")
        found = getattr(found, part)
    if isinstance(found, (flow.nn.Graph, flow.nn.Module)):
        return found
    with _user_errors(f"{target}()"):
        return found()


def _imported(place: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # an installed command has its own folder there, and users stand in theirs
    with _user_errors(f"importing {place}"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # a module of theirs lacks another
    raise IrflopsError(f"there is no module {quoted(place)}", hint=f"it was looked for in {here} and where Python has its packages")


def _wrapped(flow: ModuleType, module: Any) -> Any:
    class Inference(flow.nn.Graph):  # type: ignore[misc, name-defined]  # OneFlow ships no types
        """A module by itself, as it is used."""

        def __init__(self) -> None:
            super().__init__()
            self.model = module.eval()

        def build(self, *inputs: Any) -> Any:
            return self.model(*inputs)

    return Inference()


@contextmanager
def _user_errors(what: str) -> Iterator[None]:
    """Turns any exception inside into an IrflopsError that says so, with the traceback on standard error: the user's code is at fault."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - their code may raise anything
        traceback.print_exc()
        told = str(error).strip().partition("\n")[0].rstrip()  # OneFlow's go on for pages, which stand in the traceback
        raise IrflopsError(f"{what} failed with {type(error).__name__}{f': {told}' if told else ''}") from None

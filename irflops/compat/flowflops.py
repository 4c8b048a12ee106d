"""flowflops' one function, answered by irflops: from a dump without OneFlow, or from a live module where OneFlow is installed.

    from irflops.compat.flowflops import get_model_complexity_info

Its figures are those of the conventions flowflops-eager and flowflops-graph. Where flowflops itself would end with an exception, as with
every transformer in graph mode, the multiply-accumulates that irflops counts stand in, and a warning says so.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, TextIO

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.conventions.registry import BY_NAME, count
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph, VariableKind
from irflops.readers import load, loads
from irflops.whatif import changed

MODES = ("eager", "graph")


class FlowflopsWarning(UserWarning):
    """The figure is not flowflops' own, because flowflops has none."""


def get_model_complexity_info(
    model: str | PathLike[str] | Any,
    input_res: Sequence[int],
    print_per_layer_stat: bool = True,
    as_strings: bool = True,
    input_constructor: Callable[[tuple[int, ...]], Mapping[str, Any]] | None = None,
    ost: TextIO = sys.stdout,
    verbose: bool = False,
    ignore_modules: Sequence[type] = (),
    custom_modules_hooks: Mapping[type, Any] | None = None,
    mode: str = "eager",
    flops_units: str | None = None,
    param_units: str | None = None,
    output_precision: int = 2,
) -> tuple[str, str] | tuple[int, int]:
    """MACs and parameters, as strings (`1.82 GMac`, `11.69 M`) or as integers.

    `model` is the path of a dump, or a live `oneflow.nn.Module`; `input_res` is the shape of its input with the batch, and a dump is
    counted as if it were captured with that one. `print_per_layer_stat`, `ost` and `verbose` are taken and print nothing, as in flowflops
    2022-11. Errors: ValueError for another mode; IrflopsError for hooks and modules to ignore, which a dump cannot be asked about.
    """
    if mode not in MODES:
        raise ValueError("Wrong mode name")
    if ignore_modules or custom_modules_hooks:
        raise IrflopsError(
            "ignore_modules and custom_modules_hooks are not supported", hint="they are Python classes, and a graph has none"
        )
    graph = _from_dump(model, input_res) if isinstance(model, (str, PathLike)) else _from_module(model, tuple(input_res), input_constructor)
    analysis = analyze_graph(graph)
    flops, params = _flops(analysis, mode), _params(analysis)
    if not as_strings:
        return flops, params
    return flops_to_string(flops, flops_units, output_precision), params_to_string(params, param_units, output_precision)


def _from_dump(path: str | PathLike[str], size: Sequence[int]) -> Graph:
    graph = load(path)
    shapes = [result.type.shape for op in graph.ops if op.type == "input" for result in op.outputs]
    if not size or not shapes or shapes[0] == tuple(size):
        return graph
    if len(shapes) > 1:
        raise IrflopsError(
            f"the graph has {len(shapes)} inputs, and one shape was given", path=graph.source.name, hint="pass () for the captured ones"
        )
    return changed(graph, inputs=tuple(size))


def _from_module(model: Any, size: tuple[int, ...], constructor: Callable[[tuple[int, ...]], Mapping[str, Any]] | None) -> Graph:
    try:
        import oneflow as flow  # here for start-up time, and since a dump does without it
    except ImportError:
        raise IrflopsError("a live module needs OneFlow", hint="pass the path of a dump: it does without") from None
    if not isinstance(model, flow.nn.Module):
        raise IrflopsError(f"a {type(model).__name__} is neither a path nor an oneflow.nn.Module")

    class Wrapper(flow.nn.Graph):  # type: ignore[misc]  # OneFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def build(self, *inputs: Any, **named: Any) -> Any:
            return self.model(*inputs, **named)

    model.eval()
    parameter = next(iter(model.parameters()), None)
    graph = Wrapper()
    if constructor is not None:
        graph._compile(**constructor(size))  # noqa: SLF001 - the one way to build a graph without running it
    else:
        kind = {} if parameter is None else {"dtype": parameter.dtype, "device": parameter.device}
        graph._compile(flow.ones(*size, **kind))  # noqa: SLF001 - the same
    return loads(repr(graph), name=f"<{type(model).__name__}>")


def _flops(analysis: Analysis, mode: str) -> int:
    answer = count(BY_NAME[f"flowflops-{mode}"], analysis.structure)
    if answer.total is not None:
        return answer.total
    why = f"flowflops ends with {answer.raises}" if answer.raises is not None else f"flowflops' figure cannot be told: {answer.unknown}"
    warnings.warn(f"{why}; this is irflops' own count of multiply-accumulates", FlowflopsWarning, stacklevel=3)
    return analysis.total.get("macs")


def _params(analysis: Analysis) -> int:
    """Parameters that require a gradient, one that is shared once."""
    graph = analysis.graph
    if not graph.holds.declarations:
        return analysis.total.get("params.trainable")
    declared = [p for module in graph.modules for p in module.parameters if p.kind is VariableKind.TRAINABLE and p.tied_to is None]
    return sum(parameter.type.numel or 0 for parameter in declared)


_FLOPS_UNITS = (("GMac", 10**9), ("MMac", 10**6), ("KMac", 10**3))
_PARAMS_UNITS = {"M": 10**6, "K": 10**3}


def flops_to_string(flops: int, units: str | None = None, precision: int = 2) -> str:
    """As flowflops writes it: `1.82 GMac`.

    >>> flops_to_string(1822177768), flops_to_string(1822177768, "MMac", 1), flops_to_string(7)
    ('1.82 GMac', '1822.2 MMac', '7 Mac')
    """
    for unit, size in _FLOPS_UNITS:
        if unit == units or (units is None and flops >= size):
            return f"{round(flops / size, precision)} {unit}"
    return f"{flops} Mac"


def params_to_string(params: int, units: str | None = None, precision: int = 2) -> str:
    """As flowflops writes it: `11.69 M`.

    >>> params_to_string(11689512), params_to_string(1234), params_to_string(1234, "M"), params_to_string(7)
    ('11.69 M', '1.23 k', '0.0 M', '7')
    """
    if units is not None:
        return f"{round(params / _PARAMS_UNITS[units], precision)} {units}" if units in _PARAMS_UNITS else str(params)
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if params >= size:
            return f"{round(params / size, precision)} {unit}"
    return str(params)

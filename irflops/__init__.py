"""irflops: what a serialized OneFlow graph costs, without OneFlow, without a GPU, without running it.

>>> import irflops
>>> analysis = irflops.analyze("fixtures/basic_block.repr.txt.gz")
>>> analysis.graph.training
False
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.auditing import audit_analysis
from irflops.counting.cost import Cost
from irflops.errors import ChoiceError, GraphError, GraphSyntaxError, IrflopsError, NotAGraphError, expect
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Phase
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.readers import load, load_live, loads
from irflops.teaching import taught

if TYPE_CHECKING:
    from irflops.analysis.scale import Scaling, Template
    from irflops.auditing.finding import Audit, Finding
    from irflops.auditing.settings import Settings
    from irflops.conventions.compare import Comparison
    from irflops.differ.edit import Edit
    from irflops.differ.result import Diff
    from irflops.explaining.explanation import Explanation
    from irflops.fitting.ways import Fit
    from irflops.memory.memory import Memory
    from irflops.transformers.closed_forms import ClosedForms
    from irflops.whatif import Inputs, MeshSize, Variables

__version__ = "0.1.0"


def analyze(
    graph: Analysis | Graph | str | PathLike[str] | object,
    *,
    name: str | int | None = None,
    partial: bool = False,
    batch: int | None = None,
    inputs: Inputs | None = None,
    variables: Variables | None = None,
    dtype: str | None = None,
    weights: str | None = None,
    activations: str | None = None,
    mesh: MeshSize | None = None,
    op_rules: RuleBook | None = None,
) -> Analysis:
    """What a graph costs, and where: of a `Graph`, of the dump at a path, or of a live `oneflow.nn.Graph` that was called once.

    An `Analysis` stands for its graph, with its rules unless others are given: `analyze(analysis, batch=8)`.
    `name` chooses among several graphs in a file and `partial` accepts damaged ones, as for `load`. What if it had been captured otherwise:
    at another `batch`; with other `inputs`, a shape or shapes by name; with `variables` of other shapes, by name or by a pattern of names;
    with `dtype` for its commonest float type, or that of its `weights` or of its `activations` alone; on another `mesh` of devices, by its
    extents in order or by name. `op_rules` are those of irflops, or with others: `irflops.ops.BOOK.with_rules(...)`. Errors: IrflopsError.
    """
    for what, word in (("dtype", dtype), ("weights", weights), ("activations", activations)):
        if word is not None:
            expect(word, str, what, "the word of an element type, such as float16")
    if variables is not None:
        _shapes_by_name(variables)
    found, book = _graph_and_rules(graph, name, partial, op_rules)
    if any(one is not None for one in (batch, inputs, variables, dtype, weights, activations, mesh)):
        from irflops.whatif import changed  # here for start-up time: most programs look at what was captured

        found = changed(
            found,
            batch=batch,
            inputs=inputs,
            variables=variables,
            dtype=dtype,
            weights=weights,
            activations=activations,
            mesh=mesh,
            book=book,
        )
    return analyze_graph(found, book)


def _shapes_by_name(variables: object) -> None:
    expect(variables, Mapping, "variables", "shapes by the names of variables")
    for name in variables if isinstance(variables, Mapping) else ():
        expect(name, str, "each name of variables", "the name of a variable, or a pattern of names")


def _graph(graph: object, name: str | int | None = None, partial: bool = False) -> Graph:
    if isinstance(graph, Graph):
        return graph
    if isinstance(graph, str) and ("\n" in graph or "(GRAPH" in graph):
        raise IrflopsError("this is the text of a dump, not the path of one", hint="irflops.analyze(irflops.loads(text))")
    if isinstance(graph, bytes):
        raise IrflopsError("these are the bytes of a dump, not the path of one", hint="irflops.analyze(irflops.loads(data))")
    if isinstance(graph, (str, PathLike)):
        return load(graph, name, partial=partial)
    if not hasattr(graph, "_full_graph_proto"):
        raise IrflopsError(f"an object of type {type(graph).__name__} is no graph", hint="give a path, a Graph or a live oneflow.nn.Graph")
    return load_live(graph)


def _graph_and_rules(
    graph: object, name: str | int | None = None, partial: bool = False, op_rules: RuleBook | None = None
) -> tuple[Graph, RuleBook]:
    if op_rules is not None:
        expect(op_rules, RuleBook, "op_rules", "a book of rules, such as irflops.ops.BOOK.with_rules(...)")
    if isinstance(graph, Analysis):
        whole = _whole(graph)
        return taught(whole.graph, op_rules or whole.book)
    return taught(_graph(graph, name, partial), op_rules or BOOK)


def _analysis(graph: object, op_rules: RuleBook | None = None) -> Analysis:
    return graph if isinstance(graph, Analysis) and op_rules is None else analyze(graph, op_rules=op_rules)


def _whole(graph: object, op_rules: RuleBook | None = None) -> Analysis:
    """For those who follow a graph from end to end: what a part lacks would look like a fault of it."""
    analysis = graph if isinstance(graph, Analysis) and graph.selection is not None else _analysis(graph, op_rules)
    if analysis.selection is not None:
        raise IrflopsError("this is an analysis of a part, and a whole graph is needed", hint="its whole: part.whole")
    return analysis


def _words(given: Iterable[str], name: str) -> Iterable[str]:
    words = (given,) if isinstance(given, str) else given  # one word alone is no row of letters
    expect(words, Iterable, name, "one word or several")
    words = tuple(words)
    for word in words:
        expect(word, str, f"each of {name}", "a word")
    return words


def select(graph: object, *, phase: Phase | str | None = None, module: str | None = None) -> Analysis:
    """The part of an analysis that is in a phase of the step, and in the modules that match a pattern or below one that does.

    `graph` is an `Analysis`, or what `analyze` takes. `*` stands for any part of one level of a module's path, `**` for any number of
    levels. Errors: IrflopsError where no module matches, and where no operator of the graph is in that phase.
    """
    if phase is not None:
        expect(phase, (Phase, str), "phase", "a phase or the word for one")
    if module is not None:
        expect(module, str, "module", "a pattern of module paths")
    from irflops.analysis.select import select_part  # here for start-up time: most programs look at the whole

    return select_part(_analysis(graph), phase=phase, module=module)


def audit(graph: object, settings: Settings | None = None, *, op_rules: RuleBook | None = None) -> Audit:
    """What the audit rules find in an `Analysis`, or in what `analyze` takes; `op_rules` as there. Errors: IrflopsError."""
    if settings is not None:
        from irflops.auditing.settings import Settings  # here for start-up time: most programs audit nothing

        expect(settings, Settings, "settings", "irflops.Settings(...)")
    return audit_analysis(_whole(graph, op_rules), settings)


def diff(old: object, new: object, *, ignore: Iterable[str] = (), also: Iterable[str] = (), op_rules: RuleBook | None = None) -> Diff:
    """What changed from one graph to another, and what each change costs; each an `Analysis`, or what `analyze` takes.

    Operators are compared, not text: neither counters nor names count, and the forms may differ. `ignore` leaves kinds of change out:
    `renames`, `moves`, `placement`; `also` are costs to compare that are worked out on demand: `memory_bytes`; `op_rules` as of
    `analyze`, of both. Errors: IrflopsError.
    """
    from irflops.differ import diff_analyses  # here for start-up time: most programs compare nothing

    return diff_analyses(_whole(old, op_rules), _whole(new, op_rules), ignore=_words(ignore, "ignore"), also=_words(also, "also"))


def compare(graph: object, conventions: Iterable[str] = (), *, op_rules: RuleBook | None = None) -> tuple[Comparison, ...]:
    """What other counters would print for an `Analysis`, or for what `analyze` takes, and why it is not irflops' figure, to the unit.

    `conventions` are names as `irflops conventions` lists them, all of them unless some are given; `op_rules` as of `analyze`.
    Errors: IrflopsError.
    """
    from irflops.conventions.compare import compare_analysis  # here for start-up time: the tables of ten tools
    from irflops.conventions.registry import CONVENTIONS, convention_called  # the same

    wanted = tuple(map(convention_called, _words(conventions, "conventions"))) or CONVENTIONS
    return compare_analysis(_whole(graph, op_rules), wanted)


def closed_forms(graph: object, *, context_length: int | None = None, op_rules: RuleBook | None = None) -> ClosedForms:
    """A graph beside the closed forms of transformers: its structure, each form, and the difference from the count by term.

    `graph` is an `Analysis` of a whole graph, or what `analyze` takes. `context_length` is the number of tokens before, in each sequence,
    that serving is worked out for; unless given that of the graph; `op_rules` as of `analyze`. Errors: IrflopsError.
    """
    if context_length is not None:
        expect(context_length, int, "context_length", "a number of tokens")
        if context_length < 1:
            raise IrflopsError(f"{context_length} is no number of tokens", hint="give 1 or more")
    return _whole(graph, op_rules).closed_forms(context_length)


def explain(graph: object, op: str, *, op_rules: RuleBook | None = None) -> Explanation:
    """All that is known of one operator of an `Analysis`, or of what `analyze` takes.

    `op` is its name, a part that no other name has, or `line:N`, a line of the file; `op_rules` as of `analyze`.
    Errors: IrflopsError with the nearest names.
    """
    expect(op, str, "op", "the name of an operator, a part of one, or line:N")
    from irflops.explaining.explanation import explain_op, find_op  # here for start-up time: the tables of ten tools

    analysis = _analysis(graph.whole if isinstance(graph, Analysis) else graph, op_rules).whole
    return explain_op(analysis, find_op(analysis, op))


def scale(
    graph: object,
    inputs: Template | None = None,
    *,
    symbol: str = "N",
    batch: int | str | None = None,
    variables: Mapping[str, Sequence[int | str | None]] | None = None,
    dtype: str | None = None,
    weights: str | None = None,
    activations: str | None = None,
    op_rules: RuleBook | None = None,
) -> Scaling:
    """The totals of an `Analysis`, or of what `analyze` takes, as polynomials of the batch, or of one or two extents of the inputs.

    `inputs` is a shape, or shapes by name, with names for the extents that vary: `(1, 3, "N", "N")`, `{"ids": ("N", "T")}`; None stands for
    `symbol`. `batch` and the shapes of `variables` take the same names, or numbers; what else there is is as for `analyze`. Errors:
    IrflopsError where the graph cannot take other sizes.
    """
    expect(symbol, str, "symbol", "a name to write polynomials with, such as N")
    if inputs is not None:
        expect(inputs, (Mapping, Sequence), "inputs", "a shape, or shapes by name")
    if variables is not None:
        _shapes_by_name(variables)
    if batch is not None:
        expect(batch, (int, str), "batch", "a number of samples, or a name for it")
    from irflops.analysis.scale import Open, scaling  # here for start-up time: most programs analyze one size

    found, book = _graph_and_rules(graph, op_rules=op_rules)
    asked = Open(
        batch=batch,
        variables={name: tuple(symbol if one is None else one for one in shape) for name, shape in (variables or {}).items()},
        dtype=dtype,
        weights=weights,
        activations=activations,
    )
    shapes = () if inputs is None else inputs.values() if isinstance(inputs, Mapping) else (inputs,)
    words = [extent for shape in shapes for extent in shape if isinstance(extent, str)]
    for name in (symbol, *asked.symbols, *(factor for word in words for factor in word.split("*") if not factor.isdigit())):
        if not name.isidentifier():
            raise IrflopsError(f"{name!r} is no symbol to write polynomials with", hint="give it a name: symbol='N'")
    return scaling(found, inputs, symbol, book, asked=asked)


def plan_memory(
    graph: object, *, on: str | None = None, compute_stream: bool | None = None, workspace: int = 0, op_rules: RuleBook | None = None
) -> Memory:
    """What each device of a graph holds over a step: the memory plan of OneFlow 0.9.0, in bytes, and how sure it is.

    `graph` is an `Analysis` of a whole graph, or what `analyze` takes. `on` is `cpu` or `cuda`, else what the graph was captured for;
    `compute_stream` says whether collectives run on the stream of the other operators, which no job tells; `workspace` what cuDNN takes
    for each convolution; `op_rules` as of `analyze`. Errors: IrflopsError.
    """
    from irflops.memory.memory import asked_for, memory_of  # here for start-up time: numpy, which only a plan needs

    asked, analysis = asked_for(on, compute_stream, workspace), _whole(graph, op_rules)
    return memory_of(analysis.graph, analysis.inference.types, analysis.devices, analysis.book, asked)


def fit(
    graph: object,
    limit: int,
    *,
    on: str | None = None,
    compute_stream: bool | None = None,
    workspace: int = 0,
    op_rules: RuleBook | None = None,
) -> Fit:
    """What would make each device hold at most `limit` bytes, each planned, the fewest added FLOPs first; and the largest batch that fits.

    The rest is as for `plan_memory`. Errors: IrflopsError.
    """
    from irflops.fitting.change import BUDGET, Planner  # here for start-up time: numpy, which only a plan needs
    from irflops.fitting.ways import fitting  # the same
    from irflops.memory.memory import asked_for  # the same

    expect(limit, int, "limit", "a number of bytes")
    return fitting(Planner(_whole(graph, op_rules), asked_for(on, compute_stream, workspace), BUDGET), limit)


def capture(graph: object, path: str | PathLike[str], *, inputs: Sequence[object] | None = None) -> None:
    """Writes a live `oneflow.nn.Graph` into one file that `load` reads, with all that its printed graph and its job tell and no weights.

    The graph was called once before, or is compiled here for `inputs`, without a run. Every rank may call this: rank 0 alone writes. A
    file that is there is replaced, and only by a whole one. Errors: IrflopsError where it is no compiled graph, or cannot be written.
    """
    from irflops.capturing.write import write_capture  # here for start-up time: archives, which few programs write

    write_capture(graph, path, inputs, __version__)


__all__ = [
    "Analysis",
    "Audit",
    "Certainty",
    "ChoiceError",
    "ClosedForms",
    "Comparison",
    "Cost",
    "Diff",
    "Edit",
    "Explanation",
    "Finding",
    "Fit",
    "Graph",
    "GraphError",
    "GraphSyntaxError",
    "IrflopsError",
    "Memory",
    "NotAGraphError",
    "Phase",
    "Scaling",
    "Settings",
    "__version__",
    "analyze",
    "audit",
    "capture",
    "closed_forms",
    "compare",
    "diff",
    "explain",
    "fit",
    "load",
    "loads",
    "plan_memory",
    "scale",
    "select",
]


def _imported_when_asked(name: str) -> object:
    """What most programs do not name: for start-up time it is imported where one does."""
    match name:
        case "Audit":
            from irflops.auditing.finding import Audit

            return Audit
        case "Finding":
            from irflops.auditing.finding import Finding

            return Finding
        case "Fit":
            from irflops.fitting.ways import Fit

            return Fit
        case "ClosedForms":
            from irflops.transformers.closed_forms import ClosedForms

            return ClosedForms
        case "Comparison":
            from irflops.conventions.compare import Comparison

            return Comparison
        case "Diff":
            from irflops.differ.result import Diff

            return Diff
        case "Edit":
            from irflops.differ.edit import Edit

            return Edit
        case "Explanation":
            from irflops.explaining.explanation import Explanation

            return Explanation
        case "Memory":
            from irflops.memory.memory import Memory

            return Memory
        case "Scaling":
            from irflops.analysis.scale import Scaling

            return Scaling
        case "Settings":
            from irflops.auditing.settings import Settings

            return Settings
        case _:
            raise AttributeError(f"module 'irflops' has no attribute {name!r}")


if not TYPE_CHECKING:  # a checker sees the imports above, and a name that is not there is an error
    __getattr__ = _imported_when_asked


def __dir__() -> list[str]:
    return sorted(__all__)

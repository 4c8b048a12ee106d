"""What an analysis says in words: what the graph is, what it costs, how sure that is."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irflops.analysis.analysis import Analysis, Selection
from irflops.counting.cost import KINDS, Cost
from irflops.counting.hidden import is_forward_alone
from irflops.counting.ratio import Ratio
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import DType
from irflops.report.devices import devices_words, shares_words
from irflops.report.numbers import (
    UNKNOWN,
    Units,
    common_units,
    format_count,
    format_exact,
    format_in,
    format_ratio,
    format_share,
    format_things,
)
from irflops.report.table import Column, Table, printable
from irflops.report.tables import cost_columns

_FORMATS = {
    "repr": "printed graph",
    "job_text": "job, protobuf text",
    "job_binary": "job, binary",
    "mlir": "saved graph's MLIR",
    "saved_graph": "saved graph",
    "capture": "capture",
}
_REASONS = {
    "no_rule": "irflops has no rule for the type",
    "missing_shape": "a shape is not known",
    "missing_attribute": "the dump does not tell an attribute",
    "unknown_phase": "nothing tells whether it is of the forward pass",
    "unknown_reader": "backward may read it, and what reads it is not known in full",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A file of several: the sum of its costs, or why it has none."""

    path: str
    error: IrflopsError | None = None
    graph: str | None = None
    training: bool | None = None
    operators: int | None = None
    batch: int | None = None
    declared_params: int | None = None
    cost: Cost | None = None


def model_of(path: str, analysis: Analysis) -> Model:
    """What one row needs of an analysis, so that the graph itself can go."""
    return Model(
        path,
        graph=analysis.graph.name,
        training=analysis.graph.training,
        operators=analysis.shown_operators,
        batch=analysis.whole.batch,
        declared_params=analysis.declared_params if analysis.selection is None else None,
        cost=analysis.total,
    )


def model_table(models: list[Model]) -> Table:
    """A row per model, in the order in which they were asked for."""

    def text(name: str, title: str, get: Any) -> Column:
        return Column(name=name, title=title, get=get, numeric=False)

    names = short_names([model.path for model in models])
    of_path = Counter(model.path for model in models)

    def name(model: Model) -> str:
        """The file, and of a file with several graphs which: by the graph alone where there is one file."""
        if of_path[model.path] == 1:
            return names[model.path]
        graph = model.graph or "?"
        return graph if len(of_path) == 1 else f"{names[model.path]} {graph}"

    columns = (
        Column(name="model", title="model", get=name, numeric=False, exported=False),
        text("path", "file", lambda model: model.path),
        text("graph", "graph", lambda model: model.graph),
        Column(name="training", title="training", get=lambda model: model.training, numeric=False),
        Column(name="operators", title="operators", get=lambda model: model.operators),
        Column(name="batch", title="batch", get=lambda model: model.batch),
        *cost_columns(lambda model: model.cost),
        Column(name="declared_params", title="declared", get=lambda model: model.declared_params),
        Column(name="error", title="error", get=lambda model: _in_one_line(model.error), numeric=False, prose=True, weight=-1),
    )
    failed = any(model.error for model in models)
    # Where room is short an error, which standard error tells too, goes before any figure of the files that were read.
    people = ("model", "operators", "batch", "macs", "flops", "params", "bytes", "intensity", *(("error",) if failed else ()))
    return Table(name="summary", title="Models", columns=columns, items=models, people=people)


def short_names(paths: list[str]) -> dict[str, str]:
    """Names of files without their folders and endings, as far as that tells them apart."""
    files = {path: short_path(path) for path in paths}
    stems = {path: name.partition(".")[0] or name for path, name in files.items()}
    with_folders = {path: path[: len(path) - len(name)] + stems[path] for path, name in files.items()}
    for names in (stems, files, with_folders):
        if len(set(names.values())) == len(names):
            return names
    return {path: path for path in paths}


def units_of(*totals: Cost) -> Units:
    """The units of a report on these totals: one for MACs and FLOPs alike, in the words and in every table."""
    work = max((total.get(name) for total in totals for name in ("macs", "flops")), default=0)
    return common_units(work, max((total.get("bytes") for total in totals), default=0))


def headline(analysis: Analysis) -> str:
    """What the graph is, in one line: `ResNet18Graph_0 (ResNet18Graph), inference`."""
    graph = analysis.graph
    name = f"{graph.name} ({graph.class_name})" if graph.class_name and graph.class_name != graph.name else graph.name
    return f"{printable(name or 'a graph without a name')}, {'training' if graph.training else 'inference'}"


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Labels and texts of the summary. Of a selection, what the graph is as a whole and what the selection costs."""
    whole = analysis.whole
    graph = whole.graph
    line = f":{graph.source.line(graph.span.start)}" if graph.span is not None else ""
    form = _FORMATS.get(graph.format, graph.format)
    version = f" of OneFlow {graph.version_guess}" if graph.version_guess else ""
    batch = "" if whole.batch is None else f", batch {whole.batch:,}"
    found = [
        ("read from", f"{printable(graph.source.name)}{line}"),
        ("format", f"{form}{version}{'' if graph.holds.dead_ops else ': OneFlow saves what the outputs need, and no more'}"),
        ("size", f"{_operators(whole, ',')} in {format_things(len(graph.modules) - 1, 'module')}{batch}"),
    ]
    if whole.is_spread:
        found.append(("devices", f"{devices_words(whole.devices)}; figures are of the whole logical graph"))
        found += [("", words) for words in shares_words(whole.devices, units_of(analysis.total))]
    return [*found, *part_facts(analysis)]


def part_facts(analysis: Analysis) -> list[tuple[str, str]]:
    """What an analysis costs, and of a selection what part of the graph that is."""
    whole, cost = analysis.whole, analysis.total
    units = units_of(cost)
    found: list[tuple[str, str]] = []
    if analysis.selection is not None:
        share = cost.share("flops", whole.total)
        part = f", {format_share(share)} of the graph's FLOPs" if share.whole else ""
        found.append(("selected", f"{printable(_words(analysis.selection))}: {_operators(analysis)}{part}"))
    found.append(("compute", _known([_count(cost, "macs", "MACs", units), _count(cost, "flops", "FLOPs", units), *_special(cost)])))
    if whole.batch:
        found.append(("per sample", format_in(Ratio(cost.get("macs"), whole.batch).rounded, "MACs", units, cost.certainty("macs"))))
    found += [(label, text) for label, text in zip(["parameters", "", "", ""], _variables(cost), strict=False)]
    if analysis.selection is None and analysis.declared_params not in (None, cost.get("params")):
        found.append(("", f"{format_exact(analysis.declared_params)} declared by the modules' own lines"))
    if whole.variable_types - {DType.FLOAT32} and analysis.disk_bytes is not None:
        found.append(("on disk", f"{format_count(analysis.disk_bytes, 'bytes')}, parameters and buffers"))
    traffic = [_count(cost, name, "bytes") for name in ("bytes_read", "bytes_written")]
    found.append(("traffic", _known(traffic, "{} read, {} written, where no operators are fused")))
    assumed = analysis.assumed
    if assumed.operators:
        moved = [UNKNOWN if value is None else format_count(value, "bytes") for value in (assumed.bytes_read, assumed.bytes_written)]
        whose = format_things(assumed.operators, "operator")
        found.append(("assumed", _known(moved, f"{{}} read, {{}} written by {whose} without a rule, in no total")))
    found.append(("intensity", format_ratio(cost.intensity, "FLOP/byte")))
    elements = cost.get("activation_elements")
    held = [format_exact(elements, cost.certainty("activation_elements")), _count(cost, "activation_bytes", "bytes")]
    plural = "" if elements == 1 else "s"
    found.append(("activations", _known(held, f"{{}} element{plural}, {{}}: all results added up, not what is held at once")))
    if analysis.graph.training:
        found.append(("saved", _known([_count(cost, "saved_bytes", "bytes")], "{} of the forward pass, kept for the backward pass")))
    found.append(("certainty", how_sure(analysis)))
    return found


def _words(selection: Selection) -> str:
    parts = [f"phase {selection.phase}" if selection.phase else "", f"modules {selection.module}" if selection.module else ""]
    return ", ".join(part for part in parts if part)


def how_sure(analysis: Analysis) -> str:
    """How sure the totals are, and what keeps them from being exact."""
    worst = analysis.total.worst
    words = {
        Certainty.EXACT: "exact",
        Certainty.LOWER_BOUND: "figures with >= are lower bounds",
        Certainty.UPPER_BOUND: "figures with <= are upper bounds: some work depends on the data",
        Certainty.UNBOUNDED: "figures with ~ are neither lower nor upper bounds",
        Certainty.ESTIMATE: "figures with ~ are estimates",
    }[worst]
    why = ["part of the graph was not read"] if analysis.graph.partial else []
    if is_forward_alone(analysis.graph):
        why.append("the file holds the forward pass of a training step alone")
    if analysis.graph.doubt is not Certainty.EXACT:
        why.append("see the notes on other inputs")
    count = sum(len(unknown.ops) for unknown in analysis.unknown)
    if count:
        why.append(f"something of {format_things(count, 'operator')} is unknown")
    disagreeing = len(analysis.inference.disagreements)
    if disagreeing:
        verb = "disagrees with its operator" if disagreeing == 1 else "disagree with their operators"
        words += f", but {format_things(disagreeing, 'shape')} in the file {verb}"
    return f"{words}: {', '.join(why)}" if why else words


def reason(name: str) -> str:
    """Why a count is unknown, in words."""
    return _REASONS.get(name, name)


def short_path(path: str) -> str:
    """The name of a file without its folders."""
    return posixpath.basename(path.replace("\\", "/")) or path


def _operators(analysis: Analysis, end: str = "") -> str:
    """The operators in words. The dump does not print all that tables have: it shows some by what others read alone."""
    printed = analysis.shown_operators
    hidden = len(analysis.graph.ops) - printed
    more = f" and {hidden:,} that the dump does not print{end}" if hidden else ""
    return format_things(printed, "operator") + more


def _in_one_line(error: IrflopsError | None) -> str | None:
    return None if error is None else " ".join(error.message.split())


def _known(counts: Sequence[str], sentence: str | None = None) -> str:
    """Counts in a sentence, or `unknown` once where none of them is known."""
    if all(count == UNKNOWN for count in counts):
        return UNKNOWN
    return ", ".join(counts) if sentence is None else sentence.format(*counts)


def _count(cost: Cost, name: str, unit: str, units: Units | None = None) -> str:
    return format_in(cost.get(name), unit, units or {}, cost.certainty(name))


def _special(cost: Cost) -> list[str]:
    """exp, log and the like, where there are any."""
    certainty = cost.certainty("transcendentals")
    count = cost.get("transcendentals")
    return [f"{format_count(count, 'transcendentals', certainty)}"] if count else []


def _variables(cost: Cost) -> list[str]:
    words = {"trainable": "trainable", "frozen": "frozen", "buffer": "in buffers", "optimizer_state": "of optimizer state"}
    lines = [
        f"{format_count(elements, 'params' if kind in ('trainable', 'frozen') else 'elements', cost.certainty('params'))} {words[kind]}, "
        f"{format_count(nbytes, 'bytes', cost.certainty('param_bytes'))}"
        for kind, elements, nbytes in zip(KINDS, cost.params, cost.param_bytes, strict=True)
        if elements
    ]
    return lines or ["none" if cost.is_known("params") else UNKNOWN]

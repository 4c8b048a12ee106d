"""Closed forms for people: the structure that was found and where, each form beside the count, and what makes the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irflops.analysis.analysis import Analysis
from irflops.conventions.layer_forms import FORMULAS, LayerForms, LayerFormula
from irflops.counting.ratio import Ratio
from irflops.ir.certainty import Certainty
from irflops.machines.time import Time
from irflops.report.numbers import UNKNOWN, Figure, format_count
from irflops.report.sections import Report
from irflops.report.summary import headline
from irflops.report.table import Column, Table, arranged, printable
from irflops.report.timing import seconds_words
from irflops.transformers.closed_forms import ClosedForms
from irflops.transformers.forms import Form
from irflops.transformers.run import Run
from irflops.transformers.structure import FIELDS

BY = ("structure", "form", "term", "layer")
"""What `--by` takes."""

LAYERS = 20
"""Layers in the whole report."""

_WORDS = {"kv_heads": "kv heads", "ffn": "feed-forward"}


@dataclass(frozen=True, slots=True)
class Size:
    """One size of a transformer, with its letter in the forms."""

    name: str
    value: int | None
    lines: str
    op: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the difference between a form and the count."""

    form: Form
    name: str
    flops: int
    certainty: Certainty


def closed_forms_report(
    analysis: Analysis, forms: ClosedForms, layers: Sequence[LayerForms], more: Sequence[tuple[str, str]] = ()
) -> Report:
    """The whole report: of a graph that is no transformer its `layers`. `more` are facts of serving and training on a machine."""
    facts = [("read from", printable(analysis.graph.source.name))]
    facts += _facts(forms)
    facts += more
    tables = [structure_table(forms), form_table(forms), term_table(forms)]
    if forms.transformer is None:
        tables.append(arranged(layer_table(layers), top=LAYERS))
    notes = [f"{_WORDS.get(field, field)} unknown: {reason}" for field, reason in _reasons(forms).items()]
    notes += [f"{left.name}: left out; {left.why}" for left in forms.left_out]
    notes += [f"{form.name}: {form.source}" for form in forms.forms]
    return Report(headline=headline(analysis), facts=facts, tables=[table for table in tables if table.items], notes=notes)


def on_a_machine(forms: ClosedForms, run: Run | None, time: Time | None) -> list[tuple[str, str]]:
    """Facts of a training run, and of serving on a machine."""
    facts = []
    if time is not None and forms.serving is not None:
        step_s = forms.serving.floor_s(time.machine.memory_bandwidth)
        reads = "no floor is known" if step_s is None else f"{seconds_words(step_s)} a step at least, to read that"
        facts.append(("", f"{reads} on one {time.machine.id}"))
    if run is not None:
        by_parameters = f"6 P a token gives {format_count(run.by_parameters, 'FLOPs')}"
        sure = forms.total.certainty("flops")
        counted = format_count(run.flops, "FLOPs", sure)
        facts.append(("training", f"{run.tokens:,} tokens are {run.steps:,} steps and {counted}; {by_parameters}"))
    if run is not None and time is not None:
        floor, estimate = (_hours(run.device_hours(seconds)) for seconds in (time.floor_s, time.estimate_s))
        facts.append(("", f"{floor} at least, {estimate} as estimated, on {run.devices:,} of {time.machine.id}"))
    return facts


def _hours(hours: float | None) -> str:
    return UNKNOWN if hours is None else f"{hours:,.2f} device hours" if hours < 100 else f"{hours:,.0f} device hours"


def _reasons(forms: ClosedForms) -> Mapping[str, str]:
    return forms.transformer.reasons if forms.transformer is not None else {}


def closed_forms_table(forms: ClosedForms, layers: Sequence[LayerForms], by: str) -> Table:
    """The table that `--by` names."""
    if by == "layer":
        return layer_table(layers)
    return {"structure": structure_table, "form": form_table, "term": term_table}[by](forms)


def _facts(forms: ClosedForms) -> list[tuple[str, str]]:
    facts = []
    if forms.missing is not None:
        facts.append(("transformer", f"none: {forms.missing}"))
    counted = format_count(forms.flops, "FLOPs", forms.total.certainty("flops"))
    contractions = format_count(forms.contractions, "FLOPs", forms.total.certainty("macs"))
    facts.append(("counted", f"{counted}, of which {contractions} are of contractions"))
    if forms.measured is not None:
        facts.append(("tokens", f"T = {forms.tokens:,} in a {'step' if forms.measured.amounts.trains else 'pass'}"))
        tables = f", {format_count(forms.measured.amounts.tables)} of them in tables that are looked up alone"
        facts.append(("parameters", f"P = {format_count(forms.measured.params)}{tables}"))
    if forms.doubt is not None and forms.measured is not None:
        facts.append(("differences", forms.doubt))
    return facts + _serving(forms)


def _serving(forms: ClosedForms) -> list[tuple[str, str]]:
    found = forms.serving
    if found is None:
        return []
    facts = [("weights", format_count(found.weight_bytes, "bytes", found.weight_certainty))]
    if found.cache_bytes_a_token is not None:
        cache = f"{format_count(found.cache_bytes_a_token, 'bytes')} a token"
        if found.cache_bytes is not None:
            cache += f", {format_count(found.cache_bytes, 'bytes')} for {found.sequences:,} x {found.context:,}"
        facts.append(("kv cache", cache))
    if found.step_bytes is not None:
        facts.append(("decode", f"reads at least {format_count(found.step_bytes, 'bytes', found.weight_certainty)} a step"))
    return facts


def _signed(term: Term) -> str:
    """A difference with its sign; a bound that lies below nothing tells nothing of work."""
    if term.flops < 0 and not term.certainty.is_exact:
        return UNKNOWN
    return f"{term.certainty.sign}{term.flops:+,}"


def structure_table(forms: ClosedForms) -> Table:
    """A row per size."""
    columns = (
        Column(name="size", title="size", get=lambda size: _WORDS.get(size.name, size.name), numeric=False),
        Column(name="value", title="value", get=lambda size: size.value, nothing="unknown"),
        Column(name="lines", title="found at", get=lambda size: size.lines, numeric=False),
        Column(name="op", title="by", get=lambda size: size.op, numeric=False),
        Column(name="why", title="why not", get=lambda size: size.why, numeric=False, prose=True),
    )
    return Table(name="structure", title="Structure", columns=columns, items=_sizes(forms), people=("size", "value", "lines", "op"))


def _sizes(forms: ClosedForms) -> list[Size]:
    found = forms.transformer
    if found is None:
        return []
    return [
        Size(
            field,
            found.sizes[field],
            _places(forms, found.found_at.get(field, ())),
            forms.graph.ops[found.found_at[field][0]].name if field in found.found_at else None,
            found.reasons.get(field),
        )
        for field in FIELDS
    ]


def _places(forms: ClosedForms, indices: Sequence[int]) -> str:
    """`graph.txt:14, and 11 more`: the first line with its file."""
    lines = [line for line in map(forms.line, indices) if line is not None]
    if not lines:
        return ""
    path = forms.graph.source.name.replace("\\", "/").rpartition("/")[2]
    return printable(f"{path}:{lines[0]}{f', and {len(lines) - 1} more' if len(lines) > 1 else ''}")


def form_table(forms: ClosedForms) -> Table:
    """A row per form."""
    sure = forms.total.certainty("flops")
    columns = (
        Column(name="name", title="form", get=lambda form: form.name, numeric=False),
        Column(name="formula", title="formula", get=lambda form: form.formula, numeric=False),
        Column(name="flops", title="FLOPs", get=lambda form: Figure(form.flops), unit="FLOPs"),
        Column(name="counted", title="counted", get=lambda _: Figure(forms.flops, sure), unit="FLOPs"),
        Column(name="of_counted", title="of the count", get=lambda form: Ratio(form.flops, forms.flops)),
        Column(name="source", title="source", get=lambda form: form.source, numeric=False, prose=True),
    )
    return Table(name="form", title="Closed forms", columns=columns, items=forms.forms, people=("name", "formula", "flops", "of_counted"))


def term_table(forms: ClosedForms) -> Table:
    """A row per form and term: what the graph has more than the form, or less."""
    items = [
        Term(form, term, flops, forms.other_work if term == "other work" else Certainty.EXACT)
        for form in (forms.forms if forms.doubt is None else ())
        for term, flops in form.difference.items()
    ]
    firsts = {form.name: next(iter(form.difference), None) for form in forms.forms}
    columns = (
        Column(name="name", title="form", get=lambda term: term.form.name, numeric=False, exported=True),
        Column(
            name="form",
            title="form",
            get=lambda term: term.form.name if firsts[term.form.name] == term.name else None,
            numeric=False,
            exported=False,
        ),
        Column(name="formula", title="formula", get=lambda term: term.form.formula, numeric=False),
        Column(name="flops", title="FLOPs", get=lambda term: Figure(term.form.flops)),
        Column(name="term", title="term", get=lambda term: term.name, numeric=False),
        Column(name="difference", title="FLOPs", get=lambda term: Figure(term.flops, term.certainty)),
        Column(name="more", title="FLOPs", get=_signed, exported=False),
        Column(name="certainty", title="certainty", get=lambda term: str(term.certainty), numeric=False),
        Column(name="counted", title="counted", get=lambda _: Figure(forms.flops)),
        Column(name="source", title="source", get=lambda term: term.form.source, numeric=False),
    )
    title = "Differences: what is counted less the form"
    return Table(name="term", title=title, columns=columns, items=items, people=("form", "term", "more"))


def layer_table(layers: Sequence[LayerForms]) -> Table:
    """A row per convolution and linear layer: what the formulas of articles give, and what is counted."""

    def by(formula: LayerFormula) -> Column:
        return Column(name=formula.name, title=formula.formula, get=lambda layer: Figure(layer.value(formula)))

    columns = (
        Column(name="op", title="layer", get=lambda layer: layer.name, numeric=False),
        Column(name="kind", title="kind", get=lambda layer: layer.kind, numeric=False),
        Column(name="line", title="line", get=lambda layer: layer.line),
        Column(name="taps", title="taps n", get=lambda layer: layer.taps),
        Column(name="outputs", title="outputs N", get=lambda layer: layer.outputs),
        *map(by, FORMULAS),
        Column(name="bias", title="bias", get=lambda layer: layer.bias),
        Column(name="counted", title="counted", get=lambda layer: Figure(layer.flops, layer.certainty)),
    )
    people = ("op", "line", "taps", "outputs", "without_bias", "with_bias", "bias_as_tap", "counted")
    return Table(name="layer", title="Layers by the formulas of articles", columns=columns, items=layers, people=people)

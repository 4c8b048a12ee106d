"""One graph, whichever form it was read from: op by op the same, but for the exceptions that docs/formats.md lists, each named here.

A form is one row of FORMS, an exception one of EXCEPTIONS. A difference that no exception claims is a failure, and so is an exception
that nothing shows.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import irflops
from irflops import Analysis
from irflops.counting.cost import FIGURES
from irflops.ir.graph import Op, Operand

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
REFERENCE = "job.prototxt"
"""The form that tells the most; the others are compared with it."""
STEMS = sorted(
    path.relative_to(FIXTURES).as_posix().removesuffix(f".{REFERENCE}.gz")
    for folder in (FIXTURES, FIXTURES / "forms")
    for path in folder.glob(f"*.{REFERENCE}.gz")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one form tells of an operator, as the exceptions see it."""

    op: Op
    inputs: tuple[Operand, ...]
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An operator of one form alone, or a field that two forms tell differently."""

    field: str
    """`missing` where the form has no such operator, `extra` where the full job has none."""
    full: Side | None
    form: Side | None

    @property
    def op(self) -> Op:
        side = self.full or self.form
        assert side is not None
        return side.op


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A difference between forms that has a reason; docs/formats.md has its text under the same name."""

    name: str
    forms: tuple[str, ...]
    claims: Callable[[Difference], bool]


def _known(value: Any, other: Any) -> bool:
    """Whether two tuples of figures are equal wherever both are known."""
    return all(a is None or b is None or a == b for a, b in zip(value, other, strict=True))


def _made_by_passes(d: Difference) -> bool:
    phase = d.op.phase.value if d.op.phase is not None else None
    return d.field == "missing" and (phase in ("optimizer", "system", "recompute") or _boxing(d))


def _boxing(d: Difference) -> bool:
    return "Boxing" in d.op.name


EXCEPTIONS = (
    Allowed(
        name="hidden learning rate",
        forms=("repr.txt",),
        claims=lambda d: d.op.type == "learning_rate_schedule" and d.field in ("inputs", "placement", "input sbp", "output sbp"),
    ),
    Allowed(name="boxing identities", forms=("repr.txt",), claims=lambda d: d.field == "extra" and _boxing(d)),
    Allowed(
        name="attributes that a print cannot tell",
        forms=("repr.txt",),
        claims=lambda d: (
            d.full is not None
            and d.form is not None
            and (
                (d.field == "attrs" and d.form.fields["attrs"].items() <= d.full.fields["attrs"].items())
                or (d.field == "costs" and _known(d.full.fields["costs"], d.form.fields["costs"]))
            )
        ),
    ),
    Allowed(
        name="types that a print cannot tell",
        forms=("repr.txt",),
        claims=lambda d: (
            d.form is not None
            and d.form.op.type is None
            and (d.field in ("inputs", "costs", "attrs") or (d.field == "type" and d.op.type in d.form.op.type_candidates))
        ),
    ),
    Allowed(
        name="declared kinds",
        forms=("repr.txt",),
        claims=lambda d: d.field in ("kind", "params") and d.form is not None and d.form.op.kind_source == "declared",
    ),
    Allowed(name="operators made by passes", forms=("fwd.prototxt",), claims=_made_by_passes),
    Allowed(
        name="unmerged add_n",
        forms=("fwd.prototxt",),
        claims=lambda d: d.op.type == "add_n" and d.field in ("extra", "inputs", "input sbp", "attrs", "costs"),
    ),
    Allowed(
        name="sbp that a forward job leaves out",
        forms=("fwd.prototxt",),
        claims=lambda d: d.field in ("input sbp", "output sbp") and d.form is not None and None in d.form.fields[d.field],
    ),
)

FORMS = ("repr.txt", "job.pb", "fwd.prototxt")


@cache
def analysis_of(stem: str, form: str) -> Analysis:
    data = gzip.decompress((FIXTURES / f"{stem}.{form}.gz").read_bytes())
    return irflops.analyze(irflops.loads(data, name=f"{stem}.{form}"))


def sides(analysis: Analysis) -> dict[str, Side]:
    """All that a form tells, operator by operator, types as inference completes them."""
    types = analysis.inference.types

    def tensor(operand: Operand) -> tuple[Any, ...]:
        known = operand.type if operand.type.shape is not None and operand.type.dtype is not None else types[operand.lbn]
        return operand.arg, operand.index, operand.lbn, known.shape, known.dtype

    found = {}
    for op, costed in zip(analysis.graph.ops, analysis.costs, strict=True):
        cost = costed.cost
        found[op.name] = Side(
            op=op,
            inputs=op.inputs,
            fields={
                "type": op.type,
                "module": op.module,
                "phase": op.phase,
                "runs": op.runs,
                "kind": op.kind,
                "inputs": tuple(map(tensor, op.inputs)),
                "outputs": tuple(map(tensor, op.outputs)),
                "input sbp": tuple(operand.nd_sbp for operand in op.inputs),
                "output sbp": tuple(result.nd_sbp for result in op.outputs),
                "placement": op.placement,
                "attrs": {name: "nan" if isinstance(value, float) and math.isnan(value) else value for name, value in op.attrs.items()},
                "costs": tuple(cost.get(figure) if cost.is_known(figure) else None for figure in FIGURES),
                "params": cost.params,
            },
        )
    return found


def differences(full: Analysis, form: Analysis) -> Iterator[Difference]:
    ours, theirs = sides(full), sides(form)
    for name, side in ours.items():
        other = theirs.get(name)
        if other is None:
            yield Difference(field="missing", full=side, form=None)
            continue
        for field, value in side.fields.items():
            if value != other.fields[field]:
                yield Difference(field=field, full=side, form=other)
    for name, side in theirs.items():
        if name not in ours:
            yield Difference(field="extra", full=None, form=side)


def claimed(difference: Difference, form: str) -> list[str]:
    return [exception.name for exception in EXCEPTIONS if form in exception.forms and exception.claims(difference)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stem", STEMS)
def test_a_form_gives_the_graph_of_the_full_job(stem: str, form: str) -> None:
    found = list(differences(analysis_of(stem, REFERENCE), analysis_of(stem, form)))
    assert [(d.op.name, d.field) for d in found if not claimed(d, form)] == []


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: exception.name)
def test_every_exception_is_there_to_see(exception: Allowed) -> None:
    if exception.name == "boxing identities":
        return  # one device has none: the next test shows it
    assert any(
        exception.name in claimed(difference, form)
        for form in exception.forms
        for stem in STEMS
        for difference in differences(analysis_of(stem, REFERENCE), analysis_of(stem, form))
    )


def test_every_exception_is_documented() -> None:
    section = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").partition("## One graph")[2]
    rows = set(re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE))
    assert {exception.name for exception in EXCEPTIONS} <= rows


# ---------------------------------------------------------------- each by name


def test_boxing_identities_stand_in_the_print_alone() -> None:
    """Where producer and consumer lie differently, a print has an identity between them; counted, it is free."""
    text = gzip.decompress((FIXTURES / "basic_block.repr.txt.gz").read_bytes()).decode()
    used = "model.bn1-normalization-1/y_0"
    start = text.index("(OPERATOR: model.relu-relu-2(")
    line = text[start : text.index("\n", start)]
    tensor = line[line.index(used) + len(used) + 1 :].partition("))")[0] + ")"
    boxed = f"Sys-Boxing-GroupIdentity-{used.replace('/', '_')}-9"
    identity = f"(OPERATOR: {boxed}({used}:{tensor[1:-1]})) -> (out:{tensor[1:-1]}){line[line.index('), placement=') :]}"
    printed = irflops.analyze(
        irflops.loads(text[:start] + identity + "\n" + line.replace(used, f"{boxed}/out") + text[start + len(line) :])
    )
    found = list(differences(analysis_of("basic_block", REFERENCE), printed))
    extra = [d for d in found if d.field == "extra"]
    assert [(d.op.name, d.op.type, claimed(d, "repr.txt")) for d in extra] == [(boxed, "identity", ["boxing identities"])]
    assert printed.total == analysis_of("basic_block", "repr.txt").total


def test_a_print_hides_the_operands_of_the_learning_rate() -> None:
    hidden = next(op for op in analysis_of("gpt_train", "repr.txt").graph.ops if op.type == "learning_rate_schedule")
    told = analysis_of("gpt_train", REFERENCE).graph.by_name[hidden.name]
    assert (hidden.inputs, hidden.placement, hidden.span) == ((), None, None)
    assert [operand.arg for operand in told.inputs] == ["train_step"]


def test_the_largest_gradient_has_one_name_for_two_types() -> None:
    """`MultiReduceXimumAbs` is a maximum or a minimum: the print does not say which."""
    name = next(op.name for op in analysis_of("forms/odds", REFERENCE).graph.ops if "MultiReduceXimumAbs" in op.name)
    assert analysis_of("forms/odds", REFERENCE).graph.by_name[name].type == "multi_reduce_max_abs"
    printed = analysis_of("forms/odds", "repr.txt").graph.by_name[name]
    assert printed.type is None
    assert printed.type_candidates[:2] == ("multi_reduce_max_abs", "multi_reduce_min_abs")
    flops = [analysis_of("forms/odds", form).total for form in (REFERENCE, "repr.txt")]
    assert [(total.get("flops"), total.certainty("flops")) for total in flops] == [(flops[0].get("flops"), "exact")] * 2, (
        "both cost the same"
    )


def test_a_buffer_used_as_a_weight_is_one_where_the_form_declares_it() -> None:
    kinds = {form: analysis_of("forms/odds", form).graph.by_name["model.table"] for form in (REFERENCE, "repr.txt", "fwd.prototxt")}
    told = {form: (op.kind.value if op.kind else None, op.kind_source) for form, op in kinds.items()}
    assert told == {REFERENCE: ("frozen", "inferred"), "repr.txt": ("buffer", "declared"), "fwd.prototxt": ("frozen", "inferred")}


def test_a_forward_job_has_no_optimizer_and_its_sums_of_two() -> None:
    full, forward = analysis_of("gpt_train", REFERENCE).graph, analysis_of("gpt_train", "fwd.prototxt").graph
    assert any(op.type == "adam_update" for op in full.ops)
    assert not any((op.type or "").endswith("_update") for op in forward.ops)
    merged = max(len(op.inputs) for op in full.ops if op.type == "add_n")
    assert merged > max(len(op.inputs) for op in forward.ops if op.type == "add_n") == 2


# ---------------------------------------------------------------- inference


@pytest.mark.parametrize("stem", STEMS)
def test_a_forward_job_is_inferred_whole(stem: str) -> None:
    """Every shape is OneFlow's own, every type the full job's, of all that the full job has too; none is unknown, none disagrees."""
    inference = analysis_of(stem, "fwd.prototxt").inference
    assert inference.disagreements == ()
    assert [lbn for lbn, type_ in inference.types.items() if type_.shape is None or type_.dtype is None] == []
    shapes = json.loads(gzip.decompress((FIXTURES / f"{stem}.shapes.json.gz").read_bytes()))
    shared = inference.types.keys() & shapes.keys()
    assert len(shared) > 5
    assert {lbn: list(inference.types[lbn].shape or ()) for lbn in shared} == {lbn: shapes[lbn] for lbn in shared}
    full = analysis_of(stem, REFERENCE).inference.types
    assert {lbn: inference.types[lbn] for lbn in shared} == {lbn: full[lbn] for lbn in shared}
    unshared = {lbn.partition("/")[0] for lbn in inference.types.keys() - shapes.keys()}
    assert all("add_n" in name for name in unshared), "only sums that passes merged are not in the full job"


@pytest.mark.parametrize("form", [REFERENCE, "job.pb"])
@pytest.mark.parametrize("stem", STEMS)
def test_a_full_job_is_checked_whole(stem: str, form: str) -> None:
    """Results of every operator but sources, whose shapes nothing tells."""
    analysis = analysis_of(stem, form)
    assert analysis.inference.disagreements == ()
    results = [(op.type, result.lbn) for op in analysis.graph.ops for result in op.outputs if op.type not in ("variable", "input")]
    assert analysis.inference.checked == len(results)

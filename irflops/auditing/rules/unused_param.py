"""`unused-param`: nothing reads a parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import Parameter, VariableKind


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    blind = facts.graph.partial or facts.blind is not None
    reason = "parts of the graph are not shown, and may read the parameter"
    looked_at = len(facts.parameters)
    for variable in facts.parameters:
        if facts.is_used(variable):
            continue
        if blind:
            yield Undecided(reason=reason, op=variable)
            continue
        numel = facts.type(variable.outputs[0]).numel if variable.outputs else None
        measured = Measure("params", numel) if numel is not None else None
        yield Hit(message=f"nothing reads the parameter {variable.name}", op=variable, measured=measured, gain=facts.gain([variable]))
    unmade = list(_unmade(facts))
    looked_at += len(unmade)
    unmade, free = _bypassed(facts, unmade)
    if free and not blind:
        numels = [parameter.type.numel for parameter in free]
        whole = sum(numel for numel in numels if numel is not None)
        some = f"{len(free):,} parameters reach the graph as free tensors; training would not update them"
        yield Hit(
            message=some if len(free) > 1 else "1 parameter reaches the graph as a free tensor; training would not update it",
            subject="free-tensors",
            certainty=Confidence.LIKELY,
            measured=Measure("params", whole) if None not in numels else None,
        )
    for path, parameter in unmade:
        if blind:
            yield Undecided(reason=reason)
            continue
        numel = parameter.type.numel
        measured = Measure("params", numel) if numel is not None else None
        message = f"the parameter {parameter.name} is declared, and the graph never makes it"
        yield Hit(message=message, module=path, subject=f"parameter/{parameter.name.rpartition('.')[2]}", measured=measured)
    if facts.graph.holds.declarations:
        yield Near(message=f"{looked_at:,} parameters were looked at")
    else:
        yield Undecided(reason="the form declares no parameters, and makes none that nothing reads", never="declarations")


def _bypassed(facts: Facts, unmade: list[tuple[str, Parameter]]) -> tuple[list[tuple[str, Parameter]], list[Parameter]]:
    """Parts those that no variable makes: into the others, and those that the graph reads as tensors which no line declares.

    So it is where a graph's code calls a model past the module that the graph was given: each parameter is a tensor outside all modules.
    """
    undeclared = facts.graph.holds.declarations and not facts.graph.partial
    free = Counter(
        variable.outputs[0].type
        for variable in facts.of("variable")
        if undeclared and variable.kind in (VariableKind.FROZEN, VariableKind.BUFFER) and variable.kind_source == "inferred"
    )
    left, found = [], []
    for path, parameter in unmade:
        if free[parameter.type]:
            free[parameter.type] -= 1
            found.append(parameter)
        else:
            left.append((path, parameter))
    return left, found


def _unmade(facts: Facts) -> Iterator[tuple[str, Parameter]]:
    """Parameters that a module declares and that no variable makes, with the module's path; tied ones have another's variable."""
    for module in facts.graph.modules:
        for parameter in module.parameters:
            made = parameter.name in facts.graph.by_name or parameter.tied_to is not None
            if not made and parameter.kind in (VariableKind.TRAINABLE, VariableKind.FROZEN):
                yield module.path, parameter


RULE = AuditRule(
    name="unused-param",
    summary="Nothing reads a parameter that the model declares or the graph defines. Buffers and tied parameters are none.",
    why="It takes memory, room in each checkpoint and, if trained, an optimizer state; often a layer was replaced and left behind.",
    fix="Remove it from the model, or use it.",
    severity=Severity.WARNING,
    check=_check,
    needs=("declarations",),
    undecidable="Only a printed graph declares parameters; a job or a saved graph has no trace of one that nothing reads.",
    good=(
        Good(
            name="read, tied, or a buffer",
            graph="""
            x = input() -> out: f32[2,8]
            m | w = variable() -> out: f32[8,8]
            m | w = parameter() -> out: f32[8,8]
            m | tied = parameter(tied_to="m.w") -> out: f32[8,8]
            m | steps = parameter(kind=buffer) -> out: i64[1]
            m | count = variable(kind=buffer) -> out: i64[1]
            y = matmul(a: x, b: w, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,8]
            output(in: y)
            """,
        ),
        Good(
            name="no declarations",
            graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
            untold=True,
        ),
    ),
    bad=(
        Bad(
            name="defined, not read",
            graph="x = input() -> out: f32[2,8]\nm | w = variable() -> out: f32[8,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
            op="w",
            because="8 x 8 elements of 4 bytes",
            measured=Measure("params", 64),
            gain={"params": 64, "param_bytes": 256},
            mended="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
        ),
        Bad(
            name="the module's call went past it",
            graph="""
            x = input() -> out: f32[2,8]
            m | w = parameter() -> out: f32[8,8]
            m | b = parameter() -> out: f32[8]
            w2 = variable(declared=false) -> out: f32[8,8]
            b2 = variable(declared=false) -> out: f32[8]
            h = matmul(a: x, b: w2, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,8]
            y = broadcast_add(x: h, y: b2) -> z: f32[2,8]
            output(in: y)
            """,
            op=None,
            because="8 x 8 and 8 elements; two tensors of these shapes that no module declares are read in their place",
            measured=Measure("params", 72),
            certainty=Confidence.LIKELY,
        ),
        Bad(
            name="declared, not made",
            graph="x = input() -> out: f32[2,8]\nm | w = parameter() -> out: f32[8,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
            op=None,
            because="8 x 8 elements, which no total has: there is no variable",
            measured=Measure("params", 64),
        ),
    ),
)

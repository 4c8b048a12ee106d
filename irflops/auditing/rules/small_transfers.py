"""`small-transfers`: many transfers in a phase that are so small that latency rules them."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, whole_number
from irflops.auditing.rules._transfers import UNDECIDABLE, all_told
from irflops.counting.fold import UNPHASED


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    small, most = options["kib"] << 10, options["transfers"]
    transfers, doubts = all_told(facts)
    yield from doubts
    by_phase: dict[str, list[int]] = {}
    for one in transfers:
        nbytes = one.move.bytes // one.move.runs
        if nbytes < small:
            made_in = facts.analysis.communication.owner(one).phase
            by_phase.setdefault(made_in.value if made_in is not None else UNPHASED, []).append(nbytes)
    for phase, sizes in by_phase.items():
        measured, limit = Measure("transfers", len(sizes)), Measure("transfers", most)
        message = f"{len(sizes):,} transfers of {phase} are under {options['kib']} KiB each, {sum(sizes):,} bytes together"
        if len(sizes) > most:
            yield Hit(message=message, subject=phase, measured=measured, limit=limit)
        else:
            yield Near(message=message, measured=measured, limit=limit, closeness=len(sizes) / most)


def _graph(count: int, sbp: str) -> str:
    lines = ["x = input() -> out: f32[4,8] @ 2 (S(0))"]
    lines += [f"y{at} = relu(x: {f'y{at - 1}' if at else 'x'}{{{sbp}}}) -> y: f32[4,8] @ 2 (S(0))" for at in range(count)]
    return "\n".join([*lines, f"output(in: y{count - 1}{{S(0)}}) @ 2"])


RULE = AuditRule(
    name="small-transfers",
    summary="More than 64 transfers of a phase are under 64 KiB each. One finding per phase.",
    why="So small a transfer takes as long as its latency, some ten microseconds, whatever the network: its bytes are of no account.",
    fix="Bring tensors together before they are sent: fused all-reduces of gradients, one tensor in place of many statistics.",
    severity=Severity.NOTE,
    check=_check,
    settings=(
        Setting(name="kib", meaning="KiB over all devices below which a transfer is small.", default=64, parse=whole_number),
        Setting(name="transfers", meaning="Small transfers of a phase that are no finding yet.", default=64, parse=whole_number),
    ),
    needs=("operand_sbp", "result_sbp"),
    undecidable=UNDECIDABLE,
    good=(
        Good(name="none", graph=_graph(4, "S(0)"), settings={"transfers": 3}),
        Good(name="few", graph=_graph(4, "S(1)"), settings={"transfers": 4}),
    ),
    bad=(
        Bad(
            name="many",
            graph=_graph(5, "S(1)"),
            op=None,
            because="each of four relus wants otherwise what the one before has made; the first reads the input, which is of another phase",
            measured=Measure("transfers", 4),
            limit=Measure("transfers", 3),
            settings={"transfers": 3},
        ),
    ),
)

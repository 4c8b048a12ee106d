"""The branches that `fragmentation` counts, against a count that follows each branch to its very end."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from irflops.analysis.analysis import analyze_graph
from irflops.auditing.facts import Facts
from irflops.auditing.rules.fragmentation import _inside, _parallel
from irflops.ir.graph import Op
from irflops.readers.notation.sketch import sketch


def drawn(rng: random.Random) -> str:
    """A graph of ops with work, views and joins, in a few modules."""
    modules = rng.choice([["n"], ["n", "n.b"], ["n", "n.b", "n.b.c", "n.d"]])
    lines, names = ["x = input() -> out: f32[2,8]"], ["x"]
    for i in range(rng.randint(5, 22)):
        read = [rng.choice(names if rng.random() < 0.5 else names[-6:]) for _ in range(rng.randint(2, 6))]
        call = rng.choice(
            [f"relu(x: {read[0]}) -> y", f"reshape(in: {read[0]}) -> out", f"broadcast_add(x: {read[0]}, y: {read[1]}) -> z"]
            + [f"{op_type}(in: [{', '.join(read)}]) -> out" for op_type in ("add_n", "stack")]
        )
        lines.append(f"{rng.choice(modules)} | v{i} = {call}: f32[2,8]")
        names.append(f"v{i}")
    return "\n".join(lines)


def counted(ends: Sequence[Op], module: str, facts: Facts) -> int:
    """Ends behind which an op works that is behind no other of them."""
    sets: list[set[str]] = []
    for end in ends:
        behind, waiting = {end.name}, [end]
        while waiting:
            for operand in waiting.pop().inputs:
                producer = facts.producer(operand)
                if producer is not None and _inside(producer.module, module) and producer.name not in behind:
                    behind.add(producer.name)
                    waiting.append(producer)
        sets.append(behind)
    count = 0
    for number, own in enumerate(sets):
        alone = own.difference(*(other for at, other in enumerate(sets) if at != number))
        count += any(facts.cost(facts.graph.by_name[name]).get("flops") for name in alone)
    return count


@pytest.mark.parametrize("seed", range(150))
def test_parallel_branches_are_those_that_a_plain_count_finds(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    facts = Facts(analyze_graph(sketch(drawn(rng)).graph))
    ops = [op for op in facts.graph.ops if op.type != "input"]
    for module in ("", "n", "n.b"):
        ends = [op for op in rng.sample(ops, min(len(ops), rng.randint(2, 8))) if _inside(op.module, module)]
        if len(ends) > 1:
            assert _parallel(ends, module, facts) == counted(ends, module, facts)

"""Laws of every memory plan, held on random graphs: the plans' parts are checked against one another, and against painted bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.memory.lives import chains_of, lives_of
from irflops.memory.order import first_come, straightened, waits_of
from irflops.memory.packing import most_alive
from irflops.memory.plan import Plan
from irflops.memory.registers import Device, Register
from irflops.memory.sharing import in_place
from irflops.ops.temporary import DeviceKind
from irflops.readers.notation.sketch import sketch

FIXTURES = Path(__file__).parent.parent / "fixtures"
UNARY = ("relu", "negative", "exp", "sigmoid", "gelu")
Step = tuple[int, int, int, bool]
"""What kind of operator, which earlier tensors it reads, and whether something reads it at the end."""

steps = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 40), st.integers(0, 40), st.booleans()), min_size=1, max_size=30)


def drawn(found: Sequence[Step], rows: int = 8, *, unread: bool = True) -> str:
    """A graph of these steps over tensors of two sizes; without `unread` what nothing would read is read by an output."""
    lines = [f"v0 = input() -> out: f32[{rows},64] @ 1 (B)", "w = variable() -> out: f32[64,64] @ 1 (B)"]
    shapes = [rows]
    read = set()
    for kind, one, two, _ in found:
        at, first = len(shapes), one % len(shapes)
        read.add(first)
        extent, name = shapes[first], f"v{first}"
        if kind < len(UNARY):
            operand, result = ("in", "out") if UNARY[kind] == "gelu" else ("x", "y")
            lines.append(f"v{at} = {UNARY[kind]}({operand}: {name}) -> {result}: f32[{extent},64] @ 1 (B)")
        elif kind == 5:
            alike = [number for number, other in enumerate(shapes) if other == extent]
            second = alike[two % len(alike)]
            read.add(second)
            lines.append(f"v{at} = add_n(in: [{name}, v{second}]) -> out: f32[{extent},64] @ 1 (B)")
        elif kind == 6:
            lines.append(f"v{at} = matmul(a: {name}, b: w) -> out: f32[{extent},64] @ 1 (B)")
        elif kind == 7:
            second = two % len(shapes)
            read.add(second)
            extent += shapes[second]
            lines.append(f"v{at} = concat(in: [{name}, v{second}], axis=0) -> out: f32[{extent},64] @ 1 (B)")
        else:
            lines.append(f"v{at} = identity(in: {name}) -> out: f32[{extent},64] @ 1 (B)")
        shapes.append(extent)
    ends = [at for at in range(1, len(shapes)) if at not in read and (not unread or found[at - 1][3])]
    return "\n".join([*lines, *(f"output(in: v{at}) @ 1" for at in ends)])


def planned(text: str) -> Plan:
    return analyze_graph(sketch(text).graph).memory.largest.plan


def whole(device: Device) -> int:
    return sum(register.nbytes for register in device.registers if register.reused)


@settings(max_examples=30)
@given(steps)
def test_bound_arena_and_sum_are_in_order(found: list[Step]) -> None:
    plan = planned(drawn(found))
    assert plan.bound <= plan.arena <= whole(plan.device)
    assert plan.total == plan.variables + plan.unreused + plan.arena


@settings(max_examples=30)
@given(steps)
def test_no_byte_has_two_tensors_at_once(found: list[Step]) -> None:
    plan = planned(drawn(found))
    grain = 512
    for chain, (size, offsets) in zip(plan.chains, plan.packed, strict=True):
        painted: dict[tuple[int, int], int] = {}
        for at, (block, offset) in enumerate(zip(chain.blocks, offsets, strict=True)):
            assert offset % grain == block.life.nbytes % grain == 0
            assert offset + block.life.nbytes <= size
            for step in range(block.life.born, block.life.dies + 1):
                for place in range(offset // grain, (offset + block.life.nbytes) // grain):
                    assert painted.setdefault((step, place), at) == at


@settings(max_examples=30)
@given(steps)
def test_lives_cover_readers_and_memory_is_overwritten_last(found: list[Step]) -> None:
    plan = planned(drawn(found))
    device = plan.device
    for chain in plan.chains:
        place = {task: at for at, task in enumerate(chain.tasks)}
        for block in chain.blocks:
            for number in block.registers:
                register = device.registers[number]
                assert block.life.born <= place[register.maker] <= block.life.dies
                assert all(place.get(reader, len(chain.tasks) - 1) <= block.life.dies for reader in register.readers)
                assert register.nbytes <= block.life.nbytes
            for number in block.registers[1:]:  # what is written over must have been read by then
                maker = device.tasks[device.registers[number].maker]
                if maker.facts.overwrites and not maker.facts.shares:
                    _is_read_before(device.registers, block.registers, number, place)


def _is_read_before(registers: Sequence[Register], lying: Sequence[int], number: int, place: dict[int, int]) -> None:
    written = place[registers[number].maker]
    for other in lying:
        if place[registers[other].maker] < written:
            assert all(place[reader] <= written for reader in registers[other].readers if reader in place)


@settings(max_examples=30)
@given(steps)
def test_what_runs_has_what_it_waits_for(found: list[Step]) -> None:
    device = planned(drawn(found)).device
    waits = waits_of(device)
    for order in (straightened(device, waits), first_come(device, waits)):
        assert sorted(order) == list(range(len(device.tasks)))
        place = {task: at for at, task in enumerate(order)}
        assert all(place[before] < place[at] for at in range(len(device.tasks)) for before in waits[at])


def bound_in(device: Device, order: Sequence[int]) -> int:
    """The most bytes alive at once in a given order."""
    chaining = chains_of(device, order)
    lies_in = in_place(device, waits_of(device), order, chaining.of).lies_in
    chains = lives_of(device, order, chaining, lies_in)
    return sum(most_alive([block.life for block in chain.blocks], len(chain.tasks))[0] for chain in chains)


def ordered(analysis: Analysis) -> tuple[Device, list[int]]:
    device = analysis.memory.largest.plan.device
    return device, straightened(device, waits_of(device))


@settings(max_examples=30)
@given(steps)
def test_a_larger_batch_needs_no_less_in_one_order(found: list[Step]) -> None:
    device, order = ordered(analyze_graph(sketch(drawn(found)).graph))
    larger = planned(drawn(found, rows=24)).device
    assert [task.op.name for task in larger.tasks] == [task.op.name for task in device.tasks]
    assert bound_in(larger, order) >= bound_in(device, order)


@settings(max_examples=30)
@given(steps)
def test_without_what_nothing_reads_a_graph_needs_no_more_in_one_order(found: list[Step]) -> None:
    analysis = analyze_graph(sketch(drawn(found)).graph)
    device, order = ordered(analysis)
    dead = [op for op in analysis.graph.ops if op.outputs and op.type not in ("input", "variable") and op.name not in _read(analysis)]
    if not dead:
        return
    graph = replace(analysis.graph, ops=tuple(op for op in analysis.graph.ops if op is not dead[-1]))
    less = analyze_graph(graph).memory.largest.plan.device
    names = [device.tasks[task].op.name for task in order]
    number = {task.op.name: at for at, task in enumerate(less.tasks)}
    assert bound_in(less, [number[name] for name in names if name in number]) <= bound_in(device, order)


def _read(analysis: Analysis) -> set[str]:
    return {operand.lbn.partition("/")[0] for op in analysis.graph.ops for operand in op.inputs}


@settings(max_examples=30)
@given(steps)
def test_on_a_cpu_everything_counts(found: list[Step]) -> None:
    analysis = analyze_graph(sketch(drawn(found)).graph)
    plan = irflops.plan_memory(analysis, on="cpu").largest.plan
    assert plan.kind is DeviceKind.CPU
    bodies = sum(-(-(result.type.nbytes or 0) // 512) * 512 for op in analysis.graph.ops for result in op.outputs)
    headers = 64 * sum(op.type != "variable" for op in analysis.graph.ops for _ in op.outputs)
    assert plan.total - plan.ticks == bodies + headers


@settings(max_examples=10)
@given(st.lists(st.integers(0, 3), max_size=4, unique=True))
def test_checkpointing_never_keeps_more(blocks: list[int]) -> None:
    from irflops.whatif.checkpointing import checkpointed

    graph, _ = checkpointed(GPT.graph, [f"m.blocks.{block}" for block in blocks])
    assert analyze_graph(graph).total.get("saved_bytes") <= GPT.total.get("saved_bytes")


GPT = irflops.analyze(FIXTURES / "memory/gpta_train.cuda.repr.txt.gz")


@pytest.mark.parametrize("name", ["gpta_train.cuda.repr.txt.gz", "cnn2_adam.cudajob.pb.gz", "gpt_zero2.cuda.repr.txt.gz"])
def test_real_plans_paint_no_byte_twice(name: str) -> None:
    """Interval by interval, for their bytes are too many to paint one by one."""
    for one in irflops.plan_memory(FIXTURES / "memory" / name).classes:
        for chain, (size, offsets) in zip(one.plan.chains, one.plan.packed, strict=True):
            for step in range(len(chain.tasks)):
                alive = sorted(
                    (offset, offset + block.life.nbytes)
                    for block, offset in zip(chain.blocks, offsets, strict=True)
                    if block.life.born <= step <= block.life.dies
                )
                assert all(end <= start for (_, end), (start, _) in pairwise(alive))
                assert not alive or alive[-1][1] <= size

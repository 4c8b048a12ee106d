"""How often each operator runs in one step: gradient accumulation repeats whatever its `unpack` and `repeat` feed."""

from __future__ import annotations

from irflops.ir.edges import Edges
from irflops.readers.meaning.draft import Draft


def assign_runs(drafts: list[Draft], edges: Edges) -> bool:
    """Sets every draft's `runs`. Returns False where a graph accumulates and nothing tells how often."""
    marks = [index for index, draft in enumerate(drafts) if draft.type in ("unpack", "repeat", "acc", "pack")]
    if not marks:
        return True
    times = max((_times(drafts[index]) or 0 for index in marks), default=0)
    if not times:
        return False
    for index in edges.order:
        draft = drafts[index]
        if draft.type in ("unpack", "repeat", "acc"):
            draft.runs = _times(draft) or times
        elif draft.type != "pack":
            fed = [drafts[producer] for producer in edges.fed_by[index]]
            draft.runs = max((p.runs for p in fed if p.type not in ("acc", "pack")), default=1)
    _run_sources(drafts, edges)
    return True


def _run_sources(drafts: list[Draft], edges: Edges) -> None:
    """A constant and what is computed from constants alone run as often as what reads them: OneFlow ticks them so, in edges of control."""
    free = bytearray(len(drafts))
    for index in edges.order:
        fixed = drafts[index].type in ("unpack", "repeat", "acc", "pack", "variable", "input")
        free[index] = not fixed and all(free[producer] for producer in edges.fed_by[index])
    for index in reversed(edges.order):
        if free[index]:
            readers = (drafts[consumer] for consumer in edges.read_by[index])
            drafts[index].runs = max((reader.runs for reader in readers if reader.type != "pack"), default=1)


def _times(draft: Draft) -> int | None:
    """How many micro-batches an accumulation operator says there are, None where it does not."""
    for name in ("unpack_num", "repeat_num", "max_acc_num", "pack_num"):
        value = draft.attrs.get(name)
        if isinstance(value, int):
            return value
    if draft.type not in ("unpack", "pack") or not draft.inputs or not draft.outputs:
        return None
    whole, part = draft.inputs[0].type.numel, draft.outputs[0].type.numel
    if draft.type == "pack":
        whole, part = part, whole
    return whole // part if whole and part and whole % part == 0 else None

"""How often each operator runs in one step: gradient accumulation repeats whatever its `unpack` and `repeat` feed."""

from __future__ import annotations

from irflops.readers.draft import Draft, Links


def assign_runs(drafts: list[Draft], links: Links) -> bool:
    """Sets every draft's `runs`. Returns False where a graph accumulates and nothing tells how often."""
    marks = [index for index, draft in enumerate(drafts) if draft.type in ("unpack", "repeat", "acc", "pack")]
    if not marks:
        return True
    times = max((_times(drafts[index]) or 0 for index in marks), default=0)
    if not times:
        return False
    for index in links.order:
        draft = drafts[index]
        if draft.type in ("unpack", "repeat", "acc"):
            draft.runs = _times(draft) or times
        elif draft.type != "pack":
            fed = [drafts[producer] for producer in links.producers[index]]
            draft.runs = max((p.runs for p in fed if p.type not in ("acc", "pack")), default=1)
    return True


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

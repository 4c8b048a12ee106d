"""What a serialized form tells of a graph, whichever graph it is: so that nothing behind the readers asks which form it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


def _fact(words: str, *, default: bool = True) -> Any:
    return field(default=default, metadata={"words": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What a form tells. Unless a reader says otherwise, what a full job does.

    That a fact is held does not mean that there is any: a graph for inference has no optimizer in whatever form.
    """

    attrs: bool = _fact("all attributes of operators")
    declarations: bool = _fact("classes and texts of modules, parameters and buffers declared line by line", default=False)
    result_types: bool = _fact("shapes and dtypes of what operators compute")
    result_sbp: bool = _fact("how all results lie on devices (sbp)")
    operand_sbp: bool = _fact("how operators want their operands to lie on devices (sbp)")
    boxing: bool = _fact("boxing: operators that hand a tensor on in another sbp", default=False)
    added_operands: bool = _fact("operands that are added to a result in passing (`_add_to_output`)")
    dead_ops: bool = _fact("operators without effect: nothing reads them, a relu of a relu")
    passes: bool = _fact("what OneFlow's passes add and change, such as merged additions")
    backward: bool = _fact("the backward pass of a training step")
    recompute: bool = _fact("what a training step computes again under checkpointing")
    optimizer: bool = _fact("the optimizer of a training step")

    def facts(self) -> Iterator[tuple[str, bool]]:
        """Each fact in words, and whether it is held."""
        for fact in fields(self):
            yield fact.metadata["words"], getattr(self, fact.name)

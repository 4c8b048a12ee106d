"""What single messages of a job mean: an sbp, an attribute of a user operator."""

from __future__ import annotations

from irflops.ir.graph import AttrValue
from irflops.ir.sbp import Sbp
from irflops.readers.job.job_schema import Message, dtype_word


def sbp_of(message: Message) -> Sbp:
    """How a tensor lies along one dimension of a mesh, by a SbpParallel."""
    if "split_parallel" in message:
        return Sbp("S", message["split_parallel"].get("axis", 0))
    return Sbp("P") if "partial_sum_parallel" in message else Sbp("B")


def attr_of(value: Message) -> AttrValue:
    """The value of a user operator's attribute, by the one of AttrValue's fields that is set."""
    for field, content in value.items():
        if field == "at_data_type":
            return dtype_word(content)
        if field == "at_list_data_type":
            return tuple(map(dtype_word, content.get("val", ())))
        if field in ("at_shape", "at_stride"):
            return tuple(content.get("dim", ()))
        if field in ("at_list_shape", "at_list_stride"):
            return tuple(tuple(element.get("dim", ())) for element in content.get("val", ()))
        if field.startswith("at_list_"):
            return tuple(content.get("val", ()))
        scalar: AttrValue = content
        return scalar
    return None

"""Records and buffers: elements of a tensor that are as large as their sample, which no dump tells."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.shapes import Inferred
from irflops.ops.work import MissingShape, Work


def buffers(*extents: int) -> TensorType:
    """A tensor of records or buffers: elements without a size of their own."""
    return TensorType(extents, None)


def work_of_unknown_sizes(_op: OpView) -> Work:
    """A cost rule: as much arithmetic as the samples in buffers ask for, which no dump tells."""
    raise MissingShape("the sizes of samples", known=Work(arithmetic=None, transcendentals=0))


def still_buffers_shape(op: OpView) -> Inferred:
    """A buffer for each record."""
    return {"out": buffers(*op.shape("in"))}

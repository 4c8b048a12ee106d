"""Which part of a logical tensor one device holds.

`S(axis)` along a dimension of the mesh takes a device's part of the axis, `B` and `P` leave it whole. Of n elements over p devices the
first n mod p parts have one more. Where several dimensions split one axis, the later splits the parts of the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from irflops.ir.graph import Shape, TensorType
from irflops.ir.sbp import NdSbp

Box = tuple[tuple[int, int], ...]
"""A part of a mesh: by dimension the first coordinate, and the one behind the last."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A logical tensor, and how it lies on the mesh of its operator; None where that is not known."""

    type: TensorType
    nd_sbp: NdSbp | None


@dataclass(frozen=True, slots=True)
class Part:
    """What the devices in a box of the mesh hold, all of them alike."""

    box: Box
    types: tuple[TensorType, ...]
    """The physical types of the tensors that were asked about, in their order."""


def whole(mesh: Sequence[int]) -> Box:
    """All of a mesh."""
    return tuple((0, extent) for extent in mesh)


def extent_of(elements: int, parts: int, part: int) -> int:
    """Elements of one of so many parts, the first of which are one larger where they are not all alike."""
    return elements // parts + (part < elements % parts)


def parts(tensors: Sequence[Laid], mesh: Sequence[int], *, largest: bool = False) -> Iterator[Part]:
    """What tensors are on the devices of a mesh, box by box; with `largest`, of the devices that hold most of each alone.

    A tensor of which nobody knows how it lies, or that is split along an axis that it has not, has extents that are not known.
    """
    shapes = tuple([_start(laid, mesh) for laid in tensors])
    if len(mesh) == 1 and mesh[0] == 1:
        yield Part(((0, 1),), tuple(laid.type for laid in tensors))
        return
    for box, held in _split(shapes, tensors, tuple(mesh), 0, largest):
        yield Part(box, tuple(map(_typed, held, tensors)))


def _start(laid: Laid, mesh: Sequence[int]) -> Shape | None:
    """The whole shape; nothing known of it where the sbp does not fit mesh and tensor."""
    shape, nd_sbp = laid.type.shape, laid.nd_sbp
    if shape is None or (len(mesh) == 1 and mesh[0] == 1):
        return shape
    if nd_sbp is None or len(nd_sbp) != len(mesh) or any(sbp.axis is not None and sbp.axis >= len(shape) for sbp in nd_sbp):
        return (None,) * len(shape)
    return shape


def _typed(shape: Shape | None, laid: Laid) -> TensorType:
    return laid.type if shape is laid.type.shape else TensorType(shape, laid.type.dtype)


def _split(
    shapes: tuple[Shape | None, ...], tensors: Sequence[Laid], mesh: tuple[int, ...], dimension: int, largest: bool
) -> Iterator[tuple[Box, tuple[Shape | None, ...]]]:
    """The boxes of the mesh from a dimension on, in which the parts of all tensors have one shape."""
    if dimension == len(mesh):
        yield (), shapes
        return
    devices = mesh[dimension]
    axes = [_axis(laid.nd_sbp, dimension) for laid in tensors]
    cuts = {0, devices}
    for shape, axis in zip(shapes, axes, strict=True):
        extent = None if shape is None or axis is None or axis >= len(shape) else shape[axis]
        if extent is not None and not largest:
            cuts.add(extent % devices)
    ends = sorted(cuts)
    for first, end in pairwise(ends):
        held = tuple([_part(shape, axis, devices, first) for shape, axis in zip(shapes, axes, strict=True)])
        for box, deepest in _split(held, tensors, mesh, dimension + 1, largest):
            yield ((first, end), *box), deepest


def _axis(nd_sbp: NdSbp | None, dimension: int) -> int | None:
    return nd_sbp[dimension].axis if nd_sbp is not None and dimension < len(nd_sbp) else None


def _part(shape: Shape | None, axis: int | None, devices: int, part: int) -> Shape | None:
    if shape is None or axis is None or axis >= len(shape) or devices == 1:
        return shape
    extent = shape[axis]
    if extent is None:
        return shape
    return (*shape[:axis], extent_of(extent, devices, part), *shape[axis + 1 :])

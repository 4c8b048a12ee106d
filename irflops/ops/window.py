"""Windows that slide over spatial axes: what convolutions and pools share."""

from __future__ import annotations

from collections.abc import Sequence

from irflops.ops.op_view import OpView


def spatial_axes(op: OpView, rank: int) -> range:
    """The spatial axes of a tensor of that rank, by the attribute `data_format`."""
    first = 1 if op.attr("data_format") == "channels_last" else 2
    return range(first, first + rank - 2)


def channel_axis(op: OpView, rank: int) -> int:
    """The channel axis of a tensor of that rank, by the attribute `data_format`."""
    return rank - 1 if op.attr("data_format") == "channels_last" else 1


def with_extents(shape: tuple[int, ...], axes: Sequence[int], extents: Sequence[int]) -> tuple[int, ...]:
    """The shape with other extents on some axes; ValueError unless there is one extent per axis."""
    if len(axes) != len(extents):
        raise ValueError(f"{len(extents)} values for the {len(axes)} spatial axes of {shape}")
    out = list(shape)
    for axis, extent in zip(axes, extents, strict=True):
        out[axis] = extent
    return tuple(out)


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, *, ceil_mode: bool = False) -> int:
    """Positions of a window along an axis that is padded on both sides; ValueError where the window does not fit once.

    `ceil_mode` keeps a last window that is only partly covered, unless it would start in the padding behind.
    """
    if min(kernel, stride, dilation) < 1:
        raise ValueError(f"a window of {kernel} with stride {stride} and dilation {dilation} is none")
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    if count <= 0:
        raise ValueError(f"a window of {kernel} (dilation {dilation}) does not fit {size} elements padded by {padding}")
    return count

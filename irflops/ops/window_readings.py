"""Attributes that a printed graph lacks, of windows that slide: convolutions, pools and interpolations called as functions.

Sizes never tell a window, its stride, its padding and how far its taps lie apart: where an axis changes, the settings that OneFlow's API
takes unless told otherwise are the likeliest, and `Likely` says that others fit as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from irflops.ir.graph import AttrValue
from irflops.ops.op_view import OpView
from irflops.ops.readings import Assignments, Ints, result_of
from irflops.ops.rule import Likely
from irflops.ops.window import window_count

MOST_DILATION = 32
"""How far taps may lie apart for the setting to be tried; beyond it any that fits is taken."""

LAYOUTS = ("channels_first", "channels_last")
"""Where channels can be, the default of OneFlow's API first."""


def convolutions(old: OpView, new: OpView) -> Assignments:
    """Groups by the channels; of strides, padding and dilation that fit the likeliest, unless all give the same from the new operand."""
    x = old.shape("in", at_least=3)
    weight, out, now = old.shape("weight", rank=len(x)), result_of(old, "out", rank=len(x)), new.shape("in", rank=len(x))
    found: list[dict[str, AttrValue]] = []
    certain = True
    for layout in LAYOUTS:
        channel, axes = _channel_and_axes(layout, len(x))
        if out[channel] != weight[0] or not weight[channel] or x[channel] % weight[channel]:
            continue
        settings = [_setting(x[axis], weight[axis], out[axis]) for axis in axes]
        fit = [setting for setting in settings if setting is not None]
        if len(fit) == len(settings):
            strides, padding, dilation = zip(*fit, strict=True)
            found.append({"data_format": layout, "groups": x[channel] // weight[channel], "strides": strides})
            found[-1] |= {"padding_before": padding, "dilation_rate": dilation}
            certain = certain and all(now[at] == x[at] or _is_certain(x[at], now[at], weight[at], out[at]) for at in axes)
    certain = certain and (len(found) == 1 or x[1:] == now[1:])
    yield from (values if certain else Likely(values) for values in found[:1])


def _setting(size: int, kernel: int, count: int) -> tuple[int, int, int] | None:
    """Stride, padding and dilation of windows of that kernel that fall so many times on an axis: taps as near each other as they can be,
    then the least padding, less than a whole window, then the least stride. None where nothing fits.
    """
    if not size or not kernel or not count:
        return None
    for dilation in range(1, 2 if kernel == 1 else MOST_DILATION + 1):
        reach = dilation * (kernel - 1)
        room = size - 1 - reach
        room = _least_room(room if room >= 0 else room % 2, count)
        if room <= size - 1 + reach:
            return room // count + 1, (room - size + 1 + reach) // 2, dilation
    if kernel == 1:
        return None
    # Any gap is as good as another here: by a stride of 1, or of 2 if the padding is of the wrong parity.
    stride = 1 if kernel % 2 == 0 or (count - size) % 2 == 0 else 2
    room = count - 1 if stride == 1 else 2 * count - 1 - size % 2
    dilation = -(-abs(room - size + 1) // (kernel - 1))
    dilation += (dilation * (kernel - 1) - room + size - 1) % 2
    return stride, (room - size + 1 + dilation * (kernel - 1)) // 2, dilation


def _least_room(room: int, count: int) -> int:
    """The least way that windows can have left to slide, from `room` on by twos, so that some stride fits in one time less than `count`."""
    if count == 1:
        return room
    first = room
    for stride in itertools.count(max(1, room // (count - 1))):
        room = max(first, stride * (count - 1))
        room += (room - first) % 2
        if room < stride * count:
            return room
    raise AssertionError("strides of 2 and more leave room for both parities")


def _is_certain(size: int, now: int, kernel: int, count: int) -> bool:
    """Whether every stride of windows of one tap, that fall so many times on an axis, gives the same number on another; wider windows do
    not.
    """
    if kernel != 1 or count < 2:
        return False
    strides = ((size - 1) // count + 1, (size - 1) // (count - 1))
    return len({(now - 1) // stride for stride in strides}) == 1


def _channel_and_axes(layout: str, rank: int) -> tuple[int, range]:
    return (rank - 1, range(1, rank - 1)) if layout == "channels_last" else (1, range(2, rank))


def filter_gradients(old: OpView, _new: OpView) -> Assignments:
    """Groups and kernel by the filter's own sizes."""
    x = old.shape("x", at_least=3)
    result = result_of(old, "filter_diff", rank=len(x))
    for layout in LAYOUTS:
        channel, axes = _channel_and_axes(layout, len(x))
        if result[channel] and x[channel] % result[channel] == 0:
            kernel = tuple(result[axis] for axis in axes)
            yield {"data_format": layout, "groups": x[channel] // result[channel], "kernel_size": kernel}


def transposed_convolutions(old: OpView, new: OpView) -> Assignments:
    """Groups by the channels, and the likeliest stride and padding: none that fit are certain where an axis changes."""
    x = old.shape("in", at_least=3)
    weight, out, now = old.shape("weight", rank=len(x)), result_of(old, "out", rank=len(x)), new.shape("in", rank=len(x))
    for layout in LAYOUTS:
        channel, axes = _channel_and_axes(layout, len(x))
        if not weight[channel] or out[channel] % weight[channel]:
            continue
        found = [_spread_out(x[axis], weight[axis], out[axis]) for axis in axes]
        strides, padding, added = zip(*found, strict=True)
        values: dict[str, AttrValue] = {"data_format": layout, "groups": out[channel] // weight[channel], "dilation_rate": (1,) * len(axes)}
        values |= {"strides": strides, "padding_before": padding, "output_padding": added}
        yield values if all(x[axis] == now[axis] for axis in axes) else Likely(values)


def _spread_out(size: int, kernel: int, count: int) -> tuple[int, int, int]:
    """Stride, padding and output padding that make so many positions of an axis: each element takes its share of the result."""
    stride = max(1, count // max(1, size))
    missing = count - (size - 1) * stride - kernel
    padding = max(0, -(missing // 2))
    return stride, padding, missing + 2 * padding


def pools(old: OpView, new: OpView) -> Assignments:
    """What the line of a pooling module leaves open, or everything of a pooling called as a function: windows side by side, most likely."""
    x = old.shape("x", at_least=3)
    y, now = result_of(old, "y", rank=len(x)), new.shape("x", rank=len(x))
    tf = old.type.startswith("tf_")
    known = all(name in old.attrs for name in (("pool_size", "strides", "padding") if tf else ("kernel_size", "stride", "padding")))
    for layout in LAYOUTS if "data_format" not in old.attrs else (str(old.attrs["data_format"]),):
        axes = _channel_and_axes(layout, len(x))[1]
        if known:
            rounds = not tf and "ceil_mode" not in old.attrs and _rounds(old, x, now, y, axes)
            for ceil_mode in (False,) if rounds else (False, True):
                values: dict[str, AttrValue] = {"data_format": layout, "ceil_mode": ceil_mode}
                yield Likely(values) if rounds else values
        else:
            changed = [axis for axis in axes if x[axis] != now[axis]]
            tiled = [mode for mode in (False, True) if all(_next_to_each_other(x[axis], y[axis], ceil_mode=mode) for axis in changed)]
            ceil_mode = bool(tiled) and tiled[0]
            windows = [_window(x[axis], y[axis], ceil_mode=ceil_mode) for axis in axes]
            values = {"data_format": layout, "ceil_mode": ceil_mode, **_pool_attributes(windows, tf=tf)}
            yield Likely(values) if changed else values


def _next_to_each_other(size: int, count: int, *, ceil_mode: bool) -> tuple[int, int] | None:
    """Kernel and stride of windows, without padding, that fall so many times on an axis: side by side, or else, where a last window that is
    not full does not count, overlapping by less than the stride. None where there are none.
    """
    if not count or not size:
        return None
    stride = -(-size // count) if ceil_mode else max(1, size // count)
    kernel = stride if ceil_mode else max(stride, size - count * stride + 1)
    reached = -(-(size - kernel) // stride) + 1 if ceil_mode else (size - kernel) // stride + 1
    return (kernel, stride) if reached == count and kernel < 2 * stride else None


def _window(size: int, count: int, *, ceil_mode: bool) -> tuple[int, int, int]:
    """Kernel, stride and padding of a window that falls so many times on an axis, at the worst one apart over all that is left."""
    found = _next_to_each_other(size, count, ceil_mode=ceil_mode)
    padding = max(0, count - size)
    return (*found, 0) if found else (size + 2 * padding - count + 1, 1, padding)


def _pool_attributes(windows: Sequence[tuple[int, int, int]], *, tf: bool) -> dict[str, AttrValue]:
    kernel, stride, padding = zip(*windows, strict=True)
    if tf:
        return {"pool_size": kernel, "strides": stride, "padding": "customized", "padding_before": padding, "padding_after": padding}
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": (1,) * len(windows)}


def _rounds(old: OpView, x: Ints, now: Ints, y: Ints, axes: range) -> bool:
    """Whether the captured sizes do not tell if a last, partial window counts, and the new ones depend on it."""
    dilation = old.ints("dilation") if "dilation" in old.attrs else (1,) * len(axes)
    lists = (old.ints("kernel_size"), old.ints("stride"), old.ints("padding"), dilation)
    for axis, *window in zip(axes, *lists, strict=False):
        was, will = ({window_count(shape[axis], *window, ceil_mode=ceil_mode) for ceil_mode in (False, True)} for shape in (x, now))
        if was == {y[axis]} and len(will) > 1:
            return True
    return False


def interpolations(old: OpView, new: OpView) -> Assignments:
    """Scales and sizes of an interpolation: where its operand keeps its size, its result does; else it grows along, or stays."""
    before = old.shape("x", at_least=3)
    after, result = new.shape("x", rank=len(before)), result_of(old, "y", rank=len(before))
    if any(name.endswith("scale") or name == "scale_factor" for name in old.attrs):
        yield {"output_size": ()}
        return
    if before[2:] != after[2:] and 0 not in before:
        yield from _scales(before[2:], result[2:])
    yield {"output_size": result[2:]}


def _scales(before: Ints, result: Ints) -> Iterator[dict[str, AttrValue]]:
    names = ("depth_scale", "height_scale", "width_scale")[-len(before) :] if len(before) > 1 else ("scale_factor",)
    ratios = [extent / was for was, extent in zip(before, result, strict=True)]
    yield {"output_size": (), **dict(zip(names, ratios, strict=False))}

"""Attributes that a printed graph lacks: what they can have been, by the sizes of operands and results.

A function here lists sets of values; those that do not give the captured results are weeded out where they are used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from irflops.ir.graph import AttrValue
from irflops.ops.op_view import OpView
from irflops.ops.rule import Readings
from irflops.ops.window import window_count
from irflops.ops.work import MissingAttribute

Assignments = Iterator[Mapping[str, AttrValue]]

MOST_AXES = 8
"""Axes up to which subsets and orders of axes are listed."""


def result_shape(attr: str, result: str = "out") -> Readings:
    """An attribute that holds the extents of a result."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        yield {attr: _result(old, result)}

    return readings


def result_extent(attr: str, result: str = "out", axis: int = -1) -> Readings:
    """An attribute that holds one extent of a result."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        shape = _result(old, result)
        if shape:
            yield {attr: shape[axis]}

    return readings


def rows_and_columns(old: OpView, _new: OpView) -> Assignments:
    """The extents of a matrix that is made of nothing."""
    rows, columns = _result(old, "out")
    yield {"rows": rows, "cols": columns}


def ranges(old: OpView, _new: OpView) -> Assignments:
    """Numbers from 0 upwards, one apart, as many as there are."""
    (steps,) = _result(old, "out")
    yield {"integer_start": 0, "integer_limit": steps, "integer_delta": 1, "float_start": 0, "float_limit": steps, "float_delta": 1}


def spatial_sizes(old: OpView, _new: OpView) -> Assignments:
    """The extents that a pooling to a given size, or an interpolation, gives."""
    yield {"output_size": _result(old, "y")[2:]}


def interpolations(old: OpView, new: OpView) -> Assignments:
    """Scales and sizes of an interpolation: where its operand keeps its size, its result does."""
    before, after, result = old.shape("x"), new.shape("x"), _result(old, "y")
    if any(name.endswith("scale") or name == "scale_factor" for name in old.attrs):
        yield {"output_size": ()}
        return
    if before[2:] != after[2:]:
        raise MissingAttribute("output_size")
    yield {"output_size": result[2:]}


def flags(*names: str) -> Readings:
    """Attributes that are true or false."""

    def readings(_old: OpView, _new: OpView) -> Assignments:
        for values in itertools.product((False, True), repeat=len(names)):
            yield dict(zip(names, values, strict=True))

    return readings


def axis_of(attr: str, operand: str, *, more: int = 0) -> Readings:
    """An attribute that names an axis of an operand's first tensor, or of a shape with `more` axes."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        shape = old.inputs(operand)[0].shape if old.inputs(operand) else None
        yield from ({attr: axis} for axis in range(len(shape or ()) + more))

    return readings


def reduced(axes: str, keep: str) -> Readings:
    """The axes of a reduction, and whether they stay as 1."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        rank, kept = len(old.shape(old.first_input)), len(_result(old, old.first_output))
        if rank > MOST_AXES:
            raise MissingAttribute(axes)
        sizes = range(rank + 1) if kept == rank else range(rank - kept, rank - kept + 1) if kept < rank else ()
        for size in sizes:
            for chosen in itertools.combinations(range(rank), size):
                yield {axes: chosen, keep: kept == rank}

    return readings


def permutations(old: OpView, _new: OpView) -> Assignments:
    """The orders of axes that give the result."""
    shape, result = old.shape("input"), _result(old, "output")
    if len(shape) > MOST_AXES:
        raise MissingAttribute("perm")

    def orders(left: tuple[int, ...], wanted: Sequence[int]) -> Iterator[tuple[int, ...]]:
        if not wanted:
            yield ()
        for axis in left:
            if wanted and shape[axis] == wanted[0]:
                rest = tuple(other for other in left if other != axis)
                yield from ((axis, *order) for order in orders(rest, wanted[1:]))

    yield from ({"perm": order} for order in orders(tuple(range(len(shape))), result))


def runs_of_axes(old: OpView, _new: OpView) -> Assignments:
    """The axes that a flatten makes one."""
    rank = max(1, len(old.shape("in")))
    yield from ({"start_dim": start, "end_dim": end} for start in range(rank) for end in range(start, rank))


def axes_of_one(old: OpView, _new: OpView) -> Assignments:
    """The axes of extent 1 that a squeeze takes away."""
    shape = old.shape("in")
    ones = [axis for axis, extent in enumerate(shape) if extent == 1]
    if len(ones) > MOST_AXES:
        raise MissingAttribute("axes")
    gone = len(shape) - len(_result(old, "out"))
    yield from ({"axes": chosen} for chosen in (itertools.combinations(ones, gone) if gone >= 0 else ()))


def narrowings(old: OpView, _new: OpView) -> Assignments:
    """Axis, start and length of a narrowing; the start as far as it matters: at the front, at the end, between."""
    shape = old.shape("in")
    result = _result(old, "out", rank=len(shape))
    cut = [axis for axis, extent in enumerate(result) if extent != shape[axis]] or range(len(shape))
    for axis in cut:
        spare = shape[axis] - result[axis]
        yield from ({"dim": axis, "start": start, "length": result[axis]} for start in sorted({0, min(1, spare), spare}))


def slices(old: OpView, new: OpView) -> Assignments:
    """Start, stop and step by axis; only an axis that changes needs all that are possible."""
    each = []
    x = old.shape("x")
    for before, after, kept in zip(x, new.shape("x", rank=len(x)), _result(old, "y", rank=len(x)), strict=True):
        if before == kept:
            each.append([(0, before, 1)])
        elif before == after:
            each.append([(0, kept, 1)])
        else:
            spare = before - kept
            each.append([(start, start + kept, 1) for start in sorted({0, min(1, spare), spare})])
            for step in range(2, before + 1):
                each[-1] += [(start, before, step) for start in range(step) if -((start - before) // step) == kept]
    for chosen in itertools.product(*each):
        yield {"start": tuple(c[0] for c in chosen), "stop": tuple(c[1] for c in chosen), "step": tuple(c[2] for c in chosen)}


def parts(attr: str, whole: str, part: str) -> Readings:
    """The number of micro-batches, by the first extents of the whole and of a part."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        many, few = old.shape(whole) or (1,), old.shape(part) or (1,)
        if few[0]:
            yield {attr: many[0] // few[0]}

    return readings


def padded(old: OpView, _new: OpView) -> Assignments:
    """Padding by axis: how much in all is what the sizes tell, and all that matters."""
    wide = _result(old, "y") if old.inputs("x") else old.shape("dy")
    narrow = old.shape("x", rank=len(wide)) if old.inputs("x") else _result(old, "dx", rank=len(wide))
    yield {"padding_before": tuple(n - m for n, m in zip(wide, narrow, strict=True)), "padding_after": (0,) * len(wide)}


def spatially_padded(narrow: str, wide: str) -> Readings:
    """Padding in pairs, the last axis first: again as much in all as the sizes tell."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        inner, outer = (old.shape(arg) if old.inputs(arg) else _result(old, arg) for arg in (narrow, wide))
        if len(inner) != len(outer):
            raise ValueError(f"{narrow} {inner} and {wide} {outer} have different ranks")
        yield {"padding": tuple(n for a, b in zip(inner[:1:-1], outer[:1:-1], strict=True) for n in (b - a, 0))}

    return readings


def pools(old: OpView, new: OpView) -> Assignments:
    """What the line of a pooling module leaves open; of a pooling called as a function, only what keeps its size is known."""
    x = old.shape("x", at_least=3)
    y = _result(old, "y", rank=len(x))
    layouts = ("channels_first", "channels_last") if "data_format" not in old.attrs else (old.attrs["data_format"],)
    needed = ("pool_size", "strides", "padding") if old.type.startswith("tf_") else ("kernel_size", "stride", "padding")
    known = all(name in old.attrs for name in needed)
    if not known and x[1:] != new.shape("x")[1:]:
        raise MissingAttribute("kernel_size")
    if known and "ceil_mode" not in old.attrs and not old.type.startswith("tf_"):
        _refuse_rounding(old, new, y)
    for layout, ceil_mode in itertools.product(layouts, (False, True)):
        choice: dict[str, AttrValue] = {"data_format": layout, "ceil_mode": ceil_mode}
        if not known:
            at = slice(1, -1) if layout == "channels_last" else slice(2, None)
            # Windows of all that is left over, one apart: they give the result from this operand, whatever the true ones are.
            grown = [max(0, m - n) for n, m in zip(x[at], y[at], strict=True)]
            kernel = [n + 2 * p - m + 1 for n, m, p in zip(x[at], y[at], grown, strict=True)]
            ones = (1,) * len(kernel)
            choice |= {"kernel_size": tuple(kernel), "stride": ones, "padding": tuple(grown), "dilation": ones}
            if old.type.startswith("tf_"):
                choice |= {"pool_size": tuple(kernel), "strides": ones, "padding": "customized"}
                choice |= {"padding_before": tuple(grown), "padding_after": tuple(grown)}
        yield choice


def _refuse_rounding(old: OpView, new: OpView, y: tuple[int, ...]) -> None:
    """MissingAttribute where the captured sizes do not tell whether a last, partial window counts, and the new ones depend on it."""
    dilation = old.attrs.get("dilation") or (1,) * (len(y) - 2)
    first = 1 if old.attrs.get("data_format") == "channels_last" else 2
    lists = (old.ints("kernel_size"), old.ints("stride"), old.ints("padding"), dilation if isinstance(dilation, tuple) else ())
    for axis, kernel, stride, padding, apart in zip(range(first, first + len(y) - 2), *lists, strict=False):
        windows = (kernel, stride, padding, int(apart) if isinstance(apart, int) else 1)
        was, now = ({window_count(op.shape("x")[axis], *windows, ceil_mode=ceil_mode) for ceil_mode in (False, True)} for op in (old, new))
        if was == {y[axis]} and len(now) > 1:
            raise MissingAttribute("ceil_mode")


def convolutions(old: OpView, new: OpView) -> Assignments:
    """Groups by the channels; some strides, padding and dilation that fit, if all that do give the same from the new operand too."""
    x = old.shape("in", at_least=3)
    weight, out, now = old.shape("weight", rank=len(x)), _result(old, "out", rank=len(x)), new.shape("in", rank=len(x))
    for layout in ("channels_first", "channels_last"):
        channel = len(x) - 1 if layout == "channels_last" else 1
        axes = range(1, len(x) - 1) if layout == "channels_last" else range(2, len(x))
        if not weight[channel] or x[channel] % weight[channel]:
            continue
        each = []
        for axis in axes:
            found = list(itertools.islice(_windows(x[axis], weight[axis], out[axis]), None if x[axis] != now[axis] else 1))
            if len({_count(now[axis], weight[axis], *window) for window in found}) > 1:
                raise MissingAttribute("strides")
            each.append(found[:1])
        groups = x[channel] // weight[channel]
        for chosen in itertools.product(*each):
            strides, padding, dilation = zip(*chosen, strict=True) if chosen else ((), (), ())
            yield {
                "data_format": layout,
                "groups": groups,
                "strides": strides,
                "padding_before": padding,
                "dilation_rate": dilation,
            }


def _count(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Positions of a window, 0 or fewer where there is none."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _windows(size: int, kernel: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Stride, padding and dilation of windows of that kernel that fall so many times on an axis; padding holds no whole window."""
    for dilation in range(1, 2 if kernel == 1 else size + 2):
        reach = dilation * (kernel - 1)
        for padding in range(reach + 1):
            room = size + 2 * padding - reach - 1
            if room < 0:
                continue
            if count == 1:
                yield room + 1, padding, dilation
                continue
            # These strides alone go into the room one time less often than there are windows.
            yield from ((stride, padding, dilation) for stride in range(room // count + 1, room // (count - 1) + 1))


def filter_gradients(old: OpView, _new: OpView) -> Assignments:
    """Groups and kernel by the filter's own sizes."""
    x = old.shape("x", at_least=3)
    result = _result(old, "filter_diff", rank=len(x))
    for layout in ("channels_first", "channels_last"):
        channel = len(x) - 1 if layout == "channels_last" else 1
        kernel = result[1:-1] if layout == "channels_last" else result[2:]
        if result[channel] and x[channel] % result[channel] == 0:
            yield {"data_format": layout, "groups": x[channel] // result[channel], "kernel_size": kernel}


def transposed_convolutions(old: OpView, new: OpView) -> Assignments:
    """Of a transposed convolution only what keeps its size is known: some strides that give the result."""
    x = old.shape("in", at_least=3)
    weight, out = old.shape("weight", rank=len(x)), _result(old, "out", rank=len(x))
    if x[1:] != new.shape("in")[1:]:
        raise MissingAttribute("strides")
    for layout in ("channels_first", "channels_last"):
        channel = len(x) - 1 if layout == "channels_last" else 1
        axes = range(1, len(x) - 1) if layout == "channels_last" else range(2, len(x))
        if not weight[channel] or out[channel] % weight[channel]:
            continue
        # One position after the other, the rest added behind.
        extra = [out[axis] - (x[axis] - 1) - weight[axis] for axis in axes]
        padding = [max(0, -(n // 2)) for n in extra]
        yield {
            "data_format": layout,
            "groups": out[channel] // weight[channel],
            "strides": (1,) * len(axes),
            "padding_before": tuple(padding),
            "output_padding": tuple(n + 2 * p for n, p in zip(extra, padding, strict=True)),
            "dilation_rate": (1,) * len(axes),
        }


def segments(old: OpView, _new: OpView) -> Assignments:
    """Axis and number of segments of a sum by segments."""
    rank = len(old.shape("data"))
    for axis, count in itertools.product(range(rank), sorted(set(_result(old, "out")))):
        yield {"axis": axis, "num_segments": count}


def joined(*readings: Readings) -> Readings:
    """All combinations of several lists."""

    def together(old: OpView, new: OpView) -> Assignments:
        for chosen in itertools.product(*(tuple(reading(old, new)) for reading in readings)):
            yield {name: value for values in chosen for name, value in values.items()}

    return together


def _result(op: OpView, arg: str, *, rank: int | None = None) -> tuple[int, ...]:
    """The shape of a result; MissingAttribute where not even that is known, so that nothing can be told."""
    shape = op.output(arg).shape if op.outputs(arg) else None
    if shape is None or None in shape:
        raise MissingAttribute(arg)
    return op.shape(arg, rank=rank)

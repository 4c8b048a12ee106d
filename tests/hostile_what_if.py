"""Prints made to hurt a what-if: many ways to read each operator, or to read all of them together; long axes, and many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

IN = "_G_0_input.0.0_2"
PLACE = 'placement=(oneflow.placement(type="cpu", ranks=[0]))'

Line = tuple[str, list[str], list[str]]
"""An operator's name, operands and results."""


def tensor(lbn: str, *shape: int) -> str:
    return f"{lbn}:(sbp=(B), size=({', '.join(map(str, shape))},), dtype=(oneflow.float32))"


def line(operator: Line) -> str:
    name, operands, results = operator
    return f"  (OPERATOR: {name}({', '.join(operands)}) -> ({', '.join(results)}), {PLACE})"


def from_input(shape: tuple[int, ...], operators: Iterable[Line]) -> str:
    """A print of operators behind an input."""
    size = ", ".join(map(str, shape))
    source = f"  (OPERATOR: {IN}() -> ({IN}/out:sbp=(B), size=({size},), dtype=(oneflow.float32)), {PLACE})"
    return "\n".join(["(GRAPH:G_0:G): (", source, *map(line, operators), ")", ""])


def of_input(op_type: str, arg: str, shape: tuple[int, ...], made: Callable[[int], tuple[int, ...]]) -> Callable[[int], str]:
    """Many operators of one type that read the input, each with a result of its own shape."""

    def operator(i: int) -> Line:
        return f"m-{op_type}-{i}", [tensor(f"{IN}/out", *shape)], [tensor(f"m-{op_type}-{i}/{arg}_0", *made(i))]

    return lambda n: from_input(shape, map(operator, range(n // len(line(operator(1))))))


def behind(i: int, *shape: int) -> str:
    return tensor(f"m-add_n-{i - 1}/out_0", *shape) if i else tensor(f"{IN}/out", *shape)


def told_or_not(*, told: bool) -> Callable[[int], str]:
    """Transposes of equal axes, each told by what it is added to, but for the first perhaps."""

    def lines(n: int) -> Iterator[Line]:
        yield "m-add_n-0", [tensor(f"{IN}/out", 3, 3, 8)], [tensor("m-add_n-0/out_0", 3, 3, 8)]
        if not told:
            yield "m-transpose-0", [tensor("m-add_n-0/out_0", 3, 3, 8)], [tensor("m-transpose-0/output_0", 3, 3, 8)]
        for i in range(1, n // 600):
            before = tensor("m-transpose-0/output_0", 3, 3, 8) if i == 1 and not told else behind(i, 3, 3, 8)
            yield f"m-transpose-{i}", [before], [tensor(f"m-transpose-{i}/output_0", 3, 3, 8)]
            yield f"m-add_n-{i}", [before, tensor(f"m-transpose-{i}/output_0", 3, 3, 8)], [tensor(f"m-add_n-{i}/out_0", 3, 3, 8)]

    return lambda n: from_input((3, 3, 8), lines(n))


def means(n: int) -> str:
    """Means at batch 1, each perhaps over the batch too: nothing ever tells."""

    def lines() -> Iterator[Line]:
        yield "m-add_n-0", [tensor(f"{IN}/out", 1, 6, 8)], [tensor("m-add_n-0/out_0", 1, 6, 8)]
        for i in range(1, n // 600):
            yield f"m-reduce_sum-{i}", [behind(i, 1, 6, 8)], [tensor(f"m-reduce_sum-{i}/output_tensor_0", 1, 6, 1)]
            summed = tensor(f"m-reduce_sum-{i}/output_tensor_0", 1, 6, 1)
            yield f"m-add_n-{i}", [behind(i, 1, 6, 8), summed], [tensor(f"m-add_n-{i}/out_0", 1, 6, 8)]

    return from_input((1, 6, 8), lines())


def growing(n: int) -> str:
    """Ever more extents that change, each of which a reshape holds."""

    def lines() -> Iterator[Line]:
        yield "m-add_n-0", [tensor(f"{IN}/out", 4, 8)], [tensor("m-add_n-0/out_0", 4, 8)]
        for i in range(1, n // 600):
            yield f"m-concat-{i}", [behind(i, 4 * i, 8), tensor(f"{IN}/out", 4, 8)], [tensor(f"m-concat-{i}/out_0", 4 * i + 4, 8)]
            yield f"m-add_n-{i}", [tensor(f"m-concat-{i}/out_0", 4 * i + 4, 8)], [tensor(f"m-add_n-{i}/out_0", 4 * i + 4, 8)]

    return from_input((4, 8), lines())


MANY, WIDE = 2**40, 60
ATTACKS: dict[str, Callable[[int], str | bytes]] = {
    "what-if through a chain": lambda n: from_input(
        (4, 8), ((f"m-add_n-{i}", [behind(i, 4, 8)], [tensor(f"m-add_n-{i}/out_0", 4, 8)]) for i in range(n // 260))
    ),
    "what-if of transposes that are told": told_or_not(told=True),
    "what-if of transposes behind one that is not": told_or_not(told=False),
    "what-if of means": means,
    "what-if of growing extents": growing,
    "what-if of many operands": lambda n: from_input(
        (4, 8), [("m-add_n-0", [tensor(f"{IN}/out", 4, 8)] * (n // 80), [tensor("m-add_n-0/out_0", 4, 8)])]
    ),
    "what-if of an update of many": lambda n: from_input((4, 8), [("m-adam_update-0", [tensor(f"{IN}/out", 4, 8)] * (n // 80), [])]),
    "what-if of slices": of_input("slice", "y", (1, MANY), lambda i: (1, MANY // (i + 2))),
    "what-if of narrow slices": of_input("slice", "y", (1, 10_000_000), lambda i: (1, i + 1)),
    "what-if of poolings": of_input("max_pool_2d", "y", (1, 3, MANY, 5_000_000), lambda i: (1, 3, MANY // (i + 1), i + 1)),
    "what-if of interpolations": of_input("upsample_nearest_2d", "y", (1, 3, 64, 64), lambda i: (1, 3, 64 + i, 128)),
    "what-if of wide slices": of_input("slice", "y", (6,) * WIDE, lambda i: (*(4,) * (WIDE - 1), i % 6 + 1)),
    "what-if of wide transposes": of_input("transpose", "output", (6,) * WIDE, lambda _i: (6,) * WIDE),
    "what-if of wide sums": of_input("reduce_sum", "output_tensor", (6,) * WIDE, lambda i: (6,) * (1 + i % WIDE)),
    "what-if of wide sums that keep axes": of_input("reduce_sum", "output_tensor", (1,) * WIDE, lambda _i: (1,) * WIDE),
    "what-if of wide squeezes": of_input("squeeze", "out", (1,) * WIDE, lambda i: (1,) * (1 + i % WIDE)),
    "what-if of wide flattens": of_input("flatten", "out", (2,) * WIDE, lambda i: (2,) * (i % WIDE) + (2 ** (WIDE - i % WIDE),)),
    "what-if of wide reshapes": of_input("reshape", "out", (2,) * WIDE, lambda i: (2,) * (i % WIDE) + (2 ** (WIDE - i % WIDE),)),
    "what-if of wide layer norms": of_input("layer_norm", "y", (6,) * WIDE, lambda _i: (6,) * WIDE),
}

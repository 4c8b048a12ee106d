"""The contractions of a forward pass as products: with weights, of activations with one another, and what each is made of.

Nothing here goes by the names of operators, modules or variables: who feeds whom, and shapes, tell everything.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.counting.cost import OpCost
from irflops.counting.infer import operand_type
from irflops.ir.graph import Graph, Op, Operand, Phase, TensorType
from irflops.ops.book import RuleBook

MOST_ORIGINS = 16
"""Of how many products a tensor is made at most, for them to be told: the residual stream is made of all before it."""

_MOST_ROOTS = 8
_PRODUCTS = frozenset({"matmul", "broadcast_matmul", "batch_matmul", "vector_matrix_product", "matrix_vector_product"})
_WHOLE_ATTENTION = frozenset(
    {"fused_multi_head_attention_inference", "fused_multi_head_attention_inference_v2", "scaled_dot_product_flash_attention"}
)
_SCORES_OF_ONE = "fused_self_attention_query_mul_key_and_value"
_ROW_WEIGHTS = frozenset({"fused_matmul_bias", "fused_linear_with_groupwise_quantized_weight"})
_GROUPED = "grouped_matmul_bias"
_CHAINS = frozenset({"cublas_fused_mlp", "fused_matmul_bias_add_relu_dropout"})


class Kind(enum.Enum):
    """What a contraction multiplies."""

    WEIGHT = "weight"
    """Rows of activations with a weight: a linear layer."""
    CONV = "convolution"
    ACTIVATIONS = "activations"
    """Activations with activations."""
    ATTENTION = "attention"
    """Queries with keys, and what becomes of them with values, in one operator."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product of the forward pass, in elements and multiply-accumulates of one run."""

    op: int
    """The operator, by position; several products may be of one."""
    kind: Kind
    macs: int
    operands: tuple[str, ...]
    """What it multiplies, by lbn: activations and weight; query, key and value."""
    result: str
    """Its result, by lbn; that of the operator where it is one of a chain inside."""
    weight: int | None = None
    """The variable that the weight is made of, by the position of its operator."""
    depth: int = 0
    """Elements of each sum: a weight's input features."""
    width: int = 0
    """A weight's output features."""
    matrices: int = 1
    """Weights side by side, each for rows of its own."""
    before: frozenset[int] | None = None
    """The nearest products, by number, that its activations are made of; None where these are many."""

    @property
    def rows(self) -> int:
        """Rows of activations that a weight multiplies."""
        return self.macs // (self.depth * self.width) if self.depth and self.width else 0


class Products:
    """The products of a graph's forward pass, in an order in which it can run, and what each tensor is made of."""

    def __init__(self, graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook) -> None:
        self.graph = graph
        self.types = types
        self.costs = costs
        self.book = book
        self.all: list[Product] = []
        self.origins: dict[str, frozenset[int] | None] = {}
        """By tensor the nearest products that it is made of; None where these are many."""
        self.bent: set[str] = set()
        """Tensors between which and the products before them stands an exponential or another transcendental function."""
        self.roots: dict[str, tuple[int, ...]] = {}
        """By tensor that is made of variables and constants alone the variables, by the positions of their operators."""
        for index in graph.edges.order:
            self._add(index, graph.ops[index])

    def type(self, operand: Operand) -> TensorType:
        """The type of an operand."""
        return operand_type(operand, self.types)

    def numel(self, lbn: str) -> int:
        """Elements of a tensor, 0 where its shape is not known."""
        found = self.types.get(lbn)
        return (found.numel or 0) if found is not None else 0

    def of(self, lbn: str) -> frozenset[int]:
        """The nearest products that a tensor is made of; none where they are many."""
        return self.origins.get(lbn) or frozenset()

    def is_forward(self, op: Op) -> bool:
        """Whether an operator belongs to the forward pass, or hands it on between devices: all do in a graph that does not train."""
        return op.phase in (Phase.FORWARD, Phase.SYSTEM) or (op.phase is None and not self.graph.training)

    def is_data(self, operand: Operand) -> bool:
        """Whether an operand depends on what goes into the graph, or on chance."""
        return operand.lbn not in self.roots

    def is_real(self, operand: Operand) -> bool:
        """Whether an operand is data of a floating-point type: no mask and no indices."""
        dtype = self.type(operand).dtype
        return self.is_data(operand) and (dtype is None or dtype.is_float)

    def _add(self, index: int, op: Op) -> None:
        contracts = op.type in self.book.contractions
        if not contracts and self._is_fixed(op):
            roots = (index,) if op.type == "variable" else self._roots_of(op)
            self.roots.update((result.lbn, roots) for result in op.outputs)
            return
        if not self.is_forward(op):
            return
        if contracts:
            self._add_products(index, op)
            return
        origins = self._origins_of(op)
        cost = self.costs[index].cost
        bends = cost.get("transcendentals") > 0 or any(operand.lbn in self.bent for operand in op.inputs)
        for result in op.outputs:
            self.origins[result.lbn] = origins
            if bends:
                self.bent.add(result.lbn)

    def _is_fixed(self, op: Op) -> bool:
        if op.type == "variable":
            return True
        if op.inputs:
            return all(operand.lbn in self.roots for operand in op.inputs) and not self.book.facts(op.type).effects
        return op.type not in ("input", None) and self.book.rule(op.type) is not None and not self.book.facts(op.type).effects

    def _roots_of(self, op: Op) -> tuple[int, ...]:
        found = dict.fromkeys(root for operand in op.inputs for root in self.roots[operand.lbn])
        return tuple(found)[:_MOST_ROOTS]

    def _origins_of(self, op: Op) -> frozenset[int] | None:
        found: frozenset[int] = frozenset()
        for operand in op.inputs:
            one = self.origins.get(operand.lbn, found)
            if one is None:
                return None
            found = one if not found else found | one if one else found
        return found if len(found) <= MOST_ORIGINS else None

    def _add_products(self, index: int, op: Op) -> None:
        first = len(self.all)
        for product in self._products(index, op):
            self.all.append(product)
        own = frozenset(range(first, len(self.all)))
        for result in op.outputs:
            self.origins[result.lbn] = own
        if op.type == _SCORES_OF_ONE:
            for result in op.outputs:
                if result.arg == "value":
                    self.origins[result.lbn] = self.origins.get(op.inputs[0].lbn) if op.inputs else frozenset()
        if op.type == _GROUPED:
            for number, result in zip(sorted(own), op.outputs, strict=False):
                self.origins[result.lbn] = frozenset({number})
        if op.type in _CHAINS and own:
            for result in op.outputs:
                self.origins[result.lbn] = frozenset({max(own)})

    def _products(self, index: int, op: Op) -> Iterator[Product]:
        cost = self.costs[index].cost
        macs = cost.get("macs") if cost.is_known("macs") else 0
        result = op.outputs[0].lbn if op.outputs else ""
        slots = {(operand.arg, operand.index): operand for operand in op.inputs}
        if op.type in _PRODUCTS and ("a", 0) in slots and ("b", 0) in slots:
            yield self._pair(index, macs, slots["a", 0], slots["b", 0], result)
        elif op.type == _SCORES_OF_ONE and op.inputs:
            packed = op.inputs[0].lbn
            before = self.origins.get(packed, frozenset())
            yield Product(
                op=index,
                kind=Kind.ACTIVATIONS,
                macs=macs,
                operands=(packed, packed),
                result=result,
                depth=self._quotient(macs, result),
                before=before,
            )
        elif op.type in _WHOLE_ATTENTION and {("query", 0), ("key", 0), ("value", 0)} <= set(slots):
            operands = tuple(slots[arg, 0].lbn for arg in ("query", "key", "value"))
            before = self.origins.get(operands[0], frozenset())
            yield Product(op=index, kind=Kind.ATTENTION, macs=macs, operands=operands, result=result, before=before)
        elif op.type == "fused_glu" and {("x", 0), ("w", 0)} <= set(slots):
            weights = [slots[arg, 0] for arg in ("w", "v") if (arg, 0) in slots]
            yield from (self._linear(index, slots["x", 0], weight, result) for weight in weights)
        elif op.type in _ROW_WEIGHTS and op.inputs and len(op.inputs) > 1:
            yield self._rows(index, macs, op.inputs[0], op.inputs[1], result)
        elif op.type == _GROUPED:
            for place, made in enumerate(op.outputs):
                if ("xs", place) in slots and ("weights", place) in slots:
                    yield self._linear(index, slots["xs", place], slots["weights", place], made.lbn)
        elif op.type in _CHAINS and ("x", 0) in slots:
            yield from self._chain(index, op, slots["x", 0], result)
        else:
            yield self._convolution(index, op, macs, result)

    def _quotient(self, macs: int, lbn: str) -> int:
        """Elements of each sum where the results are those of a tensor."""
        numel = self.numel(lbn)
        return macs // numel if numel else 0

    def _weight(self, operand: Operand) -> int | None:
        """The variable that an operand is made of: of several, such as a quantized one and its scales, the one with most elements."""
        roots = self.roots.get(operand.lbn, ())
        return max(roots, key=lambda root: self.numel(self.graph.ops[root].outputs[0].lbn), default=None)

    def _pair(self, index: int, macs: int, a: Operand, b: Operand, result: str) -> Product:
        depth = self._quotient(macs, result)
        weight, data = (b, a) if not self.is_data(b) else (a, b)
        root = self._weight(weight)
        if root is None:
            before = self._origins_of(self.graph.ops[index])
            kind = Kind.ACTIVATIONS if self.is_data(a) and self.is_data(b) else Kind.OTHER
            return Product(op=index, kind=kind, macs=macs, operands=(a.lbn, b.lbn), result=result, depth=depth, before=before)
        shape = self.type(weight).shape or ()
        extents = [extent or 0 for extent in shape]
        width = math.prod(extents[-2:]) // depth if depth else 0
        return Product(
            op=index,
            kind=Kind.WEIGHT,
            macs=macs,
            operands=(data.lbn, weight.lbn),
            result=result,
            weight=root,
            depth=depth,
            width=width,
            matrices=math.prod(extents[:-2]),
            before=self.origins.get(data.lbn, frozenset()),
        )

    def _linear(self, index: int, data: Operand, weight: Operand, result: str, before: frozenset[int] | None = None) -> Product:
        """Rows with a weight of [out, in], as fused operators have it."""
        width, depth = self._features(weight)
        rows = (self.type(data).numel or 0) // depth if depth else 0
        return self._weighted(index, rows * depth * width, data, weight, result, depth, width, before)

    def _rows(self, index: int, macs: int, data: Operand, weight: Operand, result: str) -> Product:
        """Rows with a weight whose own shape need not tell its features: quantized ones are packed."""
        depth = self._quotient(macs, result)
        rows = (self.type(data).numel or 0) // depth if depth else 0
        return self._weighted(index, macs, data, weight, result, depth, self.numel(result) // rows if rows else 0)

    def _chain(self, index: int, op: Op, data: Operand, result: str) -> Iterator[Product]:
        """Linear layers one after the other inside an operator: each is made of the one before."""
        shape = self.type(data).shape or ()
        rows = math.prod(extent or 0 for extent in shape[:-1])
        before = None
        for weight in (operand for operand in op.inputs if operand.arg == "weights"):
            width, depth = self._features(weight)
            yield self._weighted(index, rows * width * depth, data, weight, result, depth, width, before)
            before = frozenset({len(self.all) - 1})  # that one, which is in the list by now

    def _features(self, weight: Operand) -> tuple[int, int]:
        """Out and in of a weight of two axes; 0 where they are not known."""
        shape = self.type(weight).shape
        return ((shape[0] or 0), (shape[1] or 0)) if shape is not None and len(shape) == 2 else (0, 0)

    def _weighted(
        self,
        index: int,
        macs: int,
        data: Operand,
        weight: Operand,
        result: str,
        depth: int,
        width: int,
        before: frozenset[int] | None = None,
    ) -> Product:
        """A product of data with a weight. `before` is what made the data, unless it is made inside the operator."""
        return Product(
            op=index,
            kind=Kind.WEIGHT,
            macs=macs,
            operands=(data.lbn, weight.lbn),
            result=result,
            weight=self._weight(weight),
            depth=depth,
            width=width,
            before=self.origins.get(data.lbn, frozenset()) if before is None else before,
        )

    def _convolution(self, index: int, op: Op, macs: int, result: str) -> Product:
        weights = [(operand, self._weight(operand)) for operand in op.inputs if not self.is_data(operand)]
        found = next(((operand, root) for operand, root in weights if operand.arg == "weight" and root is not None), None)
        before = self._origins_of(op)
        if found is None:
            lbns = tuple(operand.lbn for operand in op.inputs)
            return Product(op=index, kind=Kind.OTHER, macs=macs, operands=lbns, result=result, before=before)
        data = next((operand.lbn for operand in op.inputs if self.is_data(operand)), op.inputs[0].lbn)
        return Product(op=index, kind=Kind.CONV, macs=macs, operands=(data, found[0].lbn), result=result, weight=found[1], before=before)

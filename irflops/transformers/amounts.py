"""What closed forms are held against: the FLOPs of a step by role, and the parameters by what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.ir.graph import VariableKind
from irflops.transformers.products import Products
from irflops.transformers.structure import Role, Transformer
from irflops.transformers.training import Work, work_of


@dataclass(frozen=True)
class Amounts:
    """FLOPs of contractions and elements of parameters, of a graph that is a transformer or not."""

    products: Products
    roles: Sequence[Role]
    """By product; all of them `OTHER` where the graph is not recognised."""
    work: Work

    @cached_property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return any(self.work.backward) or self.work.elsewhere > 0

    @cached_property
    def times(self) -> int:
        """Passes that a form counts: one forward; three where gradients are computed, which take two products for each."""
        return 3 if self.trains else 1

    def flops(self, *roles: Role) -> int:
        """FLOPs of products of these roles, forward and gradients."""
        return sum(2 * (self.work.forward[one] + self.work.backward[one]) for one in self.of(*roles))

    def ideal(self, *roles: Role) -> int:
        """FLOPs of products of these roles where each has both its gradients, or none where the graph has none."""
        return sum(2 * self.times * self.work.forward[one] for one in self.of(*roles))

    def of(self, *roles: Role) -> list[int]:
        """The products of these roles, by number."""
        return [number for number, role in enumerate(self.roles) if role in roles]

    @cached_property
    def trainable(self) -> dict[int, int]:
        """Elements of the trainable variables, by the positions of their operators."""
        ops = self.products.graph.ops
        return {
            index: self.products.numel(op.outputs[0].lbn)
            for index, op in enumerate(ops)
            if op.type == "variable" and op.kind is VariableKind.TRAINABLE and op.outputs
        }

    @cached_property
    def role_of_weight(self) -> dict[int, Role]:
        """By variable that products read the role of the first of them."""
        found: dict[int, Role] = {}
        for number, product in enumerate(self.products.all):
            if product.weight is not None:
                found.setdefault(product.weight, self.roles[number])
        return found

    def params(self, *roles: Role) -> int:
        """Elements of trainable variables that products of these roles read, each once."""
        return sum(numel for index, numel in self.trainable.items() if self.role_of_weight.get(index) in roles)

    @cached_property
    def tables(self) -> int:
        """Elements of trainable variables of two extents or more that no product reads: tables of tokens, positions, segments."""
        return sum(numel for index, numel in self._idle.items() if self._rank(index) > 1)

    @cached_property
    def vectors(self) -> int:
        """Elements of the other trainable variables that no product reads: biases, and scales of norms."""
        return sum(numel for index, numel in self._idle.items() if self._rank(index) <= 1)

    @cached_property
    def _idle(self) -> dict[int, int]:
        return {index: numel for index, numel in self.trainable.items() if index not in self.role_of_weight}

    def _rank(self, index: int) -> int:
        found = self.products.types.get(self.products.graph.ops[index].outputs[0].lbn)
        return len(found.shape or ()) if found is not None else 0


def amounts_of(products: Products, transformer: Transformer | None) -> Amounts:
    """The amounts of a graph."""
    roles = [Role.OTHER] * len(products.all) if transformer is None else transformer.roles
    return Amounts(products, roles, work_of(products))
